// SPDX-License-Identifier: Apache-2.0

package p2p

import (
	"crypto/ed25519"
	"fmt"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/tocsin-db/tocsin/spec"
)

// A PeerID names a node by its transport key, in the base58 text form that the
// libp2p peer-id specification gives to Ed25519 keys. It conveys no authority
// over operations.
type PeerID string

// IDFromPublicKey derives the id of the node that holds the private half of key.
func IDFromPublicKey(key ed25519.PublicKey) (PeerID, error) {
	pub, err := crypto.UnmarshalEd25519PublicKey(key)
	if err != nil {
		return "", spec.Errorf(spec.CodeMalformed, "a transport key is %d bytes of Ed25519", ed25519.PublicKeySize)
	}
	id, err := peer.IDFromPublicKey(pub)
	if err != nil {
		return "", fmt.Errorf("deriving a peer id: %w", err)
	}
	return PeerID(id.String()), nil
}

// PrivateKey makes the transport key from its 32-byte Ed25519 seed (RFC 8032).
func PrivateKey(seed []byte) (ed25519.PrivateKey, error) {
	if len(seed) != ed25519.SeedSize {
		return nil, spec.Errorf(spec.CodeMalformed, "a transport seed is %d bytes, not %d", ed25519.SeedSize, len(seed))
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// Valid returns MALFORMED unless id is the text form of a peer id.
func (id PeerID) Valid() error {
	_, err := id.decode()
	return err
}

func (id PeerID) decode() (peer.ID, error) {
	p, err := peer.Decode(string(id))
	if err != nil || p.String() != string(id) {
		return "", spec.Errorf(spec.CodeMalformed, "not a peer id")
	}
	return p, nil
}

func idOf(p peer.ID) PeerID { return PeerID(p.String()) }
