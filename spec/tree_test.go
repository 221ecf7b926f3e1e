// SPDX-License-Identifier: Apache-2.0

package spec_test

import (
	"encoding/binary"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

// rootOf is the recursive definition of RFC 6962 §2.1, one hash at a time.
func rootOf(leaves []spec.Hash) spec.Hash {
	if len(leaves) == 1 {
		return leaves[0]
	}
	k := 1
	for 2*k < len(leaves) {
		k *= 2
	}
	return spec.NodeHash(rootOf(leaves[:k]), rootOf(leaves[k:]))
}

// signalsFor makes n signals of every form in which a commitment can be opened.
func signalsFor(n int) []spec.Opened {
	signals := make([]spec.Opened, n)
	for i := range signals {
		value := make([]byte, 1+i*7%300) // keys of one block and of several
		binary.BigEndian.PutUint32(signals[i].Salt[:], uint32(i))
		value[0] = byte(i)
		o := spec.Opened{Salt: signals[i].Salt, Item: i % 256, Signal: spec.Signal{Type: "sha256", Value: value, Quality: i % 101}}
		switch i % 5 {
		case 3:
			o = spec.Opened{Salt: o.Salt, Item: o.Item, Keyed: true, Key: o.Signal.Key(), Signal: spec.Signal{Quality: i % 101}}
		case 4:
			o = spec.Opened{Erased: true, Blinded: o.Commitment()}
		}
		signals[i] = o
	}
	return signals
}

// TestRootsOfEverySize compares roots of which many nodes are hashed together with
// those of the definition, below and above where that begins.
func TestRootsOfEverySize(t *testing.T) {
	for n := 1; n < 140; n++ {
		signals := signalsFor(n)
		leaves := make([]spec.Hash, n)
		for i, s := range signals {
			c := s.Commitment()
			leaves[i] = spec.LeafHash(c[:])
		}
		want := rootOf(leaves)
		if got := spec.CommitmentRoot(signals); got != want {
			t.Fatalf("%d signals: root %x, want %x", n, got, want)
		}
		if got := spec.TreeRoot(leaves); got != want {
			t.Fatalf("%d leaves: root %x, want %x", n, got, want)
		}
	}
	if spec.CommitmentRoot(nil) != spec.EmptyRoot || spec.TreeRoot(nil) != spec.EmptyRoot {
		t.Fatal("no leaves have another root than that of nothing")
	}
}
