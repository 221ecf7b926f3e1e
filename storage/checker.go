// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tocsin-db/tocsin/spec"
)

// A checker looks at one state of a database.
type checker struct {
	ctx         context.Context
	d           *database
	r           *pebble.Snapshot
	live, rules []spec.Hash // roots of the buckets as they should be
	learn       bool        // they are not known: fill them in
	unreadable  []stretch   // of live signals
	v           *Verification
	n           int
}

func (c *checker) run() error {
	stored, err := c.hashLive()
	if err == nil {
		err = c.hashRules()
	}
	if err == nil && len(c.v.Bad) == 0 {
		err = c.derive(stored)
	}
	return err
}

// hashLive hashes the live signals, and returns what stands in each bucket.
func (c *checker) hashLive() ([]multiset, error) {
	stored := make([]multiset, len(c.live))
	return stored, c.hash(c.d.live, tableLive, c.live, &c.v.Live, func(key, value []byte) (spec.Hash, error) {
		l, err := parseLive(key, value)
		if err != nil {
			return spec.Hash{}, err
		}
		if o := l.opened(); o.SignalKey() != l.k {
			return spec.Hash{}, spec.Errorf(spec.CodeCorrupt, "a live signal has another value than its place says")
		}
		stored[c.d.live.bucketOf(l.k)].add(l.entry, spec.LeafHash(value))
		return spec.LiveLeaf(l.k, l.C, l.Meta), nil
	})
}

// hashRules hashes the leaves of the rules, and compares them with their records.
func (c *checker) hashRules() error {
	if err := c.hash(c.d.rules, tableRuleLeaf, c.rules, &c.v.Rules, ruleLeaf); err != nil {
		return err
	}
	return c.records()
}

// bad notes a bucket that is wrong.
func (c *checker) bad(e *BucketError) {
	for _, b := range c.v.Bad {
		if b.Tree == e.Tree && b.Bucket == e.Bucket {
			return
		}
	}
	if len(c.v.Bad) == maxBad {
		c.v.More = true
		return
	}
	c.v.Bad = append(c.v.Bad, e)
}

// step ends a long walk when nobody waits for it any more.
func (c *checker) step() error {
	if c.n++; c.n%1024 != 0 {
		return nil
	}
	return c.ctx.Err()
}

// hash computes the root of every bucket of a table. Where a bucket cannot be read
// it goes on behind it.
func (c *checker) hash(t *bucketTree, table byte, want []spec.Hash, n *uint64, leaf func(key, value []byte) (spec.Hash, error)) error {
	it, err := c.r.NewIter(&pebble.IterOptions{LowerBound: []byte{table}, UpperBound: []byte{table + 1}})
	if err != nil {
		return err
	}
	defer func() { it.Close() }()
	next := uint32(0) // first bucket that was not compared yet
	until := func(b uint32) {
		for ; next < b; next++ {
			if want[next] != spec.EmptyRoot {
				c.bad(t.wrong(table, next, notAsWritten, nil))
			}
		}
	}
	var leaves []spec.Hash
	for valid := it.First(); !c.v.More; {
		if !valid && it.Error() == nil {
			until(1 << t.bits)
			return nil
		}
		if !valid { // what stands from the bucket due next on cannot be read
			bad := it.Error()
			_ = it.Close() // which is the error that is noted
			upto, err := c.readableFrom(t, table, next)
			if err != nil {
				return err
			}
			c.unread(t, table, next, upto, want, bad)
			if next = upto; next == 1<<t.bits {
				return nil
			}
			if it, err = c.r.NewIter(&pebble.IterOptions{LowerBound: []byte{table}, UpperBound: []byte{table + 1}}); err != nil {
				return err
			}
			valid = it.SeekGE(bucketKey(table, t.begin(next)))
			continue
		}
		b := t.bucketOf(place(it.Key()))
		until(b)
		leaves = leaves[:0]
		var wrong error
		for ; valid && t.bucketOf(place(it.Key())) == b; valid = it.Next() {
			h, err := leaf(it.Key(), it.Value())
			if err != nil {
				wrong = err
			}
			leaves = append(leaves, h)
			*n++
			if err := c.step(); err != nil {
				return err
			}
		}
		if !valid && it.Error() != nil {
			next = b
			continue
		}
		root := spec.TreeRoot(leaves)
		if c.learn {
			want[b] = root
		}
		if wrong != nil || root != want[b] {
			c.bad(t.wrong(table, b, notAsWritten, wrong))
		}
		next = b + 1
	}
	return nil
}

// readableFrom returns the first bucket after b from which on something can be read
// again: one block of a file holds what stands in one stretch of buckets.
func (c *checker) readableFrom(t *bucketTree, table byte, b uint32) (uint32, error) {
	readable := func(at uint32) (bool, error) {
		it, err := c.r.NewIter(&pebble.IterOptions{LowerBound: bucketKey(table, t.begin(at)), UpperBound: []byte{table + 1}})
		if err != nil {
			return false, err
		}
		it.First()
		ok := it.Error() == nil
		_ = it.Close() // the same error
		return ok, c.ctx.Err()
	}
	end := uint32(1) << t.bits
	low, step := b, uint32(1)
	high := min(end, low+step)
	for high < end { // double the stretch until its end can be read
		ok, err := readable(high)
		if err != nil {
			return 0, err
		}
		if ok {
			break
		}
		low, step = high, 2*step
		high = min(end, low+step)
	}
	for low+1 < high { // low cannot be read, high can
		mid := low + (high-low)/2
		ok, err := readable(mid)
		if err != nil {
			return 0, err
		}
		if ok {
			high = mid
		} else {
			low = mid
		}
	}
	return high, nil
}

