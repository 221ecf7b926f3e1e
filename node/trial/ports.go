// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"errors"
	"fmt"
	"net"
	"sync"
)

// Ports come from below those that systems give to connections, which would be taken
// before a node could listen; and in blocks. The first port of a block is held by the
// process that uses the others, so that a port stays free for a node that is stopped and
// started again, whatever else runs on the machine. A process holds so many blocks that
// it comes back to a port long after it was used.
const (
	firstPort = 10_000
	lastPort  = 20_000
	portBlock = 50
	maxBlocks = 20
)

// ports are those of this process.
var ports struct {
	sync.Mutex
	held []net.Listener // the first of each block, for as long as this process runs
	look int            // where the next block is looked for
	used int            // how often a port was taken from the blocks
}

// freePort returns a port that nothing uses.
func freePort() (int, error) {
	ports.Lock()
	defer ports.Unlock()
	for range maxBlocks * portBlock {
		block, at := ports.used/(portBlock-1)%maxBlocks, ports.used%(portBlock-1)
		if block == len(ports.held) {
			if err := holdBlock(); err != nil && block == 0 {
				return 0, err
			} else if err != nil {
				ports.used = 0 // the blocks that this process has must do
				continue
			}
		}
		ports.used++
		port := ports.held[block].Addr().(*net.TCPAddr).Port + 1 + at
		if l, err := net.Listen("tcp", address(port)); err == nil {
			return port, l.Close()
		}
	}
	return 0, errors.New("no free port was found")
}

// holdBlock takes a block that no other process holds. Caller holds ports.
func holdBlock() error {
	for port := firstPort + ports.look; port+portBlock <= lastPort; port += portBlock {
		ports.look = port + portBlock - firstPort
		if l, err := net.Listen("tcp", address(port)); err == nil {
			ports.held = append(ports.held, l)
			return nil
		}
	}
	return errors.New("no free ports were found")
}

func address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// FreeAddress returns a loopback address with a port that nothing uses.
func FreeAddress() (string, error) {
	port, err := freePort()
	return address(port), err
}
