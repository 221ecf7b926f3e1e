// SPDX-License-Identifier: Apache-2.0

package entries

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"

	"github.com/tocsin-db/tocsin/spec"
)

// A Key is what the table knows of a type and a value: 128 bits under a secret of
// the process. Two different ones have the same key with a chance of 2^-128, and
// nobody outside can look for such a pair, nor crowd a head.
type Key struct{ lo, hi uint64 }

type secret [5]uint64

func (t *Table) newSecrets() {
	types := spec.SignalTypes()
	b := make([]byte, 8*len(t.secret)+16*(len(types)+1))
	_, _ = rand.Read(b) // never fails
	take := func() (n uint64) {
		n, b = binary.LittleEndian.Uint64(b), b[8:]
		return n
	}
	for i := range t.secret {
		t.secret[i] = take()
	}
	t.secret[4] |= 1
	t.secrets = map[string]Key{"": {take(), take()}}
	for _, typ := range types {
		t.secrets[typ.Name] = Key{take(), take()}
	}
}

// Key returns the key of a signal. Values of 32 bytes are their own hash; of others
// SHA-256 is computed.
func (t *Table) Key(typ string, value []byte) Key {
	if len(value) == 32 {
		return t.key(t.secrets[typ], (*[32]byte)(value))
	}
	k := spec.Signal{Type: typ, Value: value}.Key()
	return t.KeyOf(typ, value, &k)
}

// KeyOf is Key for a signal whose hash with its type is known.
func (t *Table) KeyOf(typ string, value []byte, hash *spec.Hash) Key {
	if len(value) == 32 {
		return t.key(t.secrets[typ], (*[32]byte)(value))
	}
	return t.key(t.secrets[""], (*[32]byte)(hash))
}

// key folds the second half of v into the first (see package exact).
func (t *Table) key(typ Key, v *[32]byte) Key {
	s := &t.secret
	k0, k1 := binary.LittleEndian.Uint64(v[0:]), binary.LittleEndian.Uint64(v[8:])
	k2, k3 := binary.LittleEndian.Uint64(v[16:]), binary.LittleEndian.Uint64(v[24:])
	ah, al := bits.Mul64(k2^s[0], k3^s[1])
	bh, bl := bits.Mul64(k2^s[2], bits.RotateLeft64(k3, 32)^s[3])
	lo := k0 ^ ah ^ bl ^ typ.lo
	lo = (lo ^ lo>>32) * s[4]
	lo ^= lo >> 32
	return Key{lo, k1 ^ al ^ bh ^ typ.hi}
}
