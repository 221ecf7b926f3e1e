// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"bytes"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

// FuzzDecode feeds a message to both decoders and, when it is a part, to the
// assembler. What is accepted must encode to the same bytes and obey the bounds.
func FuzzDecode(f *testing.F) {
	for kind, m := range map[byte]any{
		kindSub:   &sub{Size: 5, Credit: 1, Addresses: []string{"/ip4/192.0.2.1/tcp/1"}},
		kindHead:  &head{Size: 3, Next: 2, Note: []byte("note"), Proof: []spec.Hash{{1}}},
		kindPart:  &part{Leaves: [][]byte{{1}, {2}}, Openings: []Opening{{Bytes: []byte("o")}}, Last: true},
		kindIHave: &ihave{Size: 9, Note: []byte("note")},
		kindGraft: &graft{Size: 9, Credit: 9},
		kindPrune: &prune{},
		kindAck:   &ack{Size: 1, Credit: 2},
		kindRefer: &refer{Peers: []Referral{{Peer: "12D3", Addresses: []string{"/ip4/192.0.2.1/tcp/1"}}}},
	} {
		f.Add(message(f, kind, m))
	}
	f.Add(message(f, kindWant, &want{From: 1, Upto: 2, Bytes: 3}))
	f.Add(message(f, kindSeal, &seal{Next: 2, Proof: []spec.Hash{{2}}}))
	f.Add([]byte{kindFault, 0x84, 0x64, 'G', 'O', 'N', 'E', 0x60, 0x00, 0x07})
	f.Fuzz(func(t *testing.T, frame []byte) {
		for _, dec := range []func([]byte) (any, error){decode, decodeRange} {
			m, err := dec(frame)
			if err != nil {
				continue
			}
			if _, isFault := m.(*fault); isFault {
				continue
			}
			again, err := encode(frame[0], m)
			if err != nil || !bytes.Equal(again, frame) {
				t.Fatalf("%x decodes to %+v, which encodes to %x (%v)", frame, m, again, err)
			}
			if p, ok := m.(*part); ok {
				s := stretch{assembler: assembler{next: p.First}}
				if _, err := s.take(p); err == nil && p.Last && (len(s.groups) != 1 || s.next != s.groups[0].Next()) {
					t.Fatalf("assembled %+v", s)
				}
			}
		}
	})
}
