// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"regexp"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/spec"
)

// The stream of a snapshot: the magic, then for each file its header (length of
// the name as one byte, name, size as eight bytes), its content and a CRC-32C of
// both, then a zero byte.
const snapshotMagic = "tocsin-snapshot-1\n"

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	pebbleFile = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)
)

// Export returns the live database as one stream of size bytes and how far it is;
// all of that is durable here. The caller reads it to the end or not, and closes
// it.
func (s *Store) Export() (a Applied, size int64, r io.ReadCloser, err error) {
	fs := s.opts.FS
	s.writer.Lock() // no commit between the checkpoint and the head that goes with it
	var dir string
	err = s.read(func(d *database) error {
		a = d.applied
		dir = fs.PathJoin(s.dir, fmt.Sprintf("export-%d", exports.add()))
		return d.pebble.Checkpoint(dir, pebble.WithFlushedWAL())
	})
	s.writer.Unlock()
	if err != nil {
		return a, 0, nil, errors.Join(fmt.Errorf("making a checkpoint of the database: %w", err), fs.RemoveAll(dir))
	}
	e := &export{fs: fs, dir: dir}
	size, err = e.measure()
	if err != nil {
		return a, 0, nil, errors.Join(err, e.Close())
	}
	e.r, e.w = io.Pipe()
	go func() { e.w.CloseWithError(e.write()) }()
	return a, size, e, nil
}

var exports counter

// A counter gives every export of this process a directory of its own.
type counter struct {
	mu sync.Mutex
	n  uint64
}

func (c *counter) add() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	return c.n
}

type export struct {
	fs    vfs.FS
	dir   string
	names []string
	sizes []int64
	r     *io.PipeReader
	w     *io.PipeWriter
}

func (e *export) measure() (int64, error) {
	names, err := e.fs.List(e.dir)
	if err != nil {
		return 0, fmt.Errorf("listing a checkpoint: %w", err)
	}
	slices.Sort(names)
	total := int64(len(snapshotMagic) + 1)
	for _, n := range names {
		info, err := e.fs.Stat(e.fs.PathJoin(e.dir, n))
		if err != nil {
			return 0, fmt.Errorf("measuring a checkpoint: %w", err)
		}
		if info.IsDir() {
			continue
		}
		e.names, e.sizes = append(e.names, n), append(e.sizes, info.Size())
		total += 1 + int64(len(n)) + 8 + info.Size() + 4
	}
	return total, nil
}

func (e *export) write() error {
	if _, err := io.WriteString(e.w, snapshotMagic); err != nil {
		return err
	}
	for i, n := range e.names {
		if err := e.writeOne(n, e.sizes[i]); err != nil {
			return fmt.Errorf("writing a snapshot: %w", err)
		}
	}
	_, err := e.w.Write([]byte{0})
	return err
}

func (e *export) writeOne(name string, size int64) error {
	f, err := e.fs.Open(e.fs.PathJoin(e.dir, name))
	if err != nil {
		return err
	}
	defer f.Close()
	sum := crc32.New(castagnoli)
	out := io.MultiWriter(e.w, sum)
	header := append([]byte{byte(len(name))}, name...)
	if _, err := out.Write(binary.BigEndian.AppendUint64(header, uint64(size))); err != nil {
		return err
	}
	if _, err := io.CopyN(out, f, size); err != nil {
		return err
	}
	_, err = e.w.Write(binary.BigEndian.AppendUint32(nil, sum.Sum32()))
	return err
}

func (e *export) Read(p []byte) (int, error) { return e.r.Read(p) }

// Close ends the stream and removes the checkpoint.
func (e *export) Close() error {
	if e.r != nil {
		e.r.Close()
	}
	return e.fs.RemoveAll(e.dir)
}

