// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"flag"
	"net"
	"os"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

var update = flag.Bool("update", false, "write the conformance vectors anew")

const vectorFile = "../../spec/testdata/sync.json"

// A vectorBook is what spec/sync.md and spec/wire.md say of the head and range
// protocols, in bytes.
type vectorBook struct {
	Notice    string     `json:"notice"`
	Messages  []vector   `json:"messages"`
	Refused   []vector   `json:"refused"`
	Exchanges []exchange `json:"exchanges"`
}

// A vector is one message: the payload of a frame.
type vector struct {
	Name     string `json:"name"`
	Protocol string `json:"protocol"`
	Note     string `json:"note,omitempty"`
	Code     string `json:"code,omitempty"` // with which it is refused
	Hex      string `json:"hex"`
}

// An exchange is one stream from its beginning. What stands in it is every byte that
// passes, frames with their lengths.
type exchange struct {
	Name     string `json:"name"`
	Protocol string `json:"protocol"`
	Note     string `json:"note"`
	Steps    []step `json:"steps"`
}

type step struct {
	From string `json:"from"` // reader or server
	Note string `json:"note"`
	Hex  string `json:"hex"`
}

const vectorNotice = "Messages of sync.md: the payload of a frame each, the kind first. The exchanges have frames whole, behind the server's first Status. In them the log is of test.example/0123456789abcdef; " +
	"its leaves and openings are bytes that mean nothing. Its panel is org-0 to org-3 with the Ed25519 keys of 32 bytes 1 to 4 as seeds, of which three make a checkpoint final."

func vectorsOfMessages(t *testing.T) (all []vector) {
	add := func(proto, name, note string, kind byte, m any) {
		all = append(all, vector{Name: name, Protocol: proto, Note: note, Hex: hex.EncodeToString(message(t, kind, m))})
	}
	addresses := []string{"/ip4/192.0.2.1/udp/7230/quic-v1", "/ip4/192.0.2.1/tcp/7230"}
	note := newCouncil().note(9, spec.Hash{1}, 3, time.Unix(1700000000, 0))
	proof := []spec.Hash{{2}, {3}}
	add(Protocol, "sub", "from size 7 on, lazy, of one that serves nobody", kindSub, &sub{Size: 7})
	add(Protocol, "sub-eager", "from the beginning, with a credit of 4 MiB, served at two addresses", kindSub, &sub{Credit: 4 << 20, Addresses: addresses})
	add(Protocol, "head", "size 9, at 1700000000123 ms, next 9, no Part since the last", kindHead, &head{Size: 9, TimeMS: 1700000000123, Next: 9, Note: note})
	add(Protocol, "head-proof", "the same behind Parts up to 5, with a proof of two hashes", kindHead, &head{Size: 9, TimeMS: 1700000000123, Next: 5, Note: note, Proof: proof})
	add(Protocol, "head-nothing", "nothing is final yet", kindHead, &head{TimeMS: 1700000000123})
	add(Protocol, "part", "leaves 01 and 0202 from 7 on, an opening 03 of the case 04…, the last of its group", kindPart,
		&part{First: 7, Leaves: [][]byte{{1}, {2, 2}}, Openings: []Opening{{Case: spec.Hash{4}, Bytes: []byte{3}}}, Last: true})
	add(Protocol, "part-more", "a leaf 01 of the group that begins at 7; more follows", kindPart, &part{First: 7, Leaves: [][]byte{{1}}})
	add(Protocol, "ihave", "size 9", kindIHave, &ihave{Size: 9, Note: note})
	add(Protocol, "graft", "from size 7 on, with a credit of 4 MiB", kindGraft, &graft{Size: 7, Credit: 4 << 20})
	add(Protocol, "prune", "", kindPrune, &prune{})
	add(Protocol, "ack", "at size 9, a credit of 512 KiB more", kindAck, &ack{Size: 9, Credit: 512 << 10})
	add(Protocol, "refer", "one peer at two addresses", kindRefer, &refer{Peers: []Referral{{Peer: "12D3KooWBmWRme9o8ALoZHRDX7DQhGnnxSad7EeGTG87Fztyhxeh", Addresses: addresses}}})
	for _, f := range []struct {
		name string
		err  error
	}{{"fault-busy", p2p.Busy(2 * time.Second)}, {"fault-gone", p2p.Gone(65540)}, {"fault-internal", os.ErrInvalid}} {
		b, err := encodeFault(f.err)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, vector{Name: f.name, Protocol: Protocol, Hex: hex.EncodeToString(b)})
	}
	add(RangeProtocol, "want", "the groups from 7 on up to 9, 1 MiB at most", kindWant, &want{From: 7, Upto: 9, Bytes: 1 << 20})
	add(RangeProtocol, "seal", "they end at 9", kindSeal, &seal{Next: 9})
	add(RangeProtocol, "seal-proof", "they end at 8, with a proof of two hashes", kindSeal, &seal{Next: 8, Proof: proof})
	return all
}

