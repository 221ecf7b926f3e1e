// SPDX-License-Identifier: Apache-2.0

package p2p_test

import (
	"errors"
	"testing"

	"github.com/tocsin-db/tocsin/p2p"
)

// A peer that names another cannot steer our dialler into a network at which we do
// not reach it itself.
func TestReferredAddresses(t *testing.T) {
	dir := &roles{}
	us, server, other := newHost(t, 1, dir, nil), newHost(t, 2, dir, tcpOnly), newHost(t, 3, dir, tcpOnly)
	for _, h := range []*p2p.Host{us, server, other} {
		dir.set(h.ID(), "reader")
		h.Handle("/echo", p2p.Policy{Roles: []string{"reader"}}, echo)
	}
	call := func(to p2p.PeerID) error {
		_, err := us.Call(t.Context(), to, "/echo", []byte("x"), 16)
		return err
	}
	if err := us.AddReferred(server.ID(), other.ID(), other.Addrs()); !errors.Is(err, p2p.ErrNoAddress) {
		t.Fatalf("a loopback address named by a peer that is not connected: %v", err)
	}
	if err := us.AddPeer(server.ID(), server.Addrs()); err != nil {
		t.Fatal(err)
	}
	if err := call(server.ID()); err != nil {
		t.Fatal(err)
	}
	for _, a := range []string{
		"/ip4/10.1.2.3/tcp/1", "/ip4/192.168.0.1/tcp/1", "/ip4/100.64.0.1/tcp/1", "/ip4/169.254.1.1/tcp/1", "/ip6/fe80::1/tcp/1",
		"/ip4/0.0.0.0/tcp/1", "/ip4/224.0.0.1/tcp/1", "/dns4/example.org/tcp/1", "/ip6/fd00::1/tcp/1", "rubbish", "/unix/tmp/x",
	} {
		if err := us.AddReferred(server.ID(), other.ID(), []string{a}); !errors.Is(err, p2p.ErrNoAddress) {
			t.Errorf("%s: %v", a, err)
		}
	}
	if err := call(other.ID()); !errors.Is(err, p2p.ErrNotSent) {
		t.Fatalf("reached without an address: %v", err)
	}
	if err := us.AddReferred(server.ID(), other.ID(), append([]string{"/ip4/10.1.2.3/tcp/1"}, other.Addrs()...)); err != nil {
		t.Fatal(err)
	}
	if err := call(other.ID()); err != nil {
		t.Fatalf("the address of a kind with the referring peer's: %v", err)
	}
	if err := us.AddReferred(other.ID(), server.ID(), []string{"/ip4/127.0.0.1/tcp/1"}); err != nil {
		t.Fatal(err)
	}
	if err := call(server.ID()); err != nil {
		t.Fatalf("a referral replaced a configured address: %v", err)
	}
	if err := us.AddReferred(server.ID(), idOnly(t, 9), []string{"/ip4/192.0.2.9/tcp/1"}); err != nil {
		t.Fatalf("a public address: %v", err)
	}
}

func idOnly(t *testing.T, n byte) p2p.PeerID {
	t.Helper()
	return newHost(t, n, &roles{}, nil).ID()
}
