// SPDX-License-Identifier: Apache-2.0

// Package sightings remembers, on one site and for a number of days, which signals
// its uploads had, so that a voter can tell how many of them a candidate would have
// hit. Nothing of it leaves the site but such a number. It is off unless asked for.
package sightings

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tocsin-db/tocsin/spec"
)

// Bounds of what is kept.
const (
	MaxUploads = 1 << 20 // the oldest days go first, then nothing more is kept until tomorrow
	MaxSignals = 256     // of one upload; of more, the first
	MaxDays    = 366
)

// A Store keeps uploads by the day on which they were seen. Under a key of day and
// random bytes stands a CBOR array of [type, value] pairs.
type Store struct {
	days int
	now  func() time.Time
	max  int

	mu     sync.RWMutex // held to read by what uses db
	db     *pebble.DB
	counts sync.Mutex
	byDay  map[uint32]int
	total  int
}

// An upload is what stands in the store of one.
type upload []seen

type seen struct {
	_     struct{} `cbor:",toarray"`
	Type  string
	Value []byte
}

// Open opens the store in dir, which keeps uploads for days. With days 0 what was
// kept there is deleted, and the store is nil: it keeps and counts nothing.
func Open(dir string, days int, now func() time.Time, log *slog.Logger) (*Store, error) {
	if days <= 0 {
		if err := os.RemoveAll(dir); err != nil {
			return nil, fmt.Errorf("deleting the sightings: %w", err)
		}
		return nil, nil
	}
	db, err := pebble.Open(dir, &pebble.Options{
		FormatMajorVersion: pebble.FormatColumnarBlocks, MemTableSize: 4 << 20, Logger: quiet{log},
	})
	if err != nil {
		return nil, fmt.Errorf("opening the sightings: %w", err)
	}
	s := &Store{days: min(days, MaxDays), now: now, max: MaxUploads, db: db, byDay: map[uint32]int{}}
	if err := s.count(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, s.Expire()
}

// count fills in how many uploads each day has.
func (s *Store) count() error {
	it, err := s.db.NewIter(nil)
	if err != nil {
		return err
	}
	for it.First(); it.Valid(); it.Next() {
		if len(it.Key()) < 4 {
			return errors.Join(spec.Errorf(spec.CodeCorrupt, "a key of the sightings is too short"), it.Close())
		}
		s.byDay[binary.BigEndian.Uint32(it.Key())]++
		s.total++
	}
	return errors.Join(it.Error(), it.Close())
}

func (s *Store) today() uint32 { return uint32(s.now().Unix() / (24 * 3600)) }

func dayKey(day uint32) []byte { return binary.BigEndian.AppendUint32(nil, day) }

// Record keeps the signals of one upload. It is durable within a moment, not on
// return.
func (s *Store) Record(signals []spec.Signal) error {
	if s == nil || len(signals) == 0 {
		return nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		return nil
	}
	day := s.today()
	if ok, err := s.room(day); !ok || err != nil {
		return err
	}
	var u upload
	for _, sig := range signals[:min(len(signals), MaxSignals)] {
		u = append(u, seen{Type: sig.Type, Value: sig.Value})
	}
	value, err := spec.Encode(u)
	if err != nil {
		return err
	}
	key := append(dayKey(day), make([]byte, 8)...)
	rand.Read(key[4:])
	return s.db.Set(key, value, pebble.NoSync)
}

// room takes a place for one more upload, at the cost of the oldest day.
func (s *Store) room(day uint32) (bool, error) {
	s.counts.Lock()
	defer s.counts.Unlock()
	if s.total >= s.max {
		oldest := day
		for d := range s.byDay {
			oldest = min(oldest, d)
		}
		if oldest == day {
			return false, nil
		}
		if err := s.drop(oldest + 1); err != nil {
			return false, err
		}
	}
	s.byDay[day]++
	s.total++
	return true, nil
}

// drop deletes the days before day. Caller holds counts.
func (s *Store) drop(day uint32) error {
	for d, n := range s.byDay {
		if d < day {
			s.total -= n
			delete(s.byDay, d)
		}
	}
	return s.db.DeleteRange(dayKey(0), dayKey(day), pebble.NoSync)
}

// Expire deletes what is older than the store keeps, from its files as well. It is
// to be called now and then.
func (s *Store) Expire() error {
	if s == nil {
		return nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		return nil
	}
	first := s.today() - uint32(s.days) + 1
	s.counts.Lock()
	old := false
	for d := range s.byDay {
		old = old || d < first
	}
	var err error
	if old {
		err = s.drop(first)
	}
	s.counts.Unlock()
	if !old || err != nil {
		return err
	}
	return errors.Join(s.db.Flush(), s.db.Compact(context.Background(), dayKey(0), dayKey(first), false))
}

// Hits counts, for each item of a matcher, the uploads that match it.
func (s *Store) Hits(ctx context.Context, m *Matcher) ([]uint64, error) {
	hits := make([]uint64, m.items)
	if s == nil {
		return hits, nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		return hits, nil
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: dayKey(s.today() - uint32(s.days) + 1)})
	if err != nil {
		return nil, err
	}
	defer it.Close()
	for it.First(); it.Valid(); it.Next() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var u upload
		if err := spec.DecodeStored(it.Value(), &u); err != nil {
			return nil, spec.Errorf(spec.CodeCorrupt, "a sighting cannot be decoded")
		}
		m.count(u, hits)
	}
	return hits, it.Error()
}

// Close makes what was recorded durable and closes the store.
func (s *Store) Close() error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	db := s.db
	s.db = nil
	if db == nil {
		return nil
	}
	return errors.Join(db.LogData(nil, pebble.Sync), db.Close())
}

type quiet struct{ log *slog.Logger }

func (q quiet) Infof(string, ...any) {}

func (q quiet) Errorf(format string, args ...any) {
	q.log.Error("sightings: " + fmt.Sprintf(format, args...))
}

func (q quiet) Fatalf(format string, args ...any) {
	panic("sightings: " + fmt.Sprintf(format, args...))
}
