// SPDX-License-Identifier: Apache-2.0

package p2p_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

const proto = "/tocsin/test/1"

var readers = p2p.Policy{Roles: []string{"reader"}}

func overBoth(t *testing.T, run func(t *testing.T, listen []string)) {
	t.Run("tcp", func(t *testing.T) { run(t, tcpOnly) })
	t.Run("quic", func(t *testing.T) { run(t, quicOnly) })
}

func TestCallCarriesRequestResponseAndCaller(t *testing.T) {
	overBoth(t, func(t *testing.T, listen []string) {
		server, caller, _ := pair(t, listen)
		server.Handle(proto, readers, func(_ context.Context, from p2p.PeerID, role string, req []byte) ([]byte, error) {
			return append([]byte(string(from)+" "+role+" "), req...), nil
		})
		req := bytes.Repeat([]byte("x"), p2p.MaxFrame-1024)
		got, err := caller.Call(withTimeout(t), server.ID(), proto, req, p2p.MaxFrame)
		if err != nil {
			t.Fatal(err)
		}
		want := string(caller.ID()) + " reader " + string(req)
		if string(got) != want {
			t.Fatalf("got %d bytes, want %d", len(got), len(want))
		}
	})
}

func TestCallFaults(t *testing.T) {
	var called atomic.Bool
	fail := func(err error) p2p.RequestHandler {
		return func(context.Context, p2p.PeerID, string, []byte) ([]byte, error) { called.Store(true); return nil, err }
	}
	small := p2p.Policy{Roles: []string{"reader"}, MaxRequest: 1000}
	cases := []struct {
		name    string
		policy  p2p.Policy
		handler p2p.RequestHandler
		want    spec.Code
		message string
		runs    bool
	}{
		{"coded", readers, fail(spec.Errorf(spec.CodeNotLeader, "ask another")), spec.CodeNotLeader, "ask another", true},
		{"uncoded stays here", readers, fail(errors.New("secret path /x")), spec.CodeInternal, "internal error", true},
		{"wrong role", p2p.Policy{Roles: []string{"member"}}, fail(nil), spec.CodeDenied, "not allowed", false},
		{"zero policy", p2p.Policy{}, fail(nil), spec.CodeDenied, "not allowed", false},
		{"condition", p2p.Policy{Roles: []string{p2p.AnyRole}, Allow: func(p2p.PeerID) bool { return false }}, fail(nil), spec.CodeDenied, "not allowed", false},
		{"request above the policy's limit", small, fail(nil), spec.CodeTooLarge, "", false},
	}
	overBoth(t, func(t *testing.T, listen []string) {
		server, caller, _ := pair(t, listen)
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				called.Store(false)
				server.Handle(proto, c.policy, c.handler)
				// Larger than a stream's window: a refusal must be heard although
				// the request was never read.
				_, err := caller.Call(withTimeout(t), server.ID(), proto, make([]byte, 900<<10), 10)
				var fault *p2p.Fault
				if !errors.As(err, &fault) || fault.Err.Code != c.want {
					t.Fatalf("got %v, want code %s", err, c.want)
				}
				if c.message != "" && fault.Err.Message != c.message {
					t.Fatalf("message %q, want %q", fault.Err.Message, c.message)
				}
				if called.Load() != c.runs {
					t.Fatalf("handler ran: %v", called.Load())
				}
				if errors.Is(err, p2p.ErrNotSent) || errors.Is(err, p2p.ErrUnknownOutcome) {
					t.Fatalf("an answer is neither unsent nor unknown: %v", err)
				}
			})
		}
	})
}

func TestFaultHintsTravel(t *testing.T) {
	server, caller, _ := pair(t, tcpOnly)
	for _, want := range []*p2p.Fault{p2p.Busy(1500 * time.Millisecond), p2p.Gone(1 << 40)} {
		server.Handle(proto, readers, func(context.Context, p2p.PeerID, string, []byte) ([]byte, error) { return nil, want })
		_, err := caller.Call(withTimeout(t), server.ID(), proto, nil, 10)
		var got *p2p.Fault
		if !errors.As(err, &got) || got.Err.Code != want.Err.Code || got.Retry != want.Retry || got.MinSize != want.MinSize {
			t.Errorf("got %+v (%v), want %+v", got, err, want)
		}
	}
}

