// SPDX-License-Identifier: Apache-2.0

package spec

// A PolicyChange asks to put another policy in the place of the one in force.
type PolicyChange struct {
	_      struct{} `cbor:",toarray"`
	Over   Hash     // digest of the policy that it replaces
	Policy Policy
	Text   []byte // salted hash, or empty
}

// Kind implements Body.
func (*PolicyChange) Kind() uint64 { return KindPolicy }

// TextHashes implements Body.
func (p *PolicyChange) TextHashes() [][]byte { return [][]byte{p.Text} }

// Check implements Body.
func (p *PolicyChange) Check() error {
	if err := p.Policy.Check(); err != nil {
		return err
	}
	return checkTextHashes(p.Text)
}

// MaxAllowed bounds the values of one type on the consortium's allow-list.
const MaxAllowed = 2048

// An Allowed value is of content known to be lawful.
type Allowed struct {
	_     struct{} `cbor:",toarray"`
	Type  string
	Value []byte
}

// An AllowChange asks to change the consortium's allow-list: values of lawful
// content, in the open, to which no listing may come near unless a vote says so.
type AllowChange struct {
	_      struct{}  `cbor:",toarray"`
	Add    []Allowed // sorted by type and value, each once
	Remove []Allowed // the same
	Reason string
	Text   []byte // salted hash, or empty
}

// Kind implements Body.
func (*AllowChange) Kind() uint64 { return KindAllow }

// TextHashes implements Body.
func (a *AllowChange) TextHashes() [][]byte { return [][]byte{a.Text} }

// Check implements Body.
func (a *AllowChange) Check() error {
	if n := len(a.Add) + len(a.Remove); n == 0 || n > MaxItems {
		return Errorf(CodeTooLarge, "a change of the allow-list has 1 to %d values", MaxItems)
	}
	for _, list := range [][]Allowed{a.Add, a.Remove} {
		for i, v := range list {
			t, ok := SignalTypeOf(v.Type)
			if !ok {
				return Errorf(CodeSignalType, "no signal type of this name is known")
			}
			if t.Size == 0 || len(v.Value) != t.Size {
				return Errorf(CodeSignal, "a value on the allow-list is of a type of fixed size and has that size")
			}
			if i > 0 && list[i-1].Type+string(list[i-1].Value) >= v.Type+string(v.Value) {
				return Errorf(CodeMalformed, "values of the allow-list are sorted, each once")
			}
		}
	}
	if err := checkReason(a.Reason); err != nil {
		return err
	}
	return checkTextHashes(a.Text)
}
