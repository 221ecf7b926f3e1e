// SPDX-License-Identifier: Apache-2.0

// Package text computes the TLSH signals of what a file says: of plain text,
// and of the text in a PDF document. Both extractors are meant for the confined child
// process of node/media: a PDF reader may crash, loop or swell on what it reads.
package text

import (
	"github.com/tocsin-db/tocsin/node/media/extract"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlsh"
)

// The signal types of texts: the hash of the text as it is, which others
// compute as well, and that of its normal form, on which extractors agree.
const (
	Raw    = "text_tlsh"
	Normal = "text_tlsh_norm"
)

// Types lists both.
func Types() []string { return []string{Raw, Normal} }

// signals hashes a text. A type that it is too short or too uniform for is
// reported as unsupported.
func signals(text string) (res extract.Result) {
	for _, s := range []struct {
		name string
		sum  func(string) (tlsh.Hash, error)
	}{{Raw, tlsh.SumText}, {Normal, tlsh.SumNormal}} {
		if h, err := s.sum(text); err == nil {
			res.Signals = append(res.Signals, extract.Signal{Type: s.name, Value: h.String()})
		} else {
			res.Unsupported = append(res.Unsupported, extract.Unsupported{Type: s.name, Code: spec.CodeOf(err)})
		}
	}
	return res
}

func errTooLarge(max int64) error {
	return spec.Errorf(spec.CodeTooLarge, "the text has more than %d bytes", max)
}
