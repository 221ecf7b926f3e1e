// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// A learner asks for three cosignatures until the log that it reads names the panel
// that asks for four.
type learner struct {
	*tlog.Panel
	next *tlog.Panel
	took atomic.Bool
}

func newLearner(t *testing.T) *learner {
	t.Helper()
	c := newCouncil()
	of := &spec.Panel{Number: 1, K: 4}
	for i, key := range c.keys {
		of.Seats = append(of.Seats, spec.Seat{Org: c.Orgs()[i], Key: publicOf(key)})
	}
	next, err := tlog.NewPanel(origin, of)
	if err != nil {
		t.Fatal(err)
	}
	return &learner{Panel: c.Panel, next: next}
}

func (l *learner) now() *tlog.Panel {
	if l.took.Load() {
		return l.next
	}
	return l.Panel
}

func (l *learner) OpenFinal(note []byte) (*tlog.Signed, error) { return l.now().OpenFinal(note) }
func (l *learner) Number() uint64                              { return l.now().Number() }

// A handing log tells of the next panel as it is replayed.
type handing struct {
	*memLog
	to *learner
}

func (h handing) Append(groups []Group, ready func() error) error {
	return h.memLog.Append(groups, func() error {
		h.to.took.Store(true)
		return ready()
	})
}

// What only the panel before made final is not shown once the log itself says that
// another took over.
func TestAPanelThatWasReplacedMakesNothingFinal(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
		panel := newLearner(t)
		src := grown(3)
		serve(n, src, "old")
		Serve(n.at("new"), (&liar{memLog: src}).cosigned(newCouncil(), 4, time.Now), serveOpts)
		k := read(ctx, n, []p2p.PeerID{"old"}, func(cfg *ReaderConfig) {
			cfg.Panel, cfg.Replica = panel, handing{cfg.Replica.(*memLog), panel}
		})
		advance(8 * time.Second)
		if !panel.took.Load() || k.log.Size() != 0 || k.marks.Mark().Size != 0 {
			t.Fatalf("%d leaves are shown, and the mark is at %d", k.log.Size(), k.marks.Mark().Size)
		}
		if k.offences("old") == 0 {
			t.Fatal("who showed it is not charged")
		}
		if st := k.Status(); st.Known != 0 {
			t.Fatalf("%d leaves are said to be final", st.Known)
		}
		k.SetUpstreams([]p2p.PeerID{"old", "new"})
		advance(20 * time.Second)
		k.is(t, Live, src)
		if k.offences("new") > 0 {
			t.Fatal("who shows what four made final is charged")
		}
	})
}

// A checkpoint that only the panel before made final, of another log, halts nobody once
// the next panel is known.
func TestAPanelThatWasReplacedHaltsNobody(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
		panel := newLearner(t)
		forged, src := newLog(), grown(3)
		for range 4 {
			forged.grow(nil, []byte("forged"), []byte("leaf"))
		}
		serve(n, forged, "old")
		Serve(n.at("new"), (&liar{memLog: src}).cosigned(newCouncil(), 4, time.Now), serveOpts)
		k := read(ctx, n, []p2p.PeerID{"old"}, func(cfg *ReaderConfig) {
			cfg.Panel, cfg.Replica = panel, handing{cfg.Replica.(*memLog), panel}
		})
		advance(8 * time.Second)
		k.SetUpstreams([]p2p.PeerID{"new"})
		advance(20 * time.Second)
		k.is(t, Live, src)
		src.grow(nil, []byte("goes"), []byte("on"))
		if src.Size() != forged.Size() {
			t.Fatalf("logs of %d and %d leaves", src.Size(), forged.Size())
		}
		advance(20 * time.Second)
		k.is(t, Live, src)
		if k.Fork() != nil || len(k.forks) > 0 {
			t.Fatal("a fork is told of")
		}
	})
}

// What only the panel before made final, and is not shown, is forgotten as soon as
// another panel is known, however that came to be known.
func TestWhatAReplacedPanelMadeFinalIsForgotten(t *testing.T) {
	for _, boots := range []bool{false, true} {
		t.Run(map[bool]string{false: "log", true: "snapshots"}[boots], func(t *testing.T) {
			bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
				panel := newLearner(t)
				src, forged := grown(3), grown(9)
				forged.keep = forged.Size() // none of its log is to be had
				serve(n, forged, "old")
				k := read(ctx, n, []p2p.PeerID{"old"}, func(cfg *ReaderConfig) {
					cfg.Panel = panel
					if boots {
						cfg.Bootstrap = &fakeBoot{wanted: true, err: p2p.Gone(1)}
					}
				})
				advance(8 * time.Second)
				if st := k.Status(); st.Known != forged.Size() || st.Size != 0 {
					t.Fatalf("%d leaves are known to be final, and %d are shown", st.Known, st.Size)
				}
				panel.took.Store(true)
				advance(2 * Keepalive)
				if st := k.Status(); st.Known != 0 || k.offences("old") == 0 {
					t.Fatalf("%d leaves are said to be final, and who says so has %d offences", st.Known, k.offences("old"))
				}
				Serve(n.at("new"), (&liar{memLog: src}).cosigned(newCouncil(), 4, time.Now), serveOpts)
				k.SetUpstreams([]p2p.PeerID{"old", "new"})
				advance(2 * time.Minute)
				k.is(t, Live, src)
				if st := k.Status(); st.Known != src.Size() || k.offences("new") > 0 {
					t.Fatalf("%d leaves are known to be final, and who shows them has %d offences", st.Known, k.offences("new"))
				}
			})
		})
	}
}
