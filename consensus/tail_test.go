// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// The followers append while the leader's disk is still busy, and nobody takes for
// committed what is not durable there.
func TestFollowersAppendWhileTheLeaderDoes(t *testing.T) {
	inCluster(t, 3, nil, func(c *cluster) {
		c.submit("first")
		c.converge(1)
		led := c.leader()
		busy := make(chan struct{})
		release := sync.OnceFunc(func() { close(busy) })
		defer release()
		led.log.onAppend(func([]*raft.Log) error { <-busy; return nil })
		acked := make(chan error, 1)
		go func() { _, err := led.node.Submit(c.ctx, sub("second")); acked <- err }()
		last := func(m *member) uint64 { i, _ := m.log.LastIndex(); return i }
		held := last(led)
		c.until(500*time.Millisecond, "the followers to hold what the leader's disk does not", func() bool {
			for _, m := range c.members {
				if m != led && last(m) == held {
					return false
				}
			}
			return true
		})
		<-time.After(time.Second) // raft tells followers of commits every 100 ms
		synctest.Wait()
		for _, m := range c.members {
			if ops := m.store.ops(); len(ops) != 1 {
				t.Errorf("%s applied %q before the leader's append ended", m.id, ops)
			}
			if s := m.node.Status(); s.Commit > held {
				t.Errorf("%s takes %d for committed, the leader's disk holds %d", m.id, s.Commit, held)
			}
		}
		select {
		case err := <-acked:
			t.Fatalf("answered before the leader's append ended: %v", err)
		default:
		}
		release()
		if err := <-acked; err != nil {
			t.Error(err)
		}
		led.log.onAppend(nil)
		c.converge(2)
	})
}

// By the entry that begins its term a leader has what is of earlier terms taken for
// committed: it is on the leader's own disk before it goes to anybody.
func TestTheEntryThatBeginsATermIsDurableBeforeItIsSent(t *testing.T) {
	inCluster(t, 3, nil, func(c *cluster) {
		c.submit("first")
		c.converge(1)
		busy := make(chan struct{})
		var first, early atomic.Int32
		for _, m := range c.members {
			m.log.onAppend(func(entries []*raft.Log) error {
				if slices.ContainsFunc(entries, func(l *raft.Log) bool { return l.Type == raft.LogNoop }) {
					if first.Add(1) == 1 {
						<-busy
					} else {
						early.Add(1)
					}
				}
				return nil
			})
		}
		c.stop(c.leader().id)
		c.until(10*time.Second, "another to begin a term", func() bool { return first.Load() > 0 })
		<-time.After(500 * time.Millisecond)
		synctest.Wait()
		if n := early.Load(); n > 0 {
			t.Errorf("%d others were sent it while it was on its way to the leader's disk", n)
		}
		close(busy)
		c.submit("second")
	})
}

// What a leader's disk lost in a power cut was acknowledged by nobody.
func TestACrashDuringAppendsLosesNothingThatWasAcknowledged(t *testing.T) {
	var acked, pending int // operations; crashes of a leader with a tail
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inCluster(t, 3, nil, func(c *cluster) {
				a, p := crashDuringAppends(c, rand.New(rand.NewPCG(seed, 2)))
				acked, pending = acked+a, pending+p
			})
		})
	}
	if acked == 0 || pending == 0 {
		t.Errorf("%d operations were acknowledged, and %d crashes fell into an append", acked, pending)
	}
}

func crashDuringAppends(c *cluster, rng *rand.Rand) (operations, pending int) {
	var acked []string
	for round := range 8 {
		for _, m := range c.members {
			took := time.Duration(1+rng.IntN(20)) * time.Millisecond
			m.log.onAppend(func([]*raft.Log) error { <-time.After(took); return nil })
		}
		led := c.leader()
		node, answers := led.node, make(chan string, 6)
		var crashed atomic.Bool
		for i := range cap(answers) {
			op := fmt.Sprintf("op-%d-%d", round, i)
			go func() {
				_, err := node.Submit(c.ctx, sub("%s", op))
				if err != nil || crashed.Load() {
					op = ""
				}
				answers <- op
			}()
			<-time.After(time.Duration(rng.IntN(8)) * time.Millisecond)
		}
		victims := c.voters
		if rng.IntN(3) > 0 {
			victims = []string{led.id}
		}
		synctest.Wait()
		if node.log.durable() != math.MaxUint64 {
			pending++
		}
		crashed.Store(true)
		disks := c.powerCut(victims)
		for range cap(answers) {
			if op := <-answers; op != "" {
				acked = append(acked, op)
			}
		}
		c.replace(disks)
	}
	for _, m := range c.members {
		m.log.onAppend(nil)
	}
	all := c.settle()
	for _, op := range acked {
		if !slices.Contains(all, op) {
			c.t.Errorf("%s was acknowledged and is not there", op)
		}
	}
	for _, id := range c.voters {
		c.stop(id)
	}
	return len(acked), pending
}

type disk struct {
	store *memStore
	log   *memLog
}

// powerCut returns what is durable now on the disks of members, and cuts them off.
func (c *cluster) powerCut(ids []string) map[string]disk {
	disks := map[string]disk{}
	for _, id := range ids {
		m := c.members[id]
		disks[id] = disk{m.store.crashed(), m.log.crashed()}
	}
	for _, id := range ids {
		c.isolate(id)
	}
	return disks
}

// replace ends members and starts them with other disks.
func (c *cluster) replace(disks map[string]disk) {
	for id := range disks {
		m := c.members[id]
		c.until(30*time.Second, "nothing to be under way", func() bool {
			return m.node.raft.State() != raft.Leader && len(m.node.packer.slots) == 0
		})
		c.kill(id)
		m.store, m.log = disks[id].store, disks[id].log
	}
	for _, id := range slices.Sorted(maps.Keys(disks)) {
		c.start(id)
	}
}

// A leader whose append fails in the background stops and acknowledges nothing, and
// the others go on.
func TestAnAppendThatFailsInTheBackgroundStopsTheLeader(t *testing.T) {
	inCluster(t, 3, nil, func(c *cluster) {
		c.submit("first")
		led := c.leader()
		led.log.onAppend(func([]*raft.Log) error { return errors.New("input/output error") })
		if _, err := led.node.Submit(c.ctx, sub("second")); !errors.Is(err, ErrUnknownOutcome) {
			t.Errorf("the submission during the fault: %v", err)
		}
		c.faultOf(led, ExitIO)
		if ops := led.store.ops(); len(ops) != 1 {
			t.Errorf("the leader applied %q", ops)
		}
		c.kill(led.id)
		c.submit("third")
		led.log.onAppend(nil)
		c.start(led.id)
		if all := c.settle(); !slices.Contains(all, "third") {
			t.Errorf("operations %q", all)
		}
	})
}
