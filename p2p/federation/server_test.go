// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-db/tocsin/p2p"
)

// Readers serve readers: a chain of them, each of which serves what it verified.
func TestReadersServeReaders(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
		src := grown(20)
		serve(n, src, "member")
		up := p2p.PeerID("member")
		var chain []*desk
		for i := range 5 {
			id := p2p.PeerID(fmt.Sprint("r", i))
			k := read(ctx, dialerOf{n, id}, []p2p.PeerID{up})
			Serve(n.at(id), k.log, serveOpts)
			chain, up = append(chain, k), id
		}
		advance(10 * time.Second)
		src.grow(nil, []byte("new"))
		before := time.Now()
		synctest.Wait()
		for _, k := range chain {
			k.is(t, Live, src)
		}
		if !time.Now().Equal(before) {
			t.Fatal("it is not pushed through the chain at once")
		}
	})
}

// A server that pushes to as many as it may names others, which the reader follows.
func TestAFullServerRefersToOthers(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
		src := grown(3)
		opts := serveOpts
		opts.Pushed, opts.Subscribers = 2, 3
		sv := Serve(n.at("member"), src, opts)
		var readers []*desk
		for i := range 12 {
			id := genuine(t, byte(i))
			k := read(ctx, dialerOf{n, id}, []p2p.PeerID{"member"}, func(c *ReaderConfig) {
				c.Addresses = []string{"/ip4/192.0.2.1/tcp/1"}
				c.Refer = func(from p2p.PeerID, r Referral) bool { return len(r.Addresses) == 1 && r.Peer != id }
			})
			Serve(n.at(id), k.log, opts)
			readers = append(readers, k)
			advance(3 * time.Second)
		}
		advance(20 * time.Second)
		if all, pushed := sv.Subscribers(); all > 3 || pushed > 2 {
			t.Fatalf("the server has %d subscribers and pushes to %d", all, pushed)
		}
		src.grow(nil, []byte("new"))
		advance(5 * time.Second)
		for i, k := range readers {
			if !k.log.equal(src) {
				t.Errorf("reader %d: %+v", i, k.Status())
			}
		}
	})
}

func genuine(t testing.TB, n byte) p2p.PeerID { return idOf(t, n+100) }

// A hundred at once, at a server with little room and a slow line for bulk.
func TestAHundredReadersAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
		src := newLog()
		for i := range 50 {
			src.add(nil, bytesOf(1000, byte(i+1)))
		}
		src.finish()
		opts := serveOpts
		opts.Pushed = 10
		for _, id := range []p2p.PeerID{"a", "b", "c"} {
			Serve(n.at(id), src, opts)
		}
		var readers []*desk
		for i := range 100 {
			ups := [][]p2p.PeerID{{"a", "b", "c"}, {"b", "c", "a"}, {"c", "a", "b"}}[i%3]
			readers = append(readers, read(ctx, dialerOf{n, p2p.PeerID(fmt.Sprint("r", i))}, ups))
		}
		advance(10 * time.Second)
		for i, k := range readers {
			if !k.log.equal(src) {
				t.Fatalf("reader %d: %+v", i, k.Status())
			}
		}
		src.grow(nil, []byte("new"))
		advance(5 * time.Second)
		for i, k := range readers {
			if !k.log.equal(src) {
				t.Fatalf("reader %d, for which nobody has room: %+v", i, k.Status())
			}
		}
	})
}

// Bulk is paced over all streams; a head stream is not.
func TestBulkIsPaced(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
		src := newLog()
		for i := range 100 {
			src.add(nil, bytesOf(60<<10, byte(i+1)), bytesOf(40<<10, byte(i+1)))
		}
		src.finish()
		opts := serveOpts
		opts.BulkRate = 1 << 20
		Serve(n.at("a"), src, opts)
		began := time.Now()
		k := read(ctx, n, []p2p.PeerID{"a"})
		for !k.log.equal(src) {
			advance(time.Second / 4)
			if time.Since(began) > time.Minute {
				t.Fatalf("%+v", k.Status())
			}
		}
		if took := time.Since(began); took < 8*time.Second || took > 11*time.Second {
			t.Fatalf("10 MB at 1 MiB/s, one of them at once, took %v", took)
		}
		src.grow(nil, []byte("new"))
		synctest.Wait()
		k.is(t, Live, src)
	})
}

