// SPDX-License-Identifier: Apache-2.0

package pdq_test

import (
	"strings"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/pdq"
)

const sampleText = "d8f8f0cee0f4a84f0e370222038f67f0b36e2ed596621e1d33e6b39c4e9c9b22"

func TestParseReadsOnlyTheCanonicalText(t *testing.T) {
	h, err := pdq.Parse(sampleText)
	if err != nil || h.String() != sampleText {
		t.Fatalf("%v, %v", h, err)
	}
	for _, bad := range []string{"", sampleText[1:], sampleText + "0", strings.ToUpper(sampleText), "g" + sampleText[1:], "é" + sampleText[2:]} {
		h, err := pdq.Parse(bad)
		if spec.CodeOf(err) != spec.CodeSignal || h != (pdq.Hash{}) {
			t.Errorf("%q: %v, %v", bad, h, err)
		}
	}
}

func TestDistanceCountsBits(t *testing.T) {
	a, err := pdq.Parse(sampleText)
	if err != nil {
		t.Fatal(err)
	}
	b := a
	for n := range 256 {
		if d := pdq.Distance(a, b); d != n {
			t.Fatalf("distance %d after %d flips", d, n)
		}
		b[n/8] ^= 1 << (n % 8)
	}
	if pdq.Distance(a, b) != 256 {
		t.Fatal("a hash and its complement are 256 apart")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sampleText)
	f.Add(strings.Repeat("Z", 64))
	f.Fuzz(func(t *testing.T, s string) {
		if h, err := pdq.Parse(s); err == nil && h.String() != s {
			t.Fatalf("%q reads as %q", s, h)
		}
	})
}
