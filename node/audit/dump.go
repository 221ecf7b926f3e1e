// SPDX-License-Identifier: Apache-2.0

// Package audit repeats a whole history offline: signatures, tallies, decisions,
// ticks, the roots of the state and of the log, from a dump that anyone may have.
// Nothing in a dump opens a hash value, unless a party that holds the openings
// adds them.
package audit

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// magic begins a dump. After it stand parts: a kind as one byte, the length of what
// follows as four bytes, big-endian, and that.
const magic = "tocsin-log-1\n"

// Kinds of parts, in the order in which they come.
const (
	partGenesis    = 'g' // the genesis document, once
	partHandOff    = 'h' // how a panel took over, one after the other
	partCheckpoint = 'c' // the final checkpoint that the dump ends with, once
	partOpening    = 'o' // CBOR[operation id, opening], before the group that needs it
	partLeaf       = 'l'
	partEnd        = '.' // empty
)

// opening is the content of partOpening.
type opening struct {
	_     struct{} `cbor:",toarray"`
	ID    spec.Hash
	Bytes []byte
}

// A Writer writes a dump.
type Writer struct{ w *bufio.Writer }

// NewWriter begins a dump of the log up to a final checkpoint.
func NewWriter(w io.Writer, g *spec.Genesis, links []tlog.Link, note []byte) (*Writer, error) {
	b, err := g.Encode()
	if err != nil {
		return nil, err
	}
	d := &Writer{bufio.NewWriterSize(w, 1<<20)}
	_, err = d.w.WriteString(magic)
	err = errors.Join(err, d.part(partGenesis, b))
	for i := range links {
		l, bad := links[i].Encode()
		err = errors.Join(err, bad, d.part(partHandOff, l))
	}
	return d, errors.Join(err, d.part(partCheckpoint, note))
}

func (d *Writer) part(kind byte, data []byte) error {
	head := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(data)))
	if _, err := d.w.Write(head); err != nil {
		return err
	}
	_, err := d.w.Write(data)
	return err
}

// Leaf adds the next leaf.
func (d *Writer) Leaf(b []byte) error { return d.part(partLeaf, b) }

// Opening adds the opening of an operation, before the group that needs it. A dump
// with openings is not for everybody.
func (d *Writer) Opening(id spec.Hash, encoded []byte) error {
	b, err := spec.Encode(&opening{ID: id, Bytes: encoded})
	if err != nil {
		return err
	}
	return d.part(partOpening, b)
}

// Close ends the dump.
func (d *Writer) Close() error { return errors.Join(d.part(partEnd, nil), d.w.Flush()) }

// reader reads a dump.
type reader struct {
	r  *bufio.Reader
	at int64 // of the part read last
	n  int64 // read so far
}

func newReader(r io.Reader) (*reader, error) {
	d := &reader{r: bufio.NewReaderSize(r, 1<<20), n: int64(len(magic))}
	b := make([]byte, len(magic))
	if _, err := io.ReadFull(d.r, b); err != nil || string(b) != magic {
		return nil, spec.Errorf(spec.CodeMalformed, "this is no dump of a log")
	}
	return d, nil
}

// limits of the parts in bytes.
var limits = map[byte]uint32{
	partGenesis: spec.MaxRaftEntry, partHandOff: tlog.MaxLink, partCheckpoint: tlog.MaxNote, partOpening: spec.MaxOpening + 64, partLeaf: spec.MaxLeaf, partEnd: 0,
}

// next reads a part.
func (d *reader) next() (kind byte, data []byte, err error) {
	d.at = d.n
	var head [5]byte
	if _, err := io.ReadFull(d.r, head[:]); err != nil {
		return 0, nil, d.cut(err)
	}
	size := binary.BigEndian.Uint32(head[1:])
	limit, known := limits[head[0]]
	if !known || size > limit {
		return 0, nil, spec.Errorf(spec.CodeMalformed, "byte %d of the dump begins no part of one", d.at)
	}
	data = make([]byte, size)
	if _, err := io.ReadFull(d.r, data); err != nil {
		return 0, nil, d.cut(err)
	}
	d.n += int64(len(head)) + int64(size)
	return head[0], data, nil
}

func (d *reader) cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return spec.Errorf(spec.CodeMalformed, "the dump is cut off behind byte %d", d.at)
	}
	return err
}

// expect reads a part that must be of this kind.
func (d *reader) expect(kind byte) ([]byte, error) {
	got, data, err := d.next()
	if err == nil && got != kind {
		err = spec.Errorf(spec.CodeMalformed, "byte %d of the dump begins another part than is due", d.at)
	}
	return data, err
}
