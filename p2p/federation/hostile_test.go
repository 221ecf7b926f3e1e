// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// A liar serves an honest log with one thing changed.
type liar struct {
	*memLog
	note  func(size uint64, note []byte) (uint64, []byte)
	group func(g Group) Group
	prove func(p []spec.Hash) []spec.Hash
}

func (l *liar) Final() (uint64, []byte) {
	size, note := l.memLog.Final()
	if l.note != nil {
		return l.note(size, note)
	}
	return size, note
}

func (l *liar) Read(ctx context.Context, role string, from uint64, maxBytes int) ([]Group, error) {
	groups, err := l.memLog.Read(ctx, role, from, maxBytes)
	if l.group != nil {
		for i := range groups {
			groups[i] = l.group(groups[i])
		}
	}
	return groups, err
}

func (l *liar) Prove(old, size uint64) ([]spec.Hash, error) {
	p, err := l.memLog.Prove(old, size)
	if l.prove != nil {
		p = l.prove(p)
	}
	return p, err
}

func flip(b []byte) []byte {
	b = append([]byte(nil), b...)
	b[len(b)/2] ^= 1
	return b
}

// cosigned makes final notes of its own for the log.
func (l *liar) cosigned(c *council, n int, at func() time.Time) *liar {
	l.note = func(size uint64, _ []byte) (uint64, []byte) {
		l.mu.Lock()
		defer l.mu.Unlock()
		return size, c.note(size, l.tree.Root(), n, at())
	}
	return l
}

// TestHostileUpstreams lets a liar serve first. Nothing of a lie is taken, the liar
// is charged and not asked again for a good while, and the reader comes to have
// exactly the honest log from another.
func TestHostileUpstreams(t *testing.T) {
	for name, lie := range map[string]func(src *memLog) *liar{
		"uncosigned":       func(src *memLog) *liar { return (&liar{memLog: src}).cosigned(newCouncil(), 0, time.Now) },
		"k-1 cosignatures": func(src *memLog) *liar { return (&liar{memLog: src}).cosigned(newCouncil(), 2, time.Now) },
		"wrong origin": func(src *memLog) *liar {
			return &liar{memLog: src, note: func(size uint64, note []byte) (uint64, []byte) { return size, foreign(size) }}
		},
		"a note with a flipped bit": func(src *memLog) *liar {
			return &liar{memLog: src, note: func(size uint64, note []byte) (uint64, []byte) { return size, flip(note) }}
		},
		"no note at all": func(src *memLog) *liar {
			return &liar{memLog: src, note: func(size uint64, _ []byte) (uint64, []byte) { return size, nil }}
		},
		"the note of another size": func(src *memLog) *liar {
			return &liar{memLog: src, note: func(size uint64, note []byte) (uint64, []byte) { return size + 2, note }}
		},
		"a leaf with a flipped bit": func(src *memLog) *liar {
			return &liar{memLog: src, group: func(g Group) Group {
				g.Leaves = append([][]byte{flip(g.Leaves[0])}, g.Leaves[1:]...)
				return g
			}}
		},
		"leaves in another order": func(src *memLog) *liar {
			return &liar{memLog: src, group: func(g Group) Group {
				g.Leaves = append([][]byte{g.Leaves[1], g.Leaves[0]}, g.Leaves[2:]...)
				return g
			}}
		},
		"a forked log under an honest note": func(src *memLog) *liar {
			other := newLog()
			for range 9 {
				other.grow(nil, []byte("forged"), []byte("as"), []byte("many"))
			}
			return &liar{memLog: other, note: func(size uint64, _ []byte) (uint64, []byte) { return src.Final() }}
		},
		"a proof of noise": func(src *memLog) *liar {
			return &liar{memLog: src, prove: func([]spec.Hash) []spec.Hash { return []spec.Hash{{1}, {2}} }}
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
				src := newLog()
				for i := range 9 { // more than one answer of a range
					src.grow(nil, bytesOf(60<<10, byte(i+1)), bytesOf(60<<10, byte(i+2)), bytesOf(60<<10, byte(i+1)))
				}
				Serve(n.at("evil"), lie(src), serveOpts)
				k := read(ctx, n, []p2p.PeerID{"evil"})
				advance(8 * time.Second)
				if name != "a proof of noise" && k.log.Size() != 0 { // its first answers are honest
					t.Fatalf("%d leaves of a lie are shown", k.log.Size())
				}
				if k.offences("evil") == 0 {
					t.Fatalf("the liar is not charged: %+v", k.Status())
				}
				tries := n.dialled("evil")
				advance(2 * time.Second)
				if k.offences("evil") == 1 && n.dialled("evil") > tries+3 {
					t.Fatal("the liar is asked again at once")
				}
				serve(n, src, "honest")
				k.SetUpstreams([]p2p.PeerID{"evil", "honest"})
				advance(20 * time.Second)
				k.is(t, Live, src)
				if m := k.marks.Mark(); m.Size != src.Size() || m.Root != src.tree.Root() {
					t.Fatalf("the mark is at %d", m.Size)
				}
			})
		})
	}
}

