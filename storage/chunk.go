// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"encoding/binary"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/lanes"
)

// The state of one size travels in chunks (spec/sync.md): each is the content of so
// many buckets that it can be checked alone, against one node of a tree.
const (
	LiveChunks = 1 << liveChunkBits
	RuleChunks = 1 << ruleChunkBits
	MaxChunk   = 32 << 20 // bytes

	liveChunkBits = 12
	ruleChunkBits = 8
)

// appendLeaf appends a live signal as chunks have it: [type, value, quality, salt,
// item, meta].
func appendLeaf(b []byte, v *liveView) []byte {
	b = appendHead(b, 4, 6)
	b = appendString(appendString(b, 3, v.Type), 2, v.Value)
	b = appendString(appendHead(b, 0, v.Quality), 2, v.Salt)
	return appendString(appendHead(b, 0, v.Item), 2, v.Meta)
}

// appendKey appends a live signal as chunks of keys have it: [k, quality, salt, item,
// meta].
func appendKey(b, k []byte, v *liveView) []byte {
	b = appendString(appendHead(b, 4, 5), 2, k)
	b = appendString(appendHead(b, 0, v.Quality), 2, v.Salt)
	return appendString(appendHead(b, 0, v.Item), 2, v.Meta)
}

// appendLive appends a live signal as the database has it.
func appendLive(b []byte, v *liveView) []byte {
	b = appendHead(b, 4, 7)
	b = appendString(appendString(b, 3, v.Type), 2, v.Value)
	b = appendString(appendHead(b, 0, v.Quality), 2, v.C)
	b = appendString(appendString(b, 2, v.Meta), 2, v.Salt)
	return appendHead(b, 0, v.Item)
}

// appendHead appends the head of a CBOR item in its shortest form.
func appendHead(b []byte, major byte, n uint64) []byte {
	switch major <<= 5; {
	case n < 24:
		return append(b, major|byte(n))
	case n < 1<<8:
		return append(b, major|24, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), n)
}

func appendString(b []byte, major byte, v []byte) []byte {
	return append(appendHead(b, major, uint64(len(v))), v...)
}

// A chunkLeaf is one live signal of a chunk that is being checked. What it points
// to lies in the chunk.
type chunkLeaf struct {
	liveView
	k, c, leaf spec.Hash
}

func (l *chunkLeaf) entry() []byte { return l.Meta[3:35] }

// readLeaves reads a chunk, of values or of keys, without believing anything of it.
func readLeaves(data []byte, keyed bool) ([]chunkLeaf, error) {
	var leaves []chunkLeaf
	for r := (quick{rest: data}); len(r.rest) > 0; {
		var l chunkLeaf
		if keyed {
			r.array(5)
			k := r.take(2)
			r.bad = r.bad || len(k) != len(l.k)
			copy(l.k[:], k)
		} else {
			r.array(6)
			l.Type, l.Value = r.text(), r.take(2)
			r.bad = r.bad || len(l.Type) == 0
		}
		l.Quality = r.head(0)
		l.Salt, l.Item, l.Meta = r.take(2), r.head(0), r.take(2)
		if r.bad || len(l.Salt) != spec.SaltSize || len(l.Meta) < 35 || !bytes.HasPrefix(l.Meta, metaPrefix) {
			return nil, spec.Errorf(spec.CodeMalformed, "a chunk does not consist of live signals")
		}
		if leaves == nil { // most are about as long as the first, which has 70 bytes or more
			leaves = make([]chunkLeaf, 0, likely(len(data), len(data)-len(r.rest)))
		}
		leaves = append(leaves, l)
	}
	return leaves, nil
}

// likely is how many items of about a size stand in so many bytes.
func likely(bytes, size int) int { return bytes/size + bytes/size/16 + 1 }

// metaPrefix begins every encoded spec.LiveMeta: an array of five, the first a
// string of 32 bytes.
var metaPrefix = []byte{0x85, 0x58, 32}

// checkChunk reads the live signals of a chunk, of values or of keys, and fails unless
// they hash to root. It returns the roots of the buckets beside them.
func checkChunk(index uint32, data []byte, root spec.Hash, keyed bool) ([]chunkLeaf, []bucketRoot, error) {
	leaves, err := readLeaves(data, keyed)
	if err != nil {
		return nil, nil, err
	}
	var q lanes.Queue
	var b []byte
	for i := range leaves {
		l := &leaves[i]
		if keyed {
			continue
		}
		b = spec.AppendSignalKey(b[:0], l.Type, l.Value)
		q.Add((*[32]byte)(&l.k), b)
	}
	q.Flush()
	for i := range leaves {
		l := &leaves[i]
		b = spec.AppendCommitment(b[:0], l.Salt, l.Item, l.k[:], l.Quality)
		q.Add((*[32]byte)(&l.c), b)
	}
	q.Flush()
	for i := range leaves {
		l := &leaves[i]
		l.C = l.c[:]
		q.Add((*[32]byte)(&l.leaf), leafPrefix, l.k[:], l.c[:], l.Meta)
	}
	q.Flush()
	buckets := newChunkBuckets(index, liveBits, liveChunkBits)
	buckets.room = make([]spec.Hash, 0, len(leaves))
	for i := range leaves {
		l := &leaves[i]
		if i > 0 && !inOrder(&leaves[i-1], l) || !buckets.add(l.k, l.leaf) {
			return nil, nil, errChunk
		}
	}
	roots, err := buckets.under(root)
	return leaves, roots, err
}

