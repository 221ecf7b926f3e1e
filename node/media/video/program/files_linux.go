// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package program

import (
	"debug/elf"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// libraries is where programs and what they load lie. Missing ones are skipped.
var libraries = []string{"/usr", "/lib", "/lib64", "/opt", "/nix/store", "/gnu/store", "/etc/ld.so.cache"}

const (
	readFile = unix.LANDLOCK_ACCESS_FS_READ_FILE
	readAll  = readFile | unix.LANDLOCK_ACCESS_FS_READ_DIR
	execute  = unix.LANDLOCK_ACCESS_FS_EXECUTE | readFile
)

// restrictFiles leaves the process the file on its standard input, libraries to
// read, and one program to execute. It does nothing on a kernel
// without Landlock: the filter of system calls still forbids writing.
func (o shimOrder) restrictFiles() error {
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return nil
	}
	attr := handled(int(abi))
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if errno != 0 {
		return errno
	}
	defer unix.Close(int(fd))
	for _, dir := range append(libraries, filepath.Dir(o.Path)) {
		if err := allow(int(fd), dir, readAll); err != nil {
			return err
		}
	}
	for _, path := range append(interpreter(o.Path), o.Path) {
		if err := allow(int(fd), path, execute); err != nil {
			return err
		}
	}
	if err := allowFD(int(fd), 0, readFile); err != nil && err != unix.EBADFD {
		return err // EBADFD: a file in memory, which Landlock leaves alone
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// handled lists all that the kernel can forbid.
func handled(abi int) (a unix.LandlockRulesetAttr) {
	bits := []int{0, 13, 14, 15, 15, 16} // access rights to files by version of the interface
	a.Handled_access_fs = 1<<bits[min(abi, len(bits)-1)] - 1
	if abi >= 4 {
		a.Handled_access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if abi >= 6 {
		a.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	}
	return a
}

func allow(ruleset int, path string, access uint64) error {
	f, err := os.OpenFile(path, unix.O_PATH, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && !info.IsDir() {
		access &^= unix.LANDLOCK_ACCESS_FS_READ_DIR
	}
	return allowFD(ruleset, int32(f.Fd()), access)
}

func allowFD(ruleset int, fd int32, access uint64) error {
	rule := unix.LandlockPathBeneathAttr{Allowed_access: access, Parent_fd: fd}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// interpreter names the loader of a dynamically linked program, or the shell of
// a script.
func interpreter(path string) []string {
	f, err := elf.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP && p.Filesz < 4096 {
			name := make([]byte, p.Filesz)
			if _, err := p.ReadAt(name, 0); err == nil {
				return []string{string(name[:max(0, len(name)-1)])}
			}
		}
	}
	return nil
}
