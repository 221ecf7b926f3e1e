// SPDX-License-Identifier: Apache-2.0

package vpdq

import (
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/tocsin-db/tocsin/spec/pdq"
)

func vector(t *testing.T, name string) []Frame {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	frames, err := Parse(string(b))
	if err != nil {
		t.Fatal(err)
	}
	return frames
}

// flipped returns a hash at distance n.
func flipped(h pdq.Hash, n int) pdq.Hash {
	for i := range n {
		h[i/8] ^= 1 << (i % 8)
	}
	return h
}

func video(r *rand.Rand, n int) []Frame {
	frames := make([]Frame, n)
	for i := range frames {
		for j := range frames[i].Hash {
			frames[i].Hash[j] = byte(r.Uint32())
		}
		frames[i].Number, frames[i].Quality, frames[i].Millis = 30*i, 100, int64(1000*i)
	}
	return frames
}

func TestKept(t *testing.T) {
	a, b := pdq.Hash{1}, pdq.Hash{2}
	frames := []Frame{{0, 100, a, 0}, {1, 49, b, 1}, {2, 50, pdq.Hash{3}, 2}, {3, 90, a, 3}, {4, 100, b, 4}}
	// b is seen first at a quality too low, and is gone with it: hashes are
	// deduplicated before the quality is looked at.
	if got := Kept(frames); !slices.Equal(got, []Frame{frames[0], frames[2]}) {
		t.Errorf("kept %v", got)
	}
}

func TestThin(t *testing.T) {
	frames := video(rand.New(rand.NewPCG(1, 1)), 10)
	for n, want := range map[int][]int{0: {}, 1: {0}, 3: {0, 90, 180}, 10: {0, 30, 60, 90, 120, 150, 180, 210, 240, 270}, 11: {0, 30, 60, 90, 120, 150, 180, 210, 240, 270}} {
		got := []int{}
		for _, f := range Thin(frames, n) {
			got = append(got, f.Number)
		}
		if !slices.Equal(got, want) {
			t.Errorf("to %d: frames %v, want %v", n, got, want)
		}
	}
}

func TestFramesMatchUpTo31Bits(t *testing.T) {
	q := video(rand.New(rand.NewPCG(2, 2)), 1)
	for distance, want := range map[int]bool{0: true, 31: true, 32: false} {
		x := []Frame{{Quality: 100, Hash: flipped(q[0].Hash, distance)}}
		if got := Compare(q, x).Match(); got != want {
			t.Errorf("at distance %d: %v", distance, got)
		}
	}
}

func TestSharesDecide(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	q, other := video(r, 10), video(r, 90)
	for n, want := range map[int]bool{7: false, 8: true, 10: true} {
		x := slices.Concat(other, q[:n])
		o := Compare(q, x)
		if o != (Overlap{10, n, 90 + n, n}) || o.Match() != want {
			t.Errorf("%d of 10 frames: %#v, %v", n, o, o.Match())
		}
		if back := Compare(x, q); back != (Overlap{90 + n, n, 10, n}) || back.Match() {
			t.Errorf("%d frames of a long query: %#v, %v", n, back, back.Match())
		}
		if o.MatchAt(80, 11) {
			t.Errorf("%d of %d frames pass for 11%%", n, 90+n)
		}
		if qp, xp := o.Percents(); qp != float64(10*n) || xp != float64(100*n)/float64(90+n) {
			t.Errorf("%d frames: %f%% and %f%%", n, qp, xp)
		}
	}
	for want, o := range map[string]Overlap{"80%[12%]": {10, 8, 100, 12}, "67%[0%]": {3, 2, 1000, 4}, "0%[0%]": {}, "100%[100%]": {1, 1, 1, 1}} {
		if got := o.String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestNothingToCompareMatchesNothing(t *testing.T) {
	q := video(rand.New(rand.NewPCG(4, 4)), 3)
	poor := slices.Clone(q)
	for i := range poor {
		poor[i].Quality = MinQuality - 1
	}
	for name, o := range map[string]Overlap{
		"both empty": Compare(nil, nil), "empty": Compare(q, nil), "of an empty query": Compare(nil, q),
		"of low quality": Compare(q, poor), "both of low quality": Compare(poor, poor),
		"another film": Compare(q, video(rand.New(rand.NewPCG(5, 5)), 3)),
	} {
		if qp, xp := o.Percents(); o.Match() || o.MatchAt(0, 0) || qp != 0 || xp != 0 {
			t.Errorf("%s: %#v matches", name, o)
		}
	}
}

// Two edits of one film match in most frames and not in all; another film in
// none. The counts are those of a comparison frame by frame.
func TestVectorsAgainstEachOther(t *testing.T) {
	grey, logo, padded := vector(t, "pattern-sd-grey-bar"), vector(t, "pattern-sd-with-large-logo-bar"), vector(t, "test-padded-dimensions")
	for _, c := range []struct {
		name string
		a, b []Frame
	}{{"itself", grey, grey}, {"other edit", grey, logo}, {"other film", grey, padded}, {"back", logo, grey}} {
		var want Overlap
		a, b := Kept(c.a), Kept(c.b)
		want.Query, want.Index = len(a), len(b)
		want.QueryMatched, want.IndexMatched = matches(a, b), matches(b, a)
		got := Compare(c.a, c.b)
		t.Logf("%s: %#v, match %v", c.name, got, got.Match())
		if got != want {
			t.Errorf("%s: %#v, want %#v", c.name, got, want)
		}
	}
	if o := Compare(grey, grey); o.QueryMatched != o.Query || !o.Match() {
		t.Errorf("a film does not match itself: %#v", o)
	}
	if o := Compare(grey, padded); o.QueryMatched != 0 || o.Match() {
		t.Errorf("another film matches: %#v", o)
	}
}

func matches(a, b []Frame) (n int) {
	for _, f := range a {
		if slices.ContainsFunc(b, func(g Frame) bool { return pdq.Distance(f.Hash, g.Hash) <= 31 }) {
			n++
		}
	}
	return n
}
