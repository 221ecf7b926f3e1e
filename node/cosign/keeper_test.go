// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// A kept log has a panel of four, and a keeper of what is final in it.
type keptLog struct {
	t     *testing.T
	chain *tlog.Chain
	keys  []ed25519.PrivateKey
	log   *memoryLog
	keep  *Keeper
	path  string
}

func newKeptLog(t *testing.T, leaves int) *keptLog {
	t.Helper()
	s := &keptLog{t: t, log: newMemoryLog(), path: filepath.Join(t.TempDir(), "final", "checkpoint")}
	of := &spec.Panel{K: 3}
	for i := range 4 {
		key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i + 1)}, ed25519.SeedSize))
		s.keys = append(s.keys, key)
		of.Seats = append(of.Seats, spec.Seat{Org: fmt.Sprintf("org-%d", i), Key: spec.PublicKey(key.Public().(ed25519.PublicKey))})
	}
	var err error
	if s.chain, err = tlog.ChainFrom(simOrigin, of); err != nil {
		t.Fatal(err)
	}
	for i := range leaves {
		s.log.grow(fmt.Sprint("leaf", i))
	}
	s.open()
	t.Cleanup(func() { s.keep.Close() })
	return s
}

func (s *keptLog) open() {
	var err error
	if s.keep, err = OpenKeeper(s.path, s.chain); err != nil {
		s.t.Fatal(err)
	}
}

// signed is a checkpoint of log at size, cosigned by n sequencers.
func (s *keptLog) signed(log *memoryLog, size uint64, n int, unix uint64) *tlog.Signed {
	s.t.Helper()
	root, err := tlog.Root(log, size)
	if err != nil {
		s.t.Fatal(err)
	}
	signed := &tlog.Signed{Checkpoint: tlog.Checkpoint{Origin: simOrigin, Size: size, Root: root}}
	for i := range n {
		signed.Cosignatures = append(signed.Cosignatures, tlog.Cosign(signed.Checkpoint, fmt.Sprintf("org-%d", i), s.keys[i], unix))
	}
	return signed
}

// note is the same as a signed note.
func (s *keptLog) note(log *memoryLog, size uint64, n int, unix uint64) []byte {
	s.t.Helper()
	b, err := s.chain.Note(s.signed(log, size, n, unix))
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

// What is final never goes back, in memory or over a restart.
func TestWhatIsFinalNeverGoesBack(t *testing.T) {
	s := newKeptLog(t, 10)
	for _, c := range []struct {
		size uint64
		n    int
		unix uint64
		want spec.Code
		has  uint64
	}{
		{3, 2, 1, spec.CodeNotFinal, 0}, {3, 3, 1, "", 3}, {7, 3, 1, "", 7}, {3, 4, 9, "", 7}, {7, 4, 2, "", 7},
	} {
		if err := s.keep.Advance(s.signed(s.log, c.size, c.n, c.unix)); spec.CodeOf(err) != c.want || s.keep.Newest().Size != c.has {
			t.Fatalf("%+v: %v, %d is final", c, err, s.keep.Newest().Size)
		}
	}
	if s.keep.Newest().Time.Unix() != 2 {
		t.Fatal("a later checkpoint of the same size does not count")
	}
	other := newMemoryLog()
	for range 7 {
		other.grow("other")
	}
	if err := s.keep.Advance(s.signed(other, 7, 3, 9)); spec.CodeOf(err) != spec.CodeForked {
		t.Fatalf("another log of the same size: %v", err)
	}
	s.keep.Close()
	s.open()
	if f := s.keep.Newest(); f.Size != 7 {
		t.Fatalf("after a restart %d is final", f.Size)
	}
}

// A checkpoint that was kept before the node learned of the next panel, which does not
// make it final, does not keep the node from starting.
func TestWhatTheNextPanelDoesNotMakeFinalIsForgotten(t *testing.T) {
	s := newKeptLog(t, 10)
	if err := errors.Join(s.keep.Advance(s.signed(s.log, 7, 3, 1)), s.keep.Sync(), s.keep.Close()); err != nil {
		t.Fatal(err)
	}
	of, _, _ := s.chain.Panel(0)
	if err := s.chain.Grow(&spec.Panel{Number: 1, K: 4, Seats: of.Seats}, 5, 0); err != nil {
		t.Fatal(err)
	}
	s.open()
	if f := s.keep.Newest(); f.Size != 0 {
		t.Fatalf("%d is final that three of four cosigned", f.Size)
	}
	if err := s.keep.Advance(s.signed(s.log, 7, 4, 1)); err != nil || s.keep.Newest().Size != 7 {
		t.Fatalf("%v, %d is final", err, s.keep.Newest().Size)
	}
}

// One that a recovery went on from before is not forgotten: two histories were final.
func TestWhatARecoveryDiscardedIsNotForgotten(t *testing.T) {
	s := newKeptLog(t, 10)
	if err := errors.Join(s.keep.Advance(s.signed(s.log, 7, 3, 1)), s.keep.Sync(), s.keep.Close()); err != nil {
		t.Fatal(err)
	}
	of, _, _ := s.chain.Panel(0)
	if err := s.chain.Grow(&spec.Panel{Number: 1, K: 4, Seats: of.Seats}, 9, 5); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a refusal changes nothing
		if _, err := OpenKeeper(s.path, s.chain); spec.CodeOf(err) != spec.CodeForked {
			t.Fatalf("a node that holds 7 final starts behind a recovery from 5: %v", err)
		}
	}
}

// Behind a recovery as anywhere else a checkpoint of the panel that went on is forgotten
// where the next one asks for more.
func TestBehindARecoveryTooWhatTheNextPanelDoesNotMakeFinalIsForgotten(t *testing.T) {
	s := newKeptLog(t, 10)
	of, _, _ := s.chain.Panel(0)
	lost := &spec.Panel{K: 1, Seats: []spec.Seat{{Org: "org-9", Key: spec.PublicKey{9}}}}
	grown := func(chain *tlog.Chain, err error, to uint64) *tlog.Chain {
		for number, k := range []uint64{0, 3, 4} {
			if err == nil && number > 0 && uint64(number) <= to {
				err = chain.Grow(&spec.Panel{Number: uint64(number), K: k, Seats: of.Seats}, uint64(3*number), uint64(2-number)*2)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		return chain
	}
	s.keep.Close()
	first, err := tlog.ChainFrom(simOrigin, lost)
	s.chain = grown(first, err, 1)
	s.open()
	if err := errors.Join(s.keep.Advance(s.signed(s.log, 7, 3, 1)), s.keep.Sync(), s.keep.Close()); err != nil {
		t.Fatal(err)
	}
	second, err := tlog.ChainFrom(simOrigin, lost)
	s.chain = grown(second, err, 2)
	s.open()
	if f := s.keep.Newest(); f.Size != 0 {
		t.Fatalf("%d is final that three of four cosigned", f.Size)
	}
}
