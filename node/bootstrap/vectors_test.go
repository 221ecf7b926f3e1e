// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/klauspost/compress/zstd"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/p2p/federation/state"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
	"github.com/tocsin-db/tocsin/storage"
)

var update = flag.Bool("update", false, "write the conformance vectors anew")

const vectorFile = "../../spec/testdata/state.json"

// A vectorBook is one small state, and what a node that keeps a snapshot of it answers.
type vectorBook struct {
	Notice  string            `json:"notice"`
	Signals []vectorSignal    `json:"signals"`
	Records map[string]string `json:"records"` // of the rules: values by keys, in hex
	Log     []string          `json:"log"`     // its leaves
	Roots   vectorRoots       `json:"roots"`
	Bytes   uint64            `json:"bytes"` // as the manifest has it
	Answers []vectorAnswer    `json:"answers"`
}

type vectorSignal struct {
	Type       string `json:"type"`
	Value      string `json:"value"`
	Quality    uint64 `json:"quality"`
	Salt       string `json:"salt"`
	Item       int    `json:"item"`
	Meta       string `json:"meta"`
	K          string `json:"k"`
	Commitment string `json:"c"`
	Leaf       string `json:"leaf"`
	Chunk      uint32 `json:"chunk"`
}

// vectorRoots are the roots of chunks in the manifest. Those of chunks without any
// leaf are empty.
type vectorRoots struct {
	EmptyChunk string            `json:"empty_chunk"`
	EmptyRules string            `json:"empty_rules"`
	Chunks     map[uint32]string `json:"chunks"`
	Rules      map[uint32]string `json:"rules"`
}

// A vectorAnswer is one request on a stream and what comes back: payloads of frames,
// whole up to a KiB, else their length and SHA-256.
type vectorAnswer struct {
	Name    string        `json:"name"`
	Request string        `json:"request"`
	Frames  []vectorFrame `json:"frames"`
}

