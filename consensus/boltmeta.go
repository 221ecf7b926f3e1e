// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"encoding/binary"
	"errors"
	"hash/fnv"
	"io"
	"os"
)

// A bolt file keeps two copies of its root, written in turn by successive
// transactions. When the newer copy is damaged bolt silently opens the older
// one, and with it a log that lacks the last append, which may have been
// acknowledged. Both copies lie within one disk sector each, so a power cut
// does not tear them: a damaged copy is bit rot, and we refuse the file.

const (
	boltMagic    = 0xED0CDAED
	boltMetaAt   = 16 // after the page header
	boltMetaSize = 64
)

type boltMeta struct {
	pageSize uint32
	txid     uint64
	ok       bool
}

// checkBoltMeta accepts a file that does not exist or is empty.
func checkBoltMeta(path string) error {
	const op = "open the raft log"
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return failed(op, err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() == 0 {
		return err
	}
	first := readBoltMeta(f, 0)
	second := readBoltMeta(f, int64(first.pageSize))
	if !first.ok || !second.ok || max(first.txid, second.txid)-min(first.txid, second.txid) != 1 {
		return corrupt(op, "the file's root is damaged")
	}
	return nil
}

// readBoltMeta reads the copy in the page at offset, in the machine's byte
// order as bolt does.
func readBoltMeta(f io.ReaderAt, offset int64) (m boltMeta) {
	var b [boltMetaAt + boltMetaSize]byte
	if _, err := f.ReadAt(b[:], offset); err != nil {
		return m
	}
	meta := b[boltMetaAt:]
	sum := fnv.New64a()
	sum.Write(meta[:boltMetaSize-8])
	m.pageSize = binary.NativeEndian.Uint32(meta[8:])
	m.txid = binary.NativeEndian.Uint64(meta[boltMetaSize-16:])
	m.ok = binary.NativeEndian.Uint32(meta) == boltMagic &&
		binary.NativeEndian.Uint64(meta[boltMetaSize-8:]) == sum.Sum64()
	return m
}
