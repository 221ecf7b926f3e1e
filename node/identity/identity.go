// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tocsin-db/tocsin/node/durable"
	"github.com/tocsin-db/tocsin/spec"
)

const cardFile = "card.json"

// An Identity is an organisation with its private keys.
type Identity struct {
	Organisation       spec.Organisation
	Op, Cosign, Libp2p ed25519.PrivateKey
	Addresses          []string                        // libp2p multiaddrs; hints
	more               map[uint64][]ed25519.PrivateKey // further keys, by use
}

// Details are what an organisation says of itself when its keys are made.
type Details struct {
	ID           string
	Name         string
	Role         string
	Jurisdiction string   // ISO 3166-1, two capital letters
	Addresses    []string // libp2p multiaddrs
}

// Create makes the keys and the card of an organisation in dir, which it makes
// too. Where there is an identity already it fails with fs.ErrExist and changes
// nothing; a Create that was interrupted is completed with the keys made then.
func Create(dir string, d Details, rand io.Reader) (*Identity, error) {
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	if Exists(dir) {
		return nil, spec.Errorf(spec.CodeUsage, "%s holds an organisation's card already: %w", dir, fs.ErrExist)
	}
	keys, err := loadKeys(dir)
	fresh := errors.Is(err, fs.ErrNotExist)
	if fresh {
		keys, err = newKeys(rand)
	}
	if err != nil {
		return nil, err
	}
	id := assemble(keys, d)
	card := id.Card()
	if err := card.Check(); err != nil {
		return nil, err
	}
	if fresh {
		if err := keys.save(dir); err != nil {
			return nil, fmt.Errorf("saving the keys: %w", err)
		}
	}
	return id, id.saveCard(dir)
}

func assemble(keys keySet, d Details) *Identity {
	return &Identity{
		Organisation: spec.Organisation{
			ID: d.ID, Name: d.Name, Role: d.Role, Jurisdiction: d.Jurisdiction,
			OpKey: publicKey(keys[0]), CosignKey: publicKey(keys[1]), Libp2pKey: publicKey(keys[2]),
		},
		Op: keys[0], Cosign: keys[1], Libp2p: keys[2],
		Addresses: d.Addresses, more: map[uint64][]ed25519.PrivateKey{},
	}
}

// Exists reports whether dir holds a card.
func Exists(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, cardFile))
	return err == nil
}

// Load reads the identity in dir. It fails with fs.ErrNotExist when there is
// none, with DENIED when others can read the keys, and with BAD_CARD or CORRUPT
// when card and keys do not belong together.
func Load(dir string) (*Identity, error) {
	data, err := readFile(filepath.Join(dir, cardFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, spec.Errorf(spec.CodeUsage, "%s holds no organisation: %w", dir, fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	card, err := ParseCard(data)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", cardFile, err)
	}
	keys, err := loadKeys(dir)
	if err != nil {
		return nil, err
	}
	o := card.Organisation
	id := assemble(keys, Details{ID: o.ID, Name: o.Name, Role: o.Role, Jurisdiction: o.Jurisdiction, Addresses: card.Addresses})
	if id.more, err = loadFurther(dir); err != nil {
		return nil, err
	}
	for _, key := range []spec.PublicKey{o.OpKey, o.CosignKey, o.Libp2pKey} {
		_ = id.take(key) // what is not held is told next
	}
	if id.Organisation != o {
		return nil, spec.Errorf(spec.CodeCard, "the keys in %s are not those of its card", dir)
	}
	return id, nil
}

// Held returns the private keys that the data directory holds for a use: that of
// the card, and those that were made to follow it.
func (id *Identity) Held(use uint64) []ed25519.PrivateKey {
	first := map[uint64]ed25519.PrivateKey{spec.UseOp: id.Op, spec.UseCosign: id.Cosign, spec.UseLibp2p: id.Libp2p}[use]
	return append([]ed25519.PrivateKey{first}, id.more[use]...)
}

// Public returns the public halves of Held.
func (id *Identity) Public(use uint64) []spec.PublicKey {
	var out []spec.PublicKey
	for _, k := range id.Held(use) {
		out = append(out, publicKey(k))
	}
	return out
}

// Card returns the public part.
func (id *Identity) Card() *Card {
	o := id.Organisation
	return &Card{Organisation: o, Proofs: spec.ProveCard(&o, id.Op, id.Cosign, id.Libp2p), Addresses: id.Addresses}
}

// SetAddresses changes the hints on the card in dir.
func (id *Identity) SetAddresses(dir string, addresses []string) error {
	if err := checkAddresses(addresses); err != nil {
		return err
	}
	id.Addresses = addresses
	return id.saveCard(dir)
}

func (id *Identity) saveCard(dir string) error {
	b, err := id.Card().Marshal()
	if err == nil {
		err = durable.Replace(filepath.Join(dir, cardFile), b, 0o644)
	}
	if err != nil {
		return fmt.Errorf("saving the card: %w", err)
	}
	return nil
}
