// SPDX-License-Identifier: Apache-2.0

package tlog

import (
	"cmp"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"slices"

	sumnote "golang.org/x/mod/sumdb/note"

	"github.com/tocsin-db/tocsin/spec"
)

// MaxNote bounds a signed note in bytes.
const MaxNote = 64 << 10

// A Panel is who may cosign a log, and how many of them make a checkpoint final.
// It never changes; any number of goroutines may use it.
type Panel struct {
	Origin string
	K      int
	orgs   map[string]sumnote.Verifier // by organisation
	names  map[string]string           // name in notes → organisation
	known  sumnote.Verifiers           // those and the log key's
	log    sumnote.Verifier
}

// NewPanel makes the panel of sequencers: those of orgs that are members. K is the
// least that is safe.
func NewPanel(origin string, orgs []spec.Organisation) (*Panel, error) {
	p := &Panel{Origin: origin, orgs: map[string]sumnote.Verifier{}, names: map[string]string{}, log: logVerifier(origin)}
	if p.log == nil {
		return nil, spec.Errorf(spec.CodeGenesis, "the origin cannot stand in a signed note")
	}
	list := []sumnote.Verifier{p.log}
	for i := range orgs {
		o := &orgs[i]
		if o.Role != spec.RoleMember {
			continue
		}
		v, err := cosignVerifier(origin, o)
		if err != nil {
			return nil, err
		}
		p.orgs[o.ID], p.names[v.Name()] = v, o.ID
		list = append(list, v)
	}
	if len(p.orgs) == 0 {
		return nil, spec.Errorf(spec.CodeGenesis, "a log needs a sequencer")
	}
	p.K, p.known = Quorum(len(p.orgs)), sumnote.VerifierList(list...)
	return p, nil
}

// GenesisPanel is the panel of the sequencers that the founding policy names, and
// as many of them as it asks for.
func GenesisPanel(g *spec.Genesis) (*Panel, error) {
	orgs := slices.Clone(g.Organisations)
	named := g.Policy.Sequencers
	orgs = slices.DeleteFunc(orgs, func(o spec.Organisation) bool {
		return o.Role != spec.RoleMember || len(named) > 0 && !slices.Contains(named, o.ID)
	})
	p, err := NewPanel(g.Origin(), orgs[:min(len(orgs), spec.MaxSequencers)])
	if err == nil {
		p.K = g.Policy.Finality(len(p.orgs))
	}
	return p, err
}

// Orgs lists the sequencers by id.
func (p *Panel) Orgs() []string {
	var ids []string
	for id := range p.orgs {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Verify reports whether a cosignature on a checkpoint is a sequencer's.
func (p *Panel) Verify(c Checkpoint, s *Cosignature) bool {
	v, ok := p.orgs[s.Org]
	return ok && c.Origin == p.Origin && v.Verify(c.Text(), s.raw())
}

// A Signed checkpoint is one with cosignatures of a panel that were verified,
// one of each organisation, in the order of their ids.
type Signed struct {
	Checkpoint
	Cosignatures []Cosignature
}

// Final reports whether enough sequencers cosigned.
func (p *Panel) Final(s *Signed) bool { return len(s.Cosignatures) >= p.K }

// Time is the k-th newest time in the cosignatures, in Unix seconds: k
// organisations say that it is at least that late. It is 0 below k.
func (p *Panel) Time(s *Signed) uint64 {
	if !p.Final(s) {
		return 0
	}
	var times []uint64
	for i := range s.Cosignatures {
		times = append(times, s.Cosignatures[i].Time)
	}
	slices.Sort(times)
	return times[len(times)-p.K]
}

// Note returns the signed note: the checkpoint with the log key's signature and
// the cosignatures.
func (p *Panel) Note(s *Signed) ([]byte, error) {
	text := s.Text()
	signers := []sumnote.Signer{fixed{p.log.Name(), p.log.KeyHash(), ed25519.Sign(LogKey(p.Origin), text)}}
	for i := range s.Cosignatures {
		v := p.orgs[s.Cosignatures[i].Org]
		if v == nil {
			return nil, spec.Errorf(spec.CodeCheckpoint, "a cosignature is not a sequencer's")
		}
		signers = append(signers, fixed{v.Name(), v.KeyHash(), s.Cosignatures[i].raw()})
	}
	return sumnote.Sign(&sumnote.Note{Text: string(text)}, signers...)
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

func (p *Panel) open(note []byte, exact bool) (*Signed, error) {
	bad := spec.Errorf(spec.CodeCheckpoint, "not a signed checkpoint of this log")
	if len(note) > MaxNote {
		return nil, spec.Errorf(spec.CodeTooLarge, "a signed note has at most %d bytes", MaxNote)
	}
	n, err := sumnote.Open(note, p.known)
	if err != nil {
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
		if err := s.add(p.names[sig.Name], sig.Base64); err != nil {
			return nil, err
		}
	}
	if c.Origin != p.Origin || !signed {
		return nil, bad
	}
	byOrg := func(a, b Cosignature) int { return cmp.Compare(a.Org, b.Org) }
	if exact && (len(n.UnverifiedSigs) > 0 || n.Sigs[0].Name != p.log.Name() || !slices.IsSortedFunc(s.Cosignatures, byOrg)) {
		return nil, bad
	}
	slices.SortFunc(s.Cosignatures, byOrg)
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
		return spec.Errorf(spec.CodeNotFinal, "the checkpoint has %d of %d cosignatures that make it final", len(s.Cosignatures), p.K)
	}
	return nil
}

// add takes a verified signature of a note: base64(key hash ‖ time ‖ signature),
// in its one strict form.
func (s *Signed) add(org, b64 string) error {
	raw, err := base64.StdEncoding.Strict().DecodeString(b64)
	c := Cosignature{Org: org}
	if err != nil || len(raw) != 4+8+len(c.Sig) {
		return spec.Errorf(spec.CodeCheckpoint, "a cosignature has another size")
	}
	for i := range s.Cosignatures {
		if s.Cosignatures[i].Org == org {
			return spec.Errorf(spec.CodeCheckpoint, "a sequencer cosigned twice in one note")
		}
	}
	c.Time = binary.BigEndian.Uint64(raw[4:])
	copy(c.Sig[:], raw[12:])
	s.Cosignatures = append(s.Cosignatures, c)
	return nil
}
