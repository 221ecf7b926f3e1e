// SPDX-License-Identifier: Apache-2.0

package tlog

import (
	"cmp"
	"crypto/ed25519"
	"encoding/binary"
	"strconv"

	"github.com/tocsin-db/tocsin/spec"
)

// A Cosignature is an organisation's statement that it saw the log be
// append-only up to a checkpoint, at a time (C2SP tlog-cosignature).
type Cosignature struct {
	Org  string
	Key  spec.PublicKey // that signed
	Time uint64         // Unix seconds, of the organisation's clock
	Sig  [ed25519.SignatureSize]byte
}

// Cosign signs a checkpoint with an organisation's cosign key.
func Cosign(c Checkpoint, org string, key ed25519.PrivateKey, unix uint64) Cosignature {
	s := Cosignature{Org: org, Key: spec.PublicKey(key.Public().(ed25519.PublicKey)), Time: unix}
	copy(s.Sig[:], ed25519.Sign(key, cosigned(c, unix)))
	return s
}

// Holds reports whether a cosignature on a checkpoint is by the key that it names.
func (s *Cosignature) Holds(c Checkpoint) bool {
	return ed25519.Verify(s.Key[:], cosigned(c, s.Time), s.Sig[:])
}

// cosigned is what a cosignature signs.
func cosigned(c Checkpoint, unix uint64) []byte { return cosignedText(c.Text(), unix) }

func cosignedText(text []byte, unix uint64) []byte {
	b := append(make([]byte, 0, 64+len(text)), "cosignature/v1\ntime "...)
	b = append(strconv.AppendUint(b, unix, 10), '\n')
	return append(b, text...)
}

// raw is the signature as notes carry it: time ‖ signature.
func (s *Cosignature) raw() []byte {
	return append(binary.BigEndian.AppendUint64(nil, s.Time), s.Sig[:]...)
}

// Order is the order of cosignatures in a note: by organisation, then by key.
func Order(a, b Cosignature) int {
	return cmp.Or(cmp.Compare(a.Org, b.Org), cmp.Compare(string(a.Key[:]), string(b.Key[:])))
}

// Quorum is how many of n sequencers make a checkpoint final: more than two
// thirds from four on, so that two quorums share more than any tolerated number
// of liars; below four, where no liar can be tolerated, a majority.
func Quorum(n int) int {
	if n >= 4 {
		return 2*n/3 + 1
	}
	return n/2 + 1
}
