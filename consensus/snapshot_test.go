// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hashicorp/raft"
)

// receive puts the export of from into to's snapshot store, as raft does when
// the leader sends it, and returns what Open gives.
func receive(t *testing.T, from *memStore, to *snapshots) (*raft.SnapshotMeta, io.ReadCloser) {
	t.Helper()
	src := &snapshots{store: from}
	meta, r, err := src.Open(liveID)
	if err != nil {
		t.Fatal(err)
	}
	k, err := to.Create(1, meta.Index, meta.Term, meta.Configuration, meta.ConfigurationIndex, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(k, r); err != nil || n != meta.Size {
		t.Fatalf("copied %d of %d: %v", n, meta.Size, err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	got, rc, err := to.Open(k.ID())
	if err != nil {
		t.Fatal(err)
	}
	return got, rc
}

func parts(t *testing.T, dir string) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, partPattern))
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}

// populated returns a store with entries up to index.
func populated(t *testing.T, index uint64) *memStore {
	t.Helper()
	store := newMemStore()
	f, _ := newTestFSM(store)
	conf := raft.EncodeConfiguration(Config{Voters: []string{"x"}}.configuration())
	logs := []*raft.Log{{Index: 1, Term: 1, Type: raft.LogConfiguration, Data: conf}}
	for i := uint64(2); i <= index; i++ {
		logs = append(logs, command(t, i, string(rune('a'+i))))
	}
	f.ApplyBatch(logs)
	return store
}

func TestLiveDatabaseIsTheOnlySnapshot(t *testing.T) {
	empty := &snapshots{store: newMemStore()}
	if list, err := empty.List(); err != nil || len(list) != 0 {
		t.Errorf("an empty database lists %v, %v", list, err)
	}
	store := populated(t, 7)
	list, err := (&snapshots{store: store}).List()
	if err != nil || len(list) != 1 || list[0].Index != 7 || list[0].ConfigurationIndex != 1 || len(list[0].Configuration.Servers) != 1 {
		t.Errorf("listed %+v, %v", list, err)
	}
}

func TestReceivedSnapshotReplacesTheDatabase(t *testing.T) {
	from, to := populated(t, 9), populated(t, 3)
	f, _ := newTestFSM(to)
	snaps := &snapshots{store: to, dir: t.TempDir(), limit: 1 << 20}
	meta, rc := receive(t, from, snaps)
	if meta.Index != 9 || meta.Term != 2 {
		t.Errorf("meta %+v", meta)
	}
	if err := f.Restore(rc); err != nil {
		t.Fatal(err)
	}
	if err := rc.Close(); err != nil || parts(t, snaps.dir) != 0 {
		t.Errorf("%d files stay behind, %v", parts(t, snaps.dir), err)
	}
	if !slices.Equal(to.ops(), from.ops()) || to.Applied().Index != 9 || f.done.get() != 9 {
		t.Errorf("database at %d, bridge at %d", to.Applied().Index, f.done.get())
	}
}

func TestSnapshotNeverTakesTheDatabaseBack(t *testing.T) {
	from, to := populated(t, 3), populated(t, 9)
	f, _ := newTestFSM(to)
	_, rc := receive(t, from, &snapshots{store: to, dir: t.TempDir(), limit: 1 << 20})
	defer rc.Close()
	if err := f.Restore(rc); err != nil {
		t.Fatal(err)
	}
	if got := to.crashed(); got.Applied().Index != 9 {
		t.Errorf("the database went back to %d", got.Applied().Index)
	}
}

func TestFailedImportKeepsTheOldDatabase(t *testing.T) {
	from, to := populated(t, 9), populated(t, 3)
	to.importErr = errors.New("bad frame")
	f, _ := newTestFSM(to)
	_, rc := receive(t, from, &snapshots{store: to, dir: t.TempDir(), limit: 1 << 20})
	defer rc.Close()
	if err := f.Restore(rc); !errors.Is(err, to.importErr) {
		t.Errorf("restore: %v", err)
	}
	if f.brk.err() != nil || f.done.get() != 3 || len(to.ops()) != 2 {
		t.Errorf("fault %v, at %d", f.brk.err(), f.done.get())
	}
}

func TestEntriesBeyondASnapshotAreDroppedAndTheNodeStartsAgain(t *testing.T) {
	from, to := populated(t, 9), populated(t, 3)
	f, log := newTestFSM(to)
	for i := uint64(2); i <= 12; i++ {
		if err := f.log.StoreLog(&raft.Log{Index: i, Term: 2}); err != nil {
			t.Fatal(err)
		}
	}
	_, rc := receive(t, from, &snapshots{store: to, dir: t.TempDir(), limit: 1 << 20})
	defer rc.Close()
	err := f.Restore(rc)
	var fault *Fault
	if !errors.As(err, &fault) || fault.Exit != ExitStuck || to.Applied().Index != 9 || len(log.logs) != 0 {
		t.Errorf("restore: %v, database at %d, %d entries left", err, to.Applied().Index, len(log.logs))
	}
}

func TestSnapshotIsBoundedAndCancelledOnesLeaveNothing(t *testing.T) {
	snaps := &snapshots{store: newMemStore(), dir: t.TempDir(), limit: 1000}
	k, _ := snaps.Create(1, 1, 1, raft.Configuration{}, 1, nil)
	if _, err := k.Write(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Write([]byte{1}); err == nil {
		t.Error("a byte over the limit was taken")
	}
	if err := k.Cancel(); err != nil || parts(t, snaps.dir) != 0 {
		t.Errorf("%d files after Cancel, %v", parts(t, snaps.dir), err)
	}
}

func TestCrashWhileReceivingIsCleanedUp(t *testing.T) {
	snaps := &snapshots{store: newMemStore(), dir: t.TempDir(), limit: 1000}
	k, _ := snaps.Create(1, 1, 1, raft.Configuration{}, 1, nil)
	if _, err := k.Write([]byte("half of it")); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(snaps.dir, "raft.db")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (&snapshots{dir: snaps.dir}).reap(); err != nil || parts(t, snaps.dir) != 0 {
		t.Errorf("%d files after the start, %v", parts(t, snaps.dir), err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Error(err)
	}
}
