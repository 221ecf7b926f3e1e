// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// maxGroupBytes bounds the entries of one ApplyGroup. Raft hands over up to
// MaxAppendEntries at a time; a node that catches up would otherwise apply many
// seconds of work in one atomic batch, and hold up every reader behind it.
const maxGroupBytes = 1 << 20

// What an entry sets off has little to do with its length: a group that takes longer
// than slowGroup makes the next ones half as many entries, one that takes less than
// quickGroup twice as many. The first is one entry: a node that was stopped because a
// group took too long would else begin with the same one again.
const (
	slowGroup  = time.Second
	quickGroup = slowGroup / 8
	mostGroup  = 64
)

// fsm is the thin bridge from raft to the Store. It applies an entry at most
// once, in groups that carry their own applied index.
type fsm struct {
	store Store
	log   *logStore
	brk   *breaker

	committed func(index uint64) // told before entries are applied, or nil

	mu   sync.Mutex // held while the store changes
	cur  Applied    // what the store holds
	busy stopwatch  // ApplyGroup under way
	most int        // entries of the next group
	done progress   // cur.Index, to wait for

	worked uint64    // Store.Worked when it was looked at last; the watchdog's
	since  time.Time // when that changed
}

var _ raft.BatchingFSM = (*fsm)(nil)

func newFSM(store Store, log *logStore, brk *breaker) *fsm {
	f := &fsm{store: store, log: log, brk: brk, cur: store.Applied(), most: 1}
	f.done.advance(f.cur.Index)
	return f
}

// Apply applies one entry; raft calls it during recovery only.
func (f *fsm) Apply(l *raft.Log) any { return f.ApplyBatch([]*raft.Log{l})[0] }

// ApplyBatch returns for each entry its []spec.Outcome, nil for a
// configuration and for an entry applied before, or the error that stopped
// this node.
func (f *fsm) ApplyBatch(logs []*raft.Log) []any {
	results := make([]any, len(logs))
	if len(logs) == 0 {
		return results
	}
	last := logs[len(logs)-1].Index
	if err := f.log.await(last); err != nil {
		for i := range results {
			results[i] = err
		}
		return results
	}
	if f.committed != nil {
		f.committed(last)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for from := 0; from < len(logs); {
		to, begun := groupEnd(logs, from, f.most), time.Now()
		if err := f.applyGroup(logs[from:to], results[from:to]); err != nil {
			for i := from; i < len(logs); i++ {
				results[i] = err
			}
			return results
		}
		from = to
		f.pace(time.Since(begun))
	}
	return results
}

// groupEnd returns the end of the group that begins at from: at least one
// entry, at most maxGroupBytes and most entries.
func groupEnd(logs []*raft.Log, from, most int) int {
	size := len(logs[from].Data)
	to := from + 1
	for ; to < min(len(logs), from+most); to++ {
		if size += len(logs[to].Data); size > maxGroupBytes {
			break
		}
	}
	return to
}

// pace fits the next group to how long one took.
func (f *fsm) pace(took time.Duration) {
	if took > slowGroup {
		f.most = max(1, f.most/2)
	} else if took < quickGroup {
		f.most = min(2*f.most, mostGroup)
	}
}

func (f *fsm) applyGroup(logs []*raft.Log, results []any) error {
	upto := f.cur
	var cmds []Command
	var at []int // result of each command
	for i, l := range logs {
		if l.Index <= upto.Index {
			continue
		}
		upto.Index, upto.Term = l.Index, l.Term
		switch l.Type {
		case raft.LogCommand:
			cmds = append(cmds, Command{Index: l.Index, Data: l.Data})
			at = append(at, i)
		case raft.LogConfiguration:
			upto.Conf, upto.ConfIndex = l.Data, l.Index
		}
	}
	if upto.Index == f.cur.Index {
		return nil
	}
	outcomes, err := f.commit(cmds, upto)
	if err != nil {
		return err
	}
	for i, o := range outcomes {
		results[at[i]] = o
	}
	return nil
}

// Snapshot takes nothing: the database is the snapshot. Persist makes it
// durable.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	if err := f.brk.err(); err != nil {
		return nil, err
	}
	return liveSnapshot{f}, nil
}

