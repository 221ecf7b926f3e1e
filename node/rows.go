// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"errors"
	"io"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/consortia"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/storage"
)

// Answers to a row.
const (
	rowUnlisted = 0
	rowListed   = 1
	rowReview   = 2
	// rowUnchecked is what is listed nowhere that answered, while a consortium is
	// missing.
	rowUnchecked = 3
)

const (
	rowBytes  = 32
	rowsBlock = 4096 // rows that are asked of all consortia at once
)

// A rowLookup answers rows from several consortia, or under an import policy.
type rowLookup struct {
	all  []source // that answer
	none byte     // what is listed in none of them is
}

// rowsEverywhere is MatchRows where several consortia or an import policy have a say.
func (n *Node) rowsEverywhere(others []*consortium, in io.Reader, out io.Writer, about func(api.Freshness)) error {
	l := rowLookup{none: rowUnlisted}
	all := n.sources(others)
	list := make([]api.ConsortiumAnswer, len(all))
	var refused error
	for i := range all {
		s := &all[i]
		f, err := s.mayAnswer()
		list[i] = s.about(f, err)
		if err != nil {
			refused, l.none = firstOf(refused, err), rowUnchecked
			continue
		}
		l.all = append(l.all, *s)
	}
	if len(l.all) == 0 {
		return refused
	}
	about(together(list))
	return l.stream(in, out)
}

// stream answers the rows of in, in blocks of what has come.
func (l *rowLookup) stream(in io.Reader, out io.Writer) error {
	buf, have, total := make([]byte, rowBytes*rowsBlock), 0, 0
	for {
		k, err := io.ReadAtLeast(in, buf[have:], max(1, rowBytes-have))
		have += k
		rows := have / rowBytes
		if total += rows; total > storage.MaxRows {
			return spec.Errorf(spec.CodeTooLarge, "at most %d rows are answered at once", storage.MaxRows)
		}
		if rows > 0 {
			answers, err := l.block(buf[:rows*rowBytes])
			if err != nil {
				return err
			}
			if _, err := out.Write(answers); err != nil {
				return err
			}
			have = copy(buf, buf[rows*rowBytes:have])
		}
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			if have > 0 {
				return spec.Errorf(spec.CodeMalformed, "rows are %d bytes each, the last one too", rowBytes)
			}
			return nil
		case err != nil:
			return err
		}
	}
}

// block answers whole rows: what is listed anywhere counts before what is to be
// reviewed.
func (l *rowLookup) block(rows []byte) ([]byte, error) {
	out := bytes.Repeat([]byte{l.none}, len(rows)/rowBytes)
	for i := range l.all {
		found, err := l.all[i].node.rowsHere(rows)
		if err != nil {
			return nil, err
		}
		for r, a := range found {
			if a == rowListed || a == rowReview && out[r] != rowListed {
				out[r] = a
			}
		}
	}
	return out, nil
}

// rowsHere answers whole rows from one consortium under its import policy.
func (n *Node) rowsHere(rows []byte) ([]byte, error) {
	var found bytes.Buffer
	found.Grow(len(rows) / rowBytes)
	if _, err := n.store.ListedRows(&found, bytes.NewReader(rows)); err != nil {
		return nil, err
	}
	out, policy := found.Bytes(), n.imports.Load()
	for r := range out {
		if policy == nil || out[r] != rowListed {
			continue
		}
		if len(policy.Labels) == 0 && policy.Default == consortia.Review {
			out[r] = rowReview
			continue
		}
		one := [][]spec.Signal{{{Type: "sha256", Value: rows[r*rowBytes : (r+1)*rowBytes]}}}
		answers, err := n.lookupHere(one, one)
		if err != nil {
			return nil, err
		}
		switch answers[0].Verdict() {
		case api.VerdictMatch:
		case api.VerdictReview, api.VerdictUnchecked: // or more list it than were looked at
			out[r] = rowReview
		default:
			out[r] = rowUnlisted
		}
	}
	return out, refusal(n.coverage()) // the database may have been replaced meanwhile
}
