// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tocsin-db/tocsin/consensus/governance"
	"github.com/tocsin-db/tocsin/node/durable"
	"github.com/tocsin-db/tocsin/spec"
)

// outboxName is the folder of operations that callers gave a name of their own.
const outboxName = "outbox"

// A sent operation is what the outbox holds under a key: the signed bytes until
// the outcome is known, then the id alone.
type sent struct {
	_          struct{} `cbor:",toarray"`
	Applied    bool
	ID         spec.Hash
	Submission []spec.Submission // one until it is applied, none after
}

// submitOnce submits a body at most once under a key. The signed operation is
// durable before it is sent, so that a caller who did not learn its outcome, or a
// node that restarted, repeats the same bytes, which the log takes once. A
// repetition with another body gets the id of the first.
func (n *Node) submitOnce(ctx context.Context, key string, body spec.Body, opening *spec.Opening) (spec.Hash, error) {
	path := sentPath(n.cfg.Dir, key)
	if _, busy := n.signer.sending.LoadOrStore(path, true); busy {
		return spec.Hash{}, spec.Errorf(spec.CodeBusy, "another request with this key is under way")
	}
	defer n.signer.sending.Delete(path)
	s, err := readSent(path)
	if err != nil {
		return spec.Hash{}, err
	}
	if s != nil && s.Applied {
		return s.ID, nil
	}
	first := s
	out, err := n.seeThrough(ctx, func() (spec.Submission, error) {
		if first != nil {
			sub := first.Submission[0]
			first = nil
			return sub, nil
		}
		sub, err := n.signer.sign(n.store, body, opening)
		if err != nil {
			return sub, err
		}
		return sub, writeSent(path, &sent{ID: spec.LeafHash(sub.Envelope), Submission: []spec.Submission{sub}})
	})
	switch {
	case err == nil:
		return out.ID, writeSent(path, &sent{Applied: true, ID: out.ID})
	case out.Code != "": // refused: the next attempt is another operation
		return out.ID, errors.Join(err, os.Remove(path))
	}
	return out.ID, err
}

// sentPath names a key's file.
func sentPath(dir, key string) string {
	sum := sha256.Sum256([]byte("tocsin.outbox.v1\x00" + key))
	return filepath.Join(dir, outboxName, hex.EncodeToString(sum[:16]))
}

// maxSent bounds a file of the outbox.
const maxSent = spec.MaxLeaf + spec.MaxOpening + 1024

// readSent returns what stands in a file of the outbox, nil when there is none.
func readSent(path string) (*sent, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && info.Size() > maxSent {
		err = spec.Errorf(spec.CodeCorrupt, "a file of the outbox is too large")
	}
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the outbox: %w", err)
	}
	s := new(sent)
	if err := spec.DecodeStored(b, s); err != nil || !s.Applied && len(s.Submission) != 1 {
		return nil, spec.Errorf(spec.CodeCorrupt, "a file of the outbox cannot be read")
	}
	return s, nil
}

// writeSent makes a file of the outbox durable, whole or not at all.
func writeSent(path string, s *sent) error {
	b, err := spec.Encode(s)
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the outbox: %w", err)
	}
	if err := durable.Replace(path, b, 0o600); err != nil {
		return fmt.Errorf("writing to the outbox: %w", err)
	}
	return nil
}

// purgeOutbox forgets what operations open that stand in the log, or never will since
// their epoch has passed: nobody learnt their outcome yet. Whoever repeats one gets the
// id, or has it signed anew.
func (n *Node) purgeOutbox() error {
	names, err := os.ReadDir(filepath.Join(n.cfg.Dir, outboxName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading the outbox: %w", err)
	}
	var errs []error
	for _, e := range names {
		if e.Name()[0] != '.' { // that is being written
			errs = append(errs, n.purgeSent(filepath.Join(n.cfg.Dir, outboxName, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// purgeSent is purgeOutbox for a file. One that is in use is left to who uses it.
func (n *Node) purgeSent(path string) error {
	if _, busy := n.signer.sending.LoadOrStore(path, true); busy {
		return nil
	}
	defer n.signer.sending.Delete(path)
	s, err := readSent(path)
	if err != nil || s == nil || s.Applied || len(s.Submission[0].Opening) == 0 {
		return err
	}
	op, err := spec.ParseEnvelope(s.Submission[0].Envelope)
	if err != nil {
		return spec.Errorf(spec.CodeCorrupt, "a file of the outbox cannot be read")
	}
	clock, err := governance.Clock(n.store) // first: all of an epoch that has passed is in the store
	if err != nil {
		return err
	}
	switch _, found, err := n.store.Find(s.ID); {
	case err != nil:
		return err
	case found:
		return writeSent(path, &sent{Applied: true, ID: s.ID})
	case op.Op.Epoch < clock.Epoch:
		s.Submission[0].Opening = nil // a log that began with a snapshot may lack what stands in it
		return writeSent(path, s)
	}
	return nil
}
