// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"bytes"
	"crypto/ed25519"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

// verifier knows a consortium of one made-up member.
func verifier(t testing.TB) *Verifier {
	t.Helper()
	key := func(b byte) spec.PublicKey {
		return spec.PublicKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, ed25519.SeedSize)).Public().(ed25519.PublicKey))
	}
	v, err := NewVerifier(&spec.Genesis{
		Version: spec.GenesisVersion, Name: "trial", Policy: spec.DefaultPolicy(),
		Organisations: []spec.Organisation{{ID: "alpha", Name: "Alpha", Role: spec.RoleMember, Jurisdiction: "FR", OpKey: key(1), CosignKey: key(2), Libp2pKey: key(3)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func FuzzVerify(f *testing.F) {
	b, err := (&Receipt{Version: Version, Note: []byte("note"), Leaves: []Leaf{{Index: 1, Bytes: []byte{1}}}, Records: []Record{{Key: []byte("k")}}, Signal: []Signal{{Type: "pdq"}}}).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	v := verifier(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if fact, err := v.Verify(data); err == nil {
			t.Fatalf("a receipt without a cosignature says %+v", fact)
		} else if spec.CodeOf(err) == "" {
			t.Fatalf("an error without a code: %v", err)
		}
		if r, err := Parse(data); err == nil {
			if again, err := r.Encode(); err != nil || !bytes.Equal(again, data) {
				t.Fatal("a receipt does not write back as it was read")
			}
		}
	})
}

func FuzzVerifyAbsence(f *testing.F) {
	b, err := (&Absence{Version: Version, Type: "md5", Value: make([]byte, 16), Before: []Neighbour{{}}}).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	v := verifier(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if fact, err := v.VerifyAbsence(data); err == nil {
			t.Fatalf("a receipt without a cosignature says %+v", fact)
		}
	})
}
