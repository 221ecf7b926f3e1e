// SPDX-License-Identifier: Apache-2.0

package weburl

import (
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

func parse(t *testing.T, s string) URL {
	t.Helper()
	u, err := Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestExpressions(t *testing.T) {
	for in, want := range map[string]string{
		// Published examples.
		"http://a.b.c/1/2.html?param=1": "a.b.c/1/2.html?param=1 a.b.c/1/2.html a.b.c/ a.b.c/1/ b.c/1/2.html?param=1 b.c/1/2.html b.c/ b.c/1/",
		"http://a.b.c.d.e.f.g/1.html": "a.b.c.d.e.f.g/1.html a.b.c.d.e.f.g/ c.d.e.f.g/1.html c.d.e.f.g/ d.e.f.g/1.html d.e.f.g/ " +
			"e.f.g/1.html e.f.g/ f.g/1.html f.g/",
		"http://1.2.3.4/1/": "1.2.3.4/1/ 1.2.3.4/",
		// Edges.
		"http://a.example/":       "a.example/",
		"http://a.example/?":      "a.example/? a.example/",
		"http://localhost/x":      "localhost/x localhost/",
		"http://b.c/1/2/3/4/5":    "b.c/1/2/3/4/5 b.c/ b.c/1/ b.c/1/2/ b.c/1/2/3/",
		"http://a.b.c.d.e/":       "a.b.c.d.e/ b.c.d.e/ c.d.e/ d.e/",
		"http://[2001:db8::1]/x/": "[2001:db8::1]/x/ [2001:db8::1]/",
	} {
		var got []string
		for _, e := range parse(t, in).Expressions() {
			got = append(got, string(e))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s:\n got %s\nwant %s", in, strings.Join(got, " "), want)
		}
	}
	most := parse(t, "http://a.b.c.d.e.f/1/2/3/4/5?q").Expressions()
	if len(most) != MaxExpressions {
		t.Errorf("%d expressions, want %d", len(most), MaxExpressions)
	}
}

func TestValueIsTheSHA256OfTheExpression(t *testing.T) {
	// echo -n a.example/ | sha256sum
	const want = "6fd0ae0f361afd6ad3d194b15903ff71bd2f5f3ab0a19c12328eb742ba442018"
	if got := Expression("a.example/").Value(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if err := Check(want); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", strings.ToUpper(want), want[:63], want + "0", strings.Repeat("g", 64)} {
		if spec.CodeOf(Check(bad)) != spec.CodeSignal {
			t.Errorf("Check accepts %q", bad)
		}
	}
}

// What is listed with a scope must be found from every address that the scope
// covers, and from no other.
func TestListingIsFound(t *testing.T) {
	for _, c := range []struct {
		listed  string
		scope   Scope
		covered string
		others  string
	}{
		{"http://a.example/x/y?q=1", Page, "https://A.example:8443/x/./y?q=1 b.a.example/x/y?q=1", "a.example/x/y a.example/x/y?q=2 a.example/x/y/?q=1"},
		{"http://a.example/x/y", Page, "a.example/x/y a.example/x/y?q", "a.example/x a.example/x/y/z"},
		{"http://a.example/x/y", Folder, "a.example/x/ a.example/x/y a.example/x/z/w b.a.example/x/", "a.example/ a.example/x a.example/xx/y"},
		{"http://a.example/x/y/z/", Folder, "a.example/x/y/z/1/2", "a.example/x/y/z"},
		{"http://a.example/x", Host, "a.example a.example/y/z?q b.c.d.e.a.example/", "example/ ba.example/"},
		{"http://a.example/x", Folder, "a.example/y", "b.example/"},
		{"http://[2001:db8::1]/x", Host, "[2001:db8:0::1]/y", "[2001:db8::2]/x"},
	} {
		listed, err := parse(t, c.listed).List(c.scope)
		if err != nil {
			t.Errorf("%s as %s: %v", c.listed, c.scope, err)
		}
		for _, s := range strings.Fields(c.covered) {
			if !slices.Contains(parse(t, s).Expressions(), listed) {
				t.Errorf("%s as %s (%s) is not found from %s", c.listed, c.scope, listed, s)
			}
		}
		for _, s := range strings.Fields(c.others) {
			if slices.Contains(parse(t, s).Expressions(), listed) {
				t.Errorf("%s as %s (%s) is found from %s", c.listed, c.scope, listed, s)
			}
		}
	}
}

func TestListingRefusals(t *testing.T) {
	for _, c := range []struct {
		in    string
		scope Scope
		code  spec.Code
	}{
		{"http://co.uk/", Host, spec.CodeSignal},
		{"http://com/x", Host, spec.CodeSignal},
		{"http://github.io/x", Folder, spec.CodeSignal},
		{"http://a.example/1/2/3/4/x", Folder, spec.CodeSignal},
		{"http://a.example/", "site", spec.CodeUsage},
		{"http://github.io/x/y", Folder, ""},
		{"http://someone.github.io/", Host, ""},
		{"http://co.uk/x", Page, ""},
		{"http://1.2.3.4/", Host, ""},
	} {
		if e, err := parse(t, c.in).List(c.scope); spec.CodeOf(err) != c.code {
			t.Errorf("%s as %s: %q, %v; want %q", c.in, c.scope, e, err, c.code)
		}
	}
}
