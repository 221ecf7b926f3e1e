// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// A MarkFile keeps a Mark in one file with two slots, written in turn, so that a
// crash leaves the mark of before or after. A slot is SHA-256 over the rest, a
// sequence number and a length as eight and four bytes, and the mark.
type MarkFile struct {
	mu   sync.Mutex
	f    *os.File
	seq  uint64
	mark Mark
}

const (
	slotHeader = sha256.Size + 8 + 4
	slotSize   = slotHeader + 4*tlog.MaxNote // a mark and a fork hold at most three notes
)

// markWire is a mark as it is kept. A fork is a list of none or one.
type markWire struct {
	_     struct{} `cbor:",toarray"`
	Note  []byte
	Size  uint64
	Root  spec.Hash
	Shown uint64
	Fork  []Fork
}

// OpenMarkFile opens the marks at path, creating them when there are none. It fails
// with CORRUPT when neither slot can be read.
func OpenMarkFile(path string) (*MarkFile, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("opening the mark: %w", err)
	}
	_, err := os.Stat(path)
	fresh := errors.Is(err, fs.ErrNotExist)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the mark: %w", err)
	}
	k := &MarkFile{f: f}
	if fresh {
		err = errors.Join(k.write(Mark{Root: spec.EmptyRoot}), syncDir(filepath.Dir(path)), syncDir(filepath.Dir(filepath.Dir(path))))
	} else {
		err = k.read()
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return k, nil
}

func (k *MarkFile) read() error {
	found := false
	for i := range int64(2) {
		b := make([]byte, slotSize)
		n, _ := k.f.ReadAt(b, i*slotSize)
		if n < slotHeader {
			continue // the file ends before the second slot was ever written
		}
		b = b[:n]
		seq, size := binary.BigEndian.Uint64(b[sha256.Size:]), int64(binary.BigEndian.Uint32(b[sha256.Size+8:]))
		if size > int64(n-slotHeader) || sha256.Sum256(b[sha256.Size:slotHeader+size]) != [sha256.Size]byte(b[:sha256.Size]) {
			continue
		}
		var w markWire
		if err := spec.Decode(b[slotHeader:slotHeader+size], &w); err != nil || len(w.Fork) > 1 {
			continue
		}
		if !found || seq > k.seq {
			found, k.seq = true, seq
			k.mark = Mark{Note: w.Note, Size: w.Size, Root: w.Root, Shown: w.Shown}
			if len(w.Fork) == 1 {
				k.mark.Fork = &w.Fork[0]
			}
		}
	}
	if !found {
		return spec.Errorf(spec.CodeCorrupt, "the mark of what was accepted cannot be read")
	}
	return nil
}

// Mark implements Marks.
func (k *MarkFile) Mark() Mark {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.mark
}

// Raise implements Marks.
func (k *MarkFile) Raise(m Mark) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	old := k.mark
	if m.Size < old.Size || m.Shown < old.Shown || m.Size == old.Size && m.Root != old.Root || old.Fork != nil && m.Fork == nil {
		return spec.Errorf(spec.CodeForked, "the mark of what was accepted cannot be lowered from size %d", old.Size)
	}
	return k.write(m)
}

func (k *MarkFile) write(m Mark) error {
	w := markWire{Note: m.Note, Size: m.Size, Root: m.Root, Shown: m.Shown}
	if m.Fork != nil {
		w.Fork = []Fork{*m.Fork}
	}
	value, err := spec.Encode(&w)
	if err != nil {
		return err
	}
	if len(value) > slotSize-slotHeader {
		return spec.Errorf(spec.CodeTooLarge, "a mark of %d bytes", len(value))
	}
	b := make([]byte, sha256.Size, slotHeader+len(value))
	b = binary.BigEndian.AppendUint64(b, k.seq+1)
	b = append(binary.BigEndian.AppendUint32(b, uint32(len(value))), value...)
	sum := sha256.Sum256(b[sha256.Size:])
	copy(b, sum[:])
	if _, err := k.f.WriteAt(b, int64((k.seq+1)%2)*slotSize); err != nil {
		return fmt.Errorf("writing the mark: %w", err)
	}
	if err := k.f.Sync(); err != nil {
		return fmt.Errorf("writing the mark: %w", err)
	}
	k.seq++
	k.mark = m
	return nil
}

// Close closes the file.
func (k *MarkFile) Close() error { return k.f.Close() }

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
