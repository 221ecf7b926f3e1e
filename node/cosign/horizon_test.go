// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/p2p/federation"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// fakeReplica takes leaves as they come.
type fakeReplica struct{ log *memoryLog }

func (r *fakeReplica) Size() uint64 { return r.log.Size() }

func (r *fakeReplica) Replay(groups []federation.Group, check func(uint64, spec.Hash) error) error {
	next := newMemoryLog()
	for _, l := range r.log.leaves {
		next.grow(string(l[2:]))
	}
	for _, g := range groups {
		for _, l := range g.Leaves {
			next.grow(string(l[2:]))
		}
	}
	if err := check(next.Size(), next.tree.Root()); err != nil {
		return err
	}
	r.log = next
	return nil
}

// A stretch is a log with its final checkpoints, and a horizon that follows it.
type stretch struct {
	t     *testing.T
	panel *tlog.Panel
	keys  []ed25519.PrivateKey
	log   *memoryLog
	fake  *fakeReplica
	keep  *Keeper
	path  string
	forks []*Evidence
	asked int
	*Horizon
}

func newStretch(t *testing.T, leaves int) *stretch {
	t.Helper()
	s := &stretch{t: t, log: newMemoryLog(), fake: &fakeReplica{newMemoryLog()}, path: filepath.Join(t.TempDir(), "final", "checkpoint")}
	var orgs []spec.Organisation
	for i := range 4 {
		key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i + 1)}, ed25519.SeedSize))
		s.keys = append(s.keys, key)
		orgs = append(orgs, spec.Organisation{ID: fmt.Sprintf("org-%d", i), Role: spec.RoleMember, CosignKey: spec.PublicKey(key.Public().(ed25519.PublicKey))})
	}
	var err error
	if s.panel, err = tlog.NewPanel(simOrigin, orgs); err != nil {
		t.Fatal(err)
	}
	for i := range leaves {
		s.log.grow(fmt.Sprint("leaf", i))
	}
	s.open()
	t.Cleanup(func() { s.keep.Close() })
	return s
}

func (s *stretch) open() {
	var err error
	if s.keep, err = OpenKeeper(s.path, s.panel); err != nil {
		s.t.Fatal(err)
	}
	prove := func(_ context.Context, from p2p.PeerID, old, size uint64) ([]spec.Hash, error) {
		s.asked++
		return tlog.Consistency(s.log, old, size)
	}
	s.Horizon = NewHorizon(s.panel, s.fake, s.keep, prove, func(e *Evidence) { s.forks = append(s.forks, e) })
}

