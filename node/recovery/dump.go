// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"context"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/node/audit"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
	"github.com/tocsin-db/tocsin/storage"
)

// readBytes is how much of a log is read at once.
const readBytes = 4 << 20

// Dump writes the log of a store up to a final checkpoint with the openings that the
// store holds: what another node takes over. It is not for everybody.
func Dump(st *storage.Store, g *spec.Genesis, links []tlog.Link, note []byte, size uint64, w io.Writer) error {
	if first := st.First(); first > 0 {
		return spec.Errorf(spec.CodeGone, "the log in this data directory begins with a snapshot of %d leaves: take the dump of a node that has all of it", first)
	}
	dump, err := audit.NewWriter(w, g, links, note)
	if err != nil {
		return err
	}
	err = Groups(st, 0, size, func(leaves [][]byte, openings map[spec.Hash]*spec.Opening) error {
		return writeGroup(dump, leaves, openings)
	})
	if err != nil {
		return err
	}
	return dump.Close()
}

// Groups calls fn with each group of a store's log between two sizes, and with the
// openings of it that the store holds.
func Groups(st *storage.Store, from, size uint64, fn func(leaves [][]byte, openings map[spec.Hash]*spec.Opening) error) error {
	var group [][]byte
	for at := from; at < size; {
		leaves, err := st.Leaves(at, readBytes)
		if err != nil {
			return err
		}
		if len(leaves) == 0 {
			return spec.Errorf(spec.CodeCorrupt, "the log ends at %d of %d leaves", at, size)
		}
		for _, l := range leaves[:min(uint64(len(leaves)), size-at)] {
			if group = append(group, l); !spec.EndsGroup(l) {
				continue
			}
			openings, err := openingsOf(st, group)
			if err != nil {
				return err
			}
			if err := fn(group, openings); err != nil {
				return err
			}
			group = nil
		}
		at += uint64(len(leaves))
	}
	return nil
}

func openingsOf(st *storage.Store, leaves [][]byte) (map[spec.Hash]*spec.Opening, error) {
	out := map[spec.Hash]*spec.Opening{}
	for _, l := range leaves {
		if !spec.IsEnvelope(l) {
			continue
		}
		id := spec.LeafHash(l)
		o, err := st.Opening(id)
		if err != nil {
			return nil, err
		}
		if o != nil {
			out[id] = o
		}
	}
	return out, nil
}

func writeGroup(dump *audit.Writer, leaves [][]byte, openings map[spec.Hash]*spec.Opening) error {
	for _, l := range leaves {
		id := spec.LeafHash(l)
		o := openings[id]
		if o == nil {
			continue
		}
		b, err := o.Encode()
		if err == nil {
			err = dump.Opening(id, b)
		}
		if err != nil {
			return err
		}
	}
	for _, l := range leaves {
		if err := dump.Leaf(l); err != nil {
			return err
		}
	}
	return nil
}

// Into says what Rebuild makes.
type Into struct {
	Dir      string                // of the new store
	Keyed    bool                  // of the digest tier
	Withheld bool                  // of a role that may not see values
	Progress func(done, of uint64) // leaves; or nil
}

// Rebuild repeats the history in a dump with openings into a new store, and
// leaves it closed. It must end just at the checkpoint and hold every value that is
// live there, unless they are withheld.
func Rebuild(ctx context.Context, dump io.Reader, g *spec.Genesis, at tlog.Checkpoint, into Into) error {
	r, err := audit.Verify(ctx, dump, audit.Options{Genesis: g, FS: vfs.Default, Dir: into.Dir, Keyed: into.Keyed, Progress: into.Progress})
	if err != nil {
		return err
	}
	switch {
	case r.Leaves != at.Size || r.Root != at.Root:
		return spec.Errorf(spec.CodeRecovery, "the dump ends with %d leaves, and is not the log of the checkpoint of %d", r.Leaves, at.Size)
	case !r.LiveRoot && !into.Withheld:
		return spec.Errorf(spec.CodeOpening, "the dump lacks values that are live: take one with all openings")
	}
	return nil
}
