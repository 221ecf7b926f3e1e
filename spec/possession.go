// SPDX-License-Identifier: Apache-2.0

package spec

import "crypto/ed25519"

// A Proof shows that its maker holds a private key: a signature by the key over
// the card that names it.
type Proof [ed25519.SignatureSize]byte

// proveCard is what the keys of a card sign: CBOR["tocsin.card.v1", card].
func proveCard(o *Organisation) []byte { return mustEncode([]any{"tocsin.card.v1", o}) }

// ProveCard signs a card with the three keys that it names, in the order op,
// cosign, libp2p.
func ProveCard(o *Organisation, op, cosign, libp2p ed25519.PrivateKey) []Proof {
	m := proveCard(o)
	return []Proof{Proof(ed25519.Sign(op, m)), Proof(ed25519.Sign(cosign, m)), Proof(ed25519.Sign(libp2p, m))}
}

// CheckCardProofs refuses with BAD_POSSESSION a card whose maker did not show that
// it holds the three keys: else it could name keys of others.
func CheckCardProofs(o *Organisation, proofs []Proof) error {
	keys := []PublicKey{o.OpKey, o.CosignKey, o.Libp2pKey}
	if len(proofs) != len(keys) {
		return Errorf(CodePossession, "a card carries a signature by each of its keys")
	}
	m := proveCard(o)
	for i, k := range keys {
		if !ed25519.Verify(k[:], m, proofs[i][:]) {
			return Errorf(CodePossession, "a key on the card did not sign it")
		}
	}
	return nil
}

// A KeyCard names a new key of an organisation, and is signed by it.
type KeyCard struct {
	_     struct{} `cbor:",toarray"`
	Org   string
	Use   uint64
	Key   PublicKey
	Proof Proof
}

// proveKey is what a new key signs: CBOR["tocsin.keycard.v1", organisation, use, key].
func proveKey(org string, use uint64, key PublicKey) []byte {
	return mustEncode([]any{"tocsin.keycard.v1", org, use, key})
}

// NewKeyCard signs the card of a new key with the key itself.
func NewKeyCard(org string, use uint64, key ed25519.PrivateKey) *KeyCard {
	c := &KeyCard{Org: org, Use: use, Key: PublicKey(key.Public().(ed25519.PublicKey))}
	c.Proof = Proof(ed25519.Sign(key, proveKey(org, use, c.Key)))
	return c
}

// Check refuses with BAD_POSSESSION a card that the key did not sign.
func (c *KeyCard) Check() error {
	if err := c.Key.Check(); err != nil {
		return err
	}
	if !ed25519.Verify(c.Key[:], proveKey(c.Org, c.Use, c.Key), c.Proof[:]) {
		return Errorf(CodePossession, "the new key did not sign its card")
	}
	return nil
}
