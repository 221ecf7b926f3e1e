// SPDX-License-Identifier: Apache-2.0

package node

import (
	"crypto/ed25519"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

// roleInvitee is the role of a peer that holds an invitation: it may ask to be
// enrolled and nothing else.
const roleInvitee = "invitee"

// roleUpstream is the role of a peer that this node follows by configuration, while
// the state does not know it yet: it may be connected to, and ask for nothing.
const roleUpstream = "upstream"

// roleDigest is the role of a reader of the digest tier: what names readers does not
// name it.
const roleDigest = "reader of the digest tier"

// A directory knows who may connect: the enrolled organisations, from the
// replicated state, and the holders of open invitations.
type directory struct {
	now     func() time.Time
	mu      sync.RWMutex
	orgs    map[p2p.PeerID]spec.Organisation
	byID    map[string]p2p.PeerID
	keyed   map[p2p.PeerID]bool // those of the digest tier
	invited map[p2p.PeerID]invited
	pinned  map[p2p.PeerID]bool // followed by configuration
	former  map[p2p.PeerID]bool // enrolled once, or with another key
}

// invited is what a member grants to the holder of an invitation.
type invited struct {
	until time.Time
	role  string // that may be asked for
	tier  string // in which
}

func newDirectory(now func() time.Time) *directory {
	return &directory{now: now, orgs: map[p2p.PeerID]spec.Organisation{}, byID: map[string]p2p.PeerID{}, invited: map[p2p.PeerID]invited{}}
}

// Role implements p2p.Directory.
func (d *directory) Role(id p2p.PeerID) (string, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.keyed[id] {
		return roleDigest, true
	}
	if o, ok := d.orgs[id]; ok {
		return o.Role, true
	}
	if i, ok := d.invited[id]; ok && d.now().Before(i.until) {
		return roleInvitee, true
	}
	if d.pinned[id] {
		return roleUpstream, true
	}
	if d.former[id] {
		return p2p.RoleFormer, true
	}
	return "", false
}

// pin lets this node connect to peers that it follows by configuration.
func (d *directory) pin(ids []p2p.PeerID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pinned = map[p2p.PeerID]bool{}
	for _, id := range ids {
		d.pinned[id] = true
	}
}

// organisation returns who runs the node of this peer.
func (d *directory) organisation(id p2p.PeerID) (spec.Organisation, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	o, ok := d.orgs[id]
	return o, ok
}

// peer returns the peer id of an organisation's node.
func (d *directory) peer(org string) (p2p.PeerID, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	id, ok := d.byID[org]
	return id, ok
}

// members returns the peers of all members, sorted.
func (d *directory) members() []p2p.PeerID {
	d.mu.RLock()
	defer d.mu.RUnlock()
	var ids []p2p.PeerID
	for id, o := range d.orgs {
		if o.Role == spec.RoleMember {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// A recordReader has records of the rules.
type recordReader interface {
	Records(prefix []byte, fn func(key, value []byte) bool) error
}

// load replaces the enrolled organisations by those of the state and reports
// whether anything changed.
func (d *directory) load(st recordReader) (bool, error) {
	orgs, byID, keyed := map[p2p.PeerID]spec.Organisation{}, map[string]p2p.PeerID{}, map[p2p.PeerID]bool{}
	err := eachOrganisation(st, spec.OrgPrefix, new(spec.OrgRecord), func(id p2p.PeerID, r *spec.OrgRecord) {
		orgs[id], byID[r.Organisation.ID] = r.Organisation, id
		if r.Tier != spec.TierFull {
			keyed[id] = true
		}
	}, func(r *spec.OrgRecord) *spec.OrgRecord { return r })
	if err != nil {
		return false, err
	}
	former := map[p2p.PeerID]bool{}
	err = eachOrganisation(st, spec.FormerPrefix, new(spec.FormerRecord), func(id p2p.PeerID, _ *spec.OrgRecord) { former[id] = true },
		func(r *spec.FormerRecord) *spec.OrgRecord { return &r.Enrolled })
	if err != nil {
		return false, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	changed := len(orgs) != len(d.orgs)
	for id, o := range orgs {
		changed = changed || d.orgs[id] != o || d.keyed[id] != keyed[id]
	}
	d.former = d.left(orgs, former)
	d.orgs, d.byID, d.keyed = orgs, byID, keyed
	return changed, nil
}

// left adds to those who are enrolled no more the transport keys that others had since
// this node started. A member's is not among them: its node looks for itself whether it
// is let in by another key, and must not be held up meanwhile.
func (d *directory) left(orgs map[p2p.PeerID]spec.Organisation, former map[p2p.PeerID]bool) map[p2p.PeerID]bool {
	for id := range d.former {
		former[id] = true
	}
	for id, o := range d.orgs {
		if o.Role != spec.RoleMember {
			former[id] = true
		}
	}
	for id := range orgs {
		delete(former, id)
	}
	return former
}

// eachOrganisation calls fn with the organisation of each record below prefix, and with
// its peer.
func eachOrganisation[R any](st recordReader, prefix []byte, r *R, fn func(p2p.PeerID, *spec.OrgRecord), of func(*R) *spec.OrgRecord) error {
	var bad error
	err := st.Records(prefix, func(_, value []byte) bool {
		*r = *new(R)
		if bad = spec.Decode(value, r); bad != nil {
			return false
		}
		who := of(r)
		id, err := p2p.IDFromPublicKey(ed25519.PublicKey(who.Organisation.Libp2pKey[:]))
		if err != nil {
			bad = err
			return false
		}
		fn(id, who)
		return true
	})
	return firstOf(err, bad)
}

// found has the organisations of the founding document enrolled.
func (d *directory) found(g *spec.Genesis) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, o := range g.Organisations {
		id, err := p2p.IDFromPublicKey(ed25519.PublicKey(o.Libp2pKey[:]))
		if err != nil {
			return err
		}
		d.orgs[id], d.byID[o.ID] = o, id
	}
	return nil
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// invite admits the holder of an invitation until it ends.
func (d *directory) invite(id p2p.PeerID, i invited) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for old, o := range d.invited {
		if !d.now().Before(o.until) {
			delete(d.invited, old)
		}
	}
	d.invited[id] = i
}

// invitation returns what the holder of an invitation may ask for.
func (d *directory) invitation(id p2p.PeerID) (invited, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	i, ok := d.invited[id]
	return i, ok && d.now().Before(i.until)
}
