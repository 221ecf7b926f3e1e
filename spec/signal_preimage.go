// SPDX-License-Identifier: Apache-2.0

package spec

// AppendSignalKey appends what Signal.Key hashes.
func AppendSignalKey(b []byte, typ, value []byte) []byte {
	b = appendText(appendHead(b, majorArray, 3), "tocsin.k.v1")
	b = append(appendHead(b, majorText, uint64(len(typ))), typ...)
	return appendBytes(b, value)
}

// AppendCommitment appends what Opened.Commitment hashes.
func AppendCommitment(b, salt []byte, item uint64, k []byte, quality uint64) []byte {
	b = appendText(appendHead(b, majorArray, 5), "tocsin.signal.v1")
	b = appendUint(appendBytes(b, salt), item)
	return appendUint(appendBytes(b, k), quality)
}
