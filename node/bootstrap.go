// SPDX-License-Identifier: Apache-2.0

package node

import (
	"github.com/tocsin-db/tocsin/node/bootstrap"
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/p2p/federation"
	"github.com/tocsin-db/tocsin/p2p/federation/state"
	"github.com/tocsin-db/tocsin/spec"
)

// serveState lets enrolled peers fetch the state at snapshot sizes, values by role,
// and the openings that go with them.
func (n *Node) serveState() {
	holders := []string{spec.RoleMember, spec.RoleReader}
	keyed := append(holders, roleDigest)
	source := bootstrap.Source{Store: n.store, Final: func() uint64 { return n.final.Newest().Size }, Logger: n.log}
	n.snapshots = state.Serve(n.host, source, state.ServeOptions{
		Roles: append(keyed, spec.RoleReferrer, spec.RoleAuditor), ChunkRoles: holders, KeyRoles: keyed,
		Role: n.directory.Role, Bulk: n.bulk, Logger: n.log,
	})
	n.host.Handle(protocolOpen, p2p.Policy{Roles: holders, MaxRequest: 4 << 10}, n.serveOpen)
	n.host.Handle(protocolKeys, p2p.Policy{Roles: keyed, MaxRequest: 4 << 10}, n.serveKeys)
}

// bootstrapper fetches snapshots for a node that may hold values; nil for others.
func (n *Node) bootstrapper() federation.Bootstrapper {
	if role := n.id.Organisation.Role; role != spec.RoleMember && role != spec.RoleReader {
		return nil
	}
	n.store.SetOpener(n.fetchOpening)
	return state.NewBootstrapper(bootstrap.Sink{Store: n.store, Changed: n.refresh}, state.Options{Every: n.cfg.SnapshotEvery, Keyed: n.keyed, Logger: n.log})
}
