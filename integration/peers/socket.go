// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"unsafe"

	"github.com/tocsin-db/tocsin/storage/exact"
)

// socketTable asks an exact table through HTTP on a unix socket, as a client
// beside the node does: rows of 32 bytes in, a byte for each out.
type socketTable struct {
	server *http.Server
	client *http.Client
}

const mostRows = 1 << 16

func serveTable(t *exact.Table, socket string) (*socketTable, error) {
	l, err := net.Listen("unix", socket)
	if err != nil {
		return nil, fmt.Errorf("listening on a unix socket: %w", err)
	}
	s := &socketTable{server: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		if _, err := t.Stream(w, http.MaxBytesReader(w, r.Body, 32*mostRows)); err != nil {
			panic(http.ErrAbortHandler)
		}
	})}}
	go func() { _ = s.server.Serve(l) }()
	s.client = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	return s, nil
}

func (s *socketTable) stop() {
	s.client.CloseIdleConnections()
	_ = s.server.Close()
}

func (s *socketTable) ask(keys [][32]byte, out []byte) error {
	rows := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(keys))), 32*len(keys))
	r, err := s.client.Post("http://node/exact", "application/octet-stream", bytes.NewReader(rows))
	if err != nil {
		return fmt.Errorf("asking through the socket: %w", err)
	}
	defer r.Body.Close()
	if _, err := io.ReadFull(r.Body, out[:len(keys)]); err != nil {
		return fmt.Errorf("reading the answers: %w", err)
	}
	return nil
}
