// SPDX-License-Identifier: Apache-2.0

package p2p_test

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"log/slog"
	"testing"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

func echo(_ context.Context, _ p2p.PeerID, _ string, req []byte) ([]byte, error) { return req, nil }

// The key is that of RFC 8032 §7.1, test 1; its id was computed apart from this
// code, from the peer-id specification: base58(00 24 08 01 12 20 ‖ key).
func TestIDFromPublicKey(t *testing.T) {
	seed, _ := hex.DecodeString("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
	const want = "12D3KooWQK1wnefoLrcVHbbnf5tLzbopUd3K3bFAoJpA7YJgL5pV"
	key, err := p2p.PrivateKey(seed)
	if err != nil {
		t.Fatal(err)
	}
	id, err := p2p.IDFromPublicKey(key.Public().(ed25519.PublicKey))
	if err != nil || id != want || id.Valid() != nil {
		t.Fatalf("%s (%v), want %s", id, err, want)
	}
	host := newHost(t, 7, &roles{}, nil)
	if id, _ := p2p.IDFromPublicKey(keyOf(t, 7).Public().(ed25519.PublicKey)); id != host.ID() {
		t.Fatalf("%s, host has %s", id, host.ID())
	}
	if _, err := p2p.IDFromPublicKey(make([]byte, 31)); spec.CodeOf(err) != spec.CodeMalformed {
		t.Errorf("short key: %v", err)
	}
	if _, err := p2p.PrivateKey(make([]byte, 31)); spec.CodeOf(err) != spec.CodeMalformed {
		t.Errorf("short seed: %v", err)
	}
	if err := p2p.PeerID("x").Valid(); spec.CodeOf(err) != spec.CodeMalformed {
		t.Errorf("nonsense id: %v", err)
	}
}

func TestBadConfig(t *testing.T) {
	good := p2p.Config{Key: keyOf(t, 1), Directory: &roles{}}
	for name, break_ := range map[string]func(*p2p.Config){
		"no key":       func(c *p2p.Config) { c.Key = nil },
		"no directory": func(c *p2p.Config) { c.Directory = nil },
		"bad address":  func(c *p2p.Config) { c.Listen = []string{"localhost:1"} },
	} {
		c := good
		break_(&c)
		if _, err := p2p.NewHost(c); spec.CodeOf(err) != spec.CodeConfig {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStrangersGetNoConnection(t *testing.T) {
	overBoth(t, func(t *testing.T, listen []string) {
		server, _, _ := pair(t, listen)
		server.Handle(proto, p2p.Policy{Roles: []string{p2p.AnyRole}}, echo)
		trusting := &roles{}
		trusting.set(server.ID(), "member")
		stranger := newHost(t, 3, trusting, nil)
		if err := stranger.AddPeer(server.ID(), server.Addrs()); err != nil {
			t.Fatal(err)
		}
		if resp, err := stranger.Call(withTimeout(t), server.ID(), proto, []byte("x"), 10); err == nil {
			t.Fatalf("a stranger was answered %q", resp)
		}
		eventually(t, "the stranger is cut off", func() bool { return !server.Connected(stranger.ID()) })
	})
}

// A node that lost its enrolment, while it was connected or while it was away, is told so,
// even where a protocol is for every role: its operator has no other way to know. It does not stay connected.
func TestFormerPeersAreToldSo(t *testing.T) {
	overBoth(t, func(t *testing.T, listen []string) {
		server, caller, dir := pair(t, listen)
		server.Handle(proto, p2p.Policy{Roles: []string{p2p.AnyRole}}, echo)
		if _, err := caller.Call(withTimeout(t), server.ID(), proto, []byte("x"), 10); err != nil {
			t.Fatal(err)
		}
		dir.set(caller.ID(), p2p.RoleFormer)
		server.Recheck()
		eventually(t, "it is cut off", func() bool { return !server.Connected(caller.ID()) })
		eventually(t, "it is told", func() bool {
			resp, err := caller.Call(withTimeout(t), server.ID(), proto, []byte("x"), 10)
			if err == nil {
				t.Fatalf("it was answered %q", resp)
			}
			var f *p2p.Fault
			return errors.As(err, &f) && f.Err.Code == spec.CodeDenied
		})
		eventually(t, "it is let go", func() bool { return !server.Connected(caller.ID()) })
		if server.Denied() == 0 {
			t.Error("the refusal was not counted")
		}
	})
}

func TestStrangersAreNotDialled(t *testing.T) {
	server, caller, dir := pair(t, tcpOnly)
	server.Handle(proto, readers, echo)
	dir.drop(server.ID())
	if _, err := caller.Call(withTimeout(t), server.ID(), proto, nil, 10); !errors.Is(err, p2p.ErrNotSent) {
		t.Fatalf("dialled a peer that is not enrolled: %v", err)
	}
	if server.Connected(caller.ID()) {
		t.Fatal("connected")
	}
}

func TestRecheckClosesExpelledAndDemoted(t *testing.T) {
	server, caller, dir := pair(t, quicOnly)
	cause := make(chan error, 1)
	server.HandleStream(proto, readers, func(ctx context.Context, _ *p2p.Stream) error {
		<-ctx.Done()
		cause <- context.Cause(ctx)
		return ctx.Err()
	})
	open := func() *p2p.Stream {
		s, err := caller.OpenStream(withTimeout(t), server.ID(), proto)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	server.Recheck() // nothing changed: nothing happens
	dir.set(caller.ID(), "auditor")
	server.Recheck()
	if err := <-cause; spec.CodeOf(err) != spec.CodeDenied {
		t.Errorf("the demoted peer's stream ended with %v", err)
	}
	if _, err := s.ReadFrame(1); err == nil {
		t.Error("the demoted peer's stream is open")
	}
	if !server.Connected(caller.ID()) {
		t.Error("a role change must not cut the connection")
	}

	dir.set(caller.ID(), "reader")
	open()
	dir.drop(caller.ID())
	server.Recheck()
	<-cause
	eventually(t, "the expelled peer is cut off", func() bool { return !server.Connected(caller.ID()) })
	if _, err := caller.Call(withTimeout(t), server.ID(), proto, nil, 1); err == nil {
		t.Error("the expelled peer was answered")
	}
}

func TestKeepReconnectsAfterARestart(t *testing.T) {
	overBoth(t, func(t *testing.T, listen []string) {
		server, caller, dir := pair(t, lasting(t, listen))
		if err := caller.Keep([]p2p.PeerID{server.ID()}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "first connection", func() bool { return caller.Connected(server.ID()) })
		addrs := server.Addrs()
		if err := server.Close(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "loss noticed", func() bool { return !caller.Connected(server.ID()) })
		server = newHost(t, 1, dir, addrs)
		eventually(t, "connected again", func() bool { return caller.Connected(server.ID()) })
		eventually(t, "listed by the server", func() bool {
			got := server.Peers()
			return len(got) == 1 && got[0] == caller.ID()
		})
	})
}

// The library would refuse to dial for seconds to minutes after a failure.
func TestNoWaitAfterAFailedDial(t *testing.T) {
	server, caller, dir := pair(t, lasting(t, tcpOnly))
	addrs := server.Addrs()
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := caller.Call(withTimeout(t), server.ID(), proto, nil, 10); !errors.Is(err, p2p.ErrNotSent) {
			t.Fatalf("call to a stopped peer: %v", err)
		}
	}
	server = newHost(t, 1, dir, addrs)
	server.Handle(proto, readers, echo)
	if _, err := caller.Call(withTimeout(t), server.ID(), proto, nil, 10); err != nil {
		t.Fatalf("call once it is back: %v", err)
	}
}

func TestKeepWaitsForAnAddress(t *testing.T) {
	dir := &roles{}
	a, b := newHost(t, 1, dir, tcpOnly), newHost(t, 2, dir, nil)
	dir.set(a.ID(), "member")
	dir.set(b.ID(), "member")
	if err := b.Keep([]p2p.PeerID{a.ID(), b.ID()}); err != nil {
		t.Fatal(err)
	}
	if err := b.AddPeer(a.ID(), []string{a.Addrs()[0] + "/p2p/" + string(b.ID())}); spec.CodeOf(err) != spec.CodeMalformed {
		t.Fatalf("an address of someone else: %v", err)
	}
	if err := b.AddPeer(a.ID(), []string{a.Addrs()[0] + "/p2p/" + string(a.ID())}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "connected", func() bool { return b.Connected(a.ID()) })
}

// A reader that nobody can dial is called over the connection that it opened.
func TestCallBackOverTheSameConnection(t *testing.T) {
	server, caller, _ := pair(t, tcpOnly)
	caller.Handle(proto, p2p.Policy{Roles: []string{"member"}}, echo)
	server.Handle(proto, readers, echo)
	if _, err := caller.Call(withTimeout(t), server.ID(), proto, nil, 10); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Call(withTimeout(t), caller.ID(), proto, nil, 10); err != nil {
		t.Fatalf("over the connection that the caller opened: %v", err)
	}
	if err := caller.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "gone", func() bool { return !server.Connected(caller.ID()) })
	if _, err := server.Call(withTimeout(t), caller.ID(), proto, nil, 10); !errors.Is(err, p2p.ErrNotSent) {
		t.Fatalf("reached a reader that closed: %v", err)
	}
}

// Readers cannot take the room that is kept for members.
func TestRoomIsKeptForKeptPeers(t *testing.T) {
	dir := &roles{}
	server, err := p2p.NewHost(p2p.Config{Key: keyOf(t, 1), Listen: tcpOnly, Directory: dir, MaxConns: 16, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	server.Handle(proto, p2p.Policy{Roles: []string{p2p.AnyRole}}, echo)
	dir.set(server.ID(), "member")
	call := func(n byte, role string) error {
		h := newHost(t, n, dir, nil)
		dir.set(h.ID(), role)
		if role == "member" {
			if err := server.Keep([]p2p.PeerID{h.ID()}); err != nil {
				t.Fatal(err)
			}
		}
		if err := h.AddPeer(server.ID(), server.Addrs()); err != nil {
			t.Fatal(err)
		}
		_, err := h.Call(withTimeout(t), server.ID(), proto, nil, 10)
		return err
	}
	for n := range byte(14) {
		if err := call(10+n, "reader"); err != nil {
			t.Fatalf("reader %d: %v", n, err)
		}
	}
	if err := call(40, "reader"); err == nil {
		t.Fatal("a reader took the last places")
	}
	// Of the two places, the refused reader may still hold one for a moment.
	if err := call(41, "member"); err != nil {
		t.Fatalf("a member found no place: %v", err)
	}
}
