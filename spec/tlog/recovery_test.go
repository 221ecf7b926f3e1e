// SPDX-License-Identifier: Apache-2.0

package tlog

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

// rulesTree is the root over records, each alone in its bucket, with their proofs in
// the order of their keys.
func rulesTree(t testing.TB, records map[string][]byte) (spec.Hash, []Record) {
	t.Helper()
	bucket := func(key string) uint32 {
		p := spec.RulePlace([]byte(key))
		return uint32(p[0])<<8 | uint32(p[1])
	}
	level := map[uint32]spec.Hash{}
	for key, value := range records {
		level[bucket(key)] = spec.RuleLeaf([]byte(key), value)
	}
	if len(level) != len(records) {
		t.Fatal("two records fall into one bucket")
	}
	siblings := map[string][]spec.Hash{}
	empty := spec.EmptyRoot
	at := func(i uint32) spec.Hash {
		if h, ok := level[i]; ok {
			return h
		}
		return empty
	}
	for depth := range RulesBits {
		next := map[uint32]spec.Hash{}
		for key := range records {
			siblings[key] = append(siblings[key], at(bucket(key)>>depth^1))
		}
		for i := range level {
			next[i>>1] = spec.NodeHash(at(i&^1), at(i|1))
		}
		level, empty = next, spec.NodeHash(empty, empty)
	}
	var out []Record
	for _, key := range slices.Sorted(maps.Keys(records)) {
		out = append(out, Record{Key: []byte(key), Value: records[key], Proof: BucketProof{Siblings: siblings[key]}})
	}
	return level[0], out
}

// opKey is the op key of a seat's organisation, further from those of seats.
func opKey(i int) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i + 101)}, ed25519.SeedSize))
}

func mustEncode(t testing.TB, v any) []byte {
	t.Helper()
	b, err := spec.Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// recovered makes a log of a leaf and the root of the state, final by a panel of
// org-0 and org-1; org-1 is lost, and two of three members go on with org-0, under
// a new key, and org-2.
func recovered(t testing.TB) (*spec.Panel, *Link) {
	t.Helper()
	list, keys := seats(4)
	first := &spec.Panel{Tag: spec.TagPanel, K: 2, Seats: list[:2]}
	c, err := ChainFrom(testOrigin, first)
	if err != nil {
		t.Fatal(err)
	}
	records := map[string][]byte{string(spec.ClockKey): mustEncode(t, &spec.Clock{Epoch: 4, TimeMS: 1000, Members: 3, Schemas: []uint64{spec.OpVersion}})}
	for i := range 3 {
		o := spec.Organisation{ID: list[i].Org, Name: list[i].Org, Role: spec.RoleMember, Jurisdiction: "FR", OpKey: spec.PublicKey(opKey(i).Public().(ed25519.PublicKey)), CosignKey: list[i].Key}
		records[string(spec.OrgKey(o.ID))] = mustEncode(t, &spec.OrgRecord{Organisation: o})
	}
	root, proved := rulesTree(t, records)
	log := new(Memory)
	state := mustEncode(t, &spec.StateRoot{Tag: spec.TagStateRoot, SizeBefore: 1, RulesRoot: root, Epoch: 4, TimeMS: 1000})
	log.Add(spec.LeafHash([]byte("a leaf")))
	log.Add(spec.LeafHash(state))
	checkpoint := func() Checkpoint {
		root, err := Root(log, log.Size)
		if err != nil {
			t.Fatal(err)
		}
		return Checkpoint{Origin: testOrigin, Size: log.Size, Root: root}
	}
	from := checkpoint()
	r := Recovery{Records: proved, Root: Leaf{Index: 1, Bytes: state}}
	if r.Note, err = c.Note(signed(c.At(2), keys, from, 10, 20)); err != nil {
		t.Fatal(err)
	}
	if r.Root.Proof, err = Inclusion(log, 2, 1); err != nil {
		t.Fatal(err)
	}
	body := &spec.Recover{Size: 2, Root: from.Root, Epoch: 5, Seats: []spec.Seat{{Org: "org-0", Key: list[3].Key}, list[2]}}
	raw := mustEncode(t, body)
	for _, i := range []int{1, 2} { // one of them sits no more
		op := &spec.Op{Version: spec.OpVersion, Kind: spec.KindRecover, Org: list[i].Org, Key: spec.PublicKey(opKey(i).Public().(ed25519.PublicKey)).ID(), Epoch: 4, Body: raw}
		env, err := spec.Sign(testOrigin, op, opKey(i))
		if err != nil {
			t.Fatal(err)
		}
		r.Ops = append(r.Ops, Leaf{Index: log.Size, Bytes: env})
		log.Add(spec.LeafHash(env))
	}
	next := &spec.Panel{Tag: spec.TagPanel, Number: 1, K: 2, Seats: body.Seats}
	leaf := mustEncode(t, next)
	log.Add(spec.LeafHash(leaf))
	log.Add(spec.LeafHash([]byte("the root of the state")))
	for i := range r.Ops {
		if r.Ops[i].Proof, err = Inclusion(log, log.Size, r.Ops[i].Index); err != nil {
			t.Fatal(err)
		}
	}
	if r.Consistency, err = Consistency(log, 2, log.Size); err != nil {
		t.Fatal(err)
	}
	if err := c.Grow(next, log.Size, from.Size); err != nil {
		t.Fatal(err)
	}
	at := &Signed{Checkpoint: checkpoint()}
	for i, key := range []ed25519.PrivateKey{keys[3], keys[2]} {
		at.Cosignatures = append(at.Cosignatures, Cosign(at.Checkpoint, body.Seats[i].Org, key, 30))
	}
	l, err := NewLink(c, log, leaf, at, &r)
	if err != nil {
		t.Fatal(err)
	}
	return first, l
}

func add(t testing.TB, first *spec.Panel, data []byte) (*Chain, error) {
	t.Helper()
	l, err := ParseLink(data)
	if err != nil {
		return nil, err
	}
	c, err := ChainFrom(testOrigin, first)
	if err != nil {
		t.Fatal(err)
	}
	return c, c.Add(l)
}

// A recovery is followed by whoever knows the panel before, and each of its bytes
// counts.
func TestARecoveryIsFollowed(t *testing.T) {
	first, l := recovered(t)
	data := mustEncode(t, l)
	c, err := add(t, first, data)
	if err != nil {
		t.Fatal(err)
	}
	for size, want := range map[uint64][]string{2: {"org-0", "org-1"}, 3: {"org-0", "org-2"}, 6: {"org-0", "org-2"}, 9: {"org-0", "org-2"}} {
		if got := c.At(size).Orgs(); !slices.Equal(got, want) {
			t.Errorf("%v make size %d final, not %v", got, size, want)
		}
	}
	if got := c.From(2); !slices.Equal(got, []string{"org-0", "org-2"}) {
		t.Errorf("at the checkpoint %v are waited for", got)
	}
	if got := c.Recoveries(); len(got) != 1 || got[0].From != 2 || got[0].Size != 6 || got[0].Root == (spec.Hash{}) {
		t.Errorf("recoveries: %v", got)
	}
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 1
		if _, err := add(t, first, bad); spec.CodeOf(err) == "" {
			t.Fatalf("byte %d of %d turned: %v", i, len(data), err)
		}
	}
	own, err := ChainFrom(testOrigin, first) // of a node that derived the panel itself
	if err == nil {
		err = own.Grow(&spec.Panel{Tag: spec.TagPanel, Number: 1, K: 2, Seats: c.turns[1].of.Seats}, 6, 2)
	}
	if err != nil {
		t.Fatal(err)
	}
	forged := *l
	r, err := l.recovery()
	if err != nil {
		t.Fatal(err)
	}
	r.Ops = r.Ops[:1]
	forged.Recovery = mustEncode(t, r)
	if err := own.Add(&forged); spec.CodeOf(err) != spec.CodeRecovery {
		t.Errorf("a recovery of too few is kept where the panel is known: %v", err)
	}
	if err := own.Add(l); err != nil {
		t.Error(err)
	}
	if links, err := own.Links(6); err != nil || len(links) != 1 {
		t.Errorf("%d links, %v", len(links), err)
	}
}

