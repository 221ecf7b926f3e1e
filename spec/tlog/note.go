// SPDX-License-Identifier: Apache-2.0

package tlog

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"slices"

	sumnote "golang.org/x/mod/sumdb/note"

	"github.com/tocsin-db/tocsin/spec"
)

// MaxNote bounds a signed note in bytes.
const MaxNote = 64 << 10

// Note returns the signed note: the checkpoint with the log key's signature and
// the cosignatures.
func (p *Panel) Note(s *Signed) ([]byte, error) {
	text := s.Text()
	signers := []sumnote.Signer{fixed{p.log.Name(), p.log.KeyHash(), ed25519.Sign(p.logKey, text)}}
	for i := range s.Cosignatures {
		c := &s.Cosignatures[i]
		v := p.verifier(spec.Seat{Org: c.Org, Key: c.Key})
		if v == nil {
			return nil, spec.Errorf(spec.CodeCheckpoint, "a cosignature is not a sequencer's")
		}
		signers = append(signers, fixed{v.Name(), v.KeyHash(), c.raw()})
	}
	return sumnote.Sign(&sumnote.Note{Text: string(text)}, signers...)
}

func (p *Panel) verifier(of spec.Seat) sumnote.Verifier {
	for i := range p.seats {
		if p.seats[i].Seat == of {
			return p.seats[i].verifier
		}
	}
	return nil
}

// Open reads a signed note: a checkpoint of this log with the log key's signature
// and any cosignatures. Those of others than the panel's sequencers are left out.
// It fails with BAD_CHECKPOINT when a signature of a key that it knows is wrong.
func (p *Panel) Open(note []byte) (*Signed, error) { return p.open(note, false) }

// OpenExact is Open for a note that must be just as Note writes it, and final.
func (p *Panel) OpenExact(note []byte) (*Signed, error) {
	s, err := p.open(note, true)
	if err == nil {
		err = p.checkFinal(s)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// OpenFinal is Open for a note that must be final, else NOT_FINAL.
func (p *Panel) OpenFinal(note []byte) (*Signed, error) {
	s, err := p.Open(note)
	if err == nil {
		err = p.checkFinal(s)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (p *Panel) checkFinal(s *Signed) error {
	if !p.Final(s) {
		return spec.Errorf(spec.CodeNotFinal, "the checkpoint has %d cosignatures, too few to make it final", len(s.Cosignatures))
	}
	return nil
}

func (p *Panel) open(note []byte, exact bool) (*Signed, error) {
	bad := spec.Errorf(spec.CodeCheckpoint, "not a signed checkpoint of this log")
	if len(note) > MaxNote {
		return nil, spec.Errorf(spec.CodeTooLarge, "a signed note has at most %d bytes", MaxNote)
	}
	sigs := gathering{Verifiers: p.known}
	n, err := sumnote.Open(note, &sigs)
	if err != nil || !sigs.hold() {
		return nil, bad
	}
	c, err := ParseCheckpoint([]byte(n.Text))
	if err != nil {
		return nil, err
	}
	s := &Signed{Checkpoint: c}
	signed := false
	for _, sig := range n.Sigs {
		if sig.Name == p.log.Name() && sig.Hash == p.log.KeyHash() {
			_, err := base64.StdEncoding.Strict().DecodeString(sig.Base64)
			signed = err == nil
			continue
		}
		if err := s.add(p.named(sig.Name, sig.Hash), sig.Base64); err != nil {
			return nil, err
		}
	}
	if c.Origin != p.Origin || !signed {
		return nil, bad
	}
	if exact && (len(n.UnverifiedSigs) > 0 || n.Sigs[0].Name != p.log.Name() || !slices.IsSortedFunc(s.Cosignatures, Order)) {
		return nil, bad
	}
	slices.SortFunc(s.Cosignatures, Order)
	return s, nil
}

// named is the seat of a key that a note refers to.
func (p *Panel) named(name string, hash uint32) spec.Seat {
	for i := range p.seats {
		if v := p.seats[i].verifier; v.Name() == name && v.KeyHash() == hash {
			return p.seats[i].Seat
		}
	}
	return spec.Seat{}
}

// add takes a verified signature of a note: base64(key hash ‖ time ‖ signature),
// in its one strict form.
func (s *Signed) add(of spec.Seat, b64 string) error {
	raw, err := base64.StdEncoding.Strict().DecodeString(b64)
	c := Cosignature{Org: of.Org, Key: of.Key}
	if err != nil || len(raw) != 4+8+len(c.Sig) {
		return spec.Errorf(spec.CodeCheckpoint, "a cosignature has another size")
	}
	if slices.ContainsFunc(s.Cosignatures, func(x Cosignature) bool { return x.Org == c.Org && x.Key == c.Key }) {
		return spec.Errorf(spec.CodeCheckpoint, "a sequencer cosigned twice in one note")
	}
	c.Time = binary.BigEndian.Uint64(raw[4:])
	copy(c.Sig[:], raw[12:])
	s.Cosignatures = append(s.Cosignatures, c)
	return nil
}
