// SPDX-License-Identifier: Apache-2.0

package spec_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

const recordFile = "testdata/records.json"

// recordBook has a record of each kind of rules.md: the bytes of CBOR[key, value],
// of which its leaf under rules_root is made.
func recordBook(t testing.TB) *vectorBook {
	b := &vectorBook{Notice: "Made by this project. Records of the rules' state (rules.md): the bytes are CBOR[key, value], whose leaf is SHA-256(0x00 ‖ bytes). Keys, organisations and the genesis document are those of objects.json."}
	add := func(name, note string, key, value []byte) { b.add(name, "record", note, encode(t, []any{key, value})) }
	value := func(v any) []byte { return encode(t, v) }
	g, id, entry := genesis(), spec.Hash{1, 2}, spec.Hash{3, 4}
	policy := g.Policy
	add("genesis", "of the genesis document", spec.GenesisKey, value(&spec.GenesisRecord{Origin: g.Origin(), Hash: g.Hash()}))
	add("policy", "the default policy, in force", spec.PolicyKey, value(&policy))
	add("past-policy", "the same under its digest", spec.PastPolicyKey(policy.Digest()), value(&policy))
	add("clock", "epoch 2, log time 1700000000000, 2 members, versions 1, clock 7200000, panel 3, last tick 9", spec.ClockKey, value(&spec.Clock{
		Epoch: 2, TimeMS: 1700000000000, Members: 2, Policy: policy.Digest(), Schemas: []uint64{1}, MatchableMS: 7200000, Panel: 3, Ticked: 9,
	}))
	add("panel", "panel 3 from size 9 on: alpha with key 4", spec.PanelKey(3), value(&spec.PanelRecord{Size: 9, Panel: spec.Panel{
		Tag: spec.TagPanel, Number: 3, K: 1, Seats: []spec.Seat{{Org: "alpha", Key: public(4)}},
	}}))
	add("panel-recovered", "the same, by a recovery from size 4", spec.PanelKey(3), value(&spec.PanelRecord{Size: 9, From: 4, Panel: spec.Panel{
		Tag: spec.TagPanel, Number: 3, K: 1, Seats: []spec.Seat{{Org: "alpha", Key: public(4)}},
	}}))
	add("recovery", "two members ask for 0700… from size 9", spec.RecoveryKey, value(&spec.RecoveryRecord{Body: spec.Hash{7}, Size: 9, Orgs: []string{"alpha", "bravo"}}))
	terms := spec.DefaultTaxonomy().Terms[:1]
	add("taxonomy", "version 2 with one term", spec.TaxonomyKey, value(&spec.Taxonomy{Version: 2, Terms: terms}))
	add("allowed", "md5 of sixteen bytes a5 and of b6; not CBOR", spec.AllowedKey("md5"), append(bytes.Repeat([]byte{0xa5}, 16), bytes.Repeat([]byte{0xb6}, 16)...))
	addOrganisations(b, t)
	add("case", "an open addition by alpha at index 5, with one approval of two", spec.CaseKey(id), value(&spec.Case{
		Kind: spec.KindProposal, Org: "alpha", Key: public(3).ID(), Index: 5, OpenedMS: 1700000000000, DeadlineMS: 1700259200000, DueMS: 1700259200000,
		Policy: policy.Digest(), Rule: policy.Addition, Voters: 2, Base: 2, Need: 2, Yes: 1, Reason: "designated-entity", Items: 2, Signals: 3,
	}))
	add("content", "the body of the operation proposal; not CBOR of its own", spec.ContentKey(id), value(proposal()))
	add("admission", "the leaf admission", spec.AdmissionKey(id), value(&spec.Admission{
		Tag: spec.TagAdmission, Case: id, Findings: []spec.Finding{{Item: 0, What: spec.FindingListed, Count: 1}},
	}))
	add("vote", "bravo's approval at index 6 without item 1", spec.VoteKey(id, "bravo"), value(&spec.VoteRecord{Choice: spec.Approve, Except: []uint64{1}, Index: 6, Key: public(6).ID()}))
	add("due", "at 1700259200000; no value", spec.DueKey(1700259200000, id), nil)
	add("decided", "case 0102… at index 8; not CBOR", spec.DecidedKey(8), id[:])
	add("entry", "item 1 of case 0102…, active since 8", spec.EntryKey(entry), value(&spec.Entry{
		Case: id, Item: 1, Org: "alpha", State: spec.StateActive, Since: 8, Labels: []string{"propaganda", "video"},
		Counts: []spec.Count{{Type: "md5", Count: 1}}, First: 2, Count: 1, Confirmed: true,
	}))
	return b
}

