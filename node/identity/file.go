// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"fmt"
	"io"
	"os"

	"github.com/tocsin-db/tocsin/spec"
)

// maxFile bounds every file of this package.
const maxFile = 1 << 20

// readFile returns a file of at most maxFile bytes.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readBounded(f)
}

func readBounded(f *os.File) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = spec.Errorf(spec.CodeTooLarge, "%s has more than %d bytes", f.Name(), maxFile)
	}
	return b, err
}

// private refuses with DENIED what other users of the machine can read.
func private(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return spec.Errorf(spec.CodeDenied, "%s can be read by others: its mode is %#o", f.Name(), info.Mode().Perm())
	}
	return nil
}

// makeDir makes the data directory, for its owner alone, unless it exists.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the data directory: %w", err)
	}
	return nil
}
