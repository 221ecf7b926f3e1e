// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/api/wire"
	"github.com/tocsin-db/tocsin/spec"
)

// flipped is a signal with some bits of its value turned over.
func flipped(s spec.Signal, bits ...int) spec.Signal {
	s.Value = bytes.Clone(s.Value)
	for _, b := range bits {
		s.Value[b/8] ^= 1 << (b % 8)
	}
	return s
}

// Of a picture that is listed more often than an answer is long the policy decides
// first: what counts as listed is found behind a hundred that do not, what is ignored
// takes no place, and only what counts for something and is not shown makes an answer
// truncated.
func TestAPolicyDecidesBeforeAnAnswerIsCut(t *testing.T) {
	const many = 110
	ctx, c := found(t, 2)
	alpha := c.Members[0]
	shared := picture(0)
	p := api.Proposal{Basis: "designated-entity"}
	for i := range many {
		near := flipped(shared[1], i)
		if i%11 == 10 { // ten are farther away
			near = flipped(shared[1], i, i+1, i+2)
		}
		p.Items = append(p.Items, api.ProposalItem{Labels: []string{fmt.Sprint("label-", i)}, Signals: []spec.Signal{shared[0], near}})
	}
	id, err := alpha.Propose(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	approve(t, c.Members[1], id)
	awaitMatches(t, ctx, alpha, shared[0], 100)

	look := func(s spec.Signal) (a wire.MatchAnswer) {
		t.Helper()
		status, _, body := call(t, alpha, "POST", "/v1/match", wire.MatchRequest{Signals: []wire.Signal{{Type: s.Type, Value: s.Text()}}})
		if err := json.Unmarshal(body, &a); err != nil || status != 200 {
			t.Fatalf("status %d, %s, %v", status, body, err)
		}
		return a
	}
	imports := func(p wire.ImportPolicy) {
		t.Helper()
		if status, _, body := call(t, alpha, "POST", "/v1/consortia/trial/imports", p); status != 204 {
			t.Fatalf("status %d: %s", status, body)
		}
	}
	row := func() byte {
		t.Helper()
		_, _, body := call(t, alpha, "POST", "/v1/match:rows", shared[0].Value)
		if len(body) != 1 {
			t.Fatalf("an answer of %d bytes", len(body))
		}
		return body[0]
	}
	for _, s := range shared {
		imports(wire.ImportPolicy{Default: "trust"})
		a := look(s)
		if len(a.Matches) != 100 || !a.Truncated || row() != 1 {
			t.Fatalf("%s: %d matches, truncated %v", s.Type, len(a.Matches), a.Truncated)
		}
		hidden := hiddenLabel(a, many)
		only := map[string]wire.ImportAction{hidden: "trust"}
		for _, x := range []struct {
			policy    wire.ImportPolicy
			verdict   string
			matches   int
			truncated bool
			row       byte
		}{
			{wire.ImportPolicy{Default: "review", Labels: only}, api.VerdictMatch, 101, true, 1},
			{wire.ImportPolicy{Default: "ignore", Labels: only}, api.VerdictMatch, 1, false, 1},
			{wire.ImportPolicy{Default: "ignore", Labels: map[string]wire.ImportAction{hidden: "review"}}, api.VerdictReview, 1, false, 2},
			{wire.ImportPolicy{Default: "review"}, api.VerdictReview, 100, true, 2},
			{wire.ImportPolicy{Default: "ignore"}, api.VerdictNoMatch, 0, false, 0},
		} {
			imports(x.policy)
			a := look(s)
			if string(a.Verdict) != x.verdict || len(a.Matches) != x.matches || a.Truncated != x.truncated || row() != x.row {
				t.Errorf("%s under %v: %s, %d matches, truncated %v, row %d; want %+v", s.Type, x.policy, a.Verdict, len(a.Matches), a.Truncated, row(), x)
			}
		}
	}
}

// hiddenLabel is the label of an entry that an answer does not show.
func hiddenLabel(a wire.MatchAnswer, many int) string {
	for i := range many {
		l := fmt.Sprint("label-", i)
		if !slices.ContainsFunc(a.Matches, func(m wire.Match) bool { return m.Labels[0] == l }) {
			return l
		}
	}
	return ""
}
