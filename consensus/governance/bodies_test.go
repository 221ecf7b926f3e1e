// SPDX-License-Identifier: Apache-2.0

package governance_test

import "github.com/tocsin-db/tocsin/spec"

func enrolment(o spec.Organisation) *spec.Membership { return spec.Enrolment(o) }
