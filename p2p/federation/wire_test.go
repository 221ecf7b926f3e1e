// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

// Each check of form stands by itself, whatever the sink would also refuse.
func TestPartsAreChecked(t *testing.T) {
	leaf, opening := [][]byte{{1}}, []Opening{{Bytes: []byte{1}}}
	cases := map[string]struct {
		parts []part
		want  spec.Code
	}{
		"good":                    {[]part{{First: 7, Leaves: leaf}, {First: 7, Leaves: leaf, Openings: opening}, {First: 7, Last: true}}, ""},
		"elsewhere":               {[]part{{First: 8, Leaves: leaf, Last: true}}, spec.CodeMalformed},
		"elsewhere in the middle": {[]part{{First: 7, Leaves: leaf}, {First: 8, Leaves: leaf, Last: true}}, spec.CodeMalformed},
		"leaf behind openings":    {[]part{{First: 7, Leaves: leaf, Openings: opening}, {First: 7, Leaves: leaf, Last: true}}, spec.CodeMalformed},
		"no leaf":                 {[]part{{First: 7, Openings: opening, Last: true}}, spec.CodeMalformed},
		"carries nothing":         {[]part{{First: 7}}, spec.CodeMalformed},
		"too many items":          {[]part{{First: 7, Leaves: many(maxPartItems + 1)}}, spec.CodeTooLarge},
		"as many as may be":       {[]part{{First: 7, Leaves: many(maxPartItems), Last: true}}, ""},
		"empty leaf":              {[]part{{First: 7, Leaves: [][]byte{{}}}}, spec.CodeMalformed},
		"largest leaf":            {[]part{{First: 7, Leaves: [][]byte{make([]byte, MaxLeaf)}, Last: true}}, ""},
		"leaf too large":          {[]part{{First: 7, Leaves: [][]byte{make([]byte, MaxLeaf+1)}}}, spec.CodeTooLarge},
		"largest opening":         {[]part{{First: 7, Leaves: leaf, Openings: []Opening{{Bytes: make([]byte, MaxOpening)}}, Last: true}}, ""},
		"opening too large":       {[]part{{First: 7, Leaves: leaf, Openings: []Opening{{Bytes: make([]byte, MaxOpening+1)}}}}, spec.CodeTooLarge},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a := assembler{next: 7}
			var got *Group
			var err error
			for _, p := range c.parts {
				var m any
				if m, err = decode(rawPart(t, p)); err == nil {
					got, err = a.add(m.(*part))
				}
				if err != nil {
					break
				}
			}
			if spec.CodeOf(err) != c.want || (c.want == "") != (err == nil && got != nil) {
				t.Fatalf("got %v, %v, want code %q", got != nil, err, c.want)
			}
		})
	}
}

func many(n int) [][]byte {
	leaves := make([][]byte, n)
	for i := range leaves {
		leaves[i] = []byte{1}
	}
	return leaves
}
