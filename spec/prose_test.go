// SPDX-License-Identifier: Apache-2.0

package spec_test

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// TestRecordsTable compares the bytes of rules.md with those of record.go.
func TestRecordsTable(t *testing.T) {
	bytesIn := func(file, pattern string) []string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
			out = append(out, m[1])
		}
		slices.Sort(out)
		return out
	}
	declared := bytesIn("record.go", `(?m)^\trecord\w+ +byte = '(.)'$`)
	listed := bytesIn("rules.md", "(?m)^\\| `(.)` \\|")
	if len(declared) == 0 || !slices.Equal(declared, listed) {
		t.Fatalf("record.go has %q, rules.md %q", declared, listed)
	}
	if len(slices.Compact(slices.Clone(declared))) != len(declared) {
		t.Fatalf("a byte stands for two kinds of records: %q", declared)
	}
}
