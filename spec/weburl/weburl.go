// SPDX-License-Identifier: Apache-2.0

// Package weburl gives web addresses one canonical form and the expressions
// (page, folders, host, parent hosts) under which they may be listed.
//
// Form and expressions are those of Google Safe Browsing, "URLs and Hashing"
// (Update API v4, with the IPv6 rules of v5); where that document leaves a
// choice, ../weburl.md makes it. A listed expression travels as its SHA-256.
package weburl

import (
	"strings"

	"github.com/tocsin-db/tocsin/spec"
)

// MaxLen bounds an address before and after it is brought to canonical form,
// in bytes.
const MaxLen = 8 << 10

// Sources name the specifications of the types url and url_md5. Both match by
// equality.
const (
	Source    = "weburl.md; Google Safe Browsing, URLs and Hashing (v4)"
	SourceMD5 = "weburl.md; python-threatexchange, url_md5"
)

// A URL is an address in canonical form. User name, password, port and
// fragment are not part of it.
type URL struct {
	Scheme   string // lower case; "http" where the address named none
	Host     string // lower case, ASCII; see IP
	IP       bool   // Host is an IPv4 address, or an IPv6 address in brackets
	Path     string // begins with "/"
	Query    string
	HasQuery bool // tells an empty query from none
}

// String returns the canonical form. It is its own canonical form.
func (u URL) String() string { return u.Scheme + "://" + u.Host + u.pathAndQuery() }

func (u URL) pathAndQuery() string {
	if u.HasQuery {
		return u.Path + "?" + u.Query
	}
	return u.Path
}

// Parse brings an address to canonical form. What has no host (a relative
// reference, mailto:) gives spec.CodeSignal, what is longer than MaxLen
// spec.CodeTooLarge. Errors never repeat the address.
func Parse(raw string) (URL, error) {
	if len(raw) > MaxLen {
		return URL{}, errTooLarge()
	}
	scheme, rest, err := splitScheme(unescape(trim(raw)))
	if err != nil {
		return URL{}, err
	}
	authority, path, query, hasQuery := split(rest)
	u := URL{Scheme: scheme, Path: escape(cleanPath(path)), Query: escape(query), HasQuery: hasQuery}
	if u.Host, u.IP, err = canonicalHost(authority); err != nil {
		return URL{}, err
	}
	if len(u.String()) > MaxLen {
		return URL{}, errTooLarge()
	}
	return u, nil
}

// trim drops tabs and line breaks everywhere, spaces and control characters at
// the ends, and the fragment; nothing of it as an escape.
func trim(s string) string {
	s = strings.NewReplacer("\t", "", "\r", "", "\n", "").Replace(s)
	s, _, _ = strings.Cut(s, "#")
	return strings.Trim(s, blanks)
}

const blanks = "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f\x10\x11\x12\x13\x14\x15" +
	"\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f "

// splitScheme takes the scheme off. Without one the address is taken for http,
// as in the bar of a browser. Browsers read "\" as "/" and any number of these
// before the host of a web address.
func splitScheme(s string) (scheme, rest string, err error) {
	rest = s
	if i := schemeLen(s); i > 0 {
		scheme, rest = strings.ToLower(s[:i]), s[i+1:]
	}
	host := strings.TrimLeft(rest, `/\`)
	slashes := len(rest) - len(host)
	switch {
	case scheme == "" && slashes != 1:
		return "http", host, nil
	case slashes >= 2, scheme == "http", scheme == "https", scheme == "ftp":
		return scheme, host, nil
	}
	return "", "", spec.Errorf(spec.CodeSignal, "this is not an address with a host")
}

// schemeLen returns how many bytes stand before the colon that ends a scheme,
// 0 if none does. "host:80" and "host.example:x" begin with a host.
func schemeLen(s string) int {
	i := strings.IndexByte(s, ':')
	if i <= 0 || !letter(s[0]) {
		return 0
	}
	dotted := false
	for _, c := range []byte(s[:i]) {
		dotted = dotted || c == '.'
		if !letter(c) && !digit(c) && c != '+' && c != '-' && c != '.' {
			return 0
		}
	}
	rest := s[i+1:]
	if strings.HasPrefix(rest, "//") {
		return i
	}
	port := strings.TrimLeft(rest, "0123456789")
	if dotted || len(port) < len(rest) && (port == "" || strings.ContainsRune(`/\?`, rune(port[0]))) {
		return 0
	}
	return i
}

// split cuts what follows the scheme into its parts. Everything was unescaped
// before, so that an escaped "/" or "?" counts as one.
func split(s string) (authority, path, query string, hasQuery bool) {
	s, query, hasQuery = strings.Cut(s, "?")
	if i := strings.IndexAny(s, `/\`); i >= 0 {
		return s[:i], s[i:], query, hasQuery
	}
	return s, "", query, hasQuery
}

func errTooLarge() error {
	return spec.Errorf(spec.CodeTooLarge, "an address has at most %d bytes", MaxLen)
}

func letter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func digit(c byte) bool  { return '0' <= c && c <= '9' }
