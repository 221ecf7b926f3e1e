// SPDX-License-Identifier: Apache-2.0

package p2p_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

type pipeConn struct{ net.Conn }

func (c pipeConn) CloseWrite() error { return nil }
func (c pipeConn) Reset() error      { return c.Close() }

// Deadlines in virtual time: a whole frame counts, not its bytes.
func TestStreamDeadlines(t *testing.T) {
	tests := map[string]struct {
		every time.Duration // between bytes; 0: none at all
		first bool
		want  time.Duration
	}{
		"silent before the first frame":   {0, true, p2p.HeaderTimeout},
		"trickling the first frame":       {time.Second, true, p2p.HeaderTimeout},
		"silent before a later frame":     {0, false, p2p.IdleTimeout},
		"trickling through a later frame": {time.Second, false, p2p.IdleTimeout},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				s := p2p.NewStream(pipeConn{near}, "x", "")
				writing := make(chan struct{})
				go func() {
					defer close(writing)
					if !c.first {
						_, _ = far.Write([]byte{1, 'x'})
					}
					_, err := far.Write([]byte{100})
					for err == nil && c.every > 0 {
						<-time.After(c.every)
						_, err = far.Write([]byte{'y'})
					}
				}()
				if !c.first {
					if _, err := s.ReadFrame(10); err != nil {
						t.Fatal(err)
					}
				}
				began := time.Now()
				_, err := s.ReadFrame(1000)
				if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != c.want {
					t.Errorf("%v after %v, want a timeout after %v", err, time.Since(began), c.want)
				}
				s.Reset()
				<-writing
			})
		})
	}
	t.Run("a peer that does not read", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			defer far.Close()
			s := p2p.NewStream(pipeConn{near}, "x", "")
			began := time.Now()
			err := s.WriteFrame(make([]byte, p2p.MaxFrame))
			if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != p2p.IdleTimeout {
				t.Errorf("%v after %v", err, time.Since(began))
			}
		})
	})
}

func TestLongStream(t *testing.T) {
	overBoth(t, func(t *testing.T, listen []string) {
		server, caller, _ := pair(t, listen)
		server.HandleStream(proto, readers, func(_ context.Context, s *p2p.Stream) error {
			for {
				b, err := s.ReadFrame(100)
				if errors.Is(err, io.EOF) {
					return nil
				}
				if err != nil {
					return err
				}
				if err := s.WriteFrame(fmt.Appendf(nil, "%s %s", s.Role(), b)); err != nil {
					return err
				}
				if err := s.Flush(); err != nil {
					return err
				}
			}
		})
		s, err := caller.OpenStream(withTimeout(t), server.ID(), proto)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"one", "two"} {
			if err := s.WriteFrame([]byte(word)); err != nil {
				t.Fatal(err)
			}
			if err := s.Flush(); err != nil {
				t.Fatal(err)
			}
			got, err := s.ReadFrame(100)
			if err != nil || string(got) != "reader "+word {
				t.Fatalf("%q, %v", got, err)
			}
		}
		if err := s.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.ReadFrame(100); !errors.Is(err, io.EOF) {
			t.Fatalf("after an orderly end: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestOpenStreamRefusals(t *testing.T) {
	server, caller, dir := pair(t, tcpOnly)
	server.HandleStream(proto, p2p.Policy{Roles: []string{"member"}}, func(context.Context, *p2p.Stream) error { return nil })
	if _, err := caller.OpenStream(withTimeout(t), server.ID(), proto); spec.CodeOf(err) != spec.CodeDenied {
		t.Errorf("wrong role: %v", err)
	}
	dir.set(caller.ID(), "member")
	if _, err := caller.OpenStream(withTimeout(t), server.ID(), proto); err != nil {
		t.Errorf("the right role now: %v", err)
	}
	if _, err := caller.OpenStream(withTimeout(t), server.ID(), "/tocsin/none/1"); !errors.Is(err, p2p.ErrNotSent) {
		t.Errorf("not served: %v", err)
	}
}

func TestHandlerErrorAndContextResetTheStream(t *testing.T) {
	server, caller, _ := pair(t, tcpOnly)
	server.HandleStream(proto, readers, func(_ context.Context, s *p2p.Stream) error {
		_, _ = s.ReadFrame(1)
		return errors.New("no more")
	})
	s, err := caller.OpenStream(withTimeout(t), server.ID(), proto)
	if err != nil {
		t.Fatal(err)
	}
	if s.WriteFrame([]byte("x")) != nil || s.Flush() != nil {
		t.Fatal("cannot write")
	}
	if _, err := s.ReadFrame(1); err == nil || errors.Is(err, io.EOF) {
		t.Fatalf("a failed handler must not look like an orderly end: %v", err)
	}
	ended := make(chan error, 1)
	server.HandleStream(proto, readers, func(_ context.Context, s *p2p.Stream) error {
		_, err := s.ReadFrame(1)
		ended <- err
		return err
	})
	ctx, cancel := context.WithCancel(withTimeout(t))
	if _, err = caller.OpenStream(ctx, server.ID(), proto); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; err == nil || errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the opener's context ended: server saw %v", err)
	}
}
