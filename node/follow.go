// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"hash/fnv"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/cosign"
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/p2p/federation"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// follow keeps the log of a node that does not sequence up to date, from members
// and from others that follow.
func (n *Node) follow(context.Context) error {
	if n.sequencer {
		n.background(n.declare)
		return nil
	}
	asking, enough := context.WithCancel(context.Background())
	panel := readerPanel{n, asking}
	n.replica.panels = panel.known
	marks, err := federation.OpenMarkFile(filepath.Join(n.cfg.Dir, "mark", "accepted"))
	if err != nil {
		enough()
		return err
	}
	n.onStop(func(context.Context) error { return marks.Close() })
	n.reader = federation.NewReader(federation.ReaderConfig{
		Dialer: n.host, Panel: panel, Replica: n.replica, Marks: marks,
		Bootstrap: n.bootstrapper(), Full: n.cfg.VerifyFull, Addresses: n.serving(),
		OnFinal: n.shown, OnFork: n.forked, Refer: n.referred,
		Now: n.cfg.Now, Logger: n.log,
	})
	n.following.Store(n.reader)
	n.tellWhomToFollow(n.reader)
	n.background(n.followPart)
	n.recall(marks.Mark().Shown)
	n.background(func(ctx context.Context) {
		context.AfterFunc(ctx, enough) // it waits for what is asked
		if err := n.reader.Run(ctx); ctx.Err() == nil {
			n.fail(err)
		}
	})
	return nil
}

// pinUpstreams makes those known that this node is to follow.
func (n *Node) pinUpstreams() error {
	addrs := map[p2p.PeerID][]string{}
	for _, s := range n.cfg.Upstreams {
		id, addr, err := p2p.SplitAddr(s)
		if err != nil {
			return spec.Errorf(spec.CodeConfig, "an upstream: %w", err)
		}
		if addrs[id] == nil {
			n.pinned = append(n.pinned, id)
		}
		addrs[id] = append(addrs[id], addr)
	}
	n.directory.pin(n.pinned)
	for id, list := range addrs {
		if err := n.host.AddPeer(id, list); err != nil {
			return err
		}
	}
	return nil
}

// tellWhomToFollow tells a reader whom to follow. The members, who keep all leaves, are its
// reserve where it follows others by configuration.
func (n *Node) tellWhomToFollow(r *federation.Reader) {
	r.SetUpstreams(n.upstreams())
	if len(n.pinned) > 0 {
		r.SetReserve(n.otherMembers())
	}
}

// otherMembers lists the members' nodes without this one.
func (n *Node) otherMembers() []p2p.PeerID {
	return slices.DeleteFunc(n.directory.members(), func(id p2p.PeerID) bool { return id == n.host.ID() })
}

// upstreams lists who is followed by configuration, else the members, each node
// beginning with another.
func (n *Node) upstreams() []p2p.PeerID {
	if len(n.pinned) > 0 {
		return n.pinned
	}
	ids := n.otherMembers()
	if len(ids) == 0 {
		return ids
	}
	h := fnv.New32a()
	h.Write([]byte(n.host.ID()))
	at := int(h.Sum32() % uint32(len(ids)))
	return append(slices.Clone(ids[at:]), ids[:at]...)
}

// serving lists the addresses at which others may follow this node: those of its
// organisation's card, if it listens at all.
func (n *Node) serving() []string {
	if len(n.cfg.Listen) == 0 {
		return nil
	}
	addrs := n.id.Addresses
	return addrs[:min(len(addrs), 8)]
}

// shown takes the newest final checkpoint whose log this node shows: from then on
// it is served to others. Its note is read again where a panel took over since it was
// read: that one may have cosignatures in it that were nobody's before.
func (n *Node) shown(f federation.Final) {
	s, err := f.Signed, error(nil)
	if n.chain.Number() != f.Under {
		s, err = n.chain.OpenFinal(f.Note)
	}
	if err == nil {
		err = n.final.Advance(s)
	}
	if err != nil {
		n.log.Error("keeping the newest final checkpoint", "error", err)
	}
}

