// SPDX-License-Identifier: Apache-2.0

package edtable

import (
	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"
)

// A point is (x/z, y/z) of the curve −x² + y² = 1 + d·x²·y², with t = x·y/z.
type point struct{ x, y, z, t field.Element }

// An addend is a point (x, y) in the form in which it is added: y + x, y − x, 2d·x·y.
type addend struct{ plus, minus, product field.Element }

// twiceD is 2d, where d is −121665/121666.
var twiceD = func() *field.Element {
	one := new(field.Element).One()
	over := new(field.Element).Mult32(one, 121666)
	twice := new(field.Element).Mult32(one, 2*121665)
	return twice.Multiply(twice.Negate(twice), over.Invert(over))
}()

// set makes p what the library decoded.
func (p *point) set(of *edwards25519.Point) {
	x, y, z, t := of.ExtendedCoordinates()
	p.x, p.y, p.z, p.t = *x, *y, *z, *t
}

// identity makes p the point (0, 1).
func (p *point) identity() {
	p.x.Zero()
	p.y.One()
	p.z.One()
	p.t.Zero()
}

// add adds a point as in "Twisted Edwards Curves Revisited" (Hisil, Wong, Carter and
// Dawson, 2008), section 3.1, where z of the second is 1. It is complete: it holds for
// equal points, opposite ones, the identity, and those of any order.
func (p *point) add(q *addend) { p.combine(&q.plus, &q.minus, &q.product, false) }

// subtract adds (−x, y).
func (p *point) subtract(q *addend) { p.combine(&q.minus, &q.plus, &q.product, true) }

func (p *point) combine(plus, minus, product *field.Element, negative bool) {
	var a, b, c, d, e, f, g, h field.Element
	a.Multiply(a.Subtract(&p.y, &p.x), minus)
	b.Multiply(b.Add(&p.y, &p.x), plus)
	c.Multiply(&p.t, product)
	d.Add(&p.z, &p.z)
	e.Subtract(&b, &a)
	h.Add(&b, &a)
	if negative {
		f.Add(&d, &c)
		g.Subtract(&d, &c)
	} else {
		f.Subtract(&d, &c)
		g.Add(&d, &c)
	}
	p.x.Multiply(&e, &f)
	p.y.Multiply(&g, &h)
	p.z.Multiply(&f, &g)
	p.t.Multiply(&e, &h)
}

// normalise brings every z to 1, and leaves t. It inverts once, the product of all z,
// from which the inverse of each follows; none is 0, since addition is complete.
func normalise(points []point) {
	before := make([]field.Element, len(points)) // products of those before each
	var product, inverse field.Element
	product.One()
	for i := range points {
		before[i] = product
		product.Multiply(&product, &points[i].z)
	}
	product.Invert(&product)
	for i := len(points) - 1; i >= 0; i-- {
		p := &points[i]
		inverse.Multiply(&product, &before[i])
		product.Multiply(&product, &p.z)
		p.x.Multiply(&p.x, &inverse)
		p.y.Multiply(&p.y, &inverse)
		p.z.One()
	}
}

// addends are points in the form in which they are added. It normalises them.
func addends(out []addend, points []point) {
	normalise(points)
	for i := range out {
		p, q := &points[i], &out[i]
		p.t.Multiply(&p.x, &p.y)
		q.plus.Add(&p.y, &p.x)
		q.minus.Subtract(&p.y, &p.x)
		q.product.Multiply(&p.t, twiceD)
	}
}

// encode is the one encoding of RFC 8032, section 5.1.2, of a point with z = 1: y, and
// the sign of x.
func (p *point) encode() [32]byte {
	out := [32]byte(p.y.Bytes())
	out[31] |= byte(p.x.IsNegative() << 7)
	return out
}