// addOrganisations adds the records that stand under the id of an organisation.
func addOrganisations(b *vectorBook, t testing.TB) {
	add := func(name, note string, key []byte, v any) {
		b.add(name, "record", note, encode(t, []any{key, encode(t, v)}))
	}
	alpha := organisation(1, "alpha", spec.RoleMember, "FR")
	bravo := spec.OrgRecord{Organisation: organisation(2, "bravo", spec.RoleMember, "GB"), Since: 4, Tier: spec.TierFull}
	id := spec.Hash{1, 2}
	add("org", "alpha, a founder, with key 40 as a further op key and key 41 revoked", spec.OrgKey("alpha"), &spec.OrgRecord{
		Organisation: alpha, Tier: spec.TierFull, More: []spec.PublicKey{public(40)}, Revoked: []spec.PublicKey{public(41)},
	})
	add("former", "bravo, expelled at index 20", spec.FormerKey("bravo"), &spec.FormerRecord{Enrolled: bravo, Until: 20, Action: spec.ActionExpel})
	add("seq", "of alpha's key 3: 7 is taken, none else", spec.SeqKey("alpha", public(3).ID()), &spec.SeqRecord{Highest: 7, Taken: [spec.Window / 8]byte{1 << 7}})
	b.add("pending", "record", "a case to expel bravo is open; not CBOR", encode(t, []any{spec.PendingKey(spec.ActionExpel, "bravo"), id[:]}))
	add("quota", "alpha opened 3 additions on day 19675", spec.QuotaKey("alpha", byte(spec.KindProposal)), &spec.QuotaRecord{Day: 19675, Count: 3})
	add("bar", "alpha, until 1702592000000, for case 0102…", spec.BarKey("alpha"), &spec.BarRecord{UntilMS: 1702592000000, Case: id})
	add("review", "of alpha's key 3: from 5, next 8, to 20", spec.ReviewKey("alpha", public(3).ID()), &spec.ReviewRecord{Case: id, Since: 5, Next: 8, Until: 20})
	add("ready", "alpha, by the operation at 12, holding 10", spec.ReadyKey("alpha"), &spec.ReadyRecord{Index: 12, Size: 10})
	add("receipt", "alpha confirmed 8, its second", spec.ReceiptKey("alpha"), &spec.ReceiptRecord{Index: 8, AtMS: 1700000000100, Count: 2})
	add("awaited", "the decision at 8, due at 1700007200000", spec.AwaitedKey, &spec.AwaitedRecord{Index: 8, DueMS: 1700007200000})
	add("action", "alpha: 4 reports, one late, worst 9000", spec.ActionKey("alpha"), &spec.ActionRecord{Reports: 4, Late: 1, WorstMS: 9000})
	add("marks", "alpha: one for a referral, two for confirmations", spec.MarksKey("alpha"), &spec.MarksRecord{Referral: 1, Matchable: 2})
}

