// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/spec"
)

// ruleFiles are the records of the rules of a snapshot, parted by chunk: the
// database has them in the order of their keys, chunks in that of their places. The
// end of each part is in memory, what comes before in a file.
type ruleFiles struct {
	fs    vfs.FS
	dir   string
	parts [RuleChunks]rulePart
}

type rulePart struct {
	file vfs.File // nil while all is in buf
	size int64
	buf  []byte
}

// rulePartBuffer is how much of a part is gathered before it is written.
const rulePartBuffer = 64 << 10

// ruleFile returns the records of one chunk in no order. The first call parts them.
func (k *Kept) ruleFile(index uint32) (out []byte, err error) {
	err = k.read(func(r pebble.Reader) error {
		f, err := k.part(r)
		if err == nil {
			out, err = f.read(index)
		}
		return err
	})
	return out, err
}

func (k *Kept) part(r pebble.Reader) (*ruleFiles, error) {
	k.parting.Lock()
	defer k.parting.Unlock()
	if k.rules != nil {
		return k.rules, nil
	}
	f := &ruleFiles{fs: k.s.opts.FS, dir: k.s.opts.FS.PathJoin(k.dir, "rules")}
	if err := f.fill(r); err != nil {
		return nil, errors.Join(err, f.close())
	}
	k.rules = f
	return f, nil
}

// Prepare does what takes long before the first answers. It need not be called.
func (k *Kept) Prepare() error {
	return k.read(func(r pebble.Reader) error {
		_, err := k.part(r)
		return err
	})
}

func (f *ruleFiles) fill(r pebble.Reader) error {
	if err := errors.Join(f.fs.RemoveAll(f.dir), f.fs.MkdirAll(f.dir, 0o700)); err != nil {
		return fmt.Errorf("parting the records of the rules: %w", err)
	}
	const atOnce = 1024
	var batch []ruleRecord
	var copies []byte // of what is in the batch
	var failed error
	settle := func() {
		hashRecords(batch)
		for i := range batch {
			if failed == nil {
				failed = f.add(&batch[i])
			}
		}
		batch, copies = batch[:0], copies[:0]
	}
	err := eachRecord(r, nil, func(key, value []byte) bool {
		k := len(copies)
		copies = append(append(copies, key...), value...)
		v := k + len(key)
		batch = append(batch, ruleRecord{key: copies[k:v:v], value: copies[v:len(copies):len(copies)]})
		if len(batch) == atOnce {
			settle()
		}
		return failed == nil
	})
	settle()
	return firstError(err, failed)
}

func (f *ruleFiles) add(r *ruleRecord) error {
	i := binary.BigEndian.Uint32(r.place[:4]) >> (32 - ruleChunkBits)
	p := &f.parts[i]
	p.buf = appendRecord(p.buf, r.key, r.value)
	if len(p.buf) < rulePartBuffer {
		return nil
	}
	if p.file == nil {
		file, err := f.fs.OpenReadWrite(f.fs.PathJoin(f.dir, fmt.Sprint(i)), vfs.WriteCategoryUnspecified)
		if err != nil {
			return fmt.Errorf("parting the records of the rules: %w", err)
		}
		p.file = file
	}
	_, err := p.file.WriteAt(p.buf, p.size)
	if err != nil {
		return fmt.Errorf("parting the records of the rules: %w", err)
	}
	p.size += int64(len(p.buf))
	p.buf = p.buf[:0]
	return nil
}

// read returns the records of one chunk in no order.
func (f *ruleFiles) read(index uint32) ([]byte, error) {
	if index >= RuleChunks {
		return nil, spec.Errorf(spec.CodeMalformed, "there are %d chunks of rules", RuleChunks)
	}
	p := &f.parts[index]
	if p.size+int64(len(p.buf)) > MaxChunk {
		return nil, errTooLarge
	}
	out := make([]byte, p.size, p.size+int64(len(p.buf)))
	if p.file != nil {
		if _, err := p.file.ReadAt(out, 0); err != nil && err != io.EOF {
			return nil, fmt.Errorf("reading records of the rules: %w", err)
		}
	}
	return append(out, p.buf...), nil
}

func (f *ruleFiles) close() (err error) {
	for i := range f.parts {
		if p := &f.parts[i]; p.file != nil {
			err = errors.Join(err, p.file.Close())
		}
	}
	return err
}
