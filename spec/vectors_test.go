// SPDX-License-Identifier: Apache-2.0

package spec_test

import (
	"bytes"
	"encoding/hex"
	"flag"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

var update = flag.Bool("update", false, "write the conformance vectors anew")

const vectorFile = "testdata/objects.json"

// A vector is the canonical bytes, or the digest, of one object.
type vector struct {
	Name string `json:"name"`
	Kind string `json:"kind"` // which parser reads it; "digest" for none
	Note string `json:"note"`
	Hex  string `json:"hex"`
}

type vectorBook struct {
	Notice  string   `json:"notice"`
	Vectors []vector `json:"vectors"`
}

func (b *vectorBook) add(name, kind, note string, data []byte) {
	b.Vectors = append(b.Vectors, vector{name, kind, note, hex.EncodeToString(data)})
}

// book computes every vector from the objects that the notes describe.
func book(t testing.TB) *vectorBook {
	b := &vectorBook{Notice: "Canonical bytes of objects of operations.md. Key n is the Ed25519 key of 32 bytes n; an organisation n has the op, cosign and libp2p keys 3n, 3n+1, 3n+2. Operations are of alpha, key 3, seq 7, epoch 2, made 1700000000000 (a recover: seq 0, made 0), for the genesis document below."}
	g := genesis()
	raw, err := g.Encode()
	if err != nil {
		t.Fatal(err)
	}
	b.add("genesis", "genesis", "members alpha (1, FR) and bravo (2, GB), reader tango (3, DE); the default policy", raw)
	hash, origin := g.Hash(), g.Origin()
	b.add("genesis-hash", "digest", "SHA-256 of genesis", hash[:])
	b.add("origin", "digest", "ASCII: name, a slash, 16 hex digits of genesis-hash", []byte(origin))
	for _, v := range bodies() {
		b.add(v.name, "envelope", v.note, sign(t, v.body))
	}
	o, err := opening().Encode()
	if err != nil {
		t.Fatal(err)
	}
	b.add("opening", "opening", "of the operation proposal: sha256 a1…, pdq a2… of quality 90 (item 0), md5 a3… (item 1), each salted with its own byte; one text and none", o)
	erased := opening()
	erased.Signals[1] = spec.Opened{Erased: true, Blinded: erased.Signals[1].Commitment()}
	if o, err = erased.Encode(); err != nil {
		t.Fatal(err)
	}
	b.add("opening-erased", "opening", "the same with the pdq erased: its commitment alone is left", o)
	if o, err := opening().Keys().Encode(); err != nil {
		t.Fatal(err)
	} else {
		b.add("opening-keys", "opening", "the same as the digest tier has it: k in the place of type and value, no text", o)
	}
	addDigests(b, t)
	addLeaves(b, t)
	e := spec.RaftEntry{Tick: []spec.Timed{timed()}, Submissions: []spec.Submission{{Envelope: sign(t, proposal()), Opening: o}, {Envelope: sign(t, vote())}}}
	entry, err := e.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	b.add("raft-entry", "raft-entry", "the checkpoint of the tick, the proposal with opening-erased, the vote without an opening", entry)
	return b
}

func addDigests(b *vectorBook, t testing.TB) {
	caseID := spec.LeafHash(sign(t, proposal()))
	entryID := spec.EntryID(caseID, 1)
	signal := opening().Signals[0]
	k, c := signal.Signal.Key(), signal.Commitment()
	meta := encode(t, liveMeta())
	leaf := spec.LiveLeaf(k, c, meta)
	keyID := public(3).ID()
	policy := genesis().Policy
	digest := policy.Digest()
	rule := spec.RuleLeaf(spec.GenesisKey, encode(t, &spec.GenesisRecord{Origin: genesis().Origin(), Hash: genesis().Hash()}))
	place := spec.RulePlace(spec.GenesisKey)
	b.add("case-id", "digest", "of the operation proposal: SHA-256(0x00 ‖ envelope)", caseID[:])
	b.add("entry-id", "digest", "of item 1 of that case", entryID[:])
	b.add("k", "digest", "of the sha256 signal of the opening", k[:])
	b.add("commitment", "digest", "of the same signal", c[:])
	b.add("live-meta", "digest", "entry id, active, since 12, no sunset, labels propaganda and video", meta)
	b.add("live-leaf", "digest", "SHA-256(0x00 ‖ k ‖ commitment ‖ live-meta)", leaf[:])
	b.add("key-id", "digest", "of key 3", keyID[:])
	b.add("policy-digest", "digest", "SHA-256 of the default policy", digest[:])
	b.add("rule-leaf", "digest", "of the record of the genesis document", rule[:])
	b.add("rule-place", "digest", "of the same record", place[:])
}

func liveMeta() *spec.LiveMeta {
	return &spec.LiveMeta{Entry: spec.EntryID(spec.Hash{1}, 0), State: spec.StateActive, Since: 12, Labels: []string{"propaganda", "video"}}
}

// TestVectors computes every vector again, or writes them with -update.
func TestVectors(t *testing.T) {
	want := book(t)
	if *update {
		writeBook(t, vectorFile, want)
	}
	got := vectors(t)
	if len(got) != len(want.Vectors) {
		t.Fatalf("%s has %d vectors, the objects make %d", vectorFile, len(got), len(want.Vectors))
	}
	for i, v := range want.Vectors {
		if got[i] != v {
			t.Errorf("%s: the file says\n %+v\nthe object is\n %+v", v.Name, got[i], v)
		}
	}
}

func vectors(t testing.TB) []vector {
	t.Helper()
	return readBook(t, vectorFile).Vectors
}

func (v *vector) bytes(t testing.TB) []byte {
	t.Helper()
	b, err := hex.DecodeString(v.Hex)
	if err != nil {
		t.Fatalf("%s: %v", v.Name, err)
	}
	return b
}

// reread parses bytes of a kind and encodes what it read.
func reread(kind string, data []byte) ([]byte, error) {
	switch kind {
	case "genesis":
		g, err := spec.ParseGenesis(data)
		if err != nil {
			return nil, err
		}
		return g.Encode()
	case "envelope":
		s, err := spec.ParseEnvelope(data)
		if err != nil {
			return nil, err
		}
		return envelopeOf(s)
	case "opening":
		o, err := spec.ParseOpening(data)
		if err != nil {
			return nil, err
		}
		return o.Encode()
	case "raft-entry":
		e, err := spec.ParseRaftEntry(data)
		if err != nil {
			return nil, err
		}
		return e.Marshal()
	default:
		l, err := spec.ParseLeaf(data)
		if err != nil {
			return nil, err
		}
		return leafOf(l)
	}
}

// envelopeOf builds the envelope again from its decoded parts, the body too.
func envelopeOf(s *spec.Signed) ([]byte, error) {
	body, err := spec.Encode(s.Body)
	if err != nil {
		return nil, err
	}
	op := s.Op
	op.Body = body
	raw, err := spec.Encode(&op)
	if err != nil {
		return nil, err
	}
	var env spec.Envelope
	if err := spec.Decode(s.Envelope, &env); err != nil {
		return nil, err
	}
	env.Op = raw
	return spec.Encode(&env)
}

func leafOf(l spec.Leaf) ([]byte, error) {
	switch {
	case l.Signed != nil:
		return envelopeOf(l.Signed)
	case l.Tick != nil:
		return spec.Encode(l.Tick)
	case l.Admission != nil:
		return spec.Encode(l.Admission)
	case l.Panel != nil:
		return spec.Encode(l.Panel)
	case l.Notice != nil:
		return spec.Encode(l.Notice)
	case l.Decision != nil:
		return spec.Encode(l.Decision)
	default:
		return spec.Encode(l.StateRoot)
	}
}

// TestVectorsParse reads each vector and writes it again.
func TestVectorsParse(t *testing.T) {
	for _, v := range vectors(t) {
		if v.Kind == "digest" {
			continue
		}
		data := v.bytes(t)
		again, err := reread(v.Kind, data)
		if err != nil {
			t.Errorf("%s: %v", v.Name, err)
		} else if !bytes.Equal(again, data) {
			t.Errorf("%s: read and written again it is %x", v.Name, again)
		}
	}
}

// TestVectorSignatures checks the signatures under the origin and no other.
func TestVectorSignatures(t *testing.T) {
	origin := genesis().Origin()
	for _, v := range vectors(t) {
		if v.Kind != "envelope" {
			continue
		}
		s, err := spec.ParseEnvelope(v.bytes(t))
		if err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
		if !s.Verify(origin, public(3)) {
			t.Errorf("%s: the signature does not hold", v.Name)
		}
		if s.Verify("other/0000000000000000", public(3)) || s.Verify(origin, public(6)) {
			t.Errorf("%s: the signature holds for another consortium or key", v.Name)
		}
	}
}
