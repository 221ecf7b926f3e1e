// SPDX-License-Identifier: Apache-2.0

package media

import (
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/vpdq"
)

// MaxFrames is how many frames of one video are listed or looked up: evenly
// thinned, they leave room for the other signals of a proposal.
const MaxFrames = 1000

// Listing returns the signals that stand for what was computed of a file when it
// is listed or looked up: a video's are its kept frames, one signal each.
func Listing(signals []Signal) ([]spec.Signal, error) {
	var out []spec.Signal
	for _, s := range signals {
		if s.Type == vpdqType {
			frames, err := frameSignals(s.Value)
			if err != nil {
				return nil, err
			}
			out = append(out, frames...)
			continue
		}
		sig, err := spec.ParseSignal(s.Type, s.Value)
		if err != nil {
			return nil, err
		}
		sig.Quality = s.Quality
		out = append(out, sig)
	}
	return out, nil
}

const vpdqType = "vpdq"

func frameSignals(text string) ([]spec.Signal, error) {
	frames, err := vpdq.Parse(text)
	if err != nil {
		return nil, err
	}
	var out []spec.Signal
	for _, f := range vpdq.Thin(vpdq.Kept(frames), MaxFrames) {
		out = append(out, spec.Signal{Type: vpdqType, Value: f.Hash[:], Quality: f.Quality})
	}
	return out, nil
}
