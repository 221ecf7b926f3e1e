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
