// SPDX-License-Identifier: Apache-2.0

package durable

import (
	"errors"
	"os"
	"syscall"
)

// SyncData makes the content of a file durable, its times not: what changes one sector
// need not wait for the file system's own log, nor others for that.
func SyncData(f *os.File) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = conn.Control(func(fd uintptr) {
		for failed = syscall.EINTR; failed == syscall.EINTR; {
			failed = syscall.Fdatasync(int(fd))
		}
	})
	return errors.Join(err, os.NewSyscallError("fdatasync", failed))
}
