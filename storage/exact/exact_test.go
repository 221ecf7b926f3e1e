// SPDX-License-Identifier: Apache-2.0

package exact

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

func key(i int) (k [32]byte) {
	return sha256.Sum256(binary.LittleEndian.AppendUint64(nil, uint64(i)))
}

// eachKernel runs a test with every way of looking into a bucket that there is here.
func eachKernel(t *testing.T, test func(t *testing.T)) {
	best := wide
	defer func() { wide = best }()
	t.Run("go", func(t *testing.T) {
		wide = false
		test(t)
	})
	if best {
		t.Run("avx2", func(t *testing.T) {
			wide = true
			test(t)
		})
	}
}

func TestTableIsASet(t *testing.T) { eachKernel(t, testTableIsASet) }

func testTableIsASet(t *testing.T) {
	for name, hint := range map[string]int{"grown": 0, "with room": 100_000} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			table, model := New(hint), map[int]bool{}
			n := fewer(30_000)
			for round := range fewer(200_000) {
				i := rng.IntN(n)
				k := key(i)
				if rng.IntN(10) < 3+4*(round/fewer(40_000)%2) {
					if got := table.Remove(&k); got != model[i] {
						t.Fatalf("Remove says %v, want %v", got, model[i])
					}
					delete(model, i)
				} else {
					if got := table.Add(&k); got == model[i] {
						t.Fatalf("Add says new: %v, want %v", got, !model[i])
					}
					model[i] = true
				}
			}
			if table.Len() != len(model) {
				t.Fatalf("Len is %d, want %d", table.Len(), len(model))
			}
			keys, out := make([][32]byte, n), make([]byte, n)
			for i := range keys {
				keys[i] = key(i)
				if table.Has(&keys[i]) != model[i] {
					t.Fatalf("Has says %v, want %v", !model[i], model[i])
				}
			}
			table.HasBatch(keys, out)
			for i := range out {
				if (out[i] == 1) != model[i] || out[i] > 1 {
					t.Fatalf("HasBatch says %d, want %v", out[i], model[i])
				}
			}
		})
	}
}

func TestAddBatchAndRowsOfAnyLength(t *testing.T) {
	for _, n := range []int{0, 1, 31, 32, 33, 1000} {
		table := New(0)
		keys := make([][32]byte, n)
		rows := make([]byte, 0, 32*n)
		for i := range keys {
			keys[i] = key(i)
			asked := key(2 * i)
			rows = append(rows, asked[:]...)
		}
		if added := table.AddBatch(keys); added != n || table.Len() != n || table.AddBatch(keys) != 0 {
			t.Fatalf("%d of %d keys added, then %d listed", added, n, table.Len())
		}
		out := make([]byte, n)
		table.HasRows(rows, out)
		for i, has := range out {
			if (has == 1) != (2*i < n) {
				t.Fatalf("row %d of %d: %d", i, n, has)
			}
		}
	}
}

// Keys that differ in one bit only, wherever it is, are different keys; so are
// keys that are not spread like a SHA-256.
func TestKeysThatAreAlikeAreNotMixedUp(t *testing.T) { eachKernel(t, testKeysThatAreAlike) }

func testKeysThatAreAlike(t *testing.T) {
	table := New(0)
	base := key(1)
	table.Add(&base)
	for bit := range 256 {
		k := base
		k[bit/8] ^= 1 << (bit % 8)
		if table.Has(&k) {
			t.Fatalf("a key that differs in bit %d counts as listed", bit)
		}
	}
	for i := range fewer(50_000) {
		var k [32]byte
		binary.LittleEndian.PutUint64(k[(i%4)*8:], uint64(i)+1)
		if !table.Add(&k) {
			t.Fatalf("key %d counts as listed before it is", i)
		}
	}
	var zero [32]byte
	if table.Has(&zero) || !table.Add(&zero) || !table.Has(&zero) {
		t.Fatal("the zero key is a key like any other")
	}
}

// A bucket that many keys share is full to its last slot, spills into one more and so
// on; asked for one by one and in groups of every size.
func TestBucketsThatAreFullToTheLastSlot(t *testing.T) {
	const most = 4*slots + 1
	for n := range most + 1 {
		table := New(0)
		var all []fingerprint
		for i := range most + groupSize {
			all = append(all, fingerprint{lo: 0x77 | uint64(i%3)<<40, hi: uint64(i)})
		}
		for _, f := range all[:n] {
			if !table.add(f) || table.add(f) {
				t.Fatal("a key is not added once")
			}
		}
		check := func(listed func(i int) bool) {
			t.Helper()
			for size := 1; size <= groupSize; size++ {
				for from := 0; from < len(all); from += size {
					fs := all[from:min(from+size, len(all))]
					out := make([]byte, len(fs))
					table.hasGroup(fs, out)
					for i, f := range fs {
						if want := listed(from + i); (out[i] == 1) != want || table.has(f) != want {
							t.Fatalf("key %d of %d in a bucket, in groups of %d: %d, want %v", from+i, n, size, out[i], want)
						}
					}
				}
			}
		}
		check(func(i int) bool { return i < n })
		same := slices.Repeat(all[max(0, n-1):max(0, n-1)+1], groupSize)
		out := make([]byte, groupSize)
		table.hasGroup(same, out)
		if want := byte(bit(n > 0)); !bytes.Equal(out, bytes.Repeat([]byte{want}, groupSize)) {
			t.Fatalf("one key asked for many times: %d", out)
		}
		at := place(all[0].lo, table.size.Load())
		table.chain(at, func(b *bucket) bool {
			for i := range slots {
				b.unset(i) // the links stay
			}
			return true
		})
		check(func(int) bool { return false })
	}
}

func TestKeysThatStayAreFoundWhileOthersComeAndGo(t *testing.T) { eachKernel(t, testKeysThatStay) }

func testKeysThatStay(t *testing.T) {
	table := New(0)
	steady, churn := fewer(2000), fewer(40_000)
	for i := range steady {
		k := key(i)
		table.Add(&k)
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	var asked atomic.Int64
	for r := range 3 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(3, uint64(r)))
			keys, out := make([][32]byte, 40), make([]byte, 40)
			for !stop.Load() {
				for i := range keys {
					n := rng.IntN(steady)
					if i%4 == 3 {
						n = -1 - n
					}
					keys[i] = key(n)
					if table.Has(&keys[i]) != (n >= 0) {
						t.Errorf("key %d: Has is wrong", n)
						return
					}
				}
				table.HasBatch(keys, out)
				for i := range out {
					if (out[i] == 1) != (i%4 != 3) {
						t.Error("HasBatch is wrong")
						return
					}
				}
				asked.Add(1)
			}
		})
	}
	rng := rand.New(rand.NewPCG(4, 5))
	for round := 0; round < 3*churn || asked.Load() < 30; round++ {
		k := key(steady + rng.IntN(churn))
		if rng.IntN(3) == 0 {
			table.Remove(&k)
		} else {
			table.Add(&k)
		}
	}
	stop.Store(true)
	wg.Wait()
}

// fewer makes a test a twentieth as long under the race detector.
func fewer(n int) int {
	if raceEnabled {
		return n / 20
	}
	return n
}
