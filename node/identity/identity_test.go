// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

func details(id string) Details {
	return Details{ID: id, Name: "Org " + id, Role: spec.RoleMember, Jurisdiction: "FR",
		Addresses: []string{"/dns/" + id + ".example.org/tcp/7230"}}
}

func create(t *testing.T, id string) (string, *Identity) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	made, err := Create(dir, details(id), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return dir, made
}

func wantCode(t *testing.T, err error, code spec.Code) {
	t.Helper()
	if spec.CodeOf(err) != code {
		t.Fatalf("got error %v (code %q), want code %s", err, spec.CodeOf(err), code)
	}
}

func TestCreateThenLoad(t *testing.T) {
	dir, made := create(t, "alpha")
	got, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got.Organisation != made.Organisation || got.Addresses[0] != made.Addresses[0] {
		t.Errorf("loaded %+v, made %+v", got, made)
	}
	for i, pair := range [][2]ed25519.PrivateKey{{got.Op, made.Op}, {got.Cosign, made.Cosign}, {got.Libp2p, made.Libp2p}} {
		if !pair[0].Equal(pair[1]) {
			t.Errorf("the %s key changed between Create and Load", keyNames[i])
		}
	}
	for path, want := range map[string]fs.FileMode{"keys": 0o700, "keys/op": 0o600, "keys/cosign": 0o600, "keys/libp2p": 0o600} {
		info, err := os.Stat(filepath.Join(dir, path))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v (%v), want %#o", path, info.Mode(), err, want)
		}
	}
}

func TestCreateNeverOverwrites(t *testing.T) {
	dir, made := create(t, "alpha")
	_, err := Create(dir, details("beta"), rand.Reader)
	if !errors.Is(err, fs.ErrExist) {
		t.Fatalf("a second Create: %v, want fs.ErrExist", err)
	}
	got, err := Load(dir)
	if err != nil || got.Organisation != made.Organisation {
		t.Fatalf("after a refused Create: %+v, %v", got, err)
	}
	if err := (keySet{made.Op, made.Cosign, made.Libp2p}).save(dir); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("saving keys over keys: %v, want fs.ErrExist", err)
	}
}

func TestCreateCompletesAnInterruptedOne(t *testing.T) {
	dir, made := create(t, "alpha")
	if err := os.Remove(filepath.Join(dir, cardFile)); err != nil {
		t.Fatal(err)
	}
	again, err := Create(dir, details("alpha"), rand.Reader)
	if err != nil || again.Organisation != made.Organisation {
		t.Fatalf("completing: %+v, %v; want the keys made first", again, err)
	}
}

func TestCreateRefusesABadCardAndLeavesNoKeys(t *testing.T) {
	dir := t.TempDir()
	d := details("alpha")
	d.Jurisdiction = "France"
	_, err := Create(dir, d, rand.Reader)
	wantCode(t, err, spec.CodeCard)
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("a refused Create left %v", left)
	}
}

func TestLoadRefuses(t *testing.T) {
	cases := map[string]struct {
		spoil func(t *testing.T, dir string)
		code  spec.Code
	}{
		"a key that others can read": {func(t *testing.T, dir string) { chmod(t, dir+"/keys/op", 0o640) }, spec.CodeDenied},
		"a key directory for others": {func(t *testing.T, dir string) { chmod(t, dir+"/keys", 0o755) }, spec.CodeDenied},
		"a missing key":              {func(t *testing.T, dir string) { remove(t, dir+"/keys/cosign") }, spec.CodeCorrupt},
		"a torn key":                 {func(t *testing.T, dir string) { truncate(t, dir+"/keys/libp2p") }, spec.CodeCorrupt},
		"another card": {func(t *testing.T, dir string) {
			other, _ := create(t, "beta")
			card, err := os.ReadFile(other + "/card.json")
			if err == nil {
				err = os.WriteFile(dir+"/card.json", card, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}, spec.CodeCard},
		"a torn card": {func(t *testing.T, dir string) { truncate(t, dir+"/card.json") }, spec.CodeMalformed},
		"no card":     {func(t *testing.T, dir string) { remove(t, dir+"/card.json") }, spec.CodeUsage},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir, _ := create(t, "alpha")
			c.spoil(t, dir)
			_, err := Load(dir)
			wantCode(t, err, c.code)
		})
	}
}

func TestCardText(t *testing.T) {
	_, made := create(t, "alpha")
	text, err := made.Card().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseCard(text)
	if err != nil || back.Organisation != made.Organisation {
		t.Fatalf("read back %+v, %v", back, err)
	}
	for name, bad := range map[string]struct {
		from, to string
		code     spec.Code
	}{
		"unknown field":  {`"name"`, `"nome"`, spec.CodeMalformed},
		"short key":      {`"op": "`, `"op": "AA==","ignored": "`, spec.CodeMalformed},
		"bad address":    {`/tcp/7230`, `/nope/7230`, spec.CodeCard},
		"unknown role":   {`"member"`, `"owner"`, spec.CodeCard},
		"something more": {"\n}\n", "\n} {}", spec.CodeMalformed},
	} {
		spoilt := strings.Replace(string(text), bad.from, bad.to, 1)
		if spoilt == string(text) {
			t.Fatalf("%s: nothing was spoilt", name)
		}
		_, err := ParseCard([]byte(spoilt))
		if spec.CodeOf(err) != bad.code {
			t.Errorf("%s: %v, want %s", name, err, bad.code)
		}
	}
}

func chmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func truncate(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err == nil {
		err = os.Truncate(path, info.Size()/2)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func FuzzParseCard(f *testing.F) {
	f.Add([]byte(`{"id":"a","name":"A","role":"member","jurisdiction":"FR","keys":{"op":"","cosign":"","libp2p":""},"addresses":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		card, err := ParseCard(data)
		if err != nil {
			return
		}
		text, err := card.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseCard(text)
		if err != nil || again.Organisation != card.Organisation {
			t.Fatalf("a card that was read does not survive being written: %v", err)
		}
	})
}

func FuzzParseKey(f *testing.F) {
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAAA\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if key, ok := parseKey(data); ok && len(key) != ed25519.PrivateKeySize {
			t.Fatalf("a key of %d bytes", len(key))
		}
	})
}
