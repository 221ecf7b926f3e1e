// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"bytes"
	"encoding/json"
	"io"

	"github.com/multiformats/go-multiaddr"

	"github.com/tocsin-db/tocsin/spec"
)

// maxAddresses bounds the addresses of one organisation.
const maxAddresses = 32

// A Card is what an organisation shows of itself: the part that is enrolled and,
// beside it, where its node may be reached. Addresses are libp2p multiaddrs
// without a peer id; they are hints, never signed.
type Card struct {
	spec.Organisation
	Proofs    []spec.Proof // that the three keys are held
	Addresses []string
}

type cardJSON struct {
	ID           string   `json:"id"`
	Name         string   `json:"name"`
	Role         string   `json:"role"`
	Jurisdiction string   `json:"jurisdiction"`
	Keys         keysJSON `json:"keys"`
	Proofs       keysJSON `json:"proofs"`
	Addresses    []string `json:"addresses"`
}

// keysJSON holds public keys, or signatures by them, in base64.
type keysJSON struct {
	Op     []byte `json:"op"`
	Cosign []byte `json:"cosign"`
	Libp2p []byte `json:"libp2p"`
}

// MarshalJSON implements json.Marshaler.
func (c Card) MarshalJSON() ([]byte, error) {
	o := c.Organisation
	j := cardJSON{
		ID: o.ID, Name: o.Name, Role: o.Role, Jurisdiction: o.Jurisdiction,
		Keys:      keysJSON{o.OpKey[:], o.CosignKey[:], o.Libp2pKey[:]},
		Addresses: append([]string{}, c.Addresses...),
	}
	if p := c.Proofs; len(p) == 3 {
		j.Proofs = keysJSON{p[0][:], p[1][:], p[2][:]}
	}
	return json.Marshal(j)
}

// UnmarshalJSON implements json.Unmarshaler. It refuses unknown fields and cards
// that could not be enrolled.
func (c *Card) UnmarshalJSON(data []byte) error {
	var j cardJSON
	if err := decodeStrict(data, &j); err != nil {
		return err
	}
	o := spec.Organisation{ID: j.ID, Name: j.Name, Role: j.Role, Jurisdiction: j.Jurisdiction}
	keys := [3][]byte{j.Keys.Op, j.Keys.Cosign, j.Keys.Libp2p}
	for i, to := range []*spec.PublicKey{&o.OpKey, &o.CosignKey, &o.Libp2pKey} {
		if len(keys[i]) != len(to) {
			return spec.Errorf(spec.CodeCard, "the %s key of a card has %d bytes, not %d", keyNames[i], len(to), len(keys[i]))
		}
		copy(to[:], keys[i])
	}
	*c = Card{Organisation: o, Addresses: j.Addresses}
	for i, b := range [3][]byte{j.Proofs.Op, j.Proofs.Cosign, j.Proofs.Libp2p} {
		var p spec.Proof
		if len(b) != len(p) {
			return spec.Errorf(spec.CodePossession, "the %s key did not sign the card", keyNames[i])
		}
		c.Proofs = append(c.Proofs, spec.Proof(b))
	}
	return c.Check()
}

// Check refuses a card that could not be enrolled.
func (c *Card) Check() error {
	if err := c.Organisation.Check(); err != nil {
		return err
	}
	if err := spec.CheckCardProofs(&c.Organisation, c.Proofs); err != nil {
		return err
	}
	return checkAddresses(c.Addresses)
}

func checkAddresses(addresses []string) error {
	if len(addresses) > maxAddresses {
		return spec.Errorf(spec.CodeCard, "an organisation has at most %d addresses", maxAddresses)
	}
	for _, a := range addresses {
		if _, err := multiaddr.NewMultiaddr(a); err != nil || len(a) > 512 {
			return spec.Errorf(spec.CodeCard, "%.64q is not a multiaddr such as /dns/node.example.org/tcp/7230", a)
		}
	}
	return nil
}

// ParseCard reads a card in JSON.
func ParseCard(data []byte) (*Card, error) {
	if len(data) > maxFile {
		return nil, spec.Errorf(spec.CodeTooLarge, "a card has at most %d bytes", maxFile)
	}
	c := new(Card)
	if err := c.UnmarshalJSON(data); err != nil {
		return nil, err
	}
	return c, nil
}

// Marshal returns the card as readable JSON with a line end.
func (c *Card) Marshal() ([]byte, error) { return readable(c) }

func readable(v any) ([]byte, error) {
	b, err := json.MarshalIndent(v, "", "  ")
	return append(b, '\n'), err
}

// decodeStrict reads exactly one JSON value without unknown fields.
func decodeStrict(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			return spec.Errorf(spec.CodeMalformed, "there is more after the JSON object")
		}
		return nil
	}
	if spec.CodeOf(err) != "" {
		return err
	}
	return spec.Errorf(spec.CodeMalformed, "not the JSON that was expected: %w", err)
}
