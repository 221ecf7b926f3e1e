// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"
	"github.com/tocsin-db/tocsin/spec"
)

// A memDB is what a test's database holds: the operations in order, each with
// the index of the entry that brought it.
type memDB struct {
	At    Applied
	Ops   []string
	Ticks []uint64
	Seen  map[uint64]int // entry index → times applied
}

func (d memDB) clone() memDB {
	d.Ops, d.Ticks, d.Seen = slices.Clone(d.Ops), slices.Clone(d.Ticks), maps.Clone(d.Seen)
	return d
}

// A memStore is a Store whose writes are lost in a crash unless synced.
type memStore struct {
	mu            sync.Mutex
	live, durable memDB
	groups        int
	before        func(upto Applied) error // called before a group is applied
	importErr     error
	worked        atomic.Uint64
}

func newMemStore() *memStore {
	empty := memDB{Seen: map[uint64]int{}}
	return &memStore{live: empty, durable: empty.clone()}
}

// crashed returns what a crash at this moment leaves.
func (s *memStore) crashed() *memStore {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &memStore{live: s.durable.clone(), durable: s.durable.clone()}
}

func (s *memStore) Applied() Applied {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live.At
}

func (s *memStore) Worked() uint64 { return s.worked.Load() }

func (s *memStore) ApplyGroup(cmds []Command, upto Applied) ([][]spec.Outcome, error) {
	s.mu.Lock()
	before := s.before
	s.mu.Unlock()
	if before != nil {
		if err := before(upto); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.groups++
	results := make([][]spec.Outcome, 0, len(cmds))
	for _, c := range cmds {
		e, err := spec.ParseRaftEntry(c.Data)
		if err != nil {
			return nil, err
		}
		s.live.Seen[c.Index]++
		for _, t := range e.Tick {
			s.live.Ticks = append(s.live.Ticks, t.Size)
		}
		outcomes := []spec.Outcome{}
		for _, sub := range e.Submissions {
			o := spec.Outcome{ID: sha256.Sum256(sub.Envelope), Index: uint64(len(s.live.Ops))}
			if bytes.HasPrefix(sub.Envelope, []byte("refuse")) {
				o.Code, o.Index = spec.CodeReplayed, 0
			} else {
				s.live.Ops = append(s.live.Ops, string(sub.Envelope))
			}
			outcomes = append(outcomes, o)
		}
		results = append(results, outcomes)
	}
	s.live.At = upto
	return results, nil
}

func (s *memStore) Sync() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.durable = s.live.clone()
	return nil
}

func (s *memStore) Export() (Applied, int64, io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.durable = s.live.clone()
	b, err := json.Marshal(s.live)
	return s.live.At, int64(len(b)), io.NopCloser(bytes.NewReader(b)), err
}

func (s *memStore) Import(r io.Reader, meta Applied) error {
	var d memDB
	if err := json.NewDecoder(r).Decode(&d); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.importErr != nil {
		return s.importErr
	}
	d.At = meta
	s.live, s.durable = d, d.clone()
	return nil
}

func (s *memStore) ops() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.live.Ops)
}

// applied returns how many groups were applied.
func (s *memStore) applied() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.groups
}

func (s *memStore) twice() (indexes []uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, n := range s.live.Seen {
		if n != 1 {
			indexes = append(indexes, i)
		}
	}
	return indexes
}

// A memLog is a LogBackend that is durable at once and fails or hangs on
// request.
type memLog struct {
	mu       sync.Mutex
	logs     map[uint64]raft.Log
	vals     map[string][]byte
	closed   bool
	appendFn func([]*raft.Log) error // called before an append
	setErr   error
}

func newMemLog() *memLog {
	return &memLog{logs: map[uint64]raft.Log{}, vals: map[string][]byte{}}
}

func (l *memLog) crashed() *memLog {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &memLog{logs: maps.Clone(l.logs), vals: maps.Clone(l.vals)}
}

func (l *memLog) bound(pick func(a, b uint64) uint64) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var got uint64
	for i := range l.logs {
		if got == 0 {
			got = i
		}
		got = pick(got, i)
	}
	return got, nil
}

func (l *memLog) FirstIndex() (uint64, error) {
	return l.bound(func(a, b uint64) uint64 { return min(a, b) })
}

func (l *memLog) LastIndex() (uint64, error) {
	return l.bound(func(a, b uint64) uint64 { return max(a, b) })
}

func (l *memLog) GetLog(i uint64, out *raft.Log) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.logs[i]
	if !ok {
		return raft.ErrLogNotFound
	}
	*out = e
	return nil
}

func (l *memLog) StoreLog(e *raft.Log) error { return l.StoreLogs([]*raft.Log{e}) }

func (l *memLog) StoreLogs(es []*raft.Log) error {
	l.mu.Lock()
	fn := l.appendFn
	l.mu.Unlock()
	if fn != nil {
		if err := fn(es); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range es {
		c := *e
		c.Data, c.Extensions = bytes.Clone(e.Data), bytes.Clone(e.Extensions)
		l.logs[e.Index] = c
	}
	return nil
}

func (l *memLog) DeleteRange(lo, hi uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.logs, func(i uint64, _ raft.Log) bool { return lo <= i && i <= hi })
	return nil
}

func (l *memLog) Set(k, v []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.setErr != nil {
		return l.setErr
	}
	l.vals[string(k)] = bytes.Clone(v)
	return nil
}

func (l *memLog) Get(k []byte) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v, ok := l.vals[string(k)]
	if !ok {
		return nil, errors.New(notFound)
	}
	return bytes.Clone(v), nil
}

func (l *memLog) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return errors.New("closed twice")
	}
	l.closed = true
	return nil
}

// onAppend sets what happens before every append.
func (l *memLog) onAppend(fn func([]*raft.Log) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.appendFn = fn
}

func sub(format string, args ...any) spec.Submission {
	return spec.Submission{Envelope: fmt.Appendf(nil, format, args...)}
}
