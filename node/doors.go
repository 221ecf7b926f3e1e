// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"path/filepath"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/consortia"
	"github.com/tocsin-db/tocsin/node/media"
)

// openDoors lets the organisation's own programs ask how far the node is.
func (n *Node) openDoors(context.Context) (err error) {
	n.loading.begin(n.log)
	if n.cfg.inside != nil {
		return nil
	}
	n.server, err = api.Open(api.Config{
		Socket: filepath.Join(n.cfg.Dir, api.SocketName), TCP: n.cfg.HTTP, Opening: n.loading.checks,
		MaxFileBytes: n.cfg.MaxFileBytes, Logger: n.log, Fatal: n.fail,
	})
	if err != nil {
		return err
	}
	n.onStop(n.server.Close)
	places, err := consortia.Further(n.cfg.Dir)
	for _, p := range append(places, consortia.Place{Name: n.name}) {
		n.server.Mount(p.Name, nil, nil, n.loading.checks)
	}
	return err
}

// openHasher makes what hashes files, one for all consortia.
func (n *Node) openHasher(context.Context) error {
	if n.cfg.inside != nil {
		n.hasher = n.cfg.inside.hasher
		return nil
	}
	n.hasher = media.New(media.Config{MaxBytes: n.cfg.MaxFileBytes, Log: n.log})
	n.onStop(func(context.Context) error { return n.hasher.Close() })
	return nil
}

// answer begins to answer them everything. They are let go before anything else
// ends.
func (n *Node) answer(context.Context) error {
	if n.cfg.inside != nil {
		return nil
	}
	n.server.Serve(n, n)
	n.onStop(n.server.Close)
	return nil
}
