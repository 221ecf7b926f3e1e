// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// redis is a server of our own on a unix socket, with one connection.
type redis struct {
	cmd  *exec.Cmd
	conn net.Conn
	r    *bufio.Reader
	w    *bufio.Writer
}

func startRedis(ctx context.Context, dir, socket string) (*redis, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("redis-server: %w", errMissing)
	}
	cmd := exec.CommandContext(ctx, path, "--port", "0", "--unixsocket", socket, "--dir", dir, "--save", "", "--appendonly", "no")
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting Redis: %w", err)
	}
	s := &redis{cmd: cmd}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ; ; <-tick.C {
		if s.conn, err = net.Dial("unix", socket); err == nil {
			s.r, s.w = bufio.NewReaderSize(s.conn, 1<<16), bufio.NewWriterSize(s.conn, 1<<16)
			return s, nil
		}
		if ctx.Err() != nil {
			s.stop()
			return nil, fmt.Errorf("waiting for Redis: %w", err)
		}
	}
}

func (s *redis) stop() {
	if s.conn != nil {
		_ = s.conn.Close()
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// command sends one command on the set "s" with keys as its members.
func (s *redis) command(name string, keys [][32]byte) error {
	fmt.Fprintf(s.w, "*%d\r\n$%d\r\n%s\r\n$1\r\ns\r\n", 2+len(keys), len(name), name)
	for i := range keys {
		_, _ = s.w.WriteString("$32\r\n")
		_, _ = s.w.Write(keys[i][:])
		_, _ = s.w.WriteString("\r\n")
	}
	if err := s.w.Flush(); err != nil {
		return fmt.Errorf("asking Redis: %w", err)
	}
	return nil
}

func (s *redis) line() (kind byte, n int, err error) {
	text, err := s.r.ReadString('\n')
	if err != nil {
		return 0, 0, fmt.Errorf("reading from Redis: %w", err)
	}
	text = strings.TrimSpace(text)
	if text == "" || text[0] == '-' {
		return 0, 0, errors.New("redis answers: " + text)
	}
	n, err = strconv.Atoi(text[1:])
	return text[0], n, err
}

func (s *redis) add(keys [][32]byte) error {
	if err := s.command("SADD", keys); err != nil {
		return err
	}
	_, _, err := s.line()
	return err
}

// ask answers which keys are members.
func (s *redis) ask(keys [][32]byte, out []byte) error {
	if err := s.command("SMISMEMBER", keys); err != nil {
		return err
	}
	_, n, err := s.line()
	if err != nil || n != len(keys) {
		return errors.Join(err, io.ErrUnexpectedEOF)
	}
	for i := range keys {
		_, is, err := s.line()
		if err != nil {
			return err
		}
		out[i] = byte(is)
	}
	return nil
}
