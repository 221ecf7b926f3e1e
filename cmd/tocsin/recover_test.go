// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestRecover loses two of four sequencers, each a process of its own.
func TestRecover(t *testing.T) {
	par := params("testdata/recover", func(env *testscript.Env) error {
		if err := setup(env); err != nil {
			return err
		}
		for _, name := range []string{"PORT1", "PORT2", "PORT3", "PORT4"} {
			port, err := keptPort()
			if err != nil {
				return err
			}
			env.Setenv(name, fmt.Sprint(port))
		}
		return nil
	})
	par.Deadline = time.Now().Add(20 * patience)
	testscript.Run(t, par)
}

// keptPort finds a free port below those that the system gives to connections: nodes
// that start again find it free again.
func keptPort() (port int, err error) {
	for range 100 {
		port = 12000 + rand.IntN(18000)
		l, lerr := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if lerr == nil {
			return port, l.Close()
		}
		err = errors.Join(err, lerr)
	}
	return 0, err
}
