// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-db/tocsin/spec"
)

// Timeouts of both doors. Routes that stream move the two of the connection on
// while they get on.
const (
	headerTimeout = 10 * time.Second
	readTimeout   = 30 * time.Second
	writeTimeout  = 90 * time.Second // an operation may wait for the members that long
	idleTimeout   = 2 * time.Minute
	maxHeader     = 16 << 10 // bytes

	defaultMaxFile = 4 << 30 // bytes
)

// SocketName is the unix socket's name in the data directory.
const SocketName = "tocsin.sock"

// Config says what to serve, and where.
type Config struct {
	Backend      Backend // nil: only Opening is answered until Serve is called
	Opening      func() []Check
	Proofs       Proofs // or nil
	Socket       string // path of the unix socket; "" for none
	TCP          string // loopback address; "" for none
	MaxFileBytes int64  // largest file of a lookup; 0: 4 GiB
	Logger       *slog.Logger
	Fatal        func(error) // called when a door closes by itself
}

// A Server serves the API until Close.
type Server struct {
	cfg     Config
	servers []*http.Server
	socket  string // to remove
	tcp     net.Addr
	handler atomic.Pointer[http.Handler]
	mounted sync.Map // consortium's name → http.Handler
	done    sync.WaitGroup
	closed  sync.Once
	ending  context.Context // done when closing begins
	end     context.CancelFunc
}

// Open opens the doors. Nothing is served when it fails. Without a Backend, health
// is answered from Opening, and everything else is refused with NOT_READY and the
// first reason of it.
func Open(cfg Config) (*Server, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.MaxFileBytes <= 0 {
		cfg.MaxFileBytes = defaultMaxFile
	}
	s := &Server{cfg: cfg}
	s.ending, s.end = context.WithCancel(context.Background())
	var socket, tcp net.Listener
	var err error
	if cfg.TCP != "" {
		if tcp, err = listenLoopback(cfg.TCP); err != nil {
			return nil, err
		}
		s.tcp = tcp.Addr()
	}
	if cfg.Socket != "" {
		if socket, err = listenSocket(cfg.Socket); err != nil {
			if tcp != nil {
				err = errors.Join(err, tcp.Close())
			}
			return nil, err
		}
		s.socket = cfg.Socket
	}
	if cfg.Backend == nil {
		o := &opening{checks: cfg.Opening}
		h := handler(cfg, &service{o}, o.notYet)
		s.handler.Store(&h)
	} else {
		s.Serve(cfg.Backend, cfg.Proofs)
	}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, mountPath) {
			s.serveMounted(w, r)
			return
		}
		(*s.handler.Load()).ServeHTTP(w, r)
	})
	s.serve(socket, socketDoor, h)
	s.serve(tcp, tcpDoor, guardTCP(h))
	return s, nil
}

// Serve answers from b and p from now on.
func (s *Server) Serve(b Backend, p Proofs) {
	cfg := s.cfg
	cfg.Backend, cfg.Proofs = b, p
	h := handler(cfg, &service{b}, nil)
	s.handler.Store(&h)
}

// Addr is the address of the TCP door, nil when there is none.
func (s *Server) Addr() net.Addr { return s.tcp }

func (s *Server) serve(l net.Listener, d door, h http.Handler) {
	if l == nil {
		return
	}
	srv := &http.Server{
		Handler:           identify(s.cfg.Logger, h),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		BaseContext: func(net.Listener) context.Context {
			return context.WithValue(context.Background(), endingKey{}, s.ending)
		},
		ConnContext: withCaller(d, s.cfg.Logger),
		ErrorLog:    slog.NewLogLogger(s.cfg.Logger.Handler(), slog.LevelDebug),
	}
	s.servers = append(s.servers, srv)
	s.done.Go(func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) && s.cfg.Fatal != nil {
			s.cfg.Fatal(fmt.Errorf("serving the API on %s: %w", l.Addr(), err))
		}
	})
}

// Close lets the requests at hand finish until ctx ends, then breaks them off; sooner
// those whose bodies do not end.
func (s *Server) Close(ctx context.Context) (err error) {
	s.closed.Do(func() { err = s.close(ctx) })
	return err
}

func (s *Server) close(ctx context.Context) error {
	var errs []error
	s.end()
	for _, srv := range s.servers {
		if err := srv.Shutdown(ctx); err != nil {
			errs = append(errs, srv.Close())
		}
	}
	if s.socket != "" {
		if err := os.Remove(s.socket); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	s.done.Wait()
	return errors.Join(errs...)
}

// listenLoopback refuses addresses that other machines can reach: nobody is
// asked who they are there.
func listenLoopback(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, spec.Errorf(spec.CodeUnavailable, "opening the HTTP address %s: %w", address, err)
	}
	if a, ok := l.Addr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
		l.Close()
		return nil, spec.Errorf(spec.CodeConfig, "the HTTP address %s is not a loopback address", address)
	}
	return l, nil
}
