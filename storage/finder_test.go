// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/chromaprint"
	"github.com/tocsin-db/tocsin/spec/tlsh"
)

// frames makes n frames of a video that are far from one another.
func frames(video uint64, n int) []spec.Signal {
	r := rand.New(rand.NewPCG(video, 7))
	out := make([]spec.Signal, n)
	for i := range out {
		v := make([]byte, 32)
		for j := range v {
			v[j] = byte(r.Uint32())
		}
		out[i] = spec.Signal{Type: "vpdq", Value: v, Quality: 90}
	}
	return out
}

// A video matches when at least 80 per cent of its frames have a near one in one
// entry; the frames of another entry do not count towards it.
func TestVideoMatchesByItsShareOfFrames(t *testing.T) {
	s := open(t, vfs.NewMem())
	defer closeStore(t, s)
	listed, other := frames(1, 20), frames(2, 20)
	change(t, s, 1, newAddition(1, listed...).list)
	change(t, s, 2, newAddition(2, other...).list)
	strange := frames(3, 20)
	for _, c := range []struct{ own, distance int }{{20, 0}, {17, 15}, {16, 20}, {15, -1}, {0, -1}} {
		query := append(append([]spec.Signal(nil), listed[:c.own]...), strange[c.own:]...)
		for i := range query[:c.own] {
			query[i].Value = append([]byte(nil), query[i].Value...)
			query[i].Value[3] ^= 0x0f // four bits off
		}
		h := hits(t, s, query...)
		if c.distance < 0 && len(h) == 0 {
			continue
		}
		if len(h) != 1 || h[0].Distance != c.distance || h[0].Threshold != 20 || h[0].Entry.Entry != spec.EntryID(newAddition(1).id, 0) {
			t.Errorf("%d of 20 frames: %+v", c.own, h)
		}
	}
	mixed := append(append([]spec.Signal(nil), listed[:10]...), other[:10]...)
	if h := hits(t, s, mixed...); len(h) != 0 {
		t.Errorf("half of one and half of another entry: %+v", h)
	}
}

func TestTextsAndSoundsMatchWithinTheirDistance(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs)
	words := func(seed uint64, changed int) string {
		r := rand.New(rand.NewPCG(seed, 1))
		var b strings.Builder
		for i := range 600 {
			w := r.IntN(4000)
			if i%150 < changed {
				w += 7000
			}
			fmt.Fprintf(&b, "w%d ", w)
		}
		return b.String()
	}
	text := func(x string) spec.Signal {
		h, err := tlsh.SumText(x)
		if err != nil {
			t.Fatal(err)
		}
		return spec.Signal{Type: "text_tlsh", Value: h[:]}
	}
	sound := func(seed uint64, flips int) spec.Signal {
		r := rand.New(rand.NewPCG(seed, 2))
		f := chromaprint.Fingerprint{Algorithm: 1}
		for range 120 {
			f.Items = append(f.Items, r.Uint32())
		}
		for i := range flips {
			f.Items[i%120] ^= 1 << (i / 120)
		}
		return spec.Signal{Type: "chromaprint", Value: f.Bytes()}
	}
	a := newAddition(1, text(words(1, 0)), sound(1, 0))
	change(t, s, 1, a.list)
	for range 2 { // as listed live, and as loaded again
		if h := hits(t, s, text(words(1, 2))); len(h) != 1 || h[0].Distance == 0 || h[0].Distance > 30 {
			t.Errorf("a text with a few other words: %+v", h)
		}
		if h := hits(t, s, text(words(2, 0))); len(h) != 0 {
			t.Errorf("another text: %+v", h)
		}
		if h := hits(t, s, sound(1, 300)); len(h) != 1 || h[0].Distance == 0 || h[0].Threshold != 250 {
			t.Errorf("a sound with some other bits: %+v", h)
		}
		if h := hits(t, s, sound(2, 0)); len(h) != 0 {
			t.Errorf("another sound: %+v", h)
		}
		closeStore(t, s)
		s = open(t, fs)
	}
	change(t, s, 2, func(tx *Tx) error { return tx.List(a.listing(spec.StateRetracted, true)) })
	if h := hits(t, s, text(words(1, 2)), sound(1, 300)); len(h) != 0 {
		t.Errorf("retracted, yet found: %+v", h)
	}
	closeStore(t, s)
}
