// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// A Final is the newest checkpoint that enough sequencers cosigned.
type Final struct {
	Size uint64
	Root spec.Hash
	Time time.Time // the k-th newest cosign time: k organisations say that it is at least that late
	Note []byte    // the signed note, empty while Size is 0
}

// A Keeper holds the newest final checkpoint, which never goes back, and keeps it
// over restarts.
type Keeper struct {
	chain *tlog.Chain

	mu      sync.Mutex
	reg     *register
	final   Final
	signed  *tlog.Signed
	stored  []byte        // the note in the register
	changed chan struct{} // closed and replaced at every change
}

// OpenKeeper opens the keeper at path, creating it when there is none. What was kept
// by a node that had not learned yet of a panel that took over, and is not final under
// that panel, is forgotten: the sequencers are asked again.
func OpenKeeper(path string, chain *tlog.Chain) (*Keeper, error) {
	reg, note, err := openOrCreate(path, tlog.MaxNote)
	if err != nil {
		return nil, fmt.Errorf("opening the newest final checkpoint: %w", err)
	}
	k := &Keeper{chain: chain, reg: reg, final: Final{Root: spec.EmptyRoot}, changed: make(chan struct{}), stored: note}
	if len(note) == 0 {
		return k, nil
	}
	s, err := chain.OpenFinal(note)
	if spec.CodeOf(err) == spec.CodeNotFinal {
		if chain.Contradicts(note) {
			reg.close()
			return nil, spec.Errorf(spec.CodeForked, "a recovery went on from before a size that was final here")
		}
		k.stored = nil // nothing is written before there is another
		return k, nil
	}
	if err != nil {
		reg.close()
		return nil, spec.Errorf(spec.CodeCorrupt, "the newest final checkpoint in the data directory is not one: %w", err)
	}
	k.set(s, note)
	return k, nil
}

func (k *Keeper) set(s *tlog.Signed, note []byte) {
	k.signed = s
	k.final = Final{Size: s.Size, Root: s.Root, Time: time.Unix(int64(k.chain.Time(s)), 0), Note: note}
	close(k.changed)
	k.changed = make(chan struct{})
}

// Newest returns the newest final checkpoint.
func (k *Keeper) Newest() Final {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.final
}

// Signed returns it with its cosignatures, or nil while there is none.
func (k *Keeper) Signed() *tlog.Signed {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.signed
}

// Advance takes a final checkpoint that the caller verified if it is ahead of the
// newest one, or of the same size and later. Of the same size with another root is
// FORKED.
func (k *Keeper) Advance(s *tlog.Signed) error {
	if !k.chain.Final(s) {
		return spec.Errorf(spec.CodeNotFinal, "a checkpoint without enough cosignatures is not final")
	}
	at := int64(k.chain.Time(s))
	k.mu.Lock()
	known := s.Size < k.final.Size || s.Size == k.final.Size && s.Root == k.final.Root && at <= k.final.Time.Unix()
	k.mu.Unlock()
	if known {
		return nil
	}
	note, err := k.chain.Note(s)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if s.Size == k.final.Size && s.Root != k.final.Root {
		return spec.Errorf(spec.CodeForked, "two final checkpoints of size %d differ", s.Size)
	}
	if s.Size > k.final.Size || s.Size == k.final.Size && at > k.final.Time.Unix() {
		k.set(s, note)
	}
	return nil
}

// Sync makes the newest final checkpoint durable before it returns.
func (k *Keeper) Sync() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if string(k.stored) == string(k.final.Note) {
		return nil
	}
	if err := k.reg.write(k.final.Note); err != nil {
		return err
	}
	k.stored = k.final.Note
	return nil
}

// Wait returns once the final size is above size, or with ctx's error.
func (k *Keeper) Wait(ctx context.Context, size uint64) error {
	for {
		k.mu.Lock()
		now, changed := k.final.Size, k.changed
		k.mu.Unlock()
		if now > size {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Changed returns a channel that is closed at the next change.
func (k *Keeper) Changed() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.changed
}

// Close makes the newest final checkpoint durable.
func (k *Keeper) Close() error {
	err := k.Sync()
	if cerr := k.reg.close(); err == nil {
		err = cerr
	}
	return err
}
