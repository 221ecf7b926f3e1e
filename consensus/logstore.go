// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"encoding/binary"
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// A LogBackend keeps raft's log and its few durable values (term and vote).
// Writes are durable when they return. Get and GetUint64 of an absent key fail
// with an error whose text is "not found", as raft expects.
type LogBackend interface {
	raft.LogStore
	Set(key, val []byte) error
	Get(key []byte) ([]byte, error)
	Close() error
}

// A rewriter is a LogBackend that can drop deleted entries from the disk.
type rewriter interface{ Rewrite() error }

// logStore is what raft sees of a LogBackend. It verifies a checksum on every
// read, turns every failed write into a fault, and knows how long an append
// has been under way. It is raft's LogStore and its StableStore.
type logStore struct {
	backend LogBackend
	brk     *breaker
	appends stopwatch
	bytes   atomic.Int64 // appended since the last deletion
	entries atomic.Int64
	leads   func() bool // whether raft appends as the leader; nil: never
	tail    tail
}

// StuckFor tells how long the oldest unfinished append has taken.
func (s *logStore) StuckFor() time.Duration { return s.appends.longest() }

// IsMonotonic makes raft drop the whole old log after a snapshot is installed,
// so that an entry which contradicts the snapshot cannot stay behind it.
func (s *logStore) IsMonotonic() bool { return true }

func (s *logStore) FirstIndex() (uint64, error) {
	if err := s.awaitAll(); err != nil {
		return 0, err
	}
	i, err := s.backend.FirstIndex()
	return i, s.broke("read the first index of the raft log", err)
}

func (s *logStore) LastIndex() (uint64, error) {
	if err := s.awaitAll(); err != nil {
		return 0, err
	}
	i, err := s.backend.LastIndex()
	return i, s.broke("read the last index of the raft log", err)
}

// GetLog fails with raft.ErrLogNotFound outside of the log. Raft panics on any
// other error of a committed entry, therefore a fault ends the calling raft
// goroutine instead of returning to it; the breaker stops the node.
func (s *logStore) GetLog(index uint64, l *raft.Log) error {
	err := s.read(index, l)
	if err != nil && !errors.Is(err, raft.ErrLogNotFound) && s.brk.armed.Load() {
		runtime.Goexit()
	}
	return err
}

// read is GetLog for callers that are not raft.
func (s *logStore) read(index uint64, l *raft.Log) error {
	var err error
	if !s.recent(index, l) {
		err = s.backend.GetLog(index, l)
	}
	if errors.Is(err, raft.ErrLogNotFound) {
		if !s.spans(index) {
			return raft.ErrLogNotFound
		}
		// Unless the log was truncated and appended to in between, an entry
		// is missing in its middle.
		err = s.backend.GetLog(index, l)
	}
	if err == nil {
		err = unseal(index, l)
	}
	if err == nil {
		return nil
	}
	return s.brk.trip(corrupt("read the raft log", "entry %d: %v", index, err))
}

func (s *logStore) spans(index uint64) bool {
	first, err1 := s.FirstIndex()
	last, err2 := s.LastIndex()
	return err1 == nil && err2 == nil && first != 0 && first <= index && index <= last
}

func (s *logStore) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs returns when the entries are durable; on a leader when they are on their
// way: see tail.
func (s *logStore) StoreLogs(ls []*raft.Log) error {
	if err := s.brk.err(); err != nil {
		return err
	}
	sealed := make([]*raft.Log, len(ls))
	for i, l := range ls {
		sealed[i] = seal(l)
	}
	if s.leads != nil && s.leads() && waits(ls) && s.later(sealed) {
		return nil
	}
	if err := s.awaitAll(); err != nil {
		return err
	}
	return s.store(sealed)
}

