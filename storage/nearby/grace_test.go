// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// A reader that was stopped after it read the headers must, however much is
// added and removed meanwhile, find in those blocks what it would have found
// at once.
func TestBlocksStayWhileAReaderHoldsThem(t *testing.T) {
	eachKernel(t, func(t *testing.T, kernel string) {
		rng := rand.New(rand.NewPCG(51, 52))
		x := New(WithKernel(kernel), withLimboStep(1))
		target := randomHash(rng)
		mustAdd(t, x, target, 1)
		for range 2000 {
			mustAdd(t, x, flip(rng, target, 32+rng.IntN(60)), 2)
		}

		q := flip(rng, target, 31)
		held := holdRuns(x, &q)
		before := held.candidates(x)
		var churn [][32]byte
		for range fewer(6000) {
			h := flip(rng, target, 32+rng.IntN(60))
			churn = append(churn, h, randomHash(rng))
			mustAdd(t, x, h, 3)
			mustAdd(t, x, churn[len(churn)-1], 3)
			if len(churn) > 600 {
				x.Remove(&churn[0], 3)
				churn = churn[1:]
			}
		}
		after := held.candidates(x)
		x.readers.Leave(held.seat)

		for _, r := range before {
			if !slices.Contains(after, r) {
				t.Fatal("a row that the blocks held is gone from them while a reader is inside")
			}
		}
		if want := fromHash(&target); !slices.Contains(before, want) {
			t.Fatal("the test looks at the wrong blocks")
		}
		check(t, x, model{target: {1: true}}, target, 10)
	})
}

type heldRuns struct {
	seat uint32
	runs []run
}

func holdRuns(x *Index, q *[32]byte) (h heldRuns) {
	h.seat = x.readers.Enter(0)
	r := fromHash(q)
	d := (*x.segments.Load())[0].directory.Load()
	for b := range bandCount {
		h.runs = d.runs(b, &r, &plans[MaxIndexed], h.runs)
	}
	return h
}

// candidates scans the held blocks again.
func (h *heldRuns) candidates(x *Index) (rows []row) {
	s := (*x.segments.Load())[0]
	runs := slices.Clone(h.runs)
	out := make([]uint32, 1<<16)
	_, found := x.kernel.scan(s.units, runs, len(runs), out)
	for _, pos := range out[:found] {
		if id := s.id(pos); rowNumberOK(id) {
			rows = append(rows, s.loadRow(id))
		}
	}
	return rows
}
