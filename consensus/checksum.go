// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/hashicorp/raft"
)

// Bolt does not checksum its pages, so every value that raft stores carries a
// CRC-32C of its own, which covers the key as well: a value that sits under
// another key fails too.

const sumSize = 4

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errSum     = errors.New("the checksum does not match")
)

// seal returns a copy of the entry with its checksum after the extensions. The
// data is shared, not copied.
func seal(l *raft.Log) *raft.Log {
	sealed := *l
	sealed.Extensions = make([]byte, 0, len(l.Extensions)+sumSize)
	sealed.Extensions = append(sealed.Extensions, l.Extensions...)
	sealed.Extensions = binary.BigEndian.AppendUint32(sealed.Extensions, entrySum(l))
	return &sealed
}

// unseal verifies the entry read under index and takes its checksum off.
func unseal(index uint64, l *raft.Log) error {
	n := len(l.Extensions) - sumSize
	if n < 0 || l.Index != index {
		return errSum
	}
	sum := binary.BigEndian.Uint32(l.Extensions[n:])
	l.Extensions = l.Extensions[:n:n]
	if n == 0 {
		l.Extensions = nil
	}
	if entrySum(l) != sum {
		return errSum
	}
	return nil
}

// entrySum covers all that raft decides on; AppendedAt only informs.
func entrySum(l *raft.Log) uint32 {
	var head [33]byte
	binary.BigEndian.PutUint64(head[0:], l.Index)
	binary.BigEndian.PutUint64(head[8:], l.Term)
	head[16] = byte(l.Type)
	binary.BigEndian.PutUint64(head[17:], uint64(len(l.Data)))
	binary.BigEndian.PutUint64(head[25:], uint64(len(l.Extensions)))
	sum := crc32.Update(0, castagnoli, head[:])
	sum = crc32.Update(sum, castagnoli, l.Data)
	return crc32.Update(sum, castagnoli, l.Extensions)
}

// sealValue and unsealValue do the same for a value of the stable store.
func sealValue(key, value []byte) []byte {
	sealed := make([]byte, 0, len(value)+sumSize)
	sealed = append(sealed, value...)
	return binary.BigEndian.AppendUint32(sealed, valueSum(key, value))
}

func unsealValue(key, sealed []byte) ([]byte, error) {
	n := len(sealed) - sumSize
	if n < 0 || valueSum(key, sealed[:n]) != binary.BigEndian.Uint32(sealed[n:]) {
		return nil, errSum
	}
	return sealed[:n:n], nil
}

func valueSum(key, value []byte) uint32 {
	var head [8]byte
	binary.BigEndian.PutUint64(head[:], uint64(len(key)))
	sum := crc32.Update(0, castagnoli, head[:])
	sum = crc32.Update(sum, castagnoli, key)
	return crc32.Update(sum, castagnoli, value)
}
