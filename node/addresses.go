// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

// protocolAddresses has nodes tell each other where sequencers are reached: the
// founding document names founders alone.
const protocolAddresses = "/tocsin/addresses/1"

// Bounds of what is told and kept.
const (
	maxToldOrgs  = 2 * spec.MaxSequencers // those of two panels, while one hands over to the next
	maxTold      = 8                      // addresses of one organisation in one message
	maxToldBytes = 128                    // of one address
	maxKept      = 16                     // addresses of one organisation over restarts
)

// addressesFile keeps what was learnt over restarts.
const addressesFile = "addresses.json"

// An addressBook holds where sequencers that are no founders are reached, by
// organisation and by who said it. What an organisation says of itself is passed on;
// what others say of it is only dialled: a lie costs a dial, for whoever answers
// proves its key, and takes no place from what others say.
type addressBook struct {
	path  string
	mu    sync.Mutex
	heard map[string]map[string][]string // the newest that each said; under "" what was kept
}

// openAddresses reads what was learnt before. What cannot be read is learnt again.
func openAddresses(dir string) *addressBook {
	b := &addressBook{path: filepath.Join(dir, addressesFile), heard: map[string]map[string][]string{}}
	var kept map[string][]string
	data, err := os.ReadFile(b.path)
	if err != nil || json.Unmarshal(data, &kept) != nil {
		return b
	}
	for org, addrs := range kept {
		b.heard[org] = map[string][]string{"": p2p.Parseable(addrs[:min(len(addrs), maxKept)])}
	}
	return b
}

// of returns where an organisation is reached: what it says itself first, then of what
// each of the others says the first, the second and so on.
func (b *addressBook) of(org string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all(org)
}

func (b *addressBook) all(org string) []string {
	out := slices.Clone(b.heard[org][org])
	by := slices.Sorted(maps.Keys(b.heard[org]))
	for i := range maxKept {
		for _, who := range by {
			if list := b.heard[org][who]; i < len(list) && !slices.Contains(out, list[i]) {
				out = append(out, list[i])
			}
		}
	}
	return out
}

// said notes what one organisation says of another's addresses, or of its own, in the
// place of what it said before, and reports whether any is new.
func (b *addressBook) said(by, org string, addrs []string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(addrs) == 0 || slices.Equal(b.heard[org][by], addrs) {
		return false
	}
	known := b.all(org)
	if b.heard[org] == nil {
		b.heard[org] = map[string][]string{}
	}
	b.heard[org][by] = addrs
	return slices.ContainsFunc(addrs, func(a string) bool { return !slices.Contains(known, a) })
}

// told lists what organisations said of themselves.
func (b *addressBook) told(orgs []string) (out []orgAddresses) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, org := range orgs {
		if addrs := b.heard[org][org]; len(addrs) > 0 && len(out) < maxToldOrgs {
			out = append(out, orgAddresses{Org: org, Addresses: addrs})
		}
	}
	return out
}

// save keeps what is known of these organisations and forgets all others, and what
// others said.
func (b *addressBook) save(orgs []string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	gone := func(org string) bool { return !slices.Contains(orgs, org) }
	maps.DeleteFunc(b.heard, func(org string, _ map[string][]string) bool { return gone(org) })
	all := map[string][]string{}
	for org, heard := range b.heard {
		maps.DeleteFunc(heard, func(by string, _ []string) bool { return by != "" && gone(by) })
		if addrs := b.all(org); len(addrs) > 0 {
			all[org] = addrs[:min(len(addrs), maxKept)]
		}
	}
	data, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	tmp := b.path + ".new" // it may be lost: peers tell again
	if err := errors.Join(os.WriteFile(tmp, data, 0o600), os.Rename(tmp, b.path)); err != nil {
		return fmt.Errorf("keeping addresses: %w", err)
	}
	return nil
}

// parseAddresses reads what one node tells another: addresses of its own.
func parseAddresses(data []byte) ([]string, error) {
	var addrs []string
	if err := spec.Decode(data, &addrs); err != nil {
		return nil, err
	}
	return addrs, checkTold(addrs)
}

