// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"slices"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/spec"
)

// A source is one consortium of which a lookup is asked.
type source struct {
	name, origin string
	node         *Node       // nil: it does not run
	why          *spec.Error // then
}

// sources lists the consortia that this node follows, its own first.
func (n *Node) sources(others []*consortium) []source {
	out := make([]source, 0, 1+len(others))
	out = append(out, source{name: n.name, origin: n.genesis.Genesis.Origin(), node: n})
	for _, c := range others {
		s := source{name: c.place.Name, origin: c.place.Origin, node: c.node.Load()}
		if s.node == nil {
			s.why = c.why.Load()
		}
		out = append(out, s)
	}
	return out
}

// about says on what an answer of it rests. err is why there is none, or nil.
func (s *source) about(f api.Freshness, err error) api.ConsortiumAnswer {
	a := api.ConsortiumAnswer{Name: s.name, Origin: s.origin, Freshness: f}
	if err == nil {
		return a
	}
	if s.node != nil {
		a.Freshness = s.node.freshness()
	}
	var coded *spec.Error
	if errors.As(err, &coded) {
		a.Code, a.Reason = coded.Code, coded.Message
	} else {
		a.Code, a.Reason = spec.CodeInternal, "its node failed; the log says why"
	}
	a.Stale = true
	return a
}

// together is the freshness of an answer from several consortia.
func together(list []api.ConsortiumAnswer) api.Freshness {
	f := list[0].Freshness
	for i := range list {
		c := &list[i]
		f.Age, f.Stale, f.Incomplete = max(f.Age, c.Age), f.Stale || c.Stale, f.Incomplete || c.Code != ""
	}
	return f
}

// lookupEverywhere answers from every consortium that is followed. One that refuses
// hides nothing of the others; only when all do, the refusal of the node's own is
// what the lookup fails with.
func (n *Node) lookupEverywhere(others []*consortium, signals, queries [][]spec.Signal) ([]api.MatchAnswer, error) {
	all := n.sources(others)
	out := make([]api.MatchAnswer, len(queries))
	list := make([]api.ConsortiumAnswer, len(all))
	answered := 0
	var refused error
	for i := range all {
		answers, f, err := all[i].lookup(signals, queries)
		list[i] = all[i].about(f, err)
		if err != nil {
			refused = firstOf(refused, err)
			n.missing(&list[i], err)
			continue
		}
		answered++
		for q := range answers {
			out[q].Matches = append(out[q].Matches, answers[q].Matches...)
			out[q].Truncated = out[q].Truncated || answers[q].Truncated
			for _, u := range answers[q].Unsupported { // of one consortium is of all: a near one may be listed there
				if !slices.Contains(out[q].Unsupported, u) {
					out[q].Unsupported = append(out[q].Unsupported, u)
				}
			}
		}
	}
	if answered == 0 {
		return nil, refused
	}
	f := together(list)
	for q := range out {
		out[q].Signals, out[q].Consortia, out[q].Freshness = signals[q], list, f
		slices.SortStableFunc(out[q].Matches, func(a, b api.Match) int { return a.Distance - b.Distance })
	}
	return out, nil
}

// missing tells the log of a fault; that a consortium refuses is told in the answer.
func (n *Node) missing(c *api.ConsortiumAnswer, err error) {
	if c.Code == spec.CodeInternal {
		n.log.Error("a lookup failed in one consortium", "consortium", c.Name, "error", err)
	}
}

// mayAnswer is mayAnswer of its node.
func (s *source) mayAnswer() (api.Freshness, error) {
	if s.node == nil {
		return api.Freshness{}, s.why
	}
	return s.node.mayAnswer()
}

// lookup asks one consortium.
func (s *source) lookup(signals, queries [][]spec.Signal) ([]api.MatchAnswer, api.Freshness, error) {
	if s.node == nil {
		return nil, api.Freshness{}, s.why
	}
	answers, err := s.node.lookupHere(signals, queries)
	if err != nil || len(answers) == 0 {
		return nil, s.node.freshness(), err
	}
	for q := range answers {
		for i := range answers[q].Matches {
			m := &answers[q].Matches[i]
			m.Consortium = s.origin
			if m.Verdict == "" {
				m.Verdict = api.VerdictMatch
			}
		}
	}
	return answers, answers[0].Freshness, nil
}
