// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

// Virtual time: the tests below wait with synctest.Wait until every goroutine
// is idle, or let the bubble's clock run on with advance.

func grown(n int) *memLog {
	src := newLog()
	for i := range n {
		src.grow(nil, []byte{byte(i + 1)}, []byte("x"))
	}
	return src
}

func serve(n *pipes, src *memLog, ids ...p2p.PeerID) {
	for _, id := range ids {
		Serve(n.at(id), src, serveOpts)
	}
}

// readFirst runs a reader whose first upstream is the eager one.
func readFirst(t *testing.T, ctx context.Context, n *pipes, ids ...p2p.PeerID) *desk {
	t.Helper()
	k := read(ctx, n, ids[:1])
	synctest.Wait()
	k.SetUpstreams(ids)
	synctest.Wait()
	if k.eager() != ids[0] || len(k.Status().Upstreams) != len(ids) {
		t.Fatalf("upstreams %+v", k.Status().Upstreams)
	}
	return k
}

func TestAnEmptyReaderComesToLive(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
		src := grown(50)
		serve(n, src, "a", "b", "c")
		k := read(ctx, n, []p2p.PeerID{"a", "b", "c"})
		synctest.Wait()
		k.is(t, Live, src)
		if want := []State{Heading, Range, Verify, Live}; !slices.Equal(k.went(), want) {
			t.Fatalf("went %v, want %v", k.went(), want)
		}
		if k.eager() == "" || k.eagerCount() != 1 || len(k.Status().Upstreams) != 3 {
			t.Fatalf("upstreams %+v: want one eager and two lazy", k.Status().Upstreams)
		}
		before := time.Now()
		src.grow(nil, []byte("new"))
		synctest.Wait()
		k.is(t, Live, src)
		if !time.Now().Equal(before) {
			t.Fatal("a new group is pushed at once, not on the next keepalive")
		}
		if m := k.marks.Mark(); m.Size != src.Size() || m.Shown != src.Size() || m.Root != src.tree.Root() {
			t.Fatalf("the mark is at %d, %d shown, of %d", m.Size, m.Shown, src.Size())
		}
		if st := k.Status(); !st.Current() || st.Behind() != 0 {
			t.Fatalf("not current: %+v", st)
		}
	})
}

// What is not final is neither served nor shown.
func TestOnlyWhatIsFinalTravels(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
		src := grown(2)
		serve(n, src, "a")
		k := read(ctx, n, []p2p.PeerID{"a"})
		synctest.Wait()
		src.add(nil, []byte("pending"))
		advance(10 * time.Second)
		if k.log.Size() != src.Size()-2 {
			t.Fatalf("the reader shows %d of %d leaves, the last two of which are not final", k.log.Size(), src.Size())
		}
		src.finish()
		synctest.Wait()
		k.is(t, Live, src)
	})
}

// The mark is durable before what rests on it can be seen.
func TestTheMarkComesFirst(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
		serve(n, grown(3), "a")
		k := newDesk(n, []p2p.PeerID{"a"}, newLog(), &memMarks{fail: errDisk})
		if err := k.Run(ctx); !errors.Is(err, errDisk) {
			t.Fatalf("Run: %v", err)
		}
		if k.log.Size() != 0 || k.Status().Size != 0 {
			t.Fatal("shown although the mark could not be kept")
		}
	})
}

func TestOwnFaultEndsTheReader(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
		serve(n, grown(3), "a")
		log := newLog()
		log.fail = errDisk
		k := newDesk(n, []p2p.PeerID{"a"}, log, &memMarks{})
		if err := k.Run(ctx); !errors.Is(err, errDisk) {
			t.Fatalf("Run: %v", err)
		}
	})
}

// A log that is not what the mark says ends the reader before it asks anybody.
func TestARolledBackOrOtherLogIsFoundOut(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
		src, other := grown(4), newLog()
		other.grow(nil, []byte("other"))
		for other.Size() < src.Size() {
			other.grow(nil, []byte("other"))
		}
		marks := &memMarks{mark: Mark{Note: src.note, Size: src.size, Root: src.tree.Root(), Shown: src.size}}
		k := newDesk(n, nil, other, marks)
		if err := k.Run(ctx); spec.CodeOf(err) != spec.CodeCorrupt {
			t.Fatalf("another log: %v", err)
		}
		// A shorter one is not current before it has again what was shown, even with
		// an upstream that is as old.
		old := grown(2)
		serve(n, old, "a")
		back := newLog()
		k = newDesk(n, []p2p.PeerID{"a"}, back, marks)
		k.run(ctx)
		advance(time.Minute / 2)
		k.is(t, Lag, old)
		if k.Status().Current() {
			t.Fatal("current below what was shown before")
		}
		serve(n, src, "a")
		n.cutOff("a")
		advance(10 * time.Second)
		k.is(t, Live, src)
		if !k.Status().Current() {
			t.Fatalf("not current: %+v", k.Status())
		}
	})
}

