// SPDX-License-Identifier: Apache-2.0

// Package loopback names addresses for tests of a host that stops and listens again
// where it was.
package loopback

import (
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
)

// Ports below those that systems give out by themselves: one of these is still free when
// its host comes back, whatever other tests listen at or dial from meanwhile. The tests
// of whole nodes take theirs from 10,000 upwards.
const (
	first = 20_000
	ports = 10_000
	each  = 16 // of one process before it comes to the next one's
)

var taken atomic.Uint32

// At names a free port in an address of port 0 at 127.0.0.1, over TCP or UDP.
func At(listen string) (string, error) {
	kind := "tcp"
	if strings.Contains(listen, "/udp/") {
		kind = "udp"
	}
	for range ports {
		port := first + (os.Getpid()*each+int(taken.Add(1)))%ports
		if free(kind, port) {
			return strings.Replace(listen, "/"+kind+"/0", fmt.Sprintf("/%s/%d", kind, port), 1), nil
		}
	}
	return "", fmt.Errorf("no port is free for %s", listen)
}

func free(kind string, port int) bool {
	at := fmt.Sprintf("127.0.0.1:%d", port)
	if kind == "udp" {
		c, err := net.ListenPacket(kind, at)
		return err == nil && c.Close() == nil
	}
	l, err := net.Listen(kind, at)
	return err == nil && l.Close() == nil
}
