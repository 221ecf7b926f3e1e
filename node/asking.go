// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"sync"

	"github.com/tocsin-db/tocsin/p2p"
)

// An asker asks peers, each one thing at a time and all at once: whoever gives cause to
// be asked again and again costs one question, and one that does not answer holds no
// other up.
type asker struct {
	ctx    context.Context
	cancel context.CancelFunc
	mu     sync.Mutex
	asked  map[p2p.PeerID]bool
	wait   sync.WaitGroup
}

func newAsker() *asker {
	ctx, cancel := context.WithCancel(context.Background())
	return &asker{ctx: ctx, cancel: cancel, asked: map[p2p.PeerID]bool{}}
}

// ask runs fn for a peer, unless one runs for it already or the asker was stopped.
func (a *asker) ask(peer p2p.PeerID, fn func(context.Context)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ctx.Err() != nil || a.asked[peer] {
		return
	}
	a.asked[peer] = true
	a.wait.Go(func() {
		fn(a.ctx)
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.asked, peer)
	})
}

// stop ends what is asked and waits for it.
func (a *asker) stop(context.Context) error {
	a.mu.Lock()
	a.cancel()
	a.mu.Unlock()
	a.wait.Wait()
	return nil
}

// behind asks a sequencer how the panels took over that this node does not know.
func (n *Node) behind(org string) {
	peer, ok := n.directory.peer(org)
	if !ok {
		return
	}
	n.handOffs.ask(peer, func(ctx context.Context) {
		if err := n.askHandOffs(ctx, peer); err != nil {
			n.log.Debug("asking for hand-offs", "peer", string(peer), "error", err)
		}
	})
}
