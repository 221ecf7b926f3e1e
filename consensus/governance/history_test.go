// SPDX-License-Identifier: Apache-2.0

package governance_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

// A history is a random walk of operations, right and wrong ones, by any
// organisation. pick chooses a number below its argument.
type history struct {
	*consortium
	pick    func(n int) int
	orgs    []string
	cases   []spec.Hash
	entries []spec.Hash
	steps   int
	// told is called with each operation that was accepted.
	told func(env []byte)
}

func newHistory(t testing.TB, pick func(n int) int) *history {
	c := found(t, func(p *spec.Policy) { p.Freeze, p.Clocks = true, spec.Clocks{} },
		"alpha", "bravo member GB", "charlie member DE", "delta", "ngo auditor BE", "police referrer FR", "tango reader IE")
	return &history{consortium: c, pick: pick, orgs: []string{"alpha", "bravo", "charlie", "delta", "ngo", "police", "tango", "echo", "foxtrot"}}
}

func (h *history) one(list []spec.Hash) spec.Hash {
	if len(list) == 0 {
		return spec.Hash{byte(h.pick(3))}
	}
	return list[h.pick(len(list))]
}

// step does one thing.
func (h *history) step() {
	h.steps++
	if h.pick(24) == 0 {
		h.tick(uint64(h.pick(30)*[]int{1, 1, 8}[h.pick(3)]) * hour)
		h.told(nil)
		return
	}
	org := h.orgs[h.pick(4)]
	switch h.pick(8) {
	case 0, 1:
		org = h.orgs[h.pick(len(h.orgs))]
	case 2:
		org = "ngo"
	}
	if h.keys[org] == nil {
		h.keys[org] = keyOf(org + " op")
	}
	body, o := h.body(org)
	env := h.sign(h.op(org, body), h.keys[org])
	out := h.enter(0, submission(h.t, env, o))[0]
	if out.Code != "" {
		return
	}
	if spec.OpensCase(body.Kind()) {
		h.cases = append(h.cases, out.ID)
	}
	if p, ok := body.(*spec.Proposal); ok {
		for i := range p.Items {
			h.entries = append(h.entries, spec.EntryID(out.ID, i))
		}
	}
	h.told(env)
}

func (h *history) body(org string) (spec.Body, *spec.Opening) {
	n := h.pick(20)
	if org == "ngo" {
		n = 14
	}
	switch {
	case n < 3:
		return h.proposal()
	case n < 14:
		v := &spec.Vote{Case: h.recent(), Choice: []uint64{spec.Approve, spec.Approve, spec.Approve, spec.Reject, spec.Abstain}[h.pick(5)]}
		if v.Choice == spec.Approve && h.pick(4) == 0 {
			v.Except = []uint64{uint64(h.pick(2))}
		}
		return v, nil
	case n < 17:
		return &spec.Dispute{Entry: h.one(h.entries[max(0, len(h.entries)-8):]), Reason: "wrong", Freeze: h.pick(4) == 0}, nil
	case n < 18:
		return &spec.Withdraw{Case: h.recent(), Reason: "mistake"}, nil
	}
	who := h.orgs[h.pick(len(h.orgs))]
	if who == org {
		return &spec.Membership{Action: spec.ActionLeave, Org: org}, nil
	}
	if h.pick(2) == 0 {
		return &spec.Membership{Action: spec.ActionExpel, Org: who}, nil
	}
	return enrolment(card(who)), nil
}

// recent is one of the last few cases, so that some are decided.
func (h *history) recent() spec.Hash {
	return h.one(h.cases[max(0, len(h.cases)-3):])
}

func (h *history) proposal() (spec.Body, *spec.Opening) {
	p, o := h.batch(fmt.Sprint(h.steps, "a"), fmt.Sprint(h.steps, "b"))
	p.Urgency = uint64(h.pick(2))
	if h.pick(4) == 0 {
		p.Referral = []spec.Referral{{Form: spec.FormNotice, Basis: "law", State: "FR"}}
		o.Texts = make([]spec.Text, 5)
	}
	return p, o
}

// seeded is a source of choices.
func seeded(seed uint64) func(int) int {
	r := rand.New(rand.NewPCG(seed, 1))
	return func(n int) int { return r.IntN(n) }
}

// TestMatchableIffTheVotesAreThere compares every random history with a replayer
// that shares no code with the rules (model_test.go), after each step.
func TestMatchableIffTheVotesAreThere(t *testing.T) {
	decided := map[string]int{}
	for seed := range uint64(60) {
		h := newHistory(t, seeded(seed))
		m := newModel(h.genesis)
		h.told = func(env []byte) {
			if env == nil {
				m.tick(h.now)
			} else if err := m.operation(env); err != nil {
				t.Fatalf("seed %d step %d: %v", seed, h.steps, err)
			}
			for _, e := range h.entries {
				h.compare(seed, m, e)
			}
		}
		for range 120 {
			h.step()
		}
		for _, id := range h.cases {
			var k spec.Case
			h.read(spec.CaseKey(id), &k)
			decided[spec.KindName(k.Kind)+" "+spec.OutcomeName(k.Outcome)]++
		}
	}
	for _, want := range []string{"addition accepted", "addition rejected", "addition lapsed", "addition withdrawn", "dispute accepted", "dispute rejected", "dispute lapsed", "membership accepted"} {
		if decided[want] == 0 {
			t.Errorf("no history has an %s: %v", want, decided)
		}
	}
}

