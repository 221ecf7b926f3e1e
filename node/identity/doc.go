// SPDX-License-Identifier: Apache-2.0

// Package identity keeps who a node is in its data directory:
//
//	keys/op, keys/cosign, keys/libp2p   private keys, PKCS #8 in PEM, 0600 in 0700
//	card.json                           the organisation's public card
//	genesis.json                        the consortium's founding document
//
// Keys are made once and never overwritten. Every file is replaced as a whole
// and durable when the call that wrote it returns.
package identity
