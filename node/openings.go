// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"slices"
	"time"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/p2p/federation"
	"github.com/tocsin-db/tocsin/spec"
)

// protocolOpen answers with the openings of cases, as far as the asking role may see
// them.
const protocolOpen = "/tocsin/open/1"

// protocolKeys is protocolOpen with keys in the place of values.
const protocolKeys = "/tocsin/keys/1"

const maxOpened = 64 // cases in one request

// serveOpen answers protocolOpen: [case id…] with [[case, bytes]…], leaving out what
// is not held here or not for the role.
func (n *Node) serveOpen(_ context.Context, _ p2p.PeerID, role string, req []byte) ([]byte, error) {
	if n.keyed {
		return nil, errNoValues
	}
	return n.openings(role, req)
}

// serveKeys answers protocolKeys.
func (n *Node) serveKeys(_ context.Context, _ p2p.PeerID, _ string, req []byte) ([]byte, error) {
	return n.openings(roleDigest, req)
}

// errNoValues is what a node of the digest tier answers who may see values.
var errNoValues = spec.Errorf(spec.CodeTier, "this node has no values")

func (n *Node) openings(role string, req []byte) ([]byte, error) {
	var ids []spec.Hash
	if err := spec.Decode(req, &ids); err != nil {
		return nil, err
	}
	if len(ids) > maxOpened {
		return nil, spec.Errorf(spec.CodeTooLarge, "at most %d openings are answered at once", maxOpened)
	}
	out := []federation.Opening{}
	size := 0
	for _, id := range ids {
		o, err := n.replica.openingFor(role, id)
		if err != nil {
			return nil, err
		}
		if o == nil {
			continue
		}
		b, err := o.Encode()
		if err != nil {
			return nil, err
		}
		if size += len(b) + 64; size > p2p.MaxFrame-1024 {
			break // the rest is asked for again
		}
		out = append(out, federation.Opening{Case: id, Bytes: b})
	}
	return spec.Encode(out)
}

// openingFor returns the opening of a case as a role may see it: all of it for
// members; of an accepted addition, without the items that were left out, for
// readers, with keys in the place of values for those of the digest tier.
func (r *replica) openingFor(role string, id spec.Hash) (*spec.Opening, error) {
	o, err := r.store.Opening(id)
	if err != nil || o == nil || role == spec.RoleMember {
		return o, err
	}
	var c spec.Case
	if err := readRecord(r.store, spec.CaseKey(id), &c); err != nil || c.Outcome != spec.OutcomeAccepted || len(o.Signals) == 0 {
		return nil, err
	}
	leaves, err := r.store.Leaves(c.Decided, 1)
	if spec.CodeOf(err) == spec.CodeGone {
		if r.filtered {
			return forReaders(o, nil, role), nil // it came without items that were left out, and without text
		}
		return nil, nil // which items were left out is not known here
	}
	if err != nil || len(leaves) == 0 {
		return nil, err
	}
	leaf, err := spec.ParseLeaf(leaves[0])
	if err != nil || leaf.Decision == nil {
		return nil, err
	}
	return forReaders(o, leaf.Decision.Excluded, role), nil
}

// fetchOpening implements storage.Opener: it asks whom it follows, then the members, and believes what
// hashes to the root in the case's record.
func (n *Node) fetchOpening(id spec.Hash) (*spec.Opening, error) {
	content, err := n.store.Record(spec.ContentKey(id))
	if err != nil {
		return nil, err
	}
	var p spec.Proposal
	if content == nil || spec.Decode(content, &p) != nil {
		return nil, nil // not an addition
	}
	req, err := spec.Encode([]spec.Hash{id})
	if err != nil {
		return nil, err
	}
	all := append(slices.Clone(n.upstreams()), n.directory.members()...)
	for _, peer := range append(all, all...) { // each twice at least
		if peer == n.host.ID() {
			continue
		}
		o, err := n.askOpening(peer, req)
		if err != nil {
			n.log.Warn("asking for an opening", "peer", string(peer), "code", spec.CodeOf(err))
			continue
		}
		if o != nil && len(o.Signals) == p.Signals() && o.Root() == p.Root && n.ofTier(o) {
			return o, nil
		}
	}
	return nil, nil
}

func (n *Node) askOpening(peer p2p.PeerID, req []byte) (*spec.Opening, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	protocol := protocolOpen
	if n.keyed {
		protocol = protocolKeys
	}
	b, err := n.host.Call(ctx, peer, protocol, req, 2*spec.MaxOpening)
	if err != nil {
		return nil, err
	}
	var list []federation.Opening
	if err := spec.Decode(b, &list); err != nil || len(list) == 0 {
		return nil, err
	}
	return spec.ParseOpening(list[0].Bytes)
}

// ofTier reports whether an opening is one for this node.
func (n *Node) ofTier(o *spec.Opening) bool {
	tier, err := o.Tier()
	return err == nil && (tier == "" || (tier == spec.TierDigest) == n.keyed)
}
