// SPDX-License-Identifier: Apache-2.0

//go:build linux && !race

package pages

import "golang.org/x/sys/unix"

const noReserve = unix.MAP_NORESERVE

func advise(b []byte) { _ = unix.Madvise(b, unix.MADV_HUGEPAGE) }
