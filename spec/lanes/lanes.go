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
	nodes   *vector
	long    []byte
	narrow  bool // for tests: one after the other
}

type vector struct {
	n    int
	into [width]*[32]byte
	data []byte // of each lane, its blocks
}

func newVector(blocks int) *vector { return &vector{data: make([]byte, width*blocks*blockSize)} }

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
		v = newVector(blocks)
		q.waiting[blocks-1] = v
	}
	lane := v.data[v.n*blocks*blockSize:][:blocks*blockSize]
	at := 0
	for _, p := range parts {
		at += copy(lane[at:], p)
	}
	pad(lane, at)
	v.add(into)
}

// pad ends a message of so many bytes (FIPS 180-4 §5.1.1).
func pad(lane []byte, size int) {
	lane[size] = 0x80
	clear(lane[size+1 : len(lane)-8])
	binary.BigEndian.PutUint64(lane[len(lane)-8:], uint64(size)*8)
}

const (
	nodeSize = 1 + 2*32 // bytes of an inner node of a Merkle tree
	nodeLane = 2 * blockSize
)

// AddNode is Add for prefix ‖ left ‖ right: half of the messages of a tree. They all
// end alike, so that a lane is padded once.
func (q *Queue) AddNode(into *[32]byte, prefix byte, left, right *[32]byte) {
	if !wide || q.narrow {
		q.Add(into, []byte{prefix}, left[:], right[:])
		return
	}
	if q.nodes == nil {
		q.nodes = newVector(nodeLane / blockSize)
		for l := range width {
			pad(q.nodes.data[l*nodeLane:][:nodeLane], nodeSize)
		}
	}
	v := q.nodes
	lane := (*[nodeSize]byte)(v.data[v.n*nodeLane:])
	lane[0] = prefix
	*(*[32]byte)(lane[1:]) = *left
	*(*[32]byte)(lane[33:]) = *right
	v.add(into)
}

// Flush hashes what waits.
func (q *Queue) Flush() {
	for _, v := range q.waiting {
		if v != nil && v.n > 0 {
			v.hash()
		}
	}
	if q.nodes != nil && q.nodes.n > 0 {
		q.nodes.hash()
	}
}

// add says where the hash of the next lane goes.
func (v *vector) add(into *[32]byte) {
	v.into[v.n] = into
	if v.n++; v.n == width {
		v.hash()
	}
}

func (v *vector) hash() {
	state := begin
	stride := len(v.data) / width
	var offsets [width]uint32
	for l := range v.n { // lanes without a message hash the first one again
		offsets[l] = uint32(l * stride)
	}
	compress(&state, &v.data[0], &offsets, stride/blockSize, &constants)
	for l, into := range v.into[:v.n] {
		l &= width - 1 // which it is, and the compiler knows
		for i := range state {
			binary.BigEndian.PutUint32(into[4*i:], state[i][l])
		}
	}
	v.n = 0
}

// begin is initial in every lane.
var begin = func() (state [8][width]uint32) {
	for i := range state {
		for l := range width {
			state[i][l] = initial[i]
		}
	}
	return state
}()

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
