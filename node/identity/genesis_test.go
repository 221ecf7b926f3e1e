// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"errors"
	"io/fs"
	"reflect"
	"strings"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

func found(t *testing.T, name string, ids ...string) *GenesisFile {
	t.Helper()
	var cards []*Card
	for _, id := range ids {
		_, made := create(t, id)
		cards = append(cards, made.Card())
	}
	g, err := Found(name, cards)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGenesisFile(t *testing.T) {
	g := found(t, "north", "beta", "alpha")
	if got := g.Genesis.Organisations[0].ID; got != "alpha" {
		t.Errorf("the first founder is %s: not in the order of the ids", got)
	}
	dir := t.TempDir()
	if _, err := LoadGenesis(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("loading none: %v, want fs.ErrNotExist", err)
	}
	if err := SaveGenesis(dir, g); err != nil {
		t.Fatal(err)
	}
	got, err := LoadGenesis(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got.Genesis.Origin() != g.Genesis.Origin() || !reflect.DeepEqual(got.Addresses, g.Addresses) {
		t.Errorf("loaded %+v, saved %+v", got, g)
	}
}

func TestSaveGenesisKeepsTheConsortium(t *testing.T) {
	dir := t.TempDir()
	g := found(t, "north", "alpha")
	if err := SaveGenesis(dir, g); err != nil {
		t.Fatal(err)
	}
	g.Addresses = map[string][]string{"alpha": {"/ip4/192.0.2.1/tcp/1"}}
	if err := SaveGenesis(dir, g); err != nil {
		t.Fatalf("saving the same with other addresses: %v", err)
	}
	wantCode(t, SaveGenesis(dir, found(t, "south", "alpha")), spec.CodeGenesis)
	got, err := LoadGenesis(dir)
	if err != nil || got.Genesis.Origin() != g.Genesis.Origin() || got.Addresses["alpha"][0] != "/ip4/192.0.2.1/tcp/1" {
		t.Fatalf("kept %+v, %v", got, err)
	}
}

func TestFoundRefusesTheSameOrganisationTwice(t *testing.T) {
	_, made := create(t, "alpha")
	_, err := Found("north", []*Card{made.Card(), made.Card()})
	wantCode(t, err, spec.CodeGenesis)
}

func TestGenesisFileRefusesHalvesThatDiffer(t *testing.T) {
	text, err := found(t, "north", "alpha", "beta").Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"another name of a founder": {"Org alpha", "Org omega"},
		"another consortium":        {"north/", "south/"},
		"a stranger's addresses":    {`"beta": [`, `"gamma": [`},
	} {
		spoilt := strings.Replace(string(text), change[0], change[1], 1)
		if spoilt == string(text) {
			t.Fatalf("%s: nothing was spoilt", name)
		}
		_, err := ParseGenesisFile([]byte(spoilt))
		if spec.CodeOf(err) != spec.CodeGenesis {
			t.Errorf("%s: %v, want BAD_GENESIS", name, err)
		}
	}
}

func FuzzParseGenesisFile(f *testing.F) {
	f.Add([]byte(`{"origin":"n/0","organisations":[],"addresses":{},"genesis":"gA=="}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := ParseGenesisFile(data)
		if err != nil {
			return
		}
		if _, err := g.Marshal(); err != nil {
			t.Fatalf("a genesis file that was read cannot be written: %v", err)
		}
	})
}
