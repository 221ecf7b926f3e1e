// SPDX-License-Identifier: Apache-2.0

//go:build !linux || !(amd64 || arm64)

package sandbox

import (
	"context"
	"errors"
	"os"
)

// Available says whether children can be confined here.
func Available() bool { return false }

// RunChild returns: no program here is started as a child.
func RunChild(Handler) {}

// A Pool needs Linux on a processor whose system calls are known here.
type Pool struct{}

// NewPool returns a pool whose Do fails.
func NewPool(Config) *Pool { return &Pool{} }

// Do fails.
func (*Pool) Do(context.Context, []byte, *os.File) ([]byte, error) {
	return nil, errors.ErrUnsupported
}

// Close does nothing.
func (*Pool) Close() {}

// Stats returns nothing.
func (*Pool) Stats() Stats { return Stats{} }