func vectorsRefused(t *testing.T) (all []vector) {
	add := func(proto, name string, code spec.Code, data []byte) {
		all = append(all, vector{Name: name, Protocol: proto, Code: string(code), Hex: hex.EncodeToString(data)})
	}
	empty := message(t, kindHead, &head{})
	add(Protocol, "empty", spec.CodeMalformed, nil)
	add(Protocol, "unknown kind", spec.CodeMalformed, []byte{99, 0x80})
	add(Protocol, "not CBOR", spec.CodeMalformed, []byte{kindHead, 0xff})
	add(Protocol, "a map", spec.CodeMalformed, []byte{kindHead, 0xa0})
	add(Protocol, "a byte too many", spec.CodeMalformed, append(bytes.Clone(empty), 0))
	add(Protocol, "an array of indefinite length", spec.CodeMalformed, []byte{kindPrune, 0x9f, 0xff})
	add(Protocol, "a number that is not in its shortest form", spec.CodeMalformed, []byte{kindAck, 0x82, 0x18, 0x07, 0x00})
	add(Protocol, "a field too few", spec.CodeMalformed, []byte{kindAck, 0x81, 0x07})
	add(Protocol, "a size beyond 2^48", spec.CodeMalformed, message(t, kindAck, &ack{Size: maxSize + 1}))
	add(Protocol, "a fault without a code", spec.CodeMalformed, []byte{kindFault, 0x84, 0x60, 0x60, 0x00, 0x00})
	add(Protocol, "nine addresses", spec.CodeTooLarge, message(t, kindSub, &sub{Addresses: make([]string, maxAddresses+1)}))
	add(Protocol, "a long address", spec.CodeTooLarge, message(t, kindSub, &sub{Addresses: []string{string(bytesOf(maxAddress+1, 'a'))}}))
	add(Protocol, "nine referrals", spec.CodeTooLarge, message(t, kindRefer, &refer{Peers: make([]Referral, maxReferred+1)}))
	add(Protocol, "a proof of 65 hashes", spec.CodeTooLarge, message(t, kindHead, &head{Proof: make([]spec.Hash, 65)}))
	add(Protocol, "a part of nothing", spec.CodeMalformed, message(t, kindPart, &part{}))
	add(Protocol, "an empty leaf", spec.CodeMalformed, message(t, kindPart, &part{Leaves: [][]byte{{}}}))
	add(Protocol, "a message of the other protocol", spec.CodeMalformed, message(t, kindWant, &want{From: 7, Upto: 9, Bytes: 1}))
	add(RangeProtocol, "a range of nothing", spec.CodeMalformed, message(t, kindWant, &want{From: 9, Upto: 9, Bytes: 1}))
	add(RangeProtocol, "more than 8 MiB", spec.CodeMalformed, message(t, kindWant, &want{Upto: 9, Bytes: 8<<20 + 1}))
	add(RangeProtocol, "a message of the other protocol", spec.CodeMalformed, message(t, kindIHave, &ihave{Size: 1}))
	return all
}

// heardConn keeps what was read, and lets nothing else be done to it.
type heardConn struct {
	net.Conn
	mu    sync.Mutex
	bytes []byte
}

func (c *heardConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes = append(c.bytes, p[:n]...)
	return n, err
}

// taken returns what came since it was last asked.
func (c *heardConn) taken() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.bytes
	c.bytes = nil
	return b
}

