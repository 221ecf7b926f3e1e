// SPDX-License-Identifier: Apache-2.0

package images

import (
	"bufio"
	"context"
	"image"
	"io"

	"github.com/tocsin-db/tocsin/node/media/extract"
	"github.com/tocsin-db/tocsin/spec"
)

// maxScans is how often a progressive image may go over its coefficients.
// Encoders use about ten scans; every further one costs a pass over the image
// for a handful of bytes.
const maxScans = 100

// A jpegShape is what the markers of a JPEG say about the work to do.
type jpegShape struct {
	progressive bool
	parts       []byte // horizontal<<4 | vertical sampling of each component
	scans       int
}

// jpegMemory counts the samples, the coefficients that a progressive image
// keeps until its last scan, and the copy that unusual colours need.
func jpegMemory(src extract.Source, c image.Config) (int64, error) {
	s, err := readShape(bufio.NewReaderSize(src.Reader(), 32<<10))
	if err != nil {
		return 0, decodeError(context.Background(), err)
	}
	if s.scans > maxScans {
		return 0, spec.Errorf(spec.CodeTooLarge, "the image has more than %d scans", maxScans)
	}
	pixels := int64(c.Width) * int64(c.Height)
	n := s.samples(pixels)
	if s.progressive {
		n += 4 * s.samples(pixels)
	}
	if len(s.parts) == 4 {
		n += 4 * pixels
	}
	return n, nil
}

// samples counts those of all components.
func (s jpegShape) samples(pixels int64) int64 {
	h, v, sum := int64(1), int64(1), int64(0)
	for _, p := range s.parts {
		h, v = max(h, int64(p>>4)), max(v, int64(p&15))
		sum += int64(p>>4) * int64(p&15)
	}
	return pixels * sum / (h * v)
}

// readShape walks the markers to the end of the image, or of the file: what is
// missing there is for the decoder to say.
func readShape(r *bufio.Reader) (s jpegShape, err error) {
	for {
		marker, err := nextMarker(r)
		if err != nil || marker == 0xd9 || s.scans > maxScans {
			return s, ignoreEOF(err)
		}
		if marker == 0xda {
			s.scans++
		}
		if marker == 0xd8 || 0xd0 <= marker && marker <= 0xd7 || marker <= 1 {
			continue // these stand alone
		}
		if err := s.segment(r, marker); err != nil {
			return s, ignoreEOF(err)
		}
	}
}

func ignoreEOF(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil
	}
	return err
}

// nextMarker skips entropy-coded data up to the next marker.
func nextMarker(r *bufio.Reader) (byte, error) {
	for {
		b, err := r.ReadByte()
		if err != nil {
			return 0, err
		}
		for b == 0xff {
			if b, err = r.ReadByte(); err != nil {
				return 0, err
			}
			if b != 0 && b != 0xff {
				return b, nil
			}
		}
	}
}

// segment reads over one segment and keeps what a frame header says.
func (s *jpegShape) segment(r *bufio.Reader, marker byte) error {
	var b [8]byte
	if _, err := io.ReadFull(r, b[:2]); err != nil {
		return err
	}
	n := int(b[0])<<8 + int(b[1]) - 2
	if n < 6 || marker < 0xc0 || marker > 0xc2 {
		_, err := r.Discard(max(n, 0))
		return err
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return err
	}
	s.progressive, s.parts = marker == 0xc2, nil
	for i := range int(body[5]) {
		if at := 6 + 3*i + 1; at < n {
			s.parts = append(s.parts, body[at])
		}
	}
	return nil
}
