// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"time"

	"github.com/transparency-dev/formats/note"

	"github.com/tocsin-db/tocsin/node/cosign"
	"github.com/tocsin-db/tocsin/node/witness"
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// protocolWitness is where members that are no sequencers hand in their
// cosignatures on what became final.
const protocolWitness = "/tocsin/witness/1"

// witnessEvery is the least time between two cosignatures of a witness.
const witnessEvery = time.Second

// openWitness serves as a witness of other logs (C2SP tlog-witness).
func (n *Node) openWitness(context.Context) (err error) {
	w := n.cfg.Witness
	if w.Listen == "" {
		return nil
	}
	n.witness, err = witness.Open(witness.Config{
		Dir: filepath.Join(n.cfg.Dir, "witness"), Name: w.Name, Logs: w.Logs, Now: n.cfg.Now, Logger: n.log,
	})
	if err != nil {
		return err
	}
	n.onStop(func(context.Context) error { return n.witness.Close() })
	l, err := net.Listen("tcp", w.Listen)
	if err != nil {
		return spec.Errorf(spec.CodeConfig, "listening as a witness: %w", err)
	}
	server := &http.Server{
		Handler: n.witness.Handler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			n.fail(fmt.Errorf("the witness's door closed: %w", err))
		}
	}()
	n.onStop(func(ctx context.Context) error {
		turn, cancel := context.WithTimeout(ctx, 2*time.Second) // whoever is slow holds nothing up
		defer cancel()
		if server.Shutdown(turn) == nil {
			return nil
		}
		return server.Close()
	})
	n.log.Info("the node witnesses", "address", l.Addr().String(), "verifier_key", n.witness.VerifierKey())
	return nil
}

// WitnessKey is the verifier key under which this node witnesses other logs, "" when
// it does not.
func (n *Node) WitnessKey() string {
	if n.witness == nil {
		return ""
	}
	return n.witness.VerifierKey()
}

