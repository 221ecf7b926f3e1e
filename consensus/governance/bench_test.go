// SPDX-License-Identifier: Apache-2.0

package governance_test

import (
	"fmt"
	"testing"

	"github.com/tocsin-db/tocsin/consensus/governance"
	"github.com/tocsin-db/tocsin/spec"
)

// BenchmarkApply decides single operations beside the check of their signature,
// which is done ahead, in a consortium of thirty members with a hundred open
// cases. Apply changes nothing, so that one operation serves for all rounds; each
// answer is checked.
//
//	go test ./consensus/governance -run xxx -bench Apply -benchmem
func BenchmarkApply(b *testing.B) {
	c := found(b, nil, memberLines(30)...)
	c.tick(hour)
	for i := range 100 {
		c.propose("m00", fmt.Sprint("open ", i))
	}
	open := c.propose("m01", "one")
	small, o := c.batch("two")
	deciding := c.propose("m02", "three")
	for i := 3; i < 17; i++ {
		c.vote(fmt.Sprintf("m%02d", i), deciding, spec.Approve)
	}
	var names string
	for i := range 256 {
		names += fmt.Sprint(" s", i)
	}
	big, o256 := c.batch(names)
	for _, x := range []struct {
		name string
		body spec.Body
		o    *spec.Opening
		puts int // least number of records that it changes
	}{
		{"vote", &spec.Vote{Case: open, Choice: spec.Approve}, nil, 3},
		{"deciding-vote", &spec.Vote{Case: deciding, Choice: spec.Approve}, nil, 6},
		{"proposal-of-1", small, o, 4},
		{"proposal-of-256", big, o256, 4},
	} {
		b.Run(x.name, func(b *testing.B) {
			s := submission(b, c.sign(c.op("m20", x.body), c.keys["m20"]), x.o)
			p := governance.Parse(&s)
			if err := governance.Verify(c.ledger, &p); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				eff, err := governance.Apply(c.ledger, p.Op, governance.Beside{Opening: p.Opening})
				if err != nil || len(eff.Puts) < x.puts {
					b.Fatalf("%v, %d records", err, len(eff.Puts))
				}
			}
		})
	}
}

// BenchmarkParse decodes operations, which nodes do in parallel ahead of Apply.
func BenchmarkParse(b *testing.B) {
	c := trio(b)
	open := c.propose("alpha", "one")
	s := submission(b, c.sign(c.op("bravo", &spec.Vote{Case: open, Choice: spec.Approve}), c.keys["bravo"]), nil)
	b.ReportAllocs()
	for b.Loop() {
		if p := governance.Parse(&s); p.Err != nil {
			b.Fatal(p.Err)
		}
	}
}