// A script plays the reader of one stream and writes down what passes.
type script struct {
	t      *testing.T
	stream *p2p.Stream
	heard  *heardConn
	exchange
}

// play opens a stream to a server.
func play(t *testing.T, n *pipes, from p2p.PeerID, name, proto, note string) *script {
	t.Helper()
	n.mu.Lock()
	fn := n.serves["server"][proto]
	n.mu.Unlock()
	near, far := net.Pipe()
	s := &script{t: t, heard: &heardConn{Conn: near}, exchange: exchange{Name: name, Protocol: proto, Note: note}}
	s.stream = p2p.NewStream(pipeConn{s.heard}, "server", "")
	go func() {
		_ = fn(n.ctx, p2p.NewStream(pipeConn{far}, from, n.role)) // a stream that ends is what some exchanges show
		_ = far.Close()
	}()
	go func() {
		for {
			if _, err := s.stream.ReadFrame(p2p.MaxFrame); err != nil {
				return
			}
		}
	}()
	context.AfterFunc(n.ctx, func() { _ = near.Close() })
	return s
}

func (s *script) say(note string, kind byte, m any) *script {
	s.t.Helper()
	b := message(s.t, kind, m)
	var w bytes.Buffer
	w.Write(frameLength(len(b)))
	w.Write(b)
	s.Steps = append(s.Steps, step{"reader", note, hex.EncodeToString(w.Bytes())})
	if _, err := s.heard.Write(w.Bytes()); err != nil {
		s.t.Fatal(err)
	}
	return s
}

