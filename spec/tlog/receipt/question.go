// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"bytes"

	"github.com/tocsin-db/tocsin/spec"
)

// A Question is what a receipt must be about for whoever asked; nil asks nothing.
type Question struct {
	Entry  *spec.Hash
	Signal *spec.Signal // its quality is not asked about
}

// Answers refuses with BAD_RECEIPT a fact about another entry, or one that does not
// open the signal.
func (f *Fact) Answers(q Question) error {
	if q.Entry != nil && *q.Entry != f.Entry {
		return spec.Errorf(spec.CodeReceipt, "the receipt is about another entry")
	}
	if q.Signal != nil && f.Signal == nil {
		return spec.Errorf(spec.CodeReceipt, "the receipt withholds every value: it says nothing about this signal")
	}
	if q.Signal != nil && !same(q.Signal, f.Signal) {
		return spec.Errorf(spec.CodeReceipt, "the receipt is about another signal")
	}
	return nil
}

// Answers refuses with BAD_RECEIPT the absence of another signal. It is about no
// entry.
func (f *AbsentFact) Answers(q Question) error {
	if q.Entry != nil {
		return spec.Errorf(spec.CodeReceipt, "the receipt is about a signal that is not listed, and about no entry")
	}
	if q.Signal != nil && !same(q.Signal, &f.Signal) {
		return spec.Errorf(spec.CodeReceipt, "the receipt is about another signal")
	}
	return nil
}

func same(a, b *spec.Signal) bool { return a.Type == b.Type && bytes.Equal(a.Value, b.Value) }
