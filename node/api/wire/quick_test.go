// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"reflect"
	"testing"
)

var plainQueries = []string{
	`{"id":"a","signals":[{"type":"sha256","value":"00ff"}]}`,
	` { "signals" : [ { "quality" : 70 , "value" : "x" , "type" : "pdq" } , {"type":"","value":"","quality":0} ] , "id" : "" } `,
	`{"signals":[{"type":"text_tlsh","value":"T1AB"}]}`,
}

func TestPlainQueriesAreReadByHand(t *testing.T) {
	for _, text := range plainQueries {
		var q BatchQuery
		var r MatchRequest
		if !q.Quick([]byte(text)) && !r.Quick([]byte(text)) {
			t.Errorf("%s is left to the strict decoder", text)
		}
	}
}

var plainProposals = []string{
	`{"basis":"benchmark","items":[{"labels":["a","b"],"signals":[{"type":"sha256","value":"00ff"},{"type":"pdq","value":"01","quality":90}]}]}`,
	` { "urgent" : true , "text" : "why", "idempotency_key":"k", "items" : [ {"signals":[{"type":"pdq","value":"x"}]} , {"labels":["c"]} ] , "basis":"" } `,
	`{"urgent":false,"basis":"b"}`,
}

func TestPlainProposalsAreReadByHand(t *testing.T) {
	for _, text := range plainProposals {
		var quick, strictly ProposalRequest
		type plain ProposalRequest
		if err := strict([]byte(text), (*plain)(&strictly)); err != nil {
			t.Fatal(err)
		}
		if !quick.Quick([]byte(text)) || !reflect.DeepEqual(quick, strictly) {
			t.Errorf("%s: %+v by hand, %+v by the strict decoder", text, quick, strictly)
		}
	}
}

// FuzzQuickProposal holds what is read by hand to what the strict decoder reads.
func FuzzQuickProposal(f *testing.F) {
	for _, text := range append(plainProposals, `{"basis":"a","basis":"b"}`, `{"Basis":"a"}`, `{"basis":null}`, `{"items":[]}`, `{"items":[{"labels":[]}]}`, `{"items":[{"signals":[]}]}`,
		`{"urgent":1}`, `{"urgent":truex}`, `{"urgent":true,"urgent":false}`, `{"text":"\u00e9"}`, `{"referral":{}}`, `{}`, `{"basis":"a"} {}`) {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var quick, strictly ProposalRequest
		if quick.Quick(data) {
			type plain ProposalRequest
			if err := strict(data, (*plain)(&strictly)); err != nil || !reflect.DeepEqual(quick, strictly) {
				t.Fatalf("%q: %+v by hand, %+v, %v", data, quick, strictly, err)
			}
		}
	})
}

// FuzzQuick holds what is read by hand to what the strict decoder reads.
func FuzzQuick(f *testing.F) {
	for _, text := range append(plainQueries, `{"ID":"a","signals":[{"type":"a","type":"b","value":"c"}]}`,
		`{"id":"a","signals":[{"type":"a","value":"b","quality":007}]}`, `{"id":"a","signals":[]}`, `{"id":"\u0041","signals":[{"type":"a","value":"b"}]}`,
		`{"id":"a","signals":[{"type":"a","value":"b"},]}`, `{"id":"a","signals":[{"type":"a","value":"b"}],}`, `{"id":"a","signals":[{"type":"a","value":"b","quality":1.5}]} x`) {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var quickQ, strictQ BatchQuery
		if quickQ.Quick(data) {
			type plain BatchQuery
			if err := strict(data, (*plain)(&strictQ)); err != nil || !reflect.DeepEqual(quickQ, strictQ) {
				t.Fatalf("%q: %+v by hand, %+v, %v", data, quickQ, strictQ, err)
			}
		}
		var quickR, strictR MatchRequest
		if quickR.Quick(data) {
			type plain MatchRequest
			if err := strict(data, (*plain)(&strictR)); err != nil || !reflect.DeepEqual(quickR, strictR) {
				t.Fatalf("%q: %+v by hand, %+v, %v", data, quickR, strictR, err)
			}
		}
	})
}
