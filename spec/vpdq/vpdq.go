// SPDX-License-Identifier: Apache-2.0

// Package vpdq holds the value of a vPDQ signal: the PDQ hashes of the frames
// of a video, by default one a second, and how two such values are compared.
//
// vPDQ is Meta's ("vPDQ", facebook/ThreatExchange); forms and match rules are
// those of its samples and of python-threatexchange. The normative text is
// ../vpdq.md. Frames are taken out of videos elsewhere: node/media/video.
package vpdq

import (
	"fmt"

	"github.com/tocsin-db/tocsin/spec/pdq"
)

const (
	// FrameThreshold is the distance up to which two frames match.
	FrameThreshold = pdq.Threshold
	// MinQuality is the quality below which a frame is not compared.
	MinQuality = pdq.MinQuality
	// QueryPercent and IndexPercent are the least shares of the frames of a
	// query, and of what it is compared with, that match in a match.
	QueryPercent = 80
	IndexPercent = 0
	// Source names the specification of the type.
	Source = "vpdq.md; Meta, vPDQ (facebook/ThreatExchange)"
	// MaxFrames bounds a value: eighteen hours at one frame a second.
	MaxFrames = 1 << 16
)

// A Frame is one hashed frame.
type Frame struct {
	Number  int // of the frame in the video, from 0
	Quality int // 0 to 100
	Hash    pdq.Hash
	Millis  int64 // since the start of the video
}

// Kept returns the frames that are compared and listed: of those with the same
// hash the first, and of these the ones of at least MinQuality. The order stays.
func Kept(frames []Frame) []Frame {
	seen := make(map[pdq.Hash]bool, len(frames))
	kept := make([]Frame, 0, len(frames))
	for _, f := range frames {
		if seen[f.Hash] {
			continue
		}
		seen[f.Hash] = true
		if f.Quality >= MinQuality {
			kept = append(kept, f)
		}
	}
	return kept
}

// Thin returns at most n frames, evenly spread with the first among them, for
// a proposal that cannot hold more.
func Thin(frames []Frame, n int) []Frame {
	if len(frames) <= n {
		return frames
	}
	thinned := make([]Frame, 0, max(n, 0))
	for i := range n {
		thinned = append(thinned, frames[i*len(frames)/n])
	}
	return thinned
}

// An Overlap counts what two videos have in common, after Kept.
type Overlap struct {
	Query, QueryMatched int // frames of the query, and those near a frame of the other
	Index, IndexMatched int // the other way round
}

// Compare counts the overlap of two videos. It takes time in proportion to the
// product of their lengths; lookups among many go through an index of frames.
func Compare(query, index []Frame) Overlap {
	q, x := Kept(query), Kept(index)
	o := Overlap{Query: len(q), Index: len(x)}
	matched := make([]bool, len(x))
	for _, f := range q {
		near := false
		for i := range x {
			if pdq.Distance(f.Hash, x[i].Hash) <= FrameThreshold {
				near, matched[i] = true, true
			}
		}
		if near {
			o.QueryMatched++
		}
	}
	for _, m := range matched {
		if m {
			o.IndexMatched++
		}
	}
	return o
}

// Match reports whether both shares reach the default thresholds. A video
// without frames worth comparing matches nothing.
func (o Overlap) Match() bool { return o.MatchAt(QueryPercent, IndexPercent) }

// MatchAt is Match with other thresholds, in per cent.
func (o Overlap) MatchAt(query, index int) bool {
	return o.Query > 0 && o.Index > 0 && o.QueryMatched > 0 &&
		o.QueryMatched*100 >= query*o.Query && o.IndexMatched*100 >= index*o.Index
}

// Percents returns both shares in per cent, to be shown; 0 without frames.
func (o Overlap) Percents() (query, index float64) {
	return float64(o.QueryMatched*100) / float64(max(o.Query, 1)), float64(o.IndexMatched*100) / float64(max(o.Index, 1))
}

// String writes both shares as python-threatexchange shows them: 80%[12%].
func (o Overlap) String() string {
	query, index := o.Percents()
	return fmt.Sprintf("%.0f%%[%.0f%%]", query, index)
}

// ascending reports whether frames are in the order of a value.
func ascending(frames []Frame) bool {
	for i := 1; i < len(frames); i++ {
		if frames[i].Number <= frames[i-1].Number {
			return false
		}
	}
	return true
}
