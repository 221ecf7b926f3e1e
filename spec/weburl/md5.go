// SPDX-License-Identifier: Apache-2.0

package weburl

import (
	"crypto/md5"
	"encoding/hex"
	"net/netip"
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"

	"github.com/tocsin-db/tocsin/spec"
)

// MD5 is the value of a url_md5 signal as python-threatexchange computes it:
// the MD5 of the whole address in lower case without its scheme, as 32
// lower-case hex digits. It follows Python's urlparse in what that drops on
// the way (control characters, empty query, fragment and parameters) and in
// what it refuses, which gives spec.CodeSignal.
func MD5(raw string) (string, error) {
	if len(raw) > MaxLen {
		return "", errTooLarge()
	}
	if !utf8.ValidString(raw) {
		return "", spec.Errorf(spec.CodeSignal, "an address for url_md5 is written in UTF-8")
	}
	s, scheme, err := recompose(cases.Lower(language.Und).String(raw))
	if err != nil {
		return "", err
	}
	sum := md5.Sum([]byte(strings.Replace(s, scheme+"://", "", 1)))
	return hex.EncodeToString(sum[:]), nil
}

// recompose takes a lower-case address apart and puts it together again as
// Python's urlparse and geturl do.
func recompose(s string) (url, scheme string, err error) {
	s = strings.NewReplacer("\t", "", "\r", "", "\n", "").Replace(strings.TrimLeft(s, blanks+"\t\r\n"))
	if i := strings.IndexByte(s, ':'); i > 0 && letter(s[0]) && strings.TrimLeft(s[:i], schemeChars) == "" {
		scheme, s = s[:i], s[i+1:]
	}
	netloc := ""
	if rest, ok := strings.CutPrefix(s, "//"); ok {
		end := strings.IndexAny(rest, "/?#")
		if end < 0 {
			end = len(rest)
		}
		netloc, s = rest[:end], rest[end:]
		if !pythonNetloc(netloc) {
			return "", "", spec.Errorf(spec.CodeSignal, "this address has no url_md5: its host is not valid")
		}
	}
	s, fragment, _ := strings.Cut(s, "#")
	s, query, _ := strings.Cut(s, "?")
	s, params := cutParams(s, scheme)
	s += prefixed(";", params)
	if netloc != "" || scheme != "" && usesNetloc[scheme] && !strings.HasPrefix(s, "//") {
		if s != "" && s[0] != '/' {
			s = "/" + s
		}
		s = "//" + netloc + s
	}
	if scheme != "" {
		s = scheme + ":" + s
	}
	return s + prefixed("?", query) + prefixed("#", fragment), scheme, nil
}

const schemeChars = "abcdefghijklmnopqrstuvwxyz0123456789+-."

func prefixed(mark, s string) string {
	if s == "" {
		return ""
	}
	return mark + s
}

// cutParams splits the parameters off the last segment of a path.
func cutParams(path, scheme string) (rest, params string) {
	if !usesParams[scheme] {
		return path, ""
	}
	from := max(strings.LastIndexByte(path, '/'), 0)
	if i := strings.IndexByte(path[from:], ';'); i >= 0 {
		return path[:from+i], path[from+i+1:]
	}
	return path, ""
}

// pythonNetloc reports whether urlparse accepts what stands between the
// slashes: brackets in pairs around an IPv6 address, and no character that
// becomes a separator under NFKC.
func pythonNetloc(s string) bool {
	_, inner, open := strings.Cut(s, "[")
	if open != strings.Contains(s, "]") {
		return false
	}
	if open {
		inner, _, _ = strings.Cut(inner, "]")
		if addr, err := netip.ParseAddr(inner); !futureIP.MatchString(inner) && (err != nil || !addr.Is6()) {
			return false
		}
	}
	if ascii(s) {
		return true
	}
	s = strings.NewReplacer("@", "", ":", "", "#", "", "?", "").Replace(s)
	n := norm.NFKC.String(s)
	return n == s || !strings.ContainsAny(n, "/?#@:")
}

var futureIP = regexp.MustCompile(`^v[a-f0-9]+\..+$`)

// The schemes that urlparse takes to have a host, and to have parameters.
var (
	usesNetloc = set("ftp http gopher nntp telnet imap wais file mms https shttp snews prospero " +
		"rtsp rtsps rtspu rsync svn svn+ssh sftp nfs git git+ssh ws wss")
	usesParams = set("ftp hdl prospero http imap https shttp rtsp rtsps rtspu sip sips mms sftp tel")
)

func set(words string) map[string]bool {
	m := map[string]bool{"": true}
	for w := range strings.FieldsSeq(words) {
		m[w] = true
	}
	return m
}