// forked hands the proof of two histories on.
func (n *Node) forked(f federation.Fork) {
	e := &cosign.Evidence{Conflict: f.Other, Final: f.Final, Root: f.Root, Proof: f.Proof}
	n.tasks.begin(func(context.Context) { n.forkFound(e) }) // it writes, and the reader waits
}

// heed halts a reader on evidence whose two histories are both final. The evidence
// was verified.
func (n *Node) heed(e *cosign.Evidence) {
	if n.reader == nil {
		return
	}
	if _, err := n.chain.OpenFinal(e.Conflict); err != nil {
		return // some lied, not enough to make it final
	}
	if err := n.reader.Halt(federation.Fork{Other: e.Conflict, Final: e.Final, Root: e.Root, Proof: e.Proof}); err != nil {
		n.fail(err)
	}
}

// referred decides whether to follow a peer that an upstream named: one that is
// enrolled, at addresses of the kind at which the upstream itself was reached.
func (n *Node) referred(from p2p.PeerID, r federation.Referral) bool {
	if _, enrolled := n.directory.organisation(r.Peer); !enrolled || r.Peer == n.host.ID() {
		return false
	}
	if role, _ := n.directory.Role(r.Peer); role == roleDigest && !n.keyed {
		return false // it has no values
	}
	err := n.host.AddReferred(from, r.Peer, r.Addresses)
	if err != nil && !errors.Is(err, p2p.ErrNoAddress) {
		n.log.Info("a referral was not taken", "from", string(from), "peer", string(r.Peer), "error", err)
	}
	return err == nil
}

// Sync is how a node that follows stands, nil on one that sequences.
func (n *Node) Sync() *federation.Status {
	if n.reader == nil {
		return nil
	}
	st := n.reader.Status()
	return &st
}

// serves tells what this node gives to those that follow it.
func (n *Node) serves() (s api.Serving) {
	s.Subscribers, s.Followers = n.followers.Subscribers()
	s.MaxSubscribers, s.MaxFollowers = n.followers.Limits()
	s.BulkRate = int64(n.bulk.Limit())
	s.Chunks, s.BulkBytes = n.snapshots.Served()
	s.Denied = n.host.Denied() + n.snapshots.Denied()
	return s
}

// syncStatus tells of it in the words of the API.
func (n *Node) syncStatus() *api.Sync {
	st := n.Sync()
	if st == nil {
		return nil
	}
	out := &api.Sync{State: string(st.State), Known: st.Known, Behind: st.Behind(), Done: st.Done, Of: st.Of, LastError: st.LastError, FailedAt: st.FailedAt}
	for _, r := range st.Refusals {
		org, _ := n.directory.organisation(r.Peer)
		out.Refusals = append(out.Refusals, api.Refusal{Organisation: org.ID, Peer: string(r.Peer), Code: r.Code, Message: r.Message, Since: r.Since})
	}
	out.Followers, _ = n.followers.Subscribers()
	for _, u := range st.Upstreams {
		org, _ := n.directory.organisation(u.Peer)
		out.Upstreams = append(out.Upstreams, api.Upstream{Organisation: org.ID, Pushes: u.Eager, Size: u.Size})
	}
	return out
}

// isHalted reports whether two histories are final.
func (n *Node) isHalted() bool {
	st := n.Sync()
	return st != nil && st.State == federation.Halt
}

// halted says that two histories are final and who cosigned both, or nil.
func (n *Node) halted() error {
	if n.isHalted() {
		return spec.Errorf(spec.CodeForked, "two histories are final: this node takes nothing any more, and answers from what it had; %s cosigned both, the proof is in the folder evidence of the data directory: show it to the members", strings.Join(n.accused(), ", "))
	}
	return nil
}

// accused lists who cosigned both of the histories for which this node halted.
func (n *Node) accused() (both []string) {
	f := n.reader.Fork()
	if f == nil {
		return nil
	}
	one, err := n.chain.Open(f.Other)
	two, ferr := n.chain.Open(f.Final)
	if err != nil || ferr != nil {
		return nil
	}
	for _, c := range one.Cosignatures {
		if slices.ContainsFunc(two.Cosignatures, func(o tlog.Cosignature) bool { return o.Org == c.Org }) {
			both = append(both, c.Org)
		}
	}
	return both
}
