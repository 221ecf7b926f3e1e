// SPDX-License-Identifier: Apache-2.0

package nearby

// Results holds the answers to a batch of queries. The zero value is ready;
// one that is used again keeps its memory.
type Results struct {
	matches   []Match
	ends      []int
	truncated []bool
}

// Len returns how many queries were answered.
func (r *Results) Len() int { return len(r.ends) }

// Of returns the answer to query i as Search would give it. The slice is
// valid until r is used again.
func (r *Results) Of(i int) (matches []Match, truncated bool) {
	from := 0
	if i > 0 {
		from = r.ends[i-1]
	}
	return r.matches[from:r.ends[i]:r.ends[i]], r.truncated[i]
}

func (r *Results) reset() {
	r.matches, r.ends, r.truncated = r.matches[:0], r.ends[:0], r.truncated[:0]
}

// SearchBatch answers all queries into out, in their order, faster than one
// call each.
func (x *Index) SearchBatch(qs [][32]byte, radius int, out *Results) {
	out.reset()
	for i := range qs {
		var cut bool
		out.matches, cut = x.Search(&qs[i], radius, out.matches)
		out.ends = append(out.ends, len(out.matches))
		out.truncated = append(out.truncated, cut)
	}
}
