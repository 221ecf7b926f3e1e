// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"

	"github.com/tocsin-db/tocsin/node/cosign"
	"github.com/tocsin-db/tocsin/node/receipt"
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// openFinal opens the newest final checkpoint that this node has seen.
func (n *Node) openFinal(context.Context) (err error) {
	if n.final, err = cosign.OpenKeeper(filepath.Join(n.cfg.Dir, "final", "checkpoint"), n.chain); err != nil {
		return err
	}
	n.onStop(func(context.Context) error { return n.final.Close() })
	if n.id.Organisation.Role == spec.RoleMember && !n.mending {
		if n.cosigned, n.mayNotCosign = n.openCosignStores(); n.mayNotCosign == nil {
			n.onStop(func(context.Context) error { return closeStores(n.cosigned) })
		}
	}
	n.replica.final = n.final
	return n.replica.continues()
}

// openCosignStores opens the store of cosigned checkpoints of each cosign key that
// this node holds. That of the key in force, if it is missing or damaged, keeps this
// member from cosigning, not from running. That of a key is made with the key, or, for
// the first, when the node never ran before.
func (n *Node) openCosignStores() (keys []cosign.Key, refused error) {
	_, err := os.Stat(filepath.Join(n.cfg.Dir, "raft"))
	first := errors.Is(err, fs.ErrNotExist) && n.store.Size() == 0
	for _, private := range n.id.Held(spec.UseCosign) {
		key := spec.PublicKey(private.Public().(ed25519.PublicKey))
		store, err := cosign.OpenStore(cosign.StorePath(n.cfg.Dir, key), key, first)
		if err != nil && key != n.cosignKey() {
			n.log.Warn("a cosign key that is not in force is not used", "key", key.ID().String(), "error", err)
			continue
		}
		if err != nil {
			return nil, errors.Join(err, closeStores(keys))
		}
		keys = append(keys, cosign.Key{Private: private, Store: store})
	}
	return keys, nil
}

// cosignKey is the one in force by the state; that on the card while the state does
// not know this organisation.
func (n *Node) cosignKey() spec.PublicKey {
	var who spec.OrgRecord
	if err := readRecord(n.store, spec.OrgKey(n.id.Organisation.ID), &who); err != nil || who.Organisation.ID == "" {
		return n.id.Organisation.CosignKey
	}
	return who.Organisation.CosignKey
}

func closeStores(keys []cosign.Key) error {
	var errs []error
	for _, k := range keys {
		errs = append(errs, k.Store.Close())
	}
	return errors.Join(errs...)
}

// openCosigner starts taking part in making the log final.
func (n *Node) openCosigner(context.Context) error {
	if n.consensus == nil {
		return nil
	}
	n.handOffs = newAsker()
	n.onStop(n.handOffs.stop)
	n.cosigner = cosign.New(cosign.Config{
		Chain: n.chain, Org: n.id.Organisation.ID, Keys: n.cosigned, Log: n.store, Refused: n.mayNotCosign,
		Final: n.final, Now: n.cfg.Now, Logger: n.log, Leader: n.leader, Send: n.sendCosign, Alarm: n.forkFound, Twice: n.lied,
		Learn: n.learnPanels, HandOff: n.handedOver, Recovery: n.recoveryProof, Behind: n.behind, Asked: n.asked.Load, Doubt: n.doubted, Wanted: n.timeWanted, Covered: n.replica.imported.Load,
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := n.cosigner.Run(ctx); ctx.Err() == nil {
			n.fail(err)
		}
	}()
	n.onStop(func(context.Context) error {
		cancel()
		<-ended
		return nil
	})
	return nil
}

func (n *Node) sendCosign(ctx context.Context, org string, req []byte) ([]byte, error) {
	peer, ok := n.directory.peer(org)
	if !ok {
		return nil, spec.Errorf(spec.CodeOrg, "%s is not enrolled", org)
	}
	return n.host.Call(ctx, peer, cosign.Protocol, req, tlog.MaxNote)
}

// serveCosign answers cosign.Protocol. Members may call; those that are no
// sequencers are refused inside.
func (n *Node) serveCosign(_ context.Context, from p2p.PeerID, _ string, req []byte) ([]byte, error) {
	org, _ := n.directory.organisation(from)
	return n.cosigner.Receive(org.ID, req)
}

// serveLog answers cosign.LogProtocol: the files of the final log. Whoever is
// enrolled may call; nothing in them opens a value.
func (n *Node) serveLog(_ context.Context, _ p2p.PeerID, _ string, req []byte) ([]byte, error) {
	return n.files().Get(string(req))
}

func (n *Node) files() *cosign.Files {
	return &cosign.Files{Log: n.store, Final: n.final, Chain: n.chain, Witnessed: n.book.Cosigned, Evidence: n.evidence}
}

// LogHandler serves the files of the final log over HTTP, for auditors: mount it
// at /log/ without that prefix.
func (n *Node) LogHandler() http.Handler { return n.files().Handler() }

// Final returns the newest final checkpoint that this node knows.
func (n *Node) Final() cosign.Final { return n.final.Newest() }

// MayCosign says why this member does not cosign, or nil.
func (n *Node) MayCosign() error {
	if n.cosigner == nil {
		return spec.Errorf(spec.CodeRole, "only a sequencer cosigns")
	}
	return n.cosigner.Refused()
}

// Receipt returns the receipt of an entry (spec/receipt.md) that opens one of its
// signals, or none when signal is nil. It waits until the state is final.
func (n *Node) Receipt(ctx context.Context, entry spec.Hash, signal *spec.Signal) ([]byte, error) {
	return n.receipts().Get(ctx, entry, signal)
}

// AbsenceReceipt returns the proof that no entry lists a signal by equality. It is
// for enrolled parties alone.
func (n *Node) AbsenceReceipt(ctx context.Context, s spec.Signal) ([]byte, error) {
	return n.receipts().Absent(ctx, s)
}

func (n *Node) receipts() *receipt.Maker {
	return &receipt.Maker{Genesis: n.genesis.Genesis, Chain: n.chain, Store: n.store, Final: n.final}
}
