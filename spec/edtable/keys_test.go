// SPDX-License-Identifier: Apache-2.0

package edtable

import (
	"crypto/ed25519"
	"fmt"
	"testing"
)

// However many keys come, few are kept, and each verifies its own signatures alone.
func TestKeysAreKeptWithinBounds(t *testing.T) {
	keys := Keys{Max: 3}
	message := []byte("message")
	for round := range 2 * worthwhile {
		for i := range 5 {
			private := ed25519.NewKeyFromSeed(numbered(fmt.Sprint("seed ", i), ed25519.SeedSize))
			public := [ed25519.PublicKeySize]byte(private.Public().(ed25519.PublicKey))
			sig := ed25519.Sign(private, message)
			if !keys.Of(public).Verify(message, sig) {
				t.Fatalf("round %d: the signature of key %d does not hold", round, i)
			}
			public[0] ^= 1
			if keys.Of(public).Verify(message, sig) {
				t.Fatalf("round %d: the signature of key %d holds for another", round, i)
			}
			if len(keys.known) > keys.Max {
				t.Fatalf("%d keys are kept, want %d at most", len(keys.known), keys.Max)
			}
		}
	}
}

func TestAKeyIsKept(t *testing.T) {
	keys := Keys{Max: 1}
	public := [ed25519.PublicKeySize]byte(ed25519.NewKeyFromSeed(numbered("seed", ed25519.SeedSize)).Public().(ed25519.PublicKey))
	if one, two := keys.Of(public), keys.Of(public); one != two {
		t.Error("a key that was just asked for is another")
	}
}
