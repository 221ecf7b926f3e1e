// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"fmt"
	"io"

	"github.com/tocsin-db/tocsin/node/cosign"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// Export writes the dump of a log that is served in the layout of C2SP tlog-tiles:
// get returns the file at a path. The leaves are checked against the checkpoint
// before the dump is closed.
func Export(ctx context.Context, g *spec.Genesis, get func(ctx context.Context, path string) ([]byte, error), w io.Writer, progress func(done, of uint64)) error {
	chain, note, err := panels(ctx, g, get)
	if err != nil {
		return err
	}
	final, err := chain.OpenFinal(note)
	if err != nil {
		return err
	}
	if note, err = chain.Note(final); err != nil { // without others' cosignatures
		return err
	}
	links, err := chain.Links(final.Size)
	if err != nil {
		return err
	}
	dump, err := NewWriter(w, g, links, note)
	if err != nil {
		return err
	}
	var edge tlog.Edge
	for edge.Size < final.Size {
		t := tlog.Tile{Level: tlog.EntriesLevel, Index: edge.Size / tlog.TileWidth, Width: int(min(tlog.TileWidth, final.Size-edge.Size))}
		b, err := get(ctx, t.Path())
		if err != nil {
			return err
		}
		leaves, err := tlog.ParseBundle(b)
		if err != nil {
			return err
		}
		if len(leaves) != t.Width {
			return spec.Errorf(spec.CodeMalformed, "a bundle has %d leaves where %d are due", len(leaves), t.Width)
		}
		for _, l := range leaves {
			edge.Append(spec.LeafHash(l), func(int, uint64, spec.Hash) {})
			if err := dump.Leaf(l); err != nil {
				return err
			}
		}
		if progress != nil {
			progress(edge.Size, final.Size)
		}
	}
	if edge.Root() != final.Root {
		return spec.Errorf(spec.CodeProof, "the leaves that were served are not those of the final checkpoint")
	}
	return dump.Close()
}

// Panels fetches who made a log that is served final, from the founding panel on.
func Panels(ctx context.Context, g *spec.Genesis, get func(ctx context.Context, path string) ([]byte, error)) (*tlog.Chain, error) {
	chain, _, err := panels(ctx, g, get)
	return chain, err
}

func panels(ctx context.Context, g *spec.Genesis, get func(ctx context.Context, path string) ([]byte, error)) (*tlog.Chain, []byte, error) {
	chain, err := tlog.NewChain(g)
	if err != nil {
		return nil, nil, err
	}
	note, err := get(ctx, "checkpoint")
	if err != nil {
		return nil, nil, err
	}
	return chain, note, handOffs(ctx, chain, get, note)
}

// PanelsOf reads the same from the beginning of a dump, which must be of this
// consortium.
func PanelsOf(r io.Reader, g *spec.Genesis) (*tlog.Chain, error) {
	d, err := newReader(r)
	if err != nil {
		return nil, err
	}
	b, err := d.expect(partGenesis)
	if err != nil {
		return nil, err
	}
	of, err := spec.ParseGenesis(b)
	if err != nil {
		return nil, err
	}
	if of.Origin() != g.Origin() {
		return nil, spec.Errorf(spec.CodeGenesis, "the dump is of another consortium")
	}
	chain, err := tlog.NewChain(g)
	for err == nil {
		kind, data, bad := d.next()
		if bad != nil || kind != partHandOff {
			return chain, bad
		}
		var l *tlog.Link
		if l, err = tlog.ParseLink(data); err == nil {
			err = chain.Add(l)
		}
	}
	return nil, err
}

// handOffs fetches how the panels took over, until the last that the server knows.
func handOffs(ctx context.Context, c *tlog.Chain, get func(ctx context.Context, path string) ([]byte, error), note []byte) error {
	for number := uint64(1); number <= tlog.MaxLinks; number++ {
		b, err := get(ctx, cosign.HandOffPath(number))
		if err != nil {
			if _, open := c.OpenFinal(note); open == nil {
				return nil
			}
			return fmt.Errorf("asking how panel %d took over: %w", number, err)
		}
		l, err := tlog.ParseLink(b)
		if err == nil {
			err = c.Add(l)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
