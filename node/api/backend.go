// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"io"
	"time"

	"github.com/tocsin-db/tocsin/spec"
)

// A Backend is the node behind the API. Its methods may be called by many
// goroutines. Who may call what was decided before they are called.
//
// A failure that the caller should understand is a *spec.Error; its code
// decides the answer's status (see problem.go). Anything else is answered as
// INTERNAL without its text, which goes to the log.
type Backend interface {
	// Match looks signals up that were checked with spec.Signal.Check.
	Match(ctx context.Context, signals []spec.Signal) (MatchAnswer, error)
	// MatchAll answers queries of such signals in their order, all as of one state of
	// the log. It fails for all of them or for none.
	MatchAll(ctx context.Context, queries [][]spec.Signal) ([]MatchAnswer, error)
	// MatchFile hashes what r yields and looks the signals up. The name is the
	// caller's and may be empty. r enforces the size limit.
	MatchFile(ctx context.Context, r io.Reader, name string) (MatchAnswer, error)

	// MatchRows reads rows of 32 bytes, each a SHA-256, until in ends and writes a
	// byte to out for each, in their order: 1 for a listed value, 0 for another. It
	// calls about once, before it reads. It fails with MALFORMED where in ends
	// within a row and with TOO_LARGE beyond MaxRows.
	MatchRows(ctx context.Context, in io.Reader, out io.Writer, about func(Freshness)) error

	// Propose, Vote and Dispute sign an operation of this organisation, submit
	// it and return its id once it is applied here. That of a proposal and of a
	// dispute is the id of the case that it opened. OUTCOME_UNKNOWN means that
	// it may still be applied.
	Propose(ctx context.Context, p Proposal) (spec.Hash, error)
	Vote(ctx context.Context, b Ballot) (Cast, error)
	Dispute(ctx context.Context, d Claim) (spec.Hash, error)
	// Submit does the same for an operation of any other kind. body makes it from
	// the salted hash of its one free text, nil when there is none.
	Submit(ctx context.Context, text string, body func(hash []byte) spec.Body) (spec.Hash, error)
	// Invite makes one line with which an organisation can ask to be enrolled.
	Invite(ctx context.Context, role, tier string, ttl time.Duration) (Invitation, error)

	// Cases lists summaries: open cases by deadline, soonest first; others in
	// any order that does not change.
	Cases(ctx context.Context, f CaseFilter, p Page) ([]CaseSummary, string, error)
	// Case fails with UNKNOWN_CASE. Values of signals are filled in only when
	// reveal is set and this node holds them.
	Case(ctx context.Context, id spec.Hash, reveal bool) (Case, error)
	Entries(ctx context.Context, f EntryFilter, p Page) ([]EntrySummary, string, error)
	// Entry fails with UNKNOWN_ENTRY.
	Entry(ctx context.Context, id spec.Hash, reveal bool) (Entry, error)
	// Policy, Taxonomy and Allowed are what is in force.
	Policy(ctx context.Context) (*spec.Policy, error)
	Taxonomy(ctx context.Context) (*spec.Taxonomy, error)
	Allowed(ctx context.Context) ([]spec.Allowed, error)
	// Propagation and Compliance report what the log says of how fast the
	// consortium and its organisations are.
	Propagation(ctx context.Context) (*Propagation, error)
	Compliance(ctx context.Context) (*Compliance, error)
	// Members lists every enrolled organisation by id.
	Members(ctx context.Context) ([]Member, error)

	Status(ctx context.Context) (Status, error)
	// VerifyStore looks at every record of the state again.
	VerifyStore(ctx context.Context) (*StoreReport, error)
	// RepairStore compares the state with members' and takes damaged buckets from
	// them.
	RepairStore(ctx context.Context) (*RepairReport, error)
	// Ready returns every check that must pass before lookups can be trusted, of the
	// node's own consortium.
	Ready(ctx context.Context) []Check
	Following
}

// A Page asks for the items behind a cursor. The cursor is "" for the first
// page and otherwise what the page before returned: it names the last item seen
// and stays good whatever is added meanwhile. A list's second result is the
// cursor of the next page, "" when there is none. BAD cursors get MALFORMED.
type Page struct {
	Cursor string
	Limit  int // 1 to MaxPage
}

// MaxPage is the largest page.
const MaxPage = 500

// Verdicts of a lookup.
const (
	VerdictMatch     = "match"
	VerdictReview    = "review"
	VerdictNoMatch   = "no-match"
	VerdictUnchecked = "unchecked"
)

// A MatchAnswer is what a lookup found and how fresh it is.
type MatchAnswer struct {
	Matches     []Match
	Signals     []spec.Signal // what was looked up, computed from the file or given
	Unsupported []Unsupported // what could not be looked up
	Truncated   bool          // there are more matches than are listed
	// Consortia says, where several are followed, on what the answer rests in each.
	Consortia []ConsortiumAnswer
	Freshness
}

