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
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
	"github.com/tocsin-db/tocsin/storage/entries"
)

// A database is one opened Pebble directory with what is kept in memory over it.
// Only the one writer changes it; finders and exact may be asked meanwhile.
type database struct {
	users   sync.WaitGroup // who reads it; a database is closed once it is out of use and they are done
	pebble  *pebble.DB
	fs      vfs.FS
	dir     string // of its files
	name    string // of the directory below the store's
	applied Applied
	keyed   bool   // live signals and openings have keys in the place of values
	first   uint64 // the log here begins at this size, with the leaf before it
	counts  counts
	edge    tlog.Edge
	live    *bucketTree
	rules   *bucketTree
	finders map[string]finder // by signal type
	exact   *listed
	entries *entries.Table
	buckets [2]*bucketCache // of the live tree and of the rules' tree
	hot     hot
	decoded decoded
	hashes  logHashes
	damaged bool // opened for repairs alone: nothing but the trees is in memory
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

// databaseFormat is fixed: a snapshot ships a database's files to other nodes.
const databaseFormat = pebble.FormatColumnarBlocks

const filterPolicy = bloom.FilterPolicy(10)

// openPebble opens the database in dir, creating it only where create says so. Pebble ends the process when
// its own log cannot be written; fatal is called first.
func openPebble(dir string, o *Options, create bool) (*pebble.DB, error) {
	po := &pebble.Options{
		FS:                          freshLogs{o.FS},
		ErrorIfNotExists:            !create,
		Cache:                       o.cache,
		FormatMajorVersion:          databaseFormat,
		MemTableSize:                16 << 20,
		MemTableStopWritesThreshold: 4,
		Logger:                      pebbleLogger{o.Logger, o.Fatal},
		EventListener:               &pebble.EventListener{DataCorruption: o.damage.found},
	}
	if o.staging { // what overlaps is merged once, at the end
		po.DisableAutomaticCompactions = true
		po.L0StopWritesThreshold = 1 << 20
		po.CompactionConcurrencyRange = func() (int, int) { return 2, 2 }
	}
	if held := o.compactions; held != nil {
		po.Experimental.CompactionScheduler = held
		// A write that waits for compactions would wait for ever. Pebble holds its lock here.
		po.EventListener.WriteStallBegin = func(pebble.WriteStallBeginInfo) { go held.begin() }
	}
	for i := range po.Levels {
		po.Levels[i].FilterPolicy = filterPolicy
		po.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.SnappyCompression }
	}
	// What was just written is merged soon, and most of it is hashes and salts.
	po.Levels[0].Compression = func() *sstable.CompressionProfile { return sstable.NoCompression }
	db, err := pebble.Open(dir, po)
	if err != nil {
		return nil, spec.Errorf(spec.CodeCorrupt, "opening the database: %w", err)
	}
	if err := errors.Join(checkSchema(db, o.Keyed), checkKeyed(db, o)); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

// checkSchema writes the version into an empty database and refuses others.
func checkSchema(db *pebble.DB, keyed bool) error {
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
		b := db.NewBatch()
		defer b.Close()
		err = b.Set(schemaKey, binary.BigEndian.AppendUint32(nil, SchemaVersion), nil)
		if err == nil && keyed {
			err = b.Set(keyedKey, []byte{1}, nil)
		}
		return errors.Join(err, b.Commit(pebble.Sync))
	}
	if len(b) != 4 || binary.BigEndian.Uint32(b) != SchemaVersion {
		return spec.Errorf(spec.CodeVersion, "the database has another schema version than %d", SchemaVersion)
	}
	return nil
}

// loadDatabase reads into memory what is kept there and checks all of it against
// the last root of the state in the log: a store that lost or gained a record is
// refused with CORRUPT.
func loadDatabase(db *pebble.DB, fs vfs.FS, dir, name string, progress func(done, of uint64)) (*database, error) {
	d := newDatabase()
	if err := d.begin(db, fs, dir, name); err != nil {
		return nil, err
	}
	if err := d.load(progress); err != nil {
		return nil, err
	}
	return d, d.checkRoots()
}

// newDatabase makes what is kept in memory over a database, empty.
func newDatabase() *database {
	return &database{
		live: newBucketTree(liveBits), rules: newBucketTree(ruleBits), finders: newFinders(), hot: hot{},
		buckets: [2]*bucketCache{newBucketCache(tableLive, 64), newBucketCache(tableRuleLeaf, 32)},
	}
}

// begin reads how far the database in a directory is.
func (d *database) begin(db *pebble.DB, fs vfs.FS, dir, name string) (err error) {
	d.pebble, d.fs, d.dir, d.name = db, fs, fs.PathJoin(dir, name), name
	var a appliedWire
	if err := errors.Join(getCBOR(db, appliedKey, &a), getCBOR(db, countsKey, &d.counts)); err != nil {
		return err
	}
	if d.keyed, err = isKeyed(db); err != nil {
		return err
	}
	d.applied = Applied{a.Index, a.Term, a.Conf, a.ConfIndex}
	return d.loadEdge()
}

func (d *database) loadEdge() error {
	if err := d.loadFirst(); err != nil {
		return err
	}
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

// checkRoots compares the trees with the last StateRoot leaf.
func (d *database) checkRoots() error {
	s, err := d.stateRoot()
	if err != nil || s == nil {
		return err
	}
	if d.counts.Withheld == 0 && s.LiveRoot != d.live.root() || s.RulesRoot != d.rules.root() {
		return d.nameDamage(spec.Errorf(spec.CodeCorrupt, "the state does not hash to its root in the log"))
	}
	return nil
}

// stateRoot is what the log says of the state, or nil while it is empty.
func (d *database) stateRoot() (*spec.StateRoot, error) {
	if d.counts.Leaves == 0 {
		return nil, nil
	}
	b, err := get(d.pebble, logKey(d.counts.Leaves-1))
	if err != nil {
		return nil, err
	}
	leaf, err := spec.ParseLeaf(b)
	if err != nil || leaf.StateRoot == nil {
		return nil, spec.Errorf(spec.CodeCorrupt, "the log does not end with the root of the state")
	}
	return leaf.StateRoot, nil
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
