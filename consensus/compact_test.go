// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

func TestLogIsCompactedByBytes(t *testing.T) {
	tune := func(cfg *Config) { cfg.SnapshotBytes = 1 << 20 }
	inCluster(t, 3, tune, func(c *cluster) {
		filler := strings.Repeat("x", 20<<10)
		for range 300 { // 6 MB in entries far below the threshold by number
			c.submit(filler)
		}
		for _, m := range c.members {
			c.until(10*time.Second, "a compacted log", func() bool {
				first, _ := m.log.FirstIndex()
				return first > 100
			})
			if at := m.store.crashed().Applied().Index; at < 100 {
				t.Errorf("%s: entries are gone from the log, and durable up to %d only", m.id, at)
			}
		}
		for id := range c.members {
			c.crash(id)
		}
		for id := range c.members {
			c.start(id)
		}
		c.submit("later")
		c.converge(301)
	})
}

func TestLogIsCompactedByEntries(t *testing.T) {
	inCluster(t, 1, nil, func(c *cluster) {
		c.fill("op", snapshotEntries+trailingEntries+100)
		m := c.leader()
		c.until(2*snapshotInterval+time.Second, "a compacted log", func() bool {
			first, _ := m.log.FirstIndex()
			return first > 1
		})
		first, _ := m.log.FirstIndex()
		last, _ := m.log.LastIndex()
		if last-first < trailingEntries-1 {
			t.Errorf("only %d to %d are left for followers that lag", first, last)
		}
		if at := m.store.crashed().Applied().Index; at < first-1 {
			t.Errorf("durable up to %d, the log begins at %d", at, first)
		}
	})
}

func TestRaftLogsThroughSlog(t *testing.T) {
	var out strings.Builder
	l := newRaftLogger(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelInfo})))
	l.Debug("hidden")
	l.With("term", 4).Warn("lost contact", "servers", hclog.Fmt("%d of %d", 1, 3))
	got := out.String()
	for _, want := range []string{"level=WARN", `msg="lost contact"`, "component=raft", "term=4", `servers="1 of 3"`} {
		if !strings.Contains(got, want) {
			t.Errorf("%q lacks %q", got, want)
		}
	}
	if strings.Contains(got, "hidden") || l.IsDebug() || !l.IsWarn() {
		t.Errorf("levels are not kept: %q", got)
	}
}
