// SPDX-License-Identifier: Apache-2.0

package exact

import (
	"fmt"
	"math/bits"
	"sync/atomic"

	"github.com/tocsin-db/tocsin/storage/nearby/pages"
)

const (
	firstBuckets = 1 << firstBits // at least 1 + metaBits: see bucket
	firstBits    = 12
	mostParts    = 36
	hugeBuckets  = 1 << 15 // 2 MiB
)

// store is buckets that never move. The first 2^bits lie in one piece, which is where
// lookups are fast; each further part holds as many as all before it.
type store struct {
	first []bucket
	bits  int
	parts [mostParts]atomic.Pointer[[]bucket] // part 0 is first
	areas *areas
}

// start makes n buckets, and room for as many again in one piece where room that is
// not used costs nothing.
func (s *store) start(n uint64) error {
	s.bits = firstBits
	if pages.Lazy {
		s.bits = max(firstBits, bits.Len64(n))
	}
	err := s.reach(n)
	if err == nil {
		s.first = *s.parts[0].Load()
	}
	return err
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
	if i < uint64(len(s.first)) {
		return &s.first[i]
	}
	return s.further(i)
}

func (s *store) further(i uint64) *bucket {
	p := bits.Len64(i >> s.bits)
	part := s.parts[p].Load()
	if part == nil {
		return nil
	}
	if p > 0 {
		i -= 1 << s.bits << (p - 1)
	}
	return &(*part)[i]
}

// reach makes all buckets below n exist. The memory of a part is taken as it
// is touched.
func (s *store) reach(n uint64) error {
	if s.areas == nil {
		s.areas = &areas{}
	}
	for p := range mostParts - s.bits + firstBits {
		from, size := uint64(0), uint64(1)<<s.bits
		if p > 0 {
			from, size = size<<(p-1), size<<(p-1)
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
