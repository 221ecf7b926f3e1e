// SPDX-License-Identifier: Apache-2.0

package tlog

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"github.com/transparency-dev/formats/note"
	sumnote "golang.org/x/mod/sumdb/note"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/edtable"
)

// Types of keys in signed notes (C2SP signed-note).
const (
	keyEd25519     = 0x01
	keyCosignature = 0x04
)

// LogKey is the key that signs every checkpoint of an origin. Anyone can derive
// it, so its signature conveys no authority: it stands there because stock tools
// expect a log to have a key. What counts are cosignatures.
func LogKey(origin string) ed25519.PrivateKey {
	b, err := spec.Encode([]any{"tocsin.logkey.v1", origin})
	if err != nil {
		panic(err) // two strings always encode
	}
	seed := sha256.Sum256(b)
	return ed25519.NewKeyFromSeed(seed[:])
}

// LogVerifierKey is the public half of LogKey as stock tools take it.
func LogVerifierKey(origin string) string {
	return verifierKey(origin, keyEd25519, LogKey(origin).Public().(ed25519.PublicKey))
}

// CosignerName is the name under which an organisation cosigns.
func CosignerName(origin, org string) string { return origin + "/" + org }

// CosignerVerifierKey is an organisation's cosign key as stock tools take it.
func CosignerVerifierKey(origin string, s spec.Seat) string {
	return verifierKey(CosignerName(origin, s.Org), keyCosignature, s.Key[:])
}

func verifierKey(name string, kind byte, key []byte) string {
	typed := append([]byte{kind}, key...)
	return fmt.Sprintf("%s+%08x+%s", name, keyHash(name, typed), base64.StdEncoding.EncodeToString(typed))
}

// keyHash is how a note refers to a key: the first four bytes of
// SHA-256(name ‖ "\n" ‖ type ‖ key).
func keyHash(name string, typed []byte) uint32 {
	h := sha256.Sum256(append([]byte(name+"\n"), typed...))
	return binary.BigEndian.Uint32(h[:])
}

// logVerifier verifies the log key's signatures.
func logVerifier(origin string) sumnote.Verifier {
	v, err := sumnote.NewVerifier(LogVerifierKey(origin))
	if err != nil {
		return nil // the origin cannot be a name: NewPanel refuses it
	}
	return tabled{v, edtable.Known(LogKey(origin)), func(text, sig []byte) ([]byte, []byte) { return text, sig }}
}

func cosignVerifier(origin string, s spec.Seat) (sumnote.Verifier, error) {
	v, err := note.NewVerifierForCosignatureV1(CosignerVerifierKey(origin, s))
	if err != nil {
		return nil, spec.Errorf(spec.CodeGenesis, "the origin or an organisation's id cannot stand in a signed note: %w", err)
	}
	return tabled{v, edtable.New(s.Key[:]), timed}, nil
}

// tabled verifies the signatures of a key that is met again and again. split finds in
// what a note carries what was signed, and the Ed25519 signature.
type tabled struct {
	sumnote.Verifier
	key   *edtable.Key
	split func(text, carried []byte) (message, sig []byte)
}

func (t tabled) Verify(text, carried []byte) bool {
	message, sig := t.split(text, carried)
	return t.key.Verify(message, sig)
}

// A gathering finds the verifiers of a panel for one note, and gathers what they are to
// verify: together that takes less time. Nothing is verified before hold is called.
type gathering struct {
	sumnote.Verifiers
	of []edtable.Signature
}

// Verifier implements sumnote.Verifiers.
func (g *gathering) Verifier(name string, hash uint32) (sumnote.Verifier, error) {
	v, err := g.Verifiers.Verifier(name, hash)
	if t, ok := v.(tabled); ok {
		return gathered{t, g}, err
	}
	return v, err
}

// hold reports whether all that was gathered holds.
func (g *gathering) hold() bool { return edtable.All(g.of) }

// gathered leaves it to the gathering to verify.
type gathered struct {
	tabled
	to *gathering
}

func (g gathered) Verify(text, carried []byte) bool {
	message, sig := g.split(text, carried)
	g.to.of = append(g.to.of, edtable.Signature{Key: g.key, Message: message, Sig: sig})
	return true
}

// timed splits a cosignature: time ‖ signature. What is shorter has none.
func timed(text, carried []byte) (message, sig []byte) {
	if len(carried) < 8 {
		return nil, nil
	}
	return cosignedText(text, binary.BigEndian.Uint64(carried)), carried[8:]
}

// fixed is a signer whose one signature is known already.
type fixed struct {
	name string
	hash uint32
	sig  []byte
}

func (f fixed) Name() string                { return f.name }
func (f fixed) KeyHash() uint32             { return f.hash }
func (f fixed) Sign([]byte) ([]byte, error) { return f.sig, nil }

var _ sumnote.Signer = fixed{}