var errChunk = spec.Errorf(spec.CodeProof, "a chunk of the state does not hash to its root")

func inOrder(a, b *chunkLeaf) bool {
	if c := bytes.Compare(a.k[:], b.k[:]); c != 0 {
		return c < 0
	}
	return bytes.Compare(a.entry(), b.entry()) < 0
}

// chunkBuckets are the leaves of the buckets of one chunk.
type chunkBuckets struct {
	first, bits uint32 // first bucket; bits of the whole tree
	leaves      [][]spec.Hash
	room        []spec.Hash // for all leaves, where they come in the order of places; else none
}

func newChunkBuckets(index uint32, treeBits, chunkBits int) *chunkBuckets {
	n := uint32(1) << (treeBits - chunkBits)
	return &chunkBuckets{first: index * n, bits: uint32(treeBits), leaves: make([][]spec.Hash, n)}
}

// add takes the next leaf, unless its place is not in the chunk.
func (c *chunkBuckets) add(place, leaf spec.Hash) bool {
	b := binary.BigEndian.Uint32(place[:4])>>(32-c.bits) - c.first
	if b >= uint32(len(c.leaves)) {
		return false
	}
	if n := len(c.room); n < cap(c.room) {
		c.room = append(c.room, leaf)
		c.leaves[b] = c.room[n-len(c.leaves[b]) : n+1 : n+1]
		return true
	}
	c.leaves[b] = append(c.leaves[b], leaf)
	return true
}

// roots returns the roots of the buckets, a level of all of them at a time (see
// spec.TreeRoot). It overwrites the leaves.
func (c *chunkBuckets) roots() []spec.Hash {
	var q lanes.Queue
	for again := true; again; q.Flush() {
		again = false
		for i, leaves := range c.leaves {
			n := len(leaves)
			for k := 0; k+1 < n; k += 2 {
				addNode(&q, &leaves[k/2], &leaves[k], &leaves[k+1])
			}
			if n > 1 && n%2 == 1 { // no hash under way is written there
				leaves[n/2] = leaves[n-1]
			}
			c.leaves[i] = leaves[:(n+1)/2]
			again = again || len(c.leaves[i]) > 1
		}
	}
	out := make([]spec.Hash, len(c.leaves))
	for i, leaves := range c.leaves {
		if out[i] = spec.EmptyRoot; len(leaves) > 0 {
			out[i] = leaves[0]
		}
	}
	return out
}

// under returns the roots of the buckets that are not empty, and fails unless all are
// under root. It overwrites the leaves.
func (c *chunkBuckets) under(root spec.Hash) ([]bucketRoot, error) {
	all := c.roots()
	var out []bucketRoot
	for i, h := range all {
		if len(c.leaves[i]) > 0 {
			out = append(out, bucketRoot{c.first + uint32(i), h})
		}
	}
	if perfectRoot(all) != root {
		return nil, errChunk
	}
	return out, nil
}

// perfectRoot is the root of the perfect tree over hashes, which it overwrites.
// Their number is a power of two.
func perfectRoot(hashes []spec.Hash) spec.Hash {
	var q lanes.Queue
	for n := len(hashes) / 2; n > 0; n /= 2 {
		for i := range n {
			addNode(&q, &hashes[i], &hashes[2*i], &hashes[2*i+1])
		}
		q.Flush()
	}
	return hashes[0]
}

// A ruleRecord is one record of the rules in a chunk that is being checked.
type ruleRecord struct {
	key, value  []byte
	place, leaf spec.Hash
}

// leastRecord is below what most records have in bytes, for the first may be short.
const leastRecord = 64

// readRecords reads [key, value] one after the other.
func readRecords(data []byte) ([]ruleRecord, error) {
	var out []ruleRecord
	for r := (quick{rest: data}); len(r.rest) > 0; {
		r.array(2)
		rec := ruleRecord{key: r.take(2), value: r.take(2)}
		if r.bad || len(rec.key) == 0 {
			return nil, spec.Errorf(spec.CodeMalformed, "a chunk does not consist of records of the rules")
		}
		if out == nil {
			out = make([]ruleRecord, 0, min(likely(len(data), len(data)-len(r.rest)), likely(len(data), leastRecord)))
		}
		out = append(out, rec)
	}
	hashRecords(out)
	return out, nil
}

func hashRecords(records []ruleRecord) {
	var q lanes.Queue
	var b []byte
	for i := range records {
		r := &records[i]
		b = spec.AppendRulePlace(b[:0], r.key)
		q.Add((*[32]byte)(&r.place), b)
		b = spec.AppendRuleLeaf(b[:0], r.key, r.value)
		q.Add((*[32]byte)(&r.leaf), b)
	}
	q.Flush()
}

// checkRules is checkChunk for records of the rules.
func checkRules(index uint32, data []byte, root spec.Hash) ([]ruleRecord, []bucketRoot, error) {
	records, err := readRecords(data)
	if err != nil {
		return nil, nil, err
	}
	buckets := newChunkBuckets(index, ruleBits, ruleChunkBits)
	buckets.room = make([]spec.Hash, 0, len(records))
	for i := range records {
		r := &records[i]
		if i > 0 && bytes.Compare(records[i-1].place[:], r.place[:]) >= 0 || !buckets.add(r.place, r.leaf) {
			return nil, nil, errChunk
		}
	}
	roots, err := buckets.under(root)
	return records, roots, err
}
