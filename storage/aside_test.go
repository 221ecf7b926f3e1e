// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// asideFiles are the files of rows that were put aside, below a store's directory.
func asideFiles(t *testing.T, s *Store, name string) (out []string) {
	t.Helper()
	dir := s.opts.FS.PathJoin(s.dir, name)
	names, err := s.opts.FS.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if strings.HasPrefix(n, asideFile) {
			out = append(out, s.opts.FS.PathJoin(dir, n))
		}
	}
	return out
}

// fetched has all chunks of a snapshot staged, in several files.
func fetched(t *testing.T, to *Store, k *Kept) *Staging {
	t.Helper()
	head := k.Head()
	st, err := to.Stage(&head)
	if err != nil {
		t.Fatal(err)
	}
	for fetch(t, st, k, 900) > 0 {
		if err := st.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	return st
}

// What was put aside is gone once it is in the database, as is what a crash left
// before it was described.
func TestNothingIsLeftAside(t *testing.T) {
	from := openAt(t, "from", vfs.NewMem())
	defer closeStore(t, from)
	grown(t, from, 12)
	to := openAt(t, "to", vfs.NewMem())
	defer closeStore(t, to)
	k := newestKept(t, from)
	st := fetched(t, to, k)
	files := asideFiles(t, to, st.name)
	if len(files) < 2 {
		t.Fatalf("%d files were put aside", len(files))
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	stray := to.opts.FS.PathJoin(to.dir, st.name, asideFile+"99")
	if err := writeFile(to.opts.FS, stray, []byte("stray")); err != nil {
		t.Fatal(err)
	}
	head := k.Head()
	st, err := to.Stage(&head)
	if err != nil {
		t.Fatal(err)
	}
	if got := asideFiles(t, to, st.name); len(got) != len(files) {
		t.Fatalf("%d files are aside after a restart, not %d", len(got), len(files))
	}
	if err := st.Install(t.Context(), func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	if got := asideFiles(t, to, st.name); len(got) != 0 {
		t.Fatalf("%v is left", got)
	}
	if h := to.Head(); h.Size != 8 || len(hits(t, to, digest(1))) != 1 {
		t.Fatalf("installed: %+v", h)
	}
}

// A file that is not as it was written costs the staging and nothing else: the next
// one begins anew and is installed.
func TestWhatIsDamagedAsideIsNotInstalled(t *testing.T) {
	for what, damage := range map[string]func(fs vfs.FS, path string) error{
		"a flipped bit": func(fs vfs.FS, path string) error {
			f, err := fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
			if err != nil {
				return err
			}
			defer f.Close()
			b := make([]byte, 1)
			if _, err := f.ReadAt(b, 3); err != nil {
				return err
			}
			b[0] ^= 1
			_, err = f.WriteAt(b, 3)
			return err
		},
		"cut short": func(fs vfs.FS, path string) error { return writeFile(fs, path, []byte("x")) },
		"lost":      func(fs vfs.FS, path string) error { return fs.Remove(path) },
	} {
		t.Run(what, func(t *testing.T) {
			from := openAt(t, "from", vfs.NewMem())
			defer closeStore(t, from)
			grown(t, from, 12)
			to := openAt(t, "to", vfs.NewMem())
			defer closeStore(t, to)
			k := newestKept(t, from)
			st := fetched(t, to, k)
			if err := damage(to.opts.FS, asideFiles(t, to, st.name)[0]); err != nil {
				t.Fatal(err)
			}
			if err := st.Install(t.Context(), func() error { t.Error("accepted"); return nil }); err == nil {
				t.Fatal("installed")
			}
			if err := st.Close(); err != nil {
				t.Fatal(err)
			}
			if head, err := to.Staged(); err != nil || head != nil {
				t.Fatalf("still staged: %v, %v", head, err)
			}
			install(t, to, k)
			if h := to.Head(); h.Size != 8 || len(hits(t, to, digest(1))) != 1 {
				t.Fatalf("installed: %+v", h)
			}
		})
	}
}
