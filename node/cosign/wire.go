// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"crypto/ed25519"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// Protocol is where sequencers send each other their cosignatures.
const Protocol = "/tocsin/cosign/1"

// MaxRequest bounds a request of the protocol in bytes, maxClaims the
// cosignatures in it.
const (
	MaxRequest = 16 << 10
	maxClaims  = 64
)

// request is what a sequencer tells another: how far the final log is as it
// knows, and its own newest cosignatures. The answer is the callee's newest final
// checkpoint if that is further, else nothing.
type request struct {
	_      struct{} `cbor:",toarray"`
	Final  uint64
	Claims []claim
}

// A claim is the sender's cosignature on a checkpoint of the log.
type claim struct {
	_    struct{} `cbor:",toarray"`
	Size uint64
	Root spec.Hash
	Key  spec.PublicKey // that cosigned
	Time uint64         // Unix seconds
	Sig  [ed25519.SignatureSize]byte
}

func (c *claim) checkpoint(origin string) tlog.Checkpoint {
	return tlog.Checkpoint{Origin: origin, Size: c.Size, Root: c.Root}
}

func (c *claim) cosignature(org string) tlog.Cosignature {
	return tlog.Cosignature{Org: org, Key: c.Key, Time: c.Time, Sig: c.Sig}
}

func (c *claim) said(org string) Said {
	return Said{Org: org, Key: c.Key, Size: c.Size, Statement: Statement{Root: c.Root, Time: c.Time, Sig: c.Sig}}
}

func parseRequest(data []byte) (*request, error) {
	if len(data) > MaxRequest {
		return nil, spec.Errorf(spec.CodeTooLarge, "a request is at most %d bytes", MaxRequest)
	}
	var r request
	if err := spec.Decode(data, &r); err != nil {
		return nil, err
	}
	if len(r.Claims) > maxClaims {
		return nil, spec.Errorf(spec.CodeTooLarge, "a request has at most %d cosignatures", maxClaims)
	}
	for i := range r.Claims {
		if r.Claims[i].Size == 0 || r.Claims[i].Size > tlog.MaxSize {
			return nil, spec.Errorf(spec.CodeMalformed, "a size is out of range")
		}
	}
	return &r, nil
}
