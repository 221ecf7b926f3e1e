// SPDX-License-Identifier: Apache-2.0

package lanes

import (
	"crypto/sha256"
	"math/rand/v2"
	"testing"
)

// TestEveryLength hashes messages of every length up to several blocks, in any
// order and number, and compares each with the standard library.
func TestEveryLength(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, narrow := range []bool{false, true} {
		q := Queue{narrow: narrow}
		for round := range 200 {
			n := 1 + rng.IntN(50)
			got, want := make([][32]byte, n), make([][32]byte, n)
			for i := range got {
				m := make([]byte, (round*50+i)%700)
				for k := range m {
					m[k] = byte(rng.Uint32())
				}
				want[i] = sha256.Sum256(m)
				cut := rng.IntN(len(m) + 1)
				q.Add(&got[i], m[:cut], m[cut:])
				clear(m) // it was copied
			}
			q.Flush()
			for i := range got {
				if got[i] != want[i] {
					t.Fatalf("narrow %v, round %d: message %d has another hash", narrow, round, i)
				}
			}
		}
	}
}

// TestNodes hashes inner nodes among other messages.
func TestNodes(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for _, narrow := range []bool{false, true} {
		q := Queue{narrow: narrow}
		for range 50 {
			n := 1 + rng.IntN(60)
			got, want := make([][32]byte, 2*n), make([][32]byte, 2*n)
			for i := range n {
				var left, right [32]byte
				for k := range left {
					left[k], right[k] = byte(rng.Uint32()), byte(rng.Uint32())
				}
				prefix := byte(rng.Uint32())
				m := append(append([]byte{prefix}, left[:]...), right[:]...)
				want[2*i], want[2*i+1] = sha256.Sum256(m), sha256.Sum256(m[:64])
				q.AddNode(&got[2*i], prefix, &left, &right)
				q.Add(&got[2*i+1], m[:64])
			}
			q.Flush()
			for i := range got {
				if got[i] != want[i] {
					t.Fatalf("narrow %v: message %d has another hash", narrow, i)
				}
			}
		}
	}
}

func FuzzQueue(f *testing.F) {
	f.Add([]byte{}, byte(0), byte(1))
	f.Add(make([]byte, 55), byte(3), byte(17))
	f.Fuzz(func(t *testing.T, message []byte, cut, copies byte) {
		var q Queue
		got := make([][32]byte, copies)
		at := min(int(cut), len(message))
		for i := range got {
			q.Add(&got[i], message[:at], message[at:])
		}
		q.Flush()
		for i := range got {
			if got[i] != sha256.Sum256(message) {
				t.Fatalf("copy %d has another hash", i)
			}
		}
	})
}

func BenchmarkLanes(b *testing.B) {
	var left, right, out [32]byte
	for _, narrow := range []bool{false, true} {
		b.Run(map[bool]string{false: "wide", true: "narrow"}[narrow], func(b *testing.B) {
			q := Queue{narrow: narrow}
			for b.Loop() {
				q.AddNode(&out, 1, &left, &right)
			}
		})
	}
}
