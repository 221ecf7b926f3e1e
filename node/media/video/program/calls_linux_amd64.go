// SPDX-License-Identifier: Apache-2.0

package program

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_X86_64

// oldForbidden are calls that newer architectures never had.
var oldForbidden = []uintptr{
	unix.SYS_CREAT, unix.SYS_UNLINK, unix.SYS_RENAME, unix.SYS_LINK, unix.SYS_SYMLINK, unix.SYS_MKDIR, unix.SYS_RMDIR,
	unix.SYS_MKNOD, unix.SYS_CHMOD, unix.SYS_CHOWN, unix.SYS_LCHOWN, unix.SYS_FORK, unix.SYS_VFORK, unix.SYS_INOTIFY_INIT,
}

func oldOpen() []unix.SockFilter { return onCall(unix.SYS_OPEN, unless(atArg(1), writing)...) }
