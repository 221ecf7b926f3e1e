// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"math"
	"slices"
	"sync"

	"github.com/hashicorp/raft"
)

// Raft writes an entry to the leader's log before it sends it to the followers, so
// that one disk waits for the other. Here a leader's append goes on in the
// background while the followers' do (Ongaro's thesis, §10.2.1). Raft counts
// the leader among those that hold the entry at once; therefore nobody learns that
// it is committed before the leader's own append has ended: not the state machine
// (fsm.ApplyBatch), not the followers (gate.AppendEntries).

// maxTail bounds the entries that a leader holds in memory alone.
const maxTail = 64

// A tail is the end of the log that is not durable yet.
type tail struct {
	mu      sync.Mutex
	entries []*raft.Log // sealed, in order
	writing bool
	writer  sync.WaitGroup
	moved   chan struct{} // closed when entries became durable; nil while nobody waits
}

// waits reports whether entries may be counted before they are durable: the leader's
// own commands and barriers. By the entry that begins a term raft takes what is of
// earlier terms for committed (Ongaro's thesis, §3.6.2), and a configuration is in
// force as soon as it is appended: both are on the leader's disk before anybody's.
func waits(entries []*raft.Log) bool {
	return !slices.ContainsFunc(entries, func(l *raft.Log) bool { return l.Type != raft.LogCommand && l.Type != raft.LogBarrier })
}

// later appends entries in the background; false when there is no room.
func (s *logStore) later(sealed []*raft.Log) bool {
	t := &s.tail
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.entries)+len(sealed) > maxTail {
		return false
	}
	t.entries = append(t.entries, sealed...)
	if !t.writing {
		t.writing = true
		t.writer.Go(s.writeTail)
	}
	return true
}

// writeTail makes the tail durable until nothing is left of it: what came during one
// append goes together in the next.
func (s *logStore) writeTail() {
	t := &s.tail
	for {
		t.mu.Lock()
		next := slices.Clone(t.entries)
		if len(next) == 0 || s.brk.err() != nil { // whoever waits hears of the fault
			t.writing = false
			t.mu.Unlock()
			return
		}
		t.mu.Unlock()
		if s.store(next) == nil {
			t.drop(len(next))
		}
	}
}

// drop removes what has become durable.
func (t *tail) drop(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entries = slices.Delete(t.entries, 0, n)
	if t.moved != nil {
		close(t.moved)
		t.moved = nil
	}
}

// await returns once the log is durable up to index, or with the fault because of
// which it may never be.
func (s *logStore) await(index uint64) error {
	t := &s.tail
	for {
		t.mu.Lock()
		if len(t.entries) == 0 || t.entries[0].Index > index {
			t.mu.Unlock()
			return nil
		}
		if t.moved == nil {
			t.moved = make(chan struct{})
		}
		moved := t.moved
		t.mu.Unlock()
		select {
		case <-moved:
		case <-s.brk.down:
			return s.brk.err()
		}
	}
}

// awaitAll is await for all that was appended so far, whatever comes meanwhile.
func (s *logStore) awaitAll() error {
	t := &s.tail
	t.mu.Lock()
	last := uint64(0)
	if n := len(t.entries); n > 0 {
		last = t.entries[n-1].Index
	}
	t.mu.Unlock()
	return s.await(last)
}

// durable is the index before the first entry that is not durable yet.
func (s *logStore) durable() uint64 {
	t := &s.tail
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.entries) == 0 {
		return math.MaxUint64
	}
	return t.entries[0].Index - 1
}

// recent returns the entry under index if it is in the tail.
func (s *logStore) recent(index uint64, l *raft.Log) bool {
	t := &s.tail
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.entries) == 0 || index < t.entries[0].Index || index-t.entries[0].Index >= uint64(len(t.entries)) {
		return false
	}
	*l = *t.entries[index-t.entries[0].Index]
	return true
}
