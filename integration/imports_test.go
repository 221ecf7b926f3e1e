// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/tocsin-db/tocsin/"

// floors says what each room may import of the others. Imports run down only, and
// the three rooms in the middle know nothing of one another: what two of them
// share is declared in spec or as a small interface by the one that needs it.
var floors = map[string][]string{
	"spec":        {},
	"storage":     {"spec"},
	"consensus":   {"spec"},
	"p2p":         {"spec"},
	"node":        {"spec", "storage", "consensus", "p2p"},
	"cmd":         {"spec", "storage", "consensus", "p2p", "node"},
	"integration": {"spec", "storage", "consensus", "p2p", "node"},
}

// homes names the only room in which a large library is used, so that it can be
// replaced, and read about, in one place.
var homes = map[string][]string{
	"github.com/cockroachdb/pebble/": {"storage", "node"}, // node passes in the file system
	"github.com/libp2p/":             {"p2p"},
	"github.com/hashicorp/raft":      {"consensus", "p2p"}, // p2p/raftnet adapts its transport
	"github.com/urfave/cli/":         {"cmd"},
}

func TestImportsRunDown(t *testing.T) {
	files := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		room, _, ok := strings.Cut(strings.TrimPrefix(filepath.ToSlash(path), "../"), "/")
		if !ok {
			return nil
		}
		files++
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, i := range f.Imports {
			target, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			checkImport(t, path, room, target, strings.HasSuffix(path, "_test.go"))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 50 {
		t.Fatalf("only %d files were read: the test looks in the wrong place", files)
	}
}

func checkImport(t *testing.T, path, room, target string, test bool) {
	allowed, known := floors[room]
	if !known {
		t.Errorf("%s stands in no room of the house", path)
		return
	}
	if inside, ok := strings.CutPrefix(target, module); ok {
		to, _, _ := strings.Cut(inside, "/")
		if to != room && !contains(allowed, to) {
			t.Errorf("%s imports %s: imports run down only, and storage, consensus and p2p never import one another", path, inside)
		}
		return
	}
	for lib, rooms := range homes {
		if strings.HasPrefix(target, lib) && !contains(rooms, room) && !test {
			t.Errorf("%s imports %s, which lives in %s", path, target, strings.Join(rooms, " and "))
		}
	}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
