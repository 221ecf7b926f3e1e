// SPDX-License-Identifier: Apache-2.0

//go:build !linux || !(amd64 || arm64)

package program

import (
	"errors"
	"os"
)

const (
	available  = false
	shimFailed = 125
)

func (p *Process) start(string, []string, *os.File, Limits) error { return errors.ErrUnsupported }

func outOfTime(*os.ProcessState) bool { return false }
