// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"runtime"
	"testing"
)

// checkInvariants walks an index that nobody writes to: every row stands once
// in the right bucket of every band, and the counts of the units are right.
func checkInvariants(t *testing.T, x *Index) {
	t.Helper()
	defer runtime.KeepAlive(x) // its memory goes with it
	for _, s := range *x.segments.Load() {
		d := s.directory.Load()
		for b := range bandCount {
			postings, last := 0, header(0)
			for at := range 1 << d.bits {
				h := header(d.headers[b<<d.bits|at])
				if home, ok := d.atHome(b, b<<d.bits|at); ok && h != newHeader(home, 1) {
					t.Fatal("a bucket's home is not where its header says")
				}
				if h == last {
					continue // one block in several places
				}
				last = h
				postings += checkBlock(t, s, b, d.bits, at, h)
			}
			if postings != s.listed {
				t.Fatalf("band %d lists %d rows of %d", b, postings, s.listed)
			}
		}
	}
}

func checkBlock(t *testing.T, s *segment, b int, bits uint, at int, h header) (postings int) {
	t.Helper()
	depth := s.directory.Load().depth[b<<bits|at]
	for u := h.unit(); u < h.unit()+h.units(); u++ {
		n := 0
		for pos := u * unitLanes; pos < (u+1)*unitLanes; pos++ {
			id := s.id(pos)
			if !rowNumberOK(id) {
				continue
			}
			n++
			r := s.loadRow(id)
			if v := int(r.band(b)); v>>(bandBits-uint(depth)) != at>>(bits-uint(depth)) {
				t.Fatalf("band %d: a row stands in another's bucket", b)
			}
			if s.lane(pos) != r.band((b+1)%bandCount) {
				t.Fatalf("band %d: a lane is not the next band", b)
			}
			if s.refs.kind(id) == noRef {
				t.Fatal("a row that is not listed has a posting")
			}
		}
		if int(s.live[u]&liveCount) != n {
			t.Fatalf("a unit with %d rows counts %d", n, s.live[u]&liveCount)
		}
		if next := u*unitLanes + uint32(n); n < unitLanes && s.live[u]&liveHoles == 0 && rowNumberOK(s.id(next)) {
			t.Fatal("a unit without holes has a posting behind its last")
		}
		postings += n
	}
	return postings
}
