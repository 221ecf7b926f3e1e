// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/spec"
)

// What chunks hold in another order than that of its keys is put aside in files,
// parted by the first bits of the keys, and made into tables of the database once
// all chunks are there: every row is sorted once, and nothing is merged.

// asideTables is where rows that are put aside go, by kind of chunk.
var asideTables = [2]byte{chunkLive: tableUnopened, chunkRules: tableRecord}

// asideCell returns the part of a key, without its table. Parts ascend as keys do.
// Entries' ids and what follows the first byte of most records are hashes.
func asideCell(kind int, key []byte) uint64 {
	if kind == chunkLive || len(key) < 2 {
		return uint64(key[0]) << 5
	}
	return uint64(key[0])<<5 | uint64(key[1])>>3
}

const asideCells = 1 << 13

// An aside is one file of rows that were put aside. It is named by its number and
// described in the database, so that only what was written whole is ever read.
type aside struct {
	_     struct{} `cbor:",toarray"`
	Cells []asidePart

	kind   int
	number uint32
}

// An asidePart is the rows of one part, [key, value] one after the other.
type asidePart struct {
	_    struct{} `cbor:",toarray"`
	Cell uint64
	Size uint64 // bytes, behind those of the parts before
	Sum  uint64 // CRC-32C
}

var (
	asidePrefix = []byte{tableMeta, 'U'} // kind, number → aside
	spreadKey   = []byte{tableMeta, 'V'} // there once what was put aside is in the database
)

func (a *aside) key() []byte {
	return binary.BigEndian.AppendUint32(append(asidePrefix[:2:2], byte(a.kind)), a.number)
}

const asideFile = "aside-"

func (st *Staging) asidePath(number uint32) string {
	return st.s.opts.FS.PathJoin(st.s.dir, st.name, fmt.Sprintf("%s%d", asideFile, number))
}

// putAside writes a file of rows, which is durable on return but for its description.
// Of no rows there is none.
func (st *Staging) putAside(kind int, rows func(yield func(key, value []byte))) (*aside, error) {
	var sizes [asideCells]int
	total := 0
	rows(func(key, value []byte) {
		n := recordSize(key, value)
		sizes[asideCell(kind, key)] += n
		total += n
	})
	if total == 0 {
		return nil, nil
	}
	a := &aside{kind: kind}
	ends := sizes // where the next row of each cell goes
	at := 0
	for c, n := range sizes {
		ends[c] = at
		at += n
	}
	data := make([]byte, total)
	rows(func(key, value []byte) {
		end := &ends[asideCell(kind, key)]
		*end += len(appendRecord(data[*end:*end:total], key, value))
	})
	at = 0
	for c, n := range sizes {
		if n > 0 {
			a.Cells = append(a.Cells, asidePart{Cell: uint64(c), Size: uint64(n), Sum: uint64(crc32.Checksum(data[at:at+n], castagnoli))})
		}
		at += n
	}
	a.number = st.files.Add(1)
	return a, writeFile(st.s.opts.FS, st.asidePath(a.number), data)
}

// recordSize is how many bytes appendRecord appends.
func recordSize(key, value []byte) int {
	return 1 + headSize(len(key)) + len(key) + headSize(len(value)) + len(value)
}

func headSize(n int) int {
	switch {
	case n < 24:
		return 1
	case n < 1<<8:
		return 2
	case n < 1<<16:
		return 3
	}
	return 5
}

// loadAside reads what was put aside, and removes files that are not described.
func (st *Staging) loadAside() error {
	it, err := st.pebble.NewIter(&pebble.IterOptions{LowerBound: asidePrefix, UpperBound: after(asidePrefix)})
	if err != nil {
		return err
	}
	defer it.Close()
	known := map[string]bool{}
	for it.First(); it.Valid(); it.Next() {
		var a aside
		key := it.Key()
		if len(key) != 7 || key[2] > chunkRules || spec.DecodeStored(it.Value(), &a) != nil {
			return spec.Errorf(spec.CodeCorrupt, "what a staging put aside cannot be read")
		}
		a.kind, a.number = int(key[2]), binary.BigEndian.Uint32(key[3:])
		st.aside = append(st.aside, &a)
		st.files.Store(max(st.files.Load(), a.number))
		known[fmt.Sprintf("%s%d", asideFile, a.number)] = true
	}
	if err := it.Error(); err != nil {
		return err
	}
	return st.removeAside(func(name string) bool { return !known[name] })
}

