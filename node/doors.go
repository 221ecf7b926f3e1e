// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"path/filepath"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/media"
)

// openDoors begins to answer the organisation's own programs.
func (n *Node) openDoors(context.Context) error {
	n.hasher = media.New(media.Config{MaxBytes: n.cfg.MaxFileBytes, Log: n.log})
	n.onStop(func(context.Context) error { return n.hasher.Close() })
	server, err := api.Open(api.Config{
		Backend: n, Proofs: n, Socket: filepath.Join(n.cfg.Dir, api.SocketName), TCP: n.cfg.HTTP,
		MaxFileBytes: n.cfg.MaxFileBytes, Logger: n.log, Fatal: n.fail,
	})
	if err != nil {
		return err
	}
	n.onStop(server.Close)
	return nil
}
