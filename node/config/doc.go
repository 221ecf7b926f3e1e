// SPDX-License-Identifier: Apache-2.0

// Package config reads a node's settings: defaults, overridden by tocsin.toml in
// the data directory, by TOCSIN_* in the environment, by flags. Each setting
// knows which of them it came from.
package config
