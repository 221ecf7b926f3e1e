// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"encoding/binary"

	"github.com/tocsin-db/tocsin/spec"
)

// SchemaVersion is the version of the key layout below. A store of another
// version is refused.
const SchemaVersion = 2

// The first byte of a key says what stands under it. Numbers are big-endian, so
// that keys sort as their numbers do.
const (
	tableMeta       byte = 0x00 // name → schema version, applied, counters
	tableRecord     byte = 0x01 // record key (spec/record.go) → record
	tableLive       byte = 0x02 // k ‖ entry id → live signal
	tableRuleLeaf   byte = 0x03 // place of a record → leaf of its tree
	tableLog        byte = 0x04 // index → leaf
	tableLogHash    byte = 0x05 // level ‖ index → hash of the Merkle tree over the log
	tableOpening    byte = 0x06 // operation id → opening
	tableOperations byte = 0x07 // operation id → index of its leaf
	tableWithheld   byte = 0x08 // entry id → number of its live signals whose value is not here
	tableUnopened   byte = 0x09 // entry id ‖ first eight bytes of k → signals of entries that came with a snapshot (unopened.go)
)

var (
	schemaKey  = []byte{tableMeta, 's'}
	appliedKey = []byte{tableMeta, 'a'}
	countsKey  = []byte{tableMeta, 'c'}
	firstKey   = []byte{tableMeta, 'f'} // size of the snapshot that the log here begins at, absent: 0
)

func recordKey(key []byte) []byte { return append([]byte{tableRecord}, key...) }

func liveKey(k, entry spec.Hash) []byte {
	return append(append(append(make([]byte, 0, 65), tableLive), k[:]...), entry[:]...)
}

func livePrefix(k spec.Hash) []byte { return append([]byte{tableLive}, k[:]...) }

// bucketKey is where a bucket begins in a table ordered by places.
func bucketKey(table byte, from uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{table}, from)
}

func withheldKey(entry spec.Hash) []byte { return append([]byte{tableWithheld}, entry[:]...) }

func ruleLeafKey(place spec.Hash) []byte { return append([]byte{tableRuleLeaf}, place[:]...) }

func logKey(index uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{tableLog}, index)
}

func logHashKey(level int, index uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{tableLogHash, byte(level)}, index)
}

func openingKey(id spec.Hash) []byte { return append([]byte{tableOpening}, id[:]...) }

func operationKey(id spec.Hash) []byte { return append([]byte{tableOperations}, id[:]...) }

// after returns the first key that does not begin with prefix, or nil.
func after(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}
