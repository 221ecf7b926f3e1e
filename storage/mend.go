// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tocsin-db/tocsin/spec"
)

// OpenDamaged opens the store in dir for CheckLive, CheckRules, their repairs, Verify and reading records and the log,
// although Open refuses it, and remembers what it finds as Damage. What stood in a damaged
// bucket is known by its root alone, which is found when the buckets together hash to
// the roots of the state in the log: that of a bucket of the rules by its records or by its leaves, that of a
// bucket of live signals by their entries and openings. It fails with CORRUPT when
// neither does. While records of the rules are damaged, nothing is known of live
// signals: open it again once they are repaired.
func OpenDamaged(ctx context.Context, dir string, o Options) (*Store, error) {
	return openDamaged(dir, o, func(s *Store) error { return s.learn(ctx) })
}

// OpenLog opens the store in dir for reading its log and its openings, whatever else in
// it is damaged. What it reads is not verified.
func OpenLog(dir string, o Options) (*Store, error) {
	return openDamaged(dir, o, func(*Store) error { return nil })
}

func openDamaged(dir string, o Options, learn func(*Store) error) (*Store, error) {
	o.cache, o.damage = pebble.NewCache(8<<20), &spotter{log: o.Logger}
	s := &Store{dir: dir, opts: o, changed: make(chan struct{})}
	name, fresh, err := s.current()
	if err == nil && fresh {
		err = spec.Errorf(spec.CodeUsage, "there is no store in %s", dir)
	}
	if err != nil {
		o.cache.Unref()
		return nil, err
	}
	p, err := openPebble(o.FS.PathJoin(dir, name), &o, false)
	if err != nil {
		o.cache.Unref()
		return nil, err
	}
	s.db = newDatabase()
	s.db.damaged = true
	if err = s.db.begin(p, o.FS, dir, name); err == nil {
		err = learn(s)
	}
	if err != nil {
		err = errors.Join(err, p.Close())
		o.cache.Unref()
		return nil, err
	}
	s.head = s.db.head()
	return s, nil
}

// learn fills the trees with what the log says they are.
func (s *Store) learn(ctx context.Context) error {
	d := s.db
	root, err := d.stateRoot()
	if err != nil || root == nil {
		return err
	}
	c := d.checker(ctx)
	defer c.r.Close()
	c.learn = true
	if err := c.hashRules(); err != nil {
		return err
	}
	d.rules.load(nonEmpty(c.rules))
	rules := slices.Clone(c.v.Bad)
	if err := c.mendRules(root.RulesRoot); err != nil {
		return err
	}
	stored, err := c.hashLive()
	if err != nil {
		return err
	}
	d.live.load(nonEmpty(c.live))
	if d.counts.Withheld == 0 && d.live.root() != root.LiveRoot && len(rules) == 0 {
		err = c.mendLive(stored, root.LiveRoot)
	}
	if err == nil && len(c.v.Bad) > 0 {
		_ = s.damaged(c.v.Bad[0])
	}
	return err
}

func nonEmpty(roots []spec.Hash) (out []bucketRoot) {
	for b, h := range roots {
		if h != spec.EmptyRoot {
			out = append(out, bucketRoot{uint32(b), h})
		}
	}
	return out
}

var errNotTold = spec.Errorf(spec.CodeCorrupt, "what stood in the damaged buckets cannot be told from what is here")

// maxMended bounds in how many buckets of the rules both records and leaves may be
// damaged: which of them are is tried out.
const maxMended = 8

// mendRules sets the roots of damaged buckets of the rules, which are those of their
// leaves now, so that they hash to want.
func (c *checker) mendRules(want spec.Hash) error {
	t := c.d.rules
	if t.root() == want {
		return nil
	}
	var buckets []uint32
	for _, b := range c.v.Bad {
		buckets = append(buckets, b.Bucket)
	}
	slices.Sort(buckets)
	if len(buckets) > maxMended || c.v.More {
		return errNotTold
	}
	roots, err := c.recordRoots(buckets)
	if err != nil {
		return err
	}
	for chosen := 1; chosen < 1<<len(buckets); chosen++ {
		var some []uint32
		var as []spec.Hash
		for i, b := range buckets {
			if chosen&(1<<i) != 0 {
				some, as = append(some, b), append(as, roots[b])
			}
		}
		if t.set(some, as); t.root() == want {
			t.commit()
			return nil
		}
		t.rollback()
	}
	return errNotTold
}

// A placed leaf stands in its bucket in the order of the places.
type placed struct {
	place []byte
	leaf  spec.Hash
}

func rootOf(leaves []placed) spec.Hash {
	slices.SortFunc(leaves, func(a, b placed) int { return bytes.Compare(a.place, b.place) })
	hashes := make([]spec.Hash, len(leaves))
	for i := range leaves {
		hashes[i] = leaves[i].leaf
	}
	return spec.TreeRoot(hashes)
}

// recordRoots are the roots of buckets of the rules as their records have them.
func (c *checker) recordRoots(buckets []uint32) (map[uint32]spec.Hash, error) {
	leaves := map[uint32][]placed{}
	err := eachRecord(c.r, nil, func(key, value []byte) bool {
		p := spec.RulePlace(key)
		if b := c.d.rules.bucketOf(p); slices.Contains(buckets, b) {
			leaves[b] = append(leaves[b], placed{p[:], spec.RuleLeaf(key, value)})
		}
		return true
	})
	roots := map[uint32]spec.Hash{}
	for _, b := range buckets {
		roots[b] = rootOf(leaves[b])
	}
	return roots, err
}

// mendLive sets the roots of damaged buckets of live signals to what entries and
// openings say, which together must hash to want.
func (c *checker) mendLive(stored []multiset, want spec.Hash) error {
	c.v.Bad = nil // derive names them all
	if err := c.derive(stored); err != nil {
		return err
	}
	leaves := map[uint32][]placed{}
	var buckets []uint32
	for _, b := range c.v.Bad {
		leaves[b.Bucket], buckets = nil, append(buckets, b.Bucket)
	}
	t := c.d.live
	err := c.eachDerived(func(l *liveSignal, entry spec.Hash, _ []byte) {
		b := t.bucketOf(l.k)
		if all, bad := leaves[b]; bad {
			leaves[b] = append(all, placed{liveKey(l.k, entry), spec.LiveLeaf(l.k, l.C, l.Meta)})
		}
	})
	if err != nil {
		return err
	}
	slices.Sort(buckets)
	roots := make([]spec.Hash, len(buckets))
	for i, b := range buckets {
		roots[i] = rootOf(leaves[b])
	}
	if t.set(buckets, roots); t.root() != want {
		t.rollback()
		return errNotTold
	}
	t.commit()
	return nil
}
