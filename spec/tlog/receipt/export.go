// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"github.com/transparency-dev/formats/proof"
)

// Proofs returns each leaf's proof as a C2SP tlog-proof, in the order of Leaves.
// The leaf itself is the extra data.
func (r *Receipt) Proofs() [][]byte {
	var out [][]byte
	for i := range r.Leaves {
		l := &r.Leaves[i]
		p := proof.TLogProof{Index: l.Index, Checkpoint: r.Note, ExtraData: l.Bytes}
		for _, h := range l.Proof {
			p.Hashes = append(p.Hashes, h)
		}
		out = append(out, p.Marshal())
	}
	return out
}
