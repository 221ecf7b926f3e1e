// SPDX-License-Identifier: Apache-2.0

package stock

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"

	tocsin "github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/identity"
	"github.com/tocsin-db/tocsin/node/media"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

func TestMain(m *testing.M) {
	media.RunChild()
	os.Exit(m.Run())
}

// served runs a consortium until its log is final over several tiles and serves
// it. damage, if there is one, changes what is served.
func served(t *testing.T, damage func(path string, body []byte) []byte) (*url.URL, *spec.Genesis) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	c, err := trial.Found(ctx, trial.Options{Dir: t.TempDir(), Members: 3, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Stop(context.Background()) })
	for i := range byte(140) { // each is a proposal and a root of the state
		s := spec.Signal{Type: "sha256", Value: bytes.Repeat([]byte{i + 1}, 32)}
		_, err := c.Members[0].Propose(ctx, tocsin.Proposal{Items: []tocsin.ProposalItem{{Labels: []string{"isil"}, Signals: []spec.Signal{s}}}, Basis: "designated-entity"})
		if err != nil {
			t.Fatal(err)
		}
	}
	size := c.Members[0].LogSize()
	if err := trial.Await(ctx, func() (bool, error) { return c.Members[1].Final().Size >= size, nil }); err != nil {
		t.Fatal(err)
	}
	files := c.Members[1].LogHandler()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		files.ServeHTTP(rec, r)
		b := rec.Body.Bytes()
		if damage != nil {
			b = damage(r.URL.Path, b)
		}
		w.WriteHeader(rec.Code)
		w.Write(b)
	}))
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	g, err := identity.LoadGenesis(c.Members[0].Dir)
	if err != nil {
		t.Fatal(err)
	}
	return u, g.Genesis
}

func stockCheck(t *testing.T, u *url.URL, g *spec.Genesis) error {
	t.Helper()
	v, err := note.NewVerifier(tlog.LogVerifierKey(g.Origin()))
	if err != nil {
		t.Fatal(err)
	}
	fetch, err := client.NewHTTPFetcher(u, nil)
	if err != nil {
		t.Fatal(err)
	}
	return fsck.New(g.Origin(), v, fetch, leafHashes, fsck.Opts{N: 2}).Check(t.Context())
}

// leafHashes is how the tool is told what a leaf is: the bytes of an entry.
func leafHashes(bundle []byte) ([][]byte, error) {
	var b api.EntryBundle
	if err := b.UnmarshalText(bundle); err != nil {
		return nil, err
	}
	var out [][]byte
	for _, e := range b.Entries {
		out = append(out, rfc6962.DefaultHasher.HashLeaf(e))
	}
	return out, nil
}

// Tessera's fsck reads our whole log and finds nothing wrong; with one byte of a
// leaf or of a tile changed it does.
func TestTesseraFsck(t *testing.T) {
	var spoil string
	u, g := served(t, func(path string, b []byte) []byte {
		if spoil != "" && path == spoil && len(b) > 40 {
			b = bytes.Clone(b)
			b[40] ^= 1
		}
		return b
	})
	if err := stockCheck(t, u, g); err != nil {
		t.Fatalf("fsck: %v", err)
	}
	for _, spoil = range []string{"/tile/entries/000", "/tile/0/000"} {
		if err := stockCheck(t, u, g); err == nil {
			t.Errorf("%s is spoiled, and fsck finds nothing", spoil)
		}
	}
}

// Tessera's client fetches our tiles and proves a leaf and the growth of the log.
func TestTesseraClient(t *testing.T) {
	u, g := served(t, nil)
	ctx := t.Context()
	v, err := note.NewVerifier(tlog.LogVerifierKey(g.Origin()))
	if err != nil {
		t.Fatal(err)
	}
	fetch, err := client.NewHTTPFetcher(u, nil)
	if err != nil {
		t.Fatal(err)
	}
	cp, _, _, err := client.FetchCheckpoint(ctx, fetch.ReadCheckpoint, v, g.Origin())
	if err != nil {
		t.Fatal(err)
	}
	pb, err := client.NewProofBuilder(ctx, cp.Size, fetch.ReadTile)
	if err != nil {
		t.Fatal(err)
	}
	b, err := fetch.ReadEntryBundle(ctx, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	hashes, err := leafHashes(b)
	if err != nil {
		t.Fatal(err)
	}
	inclusion, err := pb.InclusionProof(ctx, 200)
	if err != nil {
		t.Fatal(err)
	}
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, 200, cp.Size, hashes[200], inclusion, cp.Hash); err != nil {
		t.Error(err)
	}
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, 200, cp.Size, hashes[201], inclusion, cp.Hash); err == nil {
		t.Error(errors.New("another leaf is proved"))
	}
	if _, err := pb.ConsistencyProof(ctx, 100, cp.Size); err != nil {
		t.Error(err)
	}
}
