// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// moments differ from call to call: ticks make the log longer.
var moments = regexp.MustCompile(`"(age_ms|size|final_size)":\d+`)

// allFinal says that what was filled in is final, from when on answers stay the
// same.
var allFinal = regexp.MustCompile(`"final_size":[1-9]`)

// problem is what a wrong query is told, wherever it was asked.
type problem struct{ Code, Detail, Pointer string }

// mixedLines are queries as they come: of one signal and of several, listed and not,
// and wrong ones.
func mixedLines(f *Filled, n int) []string {
	queries := f.queries(9, 2*n)
	var lines []string
	for i := range n {
		signals := func(k int) string {
			_, list, _ := strings.Cut(strings.TrimSpace(queries[k].line), "[")
			return strings.TrimSuffix(list, "]}")
		}
		list := signals(i)
		switch i % 20 {
		case 3:
			list = strings.Replace(list, `"value":"`, `"value":"zz`, 1)
		case 7:
			list += "," + signals(n+i) + "," + signals(i)
		case 9:
			list += `,{"type":"of-tomorrow","value":"00"}`
		case 11:
			list = ""
		case 12:
			list = `{"type":"pdq","value":"` + strings.Repeat("5a", 32) + `","quality":101}`
		case 15:
			list += `,{"type":"pdq","value":"` + strings.Repeat("5a", 32) + `","quality":50}`
		case 17:
			list = strings.Replace(list, `"type"`, `"tpye"`, 1)
		}
		lines = append(lines, list)
	}
	return lines
}

func TestABatchAnswersAsSingleCallsDo(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	f, err := Fill(ctx, FilledOptions{Dir: t.TempDir() + "/n", Entries: 4000, Seed: 3}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	socket, stop, err := f.Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}()
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	post := func(path, kind, body string) (int, []byte) {
		resp, err := client.Post("http://node"+path, kind, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, answer
	}
	lists := mixedLines(f, 1000)
	var batch strings.Builder
	for i, list := range lists {
		fmt.Fprintf(&batch, `{"id":"%d","signals":[%s]}`+"\n", i, list)
	}
	var body []byte
	for final := false; !final; { // answers change when the log becomes final
		if ctx.Err() != nil {
			t.Fatal("the filled log did not become final")
		}
		_, body = post("/v1/match:batch", "application/x-ndjson", batch.String())
		final = allFinal.Match(body) && !bytes.Contains(body, []byte(`"final":false`)) && !bytes.Contains(body, []byte(`"stale":true`))
	}
	answers := bytes.Split(bytes.TrimSpace(body), []byte("\n"))
	if len(answers) != len(lists) {
		t.Fatalf("%d answers to %d lines", len(answers), len(lists))
	}
	counts := map[string]int{}
	for i, list := range lists {
		var got struct {
			ID     string
			Answer json.RawMessage
			Error  problem
		}
		if err := json.Unmarshal(answers[i], &got); err != nil || got.ID != fmt.Sprint(i) {
			t.Fatalf("answer %d: %s, %v", i, answers[i], err)
		}
		status, alone := post("/v1/match", "application/json", `{"signals":[`+list+`]}`)
		if status != http.StatusOK {
			var want problem
			err := json.Unmarshal(alone, &want)
			if err != nil || got.Error.Code != want.Code || got.Error.Pointer != want.Pointer || !strings.HasSuffix(want.Detail, got.Error.Detail) || got.Answer != nil {
				t.Errorf("line %d in the batch %s\nalone %d %s", i, answers[i], status, alone)
			}
			counts[want.Code]++
			continue
		}
		together, apart := moments.ReplaceAll(got.Answer, nil), moments.ReplaceAll(bytes.TrimSpace(alone), nil)
		if !bytes.Equal(together, apart) {
			t.Errorf("line %d in the batch %s\nalone %s", i, together, apart)
		}
		var a struct{ Verdict string }
		if err := json.Unmarshal(alone, &a); err != nil {
			t.Fatal(err)
		}
		counts[a.Verdict]++
	}
	if counts["match"] < 300 || counts["no-match"] < 200 || counts["unchecked"] < 10 || counts["BAD_SIGNAL"] < 50 || counts["MALFORMED"] < 50 {
		t.Errorf("too few of some kind to tell: %v", counts)
	}
}
