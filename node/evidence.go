// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"path/filepath"
	"time"

	"github.com/tocsin-db/tocsin/node/cosign"
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

// openEvidence is where evidence is kept, and what finds out who cosigned what is not
// the log.
func (n *Node) openEvidence(context.Context) error {
	n.evidence = &cosign.Archive{Dir: filepath.Join(n.cfg.Dir, "evidence"), Genesis: n.genesis.Genesis, Chain: n.chain}
	n.lies = make(chan *cosign.Equivocation, 64)
	n.watch = &cosign.Watch{Chain: n.chain, Log: n.store, Final: n.final, Lied: n.lied}
	n.background(n.watch.Run)
	n.background(n.accuse)
	return nil
}

// lied takes what a member equivocated, to be proved.
func (n *Node) lied(e *cosign.Equivocation) {
	n.log.Error("ALARM: a member cosigned another history", "organisation", e.Org, "size", e.Size, "root", e.Statements[0].Root.String())
	select {
	case n.lies <- e:
	default: // there is enough to do with what was found already
	}
}

// accuse proves what members equivocated to whoever has the genesis document alone.
func (n *Node) accuse(ctx context.Context) {
	for {
		var e *cosign.Equivocation
		select {
		case <-ctx.Done():
			return
		case e = <-n.lies:
		}
		if err := n.prove(ctx, e); err != nil && ctx.Err() == nil {
			n.log.Error("proving that a member cosigned another history", "organisation", e.Org, "size", e.Size, "error", err)
		}
	}
}

func (n *Node) prove(ctx context.Context, e *cosign.Equivocation) error {
	wait, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := n.receipts().Accuse(wait, e); err != nil {
		return err
	}
	b, err := e.Encode()
	if err != nil {
		return err
	}
	_, err = n.raiseAlarm(b)
	return err
}

// forkFound raises the alarm with the proof of a fork.
func (n *Node) forkFound(e *cosign.Evidence) {
	b, err := e.Encode()
	if err == nil {
		_, err = n.raiseAlarm(b)
	}
	if err != nil {
		n.log.Error("keeping the proof of a fork", "error", err)
	}
}

// raiseAlarm verifies evidence, keeps it and, where it is new, tells every member.
func (n *Node) raiseAlarm(evidence []byte) (*cosign.Proved, error) {
	p, fresh, err := n.evidence.Keep(evidence)
	if err != nil || !fresh {
		return p, err
	}
	n.log.Error("ALARM: organisations cosigned two histories", "kind", p.Kind, "accused", p.Accused, "size", p.Size, "evidence", n.evidence.Path(p))
	for _, peer := range n.directory.members() {
		if peer == n.host.ID() {
			continue
		}
		n.tasks.begin(func(ctx context.Context) { n.tellOf(ctx, peer, evidence) })
	}
	return p, nil
}

func (n *Node) tellOf(ctx context.Context, peer p2p.PeerID, evidence []byte) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if _, err := n.host.Call(ctx, peer, cosign.AlarmProtocol, evidence, 16); err != nil {
		n.log.Warn("telling a member of evidence", "peer", string(peer), "error", err)
	}
}

// serveAlarm answers cosign.AlarmProtocol. Whoever is enrolled may call: only what
// proves itself is kept and passed on.
func (n *Node) serveAlarm(_ context.Context, _ p2p.PeerID, _ string, req []byte) ([]byte, error) {
	p, err := n.raiseAlarm(req)
	if p == nil {
		return nil, err
	}
	if err != nil { // it holds, and could not be kept
		n.log.Error("keeping evidence", "error", err)
	}
	if p.Other != nil {
		n.heed(p.Other)
	}
	return nil, nil
}

// hear compares what a member cosigned afterwards with the log.
func (n *Node) hear(org *spec.Organisation, w *witnessed) {
	s := cosign.Said{Org: org.ID, Key: org.CosignKey, Size: w.Size, Statement: cosign.Statement{Root: w.Root, Time: w.Time}}
	copy(s.Sig[:], w.Sig)
	n.watch.Hear(s)
}