// Verdict is "match" when anything matched that counts as listed, "review" when
// something did that does not, "unchecked" when nothing did and not everything could
// be looked up, else "no-match".
func (a *MatchAnswer) Verdict() string {
	for i := range a.Matches {
		if a.Matches[i].Verdict != VerdictReview {
			return VerdictMatch
		}
	}
	switch {
	case len(a.Matches) > 0:
		return VerdictReview
	case len(a.Unsupported) > 0 || len(a.Signals) == 0 || a.Incomplete || a.Truncated:
		return VerdictUnchecked
	}
	return VerdictNoMatch
}

// Freshness says on which state of the log an answer rests. Where several consortia
// are followed, the sizes are of the node's own log, Age the largest, and Stale true
// if it is for any.
type Freshness struct {
	Size  uint64        // leaves of the log
	Final uint64        // of them those that enough sequencers cosigned
	Age   time.Duration // of the newest final checkpoint
	Stale bool          // older than this node accepts
	// Incomplete says that a consortium that is followed did not answer.
	Incomplete bool
}

// A Match is one entry with one of its signals near one looked up.
type Match struct {
	Entry     spec.Hash
	Type      string
	Distance  int
	Threshold int
	State     string // spec.StateName
	Labels    []string
	LogIndex  uint64 // of the decision that gave the entry its state
	Final     bool   // that decision is in the final part of the log
	// Verdict is VerdictMatch or VerdictReview under the import policy; "", as
	// VerdictMatch, where there is nothing to tell apart.
	Verdict    string
	Consortium string // origin, where several are followed
}

// Unsupported is a signal type that could not be computed or looked up.
type Unsupported struct {
	Type string
	Code spec.Code
}

// A Proposal asks to list items.
type Proposal struct {
	Items    []ProposalItem
	Basis    string // code
	Text     string // free text, or empty
	Urgent   bool
	Referral *Referral // or nil
	Key      string    // the caller's name for it, under which it is submitted once; or empty
}

// A Referral is an authority's, with its texts in place of their hashes.
type Referral struct {
	spec.Referral
	ReferenceText, AuthorityText, LocatorText string // or empty
}

// A ProposalItem is one piece of content: its labels, sorted, each once, and its
// signals, grouped by type, each once.
type ProposalItem struct {
	Labels  []string
	Signals []spec.Signal
}

// A Ballot is a vote on a case.
type Ballot struct {
	Case   spec.Hash
	Choice uint64   // spec.Approve, spec.Reject or spec.Abstain
	Except []uint64 // items that an approval leaves out, ascending
	Reason string   // code, or empty
	Text   string   // free text, or empty

	Override []uint64 // items that an approval takes although they are held, ascending
}

// A Cast is a vote that was applied.
type Cast struct {
	ID    spec.Hash    // of the operation
	Blast []spec.Blast // what the items would hit at this site, where it looked
}

// A Claim disputes an entry.
type Claim struct {
	Entry   spec.Hash
	Reason  string   // code
	Text    string   // free text, or empty
	Signals []uint64 // numbers inside the entry, ascending; none: the whole entry
	Freeze  bool
}

// An Invitation is one line to hand to an organisation that wants to join. The
// line is a secret until it is used.
type Invitation struct {
	Line    string
	Role    string
	Tier    string
	Expires time.Time
}

// Kinds of cases.
const (
	CaseAddition  = "addition"
	CaseUrgent    = "urgent"   // an urgent addition
	CaseReferral  = "referral" // an addition that an authority asks for
	CaseDispute   = "dispute"
	CaseEnrolment = "enrolment"
	CaseExpulsion = "expulsion"
	CaseLeave     = "leave"
	CaseTier      = "tier"
	CaseKey       = "key"
	CasePolicy    = "policy"
	CaseTaxonomy  = "taxonomy"
	CaseAllow     = "allow-list"
)

// A CaseFilter narrows a list of cases. Empty fields do not narrow.
type CaseFilter struct {
	State string // spec.OutcomeName
	Kind  string
	Mine  bool // open, this organisation votes on it and has not voted
}

// A CaseSummary is a case in a list.
type CaseSummary struct {
	ID           spec.Hash
	Kind         string
	State        string
	Organisation string // that opened it
	Reason       string // basis or reason code
	Opened       time.Time
	Deadline     time.Time
	Decided      time.Time // zero while open
	Need         int       // approvals
	Yes          int
	No           int
	Abstain      int
	Items        int       // of an addition
	Signals      int       // of an addition
	Entry        spec.Hash // of a dispute
	Candidate    string    // of an enrolment, expulsion, leave or change of tier: the organisation's id
	Subject      string    // organisation that it is about
	MayVote      bool      // this organisation is in the electorate
	Voted        bool      // and has voted
}

// A Case is a case with all that is known of it here.
type Case struct {
	CaseSummary
	Text       string // free text of the operation, where held
	Electorate []string
	Votes      []Vote // of those who voted, by organisation
	LogIndex   uint64 // of the operation that opened it
	DecidedAt  uint64 // log index of the decision, 0 while open
	Content    []Item // of an addition
	Enrol      *spec.Organisation
	Referral   *Referral // with the texts that are held here
	// Explanation says in sentences why it stands where it stands and what it needs.
	Explanation []string
}