// recordValue is what the value under a key is read into; nil where it is no CBOR.
func recordValue(key []byte) any {
	switch key[0] {
	case 'g':
		return new(spec.GenesisRecord)
	case 'p', 'P':
		return new(spec.Policy)
	case 't':
		return new(spec.Clock)
	case 'y':
		return new(spec.PanelRecord)
	case 'e':
		return new(spec.RecoveryRecord)
	case 'l':
		return new(spec.Taxonomy)
	case 'o':
		return new(spec.OrgRecord)
	case 'x':
		return new(spec.FormerRecord)
	case 'q':
		return new(spec.SeqRecord)
	case 'c':
		return new(spec.Case)
	case 'i':
		return new(spec.Proposal)
	case 'h':
		return new(spec.Admission)
	case 'v':
		return new(spec.VoteRecord)
	case 'n':
		return new(spec.Entry)
	case 'u':
		return new(spec.QuotaRecord)
	case 'b':
		return new(spec.BarRecord)
	case 'r':
		return new(spec.ReviewRecord)
	case 's':
		return new(spec.ReadyRecord)
	case 'w':
		return new(spec.ReceiptRecord)
	case 'f':
		return new(spec.AwaitedRecord)
	case 'k':
		return new(spec.ActionRecord)
	case 'm':
		return new(spec.MarksRecord)
	}
	return nil
}

// TestRecordVectors computes every record again, or writes them with -update.
func TestRecordVectors(t *testing.T) {
	want := recordBook(t)
	if *update {
		writeBook(t, recordFile, want)
	}
	got := readBook(t, recordFile)
	if len(got.Vectors) != len(want.Vectors) || got.Notice != want.Notice {
		t.Fatalf("%s has %d vectors, the records make %d", recordFile, len(got.Vectors), len(want.Vectors))
	}
	for i, v := range want.Vectors {
		if got.Vectors[i] != v {
			t.Errorf("%s: the file says\n %+v\nthe record is\n %+v", v.Name, got.Vectors[i], v)
		}
	}
}

func writeBook(t testing.TB, path string, b *vectorBook) {
	t.Helper()
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetIndent("", " ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(b); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readBook(t testing.TB, path string) (b vectorBook) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &b); err != nil {
		t.Fatal(err)
	}
	return b
}

// record is a pinned record, its bytes checked to be one.
func record(t testing.TB, v *vector) (key, value []byte) {
	t.Helper()
	data, err := hex.DecodeString(v.Hex)
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		_     struct{} `cbor:",toarray"`
		Key   []byte
		Value []byte
	}
	if err := spec.Decode(data, &r); err != nil || len(r.Key) == 0 {
		t.Fatalf("%s: %v", v.Name, err)
	}
	if spec.RuleLeaf(r.Key, r.Value) != spec.LeafHash(data) {
		t.Errorf("%s: its leaf is not over the pinned bytes", v.Name)
	}
	return r.Key, r.Value
}

// TestRecordVectorsParse reads each value and writes it again.
func TestRecordVectorsParse(t *testing.T) {
	for _, v := range readBook(t, recordFile).Vectors {
		key, value := record(t, &v)
		into := recordValue(key)
		if into == nil {
			continue
		}
		if err := spec.Decode(value, into); err != nil {
			t.Errorf("%s: %v", v.Name, err)
			continue
		}
		if again := encode(t, into); !bytes.Equal(again, value) {
			t.Errorf("%s: read and written again it is %x", v.Name, again)
		}
	}
}

// TestEveryRecordIsPinned reads the table of rules.md: each kind of record has a
// vector, and none has two kinds.
func TestEveryRecordIsPinned(t *testing.T) {
	text, err := os.ReadFile("rules.md")
	if err != nil {
		t.Fatal(err)
	}
	pinned := map[string]bool{}
	for _, v := range readBook(t, recordFile).Vectors {
		key, _ := record(t, &v)
		pinned[string(key[:1])] = true
	}
	rows := regexp.MustCompile("(?m)^\\| `(.)` \\|").FindAllStringSubmatch(string(text), -1)
	for _, r := range rows {
		if !pinned[r[1]] {
			t.Errorf("no vector has a record %q", r[1])
		}
		delete(pinned, r[1])
	}
	if len(rows) < 20 || len(pinned) != 0 {
		t.Errorf("rules.md names %d records; it does not name %s", len(rows), strings.Join(keysOf(pinned), " "))
	}
}

func keysOf(m map[string]bool) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	return out
}
