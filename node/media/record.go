// SPDX-License-Identifier: Apache-2.0

package media

import (
	"errors"

	"github.com/tocsin-db/tocsin/node/media/extract"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/pdq"
)

// Signal and Unsupported are those of package extract.
type (
	Signal      = extract.Signal
	Unsupported = extract.Unsupported
)

// A Record is what one file is.
type Record struct {
	Kind   string // "image", "video", "audio", "pdf", "text" or "other"
	Format string // such as "jpeg", "" when unknown
	Size   int64  // bytes
	// Signals are the exact hashes sha256, md5 and sha1, then the perceptual
	// ones; of an animation the first frame's comes first. A hash is delivered
	// at any quality.
	Signals []Signal
	// Unsupported lists the types that the file could have had and does not.
	Unsupported []Unsupported
	// Err says why decoding failed, nil when it did not. Exact hashes stand.
	Err *spec.Error
	// Dihedral holds, for each pdq signal in order, the hashes of its eight
	// turned and mirrored copies: a lookup asks for all of them, a proposal
	// for none but the signal.
	Dihedral [][8]pdq.Hash
}

// add takes over what an extractor found.
func (r *Record) add(ex extract.Extractor, res extract.Result, err error) {
	if err != nil {
		r.fail(ex.Types(), err)
		return
	}
	if res.Format != "" {
		r.Format = res.Format
	}
	r.Signals = append(r.Signals, res.Signals...)
	r.Unsupported = append(r.Unsupported, res.Unsupported...)
	r.Dihedral = res.Dihedral
}

func (r *Record) fail(types []string, err error) {
	var e *spec.Error
	if !errors.As(err, &e) {
		e = spec.Errorf(spec.CodeMalformed, "the file cannot be decoded: %w", err)
	}
	r.Err = e
	for _, t := range types {
		r.Unsupported = append(r.Unsupported, Unsupported{Type: t, Code: e.Code})
	}
}

// unclaimed reports the types of a file that no extractor reads. A medium that
// nobody recognises could have been a picture.
func (r *Record) unclaimed(head []byte) {
	r.Kind, r.Format = recognise(head)
	what := r.Format
	if what == "" {
		what = "an unknown format"
	}
	r.fail(typesOf(r.Kind), spec.Errorf(spec.CodeUnsupported, "no decoder reads %s", what))
}
