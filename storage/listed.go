// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"io"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/storage/exact"
)

// typeDigest is the signal type whose values are asked for by the million.
const typeDigest = "sha256"

// listed says from memory whether any entry lists exactly a signal. SHA-256 values
// stand in a table of their own under themselves, all others under their keys:
// hashing a value into its key takes several times as long as looking it up.
type listed struct {
	digests *exact.Table
	others  *exact.Table
	keyed   bool // all stand under their keys
}

// newListed makes tables with room for about so many of each.
func newListed(digests, others int, keyed bool) *listed {
	return &listed{exact.New(digests), exact.New(others), keyed}
}

func (t *listed) add(l *liveSignal) {
	if l.Type == typeDigest {
		t.digests.Add((*[32]byte)(l.Value))
	} else {
		t.others.Add((*[32]byte)(&l.k))
	}
}

func (t *listed) remove(l *liveSignal) {
	if l.Type == typeDigest {
		t.digests.Remove((*[32]byte)(l.Value))
	} else {
		t.others.Remove((*[32]byte)(&l.k))
	}
}

// has is asked with signals that were checked.
func (t *listed) has(s spec.Signal) bool {
	if s.Type == typeDigest && len(s.Value) == 32 && !t.keyed {
		return t.digests.Has((*[32]byte)(s.Value))
	}
	k := s.Key()
	return t.others.Has((*[32]byte)(&k))
}

// hasAll makes here[i] true for the values of a group that are listed, and false for
// those that were true: they were found already.
func (t *listed) hasAll(g *signalGroup, here []bool) {
	if g.typ.Name != typeDigest || len(g.values) == 1 || t.keyed {
		for i, v := range g.values {
			here[i] = !here[i] && t.has(spec.Signal{Type: g.typ.Name, Value: v})
		}
		return
	}
	rows, found := make([][32]byte, len(g.values)), make([]byte, len(g.values))
	for i, v := range g.values {
		rows[i] = [32]byte(v)
	}
	t.digests.HasBatch(rows, found)
	for i := range found {
		here[i] = found[i] == 1
	}
}

// MaxRows bounds the rows of one call of ListedRows.
const MaxRows = 1 << 20

// ListedRows reads rows of SHA-256 values, 32 bytes each, until src ends and writes
// a byte to dst for each, in their order: 1 for a value that is live, 0 for one that
// is not. Answers are written while rows still come, each as of the moment in which
// its row is looked up: who sends slowly holds nothing of the store. It returns how
// many were answered, and refuses with MALFORMED what does not end with a whole row
// and with TOO_LARGE more than MaxRows.
func (s *Store) ListedRows(dst io.Writer, src io.Reader) (answered int64, err error) {
	limited := &io.LimitedReader{R: src, N: 32*MaxRows + 1}
	answered, err = exact.Stream(dst, limited, s.listedRows)
	switch {
	case limited.N == 0:
		return answered, spec.Errorf(spec.CodeTooLarge, "at most %d rows are answered at once", MaxRows)
	case errors.Is(err, exact.ErrTornRow):
		return answered, spec.Errorf(spec.CodeMalformed, "rows are 32 bytes each, the last one too")
	}
	return answered, err
}

// listedRows answers whole rows. In a keyed store their keys take their places.
func (s *Store) listedRows(rows, out []byte) error {
	return s.read(func(d *database) error {
		if !d.keyed {
			d.exact.digests.HasRows(rows, out)
			return nil
		}
		for row := rows; len(row) > 0; row = row[32:] {
			k := spec.Signal{Type: typeDigest, Value: row[:32]}.Key()
			copy(row, k[:])
		}
		d.exact.others.HasRows(rows, out)
		return nil
	})
}
