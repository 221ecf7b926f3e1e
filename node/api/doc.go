// SPDX-License-Identifier: Apache-2.0

// Package api is the node's HTTP interface: JSON on a unix socket for the
// organisation's own people and tools, and on a loopback address for lookups.
// spec/openapi.yaml describes it; server and client are generated from there.
//
// Backend is the node behind it. Access is denied unless the table in access.go
// allows it.
package api
