// SPDX-License-Identifier: Apache-2.0

// Package lanes computes SHA-256 over many short messages, as a Merkle tree has
// them: sixteen at a time, one in each lane of a vector, where the processor has
// AVX-512, and one after the other with crypto/sha256 elsewhere.
package lanes

import (
	"crypto/sha256"
	"encoding/binary"
	"math/big"
)

const (
	width      = 16
	blockSize  = 64
	mostBlocks = 8 // of a message that waits for others; longer ones are hashed at once
)

// A Queue gathers messages until a vector is full. What was added is hashed when
// Flush has returned, and may be before. A Queue belongs to one goroutine; its zero
// value is ready to use.
type Queue struct {
	waiting [mostBlocks]*vector // by number of blocks, less one
	long    []byte
	narrow  bool // for tests: one after the other
}

type vector struct {
	n    int
	into [width]*[32]byte
	data []byte // of each lane, its blocks
}

// Add has the hash of the message that parts are, one after the other, written to
// into. The parts are copied.
func (q *Queue) Add(into *[32]byte, parts ...[]byte) {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	blocks := (size + 9 + blockSize - 1) / blockSize
	if blocks > mostBlocks || !wide || q.narrow {
		q.long = q.long[:0]
		for _, p := range parts {
			q.long = append(q.long, p...)
		}
		*into = sha256.Sum256(q.long)
		return
	}
	v := q.waiting[blocks-1]
	if v == nil {
		v = &vector{data: make([]byte, width*blocks*blockSize)}
		q.waiting[blocks-1] = v
	}
	lane := v.data[v.n*blocks*blockSize:][:blocks*blockSize]
	at := 0
	for _, p := range parts {
		at += copy(lane[at:], p)
	}
	lane[at] = 0x80
	clear(lane[at+1 : len(lane)-8])
	binary.BigEndian.PutUint64(lane[len(lane)-8:], uint64(size)*8)
	v.into[v.n] = into
	if v.n++; v.n == width {
		v.hash()
	}
}

// Flush hashes what waits.
func (q *Queue) Flush() {
	for _, v := range q.waiting {
		if v != nil && v.n > 0 {
			v.hash()
		}
	}
}

func (v *vector) hash() {
	var state [8][width]uint32
	for i := range state {
		for l := range width {
			state[i][l] = initial[i]
		}
	}
	stride := len(v.data) / width
	var offsets [width]uint32
	for l := range v.n { // lanes without a message hash the first one again
		offsets[l] = uint32(l * stride)
	}
	compress(&state, &v.data[0], &offsets, stride/blockSize, &constants)
	for l, into := range v.into[:v.n] {
		for i := range state {
			binary.BigEndian.PutUint32(into[4*i:], state[i][l])
		}
	}
	v.n = 0
}

// initial and constants are the first 32 bits of the fractional parts of the square
// roots of the first eight primes and of the cube roots of the first 64 (FIPS 180-4
// §4.2.2, §5.3.3).
var initial, constants = func() (h [8]uint32, k [64]uint32) {
	n := 0
	for p := int64(2); n < len(k); p++ {
		if !big.NewInt(p).ProbablyPrime(0) {
			continue
		}
		if n < len(h) {
			h[n] = uint32(new(big.Int).Sqrt(new(big.Int).Lsh(big.NewInt(p), 64)).Uint64())
		}
		k[n] = uint32(cubeRoot(new(big.Int).Lsh(big.NewInt(p), 96)))
		n++
	}
	return h, k
}()

// cubeRoot returns the largest number of which the third power is at most n.
func cubeRoot(n *big.Int) (root uint64) {
	for bit := 40; bit >= 0; bit-- {
		try := new(big.Int).SetUint64(root | 1<<bit)
		if new(big.Int).Exp(try, big.NewInt(3), nil).Cmp(n) <= 0 {
			root |= 1 << bit
		}
	}
	return root
}
