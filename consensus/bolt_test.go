// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/tocsin-db/tocsin/spec"
)

func openTestLog(t *testing.T, dir string) *logStore {
	t.Helper()
	b, err := OpenBolt(dir)
	if err != nil {
		t.Fatal(err)
	}
	return &logStore{backend: b, brk: newBreaker(nil)}
}

// entryAt is a log entry whose content follows from its index.
func entryAt(index uint64) *raft.Log {
	data := sha256.Sum256(binary.BigEndian.AppendUint64(nil, index))
	return &raft.Log{
		Index: index, Term: 1 + index/10, Type: raft.LogCommand, AppendedAt: time.Unix(1700000000, 0),
		Data: bytes.Repeat(data[:], 1+int(index*7%40)),
	}
}

func writeEntries(t *testing.T, s *logStore, from, to uint64) {
	t.Helper()
	for i := from; i <= to; i++ {
		if err := s.StoreLog(entryAt(i)); err != nil {
			t.Fatal(err)
		}
	}
}

func wantEntries(t *testing.T, s *logStore, from, to uint64) {
	t.Helper()
	first, err1 := s.FirstIndex()
	last, err2 := s.LastIndex()
	if err1 != nil || err2 != nil || first != from || last != to {
		t.Fatalf("the log holds %d to %d (%v, %v), want %d to %d", first, last, err1, err2, from, to)
	}
	for i := from; i <= to; i++ {
		var l raft.Log
		if err := s.GetLog(i, &l); err != nil {
			t.Fatal(err)
		}
		if want := entryAt(i); l.Index != i || l.Term != want.Term || !bytes.Equal(l.Data, want.Data) || l.Extensions != nil {
			t.Fatalf("entry %d came back as %+v", i, l)
		}
	}
}

func TestBoltKeepsTheLog(t *testing.T) {
	dir := t.TempDir()
	s := openTestLog(t, dir)
	writeEntries(t, s, 1, 500)
	if err := s.SetUint64(keyTerm, 77); err != nil {
		t.Fatal(err)
	}
	if err := s.backend.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTestLog(t, dir)
	defer s.backend.Close()
	wantEntries(t, s, 1, 500)
	if term, err := s.GetUint64(keyTerm); err != nil || term != 77 {
		t.Errorf("term %d, %v", term, err)
	}
	if _, err := s.GetUint64([]byte("absent")); err == nil || err.Error() != notFound {
		t.Errorf("an absent key: %v", err)
	}
	if err := s.DeleteRange(1, 411); err != nil {
		t.Fatal(err)
	}
	wantEntries(t, s, 412, 500)
	if err := s.GetLog(411, new(raft.Log)); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("a deleted entry: %v", err)
	}
	if err := s.DeleteRange(480, 500); err != nil {
		t.Fatal(err)
	}
	wantEntries(t, s, 412, 479)
	if err := s.drop(); err != nil {
		t.Fatal(err)
	}
	if first, err := s.FirstIndex(); first != 0 || err != nil {
		t.Errorf("an empty log begins at %d, %v", first, err)
	}
}

func TestRewriteErasesDeletedEntriesFromTheFile(t *testing.T) {
	dir := t.TempDir()
	s := openTestLog(t, dir)
	defer s.backend.Close()
	secret := []byte("a value that was retracted")
	if err := s.StoreLog(&raft.Log{Index: 1, Data: secret}); err != nil {
		t.Fatal(err)
	}
	writeEntries(t, s, 2, 600)
	if err := s.SetUint64(keyTerm, 5); err != nil {
		t.Fatal(err)
	}
	holds := func() (bool, int) {
		b, err := os.ReadFile(filepath.Join(dir, logFile))
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Contains(b, secret), len(b)
	}
	if err := s.DeleteRange(1, 590); err != nil {
		t.Fatal(err)
	}
	there, before := holds()
	if !there {
		t.Fatal("bolt erases on its own: this test shows nothing")
	}
	if err := s.rewrite(); err != nil {
		t.Fatal(err)
	}
	there, after := holds()
	if there || after >= before/2 {
		t.Errorf("after the rewrite the value is there: %v; %d of %d bytes", there, after, before)
	}
	writeEntries(t, s, 601, 650)
	wantEntries(t, s, 591, 650)
	if term, err := s.GetUint64(keyTerm); err != nil || term != 5 {
		t.Errorf("term %d, %v", term, err)
	}
}

func TestDamagedRootIsRefused(t *testing.T) {
	for page := range 2 {
		dir := t.TempDir()
		s := openTestLog(t, dir)
		writeEntries(t, s, 1, 20)
		if err := s.backend.Close(); err != nil {
			t.Fatal(err)
		}
		flipBit(t, filepath.Join(dir, logFile), int64(page*os.Getpagesize()+boltMetaAt+boltMetaSize-16), 0)
		if _, err := OpenBolt(dir); spec.CodeOf(err) != spec.CodeCorrupt {
			t.Errorf("root %d damaged: %v", page, err)
		}
	}
}

func flipBit(t testing.TB, path string, at int64, bit int) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1 << bit
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
}

const (
	flips       = 300
	flipEntries = 120
	flipEnv     = "TOCSIN_TEST_FLIPPED"
)

