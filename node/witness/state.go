// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"

	"github.com/tocsin-db/tocsin/spec"
)

// An entry is what was cosigned last of one log.
type entry struct {
	_    struct{} `cbor:",toarray"`
	Size uint64
	Root spec.Hash
	Note []byte
}

// A state keeps the witness's key and, by origin, what it cosigned last.
type state struct {
	dir string
	db  *bbolt.DB
	key ed25519.PrivateKey
}

var (
	keyBucket  = []byte("key")
	logsBucket = []byte("logs")
)

func openState(dir string) (*state, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the witness's folder: %w", err)
	}
	db, err := bbolt.Open(filepath.Join(dir, "state"), 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		return nil, fmt.Errorf("opening what the witness cosigned: %w", err)
	}
	s := &state{dir: dir, db: db}
	err = db.Update(func(tx *bbolt.Tx) error {
		keys, err := tx.CreateBucketIfNotExists(keyBucket)
		if err != nil {
			return err
		}
		if _, err := tx.CreateBucketIfNotExists(logsBucket); err != nil {
			return err
		}
		seed := keys.Get([]byte("seed"))
		if seed == nil {
			seed = make([]byte, ed25519.SeedSize)
			rand.Read(seed)
			if err := keys.Put([]byte("seed"), seed); err != nil {
				return err
			}
		}
		if len(seed) != ed25519.SeedSize {
			return spec.Errorf(spec.CodeCorrupt, "the witness's key has another size")
		}
		s.key = ed25519.NewKeyFromSeed(seed)
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

func (s *state) close() error { return s.db.Close() }

// replace puts what next makes of the last entry of a log in its place, durably, or
// leaves it when next fails. Nothing else changes meanwhile.
func (s *state) replace(origin string, next func(last entry) (entry, error)) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		logs := tx.Bucket(logsBucket)
		last := entry{Root: spec.EmptyRoot}
		if b := logs.Get([]byte(origin)); b != nil {
			if err := spec.DecodeStored(b, &last); err != nil {
				return spec.Errorf(spec.CodeCorrupt, "what the witness cosigned cannot be read")
			}
		}
		e, err := next(last)
		if err != nil {
			return err
		}
		b, err := spec.Encode(&e)
		if err != nil {
			return err
		}
		return logs.Put([]byte(origin), b)
	})
}

// last returns the entry of a log.
func (s *state) last(origin string) (e entry, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		if b := tx.Bucket(logsBucket).Get([]byte(origin)); b != nil {
			return spec.DecodeStored(b, &e)
		}
		return nil
	})
	return e, err
}

// maxForks bounds how many proofs of forks are kept.
const maxForks = 100

// keepFork keeps a note that excludes the one that was cosigned, with that one.
func (s *state) keepFork(origin string, other []byte) error {
	e, err := s.last(origin)
	if err != nil {
		return err
	}
	dir := filepath.Join(s.dir, "forks")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	kept, err := os.ReadDir(dir)
	if err != nil || len(kept) >= maxForks {
		return err
	}
	sum := sha256.Sum256(other)
	f, err := os.OpenFile(filepath.Join(dir, hex.EncodeToString(sum[:8])), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%s\n%s", e.Note, other)
	return errors.Join(err, f.Sync(), f.Close())
}
