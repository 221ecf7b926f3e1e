// SPDX-License-Identifier: Apache-2.0

package tlog

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"testing"

	formats "github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/formats/note"
	sumnote "golang.org/x/mod/sumdb/note"

	"github.com/tocsin-db/tocsin/spec"
)

// seats makes n seats with keys that depend on their number alone.
func seats(n int) ([]spec.Seat, []ed25519.PrivateKey) {
	var list []spec.Seat
	var keys []ed25519.PrivateKey
	for i := range n {
		key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i + 1)}, ed25519.SeedSize))
		keys = append(keys, key)
		list = append(list, spec.Seat{Org: fmt.Sprintf("org-%d", i), Key: spec.PublicKey(key.Public().(ed25519.PublicKey))})
	}
	return list, keys
}

const testOrigin = "trial.example/0123456789abcdef"

func panelOf(t testing.TB, n int) (*Panel, []ed25519.PrivateKey) {
	t.Helper()
	list, keys := seats(n)
	p, err := NewPanel(testOrigin, &spec.Panel{K: uint64(Quorum(n)), Seats: list})
	if err != nil {
		t.Fatal(err)
	}
	return p, keys
}

func signed(p *Panel, keys []ed25519.PrivateKey, c Checkpoint, times ...uint64) *Signed {
	s := &Signed{Checkpoint: c}
	for i, unix := range times {
		s.Cosignatures = append(s.Cosignatures, Cosign(c, p.Orgs()[i], keys[i], unix))
	}
	return s
}

// What we sign, the formats library and the note package of Go's checksum
// database accept byte for byte; what they sign, we accept.
func TestNoteIsThatOfStockLibraries(t *testing.T) {
	p, keys := panelOf(t, 3)
	c := Checkpoint{Origin: testOrigin, Size: 7, Root: spec.Hash{1, 2, 3}}
	b, err := p.Note(signed(p, keys, c, 1700000000, 1700000001))
	if err != nil {
		t.Fatal(err)
	}
	logKey, err := sumnote.NewVerifier(LogVerifierKey(testOrigin))
	if err != nil {
		t.Fatal(err)
	}
	known := []sumnote.Verifier{logKey}
	list, _ := seats(3)
	for i := range list {
		v, err := note.NewVerifierForCosignatureV1(CosignerVerifierKey(testOrigin, list[i]))
		if err != nil {
			t.Fatal(err)
		}
		known = append(known, v)
	}
	n, err := sumnote.Open(b, sumnote.VerifierList(known...))
	if err != nil || len(n.Sigs) != 3 || len(n.UnverifiedSigs) != 0 {
		t.Fatalf("stock libraries read %v, %v", n, err)
	}
	if at, err := note.CoSigV1Timestamp(n.Sigs[1]); err != nil || at.Unix() != 1700000000 {
		t.Fatalf("the first cosignature is of %v, %v", at, err)
	}
	cp, _, _, err := formats.ParseCheckpoint(b, testOrigin, logKey, known[1:]...)
	if err != nil || cp.Size != 7 || !bytes.Equal(cp.Hash, c.Root[:]) {
		t.Fatalf("the formats library reads %v, %v", cp, err)
	}
	seed := append([]byte{keyEd25519}, keys[2].Seed()...)
	name := CosignerName(testOrigin, list[2].Org)
	signer, err := note.NewSignerForCosignatureV1(fmt.Sprintf("PRIVATE+KEY+%s+00000000+%s", name, base64.StdEncoding.EncodeToString(seed)))
	if err != nil {
		t.Fatal(err)
	}
	b, err = sumnote.Sign(&sumnote.Note{Text: n.Text, Sigs: n.Sigs}, signer)
	if err != nil {
		t.Fatal(err)
	}
	s, err := p.OpenFinal(b)
	if err != nil || len(s.Cosignatures) != 3 || s.Checkpoint != c {
		t.Fatalf("we read %+v, %v", s, err)
	}
	if again, err := p.Note(s); err != nil || !bytes.Equal(sortedLines(again), sortedLines(b)) {
		t.Fatal("reading and writing a note changes it")
	}
}

