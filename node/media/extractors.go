// SPDX-License-Identifier: Apache-2.0

package media

import (
	"github.com/tocsin-db/tocsin/node/media/extract"
	"github.com/tocsin-db/tocsin/node/media/images"
)

// extractors are asked in this order; text, which has no magic bytes, last.
var extractors = []extract.Extractor{
	images.Extractor{},
}

// wanted are the perceptual types of media that no extractor claimed.
var wanted = map[string][]string{
	extract.Image: {"pdq"},
	extract.Video: {"vpdq"},
	extract.PDF:   {"tlsh"},
	extract.Other: {"pdq"},
}

func typesOf(kind string) []string { return wanted[kind] }

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
