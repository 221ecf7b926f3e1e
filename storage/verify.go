// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tocsin-db/tocsin/spec"
)

// A Verification says what looking at every record of the state again showed.
type Verification struct {
	Size   uint64         // leaves of the log when it was done
	Live   uint64         // live signals that were hashed
	Rules  uint64         // records of the rules that were hashed
	Opened uint64         // signals that were derived once more from openings and entries
	Bad    []*BucketError // by tree and bucket, at most maxBad
	More   bool           // there are more
}

// maxBad bounds how many buckets a Verification names.
const maxBad = 64

// Verify hashes every bucket again from what the database holds, and compares it
// with the tree in memory; it derives every live signal once more from its entry
// and opening, and compares the two by buckets. What is wrong is remembered as
// Damage. Reads and commits go on meanwhile.
func (s *Store) Verify(ctx context.Context) (*Verification, error) {
	var v *Verification
	err := s.read(func(d *database) error {
		s.writer.Lock() // the trees are those of the last commit only between batches
		c := d.checker(ctx)
		v, c.v.Size = c.v, d.edge.Size
		s.writer.Unlock()
		defer c.r.Close()
		return c.run()
	})
	if err != nil {
		return nil, err
	}
	if len(v.Bad) > 0 {
		_ = s.damaged(v.Bad[0])
	}
	return v, nil
}

// buckets returns a copy of the roots of all buckets.
func (t *bucketTree) buckets() []spec.Hash {
	return append([]spec.Hash(nil), t.nodes[1<<t.bits:]...)
}

// VerifyDir is Verify for the store of a node that does not run, which need not be
// fit to run. Nothing is known of how its buckets were but the root over them.
func VerifyDir(ctx context.Context, dir string, o Options) (*Verification, error) {
	o.anyTier = true
	o.cache, o.damage = pebble.NewCache(8<<20), &spotter{log: o.Logger}
	defer o.cache.Unref()
	s := &Store{dir: dir, opts: o}
	name, fresh, err := s.current()
	if err != nil {
		return nil, err
	}
	if fresh {
		return nil, spec.Errorf(spec.CodeUsage, "there is no store in %s", dir)
	}
	p, err := openPebble(o.FS.PathJoin(dir, name), &o, false)
	if err != nil {
		return nil, err
	}
	v, err := verifyAlone(ctx, p)
	return v, firstError(err, p.Close())
}

func verifyAlone(ctx context.Context, p *pebble.DB) (*Verification, error) {
	d := &database{pebble: p, live: newBucketTree(liveBits), rules: newBucketTree(ruleBits)}
	if err := getCBOR(p, countsKey, &d.counts); err != nil {
		return nil, err
	}
	c := d.checker(ctx)
	defer c.r.Close()
	c.learn, c.v.Size = true, d.counts.Leaves
	if err := c.run(); err != nil || len(c.v.Bad) > 0 {
		return c.v, err
	}
	fill := func(t *bucketTree, roots []spec.Hash) {
		for b, h := range roots {
			t.nodes[1<<t.bits+b] = h
		}
		for i := 1<<t.bits - 1; i > 0; i-- {
			t.nodes[i] = spec.NodeHash(t.nodes[2*i], t.nodes[2*i+1])
		}
	}
	fill(d.live, c.live)
	fill(d.rules, c.rules)
	return c.v, d.checkRoots()
}

// nameDamage looks for the bucket that makes a database unfit: nothing is known of
// how its buckets were, but a live signal follows from its entry and opening, and
// the leaf of a record from the record.
func (d *database) nameDamage(err error) error {
	c := d.checker(context.Background())
	defer c.r.Close()
	c.learn = true
	cerr := c.run()
	if len(c.v.Bad) == 0 && len(c.unreadable) > 0 {
		u := c.unreadable[0]
		c.bad(d.live.wrong(tableLive, u.from, notReadable, u.err))
	} else if cerr != nil {
		return fmt.Errorf("%w; looking for the bucket: %v", err, cerr)
	}
	if len(c.v.Bad) == 0 {
		return err
	}
	return fmt.Errorf("%w: %w", err, c.v.Bad[0])
}