func sortedLines(b []byte) []byte { // the order of signatures is free
	lines := bytes.Split(b, []byte("\n"))
	for range lines {
		for i := 1; i < len(lines); i++ {
			if bytes.Compare(lines[i-1], lines[i]) > 0 {
				lines[i-1], lines[i] = lines[i], lines[i-1]
			}
		}
	}
	return bytes.Join(lines, []byte("\n"))
}

func TestQuorum(t *testing.T) {
	want := map[int]int{1: 1, 2: 2, 3: 2, 4: 3, 5: 4, 6: 5, 7: 5, 8: 6, 9: 7}
	for n, k := range want {
		if got := Quorum(n); got != k {
			t.Errorf("of %d sequencers %d make final, not %d", n, got, k)
		}
	}
}

func TestFinalNeedsKOfThePanel(t *testing.T) {
	p, keys := panelOf(t, 4)
	c := Checkpoint{Origin: testOrigin, Size: 9, Root: spec.Hash{9}}
	two, err := p.Note(signed(p, keys, c, 10, 20))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.OpenFinal(two); spec.CodeOf(err) != spec.CodeNotFinal {
		t.Fatalf("two of four: %v", err)
	}
	four := signed(p, keys, c, 10, 20, 30, 40)
	if got := p.Time(four); got != 20 {
		t.Fatalf("three say at least %d, not 20", got)
	}
	b, err := p.Note(four)
	if err != nil {
		t.Fatal(err)
	}
	small, _ := panelOf(t, 3)
	if s, err := small.Open(b); err != nil || len(s.Cosignatures) != 3 {
		t.Fatalf("a sequencer that the panel does not know counts: %v", err)
	}
	stranger := &Signed{Checkpoint: c, Cosignatures: []Cosignature{Cosign(c, "org-0", keys[1], 1)}}
	if p.Verify(c, &stranger.Cosignatures[0]) {
		t.Fatal("one sequencer's signature counts for another")
	}
}

// No byte of a note can be changed: it is refused, or says the same.
func TestEveryByteOfANoteCounts(t *testing.T) {
	p, keys := panelOf(t, 3)
	c := Checkpoint{Origin: testOrigin, Size: 1234, Root: spec.Hash{4, 5}}
	want := signed(p, keys, c, 100, 200)
	b, err := p.Note(want)
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		for _, flip := range []byte{1, 2, 0x20, 0x80} {
			changed := bytes.Clone(b)
			changed[i] ^= flip
			if s, err := p.OpenFinal(changed); err == nil {
				t.Fatalf("byte %d (%q) flipped with %#x: read as %+v", i, b[i], flip, s)
			}
		}
	}
}

func TestCheckpointTextIsStrict(t *testing.T) {
	good := string(Checkpoint{Origin: "o", Size: 3}.Text())
	if _, err := ParseCheckpoint([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "o\n", good + "ext\n", "o\n03" + good[3:], "o\n-1" + good[3:], "\n3" + good[3:], good[:len(good)-1], "o\n999999999999999999" + good[3:]} {
		if _, err := ParseCheckpoint([]byte(bad)); spec.CodeOf(err) != spec.CodeCheckpoint {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzOpenNote(f *testing.F) {
	p, keys := panelOf(f, 3)
	c := Checkpoint{Origin: testOrigin, Size: 1, Root: spec.Hash{1}}
	b, err := p.Note(signed(p, keys, c, 1, 2))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("o\n1\nAAAA\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := p.Open(data)
		if err != nil {
			if spec.CodeOf(err) == "" {
				t.Fatalf("an error without a code: %v", err)
			}
			return
		}
		for i := range s.Cosignatures {
			if !p.Verify(s.Checkpoint, &s.Cosignatures[i]) {
				t.Fatal("a cosignature that does not verify was read")
			}
		}
	})
}