type vectorFrame struct {
	Hex    string `json:"hex,omitempty"`
	Kind   byte   `json:"kind,omitempty"`
	Bytes  int    `json:"bytes,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
}

const notice = "A snapshot at size 2 of sync.md, in a log of 3 leaves: what is listed, the records of the rules, and the answers of /tocsin/state/1 that follow from them. " +
	"Frames are payloads, the kind first, and what is packed in them unpacked, since how well it is packed is the server's choice; of those above a KiB the length and SHA-256 stand here. The records' values mean nothing."

const vectorSize = 2

// vectorStore has one opening of three signals, two of them in one entry, and one
// record that means nothing.
func vectorStore(t *testing.T) (*storage.Store, *spec.Opening, [][]byte) {
	t.Helper()
	s, err := storage.Open("store", storage.Options{FS: vfs.NewMem(), Logger: slog.New(slog.DiscardHandler), CacheBytes: 1 << 20, SnapshotEvery: vectorSize, Fatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	o := &spec.Opening{}
	for i, sig := range []spec.Signal{
		{Type: "sha256", Value: bytes.Repeat([]byte{0xa1}, 32)}, {Type: "pdq", Value: bytes.Repeat([]byte{0xa2}, 32), Quality: 90}, {Type: "md5", Value: bytes.Repeat([]byte{0xa3}, 16)},
	} {
		one := spec.Opened{Signal: sig, Item: i / 2}
		copy(one.Salt[:], bytes.Repeat([]byte{byte(i + 1)}, len(one.Salt)))
		o.Signals = append(o.Signals, one)
	}
	var leaves [][]byte
	commit := func(index uint64, fn func(tx *storage.Tx) error) {
		t.Helper()
		tx, err := s.Begin()
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Drop()
		if err := fn(tx); err != nil {
			t.Fatal(err)
		}
		r, err := tx.Roots()
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := spec.Encode(&spec.StateRoot{Tag: spec.TagStateRoot, SizeBefore: tx.Size(), LiveRoot: r.Live, LiveCount: r.LiveCount, RulesRoot: r.Rules})
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, leaf)
		if err := errors.Join(tx.Append(leaf), tx.Commit(storage.Applied{Index: index, Term: 1})); err != nil {
			t.Fatal(err)
		}
	}
	put := func(tx *storage.Tx) error { return tx.Put([]byte("record one"), []byte("value one")) }
	commit(1, put)
	commit(2, func(tx *storage.Tx) error {
		errs := []error{tx.Hold(spec.Hash{9}, o), tx.Put([]byte("record two"), []byte("value two"))}
		for item, n := range []int{2, 1} {
			errs = append(errs, tx.List(spec.Listing{Case: spec.Hash{9}, First: 2 * item, Count: n, Live: true, Meta: meta(item)}))
		}
		return errors.Join(errs...)
	})
	commit(3, func(tx *storage.Tx) error { return tx.Put([]byte("record one"), []byte("another value")) })
	return s, o, leaves
}

func meta(item int) spec.LiveMeta {
	return spec.LiveMeta{Entry: spec.EntryID(spec.Hash{9}, item), State: spec.StateActive, Since: 1, Labels: []string{"label"}}
}

// pipe is one end of a stream in memory.
type pipe struct{ net.Conn }

func (pipe) SetReadDeadline(time.Time) error { return nil }
func (pipe) CloseWrite() error               { return nil }
func (p pipe) Reset() error                  { return p.Close() }

type listener struct{ fn p2p.StreamHandler }

func (l *listener) HandleStream(_ string, _ p2p.Policy, fn p2p.StreamHandler) { l.fn = fn }

// ask sends a request on a stream of its own and returns the payloads that come back.
func ask(t *testing.T, l *listener, role string, request []byte) (frames []vectorFrame) {
	t.Helper()
	near, far := net.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = l.fn(context.Background(), p2p.NewStream(pipe{far}, "reader", role)) // how it ends is in the last frame
		_ = far.Close()
	}()
	defer func() { <-ended }()
	defer near.Close()
	unpack, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer unpack.Close()
	s := p2p.NewStream(pipe{near}, "server", "")
	if err := errors.Join(s.WriteFrame(request), s.Flush()); err != nil {
		t.Fatal(err)
	}
	for {
		f, err := s.ReadFrame(p2p.MaxFrame)
		if errors.Is(err, io.EOF) {
			return frames
		}
		if err != nil || len(f) == 0 {
			t.Fatalf("%x, %v", f, err)
		}
		if f[0] != 7 {
			if f, err = unpack.DecodeAll(f[1:], f[:1:1]); err != nil {
				t.Fatal(err)
			}
		}
		v := vectorFrame{Hex: hex.EncodeToString(f)}
		if len(f) > 1024 {
			sum := sha256.Sum256(f)
			v = vectorFrame{Kind: f[0], Bytes: len(f), SHA256: hex.EncodeToString(sum[:])}
		}
		if frames = append(frames, v); f[0] == 6 || f[0] == 7 { // Last or Fault
			return frames
		}
	}
}

func request(t *testing.T, kind byte, fields ...uint64) []byte {
	t.Helper()
	b, err := spec.Encode(fields)
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte{kind}, b...)
}

// vectorSource says always the same of the bytes of all chunks, which inform only.
type vectorSource struct{ Source }

func (s vectorSource) Manifest(size, upto uint64) (*state.Manifest, error) {
	m, err := s.Source.Manifest(size, upto)
	if err == nil {
		m.Bytes = 1000
	}
	return m, err
}

func book(t *testing.T) *vectorBook {
	s, o, leaves := vectorStore(t)
	for deadline := time.Now().Add(time.Minute); len(s.Snapshots()) == 0; {
		if time.Now().After(deadline) {
			t.Fatal("no snapshot is kept")
		}
		if err := s.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	b := &vectorBook{Notice: notice, Records: map[string]string{
		hex.EncodeToString([]byte("record one")): hex.EncodeToString([]byte("value one")), hex.EncodeToString([]byte("record two")): hex.EncodeToString([]byte("value two")),
	}}
	for _, l := range leaves {
		b.Log = append(b.Log, hex.EncodeToString(l))
	}
	source := vectorSource{Source{Store: s, Final: func() uint64 { return 3 }, Logger: slog.New(slog.DiscardHandler)}}
	m, err := source.Manifest(vectorSize, 3)
	if err != nil {
		t.Fatal(err)
	}
	b.Bytes = m.Bytes
	root, err := tlog.Root(s, 3)
	if err == nil {
		_, err = m.Verify(tlog.Checkpoint{Size: 3, Root: root})
	}
	if err != nil {
		t.Fatal(err)
	}
	live := map[uint32]bool{}
	for i := range o.Signals {
		one := &o.Signals[i]
		meta := meta(one.Item)
		enc, err := spec.Encode(&meta)
		if err != nil {
			t.Fatal(err)
		}
		k, c := one.Signal.Key(), one.Commitment()
		leaf := spec.LiveLeaf(k, c, enc)
		chunk := uint32(k[0])<<4 | uint32(k[1])>>4
		live[chunk] = true
		b.Signals = append(b.Signals, vectorSignal{
			Type: one.Signal.Type, Value: hex.EncodeToString(one.Signal.Value), Quality: uint64(one.Signal.Quality), Salt: hex.EncodeToString(one.Salt[:]), Item: one.Item, Meta: hex.EncodeToString(enc),
			K: k.String(), Commitment: c.String(), Leaf: leaf.String(), Chunk: chunk,
		})
	}
	b.Roots = vectorRoots{Chunks: map[uint32]string{}, Rules: map[uint32]string{}}
	b.Roots.EmptyChunk = rootsOf(m.ChunkRoots, 64, b.Roots.Chunks).String()
	b.Roots.EmptyRules = rootsOf(m.RuleRoots, 256, b.Roots.Rules).String()
	for chunk := range live {
		if _, ok := b.Roots.Chunks[chunk]; !ok || len(b.Roots.Chunks) != len(live) {
			t.Fatalf("the signals are not in the chunks %v", b.Roots.Chunks)
		}
	}
	b.Answers = answers(t, source, b)
	return b
}

// rootsOf notes the roots that are not those of a chunk of so many empty buckets, and
// returns that one.
func rootsOf(roots []spec.Hash, buckets int, into map[uint32]string) spec.Hash {
	empty := make([]spec.Hash, buckets)
	for i := range empty {
		empty[i] = spec.EmptyRoot
	}
	above := state.Above(empty)
	for i, r := range roots {
		if r != above {
			into[uint32(i)] = r.String()
		}
	}
	return above
}

func answers(t *testing.T, source state.Source, b *vectorBook) (all []vectorAnswer) {
	l := &listener{}
	state.Serve(l, source, state.ServeOptions{Roles: []string{"reader", "auditor"}, ChunkRoles: []string{"reader"}, KeyRoles: []string{"reader"}, Logger: slog.New(slog.DiscardHandler)})
	add := func(role, name string, request []byte) {
		all = append(all, vectorAnswer{Name: name, Request: hex.EncodeToString(request), Frames: ask(t, l, role, request)})
	}
	const manifest, chunk, rules, nodes, keys = 1, 2, 3, 4, 8
	of := func(roots map[uint32]string) (first uint64) {
		for first = range uint64(1 << 12) {
			if _, ok := roots[uint32(first)]; ok {
				return first
			}
		}
		return first
	}
	live, rule := of(b.Roots.Chunks), of(b.Roots.Rules)
	add("reader", "Manifest, the newest for a log of 3 leaves", request(t, manifest, 0, 3))
	add("reader", "Manifest, a size that is none", request(t, manifest, 1, 3))
	add("reader", "Manifest, a longer log than there is", request(t, manifest, 0, 4))
	add("reader", "Chunk, the first that is not empty", request(t, chunk, vectorSize, live))
	add("reader", "Chunk, an empty one", request(t, chunk, vectorSize, live^1))
	add("reader", "Chunk 4096", request(t, chunk, vectorSize, 4096))
	add("auditor", "Chunk, for an auditor", request(t, chunk, vectorSize, live))
	add("reader", "Keys, the same chunk", request(t, keys, vectorSize, live))
	add("reader", "Rules, the first that is not empty", request(t, rules, vectorSize, rule))
	add("auditor", "Nodes, below the root of the live tree", request(t, nodes, vectorSize, 1, 0, 0))
	add("reader", "Nodes, the last two levels of the live tree", request(t, nodes, vectorSize, 1, 16, live<<4))
	add("reader", "Nodes of a tree that there is not", request(t, nodes, vectorSize, 3, 0, 0))
	add("reader", "a kind that there is not", request(t, 99))
	return all
}

// TestVectors makes the state and every answer again, or writes them with -update.
func TestVectors(t *testing.T) {
	want := book(t)
	if *update {
		b, err := json.MarshalIndent(want, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(vectorFile, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var got vectorBook
	data, err := os.ReadFile(vectorFile)
	if err == nil {
		err = json.Unmarshal(data, &got)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Answers) != len(want.Answers) {
		t.Fatalf("%s has %d answers, there are %d", vectorFile, len(got.Answers), len(want.Answers))
	}
	for i, a := range want.Answers {
		if !reflect.DeepEqual(got.Answers[i], a) {
			t.Errorf("%s: the file says\n %+v\nthe answer is\n %+v", a.Name, got.Answers[i], a)
		}
	}
	got.Answers, want.Answers = nil, nil
	if !reflect.DeepEqual(&got, want) {
		t.Errorf("the file says\n %+v\nthe state is\n %+v", got, *want)
	}
}
