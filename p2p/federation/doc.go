// SPDX-License-Identifier: Apache-2.0

// Package federation brings the final log to nodes that do not sequence, and from
// them to others: spec/sync.md. A Server announces what is final and pushes groups
// to those who ask for it; a Reader holds streams to several upstreams, believes
// none of them, proves each stretch to be the beginning of a log that its Panel
// makes final, and hands it to its Replica.
package federation
