// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package sandbox

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// RunChild serves requests and ends the process when the program was started
// as a child; otherwise it returns at once.
func RunChild(h Handler) {
	if len(os.Args) != 4 || os.Args[1] != childArg {
		return
	}
	if err := serve(h); err != nil {
		fmt.Fprintln(os.Stderr, "media child:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serve gives up what the child does not need, then answers until the parent
// closes its end.
func serve(h Handler) error {
	memory, err := strconv.ParseInt(os.Args[2], 10, 64)
	if err != nil {
		return fmt.Errorf("reading the memory limit: %w", err)
	}
	cpu, err := strconv.ParseInt(os.Args[3], 10, 64)
	if err != nil {
		return fmt.Errorf("reading the processor time: %w", err)
	}
	conn, err := fileConn(3)
	if err != nil {
		return err
	}
	if err := confine(memory, time.Duration(cpu)); err != nil {
		return err
	}
	for {
		req, file, err := receiveFile(conn)
		if err != nil {
			return nil // the parent is gone, or never meant to ask
		}
		stop := watch(time.Duration(cpu))
		answer := h(req, file)
		stop()
		file.Close()
		if err := send(conn, answer, nil); err != nil {
			return nil
		}
	}
}

// watch ends this process when the request that begins now has used more than
// limit of processor time. The kernel's own limit counts whole processes only.
func watch(limit time.Duration) (stop func()) {
	began, tick := used(), time.NewTicker(min(limit, 100*time.Millisecond))
	done := make(chan struct{})
	go func() {
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				if used()-began > limit {
					os.Exit(cpuExit)
				}
			}
		}
	}()
	return func() { close(done) }
}

func used() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
