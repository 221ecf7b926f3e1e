// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

// A source whose answers do not come to an end does not hold up the others, and a snapshot of
// which nobody has the rest is left for another time.
func TestASourceThatIsSlow(t *testing.T) {
	h, n := newHistory(t), newNetwork(t, 2)
	n.serve(0, h)
	n.lie(1, func(ctx context.Context, s *p2p.Stream) error {
		for {
			frame, err := s.ReadFrame(maxRequest)
			if err != nil {
				return err
			}
			if frame[0] != kindManifest {
				return trickle(ctx, s)
			}
			m, err := h.Manifest(0, h.log.Size)
			if err != nil {
				return err
			}
			b, err := spec.Encode(m)
			if err != nil {
				return err
			}
			if err := s.WriteFrame(appendPacked([]byte{kindLast}, b)); err != nil {
				return err
			}
			if err := s.Flush(); err != nil {
				return err
			}
		}
	})
	s := &store{}
	// Before the slow one's answer ends: its pieces were asked of the other.
	if err := n.run(s, h.final()); err != nil || !s.installed {
		t.Fatal(err)
	}
}

// trickle sends an answer that takes longer than a test waits, just fast enough not to
// be cut off.
func trickle(ctx context.Context, s *p2p.Stream) error {
	const every = 3 * time.Second
	if MaxChunk/pieceSize*every < limit || pieceSize/3 < slowAnswer {
		return errors.New("this test shows nothing")
	}
	for {
		if err := s.WriteFrame(appendPacked([]byte{kindPiece}, make([]byte, pieceSize))); err != nil {
			return err
		}
		if err := s.Flush(); err != nil {
			return err
		}
		select {
		case <-time.After(every):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// An answer that does not consist of pieces as they are packed costs its sender.
func TestPiecesThatCannotBe(t *testing.T) {
	noise := make([]byte, 2*pieceSize)
	rand.NewChaCha8([32]byte{}).Read(noise)
	for name, frames := range map[string][][]byte{
		"not packed":            {append([]byte{kindLast}, noise[:100]...)},
		"cut short":             {appendPacked([]byte{kindLast}, noise[:100])[:60]},
		"more than a piece":     {appendPacked([]byte{kindLast}, make([]byte, pieceSize+1))},
		"less than a piece":     {appendPacked([]byte{kindPiece}, noise[:pieceSize-1])},
		"more than there is":    slices.Repeat([][]byte{appendPacked([]byte{kindPiece}, make([]byte, pieceSize))}, MaxManifest/pieceSize+1),
		"a frame that is large": {append([]byte{kindLast}, noise[:maxPacked+1]...)},
	} {
		t.Run(name, func(t *testing.T) {
			h, n := newHistory(t), newNetwork(t, 2)
			n.lie(0, func(_ context.Context, s *p2p.Stream) error {
				if _, err := s.ReadFrame(maxRequest); err != nil {
					return err
				}
				for _, f := range frames {
					if err := s.WriteFrame(f); err != nil {
						return err
					}
				}
				return s.Close()
			})
			n.serve(1, &patient{h, n.offence})
			s := &store{}
			if err := n.run(s, h.final()); err != nil || !s.installed {
				t.Fatal(err)
			}
			if !n.offended(0) || n.offended(1) {
				t.Fatalf("blamed: %v", n.blamed)
			}
		})
	}
}

// Whose role allows no values gets none, from the moment when the role changes.
func TestRolesAreAskedForEachAnswer(t *testing.T) {
	h, n := newHistory(t), newNetwork(t, 1)
	n.serve(0, h)
	c, err := Dial(t.Context(), n.reader, n.sources[0].ID())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if b, err := c.Chunk(h.size, 5); err != nil || !bytes.Equal(b, content(0, 5)) {
		t.Fatalf("a reader: %v", err)
	}
	if hashes, err := c.Nodes(h.size, LiveTree, 4, 0, Above(h.manifest.ChunkRoots[:256])); err != nil || len(hashes) != 256 {
		t.Fatalf("hashes: %v", err)
	}
	n.roles.set(n.reader.ID(), spec.RoleAuditor)
	if _, err := c.Rules(h.size, 5); err != nil {
		t.Fatalf("an auditor's rules: %v", err)
	}
	if _, err := c.Chunk(h.size, 5); spec.CodeOf(err) != spec.CodeDenied || !isFault(err) {
		t.Fatalf("an auditor's chunk: %v", err)
	}
	n.roles.set(n.reader.ID(), spec.RoleReader)
	d, err := Dial(t.Context(), n.reader, n.sources[0].ID())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Nodes(h.size, LiveTree, 4, 1, Above(h.manifest.ChunkRoots[:256])); spec.CodeOf(err) != spec.CodeProof {
		t.Fatalf("hashes that are not below the node: %v", err)
	}
	d.Close()
	if d, err = Dial(t.Context(), n.reader, n.sources[0].ID()); err != nil {
		t.Fatal(err)
	}
	var f *p2p.Fault
	if _, err := d.Chunk(h.size+1, 5); !errors.As(err, &f) || f.MinSize != h.size {
		t.Fatalf("a size that is not kept: %v", err)
	}
}
