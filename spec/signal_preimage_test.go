// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"crypto/sha256"
	"testing"
)

// What is hashed by the million is what is hashed one at a time.
func TestPreimagesOfSignals(t *testing.T) {
	for i, s := range []Signal{
		{Type: "sha256", Value: make([]byte, 32)}, {Type: "pdq", Value: make([]byte, 32), Quality: 100},
		{Type: "chromaprint", Value: make([]byte, 300)}, {Type: "md5", Value: make([]byte, 16)},
	} {
		if got := sha256.Sum256(AppendSignalKey(nil, []byte(s.Type), s.Value)); Hash(got) != s.Key() {
			t.Errorf("the key of a value of type %s differs", s.Type)
		}
		o := Opened{Salt: [SaltSize]byte{1, 2}, Item: 200 * i, Signal: s}
		got := sha256.Sum256(AppendCommitment(nil, o.Salt[:], uint64(o.Item), hashBytes(s.Key()), uint64(s.Quality)))
		if Hash(got) != o.Commitment() || o.withKey().Commitment() != o.Commitment() {
			t.Errorf("the commitment of a value of type %s differs", s.Type)
		}
	}
}

func hashBytes(h Hash) []byte { return h[:] }
