// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"io"
	"time"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/consortia"
	"github.com/tocsin-db/tocsin/node/cosign"
	"github.com/tocsin-db/tocsin/node/media"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/storage"
)

// staleAfter is the age from which an answer is flagged as stale.
const staleAfter = 60 * time.Second

// Match implements api.Backend. A lookup never leaves this node.
func (n *Node) Match(ctx context.Context, signals []spec.Signal) (api.MatchAnswer, error) {
	answers, err := n.MatchAll(ctx, [][]spec.Signal{signals})
	if err != nil {
		return api.MatchAnswer{}, err
	}
	return answers[0], nil
}

// MatchAll implements api.Backend.
func (n *Node) MatchAll(_ context.Context, queries [][]spec.Signal) ([]api.MatchAnswer, error) {
	for _, signals := range queries {
		n.sight(signals)
	}
	return n.lookup(queries, queries)
}

// MatchFile implements api.Backend. Of a picture the eight turned and mirrored
// copies are looked up as well.
func (n *Node) MatchFile(ctx context.Context, r io.Reader, name string) (api.MatchAnswer, error) {
	return n.matchFile(ctx, r, name, n.lookup)
}

// matchFile looks up what a file hashes to.
func (n *Node) matchFile(ctx context.Context, r io.Reader, name string, lookup func(signals, queries [][]spec.Signal) ([]api.MatchAnswer, error)) (api.MatchAnswer, error) {
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
	answers, err := lookup([][]spec.Signal{signals}, [][]spec.Signal{queries})
	if err != nil {
		return api.MatchAnswer{}, err
	}
	a := answers[0]
	for _, u := range rec.Unsupported {
		a.Unsupported = append(a.Unsupported, api.Unsupported{Type: u.Type, Code: u.Code})
	}
	return a, nil
}

// lookup answers from all consortia that this node follows. signals[i] is what the
// answer says was looked up for queries[i].
func (n *Node) lookup(signals, queries [][]spec.Signal) ([]api.MatchAnswer, error) {
	if others := n.further.all(); len(others) > 0 {
		return n.lookupEverywhere(others, signals, queries)
	}
	return n.lookupHere(signals, queries)
}

// lookupHere answers from this consortium's own store, as of one state of its log.
func (n *Node) lookupHere(signals, queries [][]spec.Signal) ([]api.MatchAnswer, error) {
	f, err := n.mayAnswer()
	if err != nil {
		return nil, err
	}
	look := looking{nowMS: uint64(n.cfg.Now().UnixMilli()), imports: n.imports.Load()}
	found, err := n.store.LookupSplit(queries, look.split())
	if err != nil {
		return nil, err
	}
	if err := refusal(n.coverage()); err != nil {
		return nil, err // the database was replaced meanwhile
	}
	answers := make([]api.MatchAnswer, len(found))
	for i := range found {
		answers[i] = api.MatchAnswer{Signals: signals[i], Freshness: f, Truncated: found[i].Truncated, Matches: n.matches(found[i].Hits, look.imports, f.Final)}
		for _, typ := range n.store.Inexact(queries[i]) {
			answers[i].Unsupported = append(answers[i].Unsupported, api.Unsupported{Type: typ, Code: spec.CodeTier})
		}
	}
	return answers, nil
}

// looking is what decides what a match counts as, the same all through one lookup.
type looking struct {
	nowMS   uint64
	imports *consortia.Policy // nil: all is trusted
}

// split has what counts as listed, and what is to be reviewed, cut off each for itself,
// and what does not hold or is ignored before that.
func (l *looking) split() storage.Split {
	s := storage.Split{Parts: 1, Of: l.part}
	if l.imports != nil {
		s.Parts = 2
	}
	return s
}

func (l *looking) part(m *spec.LiveMeta) int {
	if m.Sunset != 0 && l.nowMS >= m.Sunset {
		return -1 // provisional and over, although no tick has said so yet
	}
	if l.imports == nil {
		return 0
	}
	switch l.imports.Of(m.Labels) {
	case consortia.Ignore:
		return -1
	case consortia.Review:
		return 1
	}
	return 0
}

// matches are hits as they are answered, under the import policy.
func (n *Node) matches(hits []storage.Hit, imports *consortia.Policy, final uint64) []api.Match {
	if len(hits) == 0 {
		return nil
	}
	out := make([]api.Match, len(hits))
	for i := range hits {
		h, verdict := &hits[i], ""
		if imports != nil {
			if verdict = api.VerdictMatch; imports.Of(h.Entry.Labels) == consortia.Review {
				verdict = api.VerdictReview
			}
		}
		out[i] = api.Match{
			Entry: h.Entry.Entry, Type: h.Type, Distance: h.Distance, Threshold: h.Threshold,
			State: spec.StateName(h.Entry.State), Labels: h.Entry.Labels, LogIndex: h.Entry.Since,
			Final: n.consensus == nil || h.Entry.Since < final, Verdict: verdict,
		}
	}
	return out
}

// MatchRows implements api.Backend.
func (n *Node) MatchRows(_ context.Context, in io.Reader, out io.Writer, about func(api.Freshness)) error {
	return n.rowsFrom(n.further.all(), in, out, about)
}

// rowsFrom answers rows from this consortium and others. A store is held only while
// rows that have come are looked up: a body that takes its time must not keep a node
// from ending.
func (n *Node) rowsFrom(others []*consortium, in io.Reader, out io.Writer, about func(api.Freshness)) error {
	if len(others) > 0 || n.imports.Load() != nil {
		return n.rowsEverywhere(others, in, out, about)
	}
	f, err := n.mayAnswer()
	if err != nil {
		return err
	}
	about(f)
	_, err = n.store.ListedRows(coveredWriter{out, n}, in)
	return err
}

// A coveredWriter refuses answers from a database that replaced the one before and
// that nothing final covers yet.
type coveredWriter struct {
	io.Writer
	n *Node
}

func (w coveredWriter) Write(p []byte) (int, error) {
	if err := refusal(w.n.coverage()); err != nil {
		return 0, err
	}
	return w.Writer.Write(p)
}

// mayAnswer says on what answers rest. It refuses lookups until the node is ready
// and, where it is set to fail closed, from what is too old. A node that halted
// answers from what it had.
func (n *Node) mayAnswer() (api.Freshness, error) {
	for _, c := range n.answering() {
		if err := refusal(c); err != nil {
			return api.Freshness{}, err
		}
	}
	f := n.freshness()
	return f, n.tooOld(f)
}

// tooOld is what a lookup is answered with on a node that is set to fail closed, or nil.
func (n *Node) tooOld(f api.Freshness) error {
	if n.cfg.MaxAge <= 0 || f.Age <= n.cfg.MaxAge {
		return nil
	}
	return spec.Errorf(spec.CodeStale, "what is final is %d s old, and this node answers from at most %d s", int(f.Age.Seconds()), int(n.cfg.MaxAge.Seconds()))
}

// refusal is what a lookup is answered with while a check fails, or nil.
func refusal(c api.Check) error {
	if c.OK {
		return nil
	}
	return spec.Errorf(spec.CodeNotReady, "the node is not ready: %s", c.Reason)
}

// freshness says on which state of the log answers rest.
func (n *Node) freshness() api.Freshness {
	contact := time.Duration(-1)
	if n.consensus != nil {
		contact = n.consensus.Contact()
	}
	final := n.final.Newest()
	f := freshnessOf(n.store.Size(), final, n.cfg.Now(), n.consensus == nil, contact)
	f.Stale = f.Stale || n.isHalted()
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
