// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"

	"github.com/tocsin-db/tocsin/spec"
)

// A Mark is the newest state of the log that this node cosigned.
type Mark struct {
	_    struct{} `cbor:",toarray"`
	Size uint64
	Root spec.Hash
}

// A Store keeps the mark of one cosign key. It lies outside of raft, of its
// snapshots and of backups: whoever restores an old copy of everything else must
// not be able to cosign a second history with it. A node that lost its Store comes
// back with new keys.
type Store struct {
	mu   sync.Mutex
	reg  *register
	mark Mark
	key  spec.PublicKey
}

type storeWire struct {
	_    struct{} `cbor:",toarray"`
	Key  spec.PublicKey
	Mark Mark
}

const maxStore = 256

// StorePath is where a node keeps the mark of a cosign key.
func StorePath(dir string, key spec.PublicKey) string {
	return filepath.Join(dir, "cosigned", key.ID().String())
}

// CreateStore makes the store of a key that was just made.
func CreateStore(dir string, key spec.PublicKey) error {
	s, err := OpenStore(StorePath(dir, key), key, true)
	if err != nil {
		return err
	}
	return s.Close()
}

// OpenStore opens the store at path. It is created only when first says that this
// node has never run before; that it is missing otherwise is CORRUPT.
func OpenStore(path string, key spec.PublicKey, first bool) (*Store, error) {
	reg, value, err := openRegister(path, maxStore, false)
	if errors.Is(err, fs.ErrNotExist) {
		if !first {
			return nil, spec.Errorf(spec.CodeCorrupt, "the store of cosigned checkpoints is missing: this node must not cosign with its old key again")
		}
		reg, value, err = openRegister(path, maxStore, true)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the store of cosigned checkpoints: %w", err)
	}
	s := &Store{reg: reg, key: key}
	if s.mark, err = s.parse(value); err != nil {
		return nil, errors.Join(err, reg.close())
	}
	return s, nil
}

func (s *Store) parse(value []byte) (Mark, error) {
	if len(value) == 0 {
		return Mark{Root: spec.EmptyRoot}, nil
	}
	var w storeWire
	if err := spec.Decode(value, &w); err != nil {
		return Mark{}, spec.Errorf(spec.CodeCorrupt, "the store of cosigned checkpoints cannot be read")
	}
	if w.Key != s.key {
		return Mark{}, spec.Errorf(spec.CodeCorrupt, "the store of cosigned checkpoints belongs to another key")
	}
	return w.Mark, nil
}

// Mark returns the newest state that was cosigned.
func (s *Store) Mark() Mark {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mark
}

// Advance replaces from by to, durable on return. It fails with FORKED when what
// is on the disk is not from, or when to is not ahead of it.
func (s *Store) Advance(from, to Mark) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, err := s.reg.read()
	if err != nil {
		return err
	}
	have, err := s.parse(value)
	if err != nil {
		return err
	}
	if have != from || s.mark != from {
		return spec.Errorf(spec.CodeForked, "the store of cosigned checkpoints was changed by another: size %d where %d was expected", have.Size, from.Size)
	}
	if to.Size < from.Size || to.Size == from.Size && to != from {
		return spec.Errorf(spec.CodeForked, "what was cosigned at size %d cannot be taken back", from.Size)
	}
	if to == from {
		return nil
	}
	b, err := spec.Encode(&storeWire{Key: s.key, Mark: to})
	if err != nil {
		return err
	}
	if err := s.reg.write(b); err != nil {
		return err
	}
	s.mark = to
	return nil
}

// Close closes the store.
func (s *Store) Close() error { return s.reg.close() }
