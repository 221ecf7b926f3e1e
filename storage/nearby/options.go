// SPDX-License-Identifier: Apache-2.0

package nearby

// An Option sets up an Index.
type Option func(*settings)

type settings struct {
	limits Limits
	kernel string
	rowCap uint32 // distinct hashes in one segment

	limboStep int
	orderFrom int  // rows in a segment from which a load orders them
	leastBits uint // of the directory of a load
}

// Limits bound the work of one query, so that hashes made to crowd one place
// cannot hold a node up. A query that meets a limit answers what it found so
// far with truncated set. Zero means no limit.
type Limits struct {
	Scanned    int // postings looked at
	Candidates int // postings that passed the filter and were looked up
	Matches    int // matches answered
}

// ServingLimits is what a node answers requests with. An index of 10 million
// unrelated hashes scans 45,000 postings and looks up 110; these limits allow
// hundreds of times as much, a few milliseconds of work.
var ServingLimits = Limits{Scanned: 1 << 24, Candidates: 1 << 18, Matches: 1 << 16}

// WithLimits bounds the work of each query. An Index has no limits without it.
func WithLimits(l Limits) Option { return func(s *settings) { s.limits = l } }

// WithKernel asks for one of Kernels by name instead of the fastest.
// A name that this machine does not have is ignored.
func WithKernel(name string) Option { return func(s *settings) { s.kernel = name } }