// compare asks ledger and model whether an entry is matchable.
func (h *history) compare(seed uint64, m *model, entry spec.Hash) {
	h.t.Helper()
	live := false
	for at := range h.ledger.live {
		live = live || at.entry == entry
	}
	if want := m.matchable(entry); live != want {
		h.t.Fatalf("seed %d step %d: entry %v is matchable: %v, the votes say %v", seed, h.steps, entry, live, want)
	}
}

// digest runs a history and sums up the bytes of its state.
func digest(t testing.TB) string {
	h := newHistory(t, seeded(99))
	h.told = func([]byte) {}
	for range 150 {
		h.step()
	}
	sum := sha256.Sum256([]byte(h.ledger.dump()))
	return hex.EncodeToString(sum[:])
}

// TestAnotherProcessComesToTheSameBytes runs a history in processes with another
// seed of their maps and another number of processors.
func TestAnotherProcessComesToTheSameBytes(t *testing.T) {
	want := digest(t)
	if os.Getenv("TOCSIN_DIGEST") != "" {
		fmt.Println("digest", want)
		return
	}
	for _, procs := range []string{"1", "2", "7"} {
		cmd := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), "TOCSIN_DIGEST=1", "GOMAXPROCS="+procs)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if !strings.Contains(string(out), "digest "+want) {
			t.Fatalf("with %s processors the state is another:\n%s", procs, out)
		}
	}
}

// TestOrderOfIndependentOperations deals the votes on different cases in many
// orders; each case keeps its own.
func TestOrderOfIndependentOperations(t *testing.T) {
	var want string
	for seed := range uint64(20) {
		pick := seeded(seed)
		c := found(t, nil, memberLines(5)...)
		var votes [][]spec.Vote // by case
		var ids []spec.Hash
		for i := range 6 {
			id := c.propose("m00", fmt.Sprint(i, "a"), fmt.Sprint(i, "b"))
			ids = append(ids, id)
			votes = append(votes, scripted(uint64(i), id))
		}
		for left := true; left; {
			left = false
			for i := range votes {
				left = left || len(votes[i]) > 0
			}
			if i := pick(len(votes)); len(votes[i]) > 0 {
				v := votes[i][0]
				votes[i] = votes[i][1:]
				c.try(v.Reason, &spec.Vote{Case: v.Case, Choice: v.Choice, Except: v.Except}, nil)
			}
		}
		var got strings.Builder
		for i, id := range ids {
			var k spec.Case
			c.read(spec.CaseKey(id), &k)
			fmt.Fprintln(&got, i, k.Outcome, k.Yes, k.No, k.Abstain, c.ledger.matches(sha(fmt.Sprint(i, "a"))), c.ledger.matches(sha(fmt.Sprint(i, "b"))))
		}
		if want == "" {
			want = got.String()
		}
		if got.String() != want {
			t.Fatalf("seed %d: in this order\n%sinstead of\n%s", seed, got.String(), want)
		}
	}
}

// scripted is a fixed list of votes on one case; Reason names the voter.
func scripted(seed uint64, id spec.Hash) []spec.Vote {
	pick := seeded(1000 + seed)
	var out []spec.Vote
	for range 8 {
		v := spec.Vote{Case: id, Choice: uint64(1 + pick(3)), Reason: fmt.Sprintf("m%02d", 1+pick(4))}
		if v.Choice == spec.Approve && pick(2) == 0 {
			v.Except = []uint64{uint64(pick(2))}
		}
		out = append(out, v)
	}
	return out
}

// FuzzApply walks as the bytes say, and signs bodies that are bytes of the input.
// Every step also runs on a replica; refusals must leave no trace. A step is slow
// for a fuzzer, which should not spend its time on shorter inputs:
//
//	go test ./consensus/governance -run xxx -fuzz Apply -fuzzminimizetime 10x
func FuzzApply(f *testing.F) {
	f.Add([]byte("a walk of some length with votes and disputes"), []byte{0x80})
	for seed := range uint64(4) {
		r, script := seeded(seed), make([]byte, 200)
		for i := range script {
			script[i] = byte(r(256))
		}
		body, err := spec.Encode(&spec.Vote{Case: spec.Hash{1}, Choice: spec.Approve, Except: []uint64{3}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(script, body)
	}
	f.Fuzz(func(t *testing.T, script, body []byte) {
		script = script[:min(len(script), 150)]
		h := newHistory(t, func(n int) int {
			if len(script) == 0 {
				return 0
			}
			b := script[0]
			script = script[1:]
			return int(b) % n
		})
		h.told = func([]byte) {}
		for len(script) > 0 {
			h.step()
		}
		for kind := uint64(0); kind < 16; kind++ {
			op := h.op("alpha", &spec.Ready{})
			op.Kind, op.Body = kind, body
			if raw, err := spec.Encode(op); err != nil || len(raw) > spec.MaxLeaf-100 {
				return
			}
			before := h.ledger.dump()
			if out := h.enter(0, submission(t, h.sign(op, h.keys["alpha"]), nil))[0]; out.Code != "" && h.ledger.dump() != before {
				t.Fatalf("refused with %s, but it left a trace", out.Code)
			}
		}
	})
}
