// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/integration/harness"
	"github.com/tocsin-db/tocsin/node/identity"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/storage"
)

const (
	listed = 8192 // hashes in the member's store
	pieces = storage.LiveChunks + storage.RuleChunks
	// unsaved is how many chunks a crash may cost: those that were verified and wait
	// to be written together, and those under way.
	unsaved = 512 + 32
	// slowly is the least rate at which a member sends, in bytes a second: between the
	// moment that is waited for and the kill few chunks more are sent, and not all.
	slowly = 64 << 10
)

// full makes the one member of a consortium whose log is long enough for a snapshot,
// and runs it.
func full(t *testing.T, bulkRate int) (*harness.Organisation, *trial.Filled) {
	t.Helper()
	f, err := trial.Fill(t.Context(), trial.FilledOptions{Dir: t.TempDir(), Entries: listed, DigestsOnly: true}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	lengthen(t, filepath.Join(f.Dir, "fsm"))
	id, err := identity.Load(f.Dir)
	if err != nil {
		t.Fatal(err)
	}
	o := harness.New(t, id.Organisation.ID, false)
	o.Dir, o.Listen = f.Dir, id.Addresses[0]
	o.Env = []string{fmt.Sprintf("TOCSIN_BULK_RATE=%d", bulkRate), "TOCSIN_LOG_LEVEL=warn"}
	o.Start()
	awaitLeader(t, []*harness.Organisation{o})
	return o, f
}

// lengthen appends leaves to the log of a store until it has a snapshot.
func lengthen(t *testing.T, dir string) {
	t.Helper()
	s, err := storage.Open(dir, storage.Options{FS: vfs.Default, Logger: slog.New(slog.DiscardHandler), Fatal: func(err error) { panic(err) }})
	if err != nil {
		t.Fatal(err)
	}
	tx, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Drop()
	begin := tx.Size()
	for i := range storage.SnapshotEvery {
		err = errors.Join(err, tx.Append(fmt.Appendf(nil, "leaf %d", i)))
	}
	roots, rerr := tx.Roots()
	leaf, lerr := spec.Encode(&spec.StateRoot{Tag: spec.TagStateRoot, SizeBefore: begin, LiveRoot: roots.Live, LiveCount: roots.LiveCount, RulesRoot: roots.Rules})
	err = errors.Join(err, rerr, lerr)
	if err == nil {
		err = errors.Join(tx.Append(leaf), tx.Commit(s.Head().Applied), s.Sync())
	}
	if err != nil {
		t.Fatal(err)
	}
	harness.Await(t, "a snapshot", limit, func() bool { return len(s.Snapshots()) > 0 })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// empty makes a data directory what it was before the node's first start.
func empty(t *testing.T, o *harness.Organisation) {
	t.Helper()
	for _, name := range []string{"fsm", "final", "mark", "caught-up", "imported"} {
		if err := os.RemoveAll(filepath.Join(o.Dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// An asker looks up what is listed and what is not, again and again: whatever state
// the node is in, it answers rightly or not at all.
type asker struct {
	t       *testing.T
	o       *harness.Organisation
	filled  *trial.Filled
	refused atomic.Int64
	stop    context.CancelFunc
	done    sync.WaitGroup
}

func (a *asker) run() {
	ctx, cancel := context.WithCancel(context.Background())
	a.stop = cancel
	a.done.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			a.ask(i % (2 * listed))
		}
	})
}

func (a *asker) ask(i int) error {
	d := a.filled.Digest(i)
	var answer struct{ Matches []struct{ Entry string } }
	err := a.o.Call("POST", "/v1/match", map[string]any{"signals": []any{map[string]any{"type": "sha256", "value": hex.EncodeToString(d[:])}}}, &answer)
	switch {
	case err != nil:
		a.refused.Add(1)
	case len(answer.Matches) > 0 != (i < listed):
		a.t.Errorf("hash %d of %d that are listed is answered with %d matches", i, listed, len(answer.Matches))
	}
	return err
}

func (a *asker) end() {
	a.stop()
	a.done.Wait()
}

// A reader is killed again and again on its way from nothing to the state of others,
// at moments chosen by what it does to its files, and at others. It goes on with what
// it had verified, ends LIVE, and never answered anything wrong.
func TestKilledBootstrapGoesOn(t *testing.T) {
	member, filled := full(t, slowly)
	r := harness.New(t, "tango", false)
	r.Env = []string{"TOCSIN_LOG_LEVEL=warn"}
	r.Must("join", member.Must("invite", "--role", "reader"), "--id", "tango", "--name", "Tango", "--jurisdiction", "BE")
	empty(t, r)
	before := served(t, member)
	asks := &asker{t: t, o: r, filled: filled}
	asks.run()
	defer asks.end()

	fsm := filepath.Join(r.Dir, "fsm")
	if err := os.MkdirAll(fsm, 0o700); err != nil { // so that it can be watched
		t.Fatal(err)
	}
	kills, reached := 0, 0
	at := func(moment string, dir string, what uint32, file string) {
		t.Helper()
		w := harness.NewWatch(t, dir)
		r.Start()
		if w.Await(what, file, limit) {
			reached++
		} else {
			t.Errorf("never came: %s", moment)
		}
		r.Kill()
		kills++
		t.Logf("killed %s: %d chunks were sent so far", moment, served(t, member)-before)
	}
	staging := filepath.Join(fsm, "db-2")
	at("as the manifest is kept", fsm, harness.Made, "STAGING")
	for range 2 {
		sent(t, member, r, 150+rand.IntN(100)) // before anything is written
		kills++
	}
	at("as a table of chunks is made", staging, harness.Made, "chunk-")
	at("while it is written", staging, harness.Written, "chunk-")
	at("as the database took it in", staging, harness.Removed, "chunk-")
	for range 6 {
		sent(t, member, r, 300+rand.IntN(400))
		kills++
	}
	n := served(t, member) - before
	t.Logf("%d kills cost %d chunks sent for nearly all of %d", kills, n, pieces)
	if n > uint64(pieces+kills*unsaved) {
		t.Errorf("%d chunks were sent for %d and %d kills: it began again", n, pieces, kills)
	}
	almost := filepath.Join(t.TempDir(), "almost") // there is one installation only
	copyDir(t, almost, r.Dir)
	for i, late := range []struct{ moment, dir, file string }{
		{"as the mark is written", filepath.Join(r.Dir, "mark"), "accepted"},
		{"as the state is put in place", fsm, "CURRENT.new"},
		{"as it is in place", fsm, "CURRENT"},
	} {
		if i > 0 {
			copyDir(t, r.Dir, almost)
		}
		at(late.moment, late.dir, harness.Made|harness.Written, late.file)
	}
	r.Start()
	awaitLive(t, r, member)
	asks.end()
	if asks.refused.Load() == 0 {
		t.Error("nobody asked before the reader was ready: the test shows nothing")
	}
	for i := range 2000 {
		if err := asks.ask(i * 7 % (2 * listed)); err != nil {
			t.Fatalf("the reader is LIVE: %v", err)
		}
	}
	t.Logf("%d kills, %d of them at chosen moments", kills, reached)
}

// copyDir makes one directory what another is. No process runs there.
func copyDir(t *testing.T, to, from string) {
	t.Helper()
	if err := errors.Join(os.RemoveAll(to), os.CopyFS(to, files{os.DirFS(from)})); err != nil {
		t.Fatal(err)
	}
	if err := filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
		mode := fs.FileMode(0o600)
		if err == nil && d.IsDir() {
			mode = 0o700
		}
		return errors.Join(err, os.Chmod(path, mode))
	}); err != nil {
		t.Fatal(err)
	}
}

// files leaves out sockets.
type files struct{ fs.FS }

// ReadDir implements fs.ReadDirFS.
func (f files) ReadDir(name string) ([]fs.DirEntry, error) {
	list, err := fs.ReadDir(f.FS, name)
	return slices.DeleteFunc(list, func(e fs.DirEntry) bool { return e.Type()&fs.ModeSocket != 0 }), err
}

// served tells how many chunks a member has sent.
func served(t *testing.T, member *harness.Organisation) uint64 {
	t.Helper()
	st, err := member.Status()
	if err != nil {
		t.Fatal(err)
	}
	return st.Serving.Chunks
}

// sent runs a reader until so many further chunks were sent to it, and kills it.
func sent(t *testing.T, member, r *harness.Organisation, n int) {
	t.Helper()
	upto := served(t, member) + uint64(n)
	r.Start()
	harness.Await(t, fmt.Sprintf("%d further chunks", n), limit, func() bool { return served(t, member) >= upto })
	r.Kill()
}

// awaitLive waits until a reader has what the member has.
func awaitLive(t *testing.T, r, member *harness.Organisation) {
	t.Helper()
	harness.Await(t, "the reader has all", limit, func() bool {
		want, werr := member.Status()
		st, err := r.Status()
		return errors.Join(err, werr) == nil && st.Sync != nil && st.Sync.State == "LIVE" &&
			st.Signals == listed && st.LiveRoot == want.LiveRoot && st.Size == want.Size
	})
}
