// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tocsin-db/tocsin/node/api/wire"
	"github.com/tocsin-db/tocsin/node/consortia"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/spec"
)

// A further consortium that is damaged, in whatever file, keeps its node from nothing:
// it is told of wherever an operator looks, what it listed is missing rather than not
// listed, and it can be left.
func TestADamagedConsortiumIsMissingAndCanBeLeft(t *testing.T) {
	ctx, north, west := two(t)
	alpha := north.Members[0]
	listAs(t, north, 1, "isil")
	listAs(t, west, 2, "isil")
	if err := west.Follow(ctx, alpha, "alpha-elsewhere", "west"); err != nil {
		t.Fatal(err)
	}
	awaitSay(t, ctx, alpha, 2, "match", "west")
	if status, _, body := call(t, alpha, "POST", "/v1/consortia/west/imports", wire.ImportPolicy{Default: "trust"}); status != 204 {
		t.Fatalf("status %d: %s", status, body)
	}
	dir, kept := filepath.Join(alpha.Dir, "consortia", "west"), t.TempDir()
	for i, file := range []string{"genesis.json", "card.json", "keys/libp2p", consortia.PolicyFile, "fsm", "final/checkpoint", ""} {
		if err := alpha.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			copyData(t, kept, dir)
		} else {
			copyData(t, dir, kept)
		}
		if file != "" {
			garble(t, filepath.Join(dir, file))
		}
		if err := north.Start(ctx, alpha); err != nil {
			t.Fatalf("%s is damaged, and the node does not start: %v", file, err)
		}
		if file == "" { // what was copied is whole
			awaitSay(t, ctx, alpha, 2, "match", "west")
			break
		}
		missing(t, alpha, file)
		if status, _, body := call(t, alpha, "POST", "/v1/consortia/west/leave", nil); status != 204 {
			t.Fatalf("%s is damaged, and the consortium is not left: %d %s", file, status, body)
		}
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%s: what was left is still there: %v", file, err)
		}
		if a := ask(t, alpha, "", 2); a.Verdict != "no-match" || a.Consortia != nil {
			t.Errorf("%s: after leaving: %+v", file, a)
		}
		if code := codeOf(t, alpha, "/v1/consortia/west/leave", nil); code != spec.CodeConsortium {
			t.Errorf("%s: left twice: %s", file, code)
		}
	}
}

// copyData copies a data directory, which its owner alone may read.
func copyData(t *testing.T, to, from string) {
	t.Helper()
	err := os.CopyFS(to, os.DirFS(from))
	if err == nil {
		err = filepath.WalkDir(to, func(path string, e fs.DirEntry, err error) error {
			if err == nil && e.IsDir() {
				return os.Chmod(path, 0o700)
			}
			return errors.Join(err, os.Chmod(path, 0o600))
		})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// garble overwrites a file, or those of a directory.
func garble(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.IsDir() {
		list, err := os.ReadDir(path)
		if err != nil || len(list) == 0 {
			t.Fatalf("%d files, %v", len(list), err)
		}
		for _, e := range list {
			garble(t, filepath.Join(path, e.Name()))
		}
		return
	}
	if err := os.WriteFile(path, []byte("\x00damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// missing awaits that a node says of the consortium west that it is missing.
func missing(t *testing.T, p *trial.Participant, file string) {
	t.Helper()
	err := trial.Await(t.Context(), func() (bool, error) {
		list, err := p.Consortia(t.Context())
		return len(list) == 2 && list[1].State == "failed" && list[1].NotAnswering != "", err
	})
	if err != nil {
		list, _ := p.Consortia(t.Context())
		t.Fatalf("%s: the consortium is not told to have failed: %+v", file, list)
	}
	if a := ask(t, p, "", 1); a.Verdict != "match" || !a.Incomplete || a.Consortia[1].Code == "" {
		t.Errorf("%s: what the other lists: %+v", file, a)
	}
	if a := ask(t, p, "", 2); a.Verdict != "unchecked" || !a.Incomplete {
		t.Errorf("%s: what it listed is %s, incomplete %v", file, a.Verdict, a.Incomplete)
	}
	_, h, rows := call(t, p, "POST", "/v1/match:rows", slices.Concat(sha(1).Value, sha(2).Value))
	if !bytes.Equal(rows, []byte{1, 3}) || h.Get("Tocsin-Incomplete") != "true" {
		t.Errorf("%s: rows %v, %v", file, rows, h)
	}
	var health wire.Health
	status, _, body := call(t, p, "GET", "/readyz", nil)
	if err := json.Unmarshal(body, &health); err != nil || status != 200 {
		t.Errorf("%s: readyz: %d %s", file, status, body)
	}
	if !slices.ContainsFunc(health.Checks, func(c wire.Check) bool { return c.Consortium == "west" && !c.Ok && c.Reason != "" }) {
		t.Errorf("%s: readyz does not tell of it: %s", file, body)
	}
	var st wire.Status
	if _, _, body := call(t, p, "GET", "/v1/status", nil); json.Unmarshal(body, &st) != nil || len(st.Consortia) != 2 || st.Consortia[1].State != "failed" {
		t.Errorf("%s: status: %s", file, body)
	}
	if _, _, text := call(t, p, "GET", "/metrics", nil); !bytes.Contains(text, []byte(`tocsin_consortium_running{consortium="west"} 0`)) {
		t.Errorf("%s: metrics do not tell of it", file)
	}
}
