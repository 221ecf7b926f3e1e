// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sort"

	"github.com/tocsin-db/tocsin/node/durable"
	"github.com/tocsin-db/tocsin/spec"
)

const genesisFile = "genesis.json"

// A GenesisFile is the founding document as it travels and is kept, with hints
// where the founders' nodes may be reached.
type GenesisFile struct {
	Genesis   *spec.Genesis
	Addresses map[string][]string // organisation id → multiaddrs
}

// genesisJSON repeats for people what the canonical bytes say. A file whose two
// halves differ is refused, so that reading it is enough.
type genesisJSON struct {
	Origin        string              `json:"origin"`
	Organisations []founderJSON       `json:"organisations"`
	Addresses     map[string][]string `json:"addresses"`
	Genesis       []byte              `json:"genesis"`
}

type founderJSON struct {
	ID           string `json:"id"`
	Name         string `json:"name"`
	Role         string `json:"role"`
	Jurisdiction string `json:"jurisdiction"`
}

// Found makes the founding document of a consortium from its members' cards,
// with the default policy.
func Found(name string, cards []*Card) (*GenesisFile, error) {
	g := &spec.Genesis{Version: spec.GenesisVersion, Name: name, Policy: spec.DefaultPolicy()}
	file := &GenesisFile{Genesis: g, Addresses: map[string][]string{}}
	for _, c := range cards {
		g.Organisations = append(g.Organisations, c.Organisation)
		if len(c.Addresses) > 0 {
			file.Addresses[c.ID] = c.Addresses
		}
	}
	sort.Slice(g.Organisations, func(i, j int) bool { return g.Organisations[i].ID < g.Organisations[j].ID })
	return file, g.Check()
}

// Marshal returns the file as readable JSON.
func (g *GenesisFile) Marshal() ([]byte, error) {
	raw, err := g.Genesis.Encode()
	if err != nil {
		return nil, err
	}
	addresses := g.Addresses
	if addresses == nil {
		addresses = map[string][]string{}
	}
	return readable(genesisJSON{
		Origin: g.Genesis.Origin(), Organisations: founders(g.Genesis),
		Addresses: addresses, Genesis: raw,
	})
}

func founders(g *spec.Genesis) []founderJSON {
	out := make([]founderJSON, len(g.Organisations))
	for i, o := range g.Organisations {
		out[i] = founderJSON{o.ID, o.Name, o.Role, o.Jurisdiction}
	}
	return out
}

// ParseGenesisFile reads what Marshal wrote.
func ParseGenesisFile(data []byte) (*GenesisFile, error) {
	if len(data) > maxFile {
		return nil, spec.Errorf(spec.CodeTooLarge, "a genesis file has at most %d bytes", maxFile)
	}
	var j genesisJSON
	if err := decodeStrict(data, &j); err != nil {
		return nil, err
	}
	g, err := spec.ParseGenesis(j.Genesis)
	if err != nil {
		return nil, err
	}
	if j.Origin != g.Origin() || !slices.Equal(j.Organisations, founders(g)) {
		return nil, spec.Errorf(spec.CodeGenesis, "the readable part of the genesis file is not what its canonical bytes say")
	}
	for id, addresses := range j.Addresses {
		if _, ok := g.Member(id); !ok {
			return nil, spec.Errorf(spec.CodeGenesis, "the genesis file has addresses of an organisation that is no founder")
		}
		if err := checkAddresses(addresses); err != nil {
			return nil, err
		}
	}
	return &GenesisFile{Genesis: g, Addresses: j.Addresses}, nil
}

// LoadGenesis reads the founding document in dir. It fails with fs.ErrNotExist
// when there is none.
func LoadGenesis(dir string) (*GenesisFile, error) {
	data, err := readFile(filepath.Join(dir, genesisFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, spec.Errorf(spec.CodeUsage, "%s belongs to no consortium: %w", dir, fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	g, err := ParseGenesisFile(data)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", genesisFile, err)
	}
	return g, nil
}

// SaveGenesis keeps the founding document in dir. It replaces the addresses of
// one that is there, and refuses with BAD_GENESIS another consortium's.
func SaveGenesis(dir string, g *GenesisFile) error {
	if err := makeDir(dir); err != nil {
		return err
	}
	data, err := g.Marshal()
	if err != nil {
		return err
	}
	old, err := LoadGenesis(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case old.Genesis.Hash() != g.Genesis.Hash():
		return spec.Errorf(spec.CodeGenesis, "%s belongs to another consortium already: %s", dir, old.Genesis.Origin())
	}
	if err := durable.Replace(filepath.Join(dir, genesisFile), data, 0o644); err != nil {
		return fmt.Errorf("saving the genesis file: %w", err)
	}
	return nil
}