// parseToldAddresses reads the answer: addresses of sequencers.
func parseToldAddresses(data []byte) ([]orgAddresses, error) {
	var list []orgAddresses
	if err := spec.Decode(data, &list); err != nil {
		return nil, err
	}
	if len(list) > maxToldOrgs {
		return nil, spec.Errorf(spec.CodeTooLarge, "at most %d organisations are named at once", maxToldOrgs)
	}
	for _, o := range list {
		if err := checkTold(o.Addresses); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func checkTold(addrs []string) error {
	if len(addrs) > maxTold {
		return spec.Errorf(spec.CodeTooLarge, "an organisation has at most %d addresses", maxTold)
	}
	for _, a := range addrs {
		if len(a) > maxToldBytes {
			return spec.Errorf(spec.CodeTooLarge, "an address has at most %d bytes", maxToldBytes)
		}
	}
	return nil
}

// serveAddresses answers protocolAddresses. Whoever is enrolled may ask; what the
// caller says of itself is taken of sequencers only.
func (n *Node) serveAddresses(_ context.Context, from p2p.PeerID, _ string, req []byte) ([]byte, error) {
	addrs, err := parseAddresses(req)
	if err != nil {
		return nil, err
	}
	if o, _ := n.directory.organisation(from); n.maySequence(from) && n.known.said(o.ID, o.ID, n.host.Usable(from, from, addrs)) {
		n.addressesChanged()
	}
	return spec.Encode(n.known.told(n.sequencersNow()))
}

// sequencersNow lists the organisations that take part in consensus.
func (n *Node) sequencersNow() []string {
	if ids := n.part.Load(); ids != nil {
		return *ids
	}
	return nil
}

// addressesChanged dials what is new.
func (n *Node) addressesChanged() {
	if err := errors.Join(n.known.save(n.sequencersNow()), n.keepConnected()); err != nil {
		n.log.Warn("taking addresses of sequencers", "error", err)
	}
}

// Pauses between questions for addresses: while a sequencer is not connected, and
// otherwise.
const (
	askSoon  = time.Second
	askLater = time.Minute
)

func (n *Node) openExchange(context.Context) error {
	n.background(n.exchangeAddresses)
	return nil
}

// exchangeAddresses asks the members that are connected where sequencers are
// reached, and tells them where this node is.
func (n *Node) exchangeAddresses(ctx context.Context) {
	var last time.Time
	for ctx.Err() == nil {
		if n.lonely() || n.cfg.Now().Sub(last) >= askLater {
			last = n.cfg.Now()
			for _, id := range n.directory.members() {
				if n.host.Connected(id) && ctx.Err() == nil {
					n.askAddresses(ctx, id)
				}
			}
		}
		select {
		case <-ctx.Done():
		case <-n.after(askSoon):
		}
	}
}

// lonely reports whether this sequencer lacks the connection to another.
func (n *Node) lonely() bool {
	return n.sequencer && slices.ContainsFunc(n.sequencerPeers(), func(id p2p.PeerID) bool {
		return id != n.host.ID() && !n.host.Connected(id)
	})
}

func (n *Node) askAddresses(ctx context.Context, id p2p.PeerID) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := spec.Encode(n.serving())
	if err != nil {
		return
	}
	resp, err := n.host.Call(ctx, id, protocolAddresses, req, 32<<10)
	if err != nil {
		n.log.Debug("asking for addresses", "peer", string(id), "error", err)
		return
	}
	list, err := parseToldAddresses(resp)
	if err != nil {
		n.log.Info("a member's addresses are not taken", "peer", string(id), "code", spec.CodeOf(err))
		return
	}
	if n.learnAddresses(id, list) {
		n.addressesChanged()
	}
}

// learnAddresses takes what a sequencer says of others.
func (n *Node) learnAddresses(from p2p.PeerID, list []orgAddresses) (changed bool) {
	if !n.maySequence(from) {
		return false
	}
	by, _ := n.directory.organisation(from)
	for _, o := range list {
		peer, ok := n.directory.peer(o.Org)
		if !ok || peer == n.host.ID() || !n.maySequence(peer) {
			continue
		}
		changed = n.known.said(by.ID, o.Org, n.host.Usable(from, peer, o.Addresses)) || changed
	}
	return changed
}
