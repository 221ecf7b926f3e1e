// SPDX-License-Identifier: Apache-2.0

package state

import (
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

// Protocol is the stream protocol of this package.
const Protocol = "/tocsin/state/1"

// A message is one frame: a kind byte, and then one CBOR array or raw bytes.
const (
	kindManifest = 1
	kindChunk    = 2
	kindRules    = 3
	kindNodes    = 4
	kindPiece    = 5
	kindLast     = 6
	kindFault    = 7
	kindKeys     = 8
)

// Limits of answers in bytes, and of what stands in them.
const (
	MaxManifest = 1 << 20
	MaxChunk    = 32 << 20
	maxNodes    = 8 << 10

	Chunks     = 4096 // of live signals
	RuleChunks = 256
)

// The trees over the state.
const (
	LiveTree = 1
	RuleTree = 2
)

const (
	maxRequest = 64        // bytes of a message that a server reads
	pieceSize  = 256 << 10 // bytes of a piece before it is packed, but of the last
)

// manifestRequest asks for the snapshot at Size, or with 0 the newest at or below
// Upto, proved against the log of Upto leaves.
type manifestRequest struct {
	_    struct{} `cbor:",toarray"`
	Size uint64
	Upto uint64
}

// chunkRequest asks for a chunk of values or of keys, or for one of the rules.
type chunkRequest struct {
	_     struct{} `cbor:",toarray"`
	Size  uint64
	Index uint64
}

// nodesRequest asks for the hashes below a node.
type nodesRequest struct {
	_     struct{} `cbor:",toarray"`
	Size  uint64
	Tree  uint64
	Level uint64
	Index uint64
}

func encode(kind byte, v any) ([]byte, error) {
	b, err := spec.Encode(v)
	return append([]byte{kind}, b...), err
}

// decodeRequest reads what a server is asked.
func decodeRequest(frame []byte) (kind byte, v any, err error) {
	if len(frame) == 0 {
		return 0, nil, spec.Errorf(spec.CodeMalformed, "an empty message")
	}
	switch kind = frame[0]; kind {
	case kindManifest:
		v = new(manifestRequest)
	case kindChunk, kindRules, kindKeys:
		v = new(chunkRequest)
	case kindNodes:
		v = new(nodesRequest)
	default:
		return kind, nil, spec.Errorf(spec.CodeMalformed, "unknown kind of request %d", kind)
	}
	if err := spec.Decode(frame[1:], v); err != nil {
		return kind, nil, err
	}
	if r, ok := v.(*chunkRequest); ok && r.Index >= map[byte]uint64{kindChunk: Chunks, kindRules: RuleChunks, kindKeys: Chunks}[kind] {
		return kind, nil, spec.Errorf(spec.CodeMalformed, "a snapshot has %d chunks, and %d of rules", Chunks, RuleChunks)
	}
	return kind, v, nil
}

func encodeFault(err error) ([]byte, error) {
	b, encErr := p2p.EncodeFault(err)
	return append([]byte{kindFault}, b...), encErr
}

// splitHashes reads hashes that stand one after the other.
func splitHashes(data []byte) ([]spec.Hash, error) {
	const n = len(spec.Hash{})
	if len(data)%n != 0 || len(data) > maxNodes {
		return nil, spec.Errorf(spec.CodeMalformed, "not the hashes below a node")
	}
	out := make([]spec.Hash, len(data)/n)
	for i := range out {
		out[i] = spec.Hash(data[i*n:][:n])
	}
	return out, nil
}

func joinHashes(list []spec.Hash) []byte {
	out := make([]byte, 0, len(list)*len(spec.Hash{}))
	for _, h := range list {
		out = append(out, h[:]...)
	}
	return out
}
