// SPDX-License-Identifier: Apache-2.0

package images

import (
	"bufio"
	"encoding/binary"
	"io"

	"github.com/tocsin-db/tocsin/spec"
)

// A gifFrame is one frame of a GIF, by its place in the file.
type gifFrame struct {
	control  [8]byte // graphic control extension, zero when there is none
	from, to int64   // image descriptor to the end of its data
	pixels   int
}

// disposal says what becomes of the frame before the next one.
func (f *gifFrame) disposal() byte { return f.control[3] >> 2 & 7 }

// controlBlock is the frame's graphic control extension, empty when there is
// none.
func (f *gifFrame) controlBlock() []byte {
	if f.control[0] == 0 {
		return nil
	}
	return f.control[:]
}

// A gifWalker finds the frames of a GIF without decoding any (CompuServe,
// "Graphics Interchange Format, Version 89a", 1990).
type gifWalker struct {
	r      *bufio.Reader
	at     int64
	header []byte // signature, screen descriptor and global colours
	w, h   int
}

func newGIFWalker(r io.Reader) (*gifWalker, error) {
	g := &gifWalker{r: bufio.NewReader(r)}
	fixed, err := g.take(13)
	if err != nil {
		return nil, err
	}
	g.w, g.h = int(binary.LittleEndian.Uint16(fixed[6:])), int(binary.LittleEndian.Uint16(fixed[8:]))
	colours, err := g.take(colourBytes(fixed[10]))
	g.header = append(fixed, colours...)
	return g, err
}

// colourBytes is the length of the colour table that flags announce.
func colourBytes(flags byte) int {
	if flags&0x80 == 0 {
		return 0
	}
	return 3 << (flags&7 + 1)
}

func (g *gifWalker) take(n int) ([]byte, error) {
	b := make([]byte, n)
	m, err := io.ReadFull(g.r, b)
	g.at += int64(m)
	return b, early(err)
}

// early keeps io.EOF for the end of the last frame.
func early(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// next finds the next frame; io.EOF after the last.
func (g *gifWalker) next() (f gifFrame, err error) {
	for {
		b, err := g.take(1)
		if err != nil {
			return f, err
		}
		switch b[0] {
		case 0x3b:
			return f, io.EOF
		case 0x21:
			err = g.extension(&f)
		case 0x2c:
			err = g.image(&f)
			return f, err
		default:
			return f, spec.Errorf(spec.CodeMalformed, "a block of the GIF has no known kind")
		}
		if err != nil {
			return f, err
		}
	}
}

// extension reads over an extension and keeps a graphic control.
func (g *gifWalker) extension(f *gifFrame) error {
	label, err := g.take(1)
	if err != nil {
		return err
	}
	if label[0] != 0xf9 {
		return g.blocks()
	}
	body, err := g.take(6)
	if err != nil {
		return err
	}
	if body[0] != 4 || body[5] != 0 {
		return spec.Errorf(spec.CodeMalformed, "a graphic control of the GIF has the wrong size")
	}
	f.control[0], f.control[1] = 0x21, 0xf9
	copy(f.control[2:], body)
	return nil
}

// image reads over an image and its data.
func (g *gifWalker) image(f *gifFrame) error {
	f.from = g.at - 1
	d, err := g.take(9)
	if err != nil {
		return err
	}
	f.pixels = int(binary.LittleEndian.Uint16(d[4:])) * int(binary.LittleEndian.Uint16(d[6:]))
	if _, err := g.take(colourBytes(d[8]) + 1); err != nil { // and the code size
		return err
	}
	err = g.blocks()
	f.to = g.at
	return err
}

// blocks reads over data sub-blocks to the empty one that ends them.
func (g *gifWalker) blocks() error {
	for {
		n, err := g.take(1)
		if err != nil {
			return err
		}
		if n[0] == 0 {
			return nil
		}
		m, err := g.r.Discard(int(n[0]))
		g.at += int64(m)
		if err != nil {
			return early(err)
		}
	}
}