// store makes sealed entries durable.
func (s *logStore) store(sealed []*raft.Log) error {
	defer s.appends.start()()
	if err := s.backend.StoreLogs(sealed); err != nil {
		return s.broke("append to the raft log", err)
	}
	size := 0
	for _, l := range sealed {
		size += len(l.Data) + len(l.Extensions) - sumSize
	}
	s.bytes.Add(int64(size))
	s.entries.Add(int64(len(sealed)))
	return nil
}

// DeleteRange must be allowed to fail only loudly: raft goes on after it.
func (s *logStore) DeleteRange(lo, hi uint64) error {
	if err := s.awaitAll(); err != nil {
		return err
	}
	if err := s.brk.err(); err != nil {
		return err
	}
	s.bytes.Store(0)
	s.entries.Store(0)
	return s.broke("delete from the raft log", s.backend.DeleteRange(lo, hi))
}

// drop deletes the whole log.
func (s *logStore) drop() error {
	first, err := s.FirstIndex()
	if err != nil || first == 0 {
		return err
	}
	last, err := s.LastIndex()
	if err != nil {
		return err
	}
	return s.DeleteRange(first, last)
}

// scrub reads the whole log once and trips the breaker on what is damaged.
func (s *logStore) scrub(stop <-chan struct{}) error {
	first, err := s.FirstIndex()
	if err != nil || first == 0 {
		return err
	}
	last, err := s.LastIndex()
	for i := first; err == nil && i <= last; i++ {
		select {
		case <-stop:
			return ErrStopped
		default:
		}
		if e := s.read(i, new(raft.Log)); e != nil && !errors.Is(e, raft.ErrLogNotFound) {
			err = e
		}
	}
	return err
}

// rewrite drops deleted entries from the disk where the backend can.
func (s *logStore) rewrite() error {
	r, ok := s.backend.(rewriter)
	if !ok {
		return nil
	}
	return s.broke("rewrite the raft log", r.Rewrite())
}

// broke turns the error of a backend into a fault.
func (s *logStore) broke(op string, err error) error {
	if err == nil {
		return nil
	}
	return s.brk.trip(failed(op, err))
}

const notFound = "not found"

// Set never returns a failure to raft, which would panic on it: like GetLog it
// ends the goroutine.
func (s *logStore) Set(key, val []byte) error {
	err := s.brk.err()
	if err == nil {
		stop := s.appends.start()
		err = s.broke("write raft's term or vote", s.backend.Set(key, sealValue(key, val)))
		stop()
	}
	if err != nil && s.brk.armed.Load() {
		runtime.Goexit()
	}
	return err
}

func (s *logStore) Get(key []byte) ([]byte, error) {
	sealed, err := s.backend.Get(key)
	if err != nil {
		if err.Error() == notFound {
			return nil, err
		}
		return nil, s.broke("read raft's term or vote", err)
	}
	val, err := unsealValue(key, sealed)
	if err != nil {
		return nil, s.brk.trip(corrupt("read raft's term or vote", "%s: %v", key, err))
	}
	return val, nil
}

func (s *logStore) SetUint64(key []byte, val uint64) error {
	return s.Set(key, binary.BigEndian.AppendUint64(nil, val))
}

func (s *logStore) GetUint64(key []byte) (uint64, error) {
	val, err := s.Get(key)
	if err != nil {
		return 0, err
	}
	if len(val) != 8 {
		return 0, s.brk.trip(corrupt("read raft's term or vote", "%s is not a number", key))
	}
	return binary.BigEndian.Uint64(val), nil
}

// number is GetUint64 with 0 for an absent key.
func (s *logStore) number(key []byte) (uint64, error) {
	n, err := s.GetUint64(key)
	if err != nil && err.Error() == notFound {
		return 0, nil
	}
	return n, err
}

var keyFloor = []byte("tocsin.floor")

// floor is an entry up to which the database was durable at some time, and
// which a sound database therefore never lacks.
func (s *logStore) floor() (uint64, error) { return s.number(keyFloor) }

func (s *logStore) setFloor(index uint64) error { return s.SetUint64(keyFloor, index) }
