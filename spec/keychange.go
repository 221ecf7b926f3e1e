// SPDX-License-Identifier: Apache-2.0

package spec

// Uses of a key.
const (
	UseOp     uint64 = 1
	UseCosign uint64 = 2
	UseLibp2p uint64 = 3
)

// MaxOpKeys bounds the op keys of one organisation.
const MaxOpKeys = 16

// A KeyChange asks to give an organisation a new key, to revoke one, or both at
// once. An organisation has several op keys and one of each other use.
type KeyChange struct {
	_      struct{} `cbor:",toarray"`
	Org    string
	Use    uint64
	New    []PublicKey // one or none
	Proof  []Proof     // that the new key is held: its signature, or none
	Old    []PublicKey // one op key to revoke, or none
	Since  uint64      // log index from which operations of the old key are doubted, 0: none are
	Reason string
	Text   []byte // salted hash, or empty
}

// Kind implements Body.
func (*KeyChange) Kind() uint64 { return KindKey }

// TextHashes implements Body.
func (k *KeyChange) TextHashes() [][]byte { return [][]byte{k.Text} }

// Check implements Body.
func (k *KeyChange) Check() error {
	switch {
	case !orgID.MatchString(k.Org):
		return Errorf(CodeCard, "a key change names an organisation")
	case k.Use < UseOp || k.Use > UseLibp2p:
		return Errorf(CodeMalformed, "a key is for operations, cosigning or transport")
	case len(k.New) > 1 || len(k.Old) > 1 || len(k.New)+len(k.Old) == 0:
		return Errorf(CodeMalformed, "a key change has a new key, an old one, or one of each")
	case k.Use != UseOp && (len(k.New) != 1 || len(k.Old) != 0):
		return Errorf(CodeMalformed, "a cosign or transport key is replaced by naming the new one")
	case k.Since != 0 && len(k.Old) == 0:
		return Errorf(CodeMalformed, "only operations of a revoked key are doubted")
	}
	if len(k.Proof) != len(k.New) {
		return Errorf(CodePossession, "a new key signs its card")
	}
	for i, n := range k.New {
		if err := (&KeyCard{Org: k.Org, Use: k.Use, Key: n, Proof: k.Proof[i]}).Check(); err != nil {
			return err
		}
	}
	if err := checkReason(k.Reason); err != nil {
		return err
	}
	return checkTextHashes(k.Text)
}
