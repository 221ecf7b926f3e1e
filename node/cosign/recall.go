// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"maps"
	"slices"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// RecallProtocol is where a member asks another, as it starts, for what it saw the
// caller itself cosign last: a mark that was put back to an old copy shows by that.
// The request is empty.
const RecallProtocol = "/tocsin/recall/1"

// MaxRecall bounds an answer in bytes, maxRecalled the cosignatures in it.
const (
	MaxRecall   = 4 << 10
	maxRecalled = 16
)

// Recall is what this node saw an organisation cosign last, with each of its keys, as
// the answer to RecallProtocol. said is what else it heard of it.
func (c *Cosigner) Recall(org string, said ...Said) ([]byte, error) {
	newest := map[spec.Seat]claim{}
	if c != nil {
		c.mu.Lock()
		maps.Copy(newest, c.newest)
		c.mu.Unlock()
	}
	for _, s := range said {
		seat := spec.Seat{Org: s.Org, Key: s.Key}
		if have, ok := newest[seat]; !ok || have.Size < s.Size {
			newest[seat] = claim{Size: s.Size, Root: s.Root, Key: s.Key, Time: s.Time, Sig: s.Sig}
		}
	}
	var out []claim
	for seat, cl := range newest {
		if seat.Org == org {
			out = append(out, cl)
		}
	}
	slices.SortFunc(out, func(a, b claim) int { return int(min(max(int64(b.Size)-int64(a.Size), -1), 1)) })
	return spec.Encode(out[:min(len(out), maxRecalled)])
}

// remember keeps the newest claim of a key. Caller holds mu.
func (c *Cosigner) remember(org string, cl claim) {
	seat := spec.Seat{Org: org, Key: cl.Key}
	if have, ok := c.newest[seat]; !ok || have.Size < cl.Size {
		c.newest[seat] = cl
	}
}

// Newest is what a member said of the largest size, with each key.
func (w *Watch) Newest(org string) (out []Said) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for seat, said := range w.said {
		if seat.Org == org && len(said) > 0 {
			out = append(out, slices.MaxFunc(said, func(a, b heard) int { return int(min(max(int64(a.Size)-int64(b.Size), -1), 1)) }).Said)
		}
	}
	return out
}

// Recalled compares the answer to RecallProtocol with the marks of this node's keys. It
// fails with FORKED when one of them cosigned what its mark does not know: the mark, or
// the whole node, was put back to an old copy, or the key is used elsewhere. Nobody else
// can make such an answer.
func Recalled(origin, org string, keys []Key, answer []byte) error {
	if len(answer) > MaxRecall {
		return spec.Errorf(spec.CodeTooLarge, "an answer is at most %d bytes", MaxRecall)
	}
	var claims []claim
	if err := spec.Decode(answer, &claims); err != nil {
		return err
	}
	if len(claims) > maxRecalled {
		return spec.Errorf(spec.CodeTooLarge, "an answer has at most %d cosignatures", maxRecalled)
	}
	for i := range claims {
		cl, sig := &claims[i], claims[i].cosignature(org)
		for j := range keys {
			mark := keys[j].Store.Mark()
			ahead := cl.Size > mark.Size || cl.Size == mark.Size && cl.Root != mark.Root
			if cl.Key == keys[j].public() && ahead && sig.Holds(tlog.Checkpoint{Origin: origin, Size: cl.Size, Root: cl.Root}) {
				return spec.Errorf(spec.CodeForked, "this node cosigned size %d, but its store of cosigned checkpoints ends at %d: it was restored from an old copy, or its key is used elsewhere", cl.Size, mark.Size)
			}
		}
	}
	return nil
}