// unread notes buckets that cannot be read. Which of them hold anything may only be
// known once the entries and openings have been looked at.
func (c *checker) unread(t *bucketTree, table byte, from, to uint32, want []spec.Hash, err error) {
	if c.learn && table == tableLive {
		c.unreadable = append(c.unreadable, stretch{from, to, err})
		return
	}
	for b := from; b < to && !c.v.More; b++ {
		if c.learn || want[b] != spec.EmptyRoot {
			c.bad(t.wrong(table, b, notReadable, err))
		}
	}
}

// A stretch is buckets that cannot be read, of which some may be empty.
type stretch struct {
	from, to uint32
	err      error
}

// place reads the place in a key of a table ordered by places.
func place(key []byte) (h spec.Hash) {
	copy(h[:], key[1:])
	return h
}

// records compares the records of the rules with the leaves of their tree.
func (c *checker) records() error {
	leaves, stored := make([]multiset, 1<<ruleBits), make([]multiset, 1<<ruleBits)
	walk := func(table byte, fn func(key, value []byte)) error {
		it, err := c.r.NewIter(&pebble.IterOptions{LowerBound: []byte{table}, UpperBound: []byte{table + 1}})
		if err != nil {
			return err
		}
		defer it.Close()
		for it.First(); it.Valid(); it.Next() {
			fn(it.Key(), it.Value())
			if err := c.step(); err != nil {
				return err
			}
		}
		return it.Error()
	}
	t := c.d.rules
	err := walk(tableRuleLeaf, func(key, value []byte) {
		var h spec.Hash
		copy(h[:], value)
		leaves[t.bucketOf(place(key))].add(place(key), h)
	})
	if err == nil {
		err = walk(tableRecord, func(key, value []byte) {
			p := spec.RulePlace(key[1:])
			stored[t.bucketOf(p)].add(p, spec.RuleLeaf(key[1:], value))
		})
	}
	if err != nil {
		return spec.Errorf(spec.CodeCorrupt, "the records of the rules cannot be read: %w", err)
	}
	for b := range leaves {
		if leaves[b] != stored[b] {
			c.bad(t.wrong(tableRuleLeaf, uint32(b), notAsWritten, nil))
		}
	}
	return nil
}

// derive makes every live signal again from its entry and opening.
func (c *checker) derive(stored []multiset) error {
	derived := make([]multiset, len(stored))
	err := c.eachDerived(func(l *liveSignal, entry spec.Hash, value []byte) {
		derived[c.d.live.bucketOf(l.k)].add(entry, spec.LeafHash(value))
		c.v.Opened++
	})
	if err != nil {
		return err
	}
	for b := range stored {
		if stored[b] == derived[b] {
			continue
		}
		bad := c.d.live.wrong(tableLive, uint32(b), "its records are not what the entries and openings say", nil)
		for _, u := range c.unreadable {
			if uint32(b) >= u.from && uint32(b) < u.to {
				bad.Reason, bad.Err = notReadable, u.err
			}
		}
		c.bad(bad)
	}
	return nil
}

// A deriving is called with each live signal that follows from an entry, and how the
// database has it.
type deriving func(l *liveSignal, entry spec.Hash, value []byte)

func (c *checker) eachDerived(fn deriving) error {
	var wrong error
	err := eachRecord(c.r, spec.EntryPrefix, func(_, value []byte) bool {
		var e spec.Entry
		if wrong = spec.DecodeStored(value, &e); wrong == nil {
			wrong = c.deriveOne(&e, fn)
		}
		if wrong == nil {
			wrong = c.step()
		}
		return wrong == nil
	})
	return firstError(err, wrong)
}

func (c *checker) deriveOne(e *spec.Entry, fn deriving) error {
	if !spec.Matchable(e.State) {
		return nil
	}
	id := spec.EntryID(e.Case, int(e.Item))
	if done, err := c.deriveUnopened(id, fn); done || err != nil {
		return err
	}
	o, err := loadOpening(c.r, e.Case)
	if err != nil || o == nil {
		return err
	}
	if e.First+e.Count > uint64(len(o.Signals)) {
		return spec.Errorf(spec.CodeCorrupt, "an opening is shorter than its entry")
	}
	meta, err := spec.Encode(&spec.LiveMeta{Entry: id, State: e.State, Since: e.Since, Sunset: e.Sunset, Labels: e.Labels})
	if err != nil {
		return err
	}
	off := map[uint64]bool{}
	for _, i := range e.Off() {
		off[i] = true
	}
	for i := range e.Count {
		s := &o.Signals[e.First+i]
		if s.Erased || off[i] {
			continue
		}
		l := liveOf(s, id, meta)
		b, err := spec.Encode(l)
		if err != nil {
			return err
		}
		fn(l, id, b)
	}
	return nil
}

func (d *database) checker(ctx context.Context) *checker {
	return &checker{ctx: ctx, d: d, r: d.pebble.NewSnapshot(), v: &Verification{}, live: d.live.buckets(), rules: d.rules.buckets()}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// A multiset is a sum over pairs that is the same in every order.
type multiset [4]uint64

func (m *multiset) add(place, leaf spec.Hash) {
	h := spec.NodeHash(place, leaf)
	for i := range m {
		m[i] += binary.LittleEndian.Uint64(h[8*i:])
	}
}
