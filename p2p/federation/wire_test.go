// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

// Each check of form stands by itself, whatever the replica would also refuse.
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
			s := stretch{assembler: assembler{next: 7}}
			var err error
			for i := range c.parts {
				var m any
				if m, err = decode(message(t, kindPart, &c.parts[i])); err == nil {
					_, err = s.take(m.(*part))
				}
				if err != nil {
					break
				}
			}
			if spec.CodeOf(err) != c.want || (c.want == "") != (err == nil && len(s.groups) == 1) {
				t.Fatalf("got %d groups, %v, want code %q", len(s.groups), err, c.want)
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

// What is held without a proof is bounded, by bytes received and by items.
func TestAStretchIsBounded(t *testing.T) {
	s := stretch{}
	p := part{Leaves: [][]byte{make([]byte, MaxLeaf)}, Last: true}
	var err error
	for err == nil {
		_, err = s.take(&p)
		p.First = s.next
	}
	if spec.CodeOf(err) != spec.CodeTooLarge || s.bytes > maxStretch+MaxLeaf+itemCost {
		t.Fatalf("%d bytes are held: %v", s.bytes, err)
	}
	s = stretch{}
	tiny := part{Leaves: many(maxPartItems)}
	for err = nil; err == nil; {
		_, err = s.take(&tiny)
	}
	if n := len(s.cur.Leaves); spec.CodeOf(err) != spec.CodeTooLarge || n > MaxGroup/itemCost+maxPartItems {
		t.Fatalf("%d tiny leaves are held: %v", n, err)
	}
}
