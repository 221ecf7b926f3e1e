// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A child is the parent's end of one process.
type child struct {
	cmd    *exec.Cmd
	conn   *net.UnixConn
	stderr *tail
	memory int64 // that a request may use
	served int
	busy   time.Duration
}

// noNamespace is set once the kernel has refused a network namespace.
var noNamespace atomic.Bool

// start runs this program as a child, in a network namespace of its own where
// the kernel allows one.
func start(conf Config) (*child, error) {
	if !noNamespace.Load() {
		c, err := startWith(conf, namespace())
		if err == nil {
			return c, nil
		}
		if noNamespace.CompareAndSwap(false, true) {
			conf.Log.Info("media children share the network namespace: system calls alone keep them off it", "cause", err)
		}
	}
	return startWith(conf, &syscall.SysProcAttr{})
}

// namespace asks for a network of the child's own: loopback, and that down. It
// takes a user namespace, or privileges that a node should not have.
func namespace() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWIPC}
	if uid := os.Geteuid(); uid != 0 {
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}}
	}
	return attr
}

func startWith(conf Config, attr *syscall.SysProcAttr) (*child, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	conn, peer, err := pair()
	if err != nil {
		return nil, err
	}
	defer peer.Close()
	c := &child{conn: conn, stderr: new(tail), memory: conf.Memory}
	c.cmd = exec.Command(exe, childArg, strconv.FormatInt(conf.Memory, 10), strconv.FormatInt(int64(conf.CPU), 10))
	// A child serves many files: the collector must work before the garbage of one and
	// the next together reach the limit.
	c.cmd.Env = []string{"GOMAXPROCS=1", "GOTRACEBACK=single", "GOMEMLIMIT=" + strconv.FormatInt(conf.Memory-conf.Memory/16, 10)}
	c.cmd.Dir = "/"
	c.cmd.Stderr = c.stderr
	c.cmd.ExtraFiles = []*os.File{peer}
	c.cmd.SysProcAttr = attr
	if err := c.cmd.Start(); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// pair connects two ends, one for this process and one to hand down.
func pair() (*net.UnixConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	peer := os.NewFile(uintptr(fds[1]), "peer")
	conn, err := fileConn(fds[0])
	if err != nil {
		peer.Close()
		return nil, nil, err
	}
	return conn, peer, nil
}

func fileConn(fd int) (*net.UnixConn, error) {
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, errors.New("not a unix socket")
	}
	return u, nil
}

// do exchanges one request for one answer. The end of ctx breaks the exchange.
func (c *child) do(ctx context.Context, request []byte, file *os.File) ([]byte, error) {
	began := time.Now()
	defer func() { c.busy += time.Since(began); c.served++ }()
	stop := context.AfterFunc(ctx, func() { c.conn.SetDeadline(time.Unix(1, 0)) })
	answer, err := c.exchange(request, file)
	if !stop() {
		return nil, context.Cause(ctx) // the connection is spoilt even if the answer came
	}
	return answer, err
}

func (c *child) exchange(request []byte, file *os.File) ([]byte, error) {
	if err := send(c.conn, request, file); err != nil {
		return nil, errors.Join(errUnsent, err)
	}
	return receive(c.conn)
}

// spent says that the child is due for replacement, well before its limit of
// processor time.
func (c *child) spent(conf Config) bool {
	return c.served >= conf.Requests || c.busy > lifetime
}

// lifetime is how long a child works before it is replaced.
const lifetime = time.Minute

// end lets an idle child go.
func (c *child) end() {
	c.conn.Close()
	c.cmd.Process.Kill()
	c.cmd.Wait()
}

// peak is the largest resident memory of a child that has ended, in bytes.
func (c *child) peak() int64 {
	if use, ok := c.cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		return use.Maxrss << 10
	}
	return 0
}

// errUnsent is a request that the child did not take.
var errUnsent = errors.New("the child did not take the request")

// bury ends a child that failed and says why it did. One that closed its end by
// itself is about to say how it ended, so it gets a moment.
func (c *child) bury(ctx context.Context, err error) error {
	moment := time.Second
	if ctx.Err() != nil {
		moment = 0
	}
	c.conn.Close()
	stop := time.AfterFunc(moment, func() { c.cmd.Process.Kill() })
	defer stop.Stop()
	c.cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, errUnsent):
		return fmt.Errorf("%w: %w", ErrDied, errUnsent)
	case c.cmd.ProcessState.ExitCode() == cpuExit:
		return ErrTime
	case c.peak() > c.memory, bytes.Contains(c.stderr.bytes(), []byte("out of memory")):
		return ErrMemory // the runtime dies in many ways when the kernel gives it no more
	}
	return fmt.Errorf("%w: %v", ErrDied, c.cmd.ProcessState)
}

// tail keeps the first bytes of what a child says when it dies. They serve to
// tell causes apart and are never logged: they may hold parts of the file.
type tail struct{ buf bytes.Buffer }

func (t *tail) Write(p []byte) (int, error) {
	t.buf.Write(p[:min(len(p), max(0, 4096-t.buf.Len()))])
	return len(p), nil
}

// bytes may be called once the process was waited for.
func (t *tail) bytes() []byte { return t.buf.Bytes() }
