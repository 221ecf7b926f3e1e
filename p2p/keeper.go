// SPDX-License-Identifier: Apache-2.0

package p2p

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Pauses between attempts to connect to a kept peer.
const (
	keepMin     = 200 * time.Millisecond
	keepMax     = 5 * time.Second
	dialTimeout = 10 * time.Second
)

// keeper holds one goroutine per peer that must stay connected.
type keeper struct {
	host *Host

	mu   sync.Mutex
	kept map[peer.ID]*keptPeer
}

type keptPeer struct {
	stop context.CancelFunc
	wake chan struct{} // one token: look again
}

// Keep makes ids the peers to which one connection is kept alive, in place of
// those named before. Addresses come from AddPeer; a peer without any is waited
// for, since it may dial us. Connections to other peers are left alone.
func (h *Host) Keep(ids []PeerID) error {
	want := make(map[peer.ID]bool, len(ids))
	for _, id := range ids {
		p, err := id.decode()
		if err != nil {
			return err
		}
		if p != h.h.ID() {
			want[p] = true
		}
	}
	h.gate.keep(want)
	h.keeper.set(want)
	return nil
}

func (k *keeper) set(want map[peer.ID]bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.kept == nil {
		k.kept = map[peer.ID]*keptPeer{}
	}
	for p, kp := range k.kept {
		if !want[p] {
			kp.stop()
			delete(k.kept, p)
		}
	}
	for p := range want {
		if k.kept[p] == nil && k.host.ctx.Err() == nil {
			k.kept[p] = k.start(p)
		}
	}
}

func (k *keeper) start(p peer.ID) *keptPeer {
	ctx, stop := context.WithCancel(k.host.ctx)
	kp := &keptPeer{stop: stop, wake: make(chan struct{}, 1)}
	k.host.done.Add(1)
	go func() {
		defer k.host.done.Done()
		k.run(ctx, p, kp.wake)
	}()
	return kp
}

func (k *keeper) wake(p peer.ID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if kp := k.kept[p]; kp != nil {
		select {
		case kp.wake <- struct{}{}:
		default:
		}
	}
}

// run dials whenever there is no connection. A connection that ends sooner than
// keepMax counts as a failed attempt, so that two peers which disagree about
// each other's enrolment do not dial in a tight loop.
func (k *keeper) run(ctx context.Context, p peer.ID, wake <-chan struct{}) {
	pause := keepMin
	for ctx.Err() == nil {
		began := time.Now()
		if !k.host.connected(p) {
			k.dial(ctx, p)
		}
		for ctx.Err() == nil && k.host.connected(p) {
			wait(ctx, wake, keepMax)
		}
		if time.Since(began) > keepMax {
			pause = keepMin
		}
		wait(ctx, nil, pause/2+rand.N(pause/2))
		pause = min(2*pause, keepMax)
	}
}

func (k *keeper) dial(ctx context.Context, p peer.ID) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	k.host.clearBackoff(p)
	if _, err := k.host.h.Network().DialPeer(ctx, p); err != nil {
		k.host.logger.Debug("kept peer not reached", "peer", p.String(), "error", err)
	}
}

// wait returns when ctx ends, a token arrives or d has passed.
func wait(ctx context.Context, token <-chan struct{}, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-token:
	case <-t.C:
	}
}
