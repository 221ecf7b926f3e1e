// SPDX-License-Identifier: Apache-2.0

package spec

// Preimages of hashes that are computed by the million: who checks a whole store
// hashes many of them at once.

// AppendRulePlace appends what RulePlace hashes.
func AppendRulePlace(b, key []byte) []byte {
	b = appendText(appendHead(b, majorArray, 2), "tocsin.rule.v1")
	return appendBytes(b, key)
}

// AppendRuleLeaf appends what RuleLeaf hashes.
func AppendRuleLeaf(b, key, value []byte) []byte {
	b = appendHead(append(b, 0), majorArray, 2)
	return appendBytes(appendBytes(b, key), value)
}
