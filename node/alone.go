// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"io"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/spec"
)

// alone is a node that answers lookups from its own consortium, whatever others it
// follows.
type alone struct{ *Node }

// Match implements api.Backend.
func (a alone) Match(_ context.Context, signals []spec.Signal) (api.MatchAnswer, error) {
	answers, err := a.MatchAll(context.Background(), [][]spec.Signal{signals})
	if err != nil {
		return api.MatchAnswer{}, err
	}
	return answers[0], nil
}

// MatchAll implements api.Backend.
func (a alone) MatchAll(_ context.Context, queries [][]spec.Signal) ([]api.MatchAnswer, error) {
	for _, signals := range queries {
		a.sight(signals)
	}
	return a.lookupHere(queries, queries)
}

// MatchFile implements api.Backend.
func (a alone) MatchFile(ctx context.Context, r io.Reader, name string) (api.MatchAnswer, error) {
	return a.matchFile(ctx, r, name, a.lookupHere)
}

// MatchRows implements api.Backend.
func (a alone) MatchRows(_ context.Context, in io.Reader, out io.Writer, about func(api.Freshness)) error {
	return a.rowsFrom(nil, in, out, about)
}
