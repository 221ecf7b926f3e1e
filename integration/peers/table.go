// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
)

// table prints one comparison a line, as soon as it is known.
type table struct{ out io.Writer }

func (t *table) head() {
	fmt.Fprintf(t.out, "%-44s %14s %14s %10s  %s\n", "what", "tocsin", "peer", "ratio", "peer's name and how it was measured")
}

// row prints a comparison in which less is better. ratio says how many times
// less tocsin needs.
func (t *table) row(what string, ours, theirs float64, unit, peer string) {
	fmt.Fprintf(t.out, "%-44s %14s %14s %9.1f×  %s\n", what, amount(ours, unit), amount(theirs, unit), theirs/ours, peer)
}

func (t *table) note(format string, args ...any) { fmt.Fprintf(t.out, format+"\n", args...) }

func amount(v float64, unit string) string { return fmt.Sprintf("%.4g %s", v, unit) }
