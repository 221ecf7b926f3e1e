// SPDX-License-Identifier: Apache-2.0

package program

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_AARCH64

// oldForbidden: arm64 has none of the old calls.
var oldForbidden []uintptr

func oldOpen() []unix.SockFilter { return nil }
