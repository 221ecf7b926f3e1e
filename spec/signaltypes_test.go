// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var writeTypes = flag.Bool("write-signal-types", false, "write the table of signal-types.md anew")

const typesHead = `# Signal types

A signal is ` + "`{type, value}`" + `. A value has one canonical string; another spelling of it is refused with BAD_SIGNAL, an unknown type with
UNKNOWN_SIGNAL_TYPE. Two values of a type match when their distance is at most the threshold; types without a distance match when they are
equal. A value below the least quality is not listed, but may be looked up. The eight turned and mirrored copies of a picture are looked up,
its own hash is listed. A video's signals are its kept frames, one signal each.

| type | bytes | canonical string | distance | threshold | least quality | source |
|---|---|---|---|---|---|---|
`

func typesTable() string {
	var b strings.Builder
	b.WriteString(typesHead)
	for _, t := range SignalTypes() {
		size, text, distance, threshold, quality := "up to 16,384", t.Text, t.Distance, "", ""
		if t.Size > 0 {
			size = fmt.Sprint(t.Size)
		}
		if text == "" {
			text = "lower-case hex"
		}
		if distance == "" {
			distance = "equality"
		} else {
			threshold = fmt.Sprint(t.Threshold)
		}
		if t.Quality {
			quality = fmt.Sprint(t.MinQuality)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s | %s |\n", t.Name, size, text, distance, threshold, quality, t.Source)
	}
	return b.String()
}

// The page is what the code does.
func TestSignalTypesPage(t *testing.T) {
	const path = "signal-types.md"
	if *writeTypes {
		if err := os.WriteFile(path, []byte(typesTable()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(page) != typesTable() {
		t.Errorf("%s is not what the code does; go test ./spec -run SignalTypesPage -write-signal-types writes it anew", path)
	}
}

// Every type's canonical string comes back as the value it stands for, and no
// other spelling does.
func TestCanonicalStrings(t *testing.T) {
	for _, typ := range SignalTypes() {
		n := typ.Size
		if n == 0 {
			n = 21
		}
		s := Signal{Type: typ.Name, Value: []byte(strings.Repeat("\xab", n))}
		back, err := ParseSignal(typ.Name, s.Text())
		if err != nil || string(back.Value) != string(s.Value) {
			t.Errorf("%s: %v", typ.Name, err)
		}
		for _, other := range []string{s.Text() + "=", " " + s.Text(), strings.ToUpper(s.Text()), strings.ToLower(s.Text()), s.Text()[1:], ""} {
			if other == s.Text() {
				continue
			}
			if got, err := ParseSignal(typ.Name, other); err == nil && got.Text() != other {
				t.Errorf("%s: another spelling was taken", typ.Name)
			} else if err != nil && CodeOf(err) == "" {
				t.Errorf("%s: a refusal without a code: %v", typ.Name, err)
			}
		}
	}
}
