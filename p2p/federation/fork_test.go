// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// Two final checkpoints of one size, or a final one that our log contradicts, stop
// a reader for good, over a restart too, with a proof of who did it.
func TestAForkHaltsForGood(t *testing.T) {
	for name, build := range map[string]func(src, other *memLog){
		"of the same size": func(src, other *memLog) {},
		"of a smaller one": func(src, other *memLog) { src.grow(nil, []byte("more")) },
		"of a larger one, that the honest log reaches later": func(src, other *memLog) { other.grow(nil, []byte("more")) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
				src, other := grown(4), newLog()
				for other.Size() < src.Size() {
					other.grow(nil, []byte("forged"), []byte("leaf"))
				}
				build(src, other)
				serve(n, src, "honest")
				k := read(ctx, n, []p2p.PeerID{"honest"})
				synctest.Wait()
				k.is(t, Live, src)
				serve(n, other, "fork")
				k.SetUpstreams([]p2p.PeerID{"honest", "fork"})
				advance(time.Second)
				for range 3 {
					if k.Status().State != Halt {
						src.grow(nil, []byte("on"))
						advance(time.Second)
					}
				}
				k.is(t, Halt, nil)
				if len(k.forks) != 1 {
					t.Fatalf("%d proofs", len(k.forks))
				}
				proves(t, k.forks[0])
				shown := k.log.Size()
				src.grow(nil, []byte("more"))
				advance(time.Minute)
				if k.log.Size() != shown || len(k.Status().Upstreams) != 0 {
					t.Fatal("it goes on after HALT")
				}
				again := newDesk(n, []p2p.PeerID{"honest"}, k.log, k.marks)
				again.run(ctx)
				advance(time.Minute)
				again.is(t, Halt, nil)
			})
		})
	}
}

// proves checks a fork as anyone with the genesis document would.
func proves(t *testing.T, f Fork) {
	t.Helper()
	c := newCouncil()
	other, err := c.OpenFinal(f.Other)
	if err != nil {
		t.Fatal(err)
	}
	final, err := c.OpenFinal(f.Final)
	if err != nil {
		t.Fatal(err)
	}
	if err := tlog.CheckConsistency(f.Proof, other.Size, f.Root, final.Size, final.Root); err != nil || f.Root == other.Root {
		t.Fatalf("the proof shows nothing: %v", err)
	}
}

// A reader that starts anew with nobody left but the other history holds it against
// its mark.
func TestAForkIsSeenAfterARestart(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
		src, other := newLog(), newLog()
		src.grow(nil, []byte("honest"))
		other.grow(nil, []byte("forged"))
		serve(n, src, "honest")
		first, stop := context.WithCancel(ctx)
		k := read(first, n, []p2p.PeerID{"honest"})
		advance(time.Second)
		k.is(t, Live, src)
		stop()
		<-k.done
		serve(n, other, "fork")
		again := newDesk(n, []p2p.PeerID{"fork"}, k.log, k.marks)
		again.run(ctx)
		advance(time.Second)
		again.is(t, Halt, src)
		if len(again.forks) != 1 {
			t.Fatalf("%d proofs", len(again.forks))
		}
		proves(t, again.forks[0])
	})
}
