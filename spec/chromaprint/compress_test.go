// SPDX-License-Identifier: Apache-2.0

package chromaprint

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

func TestGapsOfEveryLength(t *testing.T) {
	var items []uint32
	for i := range 32 {
		items = append(items, 1<<i, 1|1<<i, 1<<31|1<<i, 0)
	}
	f := Fingerprint{1, append(items, 0xffffffff, 0, 0xaaaaaaaa)}
	got, err := FromBytes(f.Bytes())
	if err != nil || !slices.Equal(got.Items, f.Items) {
		t.Fatalf("%x, %v", got.Items, err)
	}
	full := Fingerprint{1, slices.Repeat([]uint32{0xffffffff, 0}, MaxItems/2)}
	if s := full.String(); len(s) > MaxText || Check(s) != nil {
		t.Fatalf("the longest fingerprint has %d characters: %v", len(s), Check(s))
	}
}

func TestRefusals(t *testing.T) {
	good := []byte{1, 0, 0, 1, 0b000_001} // one item: bit 0, end
	if f, err := FromBytes(good); err != nil || !slices.Equal(f.Items, []uint32{1}) {
		t.Fatalf("%v, %v", f, err)
	}
	for name, c := range map[string]struct {
		p    []byte
		code spec.Code
	}{
		"empty":              {nil, spec.CodeSignal},
		"header only":        {good[:4], spec.CodeSignal},
		"half a header":      {good[:3], spec.CodeSignal},
		"more items":         {[]byte{1, 0, 0, 2, 0b000_001}, spec.CodeSignal},
		"fewer items":        {[]byte{1, 0, 0, 0, 0b000_001}, spec.CodeSignal},
		"a byte behind":      {append(slices.Clone(good), 0), spec.CodeSignal},
		"padding set":        {[]byte{1, 0, 0, 1, 0b01_000_001}, spec.CodeSignal},
		"no large gap":       {[]byte{1, 0, 0, 1, 0b000_111}, spec.CodeSignal},
		"past bit 31":        {[]byte{1, 0, 0, 1, 0b000_111, 26}, spec.CodeSignal},
		"claims 16 million":  {[]byte{1, 255, 255, 255, 0}, spec.CodeTooLarge},
		"claims more than 0": {[]byte{1, 0, 31, 255, 0}, spec.CodeSignal},
	} {
		if f, err := FromBytes(c.p); spec.CodeOf(err) != c.code {
			t.Errorf("%s: %v, %v", name, f, err)
		}
		if _, err := Parse(base64.RawURLEncoding.EncodeToString(c.p)); spec.CodeOf(err) != c.code {
			t.Errorf("%s, as text: %v", name, err)
		}
	}
	text := Fingerprint{1, []uint32{1}}.String()
	for name, s := range map[string]string{
		"padded": text + "=", "line end": text + "\n", "line end inside": text[:4] + "\n" + text[4:], "standard alphabet": "AQAA+w", "loose bits": "AQAAAQF",
	} {
		if _, err := Parse(s); spec.CodeOf(err) != spec.CodeSignal {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Parse(strings.Repeat("A", MaxText+1)); spec.CodeOf(err) != spec.CodeTooLarge {
		t.Errorf("long text: %v", err)
	}
}

func TestParseRaw(t *testing.T) {
	f, err := ParseRaw("1, 4294967295,-1,-2147483648")
	if err != nil || !slices.Equal(f.Items, []uint32{1, 1<<32 - 1, 1<<32 - 1, 1 << 31}) {
		t.Errorf("%v, %v", f, err)
	}
	for _, s := range []string{"", "1,", "1,,2", "4294967296", "-2147483649", "1.5", "x"} {
		if _, err := ParseRaw(s); spec.CodeOf(err) != spec.CodeSignal {
			t.Errorf("%q: %v", s, err)
		}
	}
	many := strings.TrimSuffix(strings.Repeat("1,", MaxItems+1), ",")
	for _, s := range []string{many, strings.Repeat("1", 12*MaxItems+1)} {
		if _, err := ParseRaw(s); spec.CodeOf(err) != spec.CodeTooLarge {
			t.Errorf("%d characters: %v", len(s), err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("AQAAjEmUaEkSZSoAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add(Fingerprint{1, []uint32{1 << 31, 7, 0xffffffff}}.String())
	f.Fuzz(func(t *testing.T, s string) {
		p, err := Parse(s)
		if err == nil && p.String() != s {
			t.Fatalf("%q comes back as %q", s, p)
		}
		raw := strings.Trim(strings.ReplaceAll(fmt.Sprint(p.Items), " ", ","), "[]")
		if again, err2 := ParseRaw(raw); err == nil && len(p.Items) > 0 && (err2 != nil || !slices.Equal(again.Items, p.Items)) {
			t.Fatalf("%q comes back from its items as %v, %v", s, again, err2)
		}
	})
}
