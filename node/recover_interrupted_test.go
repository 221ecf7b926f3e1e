// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/node"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/storage"
)

// ready has enough members sign a recovery, and stops the new sequencers.
func (l *loss) ready() []byte {
	l.t.Helper()
	alpha, delta := l.by["alpha"], l.by["delta"]
	seats := []spec.Seat{{Org: "alpha", Key: freshKey(l.t, alpha)}, {Org: "delta"}, {Org: "echo"}}
	l.stop(alpha) // it learns of the key at a start
	if err := l.Start(l.ctx, alpha); err != nil {
		l.t.Fatal(err)
	}
	file, err := delta.DraftRecovery(l.ctx, seats)
	for _, org := range []string{"alpha", "delta", "echo", "foxtrot"} {
		if err == nil {
			file, err = l.by[org].SignRecovery(l.ctx, file)
		}
	}
	if err != nil {
		l.t.Fatal(err)
	}
	for _, org := range []string{"alpha", "delta", "echo"} {
		l.stop(l.by[org])
	}
	return file
}

// A crash is what a data directory was like at some moment.
type crash struct{ at, dir string }

// crashes applies a recovery and keeps what the directory was like after each step.
func crashes(t *testing.T, cfg node.RecoverConfig, dump []byte) (*node.Recovered, []crash, error) {
	t.Helper()
	var all []crash
	keep := func(at string) {
		c := crash{at, filepath.Join(t.TempDir(), "node")}
		copyRunning(t, c.dir, cfg.Dir)
		all = append(all, c)
	}
	made := false
	cfg.Step = keep
	cfg.Progress = func(done, of uint64) {
		if !made && done > 0 {
			made = true
			keep("while the database is made")
		}
	}
	if dump != nil {
		cfg.Dump = bytes.NewReader(dump)
	}
	r, err := node.ApplyRecovery(t.Context(), cfg)
	return r, all, err
}

// copyRunning copies a directory in which a database is open: it may remove a file
// between the listing and the copy, and then the copy is made anew.
func copyRunning(t *testing.T, to, from string) {
	t.Helper()
	for {
		err := os.CopyFS(to, os.DirFS(from))
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if err := os.RemoveAll(to); err != nil {
			t.Fatal(err)
		}
	}
	private(t, to)
}

