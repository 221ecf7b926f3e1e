// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"unsafe"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tocsin-db/tocsin/consensus"
	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/cosign"
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// Carry hands a submission over as it is, as a hostile organisation would.
func (n *Node) Carry(ctx context.Context, sub spec.Submission) (spec.Outcome, error) {
	return n.carry(ctx, sub)
}

// Propose bypasses the check at submission, as a leader that lets all through.
func (n *Node) ProposeUnchecked(ctx context.Context, sub spec.Submission) (spec.Outcome, error) {
	return n.consensus.Submit(ctx, sub)
}

// FreshnessOf is what answers say of the log that they rest on.
var FreshnessOf = freshnessOf

// HandWitness hands a cosignature in as a peer would.
func (n *Node) HandWitness(ctx context.Context, from p2p.PeerID, c tlog.Checkpoint, sig tlog.Cosignature) error {
	req, err := spec.Encode(&witnessed{Size: c.Size, Root: c.Root, Time: sig.Time, Sig: sig.Sig[:]})
	if err == nil {
		_, err = n.serveWitness(ctx, from, protocolWitness, req)
	}
	return err
}

// Claim sends a cosignature to another sequencer, whatever it is on.
func (n *Node) Claim(ctx context.Context, org string, c tlog.Checkpoint, sig tlog.Cosignature) error {
	req, err := spec.Encode([]any{n.final.Newest().Size, []any{[]any{c.Size, c.Root, sig.Key, sig.Time, sig.Sig}}})
	if err == nil {
		_, err = n.sendCosign(ctx, org, req)
	}
	return err
}

// PeerOf returns the transport id of an organisation.
func (n *Node) PeerOf(org string) p2p.PeerID {
	id, _ := n.directory.peer(org)
	return id
}

// Leads reports whether this node leads.
func (n *Node) Leads() bool { return n.consensus != nil && n.consensus.IsLeader() }

// Panel lists the organisations of the newest panel that this node knows.
func (n *Node) Panel() []string {
	p, _, _ := n.chain.Panel(n.chain.Number())
	var ids []string
	for _, s := range p.Seats {
		ids = append(ids, s.Org)
	}
	return ids
}

// Servers lists the servers of raft's configuration.
func (n *Node) Servers() []consensus.Server { return n.consensus.Status().Servers }

// HandSeed writes this node's database into another's data directory, as that one
// would have fetched it.
func (n *Node) HandSeed(dir string) error {
	a, _, r, err := n.replica.Export()
	if err != nil {
		return err
	}
	defer r.Close()
	db, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	head, err := spec.Encode(&seedHead{Index: a.Index, Term: a.Term, Conf: a.Conf, ConfIndex: a.ConfIndex, Size: uint64(len(db))})
	if err != nil {
		return err
	}
	b := append(binary.BigEndian.AppendUint32(nil, uint32(len(head))), head...)
	return os.WriteFile(filepath.Join(dir, seedFile), append(b, db...), 0o600)
}

// Addresses lists where the node listens.
func (n *Node) Addresses() []string { return n.host.Addrs() }

// HoldStore keeps the node from applying anything until release is called.
func (n *Node) HoldStore() (release func(), err error) {
	tx, err := n.store.Begin()
	if err != nil {
		return nil, err
	}
	return tx.Drop, nil
}

// Further is the running node of a further consortium, or nil.
func (n *Node) Further(name string) *Node {
	if c := n.further.find(name); c != nil {
		return c.node.Load()
	}
	return nil
}

// Hear takes evidence of a fork in, as a peer would hand it over.
func (n *Node) Hear(ctx context.Context, e *cosign.Evidence) error {
	b, err := e.Encode()
	if err == nil {
		_, err = n.serveAlarm(ctx, n.host.ID(), cosign.AlarmProtocol, b)
	}
	return err
}

// Chain is who makes the log final.
func (n *Node) Chain() *tlog.Chain { return n.chain }

// LeavesFrom are leaves of the log from an index on.
func (n *Node) LeavesFrom(index uint64) ([][]byte, error) { return n.store.Leaves(index, 1<<20) }

// Keeps reports whether the node keeps a snapshot that others can begin with.
func (n *Node) Keeps() bool { return len(n.store.Snapshots()) > 0 }

// FinalNow is the newest final checkpoint.
func (n *Node) FinalNow() *tlog.Signed { return n.final.Signed() }

// ParseAddresses and ParseToldAddresses read what peers tell of addresses.
func ParseAddresses(b []byte) error { _, err := parseAddresses(b); return err }

func ParseToldAddresses(b []byte) error { _, err := parseToldAddresses(b); return err }

// Pebble is the database of a running node, past the door of its store: what is
// written there is damage.
func (n *Node) Pebble() *pebble.DB {
	field := reflect.ValueOf(n.store).Elem().FieldByName("db").Elem().FieldByName("pebble")
	return *(**pebble.DB)(unsafe.Pointer(field.UnsafeAddr()))
}

// OpenAddresses is what a node knows of where sequencers are reached.
func OpenAddresses(dir string) *addressBook { return openAddresses(dir) }

func (b *addressBook) Said(by, org string, addrs []string) bool { return b.said(by, org, addrs) }
func (b *addressBook) Of(org string) []string                   { return b.of(org) }
func (b *addressBook) Save(orgs []string) error                 { return b.save(orgs) }

// NewTasks are the tasks of a node.
func NewTasks() *tasks { return newTasks() }

func (t *tasks) Begin(fn func(context.Context)) { t.begin(fn) }
func (t *tasks) Stop() error                    { return t.stop(context.Background()) }

// HandedOver tells the node that a panel took over, as its cosigner does.
func (n *Node) HandedOver(number uint64, l *tlog.Link) { n.handedOver(number, l) }

// LeaveSent leaves a proposal in the outbox under a key, as a crash does before its
// outcome is known.
func (n *Node) LeaveSent(key string, p api.Proposal) (spec.Submission, error) {
	body, opening, err := blind(p)
	if err != nil {
		return spec.Submission{}, err
	}
	sub, err := n.signer.sign(n.store, body, opening)
	if err != nil {
		return sub, err
	}
	return sub, writeSent(sentPath(n.cfg.Dir, key), &sent{ID: spec.LeafHash(sub.Envelope), Submission: []spec.Submission{sub}})
}

// A Verdict is what became of one forwarded submission.
type Verdict = verdict

// OnForward puts do in the place of sending a request of protocolSubmit; pass sends it.
func (n *Node) OnForward(do func(subs []spec.Submission, pass func() ([]Verdict, error)) ([]Verdict, error)) {
	n.forwards.mu.Lock()
	defer n.forwards.mu.Unlock()
	call := n.forwards.call
	n.forwards.call = func(ctx context.Context, to p2p.PeerID, req []byte) ([]byte, error) {
		subs, err := parseForwarded(req)
		if err != nil {
			return nil, err
		}
		out, err := do(subs, func() (out []Verdict, err error) {
			resp, err := call(ctx, to, req)
			if err == nil {
				err = spec.Decode(resp, &out)
			}
			return out, err
		})
		if err != nil {
			return nil, err
		}
		return spec.Encode(out)
	}
}
