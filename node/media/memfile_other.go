// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package media

import (
	"errors"
	"os"
)

func memoryFile() (*os.File, error) { return nil, errors.ErrUnsupported }
