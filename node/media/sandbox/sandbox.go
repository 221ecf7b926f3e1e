// SPDX-License-Identifier: Apache-2.0

// Package sandbox runs work on hostile bytes in re-executed copies of this
// program: little memory, no new files, no network, no other programs, and an
// end by force when the caller's context ends. A child serves several requests,
// one at a time, because starting one costs more than hashing a picture; after
// any failure it is thrown away.
//
// A program that uses a Pool calls RunChild first thing in main.
package sandbox

import (
	"errors"
	"log/slog"
	"os"
	"runtime"
	"time"
)

// A Handler answers one request in the child. The file is the one that the
// caller passed; it is closed afterwards.
type Handler func(request []byte, file *os.File) []byte

// Config equips a Pool. Zero fields take the defaults.
type Config struct {
	Children int           // processes at a time; one per processor
	Memory   int64         // bytes of data that a request may use; 224 MiB
	CPU      time.Duration // processor time that a request may use; 10 s
	Wall     time.Duration // on the clock, for a request; 30 s
	Requests int           // served by one child before it is replaced; 256
	Log      *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Children <= 0 {
		c.Children = runtime.GOMAXPROCS(0)
	}
	if c.Memory <= 0 {
		c.Memory = 224 << 20
	}
	if c.CPU <= 0 {
		c.CPU = 10 * time.Second
	}
	if c.Wall <= 0 {
		c.Wall = 30 * time.Second
	}
	if c.Requests <= 0 {
		c.Requests = 256
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Errors of Pool.Do that callers decide on.
var (
	ErrMemory = errors.New("the child ran out of memory")
	ErrTime   = errors.New("the child ran out of time")
	ErrDied   = errors.New("the child died")
	ErrClosed = errors.New("the pool is closed")
)

// maxMessage bounds a request and a response.
const maxMessage = 16 << 20

// cpuExit is the exit status of a child whose request took too long.
const cpuExit = 24

// childArg is the hidden argument that makes the program a child.
const childArg = "__media-child"
