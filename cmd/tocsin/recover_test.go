// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestRecover loses two of four sequencers, each a process of its own.
func TestRecover(t *testing.T) {
	par := params("testdata/recover", func(env *testscript.Env) error {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		env.Setenv("PORT4", fmt.Sprint(l.Addr().(*net.TCPAddr).Port))
		if err := l.Close(); err != nil {
			return err
		}
		return setup(env)
	})
	par.Deadline = time.Now().Add(20 * patience)
	testscript.Run(t, par)
}