// note is a checkpoint of log at size, cosigned by n sequencers.
func (s *stretch) note(log *memoryLog, size uint64, n int, unix uint64) []byte {
	s.t.Helper()
	root, err := tlog.Root(log, size)
	if err != nil {
		s.t.Fatal(err)
	}
	signed := &tlog.Signed{Checkpoint: tlog.Checkpoint{Origin: simOrigin, Size: size, Root: root}}
	for i := range n {
		signed.Cosignatures = append(signed.Cosignatures, tlog.Cosign(signed.Checkpoint, fmt.Sprintf("org-%d", i), s.keys[i], unix))
	}
	b, err := s.panel.Note(signed)
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

func (s *stretch) head(body []byte) error { return s.OnHead("peer", federation.Head{Body: body}) }

func (s *stretch) group(log *memoryLog, first, n uint64) error {
	return s.Append(s.t.Context(), federation.Group{First: first, Leaves: log.leaves[first : first+n]})
}

func (s *stretch) shows(want uint64) {
	s.t.Helper()
	if got := s.fake.Size(); got != want {
		s.t.Fatalf("the replica shows %d leaves, not %d", got, want)
	}
}

func TestOnlyFinalStateIsShown(t *testing.T) {
	s := newStretch(t, 10)
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ok(s.group(s.log, 0, 3))
	s.shows(0)
	if err := s.head(s.note(s.log, 3, 2, 1)); spec.CodeOf(err) != spec.CodeNotFinal {
		t.Fatalf("two of four: %v", err)
	}
	s.shows(0)
	ok(s.head(s.note(s.log, 3, 3, 1)))
	s.shows(3)
	ok(s.group(s.log, 3, 2))
	ok(s.head(s.note(s.log, 7, 3, 1))) // covers what is still to come
	s.shows(3)
	if s.Complete() {
		t.Fatal("complete although the final log is longer")
	}
	ok(s.group(s.log, 5, 2))
	s.shows(7)
	ok(s.group(s.log, 7, 1))
	s.shows(7)
	ok(s.head(s.note(s.log, 3, 3, 9))) // from an upstream that is behind
	s.shows(7)
	if f := s.keep.Newest(); f.Size != 7 || !s.Complete() || s.Horizon.Size() != 8 {
		t.Fatalf("final %d, complete %v, size %d", f.Size, s.Complete(), s.Horizon.Size())
	}
	s.keep.Close()
	s.open()
	if f := s.keep.Newest(); f.Size != 7 {
		t.Fatalf("after a restart %d is final", f.Size)
	}
}

func TestASenderWhoseGroupsAreNotFinalIsBlamed(t *testing.T) {
	s := newStretch(t, 10)
	liar := newMemoryLog()
	liar.grow("leaf0", "forged", "leaf2")
	if err := s.group(liar, 0, 3); err != nil {
		t.Fatal(err)
	}
	if err := s.head(s.note(s.log, 3, 3, 1)); spec.CodeOf(err) != spec.CodeReplica {
		t.Fatalf("forged leaves: %v", err)
	}
	s.shows(0)
	if s.keep.Newest().Size != 0 || s.Horizon.Size() != 0 {
		t.Fatal("something of the forged stretch was kept")
	}
	if err := s.group(s.log, 0, 3); err != nil {
		t.Fatal(err)
	}
	s.shows(3)
}

// A stretch too long to be held goes through in parts, each proved.
func TestALongStretchIsProvedInParts(t *testing.T) {
	const leaves, size = 30, 60 << 10
	s := newStretch(t, 0)
	big := string(bytes.Repeat([]byte{7}, size))
	for i := range 20 * leaves {
		s.log.grow(fmt.Sprint(i) + big)
	}
	if err := s.head(s.note(s.log, 20*leaves, 3, 1)); err != nil {
		t.Fatal(err)
	}
	for i := range uint64(20) {
		if err := s.group(s.log, i*leaves, leaves); err != nil {
			t.Fatal(err)
		}
		if held := (s.Horizon.Size() - s.fake.Size()) * size; held > maxHeld+leaves*size {
			t.Fatalf("%d bytes are held", held)
		}
	}
	s.shows(20 * leaves)
	if s.asked == 0 {
		t.Fatal("nothing was proved on the way")
	}
}

func TestALiarsLongStretchIsNotShown(t *testing.T) {
	s := newStretch(t, 600)
	big := string(bytes.Repeat([]byte{7}, 60<<10))
	liar := newMemoryLog()
	for i := range 200 {
		liar.grow(fmt.Sprint(i) + big)
	}
	if err := s.head(s.note(s.log, 600, 3, 1)); err != nil {
		t.Fatal(err)
	}
	var err error
	for i := uint64(0); i < 20 && err == nil; i++ {
		err = s.group(liar, i*10, 10)
	}
	if spec.CodeOf(err) != spec.CodeReplica {
		t.Fatalf("a stretch that is not final: %v", err)
	}
	s.shows(0)
}

// Two final checkpoints of one size stop a reader for good, and prove who did it.
func TestAForkHaltsAReader(t *testing.T) {
	s := newStretch(t, 5)
	if err := errors.Join(s.group(s.log, 0, 5), s.head(s.note(s.log, 5, 3, 1))); err != nil {
		t.Fatal(err)
	}
	other := newMemoryLog()
	for range 5 {
		other.grow("other")
	}
	if err := s.head(s.note(other, 5, 3, 1)); spec.CodeOf(err) != spec.CodeForked {
		t.Fatalf("another final log: %v", err)
	}
	if s.Halted() == nil || s.head(s.note(s.log, 5, 4, 2)) == nil || s.Complete() {
		t.Fatal("the reader goes on")
	}
	s.shows(5)
	if len(s.forks) != 1 {
		t.Fatalf("%d pieces of evidence", len(s.forks))
	}
	accused, size, err := s.forks[0].Verify(s.panel)
	if err != nil || len(accused) != 3 || size != 5 {
		t.Fatalf("the evidence accuses %v at %d, %v", accused, size, err)
	}
}