type liveSnapshot struct{ fsm *fsm }

func (s liveSnapshot) Persist(to raft.SnapshotSink) error {
	mark, ok := to.(*sink)
	if !ok {
		return fmt.Errorf("unexpected snapshot sink %T", to)
	}
	return s.fsm.settle(mark.meta, mark.snaps.recovering)
}

func (liveSnapshot) Release() {}

// settle makes the database durable and makes sure that it says at least
// meta.Index, since raft deletes entries up to there next. Raft counts a
// barrier as applied, which the database has not seen. With force the
// configuration is replaced as well.
func (f *fsm) settle(meta Applied, force bool) error {
	if err := f.log.await(meta.Index); err != nil {
		return err
	}
	f.mu.Lock()
	err := f.brk.err()
	if err == nil && (force || meta.Index > f.cur.Index) {
		_, err = f.commit(nil, meta)
	}
	at := f.cur.Index
	f.mu.Unlock()
	if err != nil {
		return err
	}
	return f.sync(at)
}

// sync makes the database durable and notes in the raft log how far it is, so
// that a database which went back is noticed at the next start.
func (f *fsm) sync(at uint64) error {
	if err := f.store.Sync(); err != nil {
		return f.brk.trip(failed("sync the database", err))
	}
	return f.log.setFloor(at)
}

// Restore replaces the database by an installed snapshot.
func (f *fsm) Restore(rc io.ReadCloser) error {
	if w, ok := rc.(raft.ReadCloserWrapper); ok {
		rc = w.WrappedReadCloser()
	}
	switch src := rc.(type) {
	case *installed:
		return f.install(src)
	case untouched:
		return nil
	}
	return fmt.Errorf("cannot restore from %T", rc)
}

func (f *fsm) install(src *installed) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.brk.err(); err != nil {
		return err
	}
	if src.meta.Index <= f.cur.Index {
		// We hold this already and never go back, but raft will drop its log
		// up to here.
		return f.sync(f.cur.Index)
	}
	if err := f.store.Import(src, src.meta); err != nil {
		return fmt.Errorf("import the snapshot: %w", err)
	}
	f.cur = f.store.Applied()
	if f.cur.Index != src.meta.Index || f.cur.Term != src.meta.Term {
		return f.brk.trip(corrupt("import a snapshot", "the database says index %d, not %d", f.cur.Index, src.meta.Index))
	}
	f.done.advance(f.cur.Index)
	if err := f.log.setFloor(f.cur.Index); err != nil {
		return err
	}
	return f.dropDivergent()
}

// dropDivergent deals with a log that reaches beyond a snapshot just
// installed: its tail contradicts the leader's log. Raft would drop the
// entries and yet remember their last index until it restarts, and refuse
// every append until then.
func (f *fsm) dropDivergent() error {
	last, err := f.log.LastIndex()
	if err != nil || last <= f.cur.Index {
		return err
	}
	if err := f.log.drop(); err != nil {
		return err
	}
	return f.brk.trip(&Fault{Exit: ExitStuck, Op: "install a snapshot",
		Err: fmt.Errorf("entries %d to %d were never committed and are dropped; start again", f.cur.Index+1, last)})
}

// A progress is an index that grows and can be waited for.
type progress struct {
	mu    sync.Mutex
	index uint64
	moved chan struct{} // closed at the next advance; nil when nobody waits
}

func (p *progress) advance(index uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.index = max(p.index, index)
	if p.moved != nil {
		close(p.moved)
		p.moved = nil
	}
}

func (p *progress) get() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.index
}

// wait returns nil once the index is reached.
func (p *progress) wait(ctx context.Context, index uint64, down <-chan struct{}) error {
	for {
		p.mu.Lock()
		if p.index >= index {
			p.mu.Unlock()
			return nil
		}
		if p.moved == nil {
			p.moved = make(chan struct{})
		}
		moved := p.moved
		p.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		case <-down:
			return ErrStopped
		}
	}
}
