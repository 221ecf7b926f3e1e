// SPDX-License-Identifier: Apache-2.0

package tlsh

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

func TestNormalize(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"white space of every kind", " a\tb\r\nc\u00a0d\u2003e\u2028f\u3000g\u0085h ", "abcdefgh"},
		{"case", "ÉCOLE Straße ΣΊΣΥΦΟΣ", "écolestraßeσίσυφοσ"},
		{"compatibility forms", "ﬁn Ⅳ ① ｆｕｌｌ ﷺ", "finiv1fullصلىاللهعليهوسلم"},
		{"combining marks", "e\u0301", "é"},
		{"a mark that a space kept apart", "e \u0301", "é"},
		{"not UTF-8", "a\xff\xfeb\xc3", "a\ufffdb\ufffd"},
		{"nothing", " \n", ""},
	} {
		if got := Normalize(c.in); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestEveryLetterHasOneNormalForm(t *testing.T) {
	for r := rune(0); r < 0x20000; r++ { // what lies above is ideographs
		n := Normalize("x" + string(r))
		if again := Normalize(n); again != n {
			t.Errorf("%U: %q, then %q", r, n, again)
		}
	}
}

func TestLayoutDoesNotMatterInTheNormalForm(t *testing.T) {
	raw := string(text(t, "base.txt"))
	want, err := SumNormal(raw)
	if err != nil {
		t.Fatal(err)
	}
	laidOut := strings.ToUpper(strings.ReplaceAll(raw, " ", "\n   "))
	if got, err := SumNormal(laidOut); err != nil || got != want {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	a, _ := SumText(raw)
	if b, _ := SumText(laidOut); a.Match(b) {
		t.Errorf("the raw texts match at %d: this test shows nothing", a.DiffXLen(b))
	}
	if got, _ := SumText(raw); got.String() != rows(t, "expected.csv")[0][1] {
		t.Errorf("SumText changes the text: %v", got)
	}
}

func FuzzNormalize(f *testing.F) {
	f.Add("École \u0130\u0345 \u1e9e\u00b4 e \u0301")
	f.Add("\xff\u2126\u212b\ufb01")
	f.Fuzz(func(t *testing.T, s string) {
		n := Normalize(s)
		if Normalize(n) != n || !utf8.ValidString(n) || !norm.NFKC.IsNormalString(n) || strings.ContainsFunc(n, unicode.IsSpace) {
			t.Fatalf("%q gives %q, which is not a normal form", s, n)
		}
		if want := Normalize(" " + strings.ToValidUTF8(s, "\ufffd") + "\n"); n != want {
			t.Fatalf("%q gives %q, with space around it %q", s, n, want)
		}
	})
}
