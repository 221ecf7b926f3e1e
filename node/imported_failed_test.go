// SPDX-License-Identifier: Apache-2.0

package node

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/storage"
)

// After an import that failed the old database answers as before; after a restart
// nothing does before a final checkpoint covers all that is there, for the failure
// may have come once the databases were exchanged.
func TestAFailedImportIsNotTakenForNone(t *testing.T) {
	store, err := storage.Open("fsm", storage.Options{FS: vfs.NewMem(), Logger: slog.New(slog.DiscardHandler), Fatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	tx, err := store.Begin()
	if err != nil {
		t.Fatal(err)
	}
	root := spec.StateRoot{Tag: spec.TagStateRoot}
	roots, err := tx.Roots()
	if err != nil {
		t.Fatal(err)
	}
	root.LiveRoot, root.RulesRoot = roots.Live, roots.Rules
	leaf, err := spec.Encode(&root)
	if err == nil {
		err = tx.Append(leaf)
	}
	if err == nil {
		err = tx.Commit(storage.Applied{})
	}
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "imported")
	r := &replica{store: store, importedFile: file}
	if err := r.importChecked(strings.NewReader("no database"), storage.Applied{}); err == nil {
		t.Fatal("no database was imported")
	}
	if now := r.imported.Load(); now != 0 {
		t.Errorf("the old database waits for a checkpoint of size %d", now)
	}
	again := &replica{store: store, importedFile: file}
	if err := again.recallImported(); err != nil || again.imported.Load() != store.Size() {
		t.Errorf("after a restart %d leaves are held back of %d, %v", again.imported.Load(), store.Size(), err)
	}
}
