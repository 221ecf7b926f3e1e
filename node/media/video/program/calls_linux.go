// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package program

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// forbidden are calls that get EPERM: sockets, other processes, names in the
// file system, and the corners of the kernel that no decoder needs.
var forbidden = append(oldForbidden,
	unix.SYS_SOCKET, unix.SYS_SOCKETPAIR, unix.SYS_CONNECT, unix.SYS_BIND, unix.SYS_LISTEN,
	unix.SYS_ACCEPT, unix.SYS_ACCEPT4, unix.SYS_SENDTO, unix.SYS_SENDMSG, unix.SYS_RECVMSG,
	unix.SYS_KILL, unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV,
	unix.SYS_PIDFD_OPEN, unix.SYS_PIDFD_GETFD, unix.SYS_PIDFD_SEND_SIGNAL, unix.SYS_KCMP,
	unix.SYS_UNLINKAT, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_LINKAT, unix.SYS_SYMLINKAT,
	unix.SYS_MKDIRAT, unix.SYS_MKNODAT, unix.SYS_TRUNCATE, unix.SYS_FTRUNCATE,
	unix.SYS_FCHMOD, unix.SYS_FCHMODAT, unix.SYS_FCHOWN, unix.SYS_FCHOWNAT,
	unix.SYS_SETXATTR, unix.SYS_LSETXATTR, unix.SYS_FSETXATTR, unix.SYS_UTIMENSAT,
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_SETNS, unix.SYS_UNSHARE,
	unix.SYS_FSOPEN, unix.SYS_FSMOUNT, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE, unix.SYS_OPEN_BY_HANDLE_AT,
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD,
	unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY,
	unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
	unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_KEXEC_LOAD, unix.SYS_REBOOT,
	unix.SYS_SHMGET, unix.SYS_MSGGET, unix.SYS_SEMGET, unix.SYS_MQ_OPEN,
	unix.SYS_INOTIFY_INIT1, unix.SYS_FANOTIFY_INIT, unix.SYS_EXECVEAT,
)

// filterCalls forbids the calls on this thread, which goes on to execute the
// program. A kernel without seccomp is a failure.
func filterCalls() error {
	code := filter()
	prog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return errno
	}
	return nil
}

// Places in struct seccomp_data and instructions of classic BPF.
const (
	atCall = 0
	atArch = 4
	load   = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	equal  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	anyBit = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
	least  = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
	answer = unix.BPF_RET | unix.BPF_K

	refuse  = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	missing = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	writing = unix.O_WRONLY | unix.O_RDWR | unix.O_CREAT | unix.O_TRUNC
)

// atArg is where the low half of an argument stands (little-endian).
func atArg(n int) uint32 { return uint32(16 + 8*n) }

// filter lets everything pass but the forbidden calls, new processes and files
// opened for writing. Calls of a foreign architecture end the process.
func filter() []unix.SockFilter {
	p := []unix.SockFilter{
		{Code: load, K: atArch},
		{Code: equal, Jt: 1, K: auditArch},
		{Code: answer, K: unix.SECCOMP_RET_KILL_PROCESS},
		{Code: load, K: atCall},
		{Code: least, Jf: 1, K: 0x40000000}, // the x32 numbers of amd64
		{Code: answer, K: unix.SECCOMP_RET_KILL_PROCESS},
	}
	for _, call := range forbidden {
		p = append(p, onCall(call, unix.SockFilter{Code: answer, K: refuse})...)
	}
	// Their flags lie in memory, where a filter cannot look: libraries fall back.
	p = append(p, onCall(unix.SYS_CLONE3, unix.SockFilter{Code: answer, K: missing})...)
	p = append(p, onCall(unix.SYS_OPENAT2, unix.SockFilter{Code: answer, K: missing})...)
	p = append(p, onCall(unix.SYS_CLONE, onlyIf(atArg(0), unix.CLONE_THREAD)...)...)
	p = append(p, onCall(unix.SYS_OPENAT, unless(atArg(2), writing)...)...)
	p = append(p, oldOpen()...)
	return append(p, unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ALLOW})
}

// onCall runs body for one call. Body must end in an answer.
func onCall(call uintptr, body ...unix.SockFilter) []unix.SockFilter {
	return append([]unix.SockFilter{{Code: equal, Jf: uint8(len(body)), K: uint32(call)}}, body...)
}

// onlyIf allows the call if one of the bits is set, unless if none is.
func onlyIf(arg, bits uint32) []unix.SockFilter {
	return []unix.SockFilter{{Code: load, K: arg}, {Code: anyBit, Jt: 1, K: bits}, {Code: answer, K: refuse}, {Code: answer, K: unix.SECCOMP_RET_ALLOW}}
}

func unless(arg, bits uint32) []unix.SockFilter {
	return []unix.SockFilter{{Code: load, K: arg}, {Code: anyBit, Jf: 1, K: bits}, {Code: answer, K: refuse}, {Code: answer, K: unix.SECCOMP_RET_ALLOW}}
}
