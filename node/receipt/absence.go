// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"bytes"
	"context"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
	"github.com/tocsin-db/tocsin/spec/tlog/receipt"
)

// Absent returns the proof that no entry lists a signal by equality. It is for
// enrolled parties alone. It fails with USAGE where one does.
func (m *Maker) Absent(ctx context.Context, s spec.Signal) ([]byte, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	k := s.Key()
	size, bucket, siblings, err := m.Store.LiveBucket(k)
	if err != nil {
		return nil, err
	}
	a := receipt.Absence{Version: receipt.Version, K: k, Type: s.Type, Value: s.Value, Siblings: siblings}
	for _, l := range bucket {
		n := receipt.Neighbour{K: l.K, C: l.C, Meta: l.Meta}
		a.Bucket = append(a.Bucket, spec.LiveLeaf(l.K, l.C, l.Meta))
		switch bytes.Compare(l.K[:], k[:]) {
		case 0:
			return nil, spec.Errorf(spec.CodeUsage, "an entry lists the signal")
		case -1:
			a.Before = []receipt.Neighbour{n}
		default:
			if a.After == nil {
				a.After = []receipt.Neighbour{n}
			}
		}
	}
	if err := m.Final.Wait(ctx, size-1); err != nil {
		return nil, spec.Errorf(spec.CodeNotFinal, "the log is not final up to %d yet: %w", size, err)
	}
	final := m.Final.Signed()
	if a.Note, err = m.Chain.Note(final); err != nil {
		return nil, err
	}
	if a.Links, err = m.Chain.Links(final.Size); err != nil {
		return nil, err
	}
	d := &draft{Maker: m}
	a.Root.Index = size - 1
	if a.Root.Bytes, err = d.leaf(size - 1); err != nil {
		return nil, err
	}
	if a.Root.Proof, err = tlog.Inclusion(m.Store, final.Size, size-1); err != nil {
		return nil, err
	}
	return a.Encode()
}
