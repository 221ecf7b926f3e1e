// SPDX-License-Identifier: Apache-2.0

package state

import (
	"context"
	"time"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/p2p/federation"
	"github.com/tocsin-db/tocsin/spec"
)

// slowAnswer is the least rate of a source, in bytes a second, after the first half
// minute of an answer: one that trickles is not worth waiting for.
const slowAnswer = 32 << 10

// A Client asks one source over one stream. It belongs to one goroutine.
type Client struct {
	stream *p2p.Stream
	now    func() time.Time
}

// Dial opens a stream to a source. It ends with ctx.
func Dial(ctx context.Context, d federation.Dialer, to p2p.PeerID) (*Client, error) {
	s, err := d.OpenStream(ctx, to, Protocol)
	if err != nil {
		return nil, err
	}
	return &Client{stream: s, now: time.Now}, nil
}

// Close ends the stream.
func (c *Client) Close() { c.stream.Reset() }

// send asks without waiting. At most four requests may be ahead of the answers.
func (c *Client) send(kind byte, v any) error {
	b, err := encode(kind, v)
	if err != nil {
		return err
	}
	if err := c.stream.WriteFrame(b); err != nil {
		return err
	}
	return c.stream.Flush()
}

// receive reads one answer of at most limit bytes. What it holds in memory has
// arrived, packed. An error with a code that is no *p2p.Fault is the source's offence.
func (c *Client) receive(limit int) ([]byte, error) {
	var out []byte
	began := c.now()
	for {
		frame, err := c.stream.ReadFrame(1 + maxPacked)
		if err != nil {
			return nil, err
		}
		if len(frame) == 0 {
			return nil, spec.Errorf(spec.CodeMalformed, "an empty message")
		}
		kind, piece := frame[0], frame[1:]
		switch {
		case kind == kindFault:
			if err := p2p.DecodeFault(piece); err != nil {
				return nil, err
			}
			return nil, spec.Errorf(spec.CodeMalformed, "a fault without a code")
		case kind != kindPiece && kind != kindLast:
			return nil, spec.Errorf(spec.CodeMalformed, "not a piece of an answer")
		}
		had := len(out)
		if out, err = appendUnpacked(out, piece); err != nil {
			return nil, err
		}
		switch {
		case kind == kindPiece && len(out)-had != pieceSize:
			return nil, spec.Errorf(spec.CodeMalformed, "a piece of an answer has another size")
		case len(out) > limit:
			return nil, spec.Errorf(spec.CodeTooLarge, "the answer has more than %d bytes", limit)
		case kind == kindLast:
			return out, nil
		}
		if d := c.now().Sub(began) - p2p.IdleTimeout; d > 0 && float64(len(out)) < d.Seconds()*slowAnswer {
			return nil, spec.Errorf(spec.CodeMalformed, "an answer that does not come to an end")
		}
	}
}

func (c *Client) ask(kind byte, v any, limit int) ([]byte, error) {
	if err := c.send(kind, v); err != nil {
		return nil, err
	}
	return c.receive(limit)
}

// Manifest asks for the snapshot at size, or with 0 for the newest at or below upto,
// to be proved against the log of upto leaves. It is not verified.
func (c *Client) Manifest(size, upto uint64) (*Manifest, error) {
	b, err := c.ask(kindManifest, &manifestRequest{Size: size, Upto: upto}, MaxManifest)
	if err != nil {
		return nil, err
	}
	return DecodeManifest(b)
}

// Chunk asks for a chunk. It is not verified.
func (c *Client) Chunk(size uint64, index uint32) ([]byte, error) {
	return c.ask(kindChunk, &chunkRequest{Size: size, Index: uint64(index)}, MaxChunk)
}

// Keys asks for a chunk with keys in the place of values. It is not verified.
func (c *Client) Keys(size uint64, index uint32) ([]byte, error) {
	return c.ask(kindKeys, &chunkRequest{Size: size, Index: uint64(index)}, MaxChunk)
}

// Rules asks for a chunk of rules. It is not verified.
func (c *Client) Rules(size uint64, index uint32) ([]byte, error) {
	return c.ask(kindRules, &chunkRequest{Size: size, Index: uint64(index)}, MaxChunk)
}

// Nodes asks for the hashes eight levels below a node whose hash is known, and
// checks that they are under it.
func (c *Client) Nodes(size uint64, tree, level int, index uint64, node spec.Hash) ([]spec.Hash, error) {
	b, err := c.ask(kindNodes, &nodesRequest{Size: size, Tree: uint64(tree), Level: uint64(level), Index: index}, maxNodes)
	if err != nil {
		return nil, err
	}
	hashes, err := splitHashes(b)
	if err != nil {
		return nil, err
	}
	if n := len(hashes); n < 2 || n&(n-1) != 0 || Above(hashes) != node {
		return nil, spec.Errorf(spec.CodeProof, "the hashes are not below the node")
	}
	return hashes, nil
}