func TestReconnectGoesOnWhereItStopped(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
		src := newLog()
		serve(n, src, "a")
		k := read(ctx, n, []p2p.PeerID{"a"})
		for i := range 3 {
			src.grow(nil, []byte{byte(i + 1)})
			advance(time.Second)
			n.cutOff("a")
			synctest.Wait()
			if st := k.Status().State; st != Heading {
				t.Fatalf("without upstream the state is %s", st)
			}
			src.grow(nil, []byte("while away"))
			advance(outagePause.min)
			k.is(t, Live, src)
		}
	})
}

func TestUnreachableUpstreamIsRetriedWithin5s(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
		src := grown(1)
		k := read(ctx, n, []p2p.PeerID{"a"})
		advance(10 * time.Minute)
		if tries := n.dialled("a"); tries < 120 || tries > 300 {
			t.Errorf("%d dials in ten minutes: want one every 2.5 to 5 s", tries)
		}
		serve(n, src, "a")
		src.finish() // it is old by now
		advance(outagePause.max)
		k.is(t, Live, src)
	})
}

// One head is enough when no second comes.
func TestAHeadIsWaitedForBriefly(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
		src := grown(3)
		serve(n, src, "a")
		k := read(ctx, n, []p2p.PeerID{"a", "b", "c"})
		synctest.Wait()
		k.is(t, Heading, nil)
		advance(headWait)
		k.is(t, Live, src)
	})
}

// The eager upstream falls silent: a lazy one is ahead, and is grafted.
func TestALateUpstreamIsReplaced(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
		slow, src := grown(5), grown(5)
		serve(n, slow, "a")
		serve(n, src, "b", "c")
		k := readFirst(t, ctx, n, "a", "b", "c")
		src.grow(nil, []byte("new"))
		advance(announceAfter + graftAfter + time.Millisecond)
		k.is(t, Live, src)
		advance(time.Second)
		if st := k.Status(); st.State != Live {
			t.Fatalf("state %s", st.State)
		}
		src.grow(nil, []byte("newer"))
		before := time.Now()
		synctest.Wait()
		k.is(t, Live, src)
		if !time.Now().Equal(before) {
			t.Fatal("the grafted upstream does not push")
		}
	})
}

// Two that push the same: the later one is pruned.
func TestDuplicatesArePruned(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
		slow, src := grown(5), grown(5)
		serve(n, slow, "a")
		serve(n, src, "b")
		k := readFirst(t, ctx, n, "a", "b")
		src.grow(nil, []byte("new"))
		advance(announceAfter + graftAfter + time.Millisecond)
		k.is(t, Live, src)
		slow.grow(nil, []byte("new")) // at last, and for nothing
		synctest.Wait()
		src.grow(nil, []byte("newer"))
		slow.grow(nil, []byte("newer"))
		synctest.Wait()
		k.is(t, Live, src)
		if k.eagerCount() != 1 || len(k.Status().Upstreams) != 2 {
			t.Fatalf("upstreams %+v", k.Status().Upstreams)
		}
	})
}

// STALE when nothing new is cosigned, LIVE again when it is, at the same size.
func TestStaleAndFreshAgain(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
		src := grown(3)
		serve(n, src, "a", "b")
		k := read(ctx, n, []p2p.PeerID{"a", "b"})
		advance(StaleAfter - time.Second)
		k.is(t, Live, src)
		advance(3 * time.Second)
		k.is(t, Stale, src)
		src.finish() // cosigned anew
		advance(2 * Keepalive)
		k.is(t, Live, src)
		if age := time.Since(k.Status().Final); age > 3*Keepalive {
			t.Fatalf("what is shown is %v old", age)
		}
	})
}

// Cut off from all, a reader goes STALE and keeps what it has; then it heals.
func TestPartitionAndHeal(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
		src := grown(3)
		serve(n, src, "a", "b", "c")
		k := read(ctx, n, []p2p.PeerID{"a", "b", "c"})
		synctest.Wait()
		for _, id := range []p2p.PeerID{"a", "b", "c"} {
			n.part(id, true)
		}
		advance(2 * time.Second)
		k.is(t, Heading, src)
		advance(time.Hour)
		src.grow(nil, []byte("meanwhile"))
		st := k.Status()
		if st.State != Stale || st.Size != src.Size()-2 {
			t.Fatalf("cut off: %+v", st)
		}
		n.part("b", false)
		advance(10 * time.Second)
		k.is(t, Live, src)
		for _, id := range []p2p.PeerID{"a", "c"} {
			n.part(id, false)
		}
		advance(10 * time.Second)
		if got := len(k.Status().Upstreams); got != 3 {
			t.Fatalf("%d upstreams after the heal", got)
		}
	})
}

