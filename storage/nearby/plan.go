// SPDX-License-Identifier: Apache-2.0

package nearby

// MaxIndexed is the largest radius that the buckets answer. Above it a search
// compares every row.
const MaxIndexed = 31

// A plan says how to find everything within a radius. Each band b gets a
// share c(b), and all shares together are one more than the radius. If two
// hashes differ in at most radius bits, then going round the ring of bands
// there is a band b from which on every run of bands differs in fewer bits
// than its shares together: the integer pigeonring principle (Qin and Xiao,
// PVLDB 12(1), 2018; the cycle lemma). For runs of one and two bands:
//
//	d(b) < c(b)   and   d(b) + d(b+1) < c(b) + c(b+1)
//
// Shares here are 0 (the band is not looked at), 1 (its very value) or 2 (and
// the 16 values one bit away).
type plan [bandCount]probe

type probe struct {
	share int
	most  uint16 // d(b+1) allowed where d(b) may be 0; one less where it is 1
}

var plans = func() (all [MaxIndexed + 1]plan) {
	for radius := range all {
		p := &all[radius]
		for b := range p {
			p[b].share = (radius + 1 + b) / bandCount
		}
		for b := range p {
			p[b].most = uint16(max(0, p[b].share+p[(b+1)%bandCount].share-1))
		}
	}
	return all
}()

// run is one block to scan for lanes that differ from want in at most most
// bits.
type run struct {
	unit  uint32
	units uint32
	want  uint16
	most  uint16
	_     uint32
}

// runs appends the blocks that a query has to scan.
func (s *segment) runs(q *row, p *plan, dst []run) []run {
	for b := range p {
		if p[b].share == 0 {
			continue
		}
		v, want, most := q.band(b), q.band((b+1)%bandCount), p[b].most
		own := s.header(b, v)
		dst = append(dst, run{unit: own.unit(), units: own.units(), want: want, most: most})
		if p[b].share == 1 {
			continue
		}
		for bit := range bandBits {
			// A neighbour in the same block was scanned with the value itself.
			if h := s.header(b, v^1<<bit); h != own {
				dst = append(dst, run{unit: h.unit(), units: h.units(), want: want, most: most - 1})
			}
		}
	}
	return dst
}
