// SPDX-License-Identifier: Apache-2.0

package governance

import (
	"fmt"
	"strings"
)

// numbered writes a number with its noun; plural is the noun with an s unless it
// is given.
func numbered(n int, noun string, plural ...string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case len(plural) > 0:
		return fmt.Sprintf("%d %s", n, plural[0])
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// listed joins names.
func listed(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// duration writes milliseconds in the two largest units.
func duration(ms uint64) string {
	units := []struct {
		name string
		ms   uint64
	}{{"d", dayMS}, {"h", 3600_000}, {"min", 60_000}, {"s", 1000}, {"ms", 1}}
	for i, u := range units {
		if ms < u.ms {
			continue
		}
		out := fmt.Sprintf("%d %s", ms/u.ms, u.name)
		if i+1 < len(units) && ms%u.ms/units[i+1].ms > 0 {
			out += fmt.Sprintf(" %d %s", ms%u.ms/units[i+1].ms, units[i+1].name)
		}
		return out
	}
	return "0 ms"
}

// within says how far off a log time is.
func within(at, now uint64) string {
	if at <= now {
		return "at the next tick"
	}
	return "in " + duration(at-now)
}
