// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-db/tocsin/spec"
)

func TestTicks(t *testing.T) {
	var due, bare atomic.Bool
	var asked atomic.Int64
	tune := func(cfg *Config) {
		every := (&member{}).tickEvery(30 * time.Second)
		cfg.Tick = func() (*spec.Timed, bool) {
			asked.Add(1)
			if bare.Load() {
				return nil, true
			}
			if due.Load() {
				return &spec.Timed{Size: 1}, true
			}
			return every()
		}
	}
	inCluster(t, 1, tune, func(c *cluster) {
		m := c.leader()
		ticks := func() int {
			m.store.mu.Lock()
			defer m.store.mu.Unlock()
			return len(m.store.live.Ticks)
		}
		wait := func(n int, limit time.Duration) time.Duration {
			begun := time.Now()
			c.until(limit, fmt.Sprintf("%d ticks", n), func() bool { return ticks() >= n })
			return time.Since(begun)
		}
		wait(1, 2*time.Second) // a new leader asks
		before := asked.Load()
		for i := range 50 { // no need to ask for each entry
			c.submit(fmt.Sprint(i))
		}
		if n := asked.Load() - before; ticks() != 1 || n > 1 {
			t.Errorf("%d ticks after 50 submissions, asked %d times", ticks(), n)
		}
		if d := wait(2, 32*time.Second); d < 28*time.Second {
			t.Errorf("an idle leader ticked again after %v", d)
		}
		due.Store(true)
		m.node.Wake()
		if d := wait(3, time.Second); d > 500*time.Millisecond {
			t.Errorf("a leader that was woken ticked after %v", d)
		}
		if d := wait(5, 4*time.Second); d < time.Second {
			t.Errorf("two ticks within %v", d)
		}
		due.Store(false)
		bare.Store(true)
		index := m.node.Applied()
		c.until(3*time.Second, "a bare entry", func() bool { return m.node.Applied() > index+1 })
	})
}

func TestAWakeWhileATickIsUnderWayIsHeardAtItsEnd(t *testing.T) {
	var due atomic.Bool
	tune := func(cfg *Config) { cfg.Tick = func() (*spec.Timed, bool) { return &spec.Timed{Size: 1}, due.Load() } }
	inCluster(t, 1, tune, func(c *cluster) {
		m := c.leader()
		reached, release := make(chan struct{}), make(chan struct{})
		var once sync.Once
		m.store.mu.Lock()
		m.store.before = func(Applied) error { once.Do(func() { close(reached) }); <-release; return nil }
		m.store.mu.Unlock()
		due.Store(true)
		m.node.Wake()
		<-reached
		m.node.Wake()
		synctest.Wait()
		begun := time.Now()
		close(release)
		c.until(2*time.Second, "a second tick", func() bool {
			m.store.mu.Lock()
			defer m.store.mu.Unlock()
			return len(m.store.live.Ticks) > 1
		})
		if d := time.Since(begun); d > 200*time.Millisecond {
			t.Errorf("a leader that was woken during a tick ticked again after %v", d)
		}
	})
}

// A tick ends while the next entry is packed: it is not taken for under way from then
// on, and ticks go on.
func TestTicksGoOnBesideSubmissions(t *testing.T) {
	tune := func(cfg *Config) { cfg.Tick = func() (*spec.Timed, bool) { return &spec.Timed{Size: 1}, true } }
	inCluster(t, 1, tune, func(c *cluster) {
		m := c.leader()
		var clients sync.WaitGroup
		for i := range 4 {
			clients.Go(func() {
				for j := range 100 {
					m.node.Wake()
					if _, err := m.node.Submit(c.ctx, sub("%d-%d", i, j)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		clients.Wait()
		ticks := func() int {
			m.store.mu.Lock()
			defer m.store.mu.Unlock()
			return len(m.store.live.Ticks)
		}
		before := ticks()
		c.until(5*time.Second, "another two ticks", func() bool { return ticks() > before+1 })
	})
}

func TestTicksDoNotPileUp(t *testing.T) {
	tune := func(cfg *Config) { cfg.Tick = func() (*spec.Timed, bool) { return &spec.Timed{Size: 1}, true } }
	inCluster(t, 1, tune, func(c *cluster) {
		m := c.leader()
		release := make(chan struct{})
		m.store.mu.Lock()
		m.store.before = func(Applied) error { <-release; return nil }
		m.store.mu.Unlock()
		last := m.node.Status().Last
		begun := time.Now()
		c.until(5*time.Second, "four seconds", func() bool {
			m.node.Wake()
			return time.Since(begun) > 4*time.Second
		})
		if n := m.node.Status().Last - last; n > 1 {
			t.Errorf("%d ticks are under way", n)
		}
		close(release)
	})
}