// foreign is a final note of another consortium, whose members have the same keys.
func foreign(size uint64) []byte {
	own := newCouncil()
	of := &spec.Panel{K: 3}
	for i, key := range own.keys {
		of.Seats = append(of.Seats, spec.Seat{Org: own.Orgs()[i], Key: publicOf(key)})
	}
	p, err := tlog.NewPanel("other.example/0123456789abcdef", of)
	if err != nil {
		panic(err)
	}
	s := &tlog.Signed{Checkpoint: tlog.Checkpoint{Origin: p.Origin, Size: size, Root: spec.Hash{1}}}
	for i, key := range own.keys {
		s.Cosignatures = append(s.Cosignatures, tlog.Cosign(s.Checkpoint, of.Seats[i].Org, key, 1))
	}
	b, err := p.Note(s)
	if err != nil {
		panic(err)
	}
	return b
}

// raw serves frames as they are, on both protocols, to whoever asks.
func raw(n *pipes, id p2p.PeerID, frames func(proto string) [][]byte) {
	for _, proto := range []string{Protocol, RangeProtocol} {
		n.at(id).HandleStream(proto, p2p.Policy{}, func(ctx context.Context, s *p2p.Stream) error {
			if _, err := s.ReadFrame(maxControl); err != nil {
				return err
			}
			for _, f := range frames(proto) {
				if err := s.WriteFrame(f); err != nil {
					return err
				}
			}
			if err := s.Flush(); err != nil {
				return err
			}
			<-ctx.Done()
			return ctx.Err()
		})
	}
}

