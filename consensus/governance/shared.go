// SPDX-License-Identifier: Apache-2.0

package governance

import (
	"fmt"

	"github.com/tocsin-db/tocsin/spec"
)

// A Decoder is a State that keeps records decoded while they do not change. What
// it returns is what decode makes of the record, nil standing for none.
type Decoder interface {
	Decoded(key []byte, decode func(value []byte) (any, error)) (any, error)
}

// shared is load for records that nearly every operation asks for. The result may
// be held by others and must not be changed; it is nil when there is none.
func shared[T any](st State, key []byte) (*T, error) {
	if v, ok := st.(*view); ok {
		if _, pending := v.index[string(key)]; !pending {
			st = v.State
		}
	}
	if r, ok := st.(*recorder); ok {
		st = r.Ledger
	}
	decode := func(value []byte) (any, error) {
		if value == nil {
			return (*T)(nil), nil
		}
		out := new(T)
		if err := spec.DecodeStored(value, out); err != nil {
			return nil, fmt.Errorf("%w: a record cannot be decoded: %v", ErrState, err)
		}
		return out, nil
	}
	var v any
	var err error
	if d, ok := st.(Decoder); ok {
		v, err = d.Decoded(key, decode)
	} else if b, e := st.Record(key); e != nil {
		err = e
	} else {
		v, err = decode(b)
	}
	if err != nil {
		return nil, err
	}
	return v.(*T), nil
}

// Clock returns the consortium's time and epoch, zero before it was founded. It may be
// held by others and must not be changed.
func Clock(st State) (*spec.Clock, error) {
	c, err := shared[spec.Clock](st, spec.ClockKey)
	if c == nil && err == nil {
		c = new(spec.Clock)
	}
	return c, err
}

// Organisation returns what is known of an enrolled organisation, nil of any other.
// It may be held by others and must not be changed.
func Organisation(st State, id string) (*spec.OrgRecord, error) {
	return shared[spec.OrgRecord](st, spec.OrgKey(id))
}

// mustShare is shared for records that are always there.
func mustShare[T any](st State, key []byte) (*T, error) {
	v, err := shared[T](st, key)
	if err == nil && v == nil {
		err = fmt.Errorf("%w: a record that is always there is missing", ErrState)
	}
	return v, err
}
