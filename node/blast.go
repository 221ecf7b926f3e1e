// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"path/filepath"
	"time"

	"github.com/tocsin-db/tocsin/consensus/governance"
	"github.com/tocsin-db/tocsin/node/sightings"
	"github.com/tocsin-db/tocsin/spec"
)

// lawfulName is the file of a site's own list of lawful content.
const lawfulName = "lawful.txt"

// blastTimeout bounds how long a vote looks at what was sighted.
const blastTimeout = 10 * time.Second

func (n *Node) openSightings(context.Context) (err error) {
	n.sightings, err = sightings.Open(filepath.Join(n.cfg.Dir, "sightings"), n.cfg.SightingsDays, n.cfg.Now, n.log)
	if err != nil || n.sightings == nil {
		return err
	}
	n.onStop(func(context.Context) error { return n.sightings.Close() })
	n.background(func(ctx context.Context) {
		n.every(ctx, time.Hour, time.Hour, func(context.Context) {
			if err := n.sightings.Expire(); err != nil {
				n.log.Error("deleting old sightings", "error", err)
			}
		})
	})
	return nil
}

// sight remembers what was looked up. A lookup does not fail for it.
func (n *Node) sight(signals []spec.Signal) {
	if err := n.sightings.Record(signals); err != nil {
		n.log.Error("remembering a sighting", "error", err)
	}
}

// blast counts what each item of an addition would hit at this site; nil where
// the site keeps nothing to look at, or holds no values of the case. With the
// site's own list it looks at the consortium's.
func (n *Node) blast(ctx context.Context, id spec.Hash) ([]spec.Blast, error) {
	lawful, listed, err := sightings.ReadLawful(filepath.Join(n.cfg.Dir, lawfulName))
	if err != nil || !listed && n.sightings == nil {
		return nil, err
	}
	m, items, err := n.candidates(id)
	if err != nil || items == 0 {
		return nil, err
	}
	allowed, err := n.Allowed(ctx)
	if err != nil {
		return nil, err
	}
	for _, a := range allowed {
		lawful = append(lawful, spec.Signal{Type: a.Type, Value: a.Value})
	}
	ctx, cancel := context.WithTimeout(ctx, blastTimeout)
	defer cancel()
	seen, err := n.sightings.Hits(ctx, m)
	if err != nil {
		return nil, err
	}
	matched := m.Matches(lawful)
	out := make([]spec.Blast, items)
	for i := range out {
		out[i] = spec.Blast{Item: uint64(i), Sightings: seen[i], Lawful: matched[i]}
	}
	return out, nil
}

// candidates are the signals of an addition; none of other cases.
func (n *Node) candidates(id spec.Hash) (*sightings.Matcher, int, error) {
	var c spec.Case
	if err := readRecord(n.store, spec.CaseKey(id), &c); err != nil || c.Kind != spec.KindProposal {
		return nil, 0, err
	}
	body, err := governance.Content(n.store, id, &c)
	if err != nil {
		return nil, 0, err
	}
	o, err := n.store.Opening(id)
	if err != nil || o == nil {
		return nil, 0, err
	}
	items := body.(*spec.Proposal).Items
	m, first := sightings.NewMatcher(len(items)), 0
	for i := range items {
		for _, s := range values(o, first, items[i].Signals()) {
			m.Add(i, s)
		}
		first += items[i].Signals()
	}
	return m, len(items), nil
}