// TestSlowSubscribers: one that grants no credit is pruned and holds nobody up.
func TestASlowSubscriberIsDemoted(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
		src := grown(1)
		sv := Serve(n.at("a"), src, serveOpts)
		s, err := n.OpenStream(ctx, "a", Protocol)
		if err != nil {
			t.Fatal(err)
		}
		say(t, s, kindSub, &sub{Size: 0, Credit: 1})
		var mu sync.Mutex
		kinds := map[byte]int{}
		go func() {
			for {
				f, err := s.ReadFrame(p2p.MaxFrame)
				if err != nil {
					return
				}
				mu.Lock()
				kinds[f[0]]++
				mu.Unlock()
			}
		}()
		synctest.Wait()
		for i := range 20 {
			src.grow(nil, bytesOf(1000, byte(i+1)))
			advance(time.Second)
			say(t, s, kindAck, &ack{})
		}
		synctest.Wait() // until the counting goroutine rests
		mu.Lock()
		if kinds[kindPart] != 1 || kinds[kindPrune] != 1 || kinds[kindIHave] == 0 {
			t.Errorf("it was sent %v: want one part, a prune, and announcements", kinds)
		}
		mu.Unlock()
		if all, pushed := sv.Subscribers(); all != 1 || pushed != 0 {
			t.Fatalf("%d subscribers, %d pushed to", all, pushed)
		}
		advance(40 * time.Second) // and says nothing any more
		if all, _ := sv.Subscribers(); all != 0 {
			t.Fatal("a silent subscriber is kept")
		}
	})
}

// Announcements come after those that are pushed to, and one tells of all that became
// final meanwhile.
func TestAnnouncementsWait(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
		src := grown(3)
		serve(n, src, "a")
		s, err := n.OpenStream(ctx, "a", Protocol)
		if err != nil {
			t.Fatal(err)
		}
		say(t, s, kindSub, &sub{Size: src.Size()})
		var mu sync.Mutex
		var told []uint64
		go func() {
			for {
				frame, err := s.ReadFrame(p2p.MaxFrame)
				if err != nil {
					return
				}
				if m, _ := decode(frame); m != nil && frame[0] == kindIHave {
					mu.Lock()
					told = append(told, m.(*ihave).Size)
					mu.Unlock()
				}
			}
		}()
		are := func(want ...uint64) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(told, want) {
				t.Fatalf("it was told of %v, not of %v", told, want)
			}
		}
		synctest.Wait()
		for range 5 {
			src.grow(nil, []byte("new"))
			advance(announceAfter / 10)
		}
		are()
		advance(announceAfter / 2)
		first := src.Size()
		are(first)
		src.grow(nil, []byte("newer"))
		advance(announceAfter)
		are(first, src.Size())
	})
}

func say(t testing.TB, s *p2p.Stream, kind byte, m any) {
	t.Helper()
	b, err := encode(kind, m)
	if err == nil {
		err = errors.Join(s.WriteFrame(b), s.Flush())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestHostileSubscribers are cut off: the server holds nothing for them.
func TestHostileSubscribers(t *testing.T) {
	cases := map[string]func(c net.Conn){
		"silent":         func(net.Conn) {},
		"huge frame":     func(c net.Conn) { _, _ = c.Write([]byte{0xff, 0xff, 0x3f}) },
		"not a message":  func(c net.Conn) { _, _ = c.Write([]byte{1, 9}) },
		"wrong message":  func(c net.Conn) { _, _ = c.Write([]byte{2, kindPrune, 0x80}) },
		"trickles bytes": func(c net.Conn) { trickle(c, []byte{20, kindSub, 0x83, 0x1b, 0, 0, 0, 0}) },
		"never reads":    func(c net.Conn) { _, _ = c.Write([]byte{9, kindSub, 0x83, 0, 0x1a, 0xff, 0xff, 0xff, 0xff, 0x80}) },
	}
	for name, act := range cases {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
				src := newLog()
				src.grow(nil, bytesOf(MaxLeaf, 1), bytesOf(MaxLeaf, 2), bytesOf(MaxLeaf, 3))
				Serve(n.at("a"), src, serveOpts)
				near, far := net.Pipe()
				began := time.Now()
				ended := make(chan error, 1)
				go func() {
					ended <- n.serves["a"][Protocol](ctx, p2p.NewStream(pipeConn{far}, "evil", "reader"))
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
	for name, b := range map[string]broken{
		"uncoded error": {nil, errors.New("secret path")},
		"wrong group":   {[]Group{{First: 5, Leaves: [][]byte{{1}}}}, nil},
		"no leaves":     {[]Group{{First: 0}}, nil},
		"nothing":       {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, ctx context.Context, n *pipes) {
				Serve(n.at("a"), brokenSource{b, grown(9)}, serveOpts)
				k := read(ctx, n, []p2p.PeerID{"a"})
				advance(time.Second)
				if st := k.Status(); st.LastError != "internal error" || st.Size != 0 {
					t.Errorf("the reader sees %s, %q", st.State, st.LastError)
				}
			})
		})
	}
}

type brokenSource struct {
	broken
	*memLog
}

type broken struct {
	groups []Group
	err    error
}

func (b brokenSource) Read(context.Context, string, uint64, int) ([]Group, error) {
	return b.broken.groups, b.broken.err
}
