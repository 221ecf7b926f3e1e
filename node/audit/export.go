// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"io"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// Export writes the dump of a log that is served in the layout of C2SP tlog-tiles:
// get returns the file at a path. The leaves are checked against the checkpoint
// before the dump is closed.
func Export(ctx context.Context, g *spec.Genesis, get func(ctx context.Context, path string) ([]byte, error), w io.Writer, progress func(done, of uint64)) error {
	panel, err := tlog.GenesisPanel(g)
	if err != nil {
		return err
	}
	note, err := get(ctx, "checkpoint")
	if err != nil {
		return err
	}
	final, err := panel.OpenFinal(note)
	if err != nil {
		return err
	}
	if note, err = panel.Note(final); err != nil { // without others' cosignatures
		return err
	}
	dump, err := NewWriter(w, g, note)
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
