// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package program

import (
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

const (
	shimArg    = "media-program" // makes the re-executed program the shim
	shimFailed = 125             // its exit status when it cannot confine itself
)

// A shimOrder says what to run and within which limits.
type shimOrder struct {
	Path   string
	Memory int64
	CPU    int64 // seconds
}

// init turns the re-executed program into the program that was asked for. It
// runs on the thread that then executes it, with no other work begun.
func init() {
	if len(os.Args) < 3 || os.Args[1] != shimArg {
		return
	}
	var o shimOrder
	err := json.Unmarshal([]byte(os.Args[2]), &o)
	if err == nil {
		err = o.confine()
	}
	if err == nil {
		err = unix.Exec(o.Path, append([]string{o.Path}, os.Args[3:]...), []string{"LC_ALL=C"})
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(shimFailed)
}

// confine limits this process for good, and whatever it executes.
func (o shimOrder) confine() error {
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"limiting resources", o.limit},
		{"dropping privileges", dropPrivileges},
		{"restricting files", o.restrictFiles},
		{"filtering system calls", filterCalls},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	return nil
}

func (o shimOrder) limit() error {
	const addresses = 4 << 30 // libraries and threads reserve more than they use
	for _, l := range []struct {
		resource int
		soft     uint64
		hard     uint64
	}{
		{unix.RLIMIT_CORE, 0, 0},
		{unix.RLIMIT_FSIZE, 0, 0},
		{unix.RLIMIT_NOFILE, 64, 64},
		{unix.RLIMIT_CPU, uint64(o.CPU), uint64(o.CPU) + 1},
		{unix.RLIMIT_DATA, uint64(o.Memory), uint64(o.Memory)},
		{unix.RLIMIT_AS, uint64(o.Memory) + addresses, uint64(o.Memory) + addresses},
	} {
		if raceEnabled && (l.resource == unix.RLIMIT_DATA || l.resource == unix.RLIMIT_AS) {
			continue // the race detector maps terabytes before the exec
		}
		if err := unix.Setrlimit(l.resource, &unix.Rlimit{Cur: l.soft, Max: l.hard}); err != nil {
			return err
		}
	}
	return nil
}

// dropPrivileges makes root an ordinary user: no capability survives the exec
// and none comes back.
func dropPrivileges() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		const noRoot = 1<<0 | 1<<1 // SECBIT_NOROOT and its lock
		if err := unix.Prctl(unix.PR_SET_SECUREBITS, noRoot, 0, 0, 0); err != nil && err != unix.EPERM {
			return err
		}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	return unix.Capset(&header, &none[0])
}
