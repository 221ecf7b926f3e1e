// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-db/tocsin/node"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

func TestTheEndWaitsForTasksAndBeginsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tasks, release := node.NewTasks(), make(chan struct{})
		told, ended := false, false
		tasks.Begin(func(ctx context.Context) {
			<-ctx.Done()
			told = true
			<-release
		})
		go func() {
			if err := tasks.Stop(); err != nil {
				t.Error(err)
			}
			ended = true
		}()
		synctest.Wait()
		if !told || ended {
			t.Fatalf("the task was told to end: %v; the end waited: %v", told, !ended)
		}
		tasks.Begin(func(context.Context) { t.Error("a task begins after the end") })
		close(release)
		synctest.Wait()
		if !ended {
			t.Fatal("the end goes on waiting")
		}
	})
}

// held is a log that keeps whoever writes one message until it is released.
type held struct {
	slog.Handler
	message         string
	there, released chan struct{}
}

func (h *held) Enabled(context.Context, slog.Level) bool { return true }
func (h *held) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h *held) WithGroup(string) slog.Handler            { return h }
func (h *held) Handle(_ context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, h.message) {
		close(h.there)
		<-h.released
	}
	return nil
}

// A node that is told of a hand-off while it is to stop has done with it when it has
// stopped.
func TestTheEndWaitsForAHandOff(t *testing.T) {
	ctx, c := found(t, 2)
	alpha := c.Members[0]
	if err := alpha.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	log := &held{message: "a hand-off is not kept", there: make(chan struct{}), released: make(chan struct{})}
	alpha.Configure(func(cfg *node.Config) { cfg.Logger = slog.New(log) })
	if err := c.Start(ctx, alpha); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(alpha.Dir, "final", "handoffs") // where nothing can be kept
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	alpha.HandedOver(9, &tlog.Link{})
	<-log.there
	stopped := make(chan error, 1)
	go func() { stopped <- alpha.Stop(ctx) }()
	select {
	case err := <-stopped:
		t.Errorf("the node has stopped while it keeps a hand-off: %v", err)
		stopped <- nil
	case <-time.After(3 * time.Second):
	}
	close(log.released)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
}
