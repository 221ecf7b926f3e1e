// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tocsin-db/tocsin/node/api/wire"
)

// A Child is a node in a process of its own, so that its memory is its own and its
// start is a start.
type Child struct {
	cmd     *exec.Cmd
	client  *socketClient
	Ready   time.Duration // from the start of the process to ready
	stopped chan error
}

// StartChild runs this program's agent in a data directory and returns once it is
// ready. progress is told the reason of every other answer.
// settings are environment variables beside those that there are.
func StartChild(ctx context.Context, dir string, progress func(reason string), settings ...string) (*Child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &Child{client: newSocketClient(dir), stopped: make(chan error, 1)}
	c.cmd = exec.Command(program, "--data", dir, "agent", "--http", "", "--listen", "/ip4/127.0.0.1/tcp/0", "--log-level", "error")
	c.cmd.Stderr, c.cmd.Env = os.Stderr, append(os.Environ(), settings...)
	began := time.Now()
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting a node: %w", err)
	}
	go func() { c.stopped <- c.cmd.Wait() }()
	said := ""
	err = Await(ctx, func() (bool, error) {
		select {
		case err := <-c.stopped:
			c.stopped <- err
			return false, fmt.Errorf("the node ended before it was ready: %w", errors.Join(err, io.ErrUnexpectedEOF))
		default:
		}
		ready, reason := c.ready(ctx)
		if reason != "" && reason != said && progress != nil {
			progress(reason)
			said = reason
		}
		return ready, nil
	})
	if err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	c.Ready = time.Since(began)
	return c, nil
}

func (c *Child) ready(ctx context.Context) (ok bool, reason string) {
	req, err := http.NewRequestWithContext(ctx, "GET", "http://node/readyz", nil)
	if err != nil {
		return false, ""
	}
	resp, err := c.client.http.Do(req)
	if err != nil {
		return false, ""
	}
	defer resp.Body.Close()
	var h wire.Health
	if json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(&h) != nil {
		return false, ""
	}
	for _, check := range h.Checks {
		if !check.Ok {
			return false, check.Name + ": " + check.Reason
		}
	}
	return h.Ok, ""
}

// Peak is the most memory that the node's process has had, in bytes; 0 where the
// system does not say.
func (c *Child) Peak() int64 { return c.memory("VmHWM:") }

// forgetPeak has the most memory that this process has had be what it has now, where
// the system can (Linux: proc(5), clear_refs).
func forgetPeak() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

// Resident is what it has now.
func (c *Child) Resident() int64 { return c.memory("VmRSS:") }

func (c *Child) memory(field string) int64 { return memoryOf(c.cmd.Process.Pid, field) }

// memoryOf is what the system says of a process's memory, in bytes; 0 where it does not.
func memoryOf(pid int, field string) int64 {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), field); ok {
			kb, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kb << 10
		}
	}
	return 0
}

// cpu is the time that the node's process has used; 0 where the system does not say.
func (c *Child) cpu() time.Duration { return cpuOf(c.cmd.Process.Pid) }

func cpuOf(pid int) time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100 everywhere
}

// Stop ends the node and waits for it.
func (c *Child) Stop() error {
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case err := <-c.stopped:
		return err
	case <-time.After(time.Minute):
		return errors.Join(errors.New("the node does not end"), c.cmd.Process.Kill())
	}
}
