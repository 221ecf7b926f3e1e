// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package durable

import "os"

// SyncData makes the content of a file durable.
func SyncData(f *os.File) error { return f.Sync() }
