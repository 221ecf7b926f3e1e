// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tocsin-db/tocsin/node/cosign"
	"github.com/tocsin-db/tocsin/node/identity"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// cmdLie has a member cosign two roots of size 7, and puts the proof into a folder of
// evidence.
func cmdLie(ts *testscript.TestScript, _ bool, args []string) {
	id, err := identity.Load(args[0])
	ts.Check(err)
	g, err := identity.LoadGenesis(args[0])
	ts.Check(err)
	e := &cosign.Equivocation{Version: cosign.EquivocationVersion, Org: id.Organisation.ID, Key: id.Organisation.CosignKey, Size: 7}
	for i := range byte(2) {
		c := tlog.Checkpoint{Origin: g.Genesis.Origin(), Size: e.Size, Root: spec.Hash{i}}
		s := tlog.Cosign(c, e.Org, id.Cosign, 1)
		e.Statements = append(e.Statements, cosign.Statement{Root: c.Root, Time: s.Time, Sig: s.Sig})
	}
	b, err := e.Encode()
	ts.Check(err)
	kept := cosign.Proved{Bytes: b}
	ts.Check(os.MkdirAll(args[1], 0o700))
	ts.Check(os.WriteFile(filepath.Join(args[1], kept.ID()+".cbor"), b, 0o600))
}
