// SPDX-License-Identifier: Apache-2.0

package spec_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

// A place is the head of one CBOR item inside an object.
type place struct {
	at, head int // offset and length of the head
	major    byte
	arg      uint64
	end      int // where the item ends
}

// places walks well-formed deterministic CBOR.
func places(t *testing.T, data []byte, at int, out *[]place) int {
	t.Helper()
	p := place{at: at, head: 1, major: data[at] >> 5, arg: uint64(data[at] & 31)}
	if p.arg >= 24 {
		n := 1 << (p.arg - 24)
		p.head += n
		p.arg = binary.BigEndian.Uint64(append(make([]byte, 8-n), data[at+1:at+1+n]...))
	}
	i := len(*out)
	*out = append(*out, p)
	end := at + p.head
	switch p.major {
	case 2, 3:
		end += int(p.arg)
	case 4:
		for range p.arg {
			end = places(t, data, end, out)
		}
	}
	(*out)[i].end = end
	return end
}

// splice replaces data[from:to].
func splice(data []byte, from, to int, with ...byte) []byte {
	return append(append(append([]byte(nil), data[:from]...), with...), data[to:]...)
}

// wrong returns the encodings of the item at p, other than the canonical one,
// that a lax decoder takes for the same object or for a similar one.
func wrong(data []byte, p place) map[string][]byte {
	info := data[p.at] & 31
	out := map[string][]byte{
		"tag before it":       splice(data, p.at, p.at, 0xc1),
		"map in its place":    splice(data, p.at, p.end, 0xa2, 0x61, 'a', 1, 0x61, 'a', 2),
		"null in its place":   splice(data, p.at, p.end, 0xf6),
		"undefined":           splice(data, p.at, p.end, 0xf7),
		"half float":          splice(data, p.at, p.end, 0xf9, 0x3c, 0),
		"arrays without end":  splice(data, p.at, p.end, bytes.Repeat([]byte{0x81}, 40)...),
		"eight-byte head":     splice(data, p.at, p.at+p.head, append([]byte{p.major<<5 | 27}, binary.BigEndian.AppendUint64(nil, p.arg)...)...),
		"one item is missing": splice(data, p.at, p.end),
	}
	if p.major == 7 || info == 27 {
		delete(out, "eight-byte head")
	}
	if p.major >= 2 && p.major <= 4 {
		out["length of 2^62"] = splice(data, p.at, p.at+p.head, p.major<<5|27, 0x40, 0, 0, 0, 0, 0, 0, 0)
		body := append(append([]byte{p.major<<5 | 31}, data[p.at+p.head:p.end]...), 0xff)
		if p.major < 4 { // chunks
			body = append(append([]byte{p.major<<5 | 31}, data[p.at:p.end]...), 0xff)
		}
		out["indefinite length"] = splice(data, p.at, p.end, body...)
	}
	return out
}

// TestEveryOtherEncodingIsRefused puts every wrong encoding at every place of
// every vector. What a byte string holds is its own object with its own vectors.
func TestEveryOtherEncodingIsRefused(t *testing.T) {
	for _, v := range vectors(t) {
		if v.Kind == "digest" {
			continue
		}
		data := v.bytes(t)
		refused(t, v.Name, "trailing byte", v.Kind, append(bytes.Clone(data), 0))
		refused(t, v.Name, "cut short", v.Kind, data[:len(data)-1])
		refused(t, v.Name, "nothing", v.Kind, nil)
		var all []place
		places(t, data, 0, &all)
		for _, p := range all {
			for what, bad := range wrong(data, p) {
				refused(t, v.Name, fmt.Sprintf("%s at byte %d", what, p.at), v.Kind, bad)
			}
		}
	}
}

func refused(t *testing.T, name, what, kind string, data []byte) {
	t.Helper()
	if _, err := reread(kind, data); spec.CodeOf(err) == "" {
		t.Errorf("%s with %s: %v, want a refusal with a code", name, what, err)
	}
}

// TestEveryOtherOperationIsRefused does the same inside the signed bytes, with a
// signature that holds.
func TestEveryOtherOperationIsRefused(t *testing.T) {
	for _, v := range bodies() {
		var env spec.Envelope
		if err := spec.Decode(sign(t, v.body), &env); err != nil {
			t.Fatal(err)
		}
		var all []place
		places(t, env.Op, 0, &all)
		for _, p := range all {
			for what, bad := range wrong(env.Op, p) {
				e := spec.Envelope{Op: bad, Sig: env.Sig}
				refused(t, v.name, fmt.Sprintf("%s at byte %d of the operation", what, p.at), "envelope", encode(t, &e))
			}
		}
	}
}

// TestLimitsComeBeforeWork refuses what is too large by its size.
func TestLimitsComeBeforeWork(t *testing.T) {
	for kind, size := range map[string]int{
		"envelope": spec.MaxLeaf, "opening": spec.MaxOpening, "raft-entry": spec.MaxRaftEntry, "genesis": spec.MaxRaftEntry, "leaf": spec.MaxLeaf,
	} {
		data := encode(t, &spec.Envelope{Op: make([]byte, size)})
		if _, err := reread(kind, data); spec.CodeOf(err) != spec.CodeTooLarge {
			t.Errorf("%s of %d bytes: %v", kind, len(data), err)
		}
	}
	many := &spec.RaftEntry{Submissions: make([]spec.Submission, spec.MaxSubmissions+1)}
	if _, err := many.Marshal(); spec.CodeOf(err) != spec.CodeTooLarge {
		t.Errorf("too many submissions: %v", err)
	}
	if _, err := spec.ParseRaftEntry(encode(t, many)); spec.CodeOf(err) != spec.CodeTooLarge {
		t.Errorf("too many submissions: %v", err)
	}
}