// Import reads the stream of another node's Export, checks it against its own log
// and makes it the live database in one step, durable on return, as being as far
// as a says. On an error the old database is untouched.
func (s *Store) Import(r io.Reader, a Applied) error {
	s.purging.Lock()
	defer s.purging.Unlock()
	s.writer.Lock()
	defer s.writer.Unlock()
	name := next(s.db.name)
	dir := s.opts.FS.PathJoin(s.dir, name)
	d, err := s.receive(r, name, dir, a)
	if err != nil {
		return errors.Join(fmt.Errorf("installing a snapshot: %w", err), s.opts.FS.RemoveAll(dir))
	}
	return s.replace(d)
}

// replace makes a database the one in use, and removes the one before. The caller
// holds writer and purging.
func (s *Store) replace(d *database) error {
	if err := s.setCurrent(d.name); err != nil {
		// Which database is in use is not known any more: only a restart can tell.
		err = errors.Join(err, d.pebble.Close())
		s.opts.Fatal(err)
		return err
	}
	s.mu.Lock()
	old := s.db
	s.db, s.head = d, d.head()
	close(s.changed)
	s.changed = make(chan struct{})
	s.mu.Unlock()
	old.users.Wait()
	if err := errors.Join(old.pebble.Close(), s.opts.FS.RemoveAll(s.opts.FS.PathJoin(s.dir, old.name))); err != nil {
		s.opts.Logger.Warn("the replaced database could not be removed; the next start does it", "error", err)
	}
	return nil
}

func (s *Store) receive(r io.Reader, name, dir string, a Applied) (*database, error) {
	fs := s.opts.FS
	if err := fs.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := unpack(fs, dir, r); err != nil {
		return nil, err
	}
	d, err := s.openDatabase(name, false)
	if err != nil {
		return nil, err
	}
	b, err := spec.Encode(&appliedWire{Index: a.Index, Term: a.Term, Conf: a.Conf, ConfIndex: a.ConfIndex})
	if err == nil {
		err = d.pebble.Set(appliedKey, b, pebble.Sync)
	}
	if err != nil {
		return nil, errors.Join(err, d.pebble.Close())
	}
	d.applied = a
	return d, nil
}

// unpack writes the files of a snapshot. Nothing is allocated or created on the
// word of the stream but files of plain names.
func unpack(fs vfs.FS, dir string, r io.Reader) error {
	magic := make([]byte, len(snapshotMagic))
	if _, err := io.ReadFull(r, magic); err != nil || string(magic) != snapshotMagic {
		return spec.Errorf(spec.CodeMalformed, "not a snapshot of a store")
	}
	for {
		more, err := unpackOne(fs, dir, r)
		if err != nil {
			return err
		}
		if !more {
			return syncDir(fs, dir)
		}
	}
}

func unpackOne(fs vfs.FS, dir string, r io.Reader) (more bool, err error) {
	sum := crc32.New(castagnoli)
	in := io.TeeReader(r, sum)
	var n [1]byte
	if _, err := io.ReadFull(in, n[:]); err != nil {
		return false, spec.Errorf(spec.CodeMalformed, "the snapshot ends early")
	}
	if n[0] == 0 {
		return false, nil
	}
	header := make([]byte, int(n[0])+8)
	if _, err := io.ReadFull(in, header); err != nil {
		return false, spec.Errorf(spec.CodeMalformed, "the snapshot ends early")
	}
	name, size := string(header[:n[0]]), binary.BigEndian.Uint64(header[n[0]:])
	if !pebbleFile.MatchString(name) || size > 1<<50 {
		return false, spec.Errorf(spec.CodeMalformed, "the snapshot holds a file that no store has")
	}
	f, err := fs.Create(fs.PathJoin(dir, name), vfs.WriteCategoryUnspecified)
	if err != nil {
		return false, err
	}
	_, err = io.CopyN(f, in, int64(size))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return false, fmt.Errorf("writing a file of the snapshot: %w", err)
	}
	want := sum.Sum32()
	var got [4]byte
	if _, err := io.ReadFull(r, got[:]); err != nil || binary.BigEndian.Uint32(got[:]) != want {
		return false, spec.Errorf(spec.CodeMalformed, "a file of the snapshot has another checksum")
	}
	return true, nil
}
