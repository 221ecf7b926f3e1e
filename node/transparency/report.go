// SPDX-License-Identifier: Apache-2.0

// Package transparency makes the transparency report: a pure function of the public
// log, so that whoever has the log comes to the same bytes. Nothing in it rests on a
// hash value.
package transparency

// A Report is the figures. Lists are sorted; durations are log time in milliseconds.
type Report struct {
	Origin  string `json:"origin"`
	Leaves  uint64 `json:"leaves"`
	FromMS  uint64 `json:"from_ms"` // log time of the first leaf that has one
	ToMS    uint64 `json:"to_ms"`
	Members int    `json:"members"` // organisations that were ever enrolled, by any role

	Total          Items   `json:"total"`
	ByLabel        []Items `json:"by_label"` // an item counts under each of its labels
	ByOrganisation []Items `json:"by_organisation"`
	ByRole         []Items `json:"by_role"`
	ByReferral     []Items `json:"by_referral"` // form and issuing state; "none" for what no authority asked for

	Decisions Times    `json:"decisions"` // proposal to decision
	Rulings   Times    `json:"rulings"`   // dispute to ruling
	Disputes  Disputes `json:"disputes"`
	Urgent    Cases    `json:"urgent"`

	Agreement []Pair     `json:"agreement"`
	Notices   []Notice   `json:"notices"`
	Cosigned  []Cosigned `json:"cosigned"` // by who had a seat when a tick was made
}

// Items counts items of proposals by what became of them. The outcomes add up to
// Items; Overturned are among Listed.
type Items struct {
	Name       string `json:"name,omitempty"`
	Proposals  int    `json:"proposals"`
	Items      int    `json:"items"`
	Signals    int    `json:"signals"`
	Listed     int    `json:"listed"`
	LeftOut    int    `json:"left_out"` // alone, of a proposal that was accepted
	Rejected   int    `json:"rejected"`
	Lapsed     int    `json:"lapsed"`
	Withdrawn  int    `json:"withdrawn"`
	Moot       int    `json:"moot"`
	Open       int    `json:"open"`
	Overturned int    `json:"overturned"` // whole entries that a dispute retracted
}

// Cases counts cases by outcome.
type Cases struct {
	Cases     int `json:"cases"`
	Accepted  int `json:"accepted"`
	Rejected  int `json:"rejected"`
	Lapsed    int `json:"lapsed"`
	Withdrawn int `json:"withdrawn"`
	Moot      int `json:"moot"`
	Open      int `json:"open"`
}

// Disputes counts disputes, and the share of listed items that they overturned.
type Disputes struct {
	Cases
	ByRole   []Named `json:"by_role"` // of who disputed
	ErrorPPM int     `json:"error_ppm"`
}

// A Named is one number under a name.
type Named struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
}

// Times sums durations up.
type Times struct {
	Count int   `json:"count"`
	P50   int64 `json:"p50_ms"`
	P99   int64 `json:"p99_ms"`
	Max   int64 `json:"max_ms"`
}

// A Pair says in how many cases two organisations both approved or rejected, and in
// how many of them they did the same.
type Pair struct {
	A    string `json:"a"`
	B    string `json:"b"`
	Both int    `json:"both"`
	Same int    `json:"same"`
}

// A Notice counts what the rules put on the public record about an organisation.
type Notice struct {
	Organisation string `json:"organisation"` // "" where none is named
	What         string `json:"what"`
	Noticed      int    `json:"noticed"`
	Marked       int    `json:"marked"`
}

// Cosigned says in how many ticks, of those that the panel with a seat for the
// organisation made, its cosignature stood. A tick carries exactly k cosignatures:
// the newest, to the second, that the leader held when it proposed the tick, among
// equals those first by id. To stand in one proves a cosignature; to be left out
// does not tell one that came late, or was not needed, from none.
type Cosigned struct {
	Organisation string `json:"organisation"`
	Stood        int    `json:"stood"`
	LeftOut      int    `json:"left_out"`
}
