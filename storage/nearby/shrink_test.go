// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// await waits until done holds.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !done(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain for", what)
		}
	}
}

// settled waits until no segment is being emptied: the wave that ends with few
// hashes leaves one whose rows still move.
func settled(t *testing.T, x *Index) {
	t.Helper()
	await(t, "rows to stop moving", func() bool {
		x.writing.Lock()
		defer x.writing.Unlock()
		return !x.emptying
	})
}

// While most hashes are removed and the rest moves to less memory, readers
// must find every hash that stays, once.
func TestMemoryGoesBackAfterRemovals(t *testing.T) {
	eachKernel(t, func(t *testing.T, kernel string) {
		rng := rand.New(rand.NewPCG(71, 72))
		x, m := New(WithKernel(kernel), withLimboStep(1)), model{}
		n := fewer(60_000)
		hs := make([][32]byte, n)
		for i := range hs {
			hs[i] = randomHash(rng)
			for ref := range uint64(1 + i%20/19) {
				mustAdd(t, x, hs[i], ref)
				m.add(hs[i], ref)
			}
		}
		full := x.Memory()

		var stop atomic.Bool
		var wg sync.WaitGroup
		for r := range 2 {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(73, uint64(r)))
				var batch Results
				for !stop.Load() {
					i := rng.IntN(n/20) * 20
					qs := [][32]byte{flip(rng, hs[i], 20), flip(rng, hs[i+19], 20)}
					x.SearchBatch(qs, 31, &batch)
					one, _ := batch.Of(0)
					two, _ := batch.Of(1)
					alone, _ := x.Search(&qs[1], 31, nil)
					if len(one) != 1 || one[0].Hash != hs[i] || len(two) != 2 || len(alone) != 2 {
						t.Errorf("%d, %d and %d answers while memory goes back, want 1, 2 and 2", len(one), len(two), len(alone))
						return
					}
				}
			})
		}
		for i := range hs {
			if i%20 != 0 && i%20 != 19 {
				if !x.Remove(&hs[i], 0) {
					t.Fatal("a pair that was added is not there")
				}
				m.remove(hs[i], 0)
			}
		}
		await(t, "memory to go back", func() bool { return x.Memory() < full/3 })
		stop.Store(true)
		wg.Wait()
		settled(t, x)
		checkInvariants(t, x)
		if x.Len() != m.len() {
			t.Fatalf("%d pairs, want %d", x.Len(), m.len())
		}
		for i := 0; i < n; i += n / 50 {
			check(t, x, m, hs[i], 31)
		}
		for h, refs := range m {
			for ref := range refs {
				if !x.Remove(&h, ref) {
					t.Fatal("a hash that moved cannot be removed")
				}
			}
		}
		await(t, "an empty index to hold nothing", func() bool { return x.Memory() < 1<<20 })
		mustAdd(t, x, hs[0], 9)
		check(t, x, model{hs[0]: {9: true}}, hs[0], 31)
	})
}
