// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"slices"
	"sort"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tocsin-db/tocsin/spec"
)

// maxCachedLeaves bounds how many leaves of one tree's buckets are kept from batch
// to batch. What a batch touched stays until it ends.
const maxCachedLeaves = 1 << 19

// A bucketCache keeps the leaves of the buckets that batches touched, so that a
// bucket that changes again is hashed without being read again. It belongs to the
// writer.
type bucketCache struct {
	table   byte
	width   int // bytes of a place
	buckets map[uint32]*bucketLeaves
	leaves  int // in all buckets
}

// bucketLeaves are the leaves of a bucket in the order of their places, which
// stand one behind the other.
type bucketLeaves struct {
	places []byte
	hashes []spec.Hash
}

// A leafChange sets the leaf at a place, or removes it.
type leafChange struct {
	place []byte
	leaf  spec.Hash
	gone  bool
	was   presence // what the table says, which must agree
}

// A presence says whether something stood in a table before a change.
type presence int

const (
	unknown presence = iota // nobody looked
	absent
	present
)

func presenceOf(value []byte) presence {
	if value == nil {
		return absent
	}
	return present
}

func newBucketCache(table byte, width int) *bucketCache {
	return &bucketCache{table: table, width: width, buckets: map[uint32]*bucketLeaves{}}
}

// trim makes room, at a moment when every bucket can be read again.
func (c *bucketCache) trim() {
	if c.leaves > maxCachedLeaves {
		clear(c.buckets)
		c.leaves = 0
	}
}

// forget drops buckets that a batch changed which is not committed.
func (c *bucketCache) forget(buckets map[uint32]struct{}) {
	for b := range buckets {
		if l := c.buckets[b]; l != nil {
			c.leaves -= len(l.hashes)
			delete(c.buckets, b)
		}
	}
}

// has reports whether a bucket is in memory; one without leaves always is.
func (c *bucketCache) has(b uint32, tree *bucketTree) bool {
	if c.buckets[b] == nil && tree.empty(b) {
		c.buckets[b] = &bucketLeaves{}
	}
	return c.buckets[b] != nil
}

// apply changes a bucket that is in memory and returns its leaves, which must not
// be changed; ok is false when the table had lost or gained something.
func (c *bucketCache) apply(b uint32, changes []leafChange) (leaves []spec.Hash, ok bool) {
	l := c.buckets[b]
	c.leaves -= len(l.hashes)
	ok = true
	for i := range changes {
		was := l.change(&changes[i], c.width)
		ok = ok && (changes[i].was == unknown || changes[i].was == was)
	}
	c.leaves += len(l.hashes)
	return l.hashes, ok
}

// change returns whether there was a leaf at the place.
func (l *bucketLeaves) change(ch *leafChange, width int) presence {
	n := len(l.hashes)
	i := sort.Search(n, func(i int) bool { return bytes.Compare(l.places[i*width:(i+1)*width], ch.place) >= 0 })
	found := i < n && bytes.Equal(l.places[i*width:(i+1)*width], ch.place)
	switch {
	case found && ch.gone:
		l.places = slices.Delete(l.places, i*width, (i+1)*width)
		l.hashes = slices.Delete(l.hashes, i, i+1)
	case found:
		l.hashes[i] = ch.leaf
	case !ch.gone:
		l.places = slices.Insert(l.places, i*width, ch.place...)
		l.hashes = slices.Insert(l.hashes, i, ch.leaf)
	}
	if found {
		return present
	}
	return absent
}

// load reads a bucket, which must hash to its root in the tree.
func (c *bucketCache) load(it *pebble.Iterator, tree *bucketTree, b uint32, leaf func(key, value []byte) (spec.Hash, error)) *BucketError {
	l := &bucketLeaves{}
	for it.SeekGE(bucketKey(c.table, tree.begin(b))); it.Valid() && tree.bucketOf(spec.Hash(it.Key()[1:33])) == b; it.Next() {
		h, err := leaf(it.Key(), it.Value())
		if err != nil {
			return tree.wrong(c.table, b, notAsWritten, err)
		}
		l.places = append(l.places, it.Key()[1:]...)
		l.hashes = append(l.hashes, h)
	}
	if err := it.Error(); err != nil {
		return tree.wrong(c.table, b, notReadable, err)
	}
	if spec.TreeRoot(slices.Clone(l.hashes)) != tree.nodes[1<<tree.bits+b] {
		return tree.wrong(c.table, b, notAsWritten, nil)
	}
	c.buckets[b] = l
	c.leaves += len(l.hashes)
	return nil
}
