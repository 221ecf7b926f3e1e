// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package sandbox

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	overhead   = 160 << 20 // of the runtime, which maps its heap by 64 MiB, and the program's own data
	addresses  = 8 << 30   // the runtime reserves far more than it uses
	cpuSeconds = 120       // over the life of one child
	files      = 16        // the socket, standard streams, poller, one file
)

// confine limits this process for good. It fails rather than serve unconfined.
func confine(memory int64, cpu time.Duration) error {
	limits := []struct {
		resource int
		value    uint64
	}{
		{unix.RLIMIT_CORE, 0},
		{unix.RLIMIT_FSIZE, 0},
		{unix.RLIMIT_NOFILE, files},
		{unix.RLIMIT_CPU, uint64((2*lifetime + cpu) / time.Second)},
		{unix.RLIMIT_DATA, uint64(memory) + overhead},
		{unix.RLIMIT_AS, uint64(memory) + addresses},
	}
	for _, l := range limits {
		if raceEnabled && (l.resource == unix.RLIMIT_DATA || l.resource == unix.RLIMIT_AS) {
			continue // the race detector maps terabytes of shadow memory
		}
		if err := unix.Setrlimit(l.resource, &unix.Rlimit{Cur: l.value, Max: l.value}); err != nil {
			return os.NewSyscallError("setrlimit", err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("forbidding dumps: %w", err)
	}
	return filterCalls()
}
