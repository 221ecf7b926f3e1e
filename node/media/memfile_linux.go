// SPDX-License-Identifier: Apache-2.0

package media

import (
	"os"

	"golang.org/x/sys/unix"
)

// memoryFile opens a file that lives in memory only.
func memoryFile() (*os.File, error) {
	fd, err := unix.MemfdCreate("media", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	return os.NewFile(uintptr(fd), "media"), nil
}
