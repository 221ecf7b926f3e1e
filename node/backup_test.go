// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// A member that is restored from an old backup of everything but what it cosigned
// last, which backups leave out, comes back to where it was and cosigns on from
// there: nobody comes to hold evidence against it, and one history is final.
func TestAMemberRestoredFromAnOldBackupDoesNotEquivocate(t *testing.T) {
	ctx, c := found(t, 4)
	approve(t, c.Members[2], list(t, c, sha(1)))
	alpha, delta := c.Members[0], c.Members[3]
	awaitMatches(t, ctx, delta, sha(1), 1)
	if err := delta.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	backup := t.TempDir()
	copyDir(t, backup, delta.Dir)
	old := delta.LogSize()
	if err := c.Start(ctx, delta); err != nil {
		t.Fatal(err)
	}
	approve(t, c.Members[2], list(t, c, sha(2)))
	err := trial.Await(ctx, func() (bool, error) {
		f := alpha.Final()
		s, err := panelOf(t, alpha).OpenFinal(f.Note)
		return err == nil && f.Size > old && slices.ContainsFunc(s.Cosignatures, func(x tlog.Cosignature) bool { return x.Org == "delta" }), err
	})
	if err != nil {
		t.Fatal("the member did not cosign after the backup: the test shows nothing")
	}
	if err := delta.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	marks := t.TempDir()
	copyDir(t, marks, filepath.Join(delta.Dir, "cosigned"))
	if err := os.RemoveAll(delta.Dir); err != nil {
		t.Fatal(err)
	}
	copyDir(t, delta.Dir, backup)
	if err := os.RemoveAll(filepath.Join(delta.Dir, "cosigned")); err != nil {
		t.Fatal(err)
	}
	copyDir(t, filepath.Join(delta.Dir, "cosigned"), marks)
	if err := c.Start(ctx, delta); err != nil {
		t.Fatal(err)
	}
	approve(t, c.Members[2], list(t, c, sha(3)))
	size := alpha.LogSize()
	if err := trial.Await(ctx, func() (bool, error) { return delta.Final().Size >= size, nil }); err != nil {
		t.Fatal("the log of the member that was restored does not become final")
	}
	awaitMatches(t, ctx, delta, sha(3), 1)
	err = trial.Await(ctx, func() (bool, error) {
		s, err := panelOf(t, alpha).OpenFinal(alpha.Final().Note)
		return err == nil && s.Size >= size && slices.ContainsFunc(s.Cosignatures, func(x tlog.Cosignature) bool { return x.Org == "delta" }), err
	})
	if err != nil {
		t.Fatalf("the member does not cosign on: %v", delta.MayCosign())
	}
	if alpha.LogSize() == delta.LogSize() && alpha.LogRoot() != delta.LogRoot() {
		t.Error("the member has another log")
	}
	for _, m := range c.Members {
		if accused, _ := evidenceOf(t, m); len(accused) > 0 {
			t.Errorf("%s accuses %v", m.ID, accused)
		}
	}
}

// copyDir copies a folder whose parts nobody else may read.
func copyDir(t *testing.T, to, from string) {
	t.Helper()
	err := os.CopyFS(to, os.DirFS(from))
	if err == nil {
		err = filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			mode := fs.FileMode(0o600)
			if d.IsDir() {
				mode = 0o700
			}
			return os.Chmod(path, mode)
		})
	}
	if err != nil {
		t.Fatal(err)
	}
}
