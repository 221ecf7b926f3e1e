// SPDX-License-Identifier: Apache-2.0

// Package extract holds what the hasher of node/media and its extractors say
// to each other. An extractor turns the bytes of one medium into signals; it
// knows nothing of uploads, processes or the node.
//
// To add one, write a type with the methods of Extractor in a package of
// its own (node/media/video, node/media/text) and name it in the list of
// node/media/extractors.go. The hasher then recognises its files, keeps their
// bytes in a file, runs it in a limited child process unless Trusted says that
// it confines its decoder itself, and reports its types as unsupported
// whenever it fails.
package extract

import (
	"context"
	"io"
	"os"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/pdq"
)

// The kinds of media.
const (
	Image = "image"
	Video = "video"
	Audio = "audio"
	PDF   = "pdf"
	Text  = "text"
	Other = "other"
)

// A Signal is one hash of a file in canonical text.
type Signal struct {
	Type       string `json:"type"`
	Value      string `json:"value"`
	Quality    int    `json:"quality,omitempty"` // 0 to 100
	HasQuality bool   `json:"has_quality,omitempty"`
}

// Unsupported names a signal type that the file could have had and that could
// not be computed, in whole or in part, and why.
type Unsupported struct {
	Type string    `json:"type"`
	Code spec.Code `json:"code"`
}

// A Result is what an extractor found.
type Result struct {
	Format      string        `json:"format,omitempty"` // such as "jpeg", when it knows better than the first bytes did
	Signals     []Signal      `json:"signals"`
	Unsupported []Unsupported `json:"unsupported,omitempty"`
	// Dihedral holds, for each pdq signal in order, the hashes of the eight
	// turned and mirrored copies; the first is the signal itself.
	Dihedral [][8]pdq.Hash `json:"dihedral,omitempty"`
}

// Limits bound what one file may cost.
type Limits struct {
	MaxPixels   int   `json:"max_pixels"`    // of one image or frame
	MaxSide     int   `json:"max_side"`      // of one image or frame
	MaxFrames   int   `json:"max_frames"`    // of an animation
	DecodeBytes int64 `json:"decode_bytes"`  // memory for decoded samples
	TotalPixels int   `json:"total_pixels"`  // composed over all frames of an animation
	MaxTextSize int64 `json:"max_text_size"` // bytes of text taken from a document
}

// A Source is one file to extract from. Extractors read it by ReadAt, or from
// the descriptor of File, whose offset is at the start; they never write.
type Source struct {
	File   *os.File
	Size   int64
	Format string // what Claim said
	Name   string // as the client gave it, may be empty; decides nothing but ties
}

// Reader returns a fresh reader of the whole file.
func (s Source) Reader() *io.SectionReader { return io.NewSectionReader(s.File, 0, s.Size) }

// An Extractor computes the perceptual signals of one medium. Its methods may
// be called by several goroutines at once.
type Extractor interface {
	// Kind is the medium: Image, Video, ...
	Kind() string
	// Types lists the signal types that it computes.
	Types() []string
	// Claim decides by the first bytes of a file (up to HeadSize) whether this
	// extractor reads it, and names the format.
	Claim(head []byte, name string) (format string, ok bool)
	// Trusted says that Extract never decodes hostile bytes in this process:
	// it starts a confined program itself.
	Trusted() bool
	// Extract computes the signals. A failure is a *spec.Error; the caller
	// reports every type of Types as unsupported with its code.
	Extract(ctx context.Context, src Source, lim Limits) (Result, error)
}

// Available is for extractors that depend on something installed.
type Available interface {
	// Available returns nil, or a *spec.Error that says what is missing.
	Available() error
}

// HeadSize is how many of a file's first bytes Claim sees.
const HeadSize = 4096

// Codes of failures that belong to hashing alone; the others are in spec.
const (
	// CodeDecoder: the decoder crashed on the file.
	CodeDecoder spec.Code = "DECODER_FAILED"
	// CodeTimeout: the decoder was stopped because it took too long.
	CodeTimeout spec.Code = "DECODE_TIMEOUT"
)
