// SPDX-License-Identifier: Apache-2.0

package exact

import (
	"fmt"
	"math/bits"
	"sync/atomic"

	"github.com/tocsin-db/tocsin/storage/nearby/pages"
)

const (
	firstBuckets = 1 << 9 // at least 256: see bucket
	firstBits    = 9
	mostParts    = 36
	hugeBuckets  = 1 << 15 // 2 MiB
)

// store is buckets that never move. Part 0 holds the first firstBuckets, each
// further part as many as all before it.
type store struct {
	parts [mostParts]atomic.Pointer[[]bucket]
	areas *areas
}

type areas struct {
	all []*pages.Area
}

func (a *areas) free() {
	for _, area := range a.all {
		_ = area.Free()
	}
}

// bucket returns bucket i, or nil when there is none yet.
func (s *store) bucket(i uint64) *bucket {
	p := bits.Len64(i >> firstBits)
	part := s.parts[p].Load()
	if part == nil {
		return nil
	}
	if p > 0 {
		i -= firstBuckets << (p - 1)
	}
	return &(*part)[i]
}

// reach makes all buckets below n exist. The memory of a part is taken as it
// is touched.
func (s *store) reach(n uint64) error {
	if s.areas == nil {
		s.areas = &areas{}
	}
	for p := 0; p < mostParts; p++ {
		from, size := uint64(0), uint64(firstBuckets)
		if p > 0 {
			from, size = firstBuckets<<(p-1), firstBuckets<<(p-1)
		}
		if from >= n {
			return nil
		}
		if s.parts[p].Load() != nil {
			continue
		}
		area, err := pages.Reserve(int(size) * bucketBytes)
		if err != nil {
			return fmt.Errorf("room for %d more keys: %w", size*slots, err)
		}
		if size >= hugeBuckets {
			area.Huge()
		}
		s.areas.all = append(s.areas.all, area)
		part := pages.View[bucket](area)
		s.parts[p].Store(&part)
	}
	return nil
}