// removeAside removes files of rows that were put aside.
func (st *Staging) removeAside(which func(name string) bool) error {
	fs, dir := st.s.opts.FS, st.s.opts.FS.PathJoin(st.s.dir, st.name)
	names, err := fs.List(dir)
	for _, n := range names {
		if strings.HasPrefix(n, asideFile) && which(n) {
			err = errors.Join(err, fs.Remove(fs.PathJoin(dir, n)))
		}
	}
	return err
}

// spreadBytes is about how much of what was put aside becomes one table.
const spreadBytes = 8 << 20

// A spreadJob is parts that follow one another, which become one table.
type spreadJob struct {
	kind     int
	from, to uint64 // cells
	bytes    uint64
}

// spread makes tables of all that was put aside, on all processors, and has the
// database take them in one step.
func (st *Staging) spread(ctx context.Context) error {
	if done, err := get(st.pebble, spreadKey); err != nil || done != nil {
		return err
	}
	files, err := st.openAside()
	defer func() {
		for _, f := range files {
			_ = f.Close() // only read
		}
	}()
	if err != nil {
		return err
	}
	jobs := st.spreadJobs()
	paths := make([]string, len(jobs)+1)
	for i := range paths {
		paths[i] = st.chunkPath(st.files.Add(1))
	}
	err = inParallel(len(jobs), func(i int) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return st.spreadOne(&jobs[i], files, paths[i])
	})
	if err == nil {
		err = st.writeTable(paths[len(jobs)], tableOptions(tableMeta), func(set func(key, value []byte) error) error { return set(spreadKey, []byte{1}) })
	}
	if err == nil {
		err = st.pebble.Ingest(ctx, paths)
	}
	for _, p := range paths {
		_ = st.s.opts.FS.Remove(p) // of what was taken nothing is left there
	}
	return err
}

func (st *Staging) openAside() (files []vfs.File, err error) {
	for _, a := range st.aside {
		f, err := st.s.opts.FS.Open(st.asidePath(a.number))
		if errors.Is(err, os.ErrNotExist) {
			err = errAside
		}
		if err != nil {
			return files, err
		}
		files = append(files, f)
	}
	return files, nil
}

// spreadJobs cuts what was put aside into tables.
func (st *Staging) spreadJobs() (jobs []spreadJob) {
	for kind := range asideTables {
		var sizes [asideCells]uint64
		for _, a := range st.aside {
			for _, p := range a.Cells {
				if a.kind == kind {
					sizes[p.Cell%asideCells] += p.Size
				}
			}
		}
		job := spreadJob{kind: kind}
		for c, n := range sizes {
			job.to = uint64(c) + 1
			if job.bytes += n; job.bytes >= spreadBytes || job.bytes > 0 && c == asideCells-1 {
				jobs = append(jobs, job)
				job = spreadJob{kind: kind, from: job.to}
			}
		}
	}
	slices.SortFunc(jobs, func(a, b spreadJob) int { return cmp.Compare(b.bytes, a.bytes) }) // the longest first
	return jobs
}

func (st *Staging) spreadOne(job *spreadJob, files []vfs.File, path string) error {
	rows, err := st.readAside(job, files)
	if err != nil {
		return err
	}
	rows = sorted(rows)
	table := asideTables[job.kind]
	return st.writeTable(path, tableOptions(table), func(set func(key, value []byte) error) error {
		key := []byte{table}
		for i := range rows {
			key = append(key[:1], rows[i].key...)
			if err := set(key, rows[i].value); err != nil {
				return err
			}
		}
		return nil
	})
}

// errAside is of files that are not as they were written.
var errAside = errors.New("what a staging put aside is damaged")

// readAside reads the rows of a job, in no order.
func (st *Staging) readAside(job *spreadJob, files []vfs.File) ([]row, error) {
	data, n := make([]byte, job.bytes), 0
	for i, a := range st.aside {
		if a.kind != job.kind {
			continue
		}
		at := int64(0)
		for _, p := range a.Cells {
			if p.Cell >= job.from && p.Cell < job.to {
				part := data[n : n+int(p.Size)]
				if _, err := files[i].ReadAt(part, at); err != nil && !errors.Is(err, io.EOF) {
					return nil, err
				}
				if uint64(crc32.Checksum(part, castagnoli)) != p.Sum {
					return nil, errAside
				}
				n += len(part)
			}
			at += int64(p.Size)
		}
	}
	var rows []row
	for r := (quick{rest: data}); len(r.rest) > 0; {
		r.array(2)
		x := row{r.take(2), r.take(2)}
		if r.bad {
			return nil, errAside
		}
		if rows == nil {
			rows = make([]row, 0, likely(len(data), len(data)-len(r.rest)))
		}
		rows = append(rows, x)
	}
	return rows, nil
}
