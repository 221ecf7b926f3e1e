// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"unsafe"

	"github.com/tocsin-db/tocsin/node/trial"
)

// nodeRows asks a running node through its unix socket, over one connection: rows of
// 32 bytes in, a byte for each out.
type nodeRows struct {
	filled *trial.Filled
	stop   func() error
	conn   net.Conn
	r      *bufio.Reader
}

// startNode starts a node whose store lists n digests.
func startNode(ctx context.Context, n int) (*nodeRows, error) {
	f, err := trial.Fill(ctx, trial.FilledOptions{Entries: n, DigestsOnly: true}, io.Discard)
	if err != nil {
		return nil, err
	}
	socket, stop, err := f.Start(ctx)
	if err != nil {
		return nil, errors.Join(err, f.Remove())
	}
	s := &nodeRows{filled: f, stop: func() error { return errors.Join(stop(), f.Remove()) }}
	if s.conn, err = net.Dial("unix", socket); err != nil {
		return nil, errors.Join(fmt.Errorf("connecting to the node: %w", err), s.stop())
	}
	s.r = bufio.NewReaderSize(s.conn, 64<<10)
	return s, nil
}

func (s *nodeRows) close() error { return errors.Join(s.conn.Close(), s.stop()) }

func (s *nodeRows) ask(keys [][32]byte, out []byte) error {
	rows := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(keys))), 32*len(keys))
	head := append([]byte(nil), "POST /v1/match:rows HTTP/1.1\r\nHost: node\r\nContent-Type: application/octet-stream\r\nContent-Length: "...)
	head = append(strconv.AppendInt(head, int64(len(rows)), 10), "\r\n\r\n"...)
	buffers := net.Buffers{head, rows}
	if _, err := buffers.WriteTo(s.conn); err != nil {
		return fmt.Errorf("asking the node: %w", err)
	}
	resp, err := http.ReadResponse(s.r, nil)
	if err != nil {
		return fmt.Errorf("reading the node's answer: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the node answers with status %d", resp.StatusCode)
	}
	if _, err := io.ReadFull(resp.Body, out[:len(keys)]); err != nil {
		return fmt.Errorf("reading the node's answers: %w", err)
	}
	if n, err := resp.Body.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		return errors.New("the node gives more answers than it was asked for")
	}
	return nil
}
