// SPDX-License-Identifier: Apache-2.0

// Package edtable verifies many signatures of one Ed25519 key: with a table of the
// key's multiples it takes a third of the time of crypto/ed25519, and accepts just the
// signatures that crypto/ed25519.Verify accepts (DESIGN.md says why).
package edtable

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"sync/atomic"

	"filippo.io/edwards25519"
)

// worthwhile is how many signatures a key verifies before it makes its table, which
// takes the time of about ten.
const worthwhile = 32

// A Key is an Ed25519 public key. Any number of goroutines may use it.
type Key struct {
	public ed25519.PublicKey
	asked  atomic.Uint32
	minus  atomic.Pointer[table]
	secret *edwards25519.Scalar // where anyone may know it, or nil
}

// New is the key of 32 bytes. What is no point verifies nothing.
func New(public []byte) *Key { return &Key{public: bytes.Clone(public)} }

// Known is the public half of a private key that is no secret: verifying with it takes
// half of the time once more, and how long it takes depends on the key.
func Known(key ed25519.PrivateKey) *Key {
	h := sha512.Sum512(key.Seed())
	k := New(key.Public().(ed25519.PublicKey))
	k.secret, _ = edwards25519.NewScalar().SetBytesWithClamping(h[:32]) // fails for other lengths only
	return k
}

// Verify reports what crypto/ed25519.Verify reports.
func (k *Key) Verify(message, sig []byte) bool {
	if len(k.public) != ed25519.PublicKeySize {
		return false
	}
	if k.secret == nil && k.minus.Load() == nil {
		if k.asked.Add(1) == worthwhile {
			k.tabulate()
		}
		return ed25519.Verify(k.public, message, sig)
	}
	if len(sig) != ed25519.SignatureSize {
		return false
	}
	s, err := edwards25519.NewScalar().SetCanonicalBytes(sig[32:])
	if err != nil {
		return false
	}
	return bytes.Equal(k.commitment(s, k.challenge(sig[:32], message)).Bytes(), sig[:32])
}

// tabulate makes the table of the key's negative.
func (k *Key) tabulate() {
	if a, err := new(edwards25519.Point).SetBytes(k.public); err == nil {
		k.minus.Store(newTable(a.Negate(a)))
	}
}

// challenge is SHA-512(R ‖ A ‖ message) modulo the group's order.
func (k *Key) challenge(r, message []byte) *edwards25519.Scalar {
	h := sha512.New()
	h.Write(r)
	h.Write(k.public)
	h.Write(message)
	var sum [sha512.Size]byte
	c, _ := edwards25519.NewScalar().SetUniformBytes(h.Sum(sum[:0])) // fails for other lengths only
	return c
}

// commitment is [s]B − [c]A: what R must be.
func (k *Key) commitment(s, c *edwards25519.Scalar) *edwards25519.Point {
	sum := edwards25519.NewIdentityPoint()
	if k.secret != nil { // A = [secret]B
		s.Subtract(s, c.Multiply(c, k.secret))
	} else {
		k.minus.Load().add(sum, c)
	}
	base().add(sum, s)
	return sum
}
