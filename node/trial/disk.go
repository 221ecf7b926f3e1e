// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// diskAppends is how many appends measureDisk times.
const diskAppends = 64

// measureDisk returns what one synced append of 4 KiB to a file in dir takes: the
// median. Commits cannot be faster, so their times are to be read beside it.
func measureDisk(dir string) (time.Duration, error) {
	path := filepath.Join(dir, "appends")
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	took, err := timeAppends(f)
	if err := errors.Join(err, f.Close(), os.Remove(path)); err != nil {
		return 0, fmt.Errorf("measure the disk: %w", err)
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}

func timeAppends(f *os.File) (took []time.Duration, err error) {
	block := make([]byte, 4096)
	for range diskAppends {
		begin := time.Now()
		if _, err := f.Write(block); err != nil {
			return nil, err
		}
		if err := f.Sync(); err != nil {
			return nil, err
		}
		took = append(took, time.Since(begin))
	}
	return took, nil
}
