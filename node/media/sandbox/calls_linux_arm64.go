// SPDX-License-Identifier: Apache-2.0

package sandbox

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_AARCH64

// oldForbidden are calls that other architectures do not have in this form.
var oldForbidden = []uintptr{unix.SYS_RENAMEAT}
