// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/spec"
)

// The store's directory holds CURRENT, which names the database in use, and the
// databases themselves: db-1, then db-2 once a snapshot replaced it, and so on.
// Whatever else lies there is left over from an interrupted step.
const currentFile = "CURRENT"

var databaseName = regexp.MustCompile(`^db-([1-9][0-9]{0,17})$`)

// current returns the name of the database in use, and whether the store is new. A
// first start that was interrupted may have left an empty db-1.
func (s *Store) current() (name string, fresh bool, err error) {
	fs := s.opts.FS
	f, err := fs.Open(fs.PathJoin(s.dir, currentFile))
	if errors.Is(err, os.ErrNotExist) {
		return "db-1", true, s.checkFresh()
	}
	if err != nil {
		return "", false, fmt.Errorf("reading which database is in use: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 64))
	if err != nil {
		return "", false, fmt.Errorf("reading which database is in use: %w", err)
	}
	if !databaseName.Match(b) {
		return "", false, spec.Errorf(spec.CodeCorrupt, "the store does not say which database is in use")
	}
	return string(b), false, nil
}

// checkFresh refuses a store that lost the file saying which database is in use.
func (s *Store) checkFresh() error {
	names, err := s.opts.FS.List(s.dir)
	if err != nil {
		return fmt.Errorf("listing the store's directory: %w", err)
	}
	for _, n := range names {
		if n != "db-1" && databaseName.MatchString(n) {
			return spec.Errorf(spec.CodeCorrupt, "the store does not say which database is in use")
		}
	}
	return nil
}

// setCurrent changes the database in use in one step that survives a crash.
func (s *Store) setCurrent(name string) error {
	fs := s.opts.FS
	tmp := fs.PathJoin(s.dir, currentFile+".new")
	err := writeFile(fs, tmp, []byte(name))
	if err == nil {
		err = fs.Rename(tmp, fs.PathJoin(s.dir, currentFile))
	}
	if err == nil {
		err = syncDir(fs, s.dir)
	}
	if err != nil {
		return fmt.Errorf("changing the database in use: %w", err)
	}
	return nil
}

// next returns the name of the database after this one.
func next(name string) string {
	n, _ := strconv.ParseUint(databaseName.FindStringSubmatch(name)[1], 10, 64) // the pattern bounds it
	return "db-" + strconv.FormatUint(n+1, 10)
}

// reap removes everything but the database in use, the one in the making, and
// snapshots.
func (s *Store) reap(inUse string) error {
	names, err := s.opts.FS.List(s.dir)
	if err != nil {
		return fmt.Errorf("listing the store's directory: %w", err)
	}
	staged, err := s.staged()
	if err != nil {
		return err
	}
	for _, n := range names {
		if _, kept := keptSize(n); kept || n == inUse || n == currentFile || n == staged || n == stagingFile {
			continue
		}
		if err := s.opts.FS.RemoveAll(s.opts.FS.PathJoin(s.dir, n)); err != nil {
			return fmt.Errorf("removing what an interrupted step left: %w", err)
		}
	}
	return nil
}

func writeFile(fs vfs.FS, path string, data []byte) error {
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// makeDir makes a directory that a crash does not take away again.
func makeDir(fs vfs.FS, dir string) error {
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncDir(fs, fs.PathDir(dir))
}