func frameLength(n int) (b []byte) {
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

func (s *script) hear(note string) *script {
	s.t.Helper()
	synctest.Wait()
	b := s.heard.taken()
	if len(b) == 0 {
		s.t.Fatalf("%s: the server says nothing", s.Name)
	}
	s.Steps = append(s.Steps, step{"server", note, hex.EncodeToString(b)})
	return s
}

// vectorLog has two groups, the second with an opening.
func vectorLog() *memLog {
	src := newLog()
	src.add(nil, []byte("leaf 0"), []byte("leaf 1"))
	src.grow([]Opening{{Case: spec.LeafHash([]byte("leaf 3")), Bytes: []byte("opening")}}, []byte("leaf 3"))
	return src
}

func exchanges(t *testing.T) (all []exchange) {
	at := func(role string, keep uint64, opts ServeOptions, fn func(t *testing.T, n *pipes, src *memLog) *script) {
		bubble(t, func(t *testing.T, _ context.Context, n *pipes) {
			n.role = role
			src := vectorLog()
			src.keep = keep
			Serve(n.at("server"), src, opts)
			all = append(all, fn(t, n, src).exchange)
		})
	}
	full := serveOpts
	full.Subscribers = 1
	for _, role := range []string{"member", "reader"} {
		at(role, 0, serveOpts, func(t *testing.T, n *pipes, src *memLog) *script {
			s := play(t, n, "reader", "pushed to a "+role, Protocol, "two groups that are final, and a third that becomes so")
			s.say("Sub and Graft at once", kindSub, &sub{Credit: 4 << 20})
			s.hear("Head at next 0, a Part for each group, Head with next 5 and no proof: all is there")
			src.grow(nil, []byte("leaf 5"))
			return s.hear("Part, Head")
		})
	}
	at("reader", 0, serveOpts, func(t *testing.T, n *pipes, src *memLog) *script {
		s := play(t, n, "reader", "announced to a reader that is level", Protocol, "a third group becomes final, and the reader grafts")
		s.say("Sub at size 5", kindSub, &sub{Size: 5}).hear("Head")
		src.grow(nil, []byte("leaf 5"))
		advance(announceAfter)
		s.hear("IHave")
		return s.say("Graft", kindGraft, &graft{Size: 5, Credit: 4 << 20}).hear("Head at next 5, Part, Head")
	})
	at("reader", 0, full, func(t *testing.T, n *pipes, src *memLog) *script {
		first := play(t, n, "12D3KooWBmWRme9o8ALoZHRDX7DQhGnnxSad7EeGTG87Fztyhxeh", "", Protocol, "")
		first.say("", kindSub, &sub{Addresses: []string{"/ip4/192.0.2.7/tcp/7230"}}).hear("")
		s := play(t, n, "reader", "no room", Protocol, "a server that has as many subscribers as it takes")
		return s.say("Sub", kindSub, &sub{}).hear("Refer to the one that there is, and Fault BUSY")
	})
	at("member", 0, serveOpts, func(t *testing.T, n *pipes, src *memLog) *script {
		s := play(t, n, "reader", "ranges", RangeProtocol, "the log of five leaves in two answers, and what there is not")
		s.say("Want a byte from 0 on: one group at least", kindWant, &want{Upto: 5, Bytes: 1}).hear("Part, Seal at 3 with the proof that the log of 5 begins with it")
		s.say("Want the rest", kindWant, &want{From: 3, Upto: 5, Bytes: 1 << 20}).hear("Part, Seal at 5 without a proof")
		return s.say("Want what is not final", kindWant, &want{From: 5, Upto: 9, Bytes: 1}).hear("Fault NOT_FOUND")
	})
	at("reader", 3, serveOpts, func(t *testing.T, n *pipes, src *memLog) *script {
		s := play(t, n, "reader", "what is not kept", RangeProtocol, "a server that begins at 3")
		return s.say("Want from 0 on", kindWant, &want{Upto: 5, Bytes: 1}).hear("Fault GONE with min_size 3")
	})
	return all
}

// TestVectors makes every message and exchange again, or writes them with -update.
func TestVectors(t *testing.T) {
	want := &vectorBook{Notice: vectorNotice, Messages: vectorsOfMessages(t), Refused: vectorsRefused(t), Exchanges: exchanges(t)}
	if *update {
		b, err := json.MarshalIndent(want, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(vectorFile, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got := vectorsOf(t)
	for i, v := range want.Messages {
		if i >= len(got.Messages) || got.Messages[i] != v {
			t.Errorf("the message %s is not that of %s: %s", v.Name, vectorFile, v.Hex)
		}
	}
	for i, v := range want.Refused {
		if i >= len(got.Refused) || got.Refused[i] != v {
			t.Errorf("%q is not that of %s: %s", v.Name, vectorFile, v.Hex)
		}
	}
	for i, x := range want.Exchanges {
		if i >= len(got.Exchanges) || !reflect.DeepEqual(got.Exchanges[i], x) {
			t.Errorf("the exchange %q is not that of %s: %+v", x.Name, vectorFile, x.Steps)
		}
	}
	if len(got.Messages) != len(want.Messages) || len(got.Refused) != len(want.Refused) || len(got.Exchanges) != len(want.Exchanges) {
		t.Errorf("%s has more", vectorFile)
	}
}

func vectorsOf(t *testing.T) (b vectorBook) {
	t.Helper()
	data, err := os.ReadFile(vectorFile)
	if err == nil {
		err = json.Unmarshal(data, &b)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestVectorsAreRead decodes what the file has: messages are what they say and are
// written back as they were, and the others are refused with their codes.
func TestVectorsAreRead(t *testing.T) {
	read := map[string]func([]byte) (any, error){Protocol: decode, RangeProtocol: decodeRange}
	b := vectorsOf(t)
	for _, v := range b.Messages {
		data, err := hex.DecodeString(v.Hex)
		if err != nil {
			t.Fatal(err)
		}
		m, err := read[v.Protocol](data)
		if err != nil {
			t.Errorf("%s: %v", v.Name, err)
			continue
		}
		if f, ok := m.(*fault); ok {
			if again, err := encodeFault(f.err); err != nil || !bytes.Equal(again, data) {
				t.Errorf("%s: read and written it is %x, %v", v.Name, again, err)
			}
			continue
		}
		if again := message(t, data[0], m); !bytes.Equal(again, data) {
			t.Errorf("%s: read and written it is %x", v.Name, again)
		}
	}
	for _, v := range b.Refused {
		data, err := hex.DecodeString(v.Hex)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := read[v.Protocol](data); string(spec.CodeOf(err)) != v.Code {
			t.Errorf("%s: %+v, %v", v.Name, m, err)
		}
	}
}
