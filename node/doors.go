// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"

	"github.com/tocsin-db/tocsin/node/media"
)

func (n *Node) openDoors(context.Context) error {
	n.hasher = media.New(media.Config{MaxBytes: n.cfg.MaxFileBytes, Log: n.log})
	n.onStop(func(context.Context) error { return n.hasher.Close() })
	return nil
}
