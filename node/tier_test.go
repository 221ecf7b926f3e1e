// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tocsin-db/tocsin/node"
	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/identity"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/p2p/federation"
	"github.com/tocsin-db/tocsin/p2p/federation/state"
	"github.com/tocsin-db/tocsin/spec"
)

// picture is a made-up picture: a SHA-256 and a PDQ hash that no other has. Of the
// latter half the bits are set, as admission expects.
func picture(n int) []spec.Signal {
	digest, hash := spec.LeafHash(fmt.Append(nil, "digest ", n)), spec.LeafHash(fmt.Append(nil, "pdq ", n))
	for i := range hash[16:] {
		hash[16+i] = ^hash[i]
	}
	return []spec.Signal{{Type: "sha256", Value: digest[:]}, {Type: "pdq", Value: hash[:], Quality: 90}}
}

func listPictures(t *testing.T, c *trial.Consortium, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		id, err := c.Members[0].Propose(t.Context(), api.Proposal{
			Items: []api.ProposalItem{{Labels: []string{"isil"}, Signals: picture(i)}}, Basis: "designated-entity",
		})
		if err != nil {
			t.Fatal(err)
		}
		approve(t, c.Members[1], id)
	}
}

// holdsValue names a file below dir that holds a value of one of the pictures, or "".
func holdsValue(t *testing.T, dir string, upto int) (name string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		for i := range upto {
			for _, s := range picture(i) {
				if bytes.Contains(b, s.Value) {
					name = path
				}
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// awaitSame waits until a node has the log of the first member, and verifies its store.
func awaitSame(t *testing.T, ctx context.Context, c *trial.Consortium, p *trial.Participant) {
	t.Helper()
	err := trial.Await(ctx, func() (bool, error) {
		return p.LogSize() == c.Members[0].LogSize() && p.LogRoot() == c.Members[0].LogRoot(), nil
	})
	if err != nil {
		t.Fatalf("%s has another log: %v", p.ID, err)
	}
	if v, err := p.VerifyStore(ctx); err != nil || len(v.Bad) > 0 {
		t.Fatalf("%s: %+v, %v", p.ID, v, err)
	}
}

// A reader of the digest tier joins by its invitation, begins with a snapshot and goes
// on by the log, finds what is equal, says of what others compare by nearness that it
// was not checked, and holds no value. One of the full tier beside it is as ever.
func TestAReaderOfTheDigestTierFindsWithoutValues(t *testing.T) {
	ctx, c := foundWith(t, trial.Options{Members: 3, Snapshots: 16})
	listPictures(t, c, 0, 10)
	keeping(t, ctx, c.Members...)
	reader, err := c.AddDigestReader(ctx, "tango")
	if err != nil {
		t.Fatal(err)
	}
	full, err := c.AddReader(ctx, "uniform")
	if err != nil {
		t.Fatal(err)
	}
	if reader.LogFirst() == 0 {
		t.Fatal("the reader replayed the log from the beginning")
	}
	listPictures(t, c, 10, 14)
	awaitMatches(t, ctx, reader, picture(13)[0], 1)
	awaitMatches(t, ctx, full, picture(13)[0], 1)
	for i := range 14 {
		near := picture(i)[1]
		near.Value = bytes.Clone(near.Value)
		near.Value[0] ^= 1
		for _, x := range []struct {
			of      *trial.Participant
			signals []spec.Signal
			want    string
		}{
			{reader, picture(i)[:1], api.VerdictMatch}, {reader, picture(i)[1:], api.VerdictMatch},
			{reader, []spec.Signal{near}, api.VerdictUnchecked}, {reader, []spec.Signal{picture(100)[0]}, api.VerdictNoMatch},
			{full, []spec.Signal{near}, api.VerdictMatch}, {full, picture(100), api.VerdictNoMatch},
		} {
			a, err := x.of.Match(ctx, x.signals)
			if err != nil || a.Verdict() != x.want {
				t.Fatalf("%s says %q of picture %d, want %q: %v", x.of.ID, a.Verdict(), i, x.want, err)
			}
			inexact := slices.Contains(a.Unsupported, api.Unsupported{Type: "pdq", Code: spec.CodeTier})
			if want := x.of == reader && x.signals[0].Type == "pdq"; inexact != want {
				t.Fatalf("%s: not in this tier: %v, want %v", x.of.ID, a.Unsupported, want)
			}
		}
	}
	// One signal of an entry from before the snapshot: which one its opening tells.
	entry := matches(t, c.Members[0], picture(2)[0])[0].Entry
	dispute, err := c.Members[2].Dispute(ctx, api.Claim{Entry: entry, Reason: "lawful-content", Signals: []uint64{0}})
	if err != nil {
		t.Fatal(err)
	}
	approve(t, c.Members[1], dispute)
	awaitMatches(t, ctx, reader, picture(2)[0], 0)
	awaitMatches(t, ctx, reader, picture(2)[1], 1)
	awaitSame(t, ctx, c, reader)
	awaitSame(t, ctx, c, full)
	if st, err := reader.Status(ctx); err != nil || st.Tier != spec.TierDigest {
		t.Fatalf("tier %q, %v", st.Tier, err)
	}
	if r, err := reader.RepairStore(ctx); err != nil || len(r.Peers) == 0 || r.Peers[0].Size == 0 || len(r.Buckets) > 0 {
		t.Fatalf("compared with peers: %+v, %v", r, err)
	}
	for _, p := range []*trial.Participant{reader, full} {
		if err := p.Stop(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if name := holdsValue(t, reader.Dir, 14); name != "" {
		t.Fatalf("%s holds a value", name)
	}
	if holdsValue(t, full.Dir, 14) == "" {
		t.Fatal("values are not found where they are")
	}
	if err := c.Start(ctx, reader); err != nil {
		t.Fatal(err)
	}
	awaitMatches(t, ctx, reader, picture(1)[0], 1)
}

// What a reader of the digest tier asks for beyond its tier is refused and counted, and
// nothing that it is sent holds a value.
func TestWhoIsOfTheDigestTierIsSentNoValue(t *testing.T) {
	ctx, c := foundWith(t, trial.Options{Members: 3, Snapshots: 16})
	listPictures(t, c, 0, 10)
	keeping(t, ctx, c.Members...)
	reader, err := c.AddDigestReader(ctx, "tango")
	if err != nil {
		t.Fatal(err)
	}
	awaitSame(t, ctx, c, reader)
	if err := reader.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	member := c.Members[0]
	host, peer := posing(t, reader, member)
	before, err := member.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	size := member.LogSize()
	if err := trial.Await(ctx, func() (bool, error) { return member.Final().Size >= size, nil }); err != nil {
		t.Fatal(err)
	}
	client, err := state.Dial(ctx, host, peer)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	m, err := client.Manifest(0, size)
	if err != nil {
		t.Fatal(err)
	}
	clean := func(what string, b []byte) {
		t.Helper()
		for i := range 10 {
			for _, s := range picture(i) {
				if bytes.Contains(b, s.Value) {
					t.Fatalf("%s holds a value", what)
				}
			}
		}
	}
	for i := range uint32(state.Chunks) {
		b, err := client.Keys(m.Size, i)
		if err != nil {
			t.Fatal(err)
		}
		clean("a chunk", b)
	}
	clean("the log", rangeOf(t, ctx, host, peer, size))
	entry := matches(t, member, picture(3)[0])[0].Entry
	e, err := member.Entry(ctx, entry, false)
	if err != nil {
		t.Fatal(err)
	}
	req, err := spec.Encode([]spec.Hash{e.Case})
	if err != nil {
		t.Fatal(err)
	}
	b, err := host.Call(ctx, peer, "/tocsin/keys/1", req, p2p.MaxFrame)
	k := picture(3)[1].Key()
	if err != nil || !bytes.Contains(b, k[:]) {
		t.Fatalf("the keys of a case: %x, %v", b, err)
	}
	clean("an opening", b)

	if _, err := host.Call(ctx, peer, "/tocsin/open/1", req, p2p.MaxFrame); spec.CodeOf(err) != spec.CodeDenied {
		t.Fatalf("an opening with values: %v", err)
	}
	if _, err := client.Chunk(m.Size, 0); spec.CodeOf(err) != spec.CodeDenied {
		t.Fatalf("a chunk of values: %v", err)
	}
	after, err := member.Status(ctx)
	if err != nil || after.Serving.Denied != before.Serving.Denied+2 {
		t.Fatalf("%d requests were denied, and before %d: %v", after.Serving.Denied, before.Serving.Denied, err)
	}
}

// posing is a host under the keys of a participant that does not run, and the peer id
// of another.
func posing(t *testing.T, as, other *trial.Participant) (*p2p.Host, p2p.PeerID) {
	t.Helper()
	id, err := identity.Load(as.Dir)
	if err != nil {
		t.Fatal(err)
	}
	g, err := identity.LoadGenesis(as.Dir)
	if err != nil {
		t.Fatal(err)
	}
	o, _ := g.Genesis.Member(other.ID)
	peer, err := p2p.IDFromPublicKey(o.Libp2pKey[:])
	if err != nil {
		t.Fatal(err)
	}
	host, err := p2p.NewHost(p2p.Config{Key: id.Libp2p, Directory: anybody{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close() })
	if err := host.AddPeer(peer, g.Addresses[other.ID]); err != nil {
		t.Fatal(err)
	}
	return host, peer
}

type anybody struct{}

func (anybody) Role(p2p.PeerID) (string, bool) { return spec.RoleMember, true }

// rangeOf is all that a server sends of the log up to size.
func rangeOf(t *testing.T, ctx context.Context, host *p2p.Host, peer p2p.PeerID, size uint64) (all []byte) {
	t.Helper()
	s, err := host.OpenStream(ctx, peer, federation.RangeProtocol)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Reset()
	want, err := spec.Encode([]uint64{0, size, 8 << 20})
	if err == nil {
		err = s.WriteFrame(append([]byte{1}, want...))
	}
	if err == nil {
		err = s.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	for {
		frame, err := s.ReadFrame(p2p.MaxFrame)
		if err != nil || len(frame) == 0 || frame[0] == 4 {
			t.Fatalf("the log: %x, %v", frame, err)
		}
		all = append(all, frame...)
		if frame[0] == 2 {
			return all
		}
	}
}

// A case changes the tier of a reader: it starts again without what it held, fetches
// what it is to have, and once it is of the digest tier its files hold no value.
func TestACaseChangesTheTier(t *testing.T) {
	t.Run("decided before the snapshot", func(t *testing.T) { changeTier(t, 16, 16) })
	// Then the newest snapshot still says the tier of before.
	t.Run("decided behind the snapshot", func(t *testing.T) { changeTier(t, 64, 12) })
}

// changeTier makes a reader of the digest tier a full one and back, beginning at most
// so many leaves behind a snapshot size.
func changeTier(t *testing.T, snapshots, behind uint64) {
	ctx, c := foundWith(t, trial.Options{Members: 3, Snapshots: snapshots})
	listPictures(t, c, 0, 6)
	reader, err := c.AddDigestReader(ctx, "tango")
	if err != nil {
		t.Fatal(err)
	}
	for i := 6; ; i++ {
		st, err := c.Members[0].Status(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if st.Size > snapshots && st.Size%snapshots < behind {
			break
		}
		listPictures(t, c, i, i+1)
	}
	for _, x := range []struct{ tier, near string }{
		{spec.TierFull, api.VerdictMatch}, {spec.TierDigest, api.VerdictUnchecked},
	} {
		id, err := c.Members[0].Submit(ctx, "", func([]byte) spec.Body {
			return &spec.Membership{Action: spec.ActionTier, Org: reader.ID, Tier: x.tier}
		})
		if err != nil {
			t.Fatal(err)
		}
		approve(t, c.Members[1], id)
		near := picture(1)[1]
		near.Value = bytes.Clone(near.Value)
		near.Value[0] ^= 1
		err = c.Settle(ctx, func() (bool, error) {
			if st, err := reader.Status(ctx); err != nil || st.Tier != x.tier {
				return false, nil
			}
			a, err := reader.Match(ctx, []spec.Signal{near})
			if err != nil || a.Verdict() != x.near {
				return false, nil
			}
			b, err := reader.Match(ctx, picture(5)[:1])
			return err == nil && b.Verdict() == api.VerdictMatch, nil
		})
		if err != nil {
			t.Fatalf("to %s: %v", x.tier, err)
		}
		awaitSame(t, ctx, c, reader)
	}
	if err := reader.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if name := holdsValue(t, reader.Dir, 6); name != "" {
		t.Fatalf("%s holds a value", name)
	}
}

// What a snapshot from before a change of tier says does not undo the change: a reader
// whose database is older than the decision for which it was begun anew keeps it and
// goes on. Here it is that of a member from before the decision.
func TestASnapshotFromBeforeAChangeOfTierDoesNotUndoIt(t *testing.T) {
	ctx, c := foundWith(t, trial.Options{Members: 3})
	listPictures(t, c, 0, 2)
	reader, err := c.AddDigestReader(ctx, "tango")
	if err != nil {
		t.Fatal(err)
	}
	awaitSame(t, ctx, c, reader)
	charlie := c.Members[2]
	awaitSame(t, ctx, c, charlie)
	for _, p := range []*trial.Participant{reader, charlie} {
		if err := p.Stop(ctx); err != nil {
			t.Fatal(err)
		}
	}
	store := filepath.Join(reader.Dir, "fsm")
	if err := os.RemoveAll(store); err != nil {
		t.Fatal(err)
	}
	copyData(t, store, filepath.Join(charlie.Dir, "fsm"))
	if err := c.Start(ctx, charlie); err != nil {
		t.Fatal(err)
	}
	id, err := c.Members[0].Submit(ctx, "", func([]byte) spec.Body {
		return &spec.Membership{Action: spec.ActionTier, Org: reader.ID, Tier: spec.TierFull}
	})
	if err != nil {
		t.Fatal(err)
	}
	approve(t, c.Members[1], id)
	decided := c.Members[1].LogSize()
	if err := os.WriteFile(filepath.Join(reader.Dir, "tier"), fmt.Append(nil, spec.TierFull, " ", decided), 0o600); err != nil {
		t.Fatal(err)
	}
	log := &counted{message: "a case changed this node's tier"}
	reader.Configure(func(cfg *node.Config) { cfg.Logger = slog.New(log) })
	if err := c.Start(ctx, reader); err != nil {
		t.Fatal(err)
	}
	near := flipped(picture(1)[1], 0)
	err = trial.Await(ctx, func() (bool, error) {
		if log.times.Load() > 0 {
			return false, errors.New("what is older than the decision changed the tier")
		}
		a, err := reader.Match(ctx, []spec.Signal{near})
		return err == nil && a.Verdict() == api.VerdictMatch && reader.LogSize() >= decided, nil
	})
	if err != nil {
		t.Fatalf("the reader is not of the full tier: %v", err)
	}
	awaitSame(t, ctx, c, reader)
}

// counted is a log that counts one message.
type counted struct {
	slog.Handler
	message string
	times   atomic.Int64
}

func (h *counted) Enabled(context.Context, slog.Level) bool { return true }
func (h *counted) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h *counted) WithGroup(string) slog.Handler            { return h }
func (h *counted) Handle(_ context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, h.message) {
		h.times.Add(1)
	}
	return nil
}
