// SPDX-License-Identifier: Apache-2.0

package spec_test

import (
	"bytes"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

// fuzz feeds a parser: what it takes must encode to the bytes that came in, what
// it refuses must have a code.
func fuzz(f *testing.F, kind string) {
	for _, v := range vectors(f) {
		if v.Kind == kind || kind == "leaf" && v.Kind == "envelope" {
			f.Add(v.bytes(f))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		same(t, data, func() ([]byte, error) { return reread(kind, data) })
	})
}

func same(t *testing.T, data []byte, again func() ([]byte, error)) {
	t.Helper()
	before := bytes.Clone(data)
	got, err := again()
	if !bytes.Equal(before, data) {
		t.Fatal("the parser changed its input")
	}
	if err != nil && spec.CodeOf(err) == "" {
		t.Fatalf("refused without a code: %v", err)
	}
	if err == nil && !bytes.Equal(got, data) {
		t.Fatalf("took %x, writes %x", data, got)
	}
}

func FuzzParseEnvelope(f *testing.F)  { fuzz(f, "envelope") }
func FuzzParseOpening(f *testing.F)   { fuzz(f, "opening") }
func FuzzParseLeaf(f *testing.F)      { fuzz(f, "leaf") }
func FuzzParseGenesis(f *testing.F)   { fuzz(f, "genesis") }
func FuzzParseRaftEntry(f *testing.F) { fuzz(f, "raft-entry") }

func FuzzParseSignal(f *testing.F) {
	for _, s := range spec.SignalTypes() {
		f.Add(s.Name, "00")
		f.Add(s.Name, string(bytes.Repeat([]byte("a5"), s.Size)))
	}
	f.Fuzz(func(t *testing.T, typ, text string) {
		s, err := spec.ParseSignal(typ, text)
		if err != nil {
			if spec.CodeOf(err) == "" {
				t.Fatalf("refused without a code: %v", err)
			}
			return
		}
		if s.Text() != text || s.Check() != nil {
			t.Fatalf("%s %q became %q", typ, text, s.Text())
		}
	})
}

// FuzzRecords reads bytes as each record.
func FuzzRecords(f *testing.F) {
	for i, r := range records() {
		b, err := spec.Encode(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(i, b)
	}
	f.Fuzz(func(t *testing.T, which int, data []byte) {
		all := records()
		r := all[(which%len(all)+len(all))%len(all)]
		same(t, data, func() ([]byte, error) {
			if err := spec.Decode(data, r); err != nil {
				return nil, err
			}
			return spec.Encode(r)
		})
	})
}

func records() []any {
	return []any{
		new(spec.GenesisRecord), new(spec.Policy), new(spec.Clock), new(spec.Taxonomy), new(spec.AwaitedRecord),
		new(spec.OrgRecord), new(spec.FormerRecord), new(spec.BarRecord), new(spec.ReadyRecord), new(spec.ReceiptRecord),
		new(spec.ActionRecord), new(spec.MarksRecord), new(spec.SeqRecord), new(spec.ReviewRecord), new(spec.QuotaRecord),
		new(spec.Case), new(spec.VoteRecord), new(spec.Admission), new(spec.Entry), new(spec.LiveMeta), new(spec.Outcome),
		new(spec.PanelRecord), new(spec.RecoveryRecord),
	}
}
