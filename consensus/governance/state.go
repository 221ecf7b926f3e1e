// SPDX-License-Identifier: Apache-2.0

// Package governance is the rules of the consortium: it decides what an
// operation changes. Deciding is pure: facts in, effects out, with no clock, no
// randomness, no disk and no network, so that every node that applies the same
// operations in the same order holds the same state bit for bit
// (spec/governance.md).
package governance

import (
	"bytes"
	"errors"
	"fmt"
	"sort"

	"github.com/tocsin-db/tocsin/spec"
)

// ErrState marks a state that no sequence of operations can have made: the
// store is damaged and the node must stop.
var ErrState = errors.New("the rules' state is damaged")

// State is what the rules read: the records of spec/record.go and the length of
// the log. Errors are faults of the node, never refusals.
type State interface {
	// Size is the number of leaves in the log.
	Size() uint64
	// Record returns the value under key, or nil when there is none.
	Record(key []byte) ([]byte, error)
	// Records calls fn with the records under prefix in the order of their keys
	// until fn returns false. fn must not keep the slices.
	Records(prefix []byte, fn func(key, value []byte) bool) error
	// RecordsFrom is Records beginning at the first key that is not less than from.
	RecordsFrom(prefix, from []byte, fn func(key, value []byte) bool) error
	// GroupEnd returns the root of the log where a group of leaves ends just there; ok
	// is false inside a group.
	GroupEnd() (root spec.Hash, ok bool)
	// Listed returns how many live entries list a signal.
	Listed(s spec.Signal) (int, error)
}

// Effects are what an operation changes, in order.
type Effects struct {
	Puts     []Put          // records of the rules' state
	Hold     bool           // keep the operation's opening under its id
	Listings []spec.Listing // signals that become live, change or cease to be
	Erasures []spec.Erasure // values to forget
	Leaves   [][]byte       // derived leaves, after the operation's own
	weight   int            // signals in Listings
}

// A Put sets the record under Key, or deletes it when Value is nil.
type Put struct{ Key, Value []byte }

// view is the state with the effects of the operation at hand laid over it.
type view struct {
	State
	effects Effects
	index   map[string]int  // into effects.Puts; never iterated
	leaf    uint64          // index of the next leaf to be appended
	weight  int             // of effects.Listings, in signals
	who     *spec.OrgRecord // that signed the operation at hand; not to be changed
	now     *spec.Clock     // once it was read
	rules   *spec.Policy    // in force, once it was read; not to be changed
}

func newView(st State) *view {
	return &view{State: st, index: map[string]int{}, leaf: st.Size()}
}

func (v *view) Record(key []byte) ([]byte, error) {
	if i, ok := v.index[string(key)]; ok {
		return v.effects.Puts[i].Value, nil
	}
	return v.State.Record(key)
}

// Records implements State.
func (v *view) Records(prefix []byte, fn func(key, value []byte) bool) error {
	return v.RecordsFrom(prefix, prefix, fn)
}

// RecordsFrom merges the pending puts with the state below.
func (v *view) RecordsFrom(prefix, from []byte, fn func(key, value []byte) bool) error {
	pending := v.pending(prefix, from)
	more := true
	flush := func(until []byte) {
		for more && len(pending) > 0 && (until == nil || bytes.Compare(pending[0].Key, until) < 0) {
			if pending[0].Value != nil {
				more = fn(pending[0].Key, pending[0].Value)
			}
			pending = pending[1:]
		}
	}
	err := v.State.RecordsFrom(prefix, from, func(key, value []byte) bool {
		flush(key)
		replaced := len(pending) > 0 && bytes.Equal(pending[0].Key, key)
		if more && !replaced {
			more = fn(key, value)
		}
		return more
	})
	if err == nil {
		flush(nil)
	}
	return err
}

// pending returns the puts under prefix, not less than from, in the order of their
// keys.
func (v *view) pending(prefix, from []byte) []Put {
	var out []Put
	for _, p := range v.effects.Puts {
		if bytes.HasPrefix(p.Key, prefix) && bytes.Compare(p.Key, from) >= 0 {
			out = append(out, p)
		}
	}
	sort.Slice(out, func(i, j int) bool { return bytes.Compare(out[i].Key, out[j].Key) < 0 })
	return out
}

func (v *view) put(key []byte, value any) error {
	b, err := spec.Encode(value)
	if err != nil {
		return fmt.Errorf("%w: a record cannot be encoded: %v", ErrState, err)
	}
	v.set(key, b)
	return nil
}

func (v *view) delete(key []byte) { v.set(key, nil) }

func (v *view) set(key, value []byte) {
	if i, ok := v.index[string(key)]; ok {
		v.effects.Puts[i].Value = value
		return
	}
	v.index[string(key)] = len(v.effects.Puts)
	v.effects.Puts = append(v.effects.Puts, Put{key, value})
}

// list changes what is live.
func (v *view) list(l spec.Listing) {
	v.effects.Listings = append(v.effects.Listings, l)
	v.weight += l.Count
}

// derive appends a derived leaf and returns its index in the log.
func (v *view) derive(leaf any) (uint64, error) {
	b, err := spec.Encode(leaf)
	if err != nil {
		return 0, fmt.Errorf("%w: a derived leaf cannot be encoded: %v", ErrState, err)
	}
	v.effects.Leaves = append(v.effects.Leaves, b)
	v.leaf++
	return v.leaf - 1, nil
}

// load decodes the record under key into out; found is false when there is none.
func load(st State, key []byte, out any) (found bool, err error) {
	b, err := st.Record(key)
	if err != nil || b == nil {
		return false, err
	}
	if err := spec.DecodeStored(b, out); err != nil {
		return false, fmt.Errorf("%w: a record cannot be decoded: %v", ErrState, err)
	}
	return true, nil
}

// need is load for records that are always there.
func need(st State, key []byte, out any) error {
	found, err := load(st, key, out)
	if err == nil && !found {
		err = fmt.Errorf("%w: a record that is always there is missing", ErrState)
	}
	return err
}

// clock returns the consortium's time and epoch as changed so far.
func (v *view) clock() (*spec.Clock, error) {
	if v.now == nil {
		c, err := mustShare[spec.Clock](v, spec.ClockKey)
		if err != nil {
			return nil, err
		}
		own := *c
		v.now = &own
	}
	return v.now, nil
}

// setClock writes the clock that clock returned, after it was changed.
func (v *view) setClock() error { return v.put(spec.ClockKey, v.now) }

// policy returns the policy in force.
func (v *view) policy() (*spec.Policy, error) {
	if v.rules == nil {
		p, err := mustShare[spec.Policy](v, spec.PolicyKey)
		if err != nil {
			return nil, err
		}
		v.rules = p
	}
	return v.rules, nil
}

// each decodes the records under prefix one after the other into out and calls fn
// until it fails or returns false.
func each(st State, prefix []byte, out any, reset func(), fn func(key []byte) (bool, error)) error {
	var bad error
	err := st.Records(prefix, func(key, value []byte) bool {
		reset()
		if bad = spec.DecodeStored(value, out); bad != nil {
			bad = fmt.Errorf("%w: a record cannot be decoded: %v", ErrState, bad)
			return false
		}
		var more bool
		more, bad = fn(key)
		return more && bad == nil
	})
	if err == nil {
		err = bad
	}
	return err
}
