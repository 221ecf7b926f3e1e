// SPDX-License-Identifier: Apache-2.0

package receipt_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog/receipt"
)

// A pin is a receipt of the conformance vectors, which the assembly of receipts
// writes.
type pin struct {
	name, kind string
	data       []byte
}

func pins(t testing.TB, kinds ...string) (out []pin) {
	t.Helper()
	data, err := os.ReadFile("../../testdata/log.json")
	if err != nil {
		t.Fatal(err)
	}
	var book struct {
		Vectors []struct{ Name, Kind, Hex string }
	}
	if err := json.Unmarshal(data, &book); err != nil {
		t.Fatal(err)
	}
	for _, v := range book.Vectors {
		if !slices.Contains(kinds, v.Kind) {
			continue
		}
		b, err := hex.DecodeString(v.Hex)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, pin{v.Name, v.Kind, b})
	}
	if len(out) == 0 {
		t.Fatalf("there are no vectors of %v", kinds)
	}
	return out
}

func pinnedVerifier(t testing.TB) *receipt.Verifier {
	t.Helper()
	g, err := spec.ParseGenesis(pins(t, "genesis")[0].data)
	if err != nil {
		t.Fatal(err)
	}
	v, err := receipt.NewVerifier(g)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// The pinned receipts are read and written byte for byte.
func TestPinnedReceiptsAreWrittenAsTheyAreRead(t *testing.T) {
	for _, p := range pins(t, "receipt", "absence") {
		var again []byte
		if r, err := receipt.Parse(p.data); p.kind == "receipt" {
			if err != nil {
				t.Fatalf("%s: %v", p.name, err)
			}
			again, err = r.Encode()
			if err != nil {
				t.Fatalf("%s: %v", p.name, err)
			}
		} else {
			a, err := receipt.ParseAbsence(p.data)
			if err != nil {
				t.Fatalf("%s: %v", p.name, err)
			}
			if again, err = a.Encode(); err != nil {
				t.Fatalf("%s: %v", p.name, err)
			}
		}
		if !bytes.Equal(again, p.data) {
			t.Errorf("%s: read and written again it is %x", p.name, again)
		}
	}
}

// Each says what its note says, by the genesis document alone.
func TestPinnedReceiptsHold(t *testing.T) {
	v := pinnedVerifier(t)
	facts := map[string]*receipt.Fact{}
	for _, p := range pins(t, "receipt") {
		f, err := v.Verify(p.data)
		if err != nil {
			t.Fatalf("%s: %v", p.name, err)
		}
		if f.Organisation != "alpha" || !slices.Equal(f.Labels, []string{"isil"}) || !slices.Equal(f.Listing.Approvers, []string{"alpha", "bravo", "charlie"}) {
			t.Errorf("%s says %+v", p.name, f)
		}
		facts[p.name] = f
	}
	listing, withheld, retraction, applied := facts["receipt-listing"], facts["receipt-withheld"], facts["receipt-retraction"], facts["receipt-retraction-applied"]
	if listing == nil || withheld == nil || retraction == nil || applied == nil || len(facts) != 4 {
		t.Fatalf("the receipts are %v", facts)
	}
	if s := listing.Signal; s == nil || s.Type != "sha256" || !bytes.Equal(s.Value, bytes.Repeat([]byte{1}, 32)) || !listing.Live || listing.State != "active" {
		t.Errorf("the listing says %+v", listing)
	}
	if withheld.Signal != nil || withheld.State != "active" || withheld.Entry != listing.Entry {
		t.Errorf("the withheld listing says %+v", withheld)
	}
	for _, f := range []*receipt.Fact{retraction, applied} {
		if f.State != "retracted" || f.Entry != listing.Entry || f.Retraction == nil || !slices.Equal(f.Retraction.Approvers, []string{"bravo", "delta"}) {
			t.Errorf("the retraction says %+v", f)
		}
	}
	if _, known := retraction.Everywhere(); known || len(retraction.Unconfirmed) != 4 {
		t.Errorf("the retraction is applied by %v", retraction.Applied)
	}
	if at, known := applied.Everywhere(); !known || at.Unix() != 1700000900 {
		t.Errorf("the retraction is applied by all at %v, %v", at.Unix(), applied.Applied)
	}
	for _, p := range pins(t, "absence") {
		f, err := v.VerifyAbsence(p.data)
		if err != nil {
			t.Fatalf("%s: %v", p.name, err)
		}
		if f.Signal.Type != "sha256" && f.Signal.Type != "md5" {
			t.Errorf("%s says %+v", p.name, f)
		}
	}
}

// No byte of them can be changed, left out, or stand there twice.
func TestNoPartOfAPinnedReceiptCanBeChanged(t *testing.T) {
	v := pinnedVerifier(t)
	for _, p := range pins(t, "receipt", "absence") {
		verify := func(b []byte) error { _, err := v.Verify(b); return err }
		if p.name == "receipt-withheld" || p.name == "receipt-retraction" || p.name == "receipt-absence" {
			continue // has no part that those with more have not
		}
		if p.kind == "absence" {
			verify = func(b []byte) error { _, err := v.VerifyAbsence(b); return err }
		}
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			if err := verify(p.data); err != nil {
				t.Fatal(err)
			}
			for i := range p.data {
				b := bytes.Clone(p.data)
				b[i] ^= 1 << (i % 8)
				if verify(b) == nil {
					t.Fatalf("a bit of byte %d can be flipped", i)
				}
				if i%8 == 0 && verify(slices.Delete(b, i, i+1)) == nil {
					t.Fatalf("byte %d can be left out", i)
				}
				if i%8 == 4 && verify(slices.Insert(bytes.Clone(p.data), i, p.data[i])) == nil {
					t.Fatalf("byte %d can stand there twice", i)
				}
			}
		})
	}
}

// A receipt answers the question about its entry and its signal, and no other.
func TestAReceiptAnswersItsOwnQuestionOnly(t *testing.T) {
	v := pinnedVerifier(t)
	refused := func(what string, err error) {
		t.Helper()
		if spec.CodeOf(err) != spec.CodeReceipt {
			t.Errorf("%s: %v", what, err)
		}
	}
	ask := func(typ string, n byte, size int) *spec.Signal {
		return &spec.Signal{Type: typ, Value: bytes.Repeat([]byte{n}, size)}
	}
	other := spec.Hash{1}
	for _, p := range pins(t, "receipt") {
		f, err := v.Verify(p.data)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Answers(receipt.Question{Entry: &f.Entry, Signal: f.Signal}); err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
		refused(p.name+", another entry", f.Answers(receipt.Question{Entry: &other}))
		refused(p.name+", another value", f.Answers(receipt.Question{Signal: ask("sha256", 2, 32)}))
		if f.Signal == nil {
			refused(p.name+", the value that it withholds", f.Answers(receipt.Question{Signal: ask("sha256", 1, 32)}))
		}
	}
	for _, p := range pins(t, "absence") {
		f, err := v.VerifyAbsence(p.data)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Answers(receipt.Question{Signal: &f.Signal}); err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
		refused(p.name+", another value", f.Answers(receipt.Question{Signal: ask("sha256", 8, 32)}))
		refused(p.name+", an entry", f.Answers(receipt.Question{Entry: &other}))
		a, err := receipt.ParseAbsence(p.data)
		if err != nil {
			t.Fatal(err)
		}
		a.Type, a.Value = "sha256", bytes.Repeat([]byte{8}, 32)
		b, err := a.Encode()
		if err != nil {
			t.Fatal(err)
		}
		_, err = v.VerifyAbsence(b)
		refused(p.name+", another value put in", err)
	}
}
