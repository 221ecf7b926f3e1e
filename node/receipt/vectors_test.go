// SPDX-License-Identifier: Apache-2.0

package receipt_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"testing"

	"github.com/tocsin-db/tocsin/node/audit"
	"github.com/tocsin-db/tocsin/node/cosign"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

var update = flag.Bool("update", false, "write the conformance vectors anew")

const vectorFile = "../../spec/testdata/log.json"

const notice = "Made by this project. Bytes of a log, its checkpoints, hand-offs and receipts (log.md, receipt.md), all of one history: members alpha, bravo, charlie and delta found a consortium with the default policy; " +
	"list an item (sha256 and md5 of bytes 01) and another (02); exchange delta's cosign key 13 for key 40, which is a hand-off to panel 1; and retract the first item. " +
	"Key n is the Ed25519 key of 32 bytes n; of the members, the first has the op, cosign and libp2p keys 3, 4, 5, the next 6, 7, 8 and so on. Each group is a minute after the one before, from 1700000000000 on; cosignatures of one checkpoint are a second apart."

// A vector is the bytes of one object.
type vector struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
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

// book tells the story and takes the bytes of every object that comes of it.
func book(t testing.TB) *vectorBook {
	b, h := &vectorBook{Notice: notice}, newStory(t)
	g, err := h.genesis.Encode()
	h.must(err)
	b.add("genesis", "genesis", "the founding document", g)
	b.add("log-key", "text", "the log key as stock tools take it", []byte(tlog.LogVerifierKey(h.genesis.Origin())))
	b.add("cosign-key", "text", "alpha's cosign key as stock tools take it", []byte(tlog.CosignerVerifierKey(h.genesis.Origin(), spec.Seat{Org: "alpha", Key: public(4)})))
	entry, signal := h.list(1)
	h.list(2)
	b.receipts(h, entry, signal)
	h.exchange()
	b.handOff(h)
	b.retraction(h, entry)
	b.log(h)
	return b
}

func (b *vectorBook) receipts(h *story, entry spec.Hash, signal spec.Signal) {
	h.t.Helper()
	r, err := h.maker().Get(h.t.Context(), entry, &signal)
	h.must(err)
	b.add("receipt-listing", "receipt", "that the first item is listed, opening its sha256", r)
	r, err = h.maker().Get(h.t.Context(), entry, nil)
	h.must(err)
	b.add("receipt-withheld", "receipt", "the same, withholding every value", r)
	r, err = h.maker().Absent(h.t.Context(), spec.Signal{Type: "sha256", Value: bytes.Repeat([]byte{9}, 32)})
	h.must(err)
	b.add("receipt-absence", "absence", "that no entry lists the sha256 of bytes 09, by an empty bucket", r)
	beside := besideOf(signal)
	r, err = h.maker().Absent(h.t.Context(), beside)
	h.must(err)
	b.add("receipt-absence-beside", "absence", "that no entry lists the md5 "+beside.Text()+", which would stand in the bucket of the first item's sha256", r)
}

// besideOf is the first md5, counted up in its last bytes, whose place is in the
// bucket of a signal.
func besideOf(s spec.Signal) spec.Signal {
	k := s.Key()
	bucket := func(h spec.Hash) uint32 { return binary.BigEndian.Uint32(h[:]) >> (32 - tlog.LiveBits) }
	for n := uint64(0); ; n++ {
		out := spec.Signal{Type: "md5", Value: binary.BigEndian.AppendUint64(make([]byte, 8), n)}
		if bucket(out.Key()) == bucket(k) {
			return out
		}
	}
}

// exchange gives delta another cosign key, by a case that the others decide.
func (h *story) exchange() {
	h.t.Helper()
	card := spec.NewKeyCard("delta", spec.UseCosign, seed(40))
	id := h.group(3, &spec.KeyChange{Org: "delta", Use: spec.UseCosign, New: []spec.PublicKey{card.Key}, Proof: []spec.Proof{card.Proof}, Reason: "rotation"}, nil)
	h.cosign["delta"] = append(h.cosign["delta"], 40)
	h.approve(id, 0, 1, 2)
	if len(h.links) != 1 {
		h.t.Fatalf("the exchange of a key made %d hand-offs", len(h.links))
	}
}

func (b *vectorBook) handOff(h *story) {
	h.t.Helper()
	l, err := h.links[0].Encode()
	h.must(err)
	b.add("panel", "leaf", "panel 1: delta with key 40", h.links[0].Panel)
	b.add("link", "link", "how it took over: the checkpoint is cosigned with keys 4, 7, 10, 13 and 40", l)
}

