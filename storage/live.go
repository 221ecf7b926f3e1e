// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"

	"github.com/tocsin-db/tocsin/spec"
)

// liveSignal is one signal of one entry that lookups find.
type liveSignal struct {
	_       struct{} `cbor:",toarray"`
	Type    string   // empty, as Value is, of one that is keyed
	Value   []byte
	Quality uint64
	C       spec.Hash // its commitment in the proposal
	Meta    []byte    // encoded spec.LiveMeta
	Salt    [spec.SaltSize]byte
	Item    uint64 // in the proposal; with the salt, what C opens to

	k, entry spec.Hash // from the key
}

func parseLive(key, value []byte) (*liveSignal, error) {
	v, ok := quickLive(value)
	if len(key) != 65 || !ok {
		return nil, spec.Errorf(spec.CodeCorrupt, "a live signal cannot be decoded")
	}
	l := liveSignal{Type: typeName(v.Type), Value: bytes.Clone(v.Value), Quality: v.Quality, C: spec.Hash(v.C), Meta: bytes.Clone(v.Meta), Item: v.Item}
	copy(l.Salt[:], v.Salt)
	if t, ok := spec.SignalTypeOf(l.Type); (!ok && !(l.keyed() && len(l.Value) == 0)) || t.Size != 0 && len(l.Value) != t.Size {
		return nil, spec.Errorf(spec.CodeCorrupt, "a live signal has a value of another size than its type")
	}
	copy(l.k[:], key[1:33])
	copy(l.entry[:], key[33:])
	return &l, nil
}
