// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/tocsin-db/tocsin/spec"
)

func TestStartRefusesWhatDoesNotBelongTogether(t *testing.T) {
	for name, damage := range map[string]func(m *member){
		"the raft log is lost":     func(m *member) { m.log = newMemLog() },
		"the term is lost":         func(m *member) { delete(m.log.vals, string(keyTerm)) },
		"the database is lost":     func(m *member) { m.store = newMemStore() },
		"the configuration is bad": func(m *member) { m.store.live.At.Conf = []byte{0xc1} },
		"no configuration":         func(m *member) { m.store.live.At.Conf = nil },
	} {
		t.Run(name, func(t *testing.T) {
			inCluster(t, 3, nil, func(c *cluster) {
				c.fill("op", 20)
				low := c.follower()
				c.converge(20)
				if err := low.node.Erase(c.ctx); err != nil {
					t.Fatal(err)
				}
				c.stop(low.id)
				damage(low)
				err := c.try(low.id)
				var f *Fault
				if !errors.As(err, &f) || f.Exit != ExitCorrupt || spec.CodeOf(err) != spec.CodeCorrupt {
					t.Errorf("start: %v", err)
				}
			})
		})
	}
}

func TestBootstrapThatACrashCutShortIsFinished(t *testing.T) {
	inCluster(t, 1, nil, func(c *cluster) {
		c.stop("a")
		m := c.members["a"]
		m.store, m.log = newMemStore(), newMemLog()
		log := &logStore{backend: m.log, brk: newBreaker(nil)}
		if err := log.SetUint64(keyTerm, 1); err != nil {
			t.Fatal(err)
		}
		c.start("a")
		c.submit("first")
	})
}

func TestNodeThatIsNoFounderWaits(t *testing.T) {
	inCluster(t, 3, nil, func(c *cluster) {
		c.add("x")
		c.start("x")
		c.submit("first")
		if s := c.members["x"].node.Status(); s.Term != 0 || s.Contact != -1 || len(s.Servers) != 0 {
			t.Errorf("status %+v", s)
		}
	})
}

// An install that a crash cut short leaves the new database beside the old log.
func TestInstallThatACrashCutShortIsFinished(t *testing.T) {
	for name, index := range map[string]uint64{"a short log": 3, "a long divergent log": 40} {
		t.Run(name, func(t *testing.T) {
			inCluster(t, 3, nil, func(c *cluster) {
				low := c.follower()
				c.stop(low.id)
				c.fill("op", 20)
				old := &logStore{backend: low.log, brk: newBreaker(nil)}
				for i := uint64(4); i <= index; i++ {
					if err := old.StoreLog(&raft.Log{Index: i, Term: 1, Type: raft.LogNoop}); err != nil {
						t.Fatal(err)
					}
				}
				low.store = c.leader().store.crashedAfterSync()
				c.start(low.id)
				if last, _ := low.node.log.LastIndex(); last == index {
					t.Errorf("the old log still ends at %d", last)
				}
				c.submit("later")
				c.converge(21)
			})
		})
	}
}

// crashedAfterSync returns a durable copy.
func (s *memStore) crashedAfterSync() *memStore {
	_ = s.Sync()
	return s.crashed()
}

func TestConfigIsChecked(t *testing.T) {
	good := Config{ID: "a", Dir: t.TempDir(), Fatal: func(error) {}}
	if _, err := good.withDefaults(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Config){
		"no id":       func(c *Config) { c.ID = "" },
		"no fatal":    func(c *Config) { c.Fatal = nil },
		"profile":     func(c *Config) { c.Profile = "moon" },
		"twice voter": func(c *Config) { c.Voters = []string{"a", "b", "a"} },
	} {
		bad := good
		spoil(&bad)
		if _, err := Start(bad, newMemStore(), nil); spec.CodeOf(err) != spec.CodeConfig {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestProfiles(t *testing.T) {
	for p, heartbeat := range map[Profile]time.Duration{LAN: time.Second, WAN: 3 * time.Second} {
		cfg, err := Config{ID: "a", Dir: t.TempDir(), Profile: p, Fatal: func(error) {}}.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		r := cfg.raftConfig()
		if err := raft.ValidateConfig(r); err != nil {
			t.Errorf("%s: %v", p, err)
		}
		if r.HeartbeatTimeout != heartbeat || r.LeaderLeaseTimeout != heartbeat/2 || r.PreVoteDisabled || r.ShutdownOnRemove {
			t.Errorf("%s: %+v", p, r)
		}
	}
}