// An upstream that freezes, or that is cut off itself, gives way to another.
func TestAFrozenUpstreamGivesWay(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
		frozen, src := grown(3), grown(3)
		serve(n, frozen, "a", "b", "c")
		serve(n, src, "d")
		k := read(ctx, n, []p2p.PeerID{"a", "b", "c", "d"})
		synctest.Wait()
		advance(40 * time.Second)
		src.grow(nil, []byte("new"))
		advance(30 * time.Second)
		k.is(t, Live, src)
		if k.Status().Size != src.Size() {
			t.Fatal("not caught up")
		}
	})
}

// A long log comes in bounded answers, each proved and shown as it comes.
func TestRangesAreShownAsTheyCome(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
		src := newLog()
		for i := range 200 {
			src.add(nil, bytesOf(60<<10, byte(i+1)), bytesOf(60<<10, byte(i+2)))
		}
		src.finish()
		serve(n, src, "a")
		sizes := map[uint64]bool{}
		k := newDesk(n, []p2p.PeerID{"a"}, newLog(), &memMarks{})
		marks := &watched{memMarks: k.marks, seen: func(m Mark) { sizes[m.Shown] = true }}
		k.Reader.marks = marks
		k.run(ctx)
		advance(time.Minute)
		k.is(t, Live, src)
		if len(sizes) < 4 {
			t.Fatalf("24 MB were shown in %d steps", len(sizes))
		}
	})
}

type watched struct {
	*memMarks
	seen func(Mark)
}

func (w *watched) Raise(m Mark) error { w.seen(m); return w.memMarks.Raise(m) }

// A reader whose only sources no longer keep the log from its size on has to
// wait, or to take a snapshot.
func TestGoneIsAskedElsewhereOrTakenAsASnapshot(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
		short, src := grown(5), grown(5)
		short.keep = 6
		serve(n, short, "a")
		serve(n, src, "b")
		k := read(ctx, n, []p2p.PeerID{"a", "b"})
		advance(5 * time.Second)
		k.is(t, Live, src)
		short.keep = 6
		boot := &fakeBoot{src: src}
		k = newDesk(n, []p2p.PeerID{"a"}, newLog(), &memMarks{}, func(c *ReaderConfig) { c.Bootstrap = boot })
		boot.log = k.log
		k.run(ctx)
		advance(10 * time.Second)
		k.is(t, Live, src)
		if !slices.Contains(k.went(), Snapshot) {
			t.Fatalf("went %v", k.went())
		}
		full := read(ctx, n, []p2p.PeerID{"a"}, func(c *ReaderConfig) { c.Bootstrap, c.Full = boot, true })
		advance(10 * time.Second)
		if slices.Contains(full.went(), Snapshot) || full.log.Size() != 0 {
			t.Fatalf("full verification took a snapshot: %v", full.went())
		}
	})
}

// fakeBoot installs the whole log.
type fakeBoot struct {
	src, log *memLog
	wanted   bool
	err      error
	jobs     int
}

func (b *fakeBoot) Wanted(have, target uint64) bool { return b.wanted }

func (b *fakeBoot) Bootstrap(_ context.Context, job Job) error {
	b.jobs++
	if b.err != nil {
		return b.err
	}
	if err := job.Accept(job.Target.Size, job.Target.Root); err != nil {
		return err
	}
	size := b.log.Size()
	groups := slices.DeleteFunc(slices.Clone(b.src.groups), func(g Group) bool { return g.First < size })
	return b.log.Append(groups, func() error { return nil })
}

func TestASnapshotThatIsNotToBeHadLeadsToRange(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
		src := grown(5)
		serve(n, src, "a")
		boot := &fakeBoot{wanted: true, err: p2p.Gone(9)}
		k := read(ctx, n, []p2p.PeerID{"a"}, func(c *ReaderConfig) { c.Bootstrap = boot })
		advance(time.Second)
		k.is(t, Live, src)
		if want := []State{Heading, Snapshot, Range, Verify, Live}; !slices.Equal(k.went(), want) || boot.jobs != 1 {
			t.Fatalf("went %v with %d bootstraps", k.went(), boot.jobs)
		}
	})
}