func message(t testing.TB, kind byte, m any) []byte {
	t.Helper()
	b, err := encode(kind, m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestRubbish sends what no server sends, after an honest Head where ranges are
// asked for. Each costs the sender an offence at once.
func TestRubbish(t *testing.T) {
	src := grown(5)
	leaf := [][]byte{[]byte("x")}
	honest := message(t, kindHead, &head{Size: src.size, Note: src.note})
	small := message(t, kindHead, &head{})
	inHead := map[string][][]byte{
		"empty message":       {{}},
		"unknown kind":        {{99, 0x80}},
		"not CBOR":            {{kindHead, 0xff}},
		"a map":               {{kindHead, 0xa0}},
		"trailing byte":       {append(append([]byte(nil), honest...), 0)},
		"indefinite array":    {{kindHead, 0x9f, 0x01, 0x00, 0x00, 0x40, 0x80, 0xff}},
		"a reader's message":  {message(t, kindAck, &ack{})},
		"fault without code":  {{kindFault, 0x84, 0x60, 0x60, 0x00, 0x00}},
		"head shrinks":        {honest, small},
		"groups unasked":      {honest, message(t, kindPart, &part{Leaves: leaf, Last: true})},
		"size without a note": {message(t, kindHead, &head{Size: 7})},
		"a size out of range": {message(t, kindHead, &head{Size: 1 << 60})},
		"proof too long":      {message(t, kindHead, &head{Proof: make([]spec.Hash, tlog.MaxProof+1)})},
		"note too large":      {message(t, kindIHave, &ihave{Note: make([]byte, tlog.MaxNote+1)})},
		"too many referrals":  {message(t, kindRefer, &refer{Peers: make([]Referral, maxReferred+1)})},
	}
	inRange := map[string][][]byte{
		"empty":                {{}},
		"unknown kind":         {{99, 0x80}},
		"seal of nothing":      {message(t, kindSeal, &seal{})},
		"seal beyond":          {message(t, kindPart, &part{Leaves: leaf, Last: true}), message(t, kindSeal, &seal{Next: 1 << 40})},
		"starts elsewhere":     {message(t, kindPart, &part{First: 1, Leaves: leaf, Last: true})},
		"unverified group":     {message(t, kindPart, &part{Leaves: leaf, Last: true}), message(t, kindSeal, &seal{Next: 1})},
		"claims 2^32 leaves":   {{kindPart, 0x84, 0x00, 0x9a, 0xff, 0xff, 0xff, 0xff}},
		"leaf too large":       {message(t, kindPart, &part{Leaves: [][]byte{make([]byte, MaxLeaf+1)}})},
		"opening too large":    {message(t, kindPart, &part{Leaves: leaf, Openings: []Opening{{Bytes: make([]byte, MaxOpening+1)}}})},
		"leaf behind openings": {message(t, kindPart, &part{Openings: []Opening{{Bytes: []byte("o")}}}), message(t, kindPart, &part{Leaves: leaf, Last: true})},
		"carries nothing":      {message(t, kindPart, &part{})},
		"a reader's message":   {message(t, kindWant, &want{Upto: 1, Bytes: 1})},
	}
	check := func(t *testing.T, frames func(proto string) [][]byte) {
		bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
			raw(n, "evil", frames)
			k := read(ctx, n, []p2p.PeerID{"evil"})
			advance(time.Second)
			if k.offences("evil") == 0 || k.log.Size() != 0 {
				t.Fatalf("%d offences, %d leaves: %+v", k.offences("evil"), k.log.Size(), k.Status())
			}
		})
	}
	for name, frames := range inHead {
		t.Run(name, func(t *testing.T) {
			check(t, func(proto string) [][]byte {
				if proto == Protocol {
					return frames
				}
				return nil // so that nothing else costs it an offence
			})
		})
	}
	for name, frames := range inRange {
		t.Run("range: "+name, func(t *testing.T) {
			check(t, func(proto string) [][]byte {
				if proto == Protocol {
					return [][]byte{honest}
				}
				return frames
			})
		})
	}
}

// TestSlowUpstreams stay connected and never deliver: the reader goes on with
// another in time.
func TestSlowUpstreams(t *testing.T) {
	src := grown(5)
	honest := message(t, kindHead, &head{Size: src.size, Note: src.note})
	silent := func(string) [][]byte { return nil }
	for name, c := range map[string]struct {
		frames func(proto string) [][]byte
		limit  time.Duration
	}{
		"silent from the start": {silent, headWait + time.Second},
		"silent after a head":   {func(string) [][]byte { return [][]byte{honest} }, p2p.IdleTimeout + 10*time.Second},
		"ranges without an end": {func(proto string) [][]byte {
			if proto == Protocol {
				return [][]byte{honest}
			}
			return [][]byte{message(t, kindPart, &part{Leaves: [][]byte{{1}}})}
		}, p2p.IdleTimeout + 10*time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
				live := grown(5)
				raw(n, "evil", c.frames)
				serve(n, live, "honest")
				k := read(ctx, n, []p2p.PeerID{"evil", "honest"})
				advance(c.limit)
				if k.Status().Size != live.Size() || !k.log.equal(live) {
					t.Fatalf("after %v: %+v", c.limit, k.Status())
				}
			})
		})
	}
}

