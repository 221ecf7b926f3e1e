// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"bytes"
	"testing"
)

// generalOpened is an opened signal as the general codec knows it.
type generalOpened struct {
	_       struct{} `cbor:",toarray"`
	Salt    [SaltSize]byte
	Item    uint64
	Type    string
	Value   []byte
	Quality uint64
}

type generalOpening struct {
	_       struct{} `cbor:",toarray"`
	Signals []any
	Texts   []Text
}

func general(o *Opening) generalOpening {
	g := generalOpening{Texts: o.Texts}
	for _, s := range o.Signals {
		if s.Erased {
			g.Signals = append(g.Signals, s.Blinded)
		} else if s.Keyed {
			g.Signals = append(g.Signals, []any{s.Salt, s.Item, s.Key, s.Signal.Quality})
		} else {
			g.Signals = append(g.Signals, generalOpened{
				Salt: s.Salt, Item: uint64(s.Item), Type: s.Signal.Type, Value: s.Signal.Value, Quality: uint64(s.Signal.Quality),
			})
		}
	}
	return g
}

func sampleOpening() *Opening {
	o := &Opening{Texts: []Text{{Salt: bytes.Repeat([]byte{7}, SaltSize), Text: "why"}, {}}}
	for i := range 30 {
		o.Signals = append(o.Signals, Opened{
			Salt: [16]byte{byte(i)}, Item: i * 8, Signal: Signal{Type: "pdq", Value: bytes.Repeat([]byte{byte(i)}, 1+i*20), Quality: i * 3},
		})
	}
	o.Signals = append(o.Signals, Opened{Erased: true, Blinded: Hash{1, 2}}, Opened{Keyed: true, Salt: [16]byte{4}, Item: 5, Key: Hash{3}, Signal: Signal{Quality: 6}})
	return o
}

func TestOpeningIsWrittenAsTheGeneralCodecWritesIt(t *testing.T) {
	o := sampleOpening()
	got, err := o.Encode()
	if err != nil {
		t.Fatal(err)
	}
	want := mustEncode(general(o))
	if !bytes.Equal(got, want) {
		t.Fatalf("by hand %x\ngeneral %x", got, want)
	}
	back, err := ParseOpening(got)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := back.Encode(); err != nil || !bytes.Equal(again, got) {
		t.Fatalf("an opening does not come back as it was: %v", err)
	}
	for _, s := range o.Signals[:30] {
		if s.Commitment() != hashOf("tocsin.signal.v1", s.Salt, s.Item, s.SignalKey(), s.Signal.Quality) {
			t.Fatal("the commitment differs from the general codec's")
		}
		if s.Signal.Key() != hashOf("tocsin.k.v1", s.Signal.Type, s.Signal.Value) {
			t.Fatal("the key differs from the general codec's")
		}
	}
}

// What the reader takes is canonical: it is what the writer writes, and the
// general codec finds it well-formed.
func FuzzOpeningIsCanonical(f *testing.F) {
	enc, err := sampleOpening().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(enc)
	f.Add([]byte{0x82, 0x80, 0x80})
	f.Add([]byte{0x82, 0x81, 0x41, 0x01, 0x80})
	f.Add([]byte{0x82, 0x98, 0x01, 0x80, 0x80})
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := ParseOpening(data)
		if err != nil {
			if CodeOf(err) == "" {
				t.Fatalf("a refusal without a code: %v", err)
			}
			return
		}
		again, err := o.Encode()
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("taken: %x\nwritten again: %x, %v", data, again, err)
		}
		if !bytes.Equal(mustEncode(general(o)), data) {
			t.Fatalf("the general codec writes %x otherwise", data)
		}
	})
}

func BenchmarkParseOpening(b *testing.B) {
	o := &Opening{}
	for i := range 1024 {
		o.Signals = append(o.Signals, Opened{Signal: Signal{Type: "sha256", Value: bytes.Repeat([]byte{byte(i)}, 32)}})
	}
	enc, err := o.Encode()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseOpening(enc); err != nil {
			b.Fatal(err)
		}
	}
}
