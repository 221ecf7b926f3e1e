// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/spec"
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
	awaitSame(t, ctx, c, delta)
	for _, m := range c.Members {
		if accused, _ := evidenceOf(t, m); len(accused) > 0 {
			t.Errorf("%s accuses %v", m.ID, accused)
		}
	}
}

// One that is put back with its mark too, against the rule, is told by the others what
// it cosigned since: it stops cosigning and says why, though the newest final checkpoint
// carries no cosignature of its own, and the log goes on without it.
func TestAMemberRestoredWithItsOldMarkDoesNotCosign(t *testing.T) {
	ctx, c := found(t, 4)
	list(t, c, sha(1))
	alpha, delta := c.Members[0], c.Members[3]
	size := alpha.LogSize()
	if err := trial.Await(ctx, func() (bool, error) { return delta.Final().Size >= size, nil }); err != nil {
		t.Fatal(err)
	}
	old := putBack(t, ctx, c, delta, func() {
		list(t, c, sha(2))
		next := alpha.LogSize()
		if err := trial.Await(ctx, func() (bool, error) { return cosignedAt(t, alpha, "delta") >= next, nil }); err != nil {
			t.Fatal("the member did not cosign after the backup: the test shows nothing")
		}
	}, func() {
		for n := byte(3); cosignedAt(t, alpha, "delta") > 0; n++ { // until a checkpoint is final without it
			list(t, c, sha(n))
			next := alpha.LogSize()
			if err := trial.Await(ctx, func() (bool, error) { return alpha.Final().Size >= next, nil }); err != nil {
				t.Fatal(err)
			}
		}
	})
	err := trial.Await(ctx, func() (bool, error) {
		s, err := delta.Status(ctx)
		return strings.Contains(s.NotCosigning, "restored from an old copy"), err
	})
	if err != nil || spec.CodeOf(delta.MayCosign()) != spec.CodeForked {
		t.Fatalf("restored to size %d the member cosigns on: %v", old, delta.MayCosign())
	}
	list(t, c, sha(200))
	size = alpha.LogSize()
	if err := trial.Await(ctx, func() (bool, error) { return delta.Final().Size >= size, nil }); err != nil {
		t.Fatal("the log does not go on")
	}
	if at := cosignedAt(t, alpha, "delta"); at > 0 {
		t.Errorf("the member cosigned size %d", at)
	}
	for _, m := range c.Members {
		if accused, _ := evidenceOf(t, m); len(accused) > 0 {
			t.Errorf("%s accuses %v", m.ID, accused)
		}
	}
}

// So does a member that only witnesses.
func TestAWitnessRestoredWithItsOldMarkDoesNotCosign(t *testing.T) {
	ctx, c, delta := witnessing(t)
	alpha, key := c.Members[0], cosignKeyOf(t, delta)
	witnessed := func() {
		size := alpha.LogSize()
		err := trial.Await(ctx, func() (bool, error) { return alpha.Final().Size >= size && cosignedBy(t, alpha, key), nil })
		if err != nil {
			t.Fatal("the member does not witness")
		}
	}
	witnessed()
	putBack(t, ctx, c, delta, func() {
		list(t, c, sha(1))
		witnessed()
	}, func() { list(t, c, sha(2)) })
	err := trial.Await(ctx, func() (bool, error) {
		s, err := delta.Status(ctx)
		return strings.Contains(s.NotCosigning, "restored from an old copy"), err
	})
	if err != nil {
		t.Fatal("the member witnesses on")
	}
}

// cosignedAt is the size of the newest final checkpoint that a node knows if an
// organisation is among those that made it final, else 0.
func cosignedAt(t *testing.T, p *trial.Participant, org string) uint64 {
	t.Helper()
	s := p.FinalNow()
	if s == nil || !slices.ContainsFunc(s.Cosignatures, func(x tlog.Cosignature) bool { return x.Org == org }) {
		return 0
	}
	return s.Size
}

// putBack restores a node's whole directory as it was before since, and starts it after
// what happens while it is away.
func putBack(t *testing.T, ctx context.Context, c *trial.Consortium, p *trial.Participant, since, away func()) (size uint64) {
	t.Helper()
	if err := p.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	backup := t.TempDir()
	copyDir(t, backup, p.Dir)
	size = p.LogSize()
	if err := c.Start(ctx, p); err != nil {
		t.Fatal(err)
	}
	since()
	if err := p.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	away()
	if err := os.RemoveAll(p.Dir); err != nil {
		t.Fatal(err)
	}
	copyDir(t, p.Dir, backup)
	if err := c.Start(ctx, p); err != nil {
		t.Fatal(err)
	}
	return size
}

// copyDir copies a folder whose parts nobody else may read.
func copyDir(t *testing.T, to, from string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	private(t, to)
}

// private gives a copied data directory the permissions of one.
func private(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o600)
		if d.IsDir() {
			mode = 0o700
		}
		return os.Chmod(path, mode)
	})
	if err != nil {
		t.Fatal(err)
	}
}
