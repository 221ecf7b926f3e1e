// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"github.com/tocsin-db/tocsin/spec"
)

// command is a raft entry that carries one submission per op.
func command(t *testing.T, index uint64, ops ...string) *raft.Log {
	t.Helper()
	var e spec.RaftEntry
	for _, op := range ops {
		e.Submissions = append(e.Submissions, sub("%s", op))
	}
	data, err := e.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return &raft.Log{Index: index, Term: 2, Type: raft.LogCommand, Data: data}
}

func newTestFSM(store Store) (*fsm, *memLog) {
	log := newMemLog()
	brk := newBreaker(func(*Fault) {})
	return newFSM(store, &logStore{backend: log, brk: brk}, brk), log
}

func TestEntriesAppliedBeforeAreSkipped(t *testing.T) {
	store := newMemStore()
	f, _ := newTestFSM(store)
	f.ApplyBatch([]*raft.Log{command(t, 3, "a"), command(t, 5, "b", "c")})
	got := f.ApplyBatch([]*raft.Log{command(t, 3, "a"), command(t, 5, "b", "c"), command(t, 6, "d")})
	if ops := store.ops(); !slices.Equal(ops, []string{"a", "b", "c", "d"}) {
		t.Fatalf("operations %q", ops)
	}
	if got[0] != nil || got[1] != nil {
		t.Errorf("skipped entries answer %v and %v", got[0], got[1])
	}
	if o := got[2].([]spec.Outcome); len(o) != 1 || o[0].Index != 3 {
		t.Errorf("entry 6: %+v", o)
	}
	// The same holds for a bridge that starts on this database.
	again, _ := newTestFSM(store)
	again.ApplyBatch([]*raft.Log{command(t, 6, "d")})
	if n := len(store.ops()); n != 4 {
		t.Errorf("%d operations after a restart", n)
	}
}

func TestConfigurationIsWrittenWithTheGroup(t *testing.T) {
	store := newMemStore()
	f, _ := newTestFSM(store)
	f.most = mostGroup
	conf := raft.EncodeConfiguration(Config{Voters: []string{"x", "y"}}.configuration())
	f.ApplyBatch([]*raft.Log{
		{Index: 1, Term: 1, Type: raft.LogConfiguration, Data: conf}, command(t, 3, "a"),
	})
	a := store.Applied()
	if a.Index != 3 || a.Term != 2 || a.ConfIndex != 1 || !slices.Equal(a.Conf, conf) || store.groups != 1 {
		t.Errorf("applied %+v in %d groups", a, store.groups)
	}
}

func TestGroupsAreBounded(t *testing.T) {
	store := newMemStore()
	f, _ := newTestFSM(store)
	f.most = mostGroup
	big := string(make([]byte, 200<<10))
	var logs []*raft.Log
	for i := range 20 {
		logs = append(logs, command(t, uint64(i+1), big))
	}
	if got := f.ApplyBatch(logs); len(got) != 20 || got[19] == nil {
		t.Fatalf("%d answers, last %v", len(got), got[len(got)-1])
	}
	if store.groups != 4 { // five entries of 200 KiB fit into 1 MiB
		t.Errorf("4 MB were applied in %d groups", store.groups)
	}
}

func TestNothingIsAppliedAfterAFailedGroup(t *testing.T) {
	store := newMemStore()
	full := errors.New("disk full")
	store.before = func(upto Applied) error {
		if upto.Index == 2 {
			return full
		}
		return nil
	}
	f, _ := newTestFSM(store)
	f.ApplyBatch([]*raft.Log{command(t, 1, "a")})
	if err, _ := f.ApplyBatch([]*raft.Log{command(t, 2, "b")})[0].(error); !errors.Is(err, full) {
		t.Errorf("entry 2 answers %v", err)
	}
	if err, _ := f.ApplyBatch([]*raft.Log{command(t, 3, "c")})[0].(error); !errors.Is(err, full) {
		t.Errorf("entry 3 answers %v", err)
	}
	if _, err := f.Snapshot(); !errors.Is(err, full) {
		t.Errorf("a snapshot after the fault: %v", err)
	}
	if ops := store.ops(); !slices.Equal(ops, []string{"a"}) {
		t.Errorf("operations %q", ops)
	}
}

func TestSnapshotMakesDurableWhatRaftMayCompact(t *testing.T) {
	store := newMemStore()
	f, _ := newTestFSM(store)
	f.ApplyBatch([]*raft.Log{command(t, 1, "a"), command(t, 2, "b")})
	snap, err := f.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	// Raft counts a barrier at 3, which the database has not seen.
	snaps := &snapshots{store: store, dir: t.TempDir()}
	to, _ := snaps.Create(1, 3, 2, Config{Voters: []string{"x"}}.configuration(), 1, nil)
	if err := snap.Persist(to); err != nil {
		t.Fatal(err)
	}
	if got := store.crashed(); got.Applied().Index != 3 || len(got.ops()) != 2 {
		t.Errorf("a crash after the snapshot leaves %d with %d operations", got.Applied().Index, len(got.ops()))
	}
	// One that is behind the database changes nothing in it.
	f.ApplyBatch([]*raft.Log{command(t, 9, "c")})
	if err := snap.Persist(to); err != nil || store.Applied().Index != 9 {
		t.Errorf("applied %d, error %v", store.Applied().Index, err)
	}
}

// pacedStore notes how many entries each group has, and takes its time for each.
type pacedStore struct {
	*memStore
	each   time.Duration
	groups []int
}

func (s *pacedStore) ApplyGroup(cmds []Command, upto Applied) ([][]spec.Outcome, error) {
	s.groups = append(s.groups, len(cmds))
	<-time.After(s.each * time.Duration(len(cmds)))
	return s.memStore.ApplyGroup(cmds, upto)
}

func TestAGroupThatTakesLongMakesTheNextSmaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &pacedStore{memStore: newMemStore()}
		f, _ := newTestFSM(store)
		index := uint64(0)
		apply := func(n int, each time.Duration) []int {
			store.each, store.groups = each, nil
			var logs []*raft.Log
			for range n {
				index++
				logs = append(logs, command(t, index, fmt.Sprint("op", index)))
			}
			f.ApplyBatch(logs)
			return store.groups
		}
		for _, step := range []struct {
			entries int
			each    time.Duration
			want    []int
		}{
			{7, time.Millisecond, []int{1, 2, 4}},
			{20, 300 * time.Millisecond, []int{8, 4, 2, 2, 2, 2}},
			{63, 0, []int{2, 4, 8, 16, 32, 1}},
			{130, 0, []int{64, 64, 2}},
		} {
			if got := apply(step.entries, step.each); !slices.Equal(got, step.want) {
				t.Fatalf("%d entries of %v each were applied in groups of %v, want %v", step.entries, step.each, got, step.want)
			}
		}
	})
}
