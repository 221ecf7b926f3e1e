// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"path/filepath"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/media"
)

// openDoors lets the organisation's own programs ask how far the node is.
func (n *Node) openDoors(context.Context) (err error) {
	n.loading.begin(n.log)
	n.server, err = api.Open(api.Config{
		Socket: filepath.Join(n.cfg.Dir, api.SocketName), TCP: n.cfg.HTTP, Opening: n.loading.checks,
		MaxFileBytes: n.cfg.MaxFileBytes, Logger: n.log, Fatal: n.fail,
	})
	if err != nil {
		return err
	}
	n.onStop(n.server.Close)
	return nil
}

// answer begins to answer them everything. They are let go before anything else
// ends.
func (n *Node) answer(context.Context) error {
	n.hasher = media.New(media.Config{MaxBytes: n.cfg.MaxFileBytes, Log: n.log})
	n.onStop(func(context.Context) error { return n.hasher.Close() })
	n.server.Serve(n, n)
	n.onStop(n.server.Close)
	return nil
}
