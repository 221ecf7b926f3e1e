// SPDX-License-Identifier: Apache-2.0

package spec_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// declaredCodes reads the values of the constants in codes.go.
func declaredCodes(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "codes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var codes []string
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.BasicLit); ok && v.Kind == token.STRING {
			s, err := strconv.Unquote(v.Value)
			if err != nil {
				t.Fatal(err)
			}
			codes = append(codes, s)
		}
		return true
	})
	return codes
}

// TestErrorsTable compares the table of errors.md with the declared codes.
func TestErrorsTable(t *testing.T) {
	prose, err := os.ReadFile("errors.md")
	if err != nil {
		t.Fatal(err)
	}
	form := regexp.MustCompile("^\\| `([A-Z][A-Z0-9_]*)` \\| [^|]+ \\| ([^|]+ )?\\|$")
	var listed []string
	for line := range strings.Lines(string(prose)) {
		if m := form.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			listed = append(listed, m[1])
		}
	}
	declared := declaredCodes(t)
	if len(declared) == 0 {
		t.Fatal("codes.go declares nothing")
	}
	for _, c := range declared {
		if n := count(listed, c); n != 1 {
			t.Errorf("%s stands %d times in errors.md", c, n)
		}
		if count(declared, c) != 1 {
			t.Errorf("%s is declared twice", c)
		}
	}
	for _, c := range listed {
		if !slices.Contains(declared, c) {
			t.Errorf("errors.md lists %s, which codes.go does not declare", c)
		}
	}
}

func count(list []string, s string) int {
	n := 0
	for _, x := range list {
		if x == s {
			n++
		}
	}
	return n
}
