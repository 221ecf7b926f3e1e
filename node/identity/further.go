// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tocsin-db/tocsin/node/durable"
	"github.com/tocsin-db/tocsin/spec"
)

// UseNames are the words for the uses of keys.
var UseNames = map[uint64]string{spec.UseOp: "op", spec.UseCosign: "cosign", spec.UseLibp2p: "libp2p"}

// AddKey makes a further key of the organisation in dir, keeps it beside the
// others, and returns its card. The node takes it once a case decided on it.
func AddKey(dir string, use uint64, rand io.Reader) (*spec.KeyCard, error) {
	id, err := Load(dir)
	if err != nil {
		return nil, err
	}
	if len(id.Held(use)) > spec.MaxOpKeys {
		return nil, spec.Errorf(spec.CodeTooLarge, "at most %d further keys of one use are kept: remove those that are not needed", spec.MaxOpKeys)
	}
	_, key, err := ed25519.GenerateKey(rand)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	card := spec.NewKeyCard(id.Organisation.ID, use, key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, keysDir, UseNames[use]+"."+card.Key.ID().String())
	block := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := durable.Replace(path, block, 0o600); err != nil {
		return nil, fmt.Errorf("saving the key: %w", err)
	}
	return card, nil
}

// loadFurther reads the keys beside the first ones, by use and in the order of
// their files' names.
func loadFurther(dir string) (map[uint64][]ed25519.PrivateKey, error) {
	files, err := os.ReadDir(filepath.Join(dir, keysDir))
	if err != nil {
		return nil, err
	}
	out := map[uint64][]ed25519.PrivateKey{}
	for _, f := range files {
		name, id, further := strings.Cut(f.Name(), ".")
		for use, word := range UseNames {
			if !further || name != word {
				continue
			}
			key, err := loadKey(filepath.Join(dir, keysDir, f.Name()))
			if err != nil {
				return nil, err
			}
			if publicKey(key).ID().String() != id {
				return nil, spec.Errorf(spec.CodeCorrupt, "the key file %s holds another key than its name says", f.Name())
			}
			out[use] = append(out[use], key)
		}
	}
	return out, nil
}

// switched marks that the operator put a further key on the card before the node
// learned that it is in force.
const switched = "switched"

// Switch puts a further key on the card in dir, so that the node takes it at its
// next start whatever its own state says: for a node that was away while the case
// was decided.
func Switch(dir string, key spec.PublicKey) error {
	id, err := Load(dir)
	if err != nil {
		return err
	}
	if err := id.take(key); err != nil {
		return err
	}
	if err := durable.Replace(filepath.Join(dir, keysDir, switched), []byte(key.ID().String()+"\n"), 0o600); err != nil {
		return err
	}
	return id.saveCard(dir)
}

// take makes a held key the one on the card.
func (id *Identity) take(key spec.PublicKey) error {
	for use := range UseNames {
		held := id.Held(use)
		i := slices.IndexFunc(held, func(k ed25519.PrivateKey) bool { return publicKey(k) == key })
		if i < 0 {
			continue
		}
		first := held[i]
		id.more[use] = slices.Concat(held[:i], held[i+1:])
		o := &id.Organisation
		switch use {
		case spec.UseOp:
			id.Op, o.OpKey = first, key
		case spec.UseCosign:
			id.Cosign, o.CosignKey = first, key
		default:
			id.Libp2p, o.Libp2pKey = first, key
		}
		return nil
	}
	return spec.Errorf(spec.CodeKey, "the data directory holds no such key")
}

// Follow puts the keys on the card that are in force by the state, as far as they
// are held, unless the operator switched ahead of it.
func (id *Identity) Follow(dir string, inForce *spec.Organisation) error {
	mark := filepath.Join(dir, keysDir, switched)
	_, err := os.Stat(mark)
	ahead := err == nil
	if ahead && id.Organisation.Libp2pKey == inForce.Libp2pKey {
		if err := os.Remove(mark); err != nil {
			return err
		}
	} else if ahead {
		return nil
	}
	before := id.Organisation
	for _, key := range []spec.PublicKey{inForce.OpKey, inForce.CosignKey, inForce.Libp2pKey} {
		if key != (spec.PublicKey{}) {
			_ = id.take(key) // one that is not held here is another machine's
		}
	}
	if id.Organisation == before {
		return nil
	}
	return id.saveCard(dir)
}

// keyCardJSON is the card of a new key as it travels.
type keyCardJSON struct {
	Organisation string `json:"organisation"`
	Use          string `json:"use"`
	Key          []byte `json:"key"`
	Proof        []byte `json:"proof"`
}

// MarshalKeyCard returns the card of a new key as readable JSON with a line end.
func MarshalKeyCard(c *spec.KeyCard) ([]byte, error) {
	return readable(keyCardJSON{c.Org, UseNames[c.Use], c.Key[:], c.Proof[:]})
}

// ParseKeyCard reads what MarshalKeyCard wrote, and checks that the key signed it.
func ParseKeyCard(data []byte) (*spec.KeyCard, error) {
	var j keyCardJSON
	if len(data) > maxFile || !json.Valid(data) {
		return nil, spec.Errorf(spec.CodeMalformed, "not the card of a key")
	}
	if err := decodeStrict(data, &j); err != nil {
		return nil, err
	}
	c := &spec.KeyCard{Org: j.Organisation}
	for use, word := range UseNames {
		if j.Use == word {
			c.Use = use
		}
	}
	if c.Use == 0 || len(j.Key) != len(c.Key) || len(j.Proof) != len(c.Proof) {
		return nil, spec.Errorf(spec.CodeCard, "not the card of a key")
	}
	c.Key, c.Proof = spec.PublicKey(j.Key), spec.Proof(j.Proof)
	return c, c.Check()
}
