// SPDX-License-Identifier: Apache-2.0

// Package wire is what spec/openapi.yaml says, generated: the types on the wire,
// the client and the server's plumbing.
package wire

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2 -config oapi.yaml ../../../spec/openapi.yaml
