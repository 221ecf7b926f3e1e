// SPDX-License-Identifier: Apache-2.0

package api

import (
	"net"

	"golang.org/x/sys/unix"
)

// peerUID returns the user that connected, as the kernel knows it.
func peerUID(c *net.UnixConn) (uid int, ok bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, false
	}
	var cred *unix.Xucred
	ctlErr := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	})
	if err != nil || ctlErr != nil {
		return 0, false
	}
	return int(cred.Uid), true
}
