// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"slices"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog/receipt"
)

// maxLook bounds how many leaves behind a retraction are looked at for propagation
// receipts.
const maxLook = 100_000

// applied takes the first propagation receipt of each sequencer that covers the leaf
// at since, where the log has one.
func (d *draft) applied(since uint64) error {
	missing := d.Chain.At(d.Store.Size()).Orgs()
	size := d.Store.Size()
	for from := since + 1; from < size && from <= since+maxLook && len(missing) > 0; {
		leaves, err := d.Store.Leaves(from, 1<<20)
		if err != nil || len(leaves) == 0 {
			return err
		}
		for i, b := range leaves {
			if !spec.IsEnvelope(b) {
				continue
			}
			l, err := spec.ParseLeaf(b)
			if err != nil {
				return err
			}
			body, ok := l.Signed.Body.(*spec.Applied)
			at := slices.Index(missing, l.Signed.Op.Org)
			if !ok || at < 0 {
				continue
			}
			if _, covers := receipt.CoversAt(body, since); !covers {
				continue
			}
			if err := d.operation(from + uint64(i)); err != nil {
				return err
			}
			missing = slices.Delete(missing, at, at+1)
		}
		from += uint64(len(leaves))
	}
	return nil
}
