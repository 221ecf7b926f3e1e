// SPDX-License-Identifier: Apache-2.0

package exact

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"
)

// fingerprint is what the table knows of a key: 128 bits of a keyed hash. The
// key's first half goes in as it is (a bijection), the second half is folded
// in with secret factors. So two different keys have the same fingerprint
// with a chance of about 2^-128, a listed key is always found, and nobody who
// does not know the secret can choose keys that meet or that crowd a bucket.
type fingerprint struct{ lo, hi uint64 }

type secret [6]uint64

func newSecret() (s secret) {
	var b [8 * len(s)]byte
	_, _ = rand.Read(b[:]) // never fails
	for i := range s {
		s[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	s[4] |= 1
	return s
}

func (s *secret) fingerprint(key *[32]byte) fingerprint {
	k0, k1 := binary.LittleEndian.Uint64(key[0:]), binary.LittleEndian.Uint64(key[8:])
	k2, k3 := binary.LittleEndian.Uint64(key[16:]), binary.LittleEndian.Uint64(key[24:])
	ah, al := bits.Mul64(k2^s[0], k3^s[1])
	bh, bl := bits.Mul64(k2^s[2], bits.RotateLeft64(k3, 32)^s[3])
	lo := k0 ^ ah ^ bl
	// Multiplying by a secret odd number and shifting are bijections; the low
	// bits, which choose the bucket, come to depend on all of them.
	lo = (lo ^ lo>>32) * s[4]
	lo ^= lo >> 32
	return fingerprint{lo, k1 ^ al ^ bh ^ s[5]}
}
