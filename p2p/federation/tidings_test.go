// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-db/tocsin/p2p"
)

// A lingering source takes its time to notice that nobody waits for it any more.
type lingering struct {
	*memLog
	waiting atomic.Int32
	most    atomic.Int32
	release chan struct{}
}

func (l *lingering) Wait(ctx context.Context, size uint64) error {
	if n := l.waiting.Add(1); n > l.most.Load() {
		l.most.Store(n)
	}
	defer l.waiting.Add(-1)
	err := l.memLog.Wait(ctx, size)
	if err != nil {
		<-l.release
	}
	return err
}

// counted counts the streams that a listener serves.
type counted struct {
	Listener
	open *atomic.Int32
}

func (c counted) HandleStream(proto string, policy p2p.Policy, fn p2p.StreamHandler) {
	c.Listener.HandleStream(proto, policy, func(ctx context.Context, s *p2p.Stream) error {
		c.open.Add(1)
		defer c.open.Add(-1)
		return fn(ctx, s)
	})
}

// However many subscribe, one goroutine waits for the source, and none once the last
// stream has been served.
func TestNothingOutlivesTheLastStream(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
		src := &lingering{memLog: grown(3), release: make(chan struct{})}
		var open atomic.Int32
		sv := Serve(counted{n.at("a"), &open}, src, serveOpts)
		readers, leave := context.WithCancel(ctx)
		k := read(readers, n, []p2p.PeerID{"a"})
		read(readers, n, []p2p.PeerID{"a"})
		advance(5 * time.Second)
		src.grow(nil, []byte("new"))
		synctest.Wait()
		k.is(t, Live, src.memLog)
		if open.Load() == 0 || src.most.Load() != 1 {
			t.Fatalf("%d streams, and %d goroutines that wait for the source", open.Load(), src.most.Load())
		}
		leave()
		synctest.Wait()
		if all, _ := sv.Subscribers(); all != 0 || open.Load() != 1 {
			t.Fatalf("%d subscribers; %d streams are served, not the one that waits for the source to be let go", all, open.Load())
		}
		close(src.release)
		synctest.Wait()
		if open.Load() != 0 || src.waiting.Load() != 0 {
			t.Fatalf("%d streams are served, and %d goroutines wait for the source", open.Load(), src.waiting.Load())
		}
		again := read(ctx, n, []p2p.PeerID{"a"})
		advance(5 * time.Second)
		src.grow(nil, []byte("newer"))
		synctest.Wait()
		again.is(t, Live, src.memLog)
	})
}
