// SPDX-License-Identifier: Apache-2.0

package weburl

import (
	"strings"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

// The examples that Safe Browsing's documentation gives for canonical forms.
var published = map[string]string{
	"http://host/%25%32%35":                     "http://host/%25",
	"http://host/%25%32%35%25%32%35":            "http://host/%25%25",
	"http://host/%2525252525252525":             "http://host/%25",
	"http://host/asdf%25%32%35asd":              "http://host/asdf%25asd",
	"http://host/%%%25%32%35asd%%":              "http://host/%25%25%25asd%25%25",
	"http://www.google.com/":                    "http://www.google.com/",
	"http://3279880203/blah":                    "http://195.127.0.11/blah",
	"http://www.google.com/blah/..":             "http://www.google.com/",
	"www.google.com/":                           "http://www.google.com/",
	"www.google.com":                            "http://www.google.com/",
	"http://www.evil.com/blah#frag":             "http://www.evil.com/blah",
	"http://www.GOOgle.com/":                    "http://www.google.com/",
	"http://www.google.com.../":                 "http://www.google.com/",
	"http://www.google.com/q?":                  "http://www.google.com/q?",
	"http://www.google.com/q?r?":                "http://www.google.com/q?r?",
	"http://www.google.com/q?r?s":               "http://www.google.com/q?r?s",
	"http://evil.com/foo#bar#baz":               "http://evil.com/foo",
	"http://evil.com/foo;":                      "http://evil.com/foo;",
	"http://evil.com/foo?bar;":                  "http://evil.com/foo?bar;",
	"http://\x01\x80.com/":                      "http://%01%80.com/",
	"http://notrailingslash.com":                "http://notrailingslash.com/",
	"http://www.gotaport.com:1234/":             "http://www.gotaport.com/",
	"  http://www.google.com/  ":                "http://www.google.com/",
	"http:// leadingspace.com/":                 "http://%20leadingspace.com/",
	"http://%20leadingspace.com/":               "http://%20leadingspace.com/",
	"%20leadingspace.com/":                      "http://%20leadingspace.com/",
	"https://www.securesite.com/":               "https://www.securesite.com/",
	"http://host.com/ab%23cd":                   "http://host.com/ab%23cd",
	"http://www.google.com/foo\tbar\rbaz\n2":    "http://www.google.com/foobarbaz2",
	"http://host.com//twoslashes?more//slashes": "http://host.com/twoslashes?more//slashes",
	"http://%31%36%38%2e%31%38%38%2e%39%39%2e%32%36/%2E%73%65%63%75%72%65/%77%77%77%2E%65%62%61%79%2E%63%6F%6D/":              "http://168.188.99.26/.secure/www.ebay.com/",
	"http://195.127.0.11/uploads/%20%20%20%20/.verify/.eBaysecure=updateuserdataxplimnbqmn-xplmvalidateinfoswqpcmlx=hgplmcx/": "http://195.127.0.11/uploads/%20%20%20%20/.verify/.eBaysecure=updateuserdataxplimnbqmn-xplmvalidateinfoswqpcmlx=hgplmcx/",
	"http://host%23.com/%257Ea%2521b%2540c%2523d%2524e%25f%255E00%252611%252A22%252833%252944_55%252B":                        "http://host%23.com/~a!b@c%23d$e%25f^00&11*22(33)44_55+",
	"http://[2001:0db8:0000::1]/": "http://[2001:db8::1]/",
	"http://[::ffff:1.2.3.4]/":    "http://1.2.3.4/",
	"http://[64:ff9b::1.2.3.4]/":  "http://1.2.3.4/",
}

// Our own choices where that documentation leaves one.
var chosen = map[string]string{
	// schemes
	"HTTPS://A.example":        "https://a.example/",
	"http:a.example/x":         "http://a.example/x",
	"http:////a.example/x":     "http://a.example/x",
	"//a.example/x":            "http://a.example/x",
	"tg://resolve?domain=x":    "tg://resolve/?domain=x",
	"a.example:80/x":           "http://a.example/x",
	"a.example:x/y":            "http://a.example/y",
	"localhost:8080":           "http://localhost/",
	"http%3A%2F%2Fa.example/x": "http://a.example/x",
	// authority
	"http://user:pw@a.example:81/x":  "http://a.example/x",
	"http://good.example@a.example/": "http://a.example/",
	"http://x@y@a.example/":          "http://a.example/",
	"http://a.example%2Fx":           "http://a.example/x",
	`http:\\a.example\x\y?q=\`:       `http://a.example/x/y?q=\`,
	"http://A..b...example/":         "http://a.b.example/",
	"http://a.example/x%3Fy":         "http://a.example/x?y",
	// internationalised names
	"http://Bücher.example/ü":      "http://xn--bcher-kva.example/%C3%BC",
	"http://xn--bcher-kva.example": "http://xn--bcher-kva.example/",
	"http://b%C3%BCcher.example/":  "http://xn--bcher-kva.example/",
	"http://пример。example/":       "http://xn--e1afmkfd.example/",
	"http://straße.example/":       "http://xn--strae-oqa.example/",
	"http://ａ／ｂ.example/":          "http://%EF%BD%81%EF%BC%8F%EF%BD%82.example/",
	"http://my_ü.example/":         "http://xn--my_-joa.example/",
	// IP addresses
	"http://0x7f.1/":           "http://127.0.0.1/",
	"http://017700000001/":     "http://127.0.0.1/",
	"http://１２７.0.0.1/":        "http://127.0.0.1/",
	"http://1.2.3/":            "http://1.2.0.3/",
	"http://1.2.65535/":        "http://1.2.255.255/",
	"http://1.2.3.4./":         "http://1.2.3.4/",
	"http://1.2.3.256/":        "http://1.2.3.256/",
	"http://4294967296/":       "http://4294967296/",
	"http://1.2.08.4/":         "http://1.2.08.4/",
	"http://1.2.3.4.5/":        "http://1.2.3.4.5/",
	"http://[2001:DB8::1]:80/": "http://[2001:db8::1]/",
	// paths
	"http://h/a/./b/../c":      "http://h/a/c",
	"http://h/../../a":         "http://h/a",
	"http://h/\x7f~":           "http://h/%7F~",
	"http://h/a/.":             "http://h/a/",
	"http://h/a//../b":         "http://h/a/b",
	"http://h/%2e%2E/a%2fb/..": "http://h/a/",
	"http://h/a/...":           "http://h/a/...",
	"http://h?q=/../x":         "http://h/?q=/../x",
}

func TestCanonicalForms(t *testing.T) {
	for name, table := range map[string]map[string]string{"published": published, "chosen": chosen} {
		for in, want := range table {
			u, err := Parse(in)
			if err != nil || u.String() != want {
				t.Errorf("%s: %q: %q, %v; want %q", name, in, u, err, want)
			}
			if again, err := Parse(want); err != nil || again != u {
				t.Errorf("%s: %q reads again as %q, %v", name, want, again, err)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		code spec.Code
	}{
		"empty":                {"", spec.CodeSignal},
		"blank":                {" \t\n", spec.CodeSignal},
		"no host":              {"http://", spec.CodeSignal},
		"dots only":            {"http://.../x", spec.CodeSignal},
		"relative":             {"/x/y", spec.CodeSignal},
		"mail":                 {"mailto:someone@secret.example", spec.CodeSignal},
		"script":               {"javascript:alert(1)", spec.CodeSignal},
		"open bracket":         {"http://[::1/", spec.CodeSignal},
		"bracket behind a dot": {"http://.[::1]/", spec.CodeSignal},
		"bracket inside":       {"http://a]b/", spec.CodeSignal},
		"no IPv6":              {"http://[1.2.3.4]/", spec.CodeSignal},
		"IPv6 zone":            {"http://[fe80::1%25eth0]/", spec.CodeSignal},
		"junk behind brackets": {"http://[::1]x/", spec.CodeSignal},
		"huge host":            {"http://" + strings.Repeat("a.", 600) + "example/", spec.CodeSignal},
		"too long":             {"http://secret.example/" + strings.Repeat("a", MaxLen), spec.CodeTooLarge},
		"too long as written":  {"http://secret.example/" + strings.Repeat("é", MaxLen/4), spec.CodeTooLarge},
	} {
		u, err := Parse(c.in)
		if spec.CodeOf(err) != c.code {
			t.Errorf("%s: %q, %v; want %s", name, u, err, c.code)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error repeats the address", name)
		}
	}
}

// naive replaces escapes in repeated passes, as the documentation words it.
func naive(s string) string {
	for {
		var b strings.Builder
		for i := 0; i < len(s); i++ {
			if i+2 < len(s) && s[i] == '%' && nibble(s[i+1]) >= 0 && nibble(s[i+2]) >= 0 {
				b.WriteByte(byte(nibble(s[i+1])<<4 | nibble(s[i+2])))
				i += 2
			} else {
				b.WriteByte(s[i])
			}
		}
		if b.String() == s {
			return s
		}
		s = b.String()
	}
}

func FuzzParse(f *testing.F) {
	for in := range published {
		f.Add(in)
	}
	for in := range chosen {
		f.Add(in)
	}
	f.Add("\u0405" + strings.Repeat(".", maxHost))         // too long until its dots are joined
	f.Add("http://" + strings.Repeat("\ufdfa", 300) + "/") // grows when mapped
	f.Fuzz(func(t *testing.T, in string) {
		if len(in) <= MaxLen {
			if got, want := unescape(in), naive(in); got != want {
				t.Fatalf("%q unescapes to %q, in passes to %q", in, got, want)
			}
		}
		u, err := Parse(in)
		if err != nil {
			return
		}
		out := u.String()
		again, err := Parse(out)
		if err != nil || again != u {
			t.Fatalf("%q becomes %#v, which becomes %#v, %v", in, u, again, err)
		}
		for _, c := range []byte(out) {
			if c <= ' ' || c >= 0x7f || c == '#' {
				t.Fatalf("%q becomes %q, with byte %#x", in, out, c)
			}
		}
		es := u.Expressions()
		if len(es) == 0 || len(es) > MaxExpressions || es[0] != Expression(u.Host+u.pathAndQuery()) {
			t.Fatalf("%q has the expressions %q", out, es)
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	for b.Loop() {
		u, err := Parse("https://www.a.b.c.example.com/one/two/three/four.html?q=%25")
		if err != nil {
			b.Fatal(err)
		}
		for _, e := range u.Expressions() {
			e.Sum()
		}
	}
}