// A recovery does not go on from what was before the panel that it replaces took
// over, nor from what that panel did not make final.
func TestARecoveryGoesOnFromThePanelBefore(t *testing.T) {
	first, l := recovered(t)
	c, err := ChainFrom(testOrigin, first)
	if err != nil {
		t.Fatal(err)
	}
	list, _ := seats(4)
	if err := c.Grow(&spec.Panel{Tag: spec.TagPanel, Number: 1, K: 2, Seats: list[:3]}, 3, 0); err != nil {
		t.Fatal(err)
	}
	again := *l
	leaf, err := spec.ParseLeaf(l.Panel)
	if err != nil {
		t.Fatal(err)
	}
	leaf.Panel.Number = 2
	again.Panel = mustEncode(t, leaf.Panel)
	if err := c.Add(&again); spec.CodeOf(err) != spec.CodeProof {
		t.Errorf("it went on from before the panel in force: %v", err)
	}
	other := &spec.Panel{Tag: spec.TagPanel, K: 2, Seats: []spec.Seat{list[0], list[2]}}
	if _, err := add(t, other, mustEncode(t, l)); spec.CodeOf(err) == "" {
		t.Errorf("it went on from what others made final: %v", err)
	}
}

var update = flag.Bool("update", false, "write the conformance vectors anew")

const vectorFile = "../testdata/recovery.json"

// recoveryVectors are the bytes of a recovery, and of what it takes to follow it.
type recoveryVectors struct {
	Notice string `json:"notice"`
	Origin string `json:"origin"`
	Before string `json:"panel_before"`
	Link   string `json:"link"`
}

// The bytes of a recovery's link are those of the conformance vectors.
func TestTheVectorOfARecovery(t *testing.T) {
	first, l := recovered(t)
	want := recoveryVectors{
		Notice: "Canonical bytes (log.md, Hand-off). Key n is the Ed25519 key of 32 bytes n; organisation org-i has cosign key i+1 and op key i+101. Of the members org-0, org-1, org-2 the first two sequence; epoch 4. org-1 and org-2 go on from size 2 with org-0, which cosigns with key 4, and org-2, in epoch 5.",
		Origin: testOrigin, Before: hex.EncodeToString(mustEncode(t, first)), Link: hex.EncodeToString(mustEncode(t, l)),
	}
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
	var got recoveryVectors
	b, err := os.ReadFile(vectorFile)
	if err == nil {
		err = json.Unmarshal(b, &got)
	}
	if err != nil || got != want {
		t.Fatalf("the file says\n%+v, %v\nthe objects are\n%+v", got, err, want)
	}
	link, err := hex.DecodeString(got.Link)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := add(t, first, link); err != nil {
		t.Fatal(err)
	}
}
