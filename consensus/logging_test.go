// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// lines are what was logged since the last call.
func lines(t *testing.T, out *bytes.Buffer) (all []map[string]any) {
	t.Helper()
	for dec := json.NewDecoder(out); dec.More(); {
		var line map[string]any
		if err := dec.Decode(&line); err != nil {
			t.Fatal(err)
		}
		all = append(all, line)
	}
	return all
}

// A peer that is away for a day is worth a few lines a minute, not two a second; another
// one that goes away meanwhile is told of at once.
func TestRaftSaysAgainWhatLastsOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := newRaftLogger(slog.New(slog.NewJSONHandler(&out, nil)))
		away := func(id raft.ServerID, span time.Duration) {
			for end := time.Now().Add(span); time.Now().Before(end); <-time.After(500 * time.Millisecond) {
				l.Named("x").Error("failed to heartbeat to", "peer", id, "error", errors.New("away"))
			}
		}
		away("a", 59*time.Second)
		if got := lines(t, &out); len(got) != 3 || got[2]["peer"] != "a" || got[2]["left_out"] != nil {
			t.Errorf("in the first minute: %v", got)
		}
		away("b", time.Second)
		if got := lines(t, &out); len(got) != 2 || got[0]["peer"] != "b" {
			t.Errorf("of another peer: %v", got)
		}
		away("a", time.Second)
		if got := lines(t, &out); len(got) != 2 || got[0]["left_out"] != 115.0 || got[1]["left_out"] != nil {
			t.Errorf("in the next minute: %v", got)
		}
	})
}

func TestRaftLogsServersAndNodesByName(t *testing.T) {
	var out bytes.Buffer
	l := newRaftLogger(slog.New(slog.NewJSONHandler(&out, nil)))
	l.Info("entering candidate state", "node", named("Node at a"), "target", raft.Server{ID: "b", Address: "c"})
	if got := lines(t, &out); len(got) != 1 || got[0]["node"] != "Node at a" || got[0]["target"] != "b" {
		t.Errorf("%v", got)
	}
}

type named string

func (n named) String() string { return string(n) }
