// SPDX-License-Identifier: Apache-2.0

// Package stock has tools that nobody here wrote read our log. It is a module of
// its own, so that what they depend on stays out of ours.
package stock
