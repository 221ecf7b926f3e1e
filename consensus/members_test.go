// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/spec"
)

// reconcile runs Reconcile on whoever leads until it is done.
func (c *cluster) reconcile(want ...string) {
	c.t.Helper()
	c.until(2*time.Minute, "the sequencers to be "+strings.Join(want, ","), func() bool {
		ctx, cancel := context.WithTimeout(c.ctx, time.Minute)
		defer cancel()
		return c.leader().node.Reconcile(ctx, want) == nil
	})
	got := c.leader().node.voters()
	if !slices.Equal(got, want) {
		c.t.Fatalf("voters %v, want %v", got, want)
	}
}

func TestNewSequencerJoinsWithAnEmptyDatabase(t *testing.T) {
	inCluster(t, 3, nil, func(c *cluster) {
		c.fill("before", 30)
		for _, m := range c.members { // it must come by snapshot
			if err := m.node.Erase(c.ctx); err != nil {
				t.Fatal(err)
			}
		}
		d := c.add("d")
		c.start("d")
		begun := time.Now()
		c.reconcile("a", "b", "c", "d")
		if took := time.Since(begun); took < 5*time.Second {
			t.Errorf("it got its vote after %v, without having kept up", took)
		}
		c.submit("after")
		c.converge(31)
		if n := d.store.applied(); n > 10 {
			t.Errorf("it applied %d groups: that was no snapshot", n)
		}
		// Its configuration is its own now.
		c.crash("d")
		c.start("d")
		if got := d.node.voters(); !slices.Equal(got, []string{"a", "b", "c", "d"}) {
			t.Errorf("after a restart it knows the voters %v", got)
		}
	})
}

func TestReplacementsIncludingTheLeader(t *testing.T) {
	inCluster(t, 3, nil, func(c *cluster) {
		c.submit("first")
		gone := c.leader()
		for _, id := range []string{"d", "e"} {
			c.add(id)
			c.start(id)
		}
		want := []string{"d", "e"}
		for _, id := range c.voters {
			if id != gone.id && len(want) < 3 {
				want = append([]string{id}, want...)
			}
		}
		c.reconcile(want...)
		c.submit("second")
		for _, id := range c.voters {
			if !slices.Contains(want, id) {
				c.kill(id)
			}
		}
		c.converge(2)
		c.submit("third")
	})
}

func TestUnreachableNewcomerHoldsNothingUpAndNeverVotes(t *testing.T) {
	inCluster(t, 3, nil, func(c *cluster) {
		led := c.leader()
		low := c.follower()
		var rest []string
		for _, id := range c.voters {
			if id != low.id {
				rest = append(rest, id)
			}
		}
		ctx, cancel := context.WithTimeout(c.ctx, 30*time.Second)
		defer cancel()
		err := led.node.Reconcile(ctx, append(rest, "nowhere"))
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "nowhere") {
			t.Errorf("reconcile: %v", err)
		}
		if got := c.leader().node.voters(); !slices.Equal(got, rest) {
			t.Errorf("voters %v, want %v", got, rest)
		}
		c.submit("still writing")
	})
}

func TestRemovalNeverCostsTheQuorum(t *testing.T) {
	inCluster(t, 3, nil, func(c *cluster) {
		c.submit("first")
		led := c.leader()
		low := c.follower()
		c.kill(low.id) // two of three are left; without the third there is no quorum of two
		third := ""
		for _, id := range c.voters {
			if id != led.id && id != low.id {
				third = id
			}
		}
		ctx, cancel := context.WithTimeout(c.ctx, 30*time.Second)
		defer cancel()
		err := led.node.Reconcile(ctx, []string{led.id, low.id})
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), third) {
			t.Errorf("reconcile: %v", err)
		}
		if got := led.node.voters(); len(got) != 3 {
			t.Fatalf("voters %v", got)
		}
		c.submit("still writing")
		// The dead one may go.
		c.reconcile(slices.Sorted(slices.Values([]string{led.id, third}))...)
		c.submit("and now")
	})
}

func TestReconcileRefusesNonsense(t *testing.T) {
	inCluster(t, 3, nil, func(c *cluster) {
		if err := c.leader().node.Reconcile(c.ctx, nil); spec.CodeOf(err) != spec.CodeUsage {
			t.Errorf("no sequencers: %v", err)
		}
		if err := c.follower().node.Reconcile(c.ctx, c.voters); spec.CodeOf(err) != spec.CodeNotLeader {
			t.Errorf("on a follower: %v", err)
		}
	})
}

func TestRecoveryAfterALostQuorum(t *testing.T) {
	inCluster(t, 3, nil, func(c *cluster) {
		c.fill("op", 10)
		c.converge(10)
		last := c.follower()
		for _, id := range c.voters {
			if id != last.id {
				c.kill(id)
			}
		}
		c.crash(last.id)
		servers, err := json.Marshal([]map[string]string{{"id": last.id, "address": last.id}})
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(last.dir, "peers.json")
		if err := os.WriteFile(file, servers, 0o600); err != nil {
			t.Fatal(err)
		}
		c.start(last.id)
		c.submit("alone")
		if n := len(last.store.ops()); n != 11 {
			t.Errorf("%d operations after the recovery", n)
		}
		if _, err := os.Stat(filepath.Join(last.dir, "peers.info")); err != nil {
			t.Error(err)
		}
		c.crash(last.id) // and it holds after a crash
		c.start(last.id)
		c.submit("again")
		if n := len(last.store.ops()); n != 12 {
			t.Errorf("%d operations after a restart", n)
		}
		c.add("d")
		c.start("d")
		c.reconcile(slices.Sorted(slices.Values([]string{last.id, "d"}))...)
		c.converge(12)
	})
}

func TestBrokenRecoveryFileStopsTheStart(t *testing.T) {
	inCluster(t, 1, nil, func(c *cluster) {
		c.submit("first")
		m := c.members["a"]
		c.stop("a")
		file := filepath.Join(m.dir, "peers.json")
		for _, content := range []string{"{", `[]`, `[{"id":"a","address":"elsewhere"}]`, `[{"id":"a","address":"a","non_voter":true}]`} {
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := c.try("a"); err == nil {
				t.Fatalf("it started with %s", content)
			}
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		c.start("a")
		c.submit("second")
	})
}
