// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"crypto/ed25519"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// A File is what members pass on among them until enough have signed. It holds
// nothing secret, and proves from the genesis document that its checkpoint is final.
type File struct {
	_       struct{} `cbor:",toarray"`
	Genesis spec.Hash
	Links   []tlog.Link // up to the panel of the checkpoint
	Note    []byte      // the final checkpoint
	Body    spec.Recover
	Signed  [][]byte // envelopes, by organisation
}

// prefix begins the one line of a file and carries its version.
const prefix = "tocsin-recovery-1:"

// MaxFile bounds a file in bytes.
const MaxFile = 4 << 20

// Draft makes the file of a recovery that nobody signed yet.
func Draft(g *spec.Genesis, chain *tlog.Chain, final *tlog.Signed, epoch uint64, seats []spec.Seat) (*File, error) {
	f := &File{Genesis: g.Hash(), Body: spec.Recover{Size: final.Size, Root: final.Root, Seats: seats, Epoch: epoch}}
	slices.SortFunc(f.Body.Seats, func(a, b spec.Seat) int { return strings.Compare(a.Org, b.Org) })
	if err := f.Body.Check(); err != nil {
		return nil, err
	}
	var err error
	if f.Note, err = chain.Note(final); err != nil {
		return nil, err
	}
	f.Links, err = chain.Links(final.Size)
	return f, err
}

// Marshal returns the file: one line.
func (f *File) Marshal() ([]byte, error) {
	b, err := spec.Encode(f)
	return []byte(prefix + base64.RawURLEncoding.EncodeToString(b) + "\n"), err
}

// Parse is the reverse of Marshal. What it returns is not verified.
func Parse(data []byte) (*File, error) {
	bad := spec.Errorf(spec.CodeMalformed, "this is no recovery: it begins with %q and is one line", prefix)
	line := strings.TrimSpace(string(data[:min(len(data), MaxFile+1)]))
	if len(data) > MaxFile || !strings.HasPrefix(line, prefix) {
		return nil, bad
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(strings.TrimPrefix(line, prefix))
	if err != nil {
		return nil, bad
	}
	f := new(File)
	if err := spec.Decode(b, f); err != nil {
		return nil, bad
	}
	return f, nil
}

// Check verifies from the genesis document alone that the checkpoint is final and
// that those who signed ask for going on from it. Whether their keys are in force,
// and how many have to sign, the state at the checkpoint says.
func (f *File) Check(g *spec.Genesis) (*tlog.Chain, *tlog.Signed, error) {
	if f.Genesis != g.Hash() {
		return nil, nil, spec.Errorf(spec.CodeGenesis, "the recovery is of another consortium")
	}
	chain, err := tlog.NewChain(g)
	if err != nil {
		return nil, nil, err
	}
	for i := range f.Links {
		if err := chain.Add(&f.Links[i]); err != nil {
			return nil, nil, err
		}
	}
	final, err := chain.OpenExact(f.Note)
	if err != nil {
		return nil, nil, err
	}
	if err := f.Body.Check(); err != nil {
		return nil, nil, err
	}
	if f.Body.Size != final.Size || f.Body.Root != final.Root {
		return nil, nil, spec.Errorf(spec.CodeRecovery, "the recovery goes on from another log than its final checkpoint of %d leaves", final.Size)
	}
	last := ""
	for _, env := range f.Signed {
		op, err := f.operation(env)
		if err != nil {
			return nil, nil, err
		}
		if op.Op.Org <= last {
			return nil, nil, spec.Errorf(spec.CodeMalformed, "those who signed stand by organisation, each once")
		}
		last = op.Op.Org
	}
	return chain, final, nil
}

// operation reads what one member signed, which must be this recovery.
func (f *File) operation(env []byte) (*spec.Signed, error) {
	op, err := spec.ParseEnvelope(env)
	if err != nil {
		return nil, err
	}
	if b, ok := op.Body.(*spec.Recover); !ok || b.Digest() != f.Body.Digest() || op.Op.Epoch+1 != f.Body.Epoch {
		return nil, spec.Errorf(spec.CodeRecovery, "%s signed something else than this recovery", op.Op.Org)
	}
	return op, nil
}

// Signers lists who signed.
func (f *File) Signers() []string {
	var ids []string
	for _, env := range f.Signed {
		if op, err := spec.ParseEnvelope(env); err == nil {
			ids = append(ids, op.Op.Org)
		}
	}
	return ids
}

// Sign adds an organisation's signature. The same organisation signs once.
func (f *File) Sign(origin, org string, key ed25519.PrivateKey) error {
	if slices.Contains(f.Signers(), org) {
		return spec.Errorf(spec.CodePending, "%s signed this recovery already", org)
	}
	op, err := spec.NewOp(&f.Body)
	if err != nil {
		return err
	}
	op.Org, op.Key, op.Epoch = org, spec.PublicKey(key.Public().(ed25519.PublicKey)).ID(), f.Body.Epoch-1
	env, err := spec.Sign(origin, op, key)
	if err != nil {
		return err
	}
	at, _ := slices.BinarySearch(f.Signers(), org)
	f.Signed = slices.Insert(f.Signed, at, env)
	return nil
}
