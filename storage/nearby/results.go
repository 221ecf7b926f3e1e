// SPDX-License-Identifier: Apache-2.0

package nearby

// Results holds the answers to a batch of queries. The zero value is ready;
// one that is used again keeps its memory.
type Results struct {
	matches   []Match
	ends      []int
	truncated []bool
	parts     []Results // what each processor answered
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

func (r *Results) append(matches []Match, truncated bool) {
	r.matches = append(r.matches, matches...)
	r.ends = append(r.ends, len(r.matches))
	r.truncated = append(r.truncated, truncated)
}

// join appends all answers of part.
func (r *Results) join(part *Results) {
	for i := range part.ends {
		r.append(part.Of(i))
	}
}

// split returns n empty parts.
func (r *Results) split(n int) []Results {
	for len(r.parts) < n {
		r.parts = append(r.parts, Results{})
	}
	for i := range r.parts {
		r.parts[i].reset()
	}
	return r.parts[:n]
}
