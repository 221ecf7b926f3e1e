// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"io"
	"time"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/cosign"
	"github.com/tocsin-db/tocsin/node/media"
	"github.com/tocsin-db/tocsin/spec"
)

// staleAfter is the age from which an answer is flagged as stale.
const staleAfter = 60 * time.Second

// Match implements api.Backend. A lookup never leaves this node.
func (n *Node) Match(ctx context.Context, signals []spec.Signal) (api.MatchAnswer, error) {
	n.sight(signals)
	return n.lookup(signals, signals)
}

// MatchFile implements api.Backend. Of a picture the eight turned and mirrored
// copies are looked up as well.
func (n *Node) MatchFile(ctx context.Context, r io.Reader, name string) (api.MatchAnswer, error) {
	rec, err := n.hasher.Hash(ctx, r, name)
	if err != nil {
		return api.MatchAnswer{}, err
	}
	signals, err := media.Listing(rec.Signals)
	if err != nil {
		return api.MatchAnswer{}, err
	}
	n.sight(signals)
	var queries []spec.Signal
	queries = append(queries, signals...)
	for _, variants := range rec.Dihedral {
		for i := range variants {
			queries = append(queries, spec.Signal{Type: "pdq", Value: variants[i][:]})
		}
	}
	a, err := n.lookup(signals, queries)
	for _, u := range rec.Unsupported {
		a.Unsupported = append(a.Unsupported, api.Unsupported{Type: u.Type, Code: u.Code})
	}
	return a, err
}

// lookup answers from this node's own store, as of one state of the log.
func (n *Node) lookup(signals, queries []spec.Signal) (api.MatchAnswer, error) {
	a := api.MatchAnswer{Signals: signals}
	if err := n.mayAnswer(); err != nil {
		return a, err
	}
	a.Freshness = n.freshness()
	hits, truncated, err := n.store.Lookup(queries)
	if err != nil {
		return a, err
	}
	a.Truncated = truncated
	nowMS := uint64(n.cfg.Now().UnixMilli())
	for _, h := range hits {
		if h.Entry.Sunset != 0 && nowMS >= h.Entry.Sunset {
			continue // provisional and over, although no tick has said so yet
		}
		a.Matches = append(a.Matches, api.Match{
			Entry: h.Entry.Entry, Type: h.Type, Distance: h.Distance, Threshold: h.Threshold,
			State: spec.StateName(h.Entry.State), Labels: h.Entry.Labels, LogIndex: h.Entry.Since,
			Final: n.consensus == nil || h.Entry.Since < a.Final,
		})
	}
	return a, nil
}

// MatchRows implements api.Backend.
func (n *Node) MatchRows(_ context.Context, in io.Reader, out io.Writer, about func(api.Freshness)) error {
	if err := n.mayAnswer(); err != nil {
		return err
	}
	about(n.freshness())
	_, err := n.store.ListedRows(out, in)
	return err
}

// mayAnswer refuses lookups until the node is ready and, where it is set to fail
// closed, from what is too old. A node that halted answers from what it had.
func (n *Node) mayAnswer() error {
	for _, c := range n.Ready(context.Background()) {
		if !c.OK && c.Name != checkHistory {
			return spec.Errorf(spec.CodeNotReady, "the node is not ready: %s", c.Reason)
		}
	}
	if f := n.freshness(); n.cfg.MaxAge > 0 && f.Age > n.cfg.MaxAge {
		return spec.Errorf(spec.CodeStale, "what is final is %d s old, and this node answers from at most %d s", int(f.Age.Seconds()), int(n.cfg.MaxAge.Seconds()))
	}
	return nil
}

// freshness says on which state of the log answers rest.
func (n *Node) freshness() api.Freshness {
	contact := time.Duration(-1)
	if n.consensus != nil {
		contact = n.consensus.Status().Contact
	}
	final := n.final.Newest()
	f := freshnessOf(n.store.Size(), final, n.cfg.Now(), n.consensus == nil, contact)
	f.Stale = f.Stale || n.halted() != nil
	return f
}

// freshnessOf says how much of a log is final, and how old the newest final
// checkpoint is. A node that follows holds nothing else than what is final; a
// member has applied it before. A member whose log was never cosigned, as one that
// is still empty, is as old as its last contact with the leader, -1 for none.
func freshnessOf(size uint64, final cosign.Final, now time.Time, follows bool, contact time.Duration) api.Freshness {
	f := api.Freshness{Size: size, Final: min(size, final.Size), Age: contact}
	if follows {
		f.Final = size
	}
	if final.Size > 0 {
		f.Age = max(0, now.Sub(final.Time))
	}
	f.Stale = f.Age > staleAfter || f.Age < 0
	f.Age = max(f.Age, 0)
	return f
}
