// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package program

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const available = true

// noNamespace is set once the kernel has refused a network namespace; the
// filter of system calls then keeps programs off the network alone.
var noNamespace atomic.Bool

func (p *Process) start(path string, args []string, file *os.File, lim Limits) error {
	if !noNamespace.Load() {
		err := p.startWith(namespace(), path, args, file, lim)
		if !refused(err) {
			return err
		}
		noNamespace.Store(true)
	}
	return p.startWith(nil, path, args, file, lim)
}

// refused tells a kernel or container that allows no namespaces from other
// reasons why a process does not start.
func refused(err error) bool {
	for _, errno := range []error{unix.EPERM, unix.EACCES, unix.EINVAL, unix.ENOSYS, unix.ENOSPC, unix.EUSERS} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// namespace asks for a network without interfaces. It takes a user namespace,
// or privileges that a node should not have.
func namespace() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWIPC}
	if uid, gid := os.Geteuid(), os.Getegid(); uid != 0 {
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}}
	}
	return attr
}

func (p *Process) startWith(attr *syscall.SysProcAttr, path string, args []string, file *os.File, lim Limits) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	order, err := json.Marshal(shimOrder{path, lim.Memory, int64(lim.CPU / time.Second)})
	if err != nil {
		return err
	}
	p.cmd = exec.CommandContext(p.ctx, self, append([]string{shimArg, string(order)}, args...)...)
	p.cmd.Env = []string{"LC_ALL=C", "GOMAXPROCS=1"}
	p.cmd.Dir = "/"
	p.cmd.Stdin = file
	p.cmd.Stderr = &p.stderr
	p.cmd.SysProcAttr = attr
	if p.Stdout, err = p.cmd.StdoutPipe(); err != nil {
		return err
	}
	return p.cmd.Start()
}

func outOfTime(s *os.ProcessState) bool {
	ws, ok := s.Sys().(syscall.WaitStatus)
	return ok && ws.Signaled() && ws.Signal() == unix.SIGXCPU
}
