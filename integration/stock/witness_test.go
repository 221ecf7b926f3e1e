// SPDX-License-Identifier: Apache-2.0

package stock

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"

	"github.com/tocsin-db/tocsin/node"
	"github.com/tocsin-db/tocsin/node/trial"
)

// A log made with tessera has a tocsin node witness it: tessera's own client asks,
// and publishes nothing that the node did not cosign.
func TestTesseraIsWitnessedByANode(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	const origin = "log.example/tessera"
	skey, vkey, err := note.GenerateKey(nil, origin)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	c, address := witnessNode(t, ctx, vkey)
	key := c.Members[0].WitnessKey()

	dir := t.TempDir()
	stop := appendTo(t, ctx, dir, signer, key, address, 3)
	published(t, ctx, dir, vkey, key, 3)
	stop()
	stop = appendTo(t, ctx, dir, signer, key, address, 300)
	published(t, ctx, dir, vkey, key, 303)
	stop()

	// Another history under the same key gets no cosignature, before and after the
	// node restarts.
	for range 2 {
		forked := t.TempDir()
		if _, _, err := openLog(ctx, forked, signer, key, address); err == nil {
			t.Fatal("tessera opens a second history of a witnessed log")
		}
		if b, err := os.ReadFile(filepath.Join(forked, "checkpoint")); err == nil && bytes.Contains(b, []byte("witness.example")) {
			t.Fatalf("the second history was cosigned: %q", b)
		}
		if err := c.Members[0].Stop(ctx); err != nil {
			t.Fatal(err)
		}
		if err := c.Start(ctx, c.Members[0]); err != nil {
			t.Fatal(err)
		}
	}
	stop = appendTo(t, ctx, dir, signer, key, address, 1)
	published(t, ctx, dir, vkey, key, 304)
	stop()
}

// witnessNode runs a node that witnesses the log of a key, and returns where.
func witnessNode(t *testing.T, ctx context.Context, vkey string) (*trial.Consortium, string) {
	t.Helper()
	c, err := trial.Found(ctx, trial.Options{Dir: t.TempDir(), Members: 1, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Stop(context.Background()) })
	address, err := trial.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Members[0].Stop(ctx); err != nil {
		t.Fatal(err)
	}
	c.Members[0].Configure(func(cfg *node.Config) {
		cfg.Witness = node.Witness{Listen: address, Name: "witness.example/tocsin", Logs: []string{vkey}}
	})
	if err := c.Start(ctx, c.Members[0]); err != nil {
		t.Fatal(err)
	}
	return c, address
}

// openLog opens a tessera log that must be witnessed.
func openLog(ctx context.Context, dir string, s note.Signer, witnessKey, address string) (*tessera.Appender, func(), error) {
	w, err := tessera.NewWitness(witnessKey, &url.URL{Scheme: "http", Host: address})
	if err != nil {
		return nil, nil, err
	}
	driver, err := posix.New(ctx, posix.Config{Path: dir})
	if err != nil {
		return nil, nil, err
	}
	opts := tessera.NewAppendOptions().WithCheckpointSigner(s).WithCheckpointInterval(100*time.Millisecond).WithBatching(512, 50*time.Millisecond).
		WithWitnesses(tessera.NewWitnessGroup(1, w), &tessera.WitnessOptions{Timeout: 5 * time.Second})
	running, cancel := context.WithCancel(ctx)
	appender, _, _, err := tessera.NewAppender(running, driver, opts)
	return appender, cancel, err
}

// appendTo opens such a log and adds entries to it.
func appendTo(t *testing.T, ctx context.Context, dir string, s note.Signer, witnessKey, address string, entries int) (stop func()) {
	t.Helper()
	appender, stop, err := openLog(ctx, dir, s, witnessKey, address)
	if err != nil {
		t.Fatal(err)
	}
	for i := range entries {
		add := appender.Add(ctx, tessera.NewEntry(fmt.Appendf(nil, "%s %d", filepath.Base(dir), i)))
		if i == entries-1 {
			if _, err := add(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return stop
}

// published waits until the log published a checkpoint of a size with both its own
// signature and the witness's.
func published(t *testing.T, ctx context.Context, dir, vkey, witnessKey string, size uint64) {
	t.Helper()
	log, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	witness, err := fnote.NewVerifierForCosignatureV1(witnessKey)
	if err != nil {
		t.Fatal(err)
	}
	err = trial.Await(ctx, func() (bool, error) {
		b, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
		if err != nil {
			return false, nil
		}
		n, err := note.Open(b, note.VerifierList(log, witness))
		if err != nil || !bytes.Contains(b, fmt.Appendf(nil, "\n%d\n", size)) {
			return false, err
		}
		return len(n.Sigs) == 2, nil
	})
	if err != nil {
		b, _ := os.ReadFile(filepath.Join(dir, "checkpoint"))
		t.Fatalf("no witnessed checkpoint of size %d: %v; the last is %q", size, err, b)
	}
}