// A Vote is one organisation's ballot that counts.
type Vote struct {
	Organisation string
	Choice       uint64
	Except       []uint64
	Override     []uint64
	Blast        []spec.Blast
	Reason       string
	LogIndex     uint64
}

// An Item is one piece of content in a case or an entry.
type Item struct {
	Labels []string
	Counts []spec.Count  // number of signals by type
	Entry  spec.Hash     // that the item became, zero if none
	Values []spec.Signal // when revealed and held
}

// An EntryFilter narrows a list of entries. Empty fields do not narrow.
type EntryFilter struct {
	State        string // spec.StateName
	Label        string
	Organisation string // that proposed it
}

// An EntrySummary is an entry in a list.
type EntrySummary struct {
	ID           spec.Hash
	State        string
	Organisation string // that proposed it
	Labels       []string
	Signals      int
	Since        uint64 // log index of the decision that gave it its state
}

// An Entry is an entry with all that is known of it here.
type Entry struct {
	EntrySummary
	Case    spec.Hash // that listed it
	Number  int       // of the item in the case
	Content Item
	Dispute spec.Hash // open case against it, zero if none
}

// A Member is an enrolled organisation.
type Member struct {
	ID           string
	Name         string
	Role         string
	Tier         string
	Jurisdiction string
	Since        uint64 // log index of its enrolment, 0 for founders
	Self         bool
	Leader       bool
	Connected    bool
}

// A Status is what a node says of itself.
type Status struct {
	Version      string
	Origin       string // of the consortium
	Organisation string
	Role         string
	Tier         string // of what this node holds
	Raft         string // leader, follower, candidate; "" for a node that follows without voting
	Leader       string // id of the leading organisation, "" when unknown
	Epoch        uint64
	LogTime      time.Time
	Entries      uint64 // that can match
	Signals      uint64 // that can match
	OpenCases    uint64
	Peers        int // connected
	LiveRoot     spec.Hash
	RulesRoot    spec.Hash
	Damage       string   // the first bucket of the store that is damaged, or ""
	NotAnswering string   // why this node refuses lookups, or ""
	NotCosigning string   // why this member does not cosign, or ""
	Cosigners    []string // sequencers on the newest final checkpoint
	Witnesses    []string // names of the keys behind them
	Sync         *Sync    // of a node that follows, else nil
	Serving      Serving
	Consortia    []Consortium
	Freshness
}

// A StoreReport says what looking at every record of the state again showed.
type StoreReport struct {
	Size, Live, Rules, Derived uint64
	Bad                        []BadBucket
	More                       bool // there are more
}

// A BadBucket is a bucket of a tree over the state that is damaged.
type BadBucket struct {
	Tree       string
	Bucket, Of uint32
	Reason     string
}

// A RepairReport says who was asked to repair the store, and what came of it.
type RepairReport struct {
	Peers   []ComparedPeer
	Buckets []RepairedBucket // that were damaged
	Rebuilt *RebuiltStore    // nil: the store was not made anew
}

// A RebuiltStore was made anew from the node's own log.
type RebuiltStore struct {
	Size  uint64   // leaves of the log that were replayed
	Final uint64   // of them those that a final checkpoint covers
	Lost  []string // what could not be made anew, in words
	Aside string   // where the damaged store is
}

// A ComparedPeer is a member that was asked.
type ComparedPeer struct {
	Organisation string
	Size         uint64 // of the snapshot that was compared, 0: none
	Answers      int    // questions that it answered on the way to damaged buckets
	Says         string // that it agrees, or why it could not be compared
}

// A RepairedBucket was damaged.
type RepairedBucket struct {
	Tree       string // "live signals" or "rules"
	Bucket, Of uint32
	Repaired   bool
	From       string // organisation whose chunk was taken, or ""
	Reason     string // why it could not be repaired, or ""
}

// Sync is how a node that follows stands (spec/sync.md).
type Sync struct {
	State     string
	Known     uint64 // leaves of the largest final log that it has seen
	Behind    uint64
	Upstreams []Upstream
	Followers int
	Done, Of  uint64    // bytes of a snapshot
	Refusals  []Refusal // of upstreams, none of which delivered since
	LastError string
	FailedAt  time.Time // when that was
}

// A Refusal is an upstream's answer that it lets this node follow no more.
type Refusal struct {
	Organisation, Peer string // Organisation is "" where the state does not know the peer
	Code               spec.Code
	Message            string
	Since              time.Time
}

// Serving is what a node gives to those that follow it, and how much it would give.
type Serving struct {
	Subscribers, MaxSubscribers int    // nodes that follow this one
	Followers, MaxFollowers     int    // of them those that are pushed to
	BulkRate                    int64  // bytes a second for all that are far behind together
	BulkBytes, Chunks           uint64 // of snapshots, sent since the start
	Denied                      uint64 // requests that were refused, since the start, for the role of who made them
}

// An Upstream is a node that is followed.
type Upstream struct {
	Organisation string
	Pushes       bool
	Size         uint64
}

// A Check is one condition of being ready.
type Check struct {
	Name   string
	OK     bool
	Reason string // one sentence when not OK
}
