// SPDX-License-Identifier: Apache-2.0

// Package pdq computes PDQ, the perceptual hash of photographs that the field
// exchanges: 256 bits of which few change when an image is re-compressed,
// resized or lightly edited. The normative text is spec/pdq.md; the algorithm
// is Meta's (D. Davis, L. Rosen, "The TMK+PDQF Video-Hashing Algorithm and the
// PDQ Image-Hashing Algorithm", 2019).
//
// Two nodes must agree on every bit, also on images so flat that the hash is
// rounding noise. Therefore every sum is kept in float32 in the order of the
// specification, no product is fused with an addition, and the kernels for
// single processors return the same bits as the portable one.
package pdq
