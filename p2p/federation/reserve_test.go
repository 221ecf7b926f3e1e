// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-db/tocsin/p2p"
)

func follows(k *desk) (ids []p2p.PeerID) {
	for _, u := range k.Status().Upstreams {
		ids = append(ids, u.Peer)
	}
	return ids
}

// Who has to replay the log and follows only such as do not keep its beginning gets it
// from the reserve, and goes back to those that it is to follow.
func TestWhatNoUpstreamKeepsComesFromTheReserve(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
		short, src := grown(5), grown(5)
		short.keep = 6
		serve(n, short, "a", "b", "c")
		serve(n, src, "m")
		k := newDesk(n, []p2p.PeerID{"a", "b", "c"}, newLog(), &memMarks{}, func(c *ReaderConfig) { c.Full = true })
		k.run(ctx)
		advance(30 * time.Second)
		if k.log.Size() != 0 || n.dialled("m") != 0 {
			t.Fatalf("the reader has %d leaves, and asked one that it was not told of %d times", k.log.Size(), n.dialled("m"))
		}
		k.SetReserve([]p2p.PeerID{"m"})
		advance(30 * time.Second)
		k.is(t, Live, src)
		advance(10 * time.Second)
		if got := follows(k); slices.Contains(got, "m") || len(got) != 3 {
			t.Fatalf("afterwards it follows %q", got)
		}
		dials := n.dialled("m")
		short.grow(nil, []byte("new"))
		src.grow(nil, []byte("new"))
		synctest.Wait()
		k.is(t, Live, src)
		advance(time.Minute)
		if n.dialled("m") != dials {
			t.Fatal("the reserve is asked although the upstreams have all")
		}
	})
}

// Upstreams that do not keep what is needed give way to others that may, ever more
// seldom while none does.
func TestUpstreamsThatLackGiveWay(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
		short, src := grown(5), grown(5)
		short.keep = 6
		serve(n, short, "a", "b", "c", "d")
		k := newDesk(n, []p2p.PeerID{"a", "b", "c", "d", "e"}, newLog(), &memMarks{}, func(c *ReaderConfig) { c.Full = true })
		k.run(ctx)
		for range 20 {
			advance(30 * time.Second)
			short.finish() // cosigned anew
		}
		dials := 0
		for _, id := range []p2p.PeerID{"a", "b", "c", "d"} {
			if n.dialled(id) == 0 {
				t.Errorf("%s was never asked", id)
			}
			dials += n.dialled(id)
		}
		if dials > 1500 { // each second a range is asked for; the streams are few
			t.Errorf("%d streams in ten minutes", dials)
		}
		serve(n, src, "e")
		for range 6 {
			src.finish()
			short.finish()
			advance(30 * time.Second)
		}
		k.is(t, Live, src)
	})
}

// One that was live, and whose upstreams no longer keep what it missed, takes a
// snapshot.
func TestWhoLagsBehindWhatIsKeptTakesASnapshot(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
		src := grown(5)
		serve(n, src, "a")
		boot := &fakeBoot{src: src}
		k := newDesk(n, []p2p.PeerID{"a"}, newLog(), &memMarks{}, func(c *ReaderConfig) { c.Bootstrap = boot })
		boot.log = k.log
		k.run(ctx)
		advance(time.Second)
		k.is(t, Live, src)
		src.mu.Lock()
		src.keep = 1 << 20
		src.mu.Unlock()
		src.grow(nil, []byte("new"))
		advance(30 * time.Second)
		k.is(t, Live, src)
		if !slices.Contains(k.went(), Snapshot) {
			t.Fatalf("went %v: %+v", k.went(), k.Status())
		}
	})
}

// Where neither the log nor a snapshot is to be had, both are asked for ever more
// seldom.
func TestASnapshotThatIsNeverToBeHadIsAskedForSeldom(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
		src := grown(5)
		src.keep = 6
		serve(n, src, "a")
		boot := &fakeBoot{wanted: true, err: p2p.Gone(9)}
		read(ctx, n, []p2p.PeerID{"a"}, func(c *ReaderConfig) { c.Bootstrap = boot })
		for range 20 {
			advance(30 * time.Second)
			src.finish()
		}
		if boot.jobs < 5 || boot.jobs > 40 {
			t.Fatalf("%d snapshots were asked for in ten minutes", boot.jobs)
		}
	})
}
