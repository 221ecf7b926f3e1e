// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"
)

// randomUnits makes lanes of which many are near want.
func randomUnits(rng *rand.Rand, n int, want uint16) *units {
	u := &units{lanes: make([]uint64, n*laneWords), ids: make([]uint64, n*idWords)}
	for i := range uint32(n * unitLanes) {
		lane := uint16(rng.Uint32())
		if rng.IntN(3) == 0 {
			lane = want
			for range rng.IntN(5) {
				lane ^= 1 << rng.IntN(16)
			}
		}
		u.setLanePlain(i, lane)
	}
	return u
}

// wanted are the positions that a scan of runs must find.
func wanted(u *units, runs []run) (all []uint32) {
	for _, r := range runs {
		for pos := r.unit() * unitLanes; pos < (r.unit()+r.units())*unitLanes; pos++ {
			if bits.OnesCount16(u.lane(pos)^r.want()) <= int(r.most()) {
				all = append(all, pos)
			}
		}
	}
	return all
}

// Every kernel finds what a comparison lane by lane finds, whatever room there is for
// it, drained in the middle of runs or at their ends; runs may be empty, and all lanes
// may match.
func TestKernelsScanAlike(t *testing.T) {
	eachKernel(t, func(t *testing.T, name string) {
		k, rng := kernelNamed(name), rand.New(rand.NewPCG(11, 12))
		for round := range fewer(400) {
			const want, space = 0x5a3c, 64
			u := randomUnits(rng, space, want)
			if round%7 == 0 {
				for i := range uint32(space * unitLanes) {
					u.setLanePlain(i, want)
				}
			}
			var runs []run
			for range 1 + rng.IntN(40) {
				n := rng.IntN(12)
				unit := rng.IntN(space - n)
				runs = append(runs, run{uint64(unit) | uint64(n)<<32, newFilter(want^uint16(rng.IntN(2)<<rng.IntN(16)), uint16(rng.IntN(4)))})
			}
			n := 1 + rng.IntN(len(runs))
			want0 := wanted(u, runs[:n])
			guard := uint32(0xdeadbeef)
			room := outMinimum + rng.IntN(3)*unitLanes + rng.IntN(2)*rng.IntN(unitLanes)
			out := make([]uint32, room+1)
			out[room] = guard
			var got []uint32
			for at, calls := 0, 0; at < n; calls++ {
				done, found := k.scan(u, runs[at:], n-at, out[:room:room])
				got = append(got, out[:found]...)
				at += done
				if calls > 2*space*len(runs) {
					t.Fatal("the scan does not get on")
				}
			}
			slices.Sort(got)
			slices.Sort(want0)
			if !slices.Equal(got, want0) || out[room] != guard {
				t.Fatalf("round %d with room for %d: %d positions, want %d", round, room, len(got), len(want0))
			}
			for size := range unitLanes { // too little room is none
				if done, found := k.scan(u, slices.Clone(runs), n, out[:size:size]); found > size || done > n || out[room] != guard {
					t.Fatalf("%d positions in room for %d", found, size)
				}
			}
		}
	})
}

// Every kernel reads the row numbers that are some, below the top, and not repeated
// lately, into room for exactly as many positions; and compares rows by their distance.
func TestKernelsLookUpAlike(t *testing.T) {
	eachKernel(t, func(t *testing.T, name string) {
		k, rng := kernelNamed(name), rand.New(rand.NewPCG(13, 14))
		const rows = 300
		for round := range fewer(300) {
			u := randomUnits(rng, 8, 0)
			s := &segment{rows: make([]uint64, 4*rows)}
			s.units = u
			q := row{rng.Uint64(), rng.Uint64(), rng.Uint64(), rng.Uint64()}
			for id := range rows {
				r := q
				for range rng.IntN(60) {
					b := rng.IntN(256)
					r[b/64] ^= 1 << (b % 64)
				}
				copy(s.rows[4*id:], r[:])
			}
			top := uint32(rng.IntN(rows) + 1)
			for pos := range uint32(8 * unitLanes) {
				id := rng.Uint32N(rows)
				switch rng.IntN(5) {
				case 0:
					id = noRow
				case 1:
					id = id<<16 | 0xffff
				case 2:
					id = top - 1
				}
				u.setID(pos, id)
			}
			positions := make([]uint32, rng.IntN(600))
			for i := range positions {
				positions[i] = rng.Uint32N(8 * unitLanes)
			}
			if round%5 == 0 && len(positions) > 0 {
				positions = slices.Repeat(positions[:1], 200)
			}
			var want []uint32
			for _, p := range positions {
				if id := u.id(p); id < top && rowNumberOK(id) {
					want = append(want, id)
				}
			}
			met := &recent{}
			met.reset()
			ids := make([]uint32, len(positions)+1)
			ids[len(positions)] = 0xdeadbeef
			n := k.lookUp(s, positions, met, top, ids[:len(positions):len(positions)])
			got := slices.Clone(ids[:n])
			if ids[len(positions)] != 0xdeadbeef || n > len(want) || !sameSet(got, want) {
				t.Fatalf("%d row numbers of %d positions, want those of %d", n, len(positions), len(want))
			}
			radius := []int{0, 1, 31, 255, 256}[rng.IntN(5)]
			var near []uint32
			for _, id := range got {
				if r := row(s.rows[4*id : 4*id+4]); r.distance(&q) <= radius {
					near = append(near, id)
				}
			}
			if m := k.nearRows(s, got, &q, radius); !slices.Equal(got[:m], near) {
				t.Fatalf("%d rows within %d, want %d", m, radius, len(near))
			}
		}
	})
}

func sameSet(a, b []uint32) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}
