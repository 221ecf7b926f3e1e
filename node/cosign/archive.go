// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tocsin-db/tocsin/node/durable"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// AlarmProtocol is where evidence travels.
const AlarmProtocol = "/tocsin/alarm/1"

// maxArchive bounds how many pieces of evidence are kept: who is accused does not
// change by more.
const maxArchive = 100

// An Archive keeps evidence as files.
type Archive struct {
	Dir   string
	Chain *tlog.Chain
}

// Kept is one piece of evidence that was verified and kept.
type Kept struct {
	Bytes   []byte
	Path    string
	Accused []string
	Size    uint64
}

// Keep verifies evidence and keeps it durably. fresh is false when it was there.
func (a *Archive) Keep(e *Evidence) (k Kept, fresh bool, err error) {
	if k.Accused, k.Size, err = e.Verify(a.Chain); err != nil {
		return k, false, err
	}
	if k.Bytes, err = e.Encode(); err != nil {
		return k, false, err
	}
	sum := sha256.Sum256(k.Bytes)
	k.Path = filepath.Join(a.Dir, hex.EncodeToString(sum[:8])+".cbor")
	if err := os.MkdirAll(a.Dir, 0o700); err != nil {
		return k, false, err
	}
	if files, err := os.ReadDir(a.Dir); err != nil || len(files) >= maxArchive {
		return k, false, err
	}
	f, err := os.OpenFile(k.Path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return k, false, nil
	}
	if err != nil {
		return k, false, err
	}
	_, err = f.Write(k.Bytes)
	if err = errors.Join(err, f.Sync(), f.Close(), durable.SyncDir(a.Dir)); err != nil {
		return k, false, fmt.Errorf("keeping evidence: %w", err)
	}
	return k, true, nil
}
