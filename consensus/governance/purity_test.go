// SPDX-License-Identifier: Apache-2.0

package governance_test

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mayImport is all that deciding needs: nothing that knows a clock, chance, a
// processor, a file or a network.
var mayImport = []string{
	"bytes", "cmp", "encoding/binary", "errors", "fmt", "maps", "math/bits", "slices", "sort", "strings",
	"github.com/tocsin-db/tocsin/spec", "github.com/tocsin-db/tocsin/spec/tlog",
}

// TestDecidingIsPure reads the package's source with its types.
func TestDecidingIsPure(t *testing.T) {
	fset := token.NewFileSet()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	if len(files) < 5 {
		t.Fatalf("only %d files are read", len(files))
	}
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Defs: map[*ast.Ident]types.Object{}}
	conf := types.Config{Importer: importer.ForCompiler(fset, "gc", exported(t))}
	if _, err := conf.Check("governance", fset, files, info); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		for _, i := range f.Imports {
			if path, _ := strconv.Unquote(i.Path.Value); !slices.Contains(mayImport, path) {
				t.Errorf("%s: imports %s", fset.Position(i.Pos()), path)
			}
		}
		impure(f, info, func(n ast.Node, what string) { t.Errorf("%s: %s", fset.Position(n.Pos()), what) })
	}
}

// exported finds the types of imported packages in the build's own cache.
func exported(t *testing.T) importer.Lookup {
	t.Helper()
	out, err := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		files[path] = file
	}
	return func(path string) (io.ReadCloser, error) { return os.Open(files[path]) }
}

// impure finds what could make two nodes decide differently.
func impure(f *ast.File, info *types.Info, found func(ast.Node, string)) {
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			found(n, "starts a goroutine")
		case *ast.SelectStmt:
			found(n, "selects")
		case *ast.RangeStmt:
			if _, ok := info.TypeOf(n.X).Underlying().(*types.Map); ok {
				found(n, "ranges over a map")
			}
		case *ast.GenDecl:
			if n.Tok == token.VAR {
				variables(n, info, found)
			}
		case ast.Expr:
			if b, ok := info.Types[n].Type.(*types.Basic); ok && b.Info()&(types.IsFloat|types.IsComplex) != 0 {
				found(n, "a floating-point number")
			}
		}
		return true
	})
}

// variables finds package variables that change: a table that is only read is
// written as a map literal or an error.
func variables(d *ast.GenDecl, info *types.Info, found func(ast.Node, string)) {
	for _, s := range d.Specs {
		for _, name := range s.(*ast.ValueSpec).Names {
			obj := info.Defs[name]
			if obj == nil || obj.Parent() != obj.Pkg().Scope() {
				continue
			}
			switch obj.Type().Underlying().(type) {
			case *types.Map, *types.Interface, *types.Struct:
			default:
				found(name, "a variable of the package")
			}
		}
	}
}
