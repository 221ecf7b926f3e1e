// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

// raw frames that a hostile upstream sends; the follower has nothing yet.
func rawPart(t testing.TB, p part) []byte {
	t.Helper()
	b, err := encode(kindPart, &p)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func rawHead(t testing.TB, size uint64) []byte {
	t.Helper()
	b, err := encode(kindHead, &Head{Size: size})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestHostileUpstream sends each kind of rubbish. The follower must drop that
// upstream for a good while, keep nothing of it, and be served by another.
func TestHostileUpstream(t *testing.T) {
	leaf := [][]byte{[]byte("x")}
	cases := map[string][][]byte{
		"empty message":             {{}},
		"unknown kind":              {{9, 0x80}},
		"not CBOR":                  {{kindHead, 0xff}},
		"a map":                     {{kindHead, 0xa0}},
		"trailing byte":             {append(rawHead(t, 1), 0)},
		"non-minimal integer":       {{kindHead, 0x83, 0x18, 0x01, 0x00, 0x40}},
		"indefinite array":          {{kindHead, 0x9f, 0x01, 0x00, 0x40, 0xff}},
		"claims 2^32 leaves":        {{kindPart, 0x84, 0x00, 0x9a, 0xff, 0xff, 0xff, 0xff}},
		"a follower's message":      {{kindSub, 0x81, 0x00}},
		"fault without a code":      {{kindFault, 0x84, 0x60, 0x60, 0x00, 0x00}},
		"starts elsewhere":          {rawPart(t, part{First: 1, Leaves: leaf, Last: true})},
		"changes its mind":          {rawPart(t, part{First: 0, Leaves: leaf}), rawPart(t, part{First: 7, Leaves: leaf, Last: true})},
		"unverified group":          {rawPart(t, part{First: 0, Leaves: leaf, Last: true})},
		"no leaf at all":            {rawPart(t, part{First: 0, Last: true})},
		"part that carries nothing": {rawPart(t, part{First: 0})},
		"empty leaf":                {rawPart(t, part{First: 0, Leaves: [][]byte{{}}, Last: true})},
		"leaf too large":            {rawPart(t, part{First: 0, Leaves: [][]byte{make([]byte, MaxLeaf+1)}, Last: true})},
		"opening too large":         {rawPart(t, part{First: 0, Leaves: leaf, Openings: []Opening{{Bytes: make([]byte, MaxOpening+1)}}})},
		"head too large":            {append([]byte{kindHead, 0x83, 0x01, 0x00, 0x5a, 0x00, 0x01, 0x00, 0x01}, make([]byte, MaxHead+1)...)},
		"head shrinks":              {rawHead(t, 9), rawHead(t, 8)},
		"leaf behind openings": {
			rawPart(t, part{First: 0, Openings: []Opening{{Bytes: []byte("o")}}}),
			rawPart(t, part{First: 0, Leaves: leaf, Last: true}),
		},
		"too many items": {rawPart(t, part{First: 0, Leaves: make([][]byte, maxPartItems+1), Last: true})},
	}
	for name, frames := range cases {
		t.Run(name, func(t *testing.T) {
			hostile(t, offencePause.min/2, func(_ context.Context, s *p2p.Stream) error {
				for _, f := range frames {
					if err := s.WriteFrame(f); err != nil {
						return err
					}
				}
				return s.Flush()
			}, 0)
		})
	}
}

// TestSlowUpstreams stay connected and never deliver.
func TestSlowUpstreams(t *testing.T) {
	every := func(d time.Duration, ctx context.Context, send func(i int) error) error {
		for i := 0; ; i++ {
			if err := send(i); err != nil {
				return err
			}
			select {
			case <-time.After(d):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	flush := func(s *p2p.Stream, frame []byte) error {
		if err := s.WriteFrame(frame); err != nil {
			return err
		}
		return s.Flush()
	}
	t.Run("silent from the start", func(t *testing.T) {
		hostile(t, 0, func(ctx context.Context, _ *p2p.Stream) error { <-ctx.Done(); return ctx.Err() }, p2p.HeaderTimeout)
	})
	t.Run("silent after a head", func(t *testing.T) {
		hostile(t, 0, func(ctx context.Context, s *p2p.Stream) error {
			if err := flush(s, rawHead(t, 1)); err != nil {
				return err
			}
			<-ctx.Done()
			return ctx.Err()
		}, p2p.IdleTimeout)
	})
	t.Run("heads that promise, no group", func(t *testing.T) {
		hostile(t, 0, func(ctx context.Context, s *p2p.Stream) error {
			return every(Keepalive, ctx, func(int) error { return flush(s, rawHead(t, 5)) })
		}, stallTimeout+2*Keepalive)
	})
	t.Run("a group that never ends", func(t *testing.T) {
		hostile(t, 0, func(ctx context.Context, s *p2p.Stream) error {
			return every(20*time.Second, ctx, func(int) error { return flush(s, rawPart(t, part{First: 0, Leaves: [][]byte{{1}}})) })
		}, groupTimeout+time.Minute)
	})
}

// hostile lets evil serve first and an honest upstream second, and checks that
// within limit the follower has turned to the honest one, that it holds exactly
// the honest log, and that it does not come back to evil for atLeast.
func hostile(t *testing.T, atLeast time.Duration, evil p2p.StreamHandler, limit time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		n, src, sink := newPipes(ctx), newLog(), newLog()
		src.grow(nil, []byte("honest"))
		n.at("evil").HandleStream("", p2p.Policy{}, func(ctx context.Context, s *p2p.Stream) error {
			if _, err := s.ReadFrame(maxSub); err != nil {
				return err
			}
			return evil(ctx, s)
		})
		Serve(n.at("honest"), src, serveOpts)
		f := NewFollower(n, []p2p.PeerID{"evil", "honest"}, sink, FollowOptions{Logger: quiet})
		done := start(ctx, f)
		if limit > 0 {
			advance(limit)
		}
		synctest.Wait()
		wantState(t, f, Live, "honest")
		if !sink.equal(src) {
			t.Errorf("follower has %d leaves, the honest log %d", sink.Size(), src.Size())
		}
		if atLeast > 0 { // a lone offender is not asked again before its time
			f.SetUpstreams([]p2p.PeerID{"evil"})
			tries := n.dialled("evil")
			n.cutAll()
			advance(atLeast - time.Second)
			if n.dialled("evil") != tries {
				t.Error("came back to an offender too soon")
			}
		}
		cancel()
		<-done
	})
}

func TestGroupAboveTheCap(t *testing.T) {
	a := assembler{}
	p := part{First: 0, Leaves: [][]byte{make([]byte, MaxLeaf)}}
	var err error
	sent := 0
	for ; err == nil && sent <= MaxGroup; sent += MaxLeaf {
		_, err = a.add(&p)
	}
	if spec.CodeOf(err) != spec.CodeTooLarge || a.cost > MaxGroup+MaxLeaf+itemCost {
		t.Fatalf("after %d bytes: %v, holding %d", sent, err, a.cost)
	}
	a = assembler{}
	many := part{First: 0, Leaves: make([][]byte, maxPartItems)}
	for err = nil; err == nil; {
		_, err = a.add(&many)
	}
	if n := len(a.cur.Leaves); n > MaxGroup/itemCost+maxPartItems {
		t.Fatalf("%d tiny leaves held", n)
	}
}

// TestHostileSubscribers are cut off: the server holds nothing for them.
func TestHostileSubscribers(t *testing.T) {
	cases := map[string]func(c net.Conn){
		"silent":         func(net.Conn) {},
		"huge frame":     func(c net.Conn) { _, _ = c.Write([]byte{0xff, 0xff, 0x3f}) },
		"not a message":  func(c net.Conn) { _, _ = c.Write([]byte{1, 9}) },
		"wrong message":  func(c net.Conn) { _, _ = c.Write([]byte{6, kindHead, 0x83, 1, 0, 0x40}) },
		"trickles bytes": func(c net.Conn) { trickle(c, []byte{20, kindSub, 0x81, 0x1b, 0, 0, 0, 0}) },
		"never reads":    func(c net.Conn) { _, _ = c.Write([]byte{3, kindSub, 0x81, 0}) },
	}
	for name, act := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := newLog()
				src.grow(nil, bytesOf(MaxLeaf, 1), bytesOf(MaxLeaf, 2), bytesOf(MaxLeaf, 3))
				n := newPipes(t.Context())
				Serve(n.at("a"), src, serveOpts)
				near, far := net.Pipe()
				began := time.Now()
				ended := make(chan error, 1)
				go func() {
					ended <- n.serves["a"](t.Context(), p2p.NewStream(pipeConn{far}, "evil", "reader"))
				}()
				acted := make(chan struct{})
				go func() { defer close(acted); act(near) }()
				if err := <-ended; err == nil {
					t.Error("the stream ended well")
				}
				if took := time.Since(began); took > 2*p2p.IdleTimeout {
					t.Errorf("held for %v", took)
				}
				_ = near.Close()
				_ = far.Close()
				<-acted
			})
		})
	}
}

