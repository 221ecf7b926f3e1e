// SPDX-License-Identifier: Apache-2.0

package nearby

// Results holds the answers to a batch of queries. The zero value is ready;
// one that is used again keeps its memory.
type Results struct {
	parts []answers // what each processor answered, in the order of the queries
	n     int
}

// answers are those to some queries in a row.
type answers struct {
	matches   []Match
	ends      []int
	truncated []bool
}

// Len returns how many queries were answered.
func (r *Results) Len() int { return r.n }

// Of returns the answer to query i as Search would give it. The slice is
// valid until r is used again.
func (r *Results) Of(i int) (matches []Match, truncated bool) {
	p := 0
	for i >= len(r.parts[p].ends) {
		i -= len(r.parts[p].ends)
		p++
	}
	return r.parts[p].of(i)
}

// start makes room for the answers of so many parts to n queries.
func (r *Results) start(parts, n int) []answers {
	for len(r.parts) < parts {
		r.parts = append(r.parts, answers{})
	}
	for i := range r.parts {
		a := &r.parts[i]
		a.matches, a.ends, a.truncated = a.matches[:0], a.ends[:0], a.truncated[:0]
	}
	r.n = n
	return r.parts[:parts]
}

func (a *answers) of(i int) ([]Match, bool) {
	from := 0
	if i > 0 {
		from = a.ends[i-1]
	}
	return a.matches[from:a.ends[i]:a.ends[i]], a.truncated[i]
}

func (a *answers) append(matches []Match, truncated bool) {
	a.matches = append(a.matches, matches...)
	a.ends = append(a.ends, len(a.matches))
	a.truncated = append(a.truncated, truncated)
}
