// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"slices"

	"github.com/tocsin-db/tocsin/node/api/wire"
	"github.com/tocsin-db/tocsin/spec"
)

// A listLine is one line of a list: an item, and the free text of its proposal.
type listLine struct {
	Labels  []string      `json:"labels"`
	Signals []wire.Signal `json:"signals"`
	Text    string        `json:"text,omitempty"`

	number  int    // from 1
	digest  string // of the content, by which the journal knows it
	opening int    // bytes that it takes in an opening, at most
	leaf    int    // bytes that it takes in an operation, at most
}

// maxLine bounds a line: an item of as many signals as a proposal can have.
const maxLine = 1 << 20

// A listReader reads a list line by line.
type listReader struct {
	r      *bufio.Reader
	number int
	bytes  int64 // read so far
}

func newListReader(r io.Reader) *listReader {
	return &listReader{r: bufio.NewReaderSize(r, 64<<10)}
}

// next returns the next line that is not empty, or io.EOF. A line that is wrong is
// returned with a *spec.Error, and the next one can be read.
func (l *listReader) next() (*listLine, error) {
	for {
		raw, err := l.raw()
		if err != nil && spec.CodeOf(err) == "" {
			return nil, err
		}
		if err == nil && len(bytes.TrimSpace(raw)) == 0 {
			continue
		}
		line := &listLine{number: l.number}
		if err == nil {
			err = line.parse(raw)
		}
		return line, err
	}
}

// raw returns one line and keeps no more of it than maxLine.
func (l *listReader) raw() ([]byte, error) {
	var line []byte
	l.number++
	for long := false; ; {
		part, err := l.r.ReadSlice('\n')
		l.bytes += int64(len(part))
		if long = long || len(line)+len(part) > maxLine; !long {
			line = append(line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && (!errors.Is(err, io.EOF) || len(line) == 0 && !long):
			return nil, err
		case long:
			return nil, spec.Errorf(spec.CodeTooLarge, "a line has at most %d bytes", maxLine)
		}
		return line, nil
	}
}

func (l *listLine) parse(raw []byte) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(l); err != nil {
		return spec.Errorf(spec.CodeMalformed, "a line is an object of labels, signals and perhaps a text")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return spec.Errorf(spec.CodeMalformed, "there is more on the line than one object")
	}
	slices.Sort(l.Labels)
	l.Labels = slices.Compact(l.Labels)
	if len(l.Text) > spec.MaxText {
		return spec.Errorf(spec.CodeTooLarge, "a text has at most %d bytes", spec.MaxText)
	}
	return l.check()
}

// check refuses what no proposal can list, and measures the rest.
func (l *listLine) check() error {
	if len(l.Labels) == 0 || len(l.Signals) == 0 {
		return spec.Errorf(spec.CodeMalformed, "an item has at least one label and one signal")
	}
	item := spec.Item{Labels: l.Labels}
	seen := map[spec.Hash]bool{}
	for i := range l.Signals {
		w := &l.Signals[i]
		s, err := spec.ParseSignal(w.Type, w.Value)
		if err != nil {
			return err
		}
		t, _ := spec.SignalTypeOf(w.Type)
		if t.Quality && w.Quality == nil {
			best := 100 // whoever has only the value vouches for it
			w.Quality = &best
		}
		if w.Quality != nil {
			if s.Quality = *w.Quality; s.Quality < t.MinQuality {
				return spec.Errorf(spec.CodeSignal, "a %s of a quality under %d is not proposed", t.Name, t.MinQuality)
			}
			if err := s.Check(); err != nil {
				return err
			}
		}
		if seen[s.Key()] {
			return spec.Errorf(spec.CodeDuplicate, "the item lists one signal twice")
		}
		seen[s.Key()] = true
		l.opening += 1 + headed(spec.SaltSize) + 2 + headed(len(s.Type)) + headed(len(s.Value)) + 2
		if !slices.ContainsFunc(item.Counts, func(c spec.Count) bool { return c.Type == s.Type }) {
			item.Counts = append(item.Counts, spec.Count{Type: s.Type, Count: 1})
			l.leaf += 8 + len(s.Type)
		}
	}
	for _, label := range l.Labels {
		l.leaf += 2 + len(label)
	}
	p := spec.Proposal{Items: []spec.Item{item}, Basis: "list"}
	if err := p.Check(); err != nil {
		return err
	}
	if len(l.Signals) > spec.MaxSignals || l.opening > roomOpening {
		return spec.Errorf(spec.CodeTooLarge, "the item has more signals than one proposal takes")
	}
	return l.name()
}

// headed is the size of n bytes with their CBOR head.
func headed(n int) int {
	switch {
	case n < 24:
		return 1 + n
	case n < 256:
		return 2 + n
	}
	return 3 + n
}

// name gives the line its digest.
func (l *listLine) name() error {
	b, err := json.Marshal(l)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(b)
	l.digest = hex.EncodeToString(sum[:16])
	return nil
}

// What the items of one proposal may take of its opening and of its operation,
// with room for the rest.
const (
	roomOpening = spec.MaxOpening - spec.MaxText - 256
	roomLeaf    = spec.MaxLeaf - 4<<10
)

// A batch is lines that make one proposal.
type batch struct {
	key                    string
	lines                  []*listLine
	signals, opening, leaf int
}

// takes reports whether a line still fits.
func (b *batch) takes(l *listLine) bool {
	return len(b.lines) == 0 || len(b.lines) < spec.MaxItems && b.lines[0].Text == l.Text &&
		b.signals+len(l.Signals) <= spec.MaxSignals && b.opening+l.opening <= roomOpening && b.leaf+l.leaf+8 <= roomLeaf
}

func (b *batch) add(l *listLine) {
	b.lines = append(b.lines, l)
	b.signals, b.opening, b.leaf = b.signals+len(l.Signals), b.opening+l.opening, b.leaf+l.leaf+8
}