func (b *vectorBook) retraction(h *story, entry spec.Hash) {
	h.t.Helper()
	id := h.group(3, &spec.Dispute{Entry: entry, Reason: "lawful-content"}, nil)
	h.approve(id, 1)
	r, err := h.maker().Get(h.t.Context(), entry, nil)
	h.must(err)
	b.add("receipt-retraction", "receipt", "that it was retracted, behind the hand-off; no sequencer has said yet that it applied this", r)
	var e spec.Entry
	record, err := h.store.Record(spec.EntryKey(entry))
	h.must(err)
	h.must(spec.Decode(record, &e))
	for m := range members {
		h.group(m, &spec.Applied{At: []spec.AppliedAt{{Index: e.Since, AtMS: h.stamp + uint64(m)}}}, nil)
	}
	r, err = h.maker().Get(h.t.Context(), entry, nil)
	h.must(err)
	b.add("receipt-retraction-applied", "receipt", "the same, once every sequencer had", r)
}

// log adds what the log's files and dumps hold at the end, and evidence against bravo.
func (b *vectorBook) log(h *story) {
	h.t.Helper()
	note, err := h.chain.Note(h.final)
	h.must(err)
	b.add("checkpoint", "note", "the final checkpoint", note)
	old := h.links[0].Note
	before, err := h.chain.OpenFinal(old)
	h.must(err)
	proof, err := tlog.Consistency(h.store, before.Size, h.final.Size)
	h.must(err)
	b.add("consistency", "hashes", "from the checkpoint of the hand-off to that one", join(proof))
	proof, err = tlog.Inclusion(h.store, h.final.Size, 2)
	h.must(err)
	b.add("inclusion", "hashes", "of leaf 2 in the final log", join(proof))
	files := cosign.Files{Log: h.store, Final: keeper(h), Chain: h.chain}
	for i, tile := range []tlog.Tile{{Level: 0, Width: int(h.final.Size)}, {Level: tlog.EntriesLevel, Width: int(h.final.Size)}} {
		data, err := files.Get(tile.Path())
		h.must(err)
		b.add([]string{"tile", "bundle"}[i], "file", tile.Path(), data)
	}
	b.add("dump", "dump", "the whole history", dump(h, note))
	b.add("evidence", "evidence", "that bravo cosigned another history of the size of the hand-off, of root 0700…", evidence(h, before, note))
	b.equivocations(h, before)
}

// equivocations adds what proves itself with the genesis document alone: against a
// founder by two roots, and against the key that delta exchanged its founding one for,
// by two roots and by one that the final log does not have.
func (b *vectorBook) equivocations(h *story, at *tlog.Signed) {
	h.t.Helper()
	say := func(org string, key byte, roots ...spec.Hash) []byte {
		e := &cosign.Equivocation{Version: cosign.EquivocationVersion, Org: org, Key: public(key), Size: at.Size}
		for _, root := range roots {
			s := tlog.Cosign(tlog.Checkpoint{Origin: at.Origin, Size: at.Size, Root: root}, org, seed(key), h.stamp/1000)
			e.Statements = append(e.Statements, cosign.Statement{Root: root, Time: s.Time, Sig: s.Sig})
		}
		h.must(h.maker().Accuse(h.t.Context(), e))
		out, err := e.Encode()
		h.must(err)
		return out
	}
	b.add("equivocation-founder", "equivocation", "that alpha cosigned roots 0100… and 0200… of the size of the hand-off", say("alpha", 4, spec.Hash{1}, spec.Hash{2}))
	b.add("equivocation-later-key", "equivocation", "that delta did, with key 40", say("delta", 40, spec.Hash{1}, spec.Hash{2}))
	b.add("equivocation-one-root", "equivocation", "that delta cosigned root 0100… there with key 40, which the final log never had", say("delta", 40, spec.Hash{1}))
}

func keeper(h *story) *cosign.Keeper {
	k, err := cosign.OpenKeeper(h.t.TempDir()+"/final", h.chain)
	h.must(err)
	h.t.Cleanup(func() { k.Close() })
	h.must(k.Advance(h.final))
	return k
}

func join(proof []spec.Hash) (out []byte) {
	for i := range proof {
		out = append(out, proof[i][:]...)
	}
	return out
}

func dump(h *story, note []byte) []byte {
	var out bytes.Buffer
	w, err := audit.NewWriter(&out, h.genesis, h.links, note)
	h.must(err)
	leaves, err := h.store.Leaves(0, 1<<30)
	h.must(err)
	for _, l := range leaves {
		h.must(w.Leaf(l))
	}
	h.must(w.Close())
	return out.Bytes()
}

