// SPDX-License-Identifier: Apache-2.0

package node

import (
	"testing"
	"testing/synctest"
	"time"
)

// Bulk has all of its rate while nothing is submitted, a quarter beside commits, and all
// again soon after the last.
func TestBulkGivesWayToCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const perSecond, piece = 8 << 20, 256 << 10
		var c commits
		b := newBulk(perSecond, &c)
		sent := func(d time.Duration) (bytes int) {
			t.Helper()
			for began := time.Now(); time.Since(began) < d; bytes += piece {
				if err := b.WaitN(t.Context(), piece); err != nil {
					t.Fatal(err)
				}
			}
			return bytes
		}
		within := func(what string, got, want int) {
			t.Helper()
			if got < want*9/10 || got > want*11/10 {
				t.Fatalf("%s: %d bytes, not about %d", what, got, want)
			}
		}
		sent(2 * time.Second) // and the burst is used up
		within("alone", sent(10*time.Second), 10*perSecond)
		end := c.begin()
		sent(2 * time.Second)
		within("beside a commit that takes long", sent(10*time.Second), 10*perSecond/besideCommits)
		for range 128 { // a burst of what counts as little
			b.slow.AllowN(time.Now(), leastCost)
		}
		small := 0
		for began := time.Now(); time.Since(began) < 10*time.Second; small++ {
			if err := b.WaitN(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
		}
		within("small answers", small*leastCost, 10*perSecond/besideCommits)
		stop := make(chan struct{})
		done := make(chan struct{})
		go func() { // one short commit after the other
			defer close(done)
			for {
				select {
				case <-stop:
					return
				case <-time.After(commitsPause / 2):
					c.begin()()
				}
			}
		}()
		end()
		within("beside short ones", sent(10*time.Second), 10*perSecond/besideCommits)
		close(stop)
		<-done
		<-time.After(commitsPause)
		sent(2 * time.Second)
		within("afterwards", sent(10*time.Second), 10*perSecond)
	})
}
