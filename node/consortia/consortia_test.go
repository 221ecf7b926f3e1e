// SPDX-License-Identifier: Apache-2.0

package consortia

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tocsin-db/tocsin/node/identity"
	"github.com/tocsin-db/tocsin/spec"
)

// found makes a data directory whose consortium is called north.
func found(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	id, err := identity.Create(dir, identity.Details{ID: "alpha", Name: "Alpha", Role: spec.RoleMember, Jurisdiction: "FR"}, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	g, err := identity.Found("north", []*identity.Card{id.Card()})
	if err == nil {
		err = identity.SaveGenesis(dir, g)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestReserve(t *testing.T) {
	dir := found(t)
	own, err := Own(dir)
	if err != nil || own.Name != "north" || NameOf(own.Origin) != "north" {
		t.Fatalf("%+v, %v", own, err)
	}
	place, err := Reserve(dir, "west", "west/0123456789abcdef")
	if err != nil || place.Joined {
		t.Fatalf("%+v, %v", place, err)
	}
	again, err := Reserve(dir, "west", "west/0123456789abcdef")
	if err != nil || again != place {
		t.Errorf("begun again: %+v, %v", again, err)
	}
	for what, c := range map[string]struct {
		name, origin string
		want         spec.Code
	}{
		"the same under another name": {"vest", place.Origin, spec.CodeFollowed},
		"the node's own":              {"north", own.Origin, spec.CodeFollowed},
		"its own under another name":  {"nord", own.Origin, spec.CodeFollowed},
		"its own name":                {"north", "north/fedcba9876543210", spec.CodeFollowed},
		"a name that is taken":        {"west", "west/fedcba9876543210", spec.CodeFollowed},
		"a way out":                   {"../x", "x/0123456789abcdef", spec.CodeUsage},
		"no name":                     {"", "x/0123456789abcdef", spec.CodeUsage},
		"a hidden folder":             {".x", "x/0123456789abcdef", spec.CodeUsage},
	} {
		if _, err := Reserve(dir, c.name, c.origin); spec.CodeOf(err) != c.want {
			t.Errorf("%s: %v, want %s", what, err, c.want)
		}
	}
	for i := 1; i < MaxFurther; i++ {
		n := strconv.Itoa(i)
		if _, err := Reserve(dir, n, n+"/0123456789abcdef"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Reserve(dir, "more", "more/0123456789abcdef"); spec.CodeOf(err) != spec.CodeTooLarge {
		t.Errorf("one too many: %v", err)
	}
	list, err := Further(dir)
	if err != nil || len(list) != MaxFurther || list[MaxFurther-1].Name != "west" || list[MaxFurther-1].Origin != place.Origin {
		t.Errorf("%+v, %v", list, err)
	}
	if err := Remove(place); err != nil {
		t.Fatal(err)
	}
	if list, err := os.ReadDir(filepath.Join(dir, folder)); err != nil || len(list) != MaxFurther-1 {
		t.Errorf("after removing: %v, %v", list, err)
	}
}

func TestFind(t *testing.T) {
	dir := found(t)
	if p, err := Find(dir, ""); err != nil || p.Dir != dir {
		t.Errorf("none named: %+v, %v", p, err)
	}
	if p, err := Find(dir, "north"); err != nil || p.Dir != dir {
		t.Errorf("its own: %+v, %v", p, err)
	}
	for _, name := range []string{"west", "../..", strings.Repeat("x", 65)} {
		if _, err := Find(dir, name); spec.CodeOf(err) != spec.CodeConsortium {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// A directory is found by its name when nothing in it can be read.
func TestFindFurther(t *testing.T) {
	dir := found(t)
	place, err := Reserve(dir, "west", "west/0123456789abcdef")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(place.Dir, "genesis.json"), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, folder, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err := FindFurther(dir, "west"); err != nil || p.Dir != place.Dir {
		t.Errorf("%+v, %v", p, err)
	}
	for _, name := range []string{"north", "", ".", "..", "../..", "file", "west/x", strings.Repeat("x", 65)} {
		if _, err := FindFurther(dir, name); spec.CodeOf(err) != spec.CodeConsortium {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestTheStrictestNamedLabelDecides(t *testing.T) {
	p := Policy{Default: Review, Labels: map[string]Action{"a": Trust, "b": Review, "c": Ignore}}
	for labels, want := range map[string]Action{
		"": Review, "x": Review, "a": Trust, "a x": Trust, "a b": Review, "b c a": Ignore, "c x": Ignore,
	} {
		if got := p.Of(strings.Fields(labels)); got != want {
			t.Errorf("%q: %s, want %s", labels, got, want)
		}
	}
	for _, c := range []struct {
		Policy
		plain bool
	}{
		{Policy{Default: Trust}, true},
		{Policy{Default: Trust, Labels: map[string]Action{"a": Trust}}, true},
		{Policy{Default: Trust, Labels: map[string]Action{"a": Ignore}}, false},
		{Policy{Default: Review}, false},
	} {
		if c.Plain() != c.plain {
			t.Errorf("%+v: plain is %v", c.Policy, c.Plain())
		}
	}
}

func TestPolicyFile(t *testing.T) {
	dir := t.TempDir()
	if p, err := LoadPolicy(dir); err != nil || !p.Plain() {
		t.Errorf("no file: %+v, %v", p, err)
	}
	want := &Policy{Default: Review, Labels: map[string]Action{"entity:one": Ignore}}
	if err := want.Save(dir); err != nil {
		t.Fatal(err)
	}
	if p, err := LoadPolicy(dir); err != nil || p.Default != Review || p.Labels["entity:one"] != Ignore || len(p.Labels) != 1 {
		t.Errorf("%+v, %v", p, err)
	}
	for text, code := range map[string]spec.Code{
		"default = \"maybe\"":            spec.CodeConfig,
		"default = 1":                    spec.CodeConfig,
		"defaults = \"trust\"":           spec.CodeConfig,
		"[labels]\na = \"often\"":        spec.CodeConfig,
		"[labels]\n\"\" = \"trust\"":     spec.CodeLabel,
		"= =":                            spec.CodeConfig,
		strings.Repeat("#", maxPolicy+1): spec.CodeConfig,
	} {
		if err := os.WriteFile(filepath.Join(dir, PolicyFile), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadPolicy(dir); spec.CodeOf(err) != code {
			t.Errorf("%.40q: %v, want %s", text, err, code)
		}
	}
}

// FuzzPolicy holds what is read to what is written again.
func FuzzPolicy(f *testing.F) {
	f.Add([]byte("default = \"review\"\n[labels]\n\"entity:one\" = \"ignore\"\n"))
	f.Add([]byte("labels = {a = \"trust\"}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParsePolicy(data)
		if err != nil {
			if spec.CodeOf(err) == "" {
				t.Fatalf("without a code: %v", err)
			}
			return
		}
		dir := t.TempDir()
		if err := p.Save(dir); err != nil {
			t.Fatal(err)
		}
		again, err := LoadPolicy(dir)
		if err != nil || again.Default != p.Default || len(again.Labels) != len(p.Labels) {
			t.Fatalf("%+v became %+v, %v", p, again, err)
		}
		for l, a := range p.Labels {
			if again.Labels[l] != a {
				t.Fatalf("%q became %s", l, again.Labels[l])
			}
		}
	})
}
