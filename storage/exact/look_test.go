// SPDX-License-Identifier: Apache-2.0

package exact

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Both ways of looking say the same of every key in every bucket, whatever the size is
// and wherever the buckets lie; and none sends a reader on where the answer stands in
// the first line.
func TestEveryKernelSaysTheSameOfABucket(t *testing.T) {
	if !wide {
		t.Log("there is only the one in Go here")
	}
	rng := rand.New(rand.NewPCG(7, 8))
	table := New(0)
	n := fewer(100_000)
	for i := range n {
		k := key(i)
		table.Add(&k)
		if rng.IntN(5) == 0 {
			k := key(rng.IntN(i + 1))
			table.Remove(&k)
		}
		for range 4 {
			k := key(rng.IntN(2*i + 2))
			f := table.secret.fingerprint(&k)
			size := table.size.Load()
			at := place(f.lo, size)
			found, further := table.buckets.bucket(at).look(f)
			want := uint64(lookAbsent)
			switch {
			case !wide || at >= uint64(len(table.buckets.first)):
				want = lookFurther
			case found:
				want = lookFound
			case further:
				want = lookFurther
			}
			if got := lookWide(table, &k); got != want {
				t.Fatalf("bucket %d of %d: lookWide says %d, want %d", at, size, got, want)
			}
		}
	}
}

// Of the keys that are not listed hardly one in thirty costs more than the line where it
// would stand, though one bucket in eight has spilled; and it stays so when what had
// spilled has gone.
func TestAnUnlistedKeyCostsOneLine(t *testing.T) {
	table := New(0)
	n := fewer(200_000)
	for i := range n {
		k := key(i)
		table.Add(&k)
	}
	asked := fewer(100_000)
	check := func(full bool) {
		t.Helper()
		spilled, sent := 0, 0
		for i := range asked {
			k := key(-1 - i)
			f := table.secret.fingerprint(&k)
			b := table.buckets.bucket(place(f.lo, table.size.Load()))
			_, further := b.look(f)
			spilled += bit(b.link() != 0)
			sent += bit(further)
		}
		if spilled*20 < asked {
			t.Fatalf("%d of %d keys belong into buckets that spilled: too few to say anything", spilled, asked)
		}
		if full && (sent*25 > asked || sent == 0) || !full && sent > 0 {
			t.Fatalf("%d of %d unlisted keys are looked for in a second bucket", sent, asked)
		}
	}
	check(true)
	for i := range n {
		k := key(i)
		table.Remove(&k)
	}
	check(false)
}

// A reader that the size changes under is told to look again, whatever it saw: the key
// may have moved meanwhile.
func TestAReaderIsSentOnWhenTheSizeChanges(t *testing.T) {
	if !wide || runtime.GOMAXPROCS(0) == 1 {
		t.Log("the size cannot change within lookWide here")
		return
	}
	table := New(0)
	k := key(1)
	size := table.size.Load()
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := uint64(0); !stop.Load(); n++ {
			table.size.Store(size - n%2) // its buckets are there either way
		}
	})
	for end := time.Now().Add(2 * time.Minute); lookWide(table, &k) != lookFurther; {
		if time.Now().After(end) {
			t.Error("the answer is never that the size changed")
			break
		}
	}
	stop.Store(true)
	wg.Wait()
}
