// SPDX-License-Identifier: Apache-2.0

package edtable

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"fmt"
	"testing"

	"filippo.io/edwards25519"
)

// numbered are n bytes that follow from a name.
func numbered(name string, n int) []byte {
	var out []byte
	for i := 0; len(out) < n; i++ {
		h := sha512.Sum512(fmt.Appendf(nil, "%s %d", name, i))
		out = append(out, h[:]...)
	}
	return out[:n]
}

func scalar(name string) *edwards25519.Scalar {
	s, err := edwards25519.NewScalar().SetUniformBytes(numbered(name, 64))
	if err != nil {
		panic(err)
	}
	return s
}

// torsion lists the eight points of small order.
func torsion(t *testing.T) (all []*edwards25519.Point) {
	t.Helper()
	one, err := edwards25519.NewScalar().SetCanonicalBytes(append([]byte{1}, make([]byte, 31)...))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; len(all) == 0; i++ {
		p, err := new(edwards25519.Point).SetBytes(numbered(fmt.Sprint("point ", i), 32))
		if err != nil {
			continue
		}
		p.Add(new(edwards25519.Point).ScalarMult(one.Negate(one), p), p) // the order of the large subgroup, times p
		one.Negate(one)
		q := edwards25519.NewIdentityPoint()
		for range 8 {
			all = append(all, new(edwards25519.Point).Set(q))
			q.Add(q, p)
		}
		if all[4].Equal(all[0]) == 1 {
			all = nil // of a smaller order
		}
	}
	return all
}

// last is the key that was compared last, with its table: making one takes long.
var last = New(nil)

// beside is a signature that holds.
var beside = func() Signature {
	key, message := ed25519.NewKeyFromSeed(numbered("beside", 32)), []byte("beside")
	return Signature{Known(key), message, ed25519.Sign(key, message)}
}()

// agree compares a key without its table, with it, and beside others with
// crypto/ed25519.
func agree(t *testing.T, public, message, sig []byte) bool {
	t.Helper()
	want := len(public) == ed25519.PublicKeySize && ed25519.Verify(public, message, sig)
	if New(public).Verify(message, sig) != want {
		t.Fatalf("without its table the key says %v: key %x, signature %x", !want, public, sig)
	}
	if !bytes.Equal(last.public, public) {
		last = New(public)
		last.tabulate()
	}
	if last.Verify(message, sig) != want {
		t.Fatalf("with its table the key says %v: key %x, signature %x", !want, public, sig)
	}
	if All([]Signature{beside, {last, message, sig}, beside}) != want {
		t.Fatalf("beside others the key says %v: key %x, signature %x", !want, public, sig)
	}
	return want
}

// Honest signatures hold, and do no more once a bit of anything is flipped.
func TestHonestSignatures(t *testing.T) {
	for i := range 8 {
		key := ed25519.NewKeyFromSeed(numbered(fmt.Sprint("seed ", i), 32))
		public, message := key.Public().(ed25519.PublicKey), numbered("message", 40*i)
		sig := ed25519.Sign(key, message)
		if !agree(t, public, message, sig) {
			t.Fatal("an honest signature is refused")
		}
		if !Known(key).Verify(message, sig) {
			t.Fatal("a known key refuses an honest signature")
		}
		for bit := range 8 * len(sig) {
			bad := bytes.Clone(sig)
			bad[bit/8] ^= 1 << (bit % 8)
			if agree(t, public, message, bad) || Known(key).Verify(message, bad) {
				t.Fatalf("bit %d of a signature does not matter", bit)
			}
		}
		for _, n := range []int{0, 32, 63, 65} {
			if agree(t, public, message, append(bytes.Clone(sig), 0)[:n]) || Known(key).Verify(message, append(bytes.Clone(sig), 0)[:n]) {
				t.Fatalf("a signature of %d bytes is accepted", n)
			}
		}
	}
}

// Keys and commitments with a component of small order are where verifiers differ.
func TestSmallOrderComponents(t *testing.T) {
	message := []byte("message")
	held, refused := 0, 0
	for i, inKey := range torsion(t) {
		for j, inR := range torsion(t) {
			for _, zero := range []bool{false, true} {
				a, r := scalar(fmt.Sprint("a ", i)), scalar(fmt.Sprint("r ", j))
				if zero {
					a = edwards25519.NewScalar()
				}
				public := new(edwards25519.Point).ScalarBaseMult(a)
				public.Add(public, inKey)
				commitment := new(edwards25519.Point).ScalarBaseMult(r)
				commitment.Add(commitment, inR)
				c := New(public.Bytes()).challenge(commitment.Bytes(), message)
				sig := append(commitment.Bytes(), c.MultiplyAdd(c, a, r).Bytes()...)
				if agree(t, public.Bytes(), message, sig) {
					held++
				} else {
					refused++
				}
			}
		}
	}
	if held < 2 || refused < 2 {
		t.Fatalf("%d hold and %d do not: nothing is compared", held, refused)
	}
}