// TestFlippedBitsAreNeverAnsweredWrongly flips single bits of a log file. Each
// flip must be noticed, end the process or change no answer.
func TestFlippedBitsAreNeverAnsweredWrongly(t *testing.T) {
	if dir := os.Getenv(flipEnv); dir != "" {
		readFlipped(dir)
		return
	}
	dir := t.TempDir()
	s := openTestLog(t, dir)
	writeEntries(t, s, 1, flipEntries)
	if err := s.SetUint64(keyTerm, 13); err != nil {
		t.Fatal(err)
	}
	if err := s.backend.Close(); err != nil {
		t.Fatal(err)
	}
	sound, err := os.ReadFile(filepath.Join(dir, logFile))
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	root := t.TempDir()
	for i := range flips {
		d := filepath.Join(root, fmt.Sprintf("%03d", i))
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
		b := bytes.Clone(sound)
		b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
		if err := os.WriteFile(filepath.Join(d, logFile), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	verdicts := readAllFlipped(t, root)
	count := map[string]int{}
	for i, v := range verdicts {
		count[v]++
		if v == "wrong" {
			t.Errorf("flip %d: a wrong answer", i)
		}
	}
	t.Logf("%d flips: %v", flips, count)
	if count["noticed"] == 0 || count["sound"] == 0 {
		t.Error("the flips did not reach both used and unused bytes")
	}
}

// readAllFlipped reads the files in child processes, since bolt can end the
// process from a goroutine of its own.
func readAllFlipped(t *testing.T, root string) (verdicts []string) {
	t.Helper()
	for len(verdicts) < flips {
		cmd := exec.Command(os.Args[0], "-test.run=^TestFlippedBitsAreNeverAnsweredWrongly$")
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s:%d", flipEnv, root, len(verdicts)))
		out, err := cmd.Output()
		lines := bufio.NewScanner(bytes.NewReader(out))
		for lines.Scan() {
			if v, ok := bytes.CutPrefix(lines.Bytes(), []byte("verdict ")); ok {
				verdicts = append(verdicts, string(v))
			}
		}
		if err != nil && len(verdicts) < flips {
			verdicts = append(verdicts, "died")
		} else if err == nil && len(verdicts) < flips {
			t.Fatalf("a child ended early: %s", out)
		}
	}
	return verdicts
}

// readFlipped is the child: it prints one verdict per file.
func readFlipped(arg string) {
	sep := bytes.LastIndexByte([]byte(arg), ':')
	root := arg[:sep]
	var from int
	if _, err := fmt.Sscan(arg[sep+1:], &from); err != nil {
		panic(err)
	}
	for i := from; i < flips; i++ {
		fmt.Println("verdict " + judge(filepath.Join(root, fmt.Sprintf("%03d", i))))
	}
}

func judge(dir string) string {
	b, err := OpenBolt(dir)
	if err != nil {
		return "noticed"
	}
	defer b.Close()
	s := &logStore{backend: b, brk: newBreaker(nil)}
	first, err1 := s.FirstIndex()
	last, err2 := s.LastIndex()
	term, err3 := s.GetUint64(keyTerm)
	if err := errors.Join(err1, err2, err3); err != nil {
		if err.Error() == notFound {
			return "wrong"
		}
		return "noticed"
	}
	for i := uint64(1); i <= flipEntries; i++ {
		var l raft.Log
		switch err := s.GetLog(i, &l); {
		case errors.Is(err, raft.ErrLogNotFound):
			return "wrong"
		case err != nil:
			return "noticed"
		case l.Term != entryAt(i).Term || l.Type != raft.LogCommand || !bytes.Equal(l.Data, entryAt(i).Data):
			return "wrong"
		}
	}
	if first != 1 || last != flipEntries || term != 13 {
		return "wrong"
	}
	return "sound"
}

// The whole node on its real log, without a bubble.
func TestNodeOnBoltRestarts(t *testing.T) {
	dir := t.TempDir()
	store := newMemStore()
	run := func(op string) {
		_, trans := raft.NewInmemTransport("a")
		n, err := Start(Config{ID: "a", Dir: dir, Voters: []string{"a"}, Fatal: func(err error) { t.Error(err) }}, store, trans)
		if err != nil {
			t.Fatal(err)
		}
		c := &cluster{t: t, ctx: t.Context(), members: map[string]*member{"a": {id: "a", store: store, node: n}}}
		for range 40 {
			c.submit(op + " erased" + strings.Repeat(".", 2000))
		}
		if err := n.Erase(t.Context()); err != nil {
			t.Error(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, logFile))
		if err != nil || bytes.Contains(b, []byte(" erased")) {
			t.Errorf("the file holds an erased entry (%v)", err)
		}
		c.submit(op + " kept")
		if err := n.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	run("first")
	store = store.crashed()
	run("second")
	if ops := store.ops(); len(ops) != 82 || ops[40] != "first kept" || ops[81] != "second kept" {
		t.Errorf("%d operations", len(ops))
	}
	if twice := store.twice(); len(twice) > 0 {
		t.Errorf("applied twice: %v", twice)
	}
}
