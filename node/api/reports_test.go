// SPDX-License-Identifier: Apache-2.0

package api

import (
	"reflect"
	"testing"

	"github.com/tocsin-db/tocsin/node/api/wire"
	"github.com/tocsin-db/tocsin/spec"
)

// A percentile is a duration that was measured, the smallest that at least this
// share does not exceed.
func TestTimesOf(t *testing.T) {
	hundred := make([]int64, 100)
	for i := range hundred {
		hundred[i] = int64(100 - i)
	}
	for _, c := range []struct {
		list []int64
		want Times
	}{
		{nil, Times{}},
		{[]int64{7}, Times{1, 7, 7, 7}},
		{[]int64{3, 1, 2}, Times{3, 2, 3, 3}},
		{hundred, Times{100, 50, 99, 100}},
	} {
		if got := TimesOf(c.list); got != c.want {
			t.Errorf("of %d durations: %+v, want %+v", len(c.list), got, c.want)
		}
	}
}

func TestReportsSayWhatIsSelfReported(t *testing.T) {
	r := serveFake(t, nil)
	_, _, body := r.ask(t, "GET", "/v1/reports/compliance", "", "")
	if got := decode[wire.ComplianceReport](t, body); len(got.Organisations) != 1 || !reflect.DeepEqual(got.SelfReported, []string{"matchable", "actions"}) {
		t.Errorf("%s", body)
	}
	_, _, body = r.ask(t, "GET", "/v1/reports/propagation", "", "")
	if got := decode[wire.PropagationReport](t, body); got.Size != 7 || got.Members[0].Times.P50Ms != 2 || got.Members[0].Behind != 1 {
		t.Errorf("%s", body)
	}
}

func TestActionsAreReported(t *testing.T) {
	r := serveFake(t, nil)
	report := func(acted, count string) (int, []byte) {
		status, _, body := r.ask(t, "POST", "/v1/actions", jsonType, `{"reports":[{"entry":"`+spec.Hash{1}.String()+
			`","what":"removed","matched":"1970-01-01T00:00:02Z","acted":"`+acted+`","count":`+count+`}]}`)
		return status, body
	}
	if status, body := report("1970-01-01T00:00:05Z", "3"); status != 201 {
		t.Errorf("status %d, %s", status, body)
	}
	want := &spec.Actions{Reports: []spec.Action{{Entry: spec.Hash{1}, What: "removed", MatchedMS: 2000, ActedMS: 5000, Count: 3}}}
	if !reflect.DeepEqual(r.last, want) {
		t.Errorf("the rules got %+v", r.last)
	}
	for _, c := range [][2]string{{"1970-01-01T00:00:01Z", "1"}, {"1970-01-01T00:00:05Z", "0"}, {"1970-01-01T00:00:05Z", "-1"}} {
		if status, body := report(c[0], c[1]); status != 400 || decode[wire.Problem](t, body).Pointer != "/reports/0" {
			t.Errorf("%v: status %d, %s", c, status, body)
		}
	}
}
