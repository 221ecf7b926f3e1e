// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"slices"
	"time"

	"github.com/tocsin-db/tocsin/spec"
)

// An Application says when a sequencer's node had applied what ended an entry, by its
// own clock and under its own signature.
type Application struct {
	Organisation string
	At           time.Time
}

// applied reads the propagation receipts that are shown of a retraction: of each
// sequencer at most one, which covers the decision. A receipt for a decision covers
// those before it.
func (c *checking) applied(since uint64, f *Fact) error {
	sequencers := c.panel.Orgs()
	for i := range c.r.Leaves {
		signed := c.parsed[i].Signed
		if signed == nil {
			continue
		}
		body, ok := signed.Body.(*spec.Applied)
		if !ok {
			continue
		}
		op, err := c.operation(c.r.Leaves[i].Index)
		if err != nil {
			return err
		}
		at, covers := CoversAt(body, since)
		twice := slices.ContainsFunc(f.Applied, func(a Application) bool { return a.Organisation == op.Op.Org })
		if !covers || twice || c.r.Leaves[i].Index <= since || !slices.Contains(sequencers, op.Op.Org) {
			return bad("a propagation receipt is not one of the retraction, of a sequencer")
		}
		f.Applied = append(f.Applied, Application{op.Op.Org, time.UnixMilli(int64(at))})
	}
	slices.SortFunc(f.Applied, func(a, b Application) int { return slices.Compare([]string{a.Organisation}, []string{b.Organisation}) })
	for _, org := range sequencers {
		if !slices.ContainsFunc(f.Applied, func(a Application) bool { return a.Organisation == org }) {
			f.Unconfirmed = append(f.Unconfirmed, org)
		}
	}
	return nil
}

// CoversAt returns the first time in a propagation receipt for the leaf at an index
// or one after it.
func CoversAt(a *spec.Applied, index uint64) (ms uint64, ok bool) {
	for _, at := range a.At {
		if at.Index >= index {
			return at.AtMS, true
		}
	}
	return 0, false
}

// Everywhere returns the time by which every sequencer had applied the retraction,
// by the clocks of each, or false where the receipt does not show it.
func (f *Fact) Everywhere() (last time.Time, known bool) {
	for _, a := range f.Applied {
		if a.At.After(last) {
			last = a.At
		}
	}
	return last, f.Retraction != nil && len(f.Unconfirmed) == 0
}