func evidence(h *story, at *tlog.Signed, final []byte) []byte {
	lie := &tlog.Signed{Checkpoint: tlog.Checkpoint{Origin: at.Origin, Size: at.Size, Root: spec.Hash{7}}}
	lie.Cosignatures = []tlog.Cosignature{tlog.Cosign(lie.Checkpoint, "bravo", seed(7), h.stamp/1000)}
	note, err := h.chain.Note(lie)
	h.must(err)
	e := &cosign.Evidence{Conflict: note, Final: final, Root: at.Root}
	e.Proof, err = tlog.Consistency(h.store, at.Size, h.final.Size)
	h.must(err)
	b, err := e.Encode()
	h.must(err)
	return b
}

// TestVectors tells the story again, or writes its bytes with -update.
func TestVectors(t *testing.T) {
	want := book(t)
	if *update {
		var out bytes.Buffer
		enc := json.NewEncoder(&out)
		enc.SetIndent("", " ")
		enc.SetEscapeHTML(false)
		if err := enc.Encode(want); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(vectorFile, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got := pinned(t)
	if len(got) != len(want.Vectors) {
		t.Fatalf("%s has %d vectors, the story makes %d", vectorFile, len(got), len(want.Vectors))
	}
	for i, v := range want.Vectors {
		if got[i] != v {
			t.Errorf("%s: the file says\n %+v\nthe story makes\n %+v", v.Name, got[i], v)
		}
	}
}

func pinned(t testing.TB) []vector {
	t.Helper()
	data, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	var b vectorBook
	if err := json.Unmarshal(data, &b); err != nil {
		t.Fatal(err)
	}
	return b.Vectors
}

func bytesOf(t testing.TB, name string) []byte {
	t.Helper()
	for _, v := range pinned(t) {
		if v.Name == name {
			b, err := hex.DecodeString(v.Hex)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
	}
	t.Fatalf("there is no vector %s", name)
	return nil
}

// TestThePinnedDumpIsAudited repeats the history from the file alone.
func TestThePinnedDumpIsAudited(t *testing.T) {
	g, err := spec.ParseGenesis(bytesOf(t, "genesis"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := audit.Verify(t.Context(), bytes.NewReader(bytesOf(t, "dump")), audit.Options{Genesis: g})
	if err != nil {
		t.Fatal(err)
	}
	if r.Entries != 1 || r.Signals != 2 || r.Operations != 16 || !slices.Equal(r.Cosigners, members) {
		t.Errorf("the audit says %+v", r)
	}
}

// TestThePinnedEvidenceAccuses reads the evidence with the panels that the link and
// the genesis document prove.
func TestThePinnedEvidenceAccuses(t *testing.T) {
	g, err := spec.ParseGenesis(bytesOf(t, "genesis"))
	if err != nil {
		t.Fatal(err)
	}
	chain, err := tlog.NewChain(g)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tlog.ParseLink(bytesOf(t, "link"))
	if err != nil {
		t.Fatal(err)
	}
	if err := chain.Add(l); err != nil {
		t.Fatal(err)
	}
	data := bytesOf(t, "evidence")
	e, err := cosign.ParseEvidence(data)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := e.Encode(); err != nil || !bytes.Equal(again, data) {
		t.Errorf("read and written again it is %x, %v", again, err)
	}
	accused, _, err := e.Verify(chain)
	if err != nil || !slices.Equal(accused, []string{"bravo"}) {
		t.Errorf("it accuses %v, %v", accused, err)
	}
}

// TestThePinnedEquivocationsAccuse reads them with the genesis document alone; whatever
// byte of them is another, nobody is accused.
func TestThePinnedEquivocationsAccuse(t *testing.T) {
	g, err := spec.ParseGenesis(bytesOf(t, "genesis"))
	if err != nil {
		t.Fatal(err)
	}
	chain, err := tlog.NewChain(g)
	if err != nil {
		t.Fatal(err)
	}
	for name, org := range map[string]string{"equivocation-founder": "alpha", "equivocation-later-key": "delta", "equivocation-one-root": "delta"} {
		data := bytesOf(t, name)
		p, err := cosign.Judge(data, g, chain)
		if err != nil || p.Kind != cosign.Equivocating || !slices.Equal(p.Accused, []string{org}) {
			t.Errorf("%s shows %+v, %v", name, p, err)
		}
		for i := range data {
			bad := bytes.Clone(data)
			bad[i] ^= 1
			if _, err := cosign.Judge(bad, g, chain); err == nil {
				t.Errorf("%s with another byte %d accuses", name, i)
			}
		}
	}
}

// What ends before a panel that took over shows nothing to whoever knows that panel,
// whether it discarded a part of the log or was handed over to; two roots of one size
// show the same to all.
func TestAnEquivocationIsHeldAgainstThePanelsThatAreKnown(t *testing.T) {
	g, err := spec.ParseGenesis(bytesOf(t, "genesis"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]spec.Code{"equivocation-founder": "", "equivocation-one-root": spec.CodeNotFinal} {
		data := bytesOf(t, name)
		e, err := cosign.ParseEquivocation(data)
		if err != nil {
			t.Fatal(err)
		}
		for _, recovered := range []bool{false, true} {
			chain, err := tlog.NewChain(g)
			if err != nil {
				t.Fatal(err)
			}
			for i := range e.Links {
				if err := chain.Add(&e.Links[i]); err != nil {
					t.Fatal(err)
				}
			}
			size, from := e.Size+1, uint64(0)
			if len(e.Note) > 0 {
				final, err := chain.OpenFinal(e.Note)
				if err != nil {
					t.Fatal(err)
				}
				size = final.Size
			}
			if recovered {
				size, from = size+1, size-1
			}
			next := &spec.Panel{Number: chain.Number() + 1, K: 1, Seats: []spec.Seat{{Org: "zulu", Key: public(99)}}}
			if err := chain.Grow(next, size, from); err != nil {
				t.Fatal(err)
			}
			if _, err := cosign.Judge(data, g, chain); spec.CodeOf(err) != want {
				t.Errorf("%s, where a panel took over, by a recovery: %v: %v", name, recovered, err)
			}
		}
	}
}

// TestWhatIsNoEquivocation changes the parts of evidence, everything signed anew.
func TestWhatIsNoEquivocation(t *testing.T) {
	g, err := spec.ParseGenesis(bytesOf(t, "genesis"))
	if err != nil {
		t.Fatal(err)
	}
	sign := func(e *cosign.Equivocation, key byte) {
		for i := range e.Statements {
			s := &e.Statements[i]
			s.Sig = tlog.Cosign(tlog.Checkpoint{Origin: g.Origin(), Size: e.Size, Root: s.Root}, e.Org, seed(key), s.Time).Sig
		}
	}
	for what, x := range map[string]struct {
		of     string
		change func(e, other *cosign.Equivocation)
		want   spec.Code
	}{
		"the same root twice":          {"equivocation-founder", func(e, _ *cosign.Equivocation) { e.Statements[1] = e.Statements[0] }, spec.CodeProof},
		"the larger root first":        {"equivocation-founder", func(e, _ *cosign.Equivocation) { slices.Reverse(e.Statements) }, spec.CodeProof},
		"no statement":                 {"equivocation-founder", func(e, _ *cosign.Equivocation) { e.Statements = nil }, spec.CodeProof},
		"one statement by itself":      {"equivocation-founder", func(e, _ *cosign.Equivocation) { e.Statements = e.Statements[:1] }, spec.CodeCheckpoint},
		"more than it needs":           {"equivocation-founder", func(e, o *cosign.Equivocation) { e.Note = o.Note }, spec.CodeProof},
		"another's key":                {"equivocation-founder", func(e, _ *cosign.Equivocation) { e.Key = public(7); sign(e, 7) }, spec.CodeCheckpoint},
		"a key that nothing shows":     {"equivocation-later-key", func(e, _ *cosign.Equivocation) { e.State, e.Record = nil, nil }, spec.CodeKey},
		"a key that is not the record": {"equivocation-later-key", func(e, _ *cosign.Equivocation) { e.Key = public(41); sign(e, 41) }, spec.CodeKey},
		"another's record":             {"equivocation-later-key", func(e, _ *cosign.Equivocation) { e.Org = "bravo"; sign(e, 40) }, spec.CodeKey},
		"no hand-off":                  {"equivocation-later-key", func(e, _ *cosign.Equivocation) { e.Links = nil }, spec.CodeCheckpoint},
		"the root that the log had":    {"equivocation-one-root", func(e, _ *cosign.Equivocation) { e.Statements[0].Root = e.Root[0]; sign(e, 40) }, spec.CodeProof},
		"another root of the log":      {"equivocation-one-root", func(e, _ *cosign.Equivocation) { e.Root[0][0] ^= 1 }, spec.CodeProof},
	} {
		e, err := cosign.ParseEquivocation(bytesOf(t, x.of))
		if err != nil {
			t.Fatal(err)
		}
		other, err := cosign.ParseEquivocation(bytesOf(t, "equivocation-one-root"))
		if err != nil {
			t.Fatal(err)
		}
		x.change(e, other)
		if err := e.Verify(g); spec.CodeOf(err) != x.want {
			t.Errorf("%s: %v, want %s", what, err, x.want)
		}
	}
}
