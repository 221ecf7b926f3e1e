// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// LogHash returns a complete hash of the Merkle tree over the log; it implements
// tlog.Hashes. It fails with NOT_FOUND for one that the log does not have yet, and
// with a *GoneError for one of leaves before the snapshot that the store began with.
func (s *Store) LogHash(level int, index uint64) (h spec.Hash, err error) {
	err = s.read(func(d *database) error {
		if level < 0 || level > 48 {
			return spec.Errorf(spec.CodeNotFound, "the log has no such hash")
		}
		var known bool
		if h, known = d.hashes.get(level, index); known {
			return nil
		}
		b, err := get(d.pebble, logHashKey(level, index))
		if err != nil {
			return err
		}
		if len(b) != len(h) && (index+1)<<level <= d.first {
			return &GoneError{First: d.first}
		}
		if len(b) != len(h) {
			return spec.Errorf(spec.CodeNotFound, "the log has no such hash")
		}
		h = spec.Hash(b)
		d.hashes.put(level, index, h)
		return nil
	})
	return h, err
}

// maxLogHashes bounds how many hashes of the log are kept in memory.
const maxLogHashes = 1 << 12

// logHashes are those that were asked for lately. They never change: each checkpoint
// that is compared or cosigned asks for nearly the same ones.
type logHashes struct {
	mu    sync.Mutex
	known map[tlog.Place]spec.Hash
}

func (l *logHashes) get(level int, index uint64) (h spec.Hash, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h, known = l.known[tlog.Place{Level: level, Index: index}]
	return h, known
}

func (l *logHashes) put(level int, index uint64, h spec.Hash) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known == nil || len(l.known) >= maxLogHashes {
		l.known = map[tlog.Place]spec.Hash{}
	}
	l.known[tlog.Place{Level: level, Index: index}] = h
}

// LogRoot is the RFC 6962 root over the log as changed so far.
func (t *Tx) LogRoot() spec.Hash { return t.edge.Root() }

// A StateProof ties facts about the state to the last StateRoot leaf of the log, as
// of one moment.
type StateProof struct {
	Size    uint64 // of the log: its last leaf is the StateRoot
	Records []ProvedRecord
	Live    *tlog.BucketProof // of the live signal asked for, nil when it is not live
}

// A ProvedRecord is a record of the rules' state with its proof.
type ProvedRecord struct {
	Key, Value []byte
	Proof      *tlog.BucketProof
}

// Prove proves the records under keys, leaving out those that are not there, and,
// when k is not zero, the live signal k of an entry. It waits for the batch under
// way.
func (s *Store) Prove(keys [][]byte, k, entry spec.Hash) (p StateProof, err error) {
	s.writer.Lock() // the trees in memory are those of the last commit only between batches
	defer s.writer.Unlock()
	err = s.read(func(d *database) error {
		p.Size = d.edge.Size
		for _, key := range keys {
			value, err := get(d.pebble, recordKey(key))
			if err != nil {
				return err
			}
			if value == nil {
				continue
			}
			place := spec.RulePlace(key)
			proof, err := d.rules.prove(d.pebble, tableRuleLeaf, place, ruleLeafKey(place), ruleLeaf)
			if err != nil {
				return err
			}
			p.Records = append(p.Records, ProvedRecord{key, value, proof})
		}
		if k.IsZero() {
			return nil
		}
		b, err := get(d.pebble, liveKey(k, entry))
		if err != nil || b == nil {
			return err
		}
		p.Live, err = d.live.prove(d.pebble, tableLive, k, liveKey(k, entry), liveLeaf)
		return err
	})
	return p, err
}

// LiveBucket returns the live signals of the bucket that holds place k, with the
// proof of the whole bucket: from it, that k is not live can be shown to those who
// may see its neighbours.
func (s *Store) LiveBucket(k spec.Hash) (size uint64, bucket []LiveLeaf, siblings []spec.Hash, err error) {
	s.writer.Lock()
	defer s.writer.Unlock()
	err = s.read(func(d *database) error {
		size, siblings = d.edge.Size, d.live.path(d.live.bucketOf(k))
		return d.live.each(d.pebble, tableLive, d.live.bucketOf(k), func(key, value []byte) error {
			l, err := parseLive(key, value)
			if err == nil {
				bucket = append(bucket, LiveLeaf{K: l.k, C: l.C, Meta: l.Meta})
			}
			return err
		})
	})
	return size, bucket, siblings, err
}

// A LiveLeaf is what a leaf of the tree of live signals is made from.
type LiveLeaf struct {
	K, C spec.Hash
	Meta []byte
}

func ruleLeaf(_, value []byte) (spec.Hash, error) {
	if len(value) != len(spec.Hash{}) {
		return spec.Hash{}, spec.Errorf(spec.CodeCorrupt, "the leaf of a record has another size")
	}
	return spec.Hash(value), nil
}

func liveLeaf(key, value []byte) (spec.Hash, error) {
	l, err := parseLive(key, value)
	if err != nil {
		return spec.Hash{}, err
	}
	return spec.LiveLeaf(l.k, l.C, l.Meta), nil
}

// path returns the siblings of a bucket, from the lowest up.
func (t *bucketTree) path(b uint32) []spec.Hash {
	var out []spec.Hash
	for i := uint32(1)<<t.bits + b; i > 1; i >>= 1 {
		out = append(out, t.nodes[i^1])
	}
	return out
}

// each calls fn with what stands in a bucket of a table ordered by places.
func (t *bucketTree) each(r pebble.Reader, table byte, b uint32, fn func(key, value []byte) error) error {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: bucketKey(table, t.begin(b)), UpperBound: []byte{table + 1}})
	if err != nil {
		return err
	}
	defer it.Close()
	for it.First(); it.Valid() && t.bucketOf(spec.Hash(it.Key()[1:33])) == b; it.Next() {
		if err := fn(it.Key(), it.Value()); err != nil {
			return err
		}
	}
	return it.Error()
}

// prove proves the leaf under key, whose place is given.
func (t *bucketTree) prove(r pebble.Reader, table byte, place spec.Hash, key []byte, leaf func(key, value []byte) (spec.Hash, error)) (*tlog.BucketProof, error) {
	var bucket tlog.Memory
	index, found := uint64(0), false
	err := t.each(r, table, t.bucketOf(place), func(k, v []byte) error {
		h, err := leaf(k, v)
		if err != nil {
			return err
		}
		if string(k) == string(key) {
			index, found = bucket.Size, true
		}
		bucket.Add(h)
		return nil
	})
	if err == nil && !found {
		err = spec.Errorf(spec.CodeCorrupt, "a record and the tree over the records differ")
	}
	if err != nil {
		return nil, err
	}
	return tlog.NewBucketProof(&bucket, index, t.path(t.bucketOf(place)))
}