// So are encodings that are not the canonical one, and scalars at their bound.
func TestEdgesOfEncodings(t *testing.T) {
	message := []byte("message")
	key := ed25519.NewKeyFromSeed(numbered("seed", 32))
	honest := ed25519.Sign(key, message)
	order := []byte{0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 31: 0x10}
	var points [][]byte
	for low := range 40 { // around the modulus of the field, with either sign
		for _, high := range []byte{0x7f, 0xff, 0x00, 0x80} {
			p := bytes.Repeat([]byte{0xff}, 32)
			if high&0x7f == 0 {
				p = make([]byte, 32)
			}
			p[0], p[31] = byte(0xe0+low), high
			points = append(points, p)
		}
	}
	for _, p := range points {
		for _, s := range [][]byte{make([]byte, 32), honest[32:], order, append([]byte{order[0] - 1}, order[1:]...)} {
			agree(t, p, message, append(bytes.Clone(p), s...))
			agree(t, p, message, append(bytes.Clone(honest[:32]), s...))
			agree(t, key.Public().(ed25519.PublicKey), message, append(bytes.Clone(p), s...))
		}
	}
	sum, carry := bytes.Clone(honest), 0
	for i := range 32 { // the same scalar modulo the order
		carry += int(honest[32+i]) + int(order[i])
		sum[32+i] = byte(carry)
		carry >>= 8
	}
	if agree(t, key.Public().(ed25519.PublicKey), message, sum) || Known(key).Verify(message, sum) {
		t.Fatal("a scalar has two forms")
	}
}

// A key that is asked often makes its table, and says the same.
func TestTableIsMade(t *testing.T) {
	key := ed25519.NewKeyFromSeed(numbered("seed", 32))
	message := []byte("message")
	sig := ed25519.Sign(key, message)
	k := New(key.Public().(ed25519.PublicKey))
	for i := range 2 * worthwhile {
		if made := k.minus.Load() != nil; made != (i >= worthwhile) {
			t.Fatalf("after %d signatures a table is there: %v", i, made)
		}
		if good := i%2 == 0; k.Verify(message[i%2:], sig) != good {
			t.Fatalf("signature %d: it does not say %v", i, good)
		}
	}
	if none := New(bytes.Repeat([]byte{2}, 31)); none.Verify(message, sig) {
		t.Fatal("31 bytes are a key")
	}
}

// Signatures that are verified together hold when each does: one that does not is found
// wherever it stands, whether its key has a table or not.
func TestOneOfAllDoesNotHold(t *testing.T) {
	var all []Signature
	for i := range 9 {
		private, message := ed25519.NewKeyFromSeed(numbered(fmt.Sprint("seed ", i), 32)), numbered("message", 40*i)
		key := New(private.Public().(ed25519.PublicKey))
		switch i % 3 {
		case 1:
			key.tabulate()
		case 2:
			key = Known(private)
		}
		all = append(all, Signature{key, message, ed25519.Sign(private, message)})
	}
	if !All(nil) || !All(all) {
		t.Fatal("honest signatures are refused")
	}
	for i := range all {
		for _, at := range []int{0, 31, 32, 63} {
			all[i].Sig[at] ^= 1
			if All(all) {
				t.Fatalf("byte %d of signature %d does not matter", at, i)
			}
			all[i].Sig[at] ^= 1
		}
		honest := all[i].Message
		all[i].Message = append([]byte{1}, honest...)
		if All(all) {
			t.Fatalf("message %d does not matter", i)
		}
		all[i].Message = honest
	}
	if !All(all) {
		t.Fatal("honest signatures are refused")
	}
}

func FuzzVerify(f *testing.F) {
	f.Add(numbered("seed", 32), []byte("message"), make([]byte, 64), true)
	f.Add(numbered("seed", 32), []byte{}, numbered("sig", 64), false)
	f.Fuzz(func(t *testing.T, key, message, flips []byte, derive bool) {
		if len(key) != 32 {
			return
		}
		if !derive {
			agree(t, key, message, flips)
			return
		}
		private := ed25519.NewKeyFromSeed(key)
		public := bytes.Clone(private.Public().(ed25519.PublicKey))
		sig := ed25519.Sign(private, message)
		for i := range min(len(flips), 96) {
			if i < 64 {
				sig[i] ^= flips[i]
			} else {
				public[i-64] ^= flips[i]
			}
		}
		agree(t, public, message, sig)
		if len(flips) <= 64 && Known(private).Verify(message, sig) != ed25519.Verify(public, message, sig) {
			t.Fatal("a known key says something else")
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	key := ed25519.NewKeyFromSeed(numbered("seed", 32))
	public, message := key.Public().(ed25519.PublicKey), numbered("message", 150)
	sig := ed25519.Sign(key, message)
	tabled := New(public)
	tabled.tabulate()
	base()
	run := func(name string, verify func() bool) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if !verify() {
					b.Fatal("an honest signature is refused")
				}
			}
		})
	}
	run("crypto-ed25519", func() bool { return ed25519.Verify(public, message, sig) })
	run("table", func() bool { return tabled.Verify(message, sig) })
	known := Known(key)
	run("known", func() bool { return known.Verify(message, sig) })
	note := []Signature{{known, message, sig}, {tabled, message, sig}, {tabled, message, sig}}
	run("known-and-two-tables", func() bool { return All(note) })
	b.Run("make-table", func(b *testing.B) {
		for b.Loop() {
			New(public).tabulate()
		}
	})
}