// feedWitnesses has outside witnesses cosign what is final, and does so itself where
// this node is a member's that does not sequence. Nothing waits for it.
func (n *Node) feedWitnesses(context.Context) error {
	f := &witness.Feeder{
		Log: n.store, Book: n.book, Every: witnessEvery, Logger: n.log, Newest: n.newestFinal, Changed: n.final.Changed,
		Client: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	for _, s := range n.cfg.Witnesses {
		a, err := witness.ParseAddress(s)
		if err != nil {
			return err
		}
		f.Witnesses = append(f.Witnesses, a)
	}
	if len(f.Witnesses) > 0 {
		n.background(f.Run)
	}
	if n.consensus == nil && n.id.Organisation.Role == spec.RoleMember {
		n.cosignAfterwards()
	}
	return nil
}

// newestFinal is the newest final checkpoint that this node has all leaves of.
func (n *Node) newestFinal() (tlog.Checkpoint, []byte) {
	f := n.final.Newest()
	if f.Size == 0 || f.Size > n.store.Size() {
		return tlog.Checkpoint{}, nil
	}
	return tlog.Checkpoint{Origin: n.genesis.Genesis.Origin(), Size: f.Size, Root: f.Root}, f.Note
}

// cosignAfterwards cosigns what became final with the organisation's key. What it
// cosigned last is durable before a cosignature leaves, in the store that a
// sequencer has too. Where it may not cosign, status says why.
func (n *Node) cosignAfterwards() {
	if n.mayNotCosign != nil {
		n.stopWitnessing(n.mayNotCosign)
		return
	}
	recalled := n.recallAll()
	n.background(func(ctx context.Context) {
		select {
		case <-ctx.Done():
		case <-recalled:
		case <-n.after(recallWait):
		}
		for ctx.Err() == nil {
			changed := n.final.Changed()
			if err := n.cosignFinal(ctx); err != nil {
				n.stopWitnessing(err)
				return
			}
			select {
			case <-ctx.Done():
			case <-n.after(witnessEvery):
				select {
				case <-ctx.Done():
				case <-changed:
				}
			}
		}
	})
}

// stopWitnessing notes why this member does not cosign what is final: it does not
// again before it is started anew.
func (n *Node) stopWitnessing(err error) {
	n.log.Error("this node does not cosign what is final", "error", err)
	n.notWitness.Store(&err)
}

// witnessKey is the key that is in force by the state, with its own mark: a case may
// exchange it while this node runs.
func (n *Node) witnessKey() (*cosign.Key, error) {
	inForce := n.cosignKey()
	for i := range n.cosigned {
		if k := &n.cosigned[i]; spec.PublicKey(k.Private.Public().(ed25519.PublicKey)) == inForce {
			return k, nil
		}
	}
	return nil, spec.Errorf(spec.CodeKey, "this node does not hold the cosign key that is in force, or did not when it started")
}

// cosignFinal cosigns the newest final checkpoint unless that was done, and hands
// it to every member.
func (n *Node) cosignFinal(ctx context.Context) error {
	if err := n.doubted(); err != nil {
		return err
	}
	key, err := n.witnessKey()
	if err != nil {
		return err
	}
	c, signed := n.newestFinal()
	mark := key.Store.Mark()
	if signed == nil || c.Size < mark.Size || n.replica.imported.Load() > c.Size {
		return nil
	}
	if err := n.recomputed(c, mark); err != nil {
		return err
	}
	if err := key.Store.Advance(mark, cosign.Mark{Size: c.Size, Root: c.Root}); err != nil {
		return err
	}
	sig := tlog.Cosign(c, n.id.Organisation.ID, key.Private, uint64(n.cfg.Now().Unix()))
	w := witnessed{Size: c.Size, Root: c.Root, Time: sig.Time, Sig: sig.Sig[:]}
	req, err := spec.Encode(&w)
	if err != nil {
		return err
	}
	self := n.id.Organisation
	self.CosignKey = sig.Key
	if err := n.enter(&self, &w); err != nil {
		return err
	}
	for _, peer := range n.directory.members() {
		if peer == n.host.ID() {
			continue
		}
		call, cancel := context.WithTimeout(ctx, 5*time.Second)
		if _, err := n.host.Call(call, peer, protocolWitness, req, 16); err != nil {
			n.log.Debug("handing a cosignature in", "peer", string(peer), "error", err)
		}
		cancel()
	}
	return nil
}

// recomputed refuses what this node did not come to itself: its own log must have
// the root that is said to be final and continue what it cosigned last, and its
// store must be whole.
func (n *Node) recomputed(c tlog.Checkpoint, mark cosign.Mark) error {
	if err := n.store.Damage(); err != nil {
		return err
	}
	old, err := tlog.Root(n.store, mark.Size)
	if err != nil {
		return err
	}
	own, err := tlog.Root(n.store, c.Size)
	if err != nil {
		return err
	}
	if old != mark.Root || own != c.Root {
		return spec.Errorf(spec.CodeForked, "what is final at size %d is not this node's log, which it cosigned at %d", c.Size, mark.Size)
	}
	return nil
}

// cosignedBy lists who made the newest final checkpoint final, and who cosigned it
// afterwards.
func (n *Node) cosignedBy() (sequencers, witnesses []string) {
	s := n.final.Signed()
	if s == nil {
		return nil, nil
	}
	for i := range s.Cosignatures {
		sequencers = append(sequencers, s.Cosignatures[i].Org)
	}
	return slices.Compact(sequencers), n.book.On(s.Checkpoint)
}

// witnessed is a cosignature on its way.
type witnessed struct {
	_    struct{} `cbor:",toarray"`
	Size uint64
	Root spec.Hash
	Time uint64
	Sig  []byte
}

// serveWitness answers protocolWitness. Members may call, each for itself: a
// cosignature counts for nothing but to be shown.
func (n *Node) serveWitness(_ context.Context, from p2p.PeerID, _ string, req []byte) ([]byte, error) {
	org, ok := n.directory.organisation(from)
	if !ok || org.Role != spec.RoleMember {
		return nil, spec.Errorf(spec.CodeDenied, "only members cosign what is final")
	}
	var w witnessed
	if err := spec.Decode(req, &w); err != nil {
		return nil, err
	}
	if w.Size == 0 || w.Size > tlog.MaxSize {
		return nil, spec.Errorf(spec.CodeMalformed, "a size is out of range")
	}
	if err := n.enter(&org, &w); err != nil {
		return nil, err
	}
	n.hear(&org, &w)
	if w.Size > n.store.Size() {
		return nil, nil // the caller is a moment ahead: it is compared later
	}
	if own, err := tlog.Root(n.store, w.Size); err == nil && own != w.Root {
		return nil, spec.Errorf(spec.CodeForked, "the log had another root at size %d", w.Size)
	}
	return nil, nil
}

// enter verifies an organisation's cosignature and keeps it to be shown.
func (n *Node) enter(org *spec.Organisation, w *witnessed) error {
	origin := n.genesis.Genesis.Origin()
	v, err := note.NewVerifierForCosignatureV1(tlog.CosignerVerifierKey(origin, spec.Seat{Org: org.ID, Key: org.CosignKey}))
	if err != nil {
		return spec.Errorf(spec.CodeCard, "the organisation cannot cosign: %w", err)
	}
	c := tlog.Checkpoint{Origin: origin, Size: w.Size, Root: w.Root}
	return n.book.Add(c, v, witness.Line(v.Name(), v.KeyHash(), w.Time, w.Sig))
}
