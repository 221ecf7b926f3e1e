// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// leftBehind ends the part of a node whose log goes on from where the members went on
// with others: what it holds beyond is the consortium's no more. Caller holds mu.
func (c *Cosigner) leftBehind(size uint64) error {
	if c.refused != nil {
		return nil
	}
	for _, r := range c.cfg.Chain.Recoveries() {
		if size <= r.From {
			continue
		}
		same := size >= r.Size
		if same {
			root, err := tlog.Root(c.cfg.Log, r.Size)
			if err != nil {
				return err
			}
			same = root == r.Root
		}
		if !same {
			c.refuse(spec.Errorf(spec.CodeForked, "the members went on from size %d with other sequencers: what this node holds beyond it is not the consortium's", r.From))
		}
	}
	return nil
}
