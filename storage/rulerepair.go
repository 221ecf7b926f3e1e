// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"context"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tocsin-db/tocsin/spec"
)

// RuleBits is the level of the buckets in the tree over the records of the rules.
const RuleBits = ruleBits

// RuleChunkOfBucket is the chunk that holds a bucket of records of the rules.
func RuleChunkOfBucket(bucket uint64) uint32 { return uint32(bucket >> (ruleBits - ruleChunkBits)) }

// A RuleCheck is the check of the records of the rules, with what a repair must know
// of damaged buckets: the database has records in the order of their keys, so that
// only reading all of them tells what stands in a bucket.
type RuleCheck struct {
	TreeCheck
	keys map[uint32][]string // of the records in damaged buckets
}

// CheckRules hashes every record of the rules again and compares it with its leaf.
// It names no more than 64 buckets as damaged at once, and remembers the first as
// Damage.
func (s *Store) CheckRules(ctx context.Context) (*RuleCheck, error) {
	t := &RuleCheck{TreeCheck: TreeCheck{disk: newBucketTree(ruleBits), want: newBucketTree(ruleBits)}, keys: map[uint32][]string{}}
	var bad []*BucketError
	err := s.read(func(d *database) error {
		s.writer.Lock() // the tree is that of the last commit only between batches
		c := d.checker(ctx)
		copy(t.want.nodes, d.rules.nodes)
		t.Size = d.edge.Size
		s.writer.Unlock()
		defer c.r.Close()
		err := c.hash(d.rules, tableRuleLeaf, c.rules, &c.v.Rules, ruleLeaf)
		if err == nil {
			err = c.records()
		}
		if err == nil {
			bad = c.v.Bad
			err = t.note(c)
		}
		return err
	})
	if err == nil && len(bad) > 0 {
		_ = s.damaged(bad[0])
	}
	return t, err
}

// note takes over which buckets are bad, and reads what keys they have.
func (t *RuleCheck) note(c *checker) error {
	copy(t.disk.nodes, t.want.nodes)
	if len(c.v.Bad) == 0 {
		return nil
	}
	var buckets []uint32
	for _, b := range c.v.Bad {
		buckets = append(buckets, b.Bucket)
		t.keys[b.Bucket] = nil
	}
	slices.Sort(buckets)
	t.disk.set(buckets, make([]spec.Hash, len(buckets))) // which no bucket hashes to
	var stopped error
	err := eachRecord(c.r, nil, func(key, _ []byte) bool {
		b := t.want.bucketOf(spec.RulePlace(key))
		if keys, bad := t.keys[b]; bad {
			t.keys[b] = append(keys, string(key))
		}
		stopped = c.step()
		return stopped == nil
	})
	return firstError(err, stopped)
}

// RepairRules puts a bucket that check found damaged in place again, records and
// leaves, durable on return, with what a chunk holds of it, which is checked against
// root. It fails with BAD_PROOF for a chunk that is not of that root, and with
// CORRUPT, changing nothing, when the bucket cannot be made what the log says: a
// chunk of a later size may do, or a check of now when the bucket has changed since.
func (s *Store) RepairRules(check *RuleCheck, bucket uint32, chunk []byte, root spec.Hash) error {
	records, _, err := checkRules(RuleChunkOfBucket(uint64(bucket)), chunk, root)
	if err != nil {
		return err
	}
	s.writer.Lock()
	defer s.writer.Unlock()
	err = s.read(func(d *database) error {
		r := &ruleRepair{d: d, bucket: bucket, theirs: map[string][]byte{}, ours: map[string][]byte{}, leaves: map[spec.Hash]spec.Hash{}}
		for i := range records {
			if rec := &records[i]; d.rules.bucketOf(rec.place) == bucket {
				r.theirs[string(rec.key)] = rec.value
			}
		}
		if err := r.read(check.keys[bucket]); err != nil {
			return err
		}
		good := r.find()
		if good == nil {
			return d.rules.wrong(tableRuleLeaf, bucket, "what a peer has of it is not what it was here", nil)
		}
		return r.write(good)
	})
	if err == nil {
		s.repaired()
	}
	return err
}

