// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/tocsin-db/tocsin/spec"
)

// Hold keeps the opening of an operation. One that is held already stays: another
// copy can only have lost values since. One of another tier than the store's is refused
// with OPENING_MISMATCH.
func (t *Tx) Hold(id spec.Hash, o *spec.Opening) error {
	if err := t.checkTier(o); err != nil {
		return err
	}
	if id != t.absent { // nothing is held of what was not in the log
		held, err := t.openingOf(id)
		if err != nil || held != nil {
			return err
		}
	}
	return t.setOpening(id, o)
}

func (t *Tx) setOpening(id spec.Hash, o *spec.Opening) error {
	b, err := o.Encode()
	if err != nil {
		return err
	}
	if id == t.absent {
		t.absent = spec.Hash{}
	}
	t.held, t.opening = id, o
	return t.batch.Set(openingKey(id), b, nil)
}

// openingOf returns the opening held for an operation, or nil.
func (t *Tx) openingOf(id spec.Hash) (*spec.Opening, error) {
	if t.opening == nil || t.held != id {
		o, err := loadOpening(t.batch, id)
		if err != nil {
			return nil, err
		}
		t.held, t.opening = id, o
	}
	return t.opening, nil
}

// List changes whether the signals of an entry are live and what they say of it.
// Signals whose values are not here are only counted, where nobody can be asked for
// them. OPENING_MISSING: those who may see the opening did not get it.
func (t *Tx) List(l spec.Listing) error {
	meta, err := spec.Encode(&l.Meta)
	if err != nil {
		return err
	}
	unopened, err := t.unopened(l.Meta.Entry)
	if err != nil {
		return err
	}
	if len(unopened) > 0 {
		t.countEntry(&l)
		return t.listUnopened(&l, meta, unopened)
	}
	o, err := t.openingOf(l.Case)
	if err == nil && o == nil && l.Live {
		o, err = t.askMissing(&l)
	}
	if err != nil {
		return err
	}
	withheld := l.Count - len(l.Off)
	if o != nil {
		if l.First < 0 || l.Count < 0 || l.First+l.Count > len(o.Signals) {
			return fmt.Errorf("listing signals %d to %d of an opening of %d", l.First, l.First+l.Count, len(o.Signals))
		}
		withheld = 0
		for i := range o.Signals[l.First : l.First+l.Count] {
			s, off := &o.Signals[l.First+i], slices.Contains(l.Off, uint64(i))
			if s.Erased && off {
				continue
			} else if s.Erased {
				withheld++
			} else if err := t.listOne(s, l.Meta.Entry, meta, l.Live && !off); err != nil {
				return err
			}
		}
	}
	if !l.Live {
		withheld = 0
	}
	t.countEntry(&l)
	return t.withhold(l.Meta.Entry, uint64(withheld))
}

func (t *Tx) countEntry(l *spec.Listing) {
	if l.Live && !l.Was {
		t.counts.Entries++
	} else if l.Was && !l.Live {
		t.counts.Entries--
	}
}

func (t *Tx) listOne(o *spec.Opened, entry spec.Hash, meta []byte, live bool) error {
	return t.listSignal(liveOf(o, entry, meta), live)
}

func (t *Tx) listSignal(s *liveSignal, live bool) error {
	t.step()
	key := liveKey(s.k, s.entry)
	bucket := t.d.live.bucketOf(s.k)
	before, err := get(t.batch, key)
	if err != nil {
		return t.s.damaged(t.d.live.wrong(tableLive, bucket, notReadable, err))
	}
	t.dirty[0].change(bucket, leafChange{place: key[1:], leaf: spec.LiveLeaf(s.k, s.C, s.Meta), gone: !live, was: presenceOf(before)})
	t.listed = append(t.listed, listingChange{s, live})
	switch {
	case live:
		t.touched[s.k] = struct{}{}
		if before == nil {
			t.counts.Live++
			t.note(s, true)
		}
		return t.setCBOR(key, s)
	case before != nil:
		t.counts.Live--
		t.note(s, false)
	}
	return t.batch.Delete(key, nil)
}

// A listingChange is that a signal is live from now on, and what it says, or that it
// is not.
type listingChange struct {
	signal *liveSignal
	live   bool
}

// list brings what is in memory of a signal's entry in line.
func (d *database) list(s *liveSignal, live bool) error {
	key := d.entries.KeyOf(s.Type, s.Value, &s.k)
	if !live {
		d.entries.Remove(key, &s.entry)
		return nil
	}
	said, ok := appendSaid(nil, s.Meta)
	if !ok {
		return spec.Errorf(spec.CodeCorrupt, "a live signal does not say what its entry is")
	}
	return d.entries.Put(key, &said)
}

// note keeps the change of the indexes in memory that Commit will make. A signal
// that comes and goes in one batch, or goes and comes, ends as it was.
func (t *Tx) note(s *liveSignal, live bool) {
	other, same := &t.removed, &t.added
	if !live {
		other, same = &t.added, &t.removed
	}
	for i, o := range *other {
		if o.k == s.k && o.entry == s.entry {
			*other = append((*other)[:i], (*other)[i+1:]...)
			return
		}
	}
	*same = append(*same, s)
}

// withhold remembers how many live signals of an entry are not here.
func (t *Tx) withhold(entry spec.Hash, n uint64) error {
	key := withheldKey(entry)
	b, err := get(t.batch, key)
	if err != nil {
		return err
	}
	var before uint64
	if len(b) == 8 {
		before = binary.BigEndian.Uint64(b)
	}
	if n == before {
		return nil
	}
	t.counts.Withheld += n - before
	if n == 0 {
		return t.batch.Delete(key, nil)
	}
	return t.batch.Set(key, binary.BigEndian.AppendUint64(nil, n), nil)
}

// Erase forgets the values and salts of signals, and the opening's texts once
// nothing else of it is left. Their commitments stay.
func (t *Tx) Erase(e spec.Erasure) error {
	o, err := t.openingOf(e.Case)
	if err != nil {
		return err
	}
	if o == nil {
		return t.eraseUnopened(e, nil)
	}
	if e.First < 0 || e.Count < 0 || e.First+e.Count > len(o.Signals) {
		return fmt.Errorf("erasing signals %d to %d of an opening of %d", e.First, e.First+e.Count, len(o.Signals))
	}
	if err := errors.Join(t.batch.Set(erasedKey, nil, nil), t.eraseUnopened(e, o)); err != nil {
		return err
	}
	left := false
	next := &spec.Opening{Signals: make([]spec.Opened, len(o.Signals)), Texts: o.Texts}
	for i, s := range o.Signals {
		if i >= e.First && i < e.First+e.Count {
			s = spec.Opened{Erased: true, Blinded: s.Commitment()}
		}
		next.Signals[i] = s
		left = left || !s.Erased
	}
	if !left {
		next.Texts = nil
	}
	return t.setOpening(e.Case, next)
}
