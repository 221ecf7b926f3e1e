// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"strings"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

// FuzzParseInvitation: what is accepted is written again as the same line, and no
// refusal repeats what was given.
func FuzzParseInvitation(f *testing.F) {
	line, err := (&Invitation{Origin: "o/1", Role: spec.RoleReader, ExpiresMS: 7, Member: "12D3", Addresses: []string{"/ip4/192.0.2.1/tcp/1"}}).String()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(line)
	f.Add(linePrefix)
	f.Add("tocsin1:gA")
	f.Fuzz(func(t *testing.T, line string) {
		i, err := ParseInvitation(line)
		if err != nil {
			if spec.CodeOf(err) != spec.CodeInvitation || len(line) > 24 && strings.Contains(err.Error(), strings.TrimSpace(line)) {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		again, err := i.String()
		if err != nil || again != strings.TrimSpace(line) || len(i.Addresses) > 16 {
			t.Fatalf("%q is read as %+v, which is %q", line, i, again)
		}
	})
}

// FuzzJoinAnswer: what a member answers an invitee, who checks it against the
// invitation before anything is kept.
func FuzzJoinAnswer(f *testing.F) {
	seed, err := spec.Encode(&joinAnswer{State: joinPending, Genesis: []byte("g"), Addresses: []orgAddresses{{Org: "alpha", Addresses: []string{"/ip4/192.0.2.1/tcp/1"}}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte{0x84, 0x60, 0x58, 0x20})
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := parseJoinAnswer(data)
		if err != nil {
			return
		}
		again, err := spec.Encode(a)
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("%x decodes to %+v", data, a)
		}
		dir := t.TempDir()
		if saveJoined(&JoinConfig{Dir: dir, Progress: func(string) {}}, &Invitation{Origin: "o", Genesis: spec.Hash{1}}, a) == nil {
			t.Fatal("a founding document is kept that the invitation does not name")
		}
	})
}
