// SPDX-License-Identifier: Apache-2.0

package epoch

import (
	"sync"
	"testing"
)

func TestNothingIsQuietWhileAnOlderReaderIsInside(t *testing.T) {
	var d Domain
	before := d.Enter(0)
	mark := d.Retire()
	if d.Quiet() >= mark {
		t.Fatal("a reader from before the mark is still inside")
	}
	after := d.Enter(0)
	if after == before {
		t.Fatal("two readers share a seat")
	}
	d.Leave(before)
	if d.Quiet() < mark {
		t.Fatal("a reader that came after the mark must not hold it back")
	}
	d.Leave(after)
}

func TestSeatsAreReused(t *testing.T) {
	var d Domain
	for range 3 * slots {
		d.Leave(d.Enter(7))
	}
	var taken []uint32
	for range slots {
		taken = append(taken, d.Enter(7))
	}
	done := make(chan uint32)
	go func() { done <- d.Enter(7) }()
	d.Leave(taken[5])
	if got := <-done; got != taken[5] {
		t.Fatalf("waited for a seat and got %d, want %d", got, taken[5])
	}
}

// A slot of memory is written by the writer alone once it is quiet: the race
// detector sees any reader that is still inside.
func TestReuseIsRaceFree(t *testing.T) {
	var d Domain
	var wg sync.WaitGroup
	type cell struct{ v int }
	current := make(chan *cell, 1)
	current <- &cell{1}
	stop := make(chan struct{})
	for r := range 3 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				seat := d.Enter(uint32(r))
				c := <-current
				current <- c
				if c.v < 1 {
					t.Error("a reader saw reclaimed memory")
				}
				d.Leave(seat)
			}
		})
	}
	var limbo []*cell
	var marks []uint64
	for i := range 3000 {
		next := &cell{i + 2}
		old := <-current
		current <- next
		limbo, marks = append(limbo, old), append(marks, d.Retire())
		for quiet := d.Quiet(); len(limbo) > 0 && marks[0] <= quiet; {
			limbo[0].v = -1
			limbo, marks = limbo[1:], marks[1:]
		}
	}
	close(stop)
	wg.Wait()
}