func TestCallAboveItsOwnLimits(t *testing.T) {
	server, caller, _ := pair(t, tcpOnly)
	server.Handle(proto, readers, func(context.Context, p2p.PeerID, string, []byte) ([]byte, error) {
		return make([]byte, 1001), nil
	})
	if _, err := caller.Call(withTimeout(t), server.ID(), proto, make([]byte, p2p.MaxFrame+1), 10); spec.CodeOf(err) != spec.CodeTooLarge {
		t.Errorf("request above a frame: %v", err)
	}
	_, err := caller.Call(withTimeout(t), server.ID(), proto, nil, 1000)
	if !errors.Is(err, p2p.ErrUnknownOutcome) {
		t.Errorf("response above maxResp: %v", err)
	}
}

func TestNotSentAndUnknownOutcome(t *testing.T) { overBoth(t, notSentAndUnknown) }

func notSentAndUnknown(t *testing.T, listen []string) {
	server, caller, dir := pair(t, listen)
	ran := make(chan struct{}, 1)
	server.Handle(proto, readers, func(ctx context.Context, _ p2p.PeerID, _ string, _ []byte) ([]byte, error) {
		ran <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	ctx, cancel := context.WithCancel(withTimeout(t))
	go func() { <-ran; cancel() }()
	_, err := caller.Call(ctx, server.ID(), proto, nil, 10)
	if !errors.Is(err, p2p.ErrUnknownOutcome) || !errors.Is(err, context.Canceled) || spec.CodeOf(err) != spec.CodeUnknown {
		t.Errorf("cut while the handler ran: %v", err)
	}

	if _, err := caller.Call(withTimeout(t), server.ID(), "/tocsin/none/1", nil, 10); !errors.Is(err, p2p.ErrNotSent) {
		t.Errorf("protocol that is not served: %v", err)
	}
	// Once it was served, so the caller may take it for granted.
	server.Handle("/tocsin/once/1", readers, echo)
	if _, err := caller.Call(withTimeout(t), server.ID(), "/tocsin/once/1", nil, 10); err != nil {
		t.Errorf("while it was served: %v", err)
	}
	server.Unhandle("/tocsin/once/1")
	if _, err := caller.Call(withTimeout(t), server.ID(), "/tocsin/once/1", nil, 10); !errors.Is(err, p2p.ErrNotSent) {
		t.Errorf("protocol that is served no more: %v", err)
	}
	absent, _ := p2p.IDFromPublicKey(keyOf(t, 9).Public().(ed25519.PublicKey))
	dir.set(absent, "member")
	if _, err := caller.Call(withTimeout(t), absent, proto, nil, 10); !errors.Is(err, p2p.ErrNotSent) || spec.CodeOf(err) != spec.CodeUnavailable {
		t.Errorf("peer without address: %v", err)
	}
	if _, err := caller.Call(withTimeout(t), "nonsense", proto, nil, 10); !errors.Is(err, p2p.ErrNotSent) {
		t.Errorf("nonsense id: %v", err)
	}
}

func TestBusyAboveTheStreamLimit(t *testing.T) {
	server, caller, _ := pair(t, quicOnly)
	release := make(chan struct{})
	server.Handle(proto, p2p.Policy{Roles: []string{"reader"}, MaxStreams: 2}, func(context.Context, p2p.PeerID, string, []byte) ([]byte, error) {
		<-release
		return []byte("ok"), nil
	})
	results := make(chan error, 3)
	for range 3 {
		go func() {
			_, err := caller.Call(withTimeout(t), server.ID(), proto, nil, 10)
			results <- err
		}()
	}
	err := <-results
	var fault *p2p.Fault
	if !errors.As(err, &fault) || fault.Err.Code != spec.CodeBusy || fault.Retry <= 0 {
		t.Fatalf("third call: %v", err)
	}
	close(release)
	for range 2 {
		if err := <-results; err != nil {
			t.Errorf("admitted call: %v", err)
		}
	}
}

func TestLongMessagesAreClipped(t *testing.T) {
	server, caller, _ := pair(t, tcpOnly)
	server.Handle(proto, readers, func(context.Context, p2p.PeerID, string, []byte) ([]byte, error) {
		return nil, spec.Errorf(spec.CodeCase, "%s", strings.Repeat("é\n", 5000))
	})
	_, err := caller.Call(withTimeout(t), server.ID(), proto, nil, 10)
	if spec.CodeOf(err) != spec.CodeCase || len(err.Error()) > 1024 || strings.ContainsRune(err.Error(), '\n') {
		t.Fatalf("got code %s, %d bytes", spec.CodeOf(err), len(err.Error()))
	}
}
