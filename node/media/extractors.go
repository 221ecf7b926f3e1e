// SPDX-License-Identifier: Apache-2.0

package media

import (
	"github.com/tocsin-db/tocsin/node/media/audio"
	"github.com/tocsin-db/tocsin/node/media/extract"
	"github.com/tocsin-db/tocsin/node/media/images"
	"github.com/tocsin-db/tocsin/node/media/text"
	"github.com/tocsin-db/tocsin/node/media/video"
	"github.com/tocsin-db/tocsin/spec"
)

// extractors are asked in this order; text, which has no magic bytes, last.
var extractors = []extract.Extractor{
	images.Extractor{},
	video.New(video.Config{}),
	audio.New(audio.Config{}),
	text.PDF{},
	text.Plain{},
}

// wanted are the perceptual types of media that no extractor claimed.
var wanted = map[string][]string{
	extract.Image: {"pdq"},
	extract.Video: {"vpdq"},
	extract.Audio: {"chromaprint"},
	extract.PDF:   {"text_tlsh", "text_tlsh_norm"},
	extract.Other: {"pdq"},
}

func typesOf(kind string) []string { return wanted[kind] }

// Missing lists the types that this machine cannot compute of any file, because
// a program is not installed, and the codes of why.
func Missing() []Unsupported {
	var out []Unsupported
	for _, ex := range extractors {
		a, ok := ex.(extract.Available)
		if !ok {
			continue
		}
		if err := a.Available(); err != nil {
			for _, t := range ex.Types() {
				out = append(out, Unsupported{Type: t, Code: spec.CodeOf(err)})
			}
		}
	}
	return out
}

// claim finds the extractor of a file, nil when there is none.
func claim(head []byte, name string) (extract.Extractor, string) {
	for _, ex := range extractors {
		if format, ok := ex.Claim(head, name); ok {
			return ex, format
		}
	}
	return nil, ""
}

// byKind finds the extractor that a child process is asked for.
func byKind(kind string) extract.Extractor {
	for _, ex := range extractors {
		if ex.Kind() == kind {
			return ex
		}
	}
	return nil
}
