// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"errors"
	"testing"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

// Why a server ends a stream, and whom it refers to, reaches the reader: over libp2p
// the end must not overtake it.
func TestTheReasonArrives(t *testing.T) {
	for _, listen := range []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"} {
		t.Run(listen, func(t *testing.T) {
			dir := consortium{idOf(t, 1): "member", idOf(t, 2): "reader", idOf(t, 3): "reader"}
			server := newHost(t, 1, dir, listen)
			opts := serveOpts
			opts.Subscribers = 1
			Serve(server, grown(3), opts)
			ask := func(h *p2p.Host, proto string, kind byte, m any) *p2p.Stream {
				t.Helper()
				var s *p2p.Stream
				var err error
				eventually(t, "room for a stream", func() bool { // the server may not have left the last ones yet
					s, err = h.OpenStream(t.Context(), server.ID(), proto)
					return spec.CodeOf(err) != spec.CodeBusy
				})
				if err == nil {
					err = errors.Join(s.WriteFrame(message(t, kind, m)), s.Flush())
				}
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
			first, second := newHost(t, 2, dir), newHost(t, 3, dir)
			for _, h := range []*p2p.Host{first, second} {
				if err := h.AddPeer(server.ID(), server.Addrs()); err != nil {
					t.Fatal(err)
				}
			}
			holds := ask(first, Protocol, kindSub, &sub{Addresses: []string{"/ip4/192.0.2.7/tcp/7230"}})
			if _, err := holds.ReadFrame(p2p.MaxFrame); err != nil {
				t.Fatal(err)
			}
			defer holds.Reset()
			for range 100 {
				s := ask(second, Protocol, kindSub, &sub{})
				b, err := s.ReadFrame(p2p.MaxFrame)
				if err != nil || b[0] != kindRefer {
					t.Fatalf("no room: %x, %v", b, err)
				}
				if b, err = s.ReadFrame(p2p.MaxFrame); err != nil || b[0] != kindFault {
					t.Fatalf("behind the Refer: %x, %v", b, err)
				}
				s.Reset()
				s = ask(first, RangeProtocol, kindWant, &want{Upto: 1 << 20, Bytes: 1})
				if b, err = s.ReadFrame(p2p.MaxFrame); err != nil {
					t.Fatal(err)
				}
				if m, err := decodeRange(b); err != nil || spec.CodeOf(m.(*fault).err) != spec.CodeNotFound {
					t.Fatalf("what is not final: %+v, %v", m, err)
				}
				s.Reset()
			}
		})
	}
}