// A ruleRepair is records of one bucket by their keys, and the bucket's leaves by
// their places.
type ruleRepair struct {
	d      *database
	bucket uint32
	theirs map[string][]byte
	ours   map[string][]byte // good or not
	leaves map[spec.Hash]spec.Hash
}

// read reads what the bucket has now: leaves, and the records under keys and under
// those of the chunk.
func (r *ruleRepair) read(keys []string) error {
	for _, k := range append(slices.Collect(maps.Keys(r.theirs)), keys...) {
		v, err := get(r.d.pebble, recordKey([]byte(k)))
		if err != nil {
			return err
		}
		if v != nil {
			r.ours[k] = v
		}
	}
	it, err := r.d.pebble.NewIter(&pebble.IterOptions{LowerBound: bucketKey(tableRuleLeaf, r.d.rules.begin(r.bucket)), UpperBound: []byte{tableRuleLeaf + 1}})
	if err != nil {
		return err
	}
	for it.First(); it.Valid() && r.d.rules.bucketOf(place(it.Key())) == r.bucket; it.Next() {
		var h spec.Hash // all zeroes, which no record has, where there is no hash
		if len(it.Value()) == len(h) {
			copy(h[:], it.Value())
		}
		r.leaves[place(it.Key())] = h
	}
	return firstError(it.Error(), it.Close())
}

// find returns the records that the bucket is to have, or nil. Leaves that hash to
// its root say of each record which is right; where they are damaged, the records
// must hash to it together.
func (r *ruleRepair) find() map[string][]byte {
	good := map[string][]byte{}
	for _, from := range []map[string][]byte{r.theirs, r.ours} {
		for k, v := range from {
			if r.leaves[spec.RulePlace([]byte(k))] == spec.RuleLeaf([]byte(k), v) {
				good[k] = v
			}
		}
	}
	for _, all := range []map[string][]byte{good, r.ours} {
		if r.hashesRight(all) {
			return all
		}
	}
	return findRecords(r.theirs, good, r.hashesRight)
}

func (r *ruleRepair) hashesRight(records map[string][]byte) bool {
	all := make([]ruleRecord, 0, len(records))
	for k, v := range records {
		all = append(all, ruleRecord{key: []byte(k), value: v})
	}
	hashRecords(all)
	slices.SortFunc(all, func(a, b ruleRecord) int { return bytes.Compare(a.place[:], b.place[:]) })
	leaves := make([]spec.Hash, len(all))
	for i := range all {
		leaves[i] = all[i].leaf
	}
	return spec.TreeRoot(leaves) == r.d.rules.nodes[1<<ruleBits+r.bucket]
}

// write replaces all that the bucket has, in the database and in memory.
func (r *ruleRepair) write(records map[string][]byte) error {
	b := r.d.pebble.NewBatch()
	defer b.Close()
	var errs []error
	for p := range r.leaves {
		errs = append(errs, b.Delete(ruleLeafKey(p), nil))
	}
	for k := range r.ours {
		errs = append(errs, b.Delete(recordKey([]byte(k)), nil))
	}
	for k, v := range records {
		leaf := spec.RuleLeaf([]byte(k), v)
		errs = append(errs, b.Set(ruleLeafKey(spec.RulePlace([]byte(k))), leaf[:], nil), b.Set(recordKey([]byte(k)), v, nil))
	}
	if err := firstError(errs...); err != nil {
		return err
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return err
	}
	r.d.buckets[1].forget(map[uint32]struct{}{r.bucket: {}})
	clear(r.d.hot) // as what is decoded, it may have been read from what was damaged
	touched := maps.Clone(r.ours)
	maps.Copy(touched, records)
	r.d.decoded.committed(touched)
	return nil
}
