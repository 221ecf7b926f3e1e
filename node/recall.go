// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"time"

	"github.com/tocsin-db/tocsin/node/cosign"
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

// serveRecall answers cosign.RecallProtocol. Members may call, each for itself.
func (n *Node) serveRecall(_ context.Context, from p2p.PeerID, _ string, _ []byte) ([]byte, error) {
	org, _ := n.directory.organisation(from)
	return n.cosigner.Recall(org.ID, n.watch.Newest(org.ID)...)
}

// askWhatItCosigned asks a member what it saw this node cosign last. That the mark does
// not know of it ends cosigning for good.
func (n *Node) askWhatItCosigned(ctx context.Context, peer p2p.PeerID) error {
	b, err := n.host.Call(ctx, peer, cosign.RecallProtocol, nil, cosign.MaxRecall)
	if err != nil {
		return err
	}
	err = cosign.Recalled(n.genesis.Genesis.Origin(), n.id.Organisation.ID, n.cosigned, b)
	if spec.CodeOf(err) == spec.CodeForked {
		n.doubt.CompareAndSwap(nil, &err)
		return nil
	}
	return err
}

// doubted says that this node's mark was put back, or nil.
func (n *Node) doubted() error {
	if err := n.doubt.Load(); err != nil {
		return *err
	}
	return nil
}

// recallWait is how long a member that witnesses waits at its start for what the others
// saw of it; whoever answers later is heard then.
const recallWait = 2 * time.Second

// recallAll asks every member until each has answered once; the channel is closed then.
func (n *Node) recallAll() <-chan struct{} {
	asked, all := map[p2p.PeerID]bool{}, make(chan struct{})
	n.background(func(ctx context.Context) {
		for !n.askMembers(ctx, asked, n.askWhatItCosigned) {
			select {
			case <-ctx.Done():
				return
			case <-n.after(time.Second):
			}
		}
		close(all)
	})
	return all
}
