// SPDX-License-Identifier: Apache-2.0

package tlsh

import (
	"strings"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

const sample = "T1615131956155F8BE2AAB03C5B84B101F88D94554B24EC676ECDF3B1BB4C003E31AD4AF"

func TestParseReadsItsOwnTextOnly(t *testing.T) {
	h, err := Parse(sample)
	if err != nil || h.String() != sample {
		t.Fatalf("%v, %v", h, err)
	}
	if b, err := ParseBare(sample[2:]); err != nil || b != h || b.Bare() != sample[2:] {
		t.Fatalf("%v, %v", b, err)
	}
	for name, s := range map[string]string{
		"empty":         "",
		"lower case":    strings.ToLower(sample),
		"lower digits":  "T1" + strings.ToLower(sample[2:]),
		"bare":          sample[2:],
		"version 2":     "T2" + sample[2:],
		"one short":     sample[:71],
		"one long":      sample + "0",
		"space behind":  sample + " ",
		"not hex":       sample[:71] + "G",
		"no value":      "TNULL",
		"not one byte":  sample[:69] + "É0",
		"hex 0x inside": "T10x" + sample[4:],
	} {
		if _, err := Parse(s); spec.CodeOf(err) != spec.CodeSignal {
			t.Errorf("%s: %v", name, err)
		} else if len(s) > 8 && strings.Contains(err.Error(), s[2:8]) {
			t.Errorf("%s: the error repeats the value", name)
		}
		if Check(s) == nil {
			t.Errorf("%s: Check accepts it", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sample)
	f.Add("T1")
	f.Fuzz(func(t *testing.T, s string) {
		if h, err := Parse(s); err == nil && h.String() != s {
			t.Fatalf("%q reads as %q", s, h)
		}
	})
}
