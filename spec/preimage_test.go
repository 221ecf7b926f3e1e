// SPDX-License-Identifier: Apache-2.0

package spec_test

import (
	"crypto/sha256"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

func FuzzRulePreimages(f *testing.F) {
	f.Add([]byte("k"), []byte(nil))
	f.Add(make([]byte, 33), make([]byte, 300))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if sha256.Sum256(spec.AppendRulePlace(nil, key)) != spec.RulePlace(key) {
			t.Errorf("another place of %x", key)
		}
		if sha256.Sum256(spec.AppendRuleLeaf(nil, key, value)) != spec.RuleLeaf(key, value) {
			t.Errorf("another leaf of %x, %x", key, value)
		}
	})
}
