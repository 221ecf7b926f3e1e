// SPDX-License-Identifier: Apache-2.0

package consortia

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/tocsin-db/tocsin/node/durable"
	"github.com/tocsin-db/tocsin/node/identity"
	"github.com/tocsin-db/tocsin/spec"
)

// MaxFurther is how many consortia a node follows beside its own.
const MaxFurther = 8

// folder holds a directory for each further consortium in the data directory.
const folder = "consortia"

// originFile names the consortium for which a directory was begun: the keys in it
// are shown to that one alone, also when it never enrolled them.
const originFile = "origin"

// nameForm is that of a consortium's own name in its origin.
var nameForm = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9.-]{0,62}[a-z0-9])?$`)

// A Place is the data directory of one consortium.
type Place struct {
	Name   string // at this node
	Dir    string
	Origin string
	Joined bool // the founding document is there: a node can be started
}

// CheckName refuses with USAGE what cannot name a consortium.
func CheckName(name string) error {
	if !nameForm.MatchString(name) {
		return spec.Errorf(spec.CodeUsage, "a consortium's name is 1 to 64 lower-case letters, digits, hyphens and dots, a letter or digit first and last")
	}
	return nil
}

// NameOf is the name that a consortium gave itself.
func NameOf(origin string) string {
	name, _, _ := strings.Cut(origin, "/")
	return name
}

// Own is the place of the consortium of the data directory itself. It fails with
// fs.ErrNotExist where there is none.
func Own(data string) (Place, error) {
	g, err := identity.LoadGenesis(data)
	if err != nil {
		return Place{}, err
	}
	return Place{Name: g.Genesis.Name, Dir: data, Origin: g.Genesis.Origin(), Joined: true}, nil
}

// Further lists the further consortia of a data directory by name.
func Further(data string) ([]Place, error) {
	list, err := os.ReadDir(filepath.Join(data, folder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing the consortia: %w", err)
	}
	var out []Place
	for _, e := range list {
		if !e.IsDir() || !nameForm.MatchString(e.Name()) {
			continue
		}
		p, _ := at(data, e.Name()) // what is wrong there is told when its node starts
		out = append(out, p)
	}
	return out, nil
}

// at reads one place.
func at(data, name string) (Place, error) {
	p := Place{Name: name, Dir: filepath.Join(data, folder, name)}
	g, err := identity.LoadGenesis(p.Dir)
	if err == nil {
		p.Origin, p.Joined = g.Genesis.Origin(), true
		return p, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		p.Joined = true
		return p, fmt.Errorf("the consortium %s: %w", name, err)
	}
	b, err := os.ReadFile(filepath.Join(p.Dir, originFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return p, fmt.Errorf("the consortium %s: %w", name, err)
	}
	p.Origin = strings.TrimSpace(string(b))
	return p, nil
}

// Find returns the place of a consortium by its name, "" for that of the data
// directory itself. It fails with UNKNOWN_CONSORTIUM.
func Find(data, name string) (Place, error) {
	if name == "" {
		return Place{Dir: data}, nil
	}
	if own, err := Own(data); err == nil && own.Name == name {
		return own, nil
	}
	if nameForm.MatchString(name) {
		p, err := at(data, name)
		if err != nil || p.Origin != "" {
			return p, err
		}
	}
	return Place{}, Unknown(name)
}

// FindFurther returns where a further consortium is by its name alone, whatever state
// its directory is in. It fails with UNKNOWN_CONSORTIUM.
func FindFurther(data, name string) (Place, error) {
	p := Place{Name: name, Dir: filepath.Join(data, folder, name)}
	if !nameForm.MatchString(name) {
		return Place{}, Unknown(name)
	}
	switch info, err := os.Lstat(p.Dir); {
	case errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir():
		return Place{}, Unknown(name)
	case err != nil:
		return Place{}, fmt.Errorf("the consortium %s: %w", name, err)
	}
	return p, nil
}

// Unknown is the refusal of a name that no consortium has here.
func Unknown(name string) error {
	return spec.Errorf(spec.CodeConsortium, "this node follows no consortium of the name %q", name)
}

// Reserve makes the directory for a further consortium, or finds the one that was
// begun for it. It fails with ALREADY_FOLLOWED where the consortium is followed under
// another name or the name is that of another consortium, and with TOO_LARGE beyond
// MaxFurther.
func Reserve(data, name, origin string) (Place, error) {
	if err := CheckName(name); err != nil {
		return Place{}, err
	}
	own, err := Own(data)
	if err != nil {
		return Place{}, err
	}
	list, err := Further(data)
	if err != nil {
		return Place{}, err
	}
	for _, p := range append([]Place{own}, list...) {
		switch {
		case p.Origin == "" && !identity.Exists(p.Dir): // begun, and nothing made yet
		case p.Origin == origin && (p.Name != name || p.Dir == data):
			return Place{}, spec.Errorf(spec.CodeFollowed, "this node follows %s already, under the name %s", origin, p.Name)
		case p.Origin != origin && p.Name == name:
			return Place{}, spec.Errorf(spec.CodeFollowed, "the name %s is that of %s here: choose another", name, p.Origin)
		case p.Origin == origin:
			return p, nil
		}
	}
	if len(list) >= MaxFurther {
		return Place{}, spec.Errorf(spec.CodeTooLarge, "a node follows at most %d consortia beside its own", MaxFurther)
	}
	p := Place{Name: name, Dir: filepath.Join(data, folder, name), Origin: origin}
	if err := os.MkdirAll(p.Dir, 0o700); err != nil {
		return p, fmt.Errorf("making the consortium's directory: %w", err)
	}
	return p, durable.Replace(filepath.Join(p.Dir, originFile), []byte(origin+"\n"), 0o600)
}

// Remove deletes all that the node has of a further consortium: keys, store, mark.
func Remove(p Place) error {
	gone := filepath.Join(filepath.Dir(p.Dir), "."+p.Name) // no name: not a consortium any more
	if err := errors.Join(os.RemoveAll(gone), os.Rename(p.Dir, gone), os.RemoveAll(gone)); err != nil {
		return fmt.Errorf("deleting what is there of the consortium: %w", err)
	}
	return nil
}
