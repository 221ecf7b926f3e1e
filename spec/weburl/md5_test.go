// SPDX-License-Identifier: Apache-2.0

package weburl

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

// testdata/url_md5.json was made with Python 3.11's urlparse; "" where it
// refuses the address.
func TestMD5AsPythonComputesIt(t *testing.T) {
	b, err := os.ReadFile("testdata/url_md5.json")
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct{ URL, MD5 string }
	if err := json.Unmarshal(b, &rows); err != nil || len(rows) < 200 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, r := range rows {
		got, err := MD5(r.URL)
		if err == nil && (CheckMD5(got) != nil || CheckMD5(strings.ToUpper(got)+"A") == nil || CheckMD5(got[1:]) == nil) {
			t.Errorf("%q: CheckMD5(%q) = %v", r.URL, got, CheckMD5(got))
		}
		if got != r.MD5 || (err != nil) != (r.MD5 == "") {
			t.Errorf("%q: %q, %v; want %q", r.URL, got, err, r.MD5)
		}
	}
}

func TestMD5Refusals(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		code spec.Code
	}{
		"too long":     {"http://a/" + strings.Repeat("x", MaxLen), spec.CodeTooLarge},
		"not UTF-8":    {"http://a/\xff", spec.CodeSignal},
		"bad brackets": {"http://[secret/", spec.CodeSignal},
	} {
		if _, err := MD5(c.in); spec.CodeOf(err) != c.code || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
}

func FuzzMD5(f *testing.F) {
	f.Add("HTTP://Example.com/A;b?c#D")
	f.Add("://x?http://")
	f.Fuzz(func(t *testing.T, in string) {
		v, err := MD5(in)
		if err == nil && len(v) != 32 || err != nil && spec.CodeOf(err) == "" {
			t.Fatalf("%q: %q, %v", in, v, err)
		}
		if up, err2 := MD5(strings.ToLower(in)); err == nil && ascii(in) && up != v {
			t.Fatalf("%q: %s, in lower case %s, %v", in, v, up, err2)
		}
	})
}
