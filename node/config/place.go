// SPDX-License-Identifier: Apache-2.0

package config

import (
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// A place is a value in the file: the element of an array or the whole value.
type place struct {
	key     []string
	element int
}

func (p place) name() string { return strings.Join(p.key, ".") }

// position finds the line and column of a value in a file that parses.
func position(data []byte, p place) (row, column int) {
	parser := &unstable.Parser{}
	parser.Reset(data)
	var table []string
	for parser.NextExpression() {
		e := parser.Expression()
		switch e.Kind {
		case unstable.Table:
			table = keyOf(e)
		case unstable.KeyValue:
			if found := find(e, table, p); found != nil {
				start := parser.Shape(found.Raw).Start
				return start.Line, start.Column
			}
		}
	}
	return 1, 1
}

// find returns the node of p's value at or below a key-value pair, or nil.
func find(kv *unstable.Node, table []string, p place) *unstable.Node {
	key := append(slices.Clone(table), keyOf(kv)...)
	if len(key) > len(p.key) || !slices.Equal(key, p.key[:len(key)]) {
		return nil
	}
	value := kv.Value()
	if value.Kind == unstable.InlineTable && len(key) < len(p.key) {
		for inner := value.Children(); inner.Next(); {
			if n := find(inner.Node(), key, p); n != nil {
				return n
			}
		}
		return nil
	}
	if value.Kind == unstable.Array {
		return element(kv, value, p.element)
	}
	return value
}

// element returns the n-th element, or for want of one the key of the array:
// the parser keeps no place for arrays.
func element(kv, array *unstable.Node, n int) *unstable.Node {
	items := array.Children()
	for i := 0; items.Next(); i++ {
		if i == n {
			return items.Node()
		}
	}
	key := kv.Key()
	key.Next()
	return key.Node()
}

func keyOf(n *unstable.Node) []string {
	var parts []string
	for it := n.Key(); it.Next(); {
		parts = append(parts, string(it.Node().Data))
	}
	return parts
}