// directory says what a data directory holds: its names, the small files of what is
// final word for word, and how far the database is.
func directory(t *testing.T, dir string) string {
	t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		top, _, _ := strings.Cut(rel, "/")
		fmt.Fprintln(&out, rel)
		if top == "final" && d.Type().IsRegular() {
			b, err := os.ReadFile(path)
			fmt.Fprintf(&out, "%x\n", sha256.Sum256(b))
			return err
		}
		if d.IsDir() && (rel == "fsm" || rel == "raft" || rel == "recovering" || filepath.Dir(rel) == "discarded") {
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	st, err := storage.Open(filepath.Join(dir, "fsm"), storage.Options{FS: vfs.Default, Logger: slog.New(slog.DiscardHandler), Fatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	head := st.Head()
	fmt.Fprintf(&out, "%d %s %d %d %x\n", head.Size, head.Root, head.Applied.Index, head.Applied.Term, sha256.Sum256(head.Applied.Conf))
	return out.String()
}

// Wherever a recovery is interrupted, and interrupted there again when it is repeated, it
// ends as one that was not. Between, a node never starts on a half of it.
func TestARecoveryThatIsInterruptedIsRepeated(t *testing.T) {
	l := lose(t)
	file := l.ready()
	var dump bytes.Buffer
	if err := node.DumpRecovery(l.by["alpha"].Dir, file, &dump); err != nil {
		t.Fatal(err)
	}
	var root spec.Hash
	for _, x := range []struct {
		name, org string
		lost      []string // of the data directory
		dump      []byte
		steps     []string
	}{
		{"its log is further", "alpha", nil, nil, []string{
			"while the database is made", "made a database", "kept the proof", "carried out", "put raft aside", "put fsm aside", "exchanged the database", "advanced what is final", "kept the links",
		}},
		{"its log ends there", "delta", nil, nil, []string{"kept the proof", "carried out", "advanced what is final", "kept the links"}},
		{"its database is lost", "echo", []string{"fsm"}, dump.Bytes(), []string{
			"while the database is made", "made a database", "kept the proof", "carried out", "exchanged the database", "advanced what is final", "kept the links",
		}},
		{"its database is lost, and its raft log is there", "alpha", []string{"fsm"}, dump.Bytes(), []string{
			"while the database is made", "made a database", "kept the proof", "carried out", "put raft aside", "exchanged the database", "advanced what is final", "kept the links",
		}},
	} {
		t.Run(x.name, func(t *testing.T) {
			before := filepath.Join(t.TempDir(), "node")
			copyDir(t, before, l.by[x.org].Dir)
			for _, name := range x.lost {
				if err := os.RemoveAll(filepath.Join(before, name)); err != nil {
					t.Fatal(err)
				}
			}
			whole := filepath.Join(t.TempDir(), "node")
			copyDir(t, whole, before)
			r, all, err := crashes(t, node.RecoverConfig{Dir: whole, Recovery: file}, x.dump)
			if err != nil {
				t.Fatal(err)
			}
			if root == (spec.Hash{}) {
				root = r.Root
			}
			if r.Root != root {
				t.Errorf("the log ends with %s, that of another with %s", r.Root, root)
			}
			var steps []string
			want := directory(t, whole)
			for _, c := range all {
				steps = append(steps, c.at)
				if !untouched[c.at] && (c.at != "carried out" || x.org == "delta") {
					refusesToStart(t, c)
				}
				if x.dump != nil {
					withoutDump(t, c, file, x.dump, r, want)
				}
				repeated(t, c, file, x.dump, r, want)
			}
			if !slices.Equal(steps, x.steps) {
				t.Errorf("the steps are %q", steps)
			}
		})
	}
}

// withoutDump repeats a recovery and leaves out the dump that it began with: it ends the
// same, or refuses, and then it ends the same with the dump.
func withoutDump(t *testing.T, c crash, file, dump []byte, r *node.Recovered, want string) {
	t.Helper()
	cfg := node.RecoverConfig{Dir: filepath.Join(t.TempDir(), "node"), Recovery: file}
	copyDir(t, cfg.Dir, c.dir)
	got, err := node.ApplyRecovery(t.Context(), cfg)
	if untouched[c.at] && spec.CodeOf(err) != spec.CodeRecovery {
		t.Errorf("%s, and no dump: %v, want %s", c.at, err, spec.CodeRecovery)
	}
	if untouched[c.at] {
		cfg.Dump = bytes.NewReader(dump)
		got, err = node.ApplyRecovery(t.Context(), cfg)
	}
	if err != nil {
		t.Errorf("%s, and no dump at first: %v", c.at, err)
		return
	}
	ends(t, c.at+", and no dump at first", cfg.Dir, got, r, want)
}

// repeated applies the recovery to what a crash left, and to what a second one at the
// same place leaves.
func repeated(t *testing.T, c crash, file, dump []byte, r *node.Recovered, want string) {
	t.Helper()
	again, more, err := crashes(t, node.RecoverConfig{Dir: c.dir, Recovery: file}, dump)
	if err != nil {
		t.Errorf("%s: %v", c.at, err)
		return
	}
	ends(t, c.at, c.dir, again, r, want)
	for _, m := range more {
		if m.at != c.at {
			continue
		}
		var in io.Reader
		if dump != nil {
			in = bytes.NewReader(dump)
		}
		third, err := node.ApplyRecovery(t.Context(), node.RecoverConfig{Dir: m.dir, Recovery: file, Dump: in})
		if err != nil {
			t.Errorf("%s, then %s: %v", c.at, m.at, err)
			continue
		}
		ends(t, c.at+", then "+m.at, m.dir, third, r, want)
	}
}

func ends(t *testing.T, at, dir string, got, want *node.Recovered, state string) {
	t.Helper()
	if got.Size != want.Size || got.Root != want.Root || got.Sequences != want.Sequences || (got.Aside == "") != (want.Aside == "") {
		t.Errorf("%s: %+v, want %+v", at, got, want)
	}
	if got := directory(t, dir); got != state {
		t.Errorf("%s: the directory holds\n%s\nwant\n%s", at, got, state)
	}
}

// untouched are the steps after which the data is what it was, and beside it more.
var untouched = map[string]bool{"while the database is made": true, "made a database": true, "kept the proof": true}

// refusesToStart starts the node of a directory in which a recovery was begun, and parts
// of the data were moved or changed: it refuses, as one does that lost a part.
func refusesToStart(t *testing.T, c crash) {
	t.Helper()
	dir, err := os.MkdirTemp("", "node") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	copyDir(t, dir, c.dir)
	n, err := node.Start(t.Context(), node.Config{Dir: dir, Profile: "lan", Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Logger: slog.New(slog.DiscardHandler)})
	if spec.CodeOf(err) != spec.CodeCorrupt {
		t.Errorf("%s: the node starts: %v", c.at, err)
	}
	if err == nil {
		n.Stop(t.Context())
	}
}
