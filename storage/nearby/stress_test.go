// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

// While one goroutine adds and removes as fast as it can, so that blocks
// split, grow, shrink and are used again, readers must always find the hashes
// that stay and never see one that was not listed or a wrong distance. Built
// with -race the Go kernel is watched word by word.
func TestReadersDuringAddsAndRemoves(t *testing.T) {
	eachKernel(t, func(t *testing.T, kernel string) {
		rng := rand.New(rand.NewPCG(31, 32))
		x := New(WithKernel(kernel), withLimboStep(1))
		parents := [][32]byte{{}, randomHash(rng), randomHash(rng)}
		steady := map[[32]byte]uint64{}
		var steadyList, churn [][32]byte
		for i := range 300 {
			h := flip(rng, parents[i%3], rng.IntN(30))
			if _, twice := steady[h]; !twice {
				steady[h] = uint64(i)
				steadyList = append(steadyList, h)
				mustAdd(t, x, h, uint64(i))
			}
		}
		churned := map[[32]byte]bool{}
		for range 3000 {
			for _, h := range [][32]byte{flip(rng, parents[rng.IntN(3)], rng.IntN(60)), randomHash(rng)} {
				if _, isSteady := steady[h]; !isSteady && !churned[h] {
					churned[h] = true
					churn = append(churn, h)
				}
			}
		}

		var stop atomic.Bool
		var searches atomic.Int64
		var wg sync.WaitGroup
		for r := range 3 {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(33, uint64(r)))
				var dst []Match
				var batch Results
				for !stop.Load() {
					h := steadyList[rng.IntN(len(steadyList))]
					q := flip(rng, h, rng.IntN(32))
					if searches.Add(1)%8 == 0 {
						x.SearchBatch([][32]byte{q, q}, 31, &batch)
						dst, _ = batch.Of(1)
					} else {
						dst, _ = x.Search(&q, 31, dst[:0])
					}
					found := false
					for _, m := range dst {
						_, isSteady := steady[m.Hash]
						found = found || m.Hash == h && m.Ref == steady[h]
						if m.Distance != hamming(q, m.Hash) || m.Distance > 31 || !(isSteady || churned[m.Hash]) {
							t.Errorf("a match that was never listed, or a wrong distance %d", m.Distance)
							return
						}
					}
					if !found {
						t.Error("a hash that was listed all the time was not found")
						return
					}
				}
			})
		}
		rounds := 120_000
		if testing.Short() || raceEnabled {
			rounds = 12_000
		}
		listed := map[int]bool{}
		for i := 0; i < rounds || searches.Load() < 500; i++ {
			if t.Failed() {
				break
			}
			// Waves that fill the index up and empty it again.
			k := rng.IntN(len(churn))
			if rng.IntN(100) < 30+40*(i/20_000%2) {
				if x.Remove(&churn[k], 1) != listed[k] {
					t.Error("Remove disagrees about what is listed")
				}
				delete(listed, k)
			} else {
				mustAdd(t, x, churn[k], 1)
				listed[k] = true
			}
		}
		stop.Store(true)
		wg.Wait()
		for i := range 2 * limboStep { // with no reader left all can be used again
			h := randomHash(rng)
			mustAdd(t, x, h, uint64(i))
			if !x.Remove(&h, uint64(i)) {
				t.Fatal("a pair just added is not there")
			}
		}
		settled(t, x)
		checkInvariants(t, x)
		if x.Len() != len(steady)+len(listed) {
			t.Fatalf("%d pairs, want %d", x.Len(), len(steady)+len(listed))
		}
		if s := (*x.segments.Load())[0]; len(s.limbo.items) > 2*limboStep {
			t.Fatalf("%d blocks and rows wait to be used again with no reader inside", len(s.limbo.items))
		}
	})
}
