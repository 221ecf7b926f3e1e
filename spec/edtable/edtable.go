// SPDX-License-Identifier: Apache-2.0

// Package edtable verifies many signatures of one Ed25519 key: with a table of the
// key's multiples it takes less than a third of the time of crypto/ed25519, and accepts
// just the signatures that crypto/ed25519.Verify accepts (DESIGN.md says why).
package edtable

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"sync/atomic"

	"filippo.io/edwards25519"
)

// worthwhile is how many signatures a key verifies before it makes its table, which
// takes the time of about fifteen.
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
	return All([]Signature{{Key: k, Message: message, Sig: sig}})
}

// A Signature is said to be one of a key on a message.
type Signature struct {
	Key          *Key
	Message, Sig []byte
}

// All reports whether crypto/ed25519.Verify accepts each of them. Each is judged by
// itself; it takes less time than one Verify after the other.
func All(of []Signature) bool {
	sums := make([]point, 0, len(of)) // what R must be
	made := make([][]byte, 0, len(of))
	for i := range of {
		k, message, sig := of[i].Key, of[i].Message, of[i].Sig
		if !k.ready() {
			if len(k.public) != ed25519.PublicKeySize || !ed25519.Verify(k.public, message, sig) {
				return false
			}
			continue
		}
		if len(sig) != ed25519.SignatureSize {
			return false
		}
		s, err := edwards25519.NewScalar().SetCanonicalBytes(sig[32:])
		if err != nil {
			return false
		}
		sums, made = append(sums, k.commitment(s, k.challenge(sig[:32], message))), append(made, sig[:32])
	}
	normalise(sums)
	for i := range sums {
		if r := sums[i].encode(); !bytes.Equal(r[:], made[i]) {
			return false
		}
	}
	return true
}

// ready reports whether the key has its table, or needs none.
func (k *Key) ready() bool {
	if k.secret != nil || k.minus.Load() != nil {
		return true
	}
	if k.asked.Add(1) == worthwhile {
		k.tabulate()
	}
	return false
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
func (k *Key) commitment(s, c *edwards25519.Scalar) (sum point) {
	sum.identity()
	if k.secret != nil { // A = [secret]B
		s.Subtract(s, c.Multiply(c, k.secret))
	} else {
		k.minus.Load().add(&sum, c)
	}
	base().add(&sum, s)
	return sum
}
