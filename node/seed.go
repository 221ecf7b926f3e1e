// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/tocsin-db/tocsin/node/durable"
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/storage"
)

// protocolSeed hands a member that became a sequencer the database of another with
// its place in raft: a follower's own has none.
const protocolSeed = "/tocsin/seed/1"

// seedFile holds a database that was fetched, from its arrival until it is planted:
// the length of its head as four bytes, big-endian, the head, the database.
const seedFile = "seed"

// seedHead says how far the database is.
type seedHead struct {
	_         struct{} `cbor:",toarray"`
	Index     uint64
	Term      uint64
	Conf      []byte
	ConfIndex uint64
	Size      uint64 // in bytes
}

const (
	maxSeedHead = 64 << 10
	seedFrame   = 512 << 10
)

// serveSeed answers protocolSeed. Members may call, and those that are to be
// sequencers get an answer.
func (n *Node) serveSeed(_ context.Context, s *p2p.Stream) error {
	if !n.maySequence(s.Peer()) {
		return spec.Errorf(spec.CodeDenied, "only sequencers hold what this would send")
	}
	a, size, r, err := n.replica.Export()
	if err != nil {
		return err
	}
	defer r.Close()
	head, err := spec.Encode(&seedHead{Index: a.Index, Term: a.Term, Conf: a.Conf, ConfIndex: a.ConfIndex, Size: uint64(size)})
	if err == nil {
		err = s.WriteFrame(head)
	}
	for buf := make([]byte, seedFrame); err == nil; {
		var k int
		if k, err = io.ReadFull(r, buf); k > 0 {
			if werr := s.WriteFrame(buf[:k]); werr != nil {
				return werr
			}
		}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return s.Flush()
	}
	return err
}

// fetchSeed fetches the database of the first sequencer that hands it over.
func (n *Node) fetchSeed(ctx context.Context) error {
	err := errors.New("no sequencer is known")
	for _, peer := range n.directory.members() {
		if peer == n.host.ID() || !n.maySequence(peer) {
			continue
		}
		if err = n.fetchSeedFrom(ctx, peer); err == nil {
			return nil
		}
	}
	return err
}

func (n *Node) fetchSeedFrom(ctx context.Context, peer p2p.PeerID) error {
	s, err := n.host.OpenStream(ctx, peer, protocolSeed)
	if err != nil {
		return err
	}
	defer s.Reset()
	head, err := s.ReadFrame(maxSeedHead)
	if err != nil {
		return err
	}
	h, err := parseSeedHead(head)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(n.cfg.Dir, "."+seedFile+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails after the rename, as it should
	err = receiveSeed(f, s, head, h)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("receiving a database: %w", err)
	}
	return durable.Rename(f.Name(), filepath.Join(n.cfg.Dir, seedFile))
}

func parseSeedHead(b []byte) (*seedHead, error) {
	h := new(seedHead)
	if err := spec.Decode(b, h); err != nil {
		return nil, err
	}
	if h.Index == 0 || h.Term == 0 || h.Size > 1<<40 {
		return nil, spec.Errorf(spec.CodeMalformed, "not the head of a database")
	}
	return h, nil
}

func receiveSeed(f *os.File, s *p2p.Stream, head []byte, h *seedHead) error {
	w := bufio.NewWriter(f)
	if _, err := w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(head))), head...)); err != nil {
		return err
	}
	for got := uint64(0); got < h.Size; {
		b, err := s.ReadFrame(seedFrame)
		if err != nil {
			return err
		}
		if got += uint64(len(b)); got > h.Size || len(b) == 0 {
			return spec.Errorf(spec.CodeTooLarge, "more was sent than was announced")
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return w.Flush()
}

// seeded reports whether a database was fetched and is to be planted.
func (n *Node) seeded() bool {
	_, err := os.Stat(filepath.Join(n.cfg.Dir, seedFile))
	return err == nil
}

// plant makes the database that was fetched this node's own. It must continue what
// this node knows to be final; what lies beyond is not cosigned before others made
// it final.
func (n *Node) plant() error {
	f, err := os.Open(filepath.Join(n.cfg.Dir, seedFile))
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<20)
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return err
	}
	head := make([]byte, min(binary.BigEndian.Uint32(size[:]), maxSeedHead))
	if _, err := io.ReadFull(r, head); err != nil {
		return err
	}
	h, err := parseSeedHead(head)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(n.cfg.Dir, "raft")); err != nil {
		return err
	}
	if err := n.replica.importChecked(r, storage.Applied{Index: h.Index, Term: h.Term, Conf: h.Conf, ConfIndex: h.ConfIndex}); err != nil {
		return err
	}
	if _, err := n.directory.load(n.store); err != nil {
		return err
	}
	return n.learnPanels()
}

// planted forgets the file once consensus stands on the database.
func (n *Node) planted() error {
	var errs []error
	for _, name := range []string{seedFile, anewFile} {
		if err := os.Remove(filepath.Join(n.cfg.Dir, name)); !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
