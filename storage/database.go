// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// A database is one opened Pebble directory with what is kept in memory over it.
// Only the one writer changes it; finders and exact may be asked meanwhile.
type database struct {
	users   sync.WaitGroup // who reads it; a database is closed once it is out of use and they are done
	pebble  *pebble.DB
	name    string // directory below the store's
	applied Applied
	counts  counts
	edge    tlog.Edge
	live    *bucketTree
	rules   *bucketTree
	finders map[string]finder // by signal type
	exact   *listed
	buckets [2]*bucketCache // of the live tree and of the rules' tree
	hot     hot
	decoded decoded
}

// counts are numbers that would cost a scan to find again.
type counts struct {
	_        struct{} `cbor:",toarray"`
	Leaves   uint64   // in the log
	Live     uint64   // live signals, one per (k, entry)
	Withheld uint64   // live signals whose value this replica does not hold
	Entries  uint64   // matchable entries
}

type appliedWire struct {
	_         struct{} `cbor:",toarray"`
	Index     uint64
	Term      uint64
	Conf      []byte
	ConfIndex uint64
}

// openPebble opens the database in dir, creating it only where create says so. Pebble ends the process when
// its own log cannot be written; fatal is called first.
func openPebble(dir string, o *Options, create bool) (*pebble.DB, error) {
	po := &pebble.Options{
		FS:                          freshLogs{o.FS},
		ErrorIfNotExists:            !create,
		Cache:                       o.cache,
		FormatMajorVersion:          pebble.FormatColumnarBlocks, // fixed: a snapshot ships these files to other nodes
		MemTableSize:                16 << 20,
		MemTableStopWritesThreshold: 4,
		Logger:                      pebbleLogger{o.Logger, o.Fatal},
		EventListener:               &pebble.EventListener{DataCorruption: o.damage.found},
	}
	for i := range po.Levels {
		po.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	db, err := pebble.Open(dir, po)
	if err != nil {
		return nil, spec.Errorf(spec.CodeCorrupt, "opening the database: %w", err)
	}
	if err := checkSchema(db); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

// checkSchema writes the version into an empty database and refuses others.
func checkSchema(db *pebble.DB) error {
	b, err := get(db, schemaKey)
	if err != nil {
		return err
	}
	if b == nil {
		it, err := db.NewIter(nil)
		if err != nil {
			return err
		}
		empty := !it.First()
		if err := errors.Join(it.Error(), it.Close()); err != nil {
			return err
		}
		if !empty {
			return spec.Errorf(spec.CodeCorrupt, "the database has no schema version")
		}
		return db.Set(schemaKey, binary.BigEndian.AppendUint32(nil, SchemaVersion), pebble.Sync)
	}
	if len(b) != 4 || binary.BigEndian.Uint32(b) != SchemaVersion {
		return spec.Errorf(spec.CodeVersion, "the database has another schema version than %d", SchemaVersion)
	}
	return nil
}

// loadDatabase reads into memory what is kept there and checks all of it against
// the last root of the state in the log: a store that lost or gained a record is
// refused with CORRUPT.
func loadDatabase(db *pebble.DB, name string, progress func(done, of uint64)) (*database, error) {
	d := &database{
		pebble: db, name: name, live: newBucketTree(liveBits), rules: newBucketTree(ruleBits),
		finders: newFinders(), hot: hot{},
		buckets: [2]*bucketCache{newBucketCache(tableLive, 64), newBucketCache(tableRuleLeaf, 32)},
	}
	var a appliedWire
	if err := errors.Join(getCBOR(db, appliedKey, &a), getCBOR(db, countsKey, &d.counts)); err != nil {
		return nil, err
	}
	d.exact = newListed(int(min(d.counts.Live, 1<<40)))
	d.applied = Applied{a.Index, a.Term, a.Conf, a.ConfIndex}
	if err := d.loadEdge(); err != nil {
		return nil, err
	}
	if err := d.loadLive(progress); err != nil {
		return nil, err
	}
	if err := d.loadRules(); err != nil {
		return nil, err
	}
	return d, d.checkRoots()
}

func (d *database) loadEdge() error {
	d.edge.Size = d.counts.Leaves
	for _, p := range tlog.EdgePlaces(d.edge.Size) {
		b, err := get(d.pebble, logHashKey(p.Level, p.Index))
		if err != nil {
			return err
		}
		if len(b) != len(spec.Hash{}) {
			return spec.Errorf(spec.CodeCorrupt, "a hash of the log is missing")
		}
		d.edge.Hashes = append(d.edge.Hashes, spec.Hash(b))
	}
	return nil
}

// loadLive fills the indexes and the tree of live signals from their records.
func (d *database) loadLive(progress func(done, of uint64)) error {
	n := uint64(0)
	add, finish := d.loaders()
	err := d.live.load(func(put func(uint32, spec.Hash)) error {
		return d.eachBucket(d.live, tableLive, put, func(key, value []byte) (spec.Hash, error) {
			l, err := parseLive(key, value)
			if err != nil {
				return spec.Hash{}, err
			}
			d.exact.add(l)
			if a := add[l.Type]; a != nil {
				if err := a(l.Value); err != nil {
					return spec.Hash{}, err
				}
			}
			if n++; progress != nil && n%(1<<16) == 0 {
				progress(n, d.counts.Live)
			}
			return spec.LiveLeaf(l.k, l.C, l.Meta), nil
		})
	})
	if err != nil {
		return err
	}
	if n != d.counts.Live {
		return d.nameDamage(spec.Errorf(spec.CodeCorrupt, "the database holds %d live signals where %d were written", n, d.counts.Live))
	}
	return finish()
}

// loaders returns how to add the values of each type that has a finder, and what
// ends the loading.
func (d *database) loaders() (add map[string]func([]byte) error, finish func() error) {
	add = map[string]func([]byte) error{}
	var ends []func() error
	for typ, f := range d.finders {
		a, end := f.load(int(d.counts.Live))
		add[typ], ends = a, append(ends, end)
	}
	return add, func() error {
		var errs []error
		for _, end := range ends {
			errs = append(errs, end())
		}
		return errors.Join(errs...)
	}
}

// eachBucket walks a table ordered by places and puts the root of every bucket
// that has leaves.
func (d *database) eachBucket(t *bucketTree, table byte, put func(uint32, spec.Hash), leaf func(key, value []byte) (spec.Hash, error)) error {
	it, err := d.pebble.NewIter(&pebble.IterOptions{LowerBound: []byte{table}, UpperBound: []byte{table + 1}})
	if err != nil {
		return err
	}
	defer it.Close()
	var leaves []spec.Hash
	bucket := uint32(0)
	flush := func() {
		if len(leaves) > 0 {
			put(bucket, spec.TreeRoot(leaves))
			leaves = leaves[:0]
		}
	}
	for it.First(); it.Valid(); it.Next() {
		key := it.Key()
		if len(key) < 33 {
			return spec.Errorf(spec.CodeCorrupt, "a key of the database is too short")
		}
		if b := t.bucketOf(spec.Hash(key[1:33])); b != bucket {
			flush()
			bucket = b
		}
		h, err := leaf(key, it.Value())
		if err != nil {
			return t.wrong(table, bucket, notAsWritten, err)
		}
		leaves = append(leaves, h)
	}
	if err := it.Error(); err != nil {
		return d.nameDamage(spec.Errorf(spec.CodeCorrupt, "the state cannot be read: %w", err))
	}
	flush()
	return nil
}

// loadRules fills the tree of the rules' records from their leaves, and checks
// that these are the leaves of the records.
func (d *database) loadRules() error {
	var leaves, records multiset
	err := d.rules.load(func(put func(uint32, spec.Hash)) error {
		return d.eachBucket(d.rules, tableRuleLeaf, put, func(key, value []byte) (spec.Hash, error) {
			if len(value) != len(spec.Hash{}) {
				return spec.Hash{}, spec.Errorf(spec.CodeCorrupt, "the leaf of a record has another size")
			}
			leaves.add(spec.Hash(key[1:33]), spec.Hash(value))
			return spec.Hash(value), nil
		})
	})
	if err != nil {
		return err
	}
	err = eachRecord(d.pebble, nil, func(key, value []byte) bool {
		records.add(spec.RulePlace(key), spec.RuleLeaf(key, value))
		return true
	})
	if err == nil && leaves != records {
		err = d.nameDamage(spec.Errorf(spec.CodeCorrupt, "the records of the rules are not those that were written"))
	}
	return err
}

// checkRoots compares the trees with the last StateRoot leaf.
func (d *database) checkRoots() error {
	if d.counts.Leaves == 0 {
		return nil
	}
	b, err := get(d.pebble, logKey(d.counts.Leaves-1))
	if err != nil {
		return err
	}
	leaf, err := spec.ParseLeaf(b)
	if err != nil || leaf.StateRoot == nil {
		return spec.Errorf(spec.CodeCorrupt, "the log does not end with the root of the state")
	}
	s := leaf.StateRoot
	if d.counts.Withheld == 0 && s.LiveRoot != d.live.root() || s.RulesRoot != d.rules.root() {
		return d.nameDamage(spec.Errorf(spec.CodeCorrupt, "the state does not hash to its root in the log"))
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

// pebbleLogger passes Pebble's messages on. Pebble calls Fatalf when it cannot go
// on and expects it not to return.
type pebbleLogger struct {
	log   *slog.Logger
	fatal func(error)
}

func (l pebbleLogger) Infof(format string, args ...any) {
	l.log.Debug("pebble: " + fmt.Sprintf(format, args...))
}

func (l pebbleLogger) Errorf(format string, args ...any) {
	l.log.Error("pebble: " + fmt.Sprintf(format, args...))
}

func (l pebbleLogger) Fatalf(format string, args ...any) {
	err := spec.Errorf(spec.CodeCorrupt, "the database cannot go on: "+format, args...)
	l.fatal(err)
	panic(err)
}
