// SPDX-License-Identifier: Apache-2.0

package nearby

// An Option sets up an Index.
type Option func(*settings)

type settings struct {
	limits Limits
	kernel string
}

// Limits bound the work of one query, so that hashes made to crowd one place
// cannot hold a node up. A query that meets a limit answers what it found so
// far with truncated set. Zero means no limit.
type Limits struct {
	Candidates int // hashes compared in full
	Matches    int // matches answered
}

// ServingLimits is what a node answers requests with.
var ServingLimits = Limits{Candidates: 1 << 18, Matches: 1 << 16}

// WithLimits bounds the work of each query. An Index has no limits without it.
func WithLimits(l Limits) Option { return func(s *settings) { s.limits = l } }

// WithKernel asks for one of Kernels by name instead of the fastest.
// An unknown name is ignored.
func WithKernel(name string) Option { return func(s *settings) { s.kernel = name } }
