// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tocsin-db/tocsin/spec"
)

// A snapshot brings live signals, not the openings that they came in. Their entries
// stand in tableUnopened, entry id ‖ k: with an empty value while the signal is
// live, with the live signal itself while it is suspended. Only in which order the
// signals stood in their opening is not known; it is asked for when it matters.

// An Opener returns the opening of an addition that was decided before the snapshot
// that the store began with, checked against its root, its erased values as bare
// commitments; or nil when nobody has it.
type Opener func(id spec.Hash) (*spec.Opening, error)

// SetOpener says where openings are asked for. It is called before the first batch,
// and fn within batches.
func (s *Store) SetOpener(fn Opener) {
	s.writer.Lock()
	defer s.writer.Unlock()
	s.opener = fn
}

// unopenedSignal is a row of tableUnopened with the signal that it is about.
type unopenedSignal struct {
	*liveSignal
	key []byte
}

func unopenedPrefix(entry spec.Hash) []byte { return append([]byte{tableUnopened}, entry[:]...) }

// unopened returns the signals of an entry that came with a snapshot.
func (t *Tx) unopened(entry spec.Hash) (out []unopenedSignal, err error) {
	if t.d.first == 0 {
		return nil, nil
	}
	it, err := t.batch.NewIter(&pebble.IterOptions{LowerBound: unopenedPrefix(entry), UpperBound: after(unopenedPrefix(entry))})
	if err != nil {
		return nil, err
	}
	for it.First(); it.Valid() && err == nil; it.Next() {
		var s *liveSignal
		key := append([]byte(nil), it.Key()...)
		if len(key) != 65 {
			err = spec.Errorf(spec.CodeCorrupt, "a signal of a snapshot cannot be read")
			break
		}
		live, value := liveKey(spec.Hash(key[33:]), entry), append([]byte(nil), it.Value()...)
		if len(value) == 0 {
			value, err = get(t.batch, live)
		}
		if err == nil {
			s, err = parseLive(live, value)
		}
		out = append(out, unopenedSignal{s, key})
	}
	return out, errors.Join(err, it.Error(), it.Close())
}

// listUnopened is List for an entry that came with a snapshot.
func (t *Tx) listUnopened(l *spec.Listing, meta []byte, signals []unopenedSignal) error {
	off, err := t.commitments(l)
	if err != nil {
		return err
	}
	for _, s := range signals {
		live := l.Live && !off[s.C]
		s.Meta = meta
		switch {
		case live:
			err = t.batch.Set(s.key, nil, nil)
		case l.Meta.State == spec.StateRetracted:
			err = t.batch.Delete(s.key, nil)
		default:
			var b []byte
			if b, err = spec.Encode(s.liveSignal); err == nil {
				err = t.batch.Set(s.key, b, nil)
			}
		}
		if err == nil {
			err = t.listSignal(s.liveSignal, live)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// commitments returns those of the signals that are off. Only then their order in
// the opening matters.
func (t *Tx) commitments(l *spec.Listing) (map[spec.Hash]bool, error) {
	if len(l.Off) == 0 {
		return nil, nil
	}
	o, err := t.openingOf(l.Case)
	if err == nil && o == nil {
		o, err = t.ask(l.Case)
	}
	if err != nil {
		return nil, err
	}
	if o == nil || l.First+l.Count > len(o.Signals) {
		return nil, fmt.Errorf("which signals of an entry are meant cannot be told: no upstream has the opening of its case")
	}
	off := map[spec.Hash]bool{}
	for _, n := range l.Off {
		if n < uint64(l.Count) {
			off[o.Signals[l.First+int(n)].Commitment()] = true
		}
	}
	return off, nil
}

// ask fetches an opening and keeps it.
func (t *Tx) ask(id spec.Hash) (*spec.Opening, error) {
	if t.s.opener == nil {
		return nil, nil
	}
	o, err := t.s.opener(id)
	if err != nil || o == nil {
		return nil, err
	}
	if err := t.checkTier(o); err != nil {
		return nil, fmt.Errorf("an opening that was asked for: %v", err)
	}
	return o, t.setOpening(id, o)
}

// askMissing fetches the opening of an entry that becomes live: it was decided
// before the snapshot that the store began with, or whoever sent the log left the
// opening out. Then a listed value would never match here, and nothing would show it.
// What is provisional is not yet for everybody.
func (t *Tx) askMissing(l *spec.Listing) (*spec.Opening, error) {
	old, err := t.isOld(l.Case)
	if err != nil || t.s.opener == nil || !old && l.Meta.State == spec.StateProvisional {
		return nil, err
	}
	o, err := t.ask(l.Case)
	if err == nil && o == nil && !old {
		t.unsaid = true
		err = spec.Errorf(spec.CodeOpening, "a listed addition came without its opening, and nobody else has it")
	}
	return o, err
}

// Unsaid reports that List failed with OPENING_MISSING: what the batch was made from
// came without an opening that its sender owed.
func (t *Tx) Unsaid() bool { return t.unsaid }

// isOld reports whether a case was opened before the snapshot that the store began
// with.
func (t *Tx) isOld(id spec.Hash) (bool, error) {
	if t.d.first == 0 {
		return false, nil
	}
	b, err := t.Record(spec.CaseKey(id))
	if err != nil || b == nil {
		return false, err
	}
	var c spec.Case
	err = spec.DecodeStored(b, &c)
	return err == nil && c.Index < t.d.first, err
}

// eraseUnopened forgets the signals of entries that came with a snapshot.
func (t *Tx) eraseUnopened(e spec.Erasure, o *spec.Opening) error {
	if t.d.first == 0 {
		return nil
	}
	if err := t.batch.Set(erasedKey, nil, nil); err != nil || o == nil {
		return err // of a retracted entry List has left nothing
	}
	erased := map[spec.Hash]bool{}
	for i := range e.Count {
		erased[o.Signals[e.First+i].Commitment()] = true
	}
	for item := range spec.MaxItems {
		signals, err := t.unopened(spec.EntryID(e.Case, item))
		if err != nil {
			return err
		}
		for _, s := range signals {
			if erased[s.C] {
				if err := t.batch.Delete(s.key, nil); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// deriveUnopened takes the live signals of an entry that came with a snapshot for
// what they are if their values open their commitments: the root in the log holds
// these.
func (c *checker) deriveUnopened(entry spec.Hash, fn deriving) (any bool, err error) {
	it, err := c.r.NewIter(&pebble.IterOptions{LowerBound: unopenedPrefix(entry), UpperBound: after(unopenedPrefix(entry))})
	if err != nil {
		return false, err
	}
	for it.First(); it.Valid(); it.Next() {
		any = true
		if len(it.Key()) != 65 || len(it.Value()) > 0 {
			continue
		}
		key := liveKey(spec.Hash(it.Key()[33:]), entry)
		value, err := get(c.r, key)
		if err != nil || value == nil {
			continue // the bucket is found to differ
		}
		l, err := parseLive(key, value)
		if err != nil || l.opened().Commitment() != l.C {
			continue
		}
		fn(l, entry, value)
	}
	return any, errors.Join(it.Error(), it.Close())
}

// opened is what the signal's commitment opens to.
func (l *liveSignal) opened() spec.Opened {
	o := spec.Opened{Salt: l.Salt, Item: int(l.Item), Signal: spec.Signal{Type: l.Type, Value: l.Value, Quality: int(l.Quality)}}
	if l.keyed() {
		o.Keyed, o.Key = true, l.k
	}
	return o
}
