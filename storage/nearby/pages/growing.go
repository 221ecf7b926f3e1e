// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"fmt"
	"math/bits"
	"runtime"
	"sync/atomic"
	"unsafe"
)

const (
	firstBits = 9
	first     = 1 << firstBits
	mostParts = 36
)

// Growing is an array that grows while it is read, and whose items never move. T
// holds no pointers. Part 0 holds the first items, each further part as many as all
// before it. The memory goes back when the Growing is no longer reachable.
type Growing[T any] struct {
	parts [mostParts]atomic.Pointer[[]T]
	areas *areas
}

type areas struct{ all []*Area }

func (a *areas) free() {
	for _, area := range a.all {
		_ = area.Free()
	}
}

// NewGrowing makes an array of n zeroed items. Their memory is taken as it is
// touched.
func NewGrowing[T any](n uint64) (*Growing[T], error) {
	g := &Growing[T]{areas: &areas{}}
	runtime.AddCleanup(g, (*areas).free, g.areas)
	return g, g.Reach(n)
}

// At returns item i, which Reach has made.
func (g *Growing[T]) At(i uint64) *T {
	p := bits.Len64(i >> firstBits)
	if p > 0 {
		i -= first << (p - 1)
	}
	return &(*g.parts[p].Load())[i]
}

// Reach makes all items below n. It belongs to one goroutine at a time.
func (g *Growing[T]) Reach(n uint64) error {
	var t T
	for p := range mostParts {
		from, size := uint64(0), uint64(first)
		if p > 0 {
			from, size = first<<(p-1), first<<(p-1)
		}
		if from >= n {
			return nil
		}
		if g.parts[p].Load() != nil {
			continue
		}
		area, err := Reserve(int(size) * int(unsafe.Sizeof(t)))
		if err != nil {
			return fmt.Errorf("room for %d more: %w", size, err)
		}
		if area.Len() >= 2<<20 {
			area.Huge()
		}
		g.areas.all = append(g.areas.all, area)
		part := View[T](area)
		g.parts[p].Store(&part)
	}
	return nil
}
