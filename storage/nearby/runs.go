// SPDX-License-Identifier: Apache-2.0

package nearby

// run is one block to scan for lanes that differ from want in at most most
// bits.
type run struct {
	unit  uint32
	units uint32
	want  uint16
	most  uint16
	_     uint32
}

// runs appends the blocks of band b that a query has to scan.
func (d *directory) runs(b int, q *row, p *plan, dst []run) []run {
	if p[b].share == 0 {
		return dst
	}
	v, want, most := q.band(b), q.band((b+1)%bandCount), p[b].most
	own := d.header(b, v)
	dst = append(dst, run{unit: own.unit(), units: own.units(), want: want, most: most})
	if p[b].share == 1 {
		return dst
	}
	// A neighbour in a lower bit than the directory has shares the block.
	for bit := bandBits - d.bits; bit < bandBits; bit++ {
		if h := d.header(b, v^1<<bit); h != own {
			dst = append(dst, run{unit: h.unit(), units: h.units(), want: want, most: most - 1})
		}
	}
	return dst
}
