// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"slices"

	"filippo.io/edwards25519"
)

// Roles of an organisation.
const (
	RoleMember   = "member"
	RoleReader   = "reader"
	RoleReferrer = "referrer"
	RoleAuditor  = "auditor"
)

// GenesisVersion is the version of the founding document described here.
const GenesisVersion = 1

// MaxOrganisations bounds a genesis document.
const MaxOrganisations = 256

// PublicKey is an Ed25519 public key (RFC 8032).
type PublicKey [ed25519.PublicKeySize]byte

// An Organisation is a participant with its three keys: Op signs operations and
// carries all authority, Cosign cosigns checkpoints, Libp2p secures transport.
type Organisation struct {
	_            struct{} `cbor:",toarray"`
	ID           string
	Name         string
	Role         string
	Jurisdiction string
	OpKey        PublicKey
	CosignKey    PublicKey
	Libp2pKey    PublicKey
}

var (
	orgID        = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$`)
	jurisdiction = regexp.MustCompile(`^[A-Z]{2}$`)
	originName   = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9.-]{0,62}[a-z0-9])?$`)
)

// Check refuses a card that cannot be enrolled, with BAD_CARD or WEAK_KEY.
func (o *Organisation) Check() error {
	switch {
	case !orgID.MatchString(o.ID):
		return Errorf(CodeCard, "an organisation's id is 1 to 32 lower-case letters, digits and inner hyphens")
	case o.Name == "" || len(o.Name) > 128 || !plainText(o.Name):
		return Errorf(CodeCard, "an organisation's name is 1 to 128 bytes of plain text")
	case !jurisdiction.MatchString(o.Jurisdiction):
		return Errorf(CodeCard, "a jurisdiction is an ISO 3166-1 code of two capital letters")
	case !validRole(o.Role):
		return Errorf(CodeCard, "a role is one of member, reader, referrer, auditor")
	case o.OpKey == o.CosignKey || o.OpKey == o.Libp2pKey || o.CosignKey == o.Libp2pKey:
		return Errorf(CodeCard, "the three keys of an organisation differ")
	}
	for _, k := range []PublicKey{o.OpKey, o.CosignKey, o.Libp2pKey} {
		if err := k.Check(); err != nil {
			return err
		}
	}
	return nil
}

func validRole(r string) bool {
	return r == RoleMember || r == RoleReader || r == RoleReferrer || r == RoleAuditor
}

// Check refuses keys that are not a canonical point or lie in the small
// subgroup: for those, one signature can hold for many messages.
func (k PublicKey) Check() error {
	p, err := new(edwards25519.Point).SetBytes(k[:])
	if err != nil || string(p.Bytes()) != string(k[:]) {
		return Errorf(CodeWeakKey, "a public key is not the canonical encoding of a point")
	}
	if new(edwards25519.Point).MultByCofactor(p).Equal(edwards25519.NewIdentityPoint()) == 1 {
		return Errorf(CodeWeakKey, "a public key has small order")
	}
	return nil
}

// ID is the short name of a key inside its organisation: the first eight bytes
// of a hash of it.
func (k PublicKey) ID() KeyID {
	h := hashOf("tocsin.key.v1", k)
	return KeyID(h[:8])
}

// KeyID names one op key of an organisation.
type KeyID [8]byte

// String returns 16 hex digits.
func (k KeyID) String() string { return hex.EncodeToString(k[:]) }

// Genesis is the founding document. Its hash names the consortium.
type Genesis struct {
	_             struct{} `cbor:",toarray"`
	Version       uint64
	Name          string
	Policy        Policy
	Organisations []Organisation
}

// Check refuses a document that could not found a consortium.
func (g *Genesis) Check() error {
	if g.Version != GenesisVersion {
		return Errorf(CodeVersion, "genesis version %d is not known here", g.Version)
	}
	if !originName.MatchString(g.Name) {
		return Errorf(CodeGenesis, "a consortium's name is 1 to 64 lower-case letters, digits, inner dots and hyphens")
	}
	if err := g.Policy.Check(); err != nil {
		return err
	}
	if len(g.Organisations) == 0 || len(g.Organisations) > MaxOrganisations {
		return Errorf(CodeGenesis, "a consortium is founded by 1 to %d organisations", MaxOrganisations)
	}
	return g.checkOrganisations()
}

func (g *Genesis) checkOrganisations() error {
	keys := map[PublicKey]bool{}
	last, members := "", []string{}
	for i := range g.Organisations {
		o := &g.Organisations[i]
		if err := o.Check(); err != nil {
			return err
		}
		if o.ID <= last {
			return Errorf(CodeGenesis, "organisations stand in the order of their ids, each once")
		}
		last = o.ID
		if o.Role == RoleMember {
			members = append(members, o.ID)
		}
		for _, k := range []PublicKey{o.OpKey, o.CosignKey, o.Libp2pKey} {
			if keys[k] {
				return Errorf(CodeGenesis, "no key serves twice")
			}
			keys[k] = true
		}
	}
	if len(members) == 0 {
		return Errorf(CodeGenesis, "a consortium has at least one member")
	}
	for _, id := range g.Policy.Sequencers {
		if !slices.Contains(members, id) {
			return Errorf(CodeGenesis, "a sequencer is a member")
		}
	}
	return nil
}

// Encode returns the canonical bytes of a checked document.
func (g *Genesis) Encode() ([]byte, error) {
	if err := g.Check(); err != nil {
		return nil, err
	}
	return Encode(g)
}

// ParseGenesis reads and checks the canonical bytes of a document.
func ParseGenesis(data []byte) (*Genesis, error) {
	if len(data) > MaxRaftEntry {
		return nil, Errorf(CodeTooLarge, "a genesis document is at most %d bytes", MaxRaftEntry)
	}
	var g Genesis
	if err := Decode(data, &g); err != nil {
		return nil, err
	}
	return &g, g.Check()
}

// Hash is SHA-256 over the canonical bytes.
func (g *Genesis) Hash() Hash { return sha256.Sum256(mustEncode(g)) }

// Origin names the consortium for ever: name ‖ "/" ‖ the first 16 hex digits of
// the document's hash. Every signature covers it.
func (g *Genesis) Origin() string { return g.Name + "/" + g.Hash().String()[:16] }

// Member returns the founding member of this id.
func (g *Genesis) Member(id string) (Organisation, bool) {
	for _, o := range g.Organisations {
		if o.ID == id {
			return o, true
		}
	}
	return Organisation{}, false
}

// plainText reports whether s has no control characters and no characters that
// change the direction of the text around them.
func plainText(s string) bool {
	for _, r := range s {
		switch {
		case r < 0x20, r >= 0x7f && r < 0xa0, r == 0xfffd, r == 0x2028, r == 0x2029:
			return false
		case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x200e, r == 0x200f, r == 0x61c:
			return false
		}
	}
	return true
}
