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
	var group [][]byte
	for at := uint64(0); at < size; {
		leaves, err := st.Leaves(at, readBytes)
		if err != nil {
			return err
		}
		for _, l := range leaves[:min(uint64(len(leaves)), size-at)] {
			group = append(group, l)
			if spec.EndsGroup(l) {
				if err := writeGroup(st, dump, group); err != nil {
					return err
				}
				group = group[:0]
			}
		}
		at += uint64(len(leaves))
	}
	return dump.Close()
}

func writeGroup(st *storage.Store, dump *audit.Writer, leaves [][]byte) error {
	for _, l := range leaves {
		if !spec.IsEnvelope(l) {
			continue
		}
		id := spec.LeafHash(l)
		o, err := st.Opening(id)
		if err != nil {
			return err
		}
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

// Rebuild repeats the history in a dump with openings into a new store at dir, and
// leaves it closed. It must end just at the checkpoint and hold every value that is
// live there.
func Rebuild(ctx context.Context, dump io.Reader, g *spec.Genesis, at tlog.Checkpoint, dir string, progress func(done, of uint64)) error {
	r, err := audit.Verify(ctx, dump, audit.Options{Genesis: g, FS: vfs.Default, Dir: dir, Progress: progress})
	if err != nil {
		return err
	}
	switch {
	case r.Leaves != at.Size || r.Root != at.Root:
		return spec.Errorf(spec.CodeRecovery, "the dump ends with %d leaves, the recovery goes on from another log, of %d", r.Leaves, at.Size)
	case !r.LiveRoot:
		return spec.Errorf(spec.CodeOpening, "the dump lacks values that are live: take one with all openings")
	}
	return nil
}