func trickle(c net.Conn, b []byte) {
	for i := range b {
		<-time.After(4 * time.Second)
		if _, err := c.Write(b[i : i+1]); err != nil {
			return
		}
	}
}

// TestSourceFaultsStayHome: a source that breaks its contract is told to no one.
func TestSourceFaultsStayHome(t *testing.T) {
	for name, src := range map[string]Source{
		"uncoded error": brokenSource{newLog(), nil, errors.New("secret path")},
		"wrong group":   brokenSource{newLog(), []Group{{First: 5, Leaves: [][]byte{{1}}}}, nil},
		"no leaves":     brokenSource{newLog(), []Group{{First: 0}}, nil},
		"nothing":       brokenSource{newLog(), nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				n, sink := newPipes(ctx), newLog()
				Serve(n.at("a"), src, serveOpts)
				f := NewFollower(n, []p2p.PeerID{"a"}, sink, FollowOptions{Logger: quiet})
				done := start(ctx, f)
				synctest.Wait()
				if st := f.Status(); st.LastError != "internal error" || st.State != Disconnected {
					t.Errorf("follower sees %s, %q", st.State, st.LastError)
				}
				cancel()
				<-done
			})
		})
	}
}

type brokenSource struct {
	*memLog
	groups []Group
	err    error
}

func (brokenSource) Size() uint64 { return 9 }
func (b brokenSource) Read(context.Context, string, uint64, int) ([]Group, error) {
	return b.groups, b.err
}
