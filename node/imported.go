// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"strconv"

	"github.com/tocsin-db/tocsin/node/durable"
	"github.com/tocsin-db/tocsin/storage"
)

// importChecked takes over another node's database. It must continue what this
// node knows to be final; what lies beyond is neither served nor cosigned before
// a final checkpoint covers it, whether the node is started again or not.
func (r *replica) importChecked(in io.Reader, a storage.Applied) error {
	before := r.imported.Swap(math.MaxUint64) // nothing is, while it is not checked
	if err := r.noteImported(math.MaxUint64); err != nil {
		r.imported.Store(before)
		return err
	}
	if err := r.store.Import(in, a); err != nil {
		// Which database the next start finds may not be known: what was noted stays.
		r.imported.Store(before)
		return err
	}
	if err := r.continues(); err != nil {
		return err
	}
	size := r.store.Size()
	if err := r.noteImported(size); err != nil {
		return err
	}
	r.imported.Store(size)
	return nil
}

// covered reports whether a final checkpoint covers what came from another node.
func (r *replica) covered() bool {
	size := r.imported.Load()
	return size == 0 || r.final.Newest().Size >= size
}

// noteImported makes the size durable, in decimal; the largest says that an import is
// under way.
func (r *replica) noteImported(size uint64) error {
	err := durable.Replace(r.importedFile, strconv.AppendUint(nil, size, 10), 0o600)
	if err != nil {
		return fmt.Errorf("noting how far the log came from another node: %w", err)
	}
	return nil
}

// recallImported reads what noteImported wrote. Of an import that did not end, or of
// what cannot be read, all that the store holds may have come from another node.
func (r *replica) recallImported() error {
	b, err := os.ReadFile(r.importedFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	size, err := strconv.ParseUint(string(b), 10, 64)
	if err != nil || size == math.MaxUint64 {
		size = r.store.Size()
		if err := r.noteImported(size); err != nil {
			return err
		}
	}
	r.imported.Store(size)
	return nil
}
