// SPDX-License-Identifier: Apache-2.0

package spec

import "encoding/binary"

// Deterministic CBOR written and read by hand, for the objects of which there are
// many: a signal's opening and what is hashed of it. The general codec gives the
// same bytes and accepts the same inputs, which tests hold it to.

// Major types of CBOR (RFC 8949 §3.1).
const (
	majorUint  = 0
	majorBytes = 2
	majorText  = 3
	majorArray = 4
)

func appendHead(b []byte, major byte, n uint64) []byte {
	switch major <<= 5; {
	case n < 24:
		return append(b, major|byte(n))
	case n < 1<<8:
		return append(b, major|24, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), n)
}

func appendUint(b []byte, n uint64) []byte { return appendHead(b, majorUint, n) }

func appendBytes(b, v []byte) []byte { return append(appendHead(b, majorBytes, uint64(len(v))), v...) }

func appendText(b []byte, v string) []byte {
	return append(appendHead(b, majorText, uint64(len(v))), v...)
}

// A quickReader takes canonical items off the front of its bytes. The first thing
// that is not as asked for makes bad true, for good.
type quickReader struct {
	rest []byte
	bad  bool
}

// head reads an item's head of a major type, refusing numbers that are not in
// their shortest form.
func (r *quickReader) head(major byte) uint64 {
	if len(r.rest) == 0 || r.rest[0]>>5 != major {
		r.bad, r.rest = true, nil
		return 0
	}
	info := r.rest[0] & 31
	if info < 24 {
		r.rest = r.rest[1:]
		return uint64(info)
	}
	size := 1 << (info - 24)
	if info > 27 || len(r.rest) < 1+size {
		r.bad, r.rest = true, nil
		return 0
	}
	var n uint64
	for _, c := range r.rest[1 : 1+size] {
		n = n<<8 | uint64(c)
	}
	r.rest = r.rest[1+size:]
	if n < 24 || size > 1 && n>>(4*size) == 0 {
		r.bad = true
	}
	return n
}

func (r *quickReader) uint() uint64 { return r.head(majorUint) }

func (r *quickReader) array() uint64 { return r.head(majorArray) }

// bytes returns a byte string without copying it.
func (r *quickReader) bytes() []byte { return r.take(r.head(majorBytes)) }

func (r *quickReader) text() string { return string(r.take(r.head(majorText))) }

func (r *quickReader) take(n uint64) []byte {
	if r.bad || n > uint64(len(r.rest)) {
		r.bad, r.rest = true, nil
		return nil
	}
	v := r.rest[:n:n]
	r.rest = r.rest[n:]
	return v
}

// next returns the major type of the item that follows.
func (r *quickReader) next() byte {
	if len(r.rest) == 0 {
		r.bad = true
		return 0xff
	}
	return r.rest[0] >> 5
}
