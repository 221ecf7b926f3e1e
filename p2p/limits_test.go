// SPDX-License-Identifier: Apache-2.0

package p2p

import (
	"testing"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multiaddr"
)

// A company's or a cluster's nodes share one public address.
func TestManyNodesBehindOneAddress(t *testing.T) {
	for _, s := range []string{"/ip4/192.0.2.1/tcp/4001", "/ip6/2001:db8::1/udp/4001/quic-v1"} {
		rm, err := newLimits(&Config{MaxConns: DefaultMaxConns, Memory: DefaultMemory})
		if err != nil {
			t.Fatal(err)
		}
		n, addr := 0, multiaddr.StringCast(s)
		for n < 10*subnetConns {
			if _, err := rm.OpenConnection(network.DirInbound, true, addr); err != nil {
				break
			}
			n++
		}
		if n != 512 {
			t.Errorf("%d connections from %s, want 512", n, s)
		}
		_ = rm.Close()
	}
}

func TestStreamsPerProtocolAndPeer(t *testing.T) {
	rm, err := newLimits(&Config{MaxConns: DefaultMaxConns, Memory: DefaultMemory, Limits: map[string]Limit{"/more/1": {Streams: 300, PerPeer: 200, Memory: 1 << 20}}})
	if err != nil {
		t.Fatal(err)
	}
	defer rm.Close()
	for proto, want := range map[string]int{"/less/1": DefaultLimit.PerPeer, "/more/1": 200} {
		n := 0
		for ; n < 1000; n++ {
			s, err := rm.OpenStream("peer", network.DirInbound)
			if err != nil {
				t.Fatalf("%s: %v", proto, err)
			}
			if s.SetProtocol(protocol.ID(proto)) != nil {
				s.Done()
				break
			}
		}
		if n != want {
			t.Errorf("%s: %d streams, want %d", proto, n, want)
		}
	}
}
