// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

// Virtual time: the tests below wait with synctest.Wait until every goroutine
// is idle, or let the bubble's clock run on with advance.

func TestFollowCatchesUpThenIsLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		n, src, sink := newPipes(ctx), newLog(), newLog()
		for i := range 50 {
			src.grow(nil, []byte{byte(i + 1)}, []byte("x"))
		}
		Serve(n.at("a"), src, serveOpts)
		var states []State
		f := NewFollower(n, []p2p.PeerID{"a"}, sink, FollowOptions{Logger: quiet, OnStatus: func(s Status) { states = append(states, s.State) }})
		wantState(t, f, Disconnected, "")
		done := start(ctx, f)
		synctest.Wait()
		if !sink.equal(src) {
			t.Fatalf("follower has %d of %d leaves", sink.Size(), src.Size())
		}
		wantState(t, f, Live, "a")

		before := time.Now()
		src.grow(nil, []byte("new"))
		synctest.Wait()
		if !sink.equal(src) || !time.Now().Equal(before) {
			t.Fatal("a new group is pushed at once, not on the next keepalive")
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Fatalf("Run: %v", err)
		}
		if len(states) < 2 || states[0] != Lag || states[1] != Live {
			t.Fatalf("reported states %v", states)
		}
	})
}

func TestHeadsTellFreshnessWhenNothingHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		n, src, sink := newPipes(ctx), newLog(), newLog()
		src.grow(nil, []byte("x"))
		skew := 3 * time.Hour
		opts := serveOpts
		opts.Head = func() []byte { return []byte("checkpoint") }
		opts.Now = func() time.Time { return time.Now().Add(skew) }
		Serve(n.at("a"), src, opts)
		var heads atomic.Int32
		f := NewFollower(n, []p2p.PeerID{"a"}, sink, FollowOptions{Logger: quiet, OnHead: func(from p2p.PeerID, h Head) error {
			if from != "a" || string(h.Body) != "checkpoint" || h.Size != src.Size() {
				t.Errorf("head from %s: %d, %q", from, h.Size, h.Body)
			}
			heads.Add(1)
			return nil
		}})
		done := start(ctx, f)
		synctest.Wait()
		first := heads.Load()
		advance(time.Minute)
		synctest.Wait()
		if n := heads.Load() - first; n != 12 {
			t.Errorf("%d heads in an idle minute, want 12", n)
		}
		st := f.Status()
		if age := time.Since(st.LastHeard); age > Keepalive {
			t.Errorf("last heard %v ago", age)
		}
		if d := st.HeadTime.Sub(st.LastHeard); d < skew-time.Second || d > skew+time.Second {
			t.Errorf("the upstream's clock is shown %v ahead, it is %v", d, skew)
		}
		cancel()
		<-done
	})
}

func TestGroupLargerThanAFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		n, src, sink := newPipes(ctx), newLog(), newLog()
		n.role = "member"
		var leaves [][]byte
		var openings []Opening
		for i := range 40 {
			leaves = append(leaves, bytesOf(60<<10, byte(i+1)))
			openings = append(openings, Opening{Case: [32]byte{byte(i)}, Bytes: bytesOf(128<<10, byte(i))})
		}
		src.grow(openings, leaves...)
		src.grow(nil, []byte("behind it"))
		Serve(n.at("a"), src, serveOpts)
		f := NewFollower(n, []p2p.PeerID{"a"}, sink, FollowOptions{Logger: quiet})
		done := start(ctx, f)
		synctest.Wait()
		if !sink.equal(src) || sink.openings() != 40 {
			t.Fatalf("follower has %d of %d leaves and %d openings", sink.Size(), src.Size(), sink.openings())
		}
		cancel()
		<-done
	})
}

func TestOpeningsByRole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		n, src, sink := newPipes(ctx), newLog(), newLog()
		src.grow([]Opening{{Bytes: []byte("values")}}, []byte("blinded"))
		Serve(n.at("a"), src, serveOpts)
		f := NewFollower(n, []p2p.PeerID{"a"}, sink, FollowOptions{Logger: quiet})
		done := start(ctx, f)
		synctest.Wait()
		if sink.openings() != 0 || !sink.equal(src) {
			t.Fatalf("a reader got %d openings", sink.openings())
		}
		cancel()
		<-done
	})
}

func TestReconnectGoesOnWhereItStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		n, src, sink := newPipes(ctx), newLog(), newLog()
		Serve(n.at("a"), src, serveOpts)
		f := NewFollower(n, []p2p.PeerID{"a"}, sink, FollowOptions{Logger: quiet})
		done := start(ctx, f)
		for i := range 3 {
			src.grow(nil, []byte{byte(i + 1)})
			synctest.Wait()
			n.cutAll()
			synctest.Wait()
			wantState(t, f, Disconnected, "")
			src.grow(nil, []byte("while away"))
			advance(outagePause.min)
			synctest.Wait()
			if !sink.equal(src) {
				t.Fatalf("round %d: %d of %d leaves", i, sink.Size(), src.Size())
			}
			wantState(t, f, Live, "a")
		}
		cancel()
		<-done
	})
}

func TestUnreachableUpstreamIsRetriedWithin5s(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		n, src, sink := newPipes(ctx), newLog(), newLog()
		src.grow(nil, []byte("x"))
		f := NewFollower(n, []p2p.PeerID{"a"}, sink, FollowOptions{Logger: quiet})
		done := start(ctx, f)
		advance(10 * time.Minute)
		tries := n.dialled("a")
		if tries < 120 || tries > 300 {
			t.Errorf("%d dials in ten minutes: want one every 2.5 to 5 s", tries)
		}
		Serve(n.at("a"), src, serveOpts)
		advance(outagePause.max)
		synctest.Wait()
		if !sink.equal(src) {
			t.Error("not caught up within one longest pause of the upstream's return")
		}
		cancel()
		<-done
	})
}

func TestFallsBackToAnotherUpstreamAndTakesNewOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		n, src, sink := newPipes(ctx), newLog(), newLog()
		src.grow(nil, []byte("x"))
		Serve(n.at("b"), src, serveOpts)
		f := NewFollower(n, nil, sink, FollowOptions{Logger: quiet})
		done := start(ctx, f)
		synctest.Wait()
		wantState(t, f, Disconnected, "")
		f.SetUpstreams([]p2p.PeerID{"a", "b", "b"})
		synctest.Wait()
		wantState(t, f, Live, "b")
		cancel()
		<-done
	})
}

func TestOwnFaultEndsTheFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, src, sink := newPipes(t.Context()), newLog(), newLog()
		src.grow(nil, []byte("x"))
		sink.fail = errDisk
		Serve(n.at("a"), src, serveOpts)
		err := Follow(t.Context(), n, []p2p.PeerID{"a"}, sink, FollowOptions{Logger: quiet})
		if !errors.Is(err, errDisk) {
			t.Fatalf("Follow: %v", err)
		}
		n.cutAll()
	})
}

func TestGoneIsReportedAndAnotherUpstreamServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		n, src, sink := newPipes(ctx), newLog(), newLog()
		src.grow(nil, []byte("x"))
		Serve(n.at("a"), goneSource{src}, serveOpts)
		Serve(n.at("b"), src, serveOpts)
		f := NewFollower(n, []p2p.PeerID{"a", "b"}, sink, FollowOptions{Logger: quiet})
		done := start(ctx, f)
		synctest.Wait()
		wantState(t, f, Live, "b")
		if st := f.Status(); st.LastError != p2p.Gone(7).Error() {
			t.Errorf("last error %q", st.LastError)
		}
		cancel()
		<-done
	})
}

type goneSource struct{ *memLog }

func (goneSource) Read(context.Context, string, uint64, int) ([]Group, error) {
	return nil, p2p.Gone(7)
}

func TestFollowerAheadOfItsUpstreamWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		n, src, sink := newPipes(ctx), newLog(), newLog()
		for _, m := range []*memLog{src, sink} {
			m.grow(nil, []byte("same"))
		}
		sink.grow(nil, []byte("same too"))
		Serve(n.at("a"), src, serveOpts)
		f := NewFollower(n, []p2p.PeerID{"a"}, sink, FollowOptions{Logger: quiet})
		done := start(ctx, f)
		advance(time.Minute)
		wantState(t, f, Live, "a")
		src.grow(nil, []byte("same too"))
		src.grow(nil, []byte("more"))
		synctest.Wait()
		if !sink.equal(src) {
			t.Fatal("not caught up")
		}
		cancel()
		<-done
	})
}

func TestHeadRefusedByTheNodeCostsTheUpstream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		n, src, sink := newPipes(ctx), newLog(), newLog()
		src.grow(nil, []byte("x"))
		Serve(n.at("a"), src, serveOpts)
		Serve(n.at("b"), src, serveOpts)
		f := NewFollower(n, []p2p.PeerID{"a", "b"}, sink, FollowOptions{Logger: quiet, OnHead: func(from p2p.PeerID, _ Head) error {
			if from == "a" {
				return spec.Errorf(spec.CodeSignature, "no quorum")
			}
			return nil
		}})
		done := start(ctx, f)
		synctest.Wait()
		wantState(t, f, Live, "b")
		cancel()
		<-done
	})
}