// A slow-loris sends everything, a byte at a time.
func TestASlowLorisHoldsNobody(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
		src := grown(5)
		serve(n, src, "evil", "honest")
		n.wrap = func(id p2p.PeerID, c net.Conn) net.Conn {
			if id == "evil" {
				return &loris{Conn: c}
			}
			return c
		}
		k := read(ctx, n, []p2p.PeerID{"evil", "honest"})
		advance(p2p.IdleTimeout)
		k.is(t, Live, src)
		src.grow(nil, []byte("new"))
		advance(announceAfter + graftAfter + time.Millisecond)
		k.is(t, Live, src)
	})
}

type loris struct{ net.Conn }

func (l *loris) Write(b []byte) (int, error) {
	for i := range b {
		<-time.After(200 * time.Millisecond)
		if _, err := l.Conn.Write(b[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}

// One that announces what is final and, grafted, never delivers it costs the reader
// little and itself an offence; meanwhile the honest one goes on.
func TestAPromiseThatIsNotKept(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
		src := grown(5)
		n.at("evil").HandleStream(Protocol, p2p.Policy{}, func(ctx context.Context, s *p2p.Stream) error {
			if _, err := s.ReadFrame(maxControl); err != nil {
				return err
			}
			go func() {
				for {
					if _, err := s.ReadFrame(maxControl); err != nil {
						return
					}
				}
			}()
			for {
				size, note := src.Final()
				if err := s.WriteFrame(message(t, kindHead, &head{Size: size, Note: note})); err != nil {
					return err
				}
				if err := s.Flush(); err != nil {
					return err
				}
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(time.Second):
				}
			}
		})
		n.at("evil").HandleStream(RangeProtocol, p2p.Policy{}, func(ctx context.Context, s *p2p.Stream) error {
			<-ctx.Done()
			return ctx.Err()
		})
		serve(n, src, "honest")
		k := readFirst(t, ctx, n, "honest", "evil")
		n.part("honest", true) // so that evil is grafted
		advance(time.Second)
		src.grow(nil, []byte("new"))
		advance(promise + 3*time.Second)
		if k.offences("evil") == 0 {
			t.Fatalf("not charged: %+v", k.Status())
		}
		n.part("honest", false)
		advance(p2p.IdleTimeout + 10*time.Second) // the liar may have its turn first, and say nothing
		k.is(t, Live, src)
	})
}

// Every single bit that is flipped on the way is found out, wherever it is.
func TestFlippedBitsOnTheWay(t *testing.T) {
	for at := int64(2); at < 2600; at += 97 {
		bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
			src := grown(8)
			serve(n, src, "evil", "honest")
			var sent atomic.Int64
			n.wrap = func(id p2p.PeerID, c net.Conn) net.Conn {
				if id == "evil" {
					return &noisy{c, &sent, at}
				}
				return c
			}
			k := read(ctx, n, []p2p.PeerID{"evil", "honest"})
			advance(time.Minute)
			if k.Status().Size != src.Size() || !k.log.equal(src) {
				t.Fatalf("bit flipped at byte %d: %+v", at, k.Status())
			}
		})
	}
}

// noisy flips one bit of all that is sent.
type noisy struct {
	net.Conn
	sent *atomic.Int64
	at   int64
}

func (c *noisy) Write(b []byte) (int, error) {
	end := c.sent.Add(int64(len(b)))
	if i := c.at - (end - int64(len(b))); i >= 0 && i < int64(len(b)) {
		b = append([]byte(nil), b...)
		b[i] ^= 0x10
	}
	return c.Conn.Write(b)
}

// An upstream that was rolled back, or replays old notes, is behind: nothing of it
// is taken and nothing is lowered.
func TestARolledBackUpstreamIsOnlyBehind(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
		old, src := grown(3), grown(3)
		src.grow(nil, []byte("more"))
		serve(n, src, "honest")
		k := read(ctx, n, []p2p.PeerID{"honest"})
		synctest.Wait()
		serve(n, old, "old", "older")
		k.SetUpstreams([]p2p.PeerID{"old", "older", "honest"})
		advance(10 * time.Second)
		k.is(t, Live, src)
		n.part("honest", true)
		advance(10 * time.Second)
		if st := k.Status(); st.Size != src.Size() || st.Known != src.Size() {
			t.Fatalf("%+v", st)
		}
	})
}
