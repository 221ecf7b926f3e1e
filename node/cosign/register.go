// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tocsin-db/tocsin/node/durable"
	"github.com/tocsin-db/tocsin/spec"
)

// A register is one value in a file that a crash leaves as it was before or after
// a write. The file has two slots, written in turn: SHA-256 over the rest,
// a sequence number and a length as eight and four bytes, the value.
type register struct {
	f    *os.File
	slot int64
	seq  uint64
}

const slotHeader = sha256.Size + 8 + 4

// openRegister opens the register at path for values of at most max bytes and
// returns its value. It fails with fs.ErrNotExist when there is none and create
// is not set, and with CORRUPT when neither slot can be read.
func openRegister(path string, max int, create bool) (*register, []byte, error) {
	flags := os.O_RDWR
	if create {
		flags |= os.O_CREATE | os.O_EXCL
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, nil, err
		}
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, nil, err
	}
	r := &register{f: f, slot: int64(slotHeader + max)}
	if create {
		if err := errors.Join(r.write(nil), durable.SyncDir(filepath.Dir(path)), durable.SyncDir(filepath.Dir(filepath.Dir(path)))); err != nil {
			return nil, nil, errors.Join(err, f.Close())
		}
		return r, nil, nil
	}
	value, err := r.read()
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return r, value, nil
}

// openOrCreate opens a register, creating it when there is none.
func openOrCreate(path string, max int) (*register, []byte, error) {
	r, value, err := openRegister(path, max, false)
	if errors.Is(err, fs.ErrNotExist) {
		return openRegister(path, max, true)
	}
	return r, value, err
}

// read returns the newest value, from the disk.
func (r *register) read() (value []byte, err error) {
	found := false
	for i := range int64(2) {
		b := make([]byte, r.slot)
		n, err := r.f.ReadAt(b, i*r.slot)
		if n < slotHeader {
			continue // the file ends before the second slot was ever written
		}
		if err != nil && n == 0 {
			return nil, fmt.Errorf("reading %s: %w", r.f.Name(), err)
		}
		b = b[:n]
		seq, size := binary.BigEndian.Uint64(b[sha256.Size:]), int(binary.BigEndian.Uint32(b[sha256.Size+8:]))
		if size > len(b)-slotHeader || sha256.Sum256(b[sha256.Size:slotHeader+size]) != [sha256.Size]byte(b[:sha256.Size]) {
			continue
		}
		if !found || seq > r.seq {
			r.seq, value, found = seq, b[slotHeader:slotHeader+size], true
		}
	}
	if !found {
		return nil, spec.Errorf(spec.CodeCorrupt, "%s cannot be read", filepath.Base(r.f.Name()))
	}
	return value, nil
}

// write makes value durable before it returns.
func (r *register) write(value []byte) error {
	if int64(len(value)) > r.slot-slotHeader {
		return spec.Errorf(spec.CodeTooLarge, "a value of %d bytes does not fit in %s", len(value), filepath.Base(r.f.Name()))
	}
	b := make([]byte, sha256.Size, slotHeader+len(value))
	b = binary.BigEndian.AppendUint64(b, r.seq+1)
	b = append(binary.BigEndian.AppendUint32(b, uint32(len(value))), value...)
	sum := sha256.Sum256(b[sha256.Size:])
	copy(b, sum[:])
	if _, err := r.f.WriteAt(b, int64((r.seq+1)%2)*r.slot); err != nil {
		return fmt.Errorf("writing %s: %w", r.f.Name(), err)
	}
	if err := durable.SyncData(r.f); err != nil {
		return fmt.Errorf("writing %s: %w", r.f.Name(), err)
	}
	r.seq++
	return nil
}

func (r *register) close() error { return r.f.Close() }
