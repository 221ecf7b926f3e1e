// SPDX-License-Identifier: Apache-2.0

package spec_test

import (
	"bytes"
	"crypto/ed25519"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

// seed makes the same key in every run.
func seed(b byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, ed25519.SeedSize))
}

func public(b byte) spec.PublicKey { return spec.PublicKey(seed(b).Public().(ed25519.PublicKey)) }

func organisation(n byte, id, role, jurisdiction string) spec.Organisation {
	return spec.Organisation{
		ID: id, Name: "Organisation " + id, Role: role, Jurisdiction: jurisdiction,
		OpKey: public(3 * n), CosignKey: public(3*n + 1), Libp2pKey: public(3*n + 2),
	}
}

func genesis() *spec.Genesis {
	return &spec.Genesis{
		Version: spec.GenesisVersion, Name: "vectors", Policy: spec.DefaultPolicy(),
		Organisations: []spec.Organisation{
			organisation(1, "alpha", spec.RoleMember, "FR"), organisation(2, "bravo", spec.RoleMember, "GB"),
			organisation(3, "tango", spec.RoleReader, "DE"),
		},
	}
}

// opening has two signals of item 0, one of item 1, and a text.
func opening() *spec.Opening {
	opened := func(n byte, item int, typ string, size, quality int) spec.Opened {
		return spec.Opened{
			Salt: [spec.SaltSize]byte(bytes.Repeat([]byte{n}, spec.SaltSize)), Item: item,
			Signal: spec.Signal{Type: typ, Value: bytes.Repeat([]byte{n}, size), Quality: quality},
		}
	}
	return &spec.Opening{
		Signals: []spec.Opened{opened(0xa1, 0, "sha256", 32, 0), opened(0xa2, 0, "pdq", 32, 90), opened(0xa3, 1, "md5", 16, 0)},
		Texts:   []spec.Text{text("why"), {}},
	}
}

func text(s string) spec.Text {
	return spec.Text{Salt: bytes.Repeat([]byte{0x5a}, spec.SaltSize), Text: s}
}

func proposal() *spec.Proposal {
	o := opening()
	return &spec.Proposal{
		Items: []spec.Item{
			{Labels: []string{"propaganda", "video"}, Counts: []spec.Count{{Type: "sha256", Count: 1}, {Type: "pdq", Count: 1}}},
			{Labels: nil, Counts: []spec.Count{{Type: "md5", Count: 1}}},
		},
		Root: spec.CommitmentRoot(o.Signals), Basis: "designated-entity", Text: o.Texts[0].Hash(),
	}
}

// sign makes the envelope of a body by alpha.
func sign(t testing.TB, body spec.Body) []byte {
	t.Helper()
	op, err := spec.NewOp(body)
	if err != nil {
		t.Fatalf("%T: %v", body, err)
	}
	op.Org, op.Key, op.Seq, op.Epoch, op.MadeMS = "alpha", public(3).ID(), 7, 2, 1700000000000
	if op.Kind == spec.KindRecover {
		op.Seq, op.MadeMS = 0, 0
	}
	return signOp(t, op)
}

func signOp(t testing.TB, op *spec.Op) []byte {
	t.Helper()
	env, err := spec.Sign(genesis().Origin(), op, seed(3))
	if err != nil {
		t.Fatal(err)
	}
	return env
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	b, err := spec.Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
