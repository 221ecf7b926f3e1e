// SPDX-License-Identifier: Apache-2.0

package weburl

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/tocsin-db/tocsin/spec"
)

// maxHost bounds a host name in bytes, far above the 253 of DNS: Punycode
// takes quadratic time.
const maxHost = 1 << 10

// names maps an internationalised name as browsers do (UTS #46, not
// transitional). Names that DNS would refuse keep their form.
var names = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false))

// canonicalHost drops user name, password and port from an authority.
func canonicalHost(authority string) (host string, ip bool, err error) {
	host = authority[strings.LastIndexByte(authority, '@')+1:]
	if strings.HasPrefix(host, "[") {
		host, err = bracketed(host)
		return host, true, err
	}
	host, _, _ = strings.Cut(host, ":")
	if host = cleanDots(host); len(host) > maxHost {
		return "", false, errNoHost()
	}
	host = cleanDots(lower(toASCII(host)))
	if strings.ContainsAny(host, "[]") {
		return "", false, errBrackets()
	}
	if host == "" || len(host) > maxHost {
		return "", false, errNoHost()
	}
	if v4, ok := parseIPv4(host); ok {
		return v4.String(), true, nil
	}
	return escape(host), false, nil
}

// toASCII converts a name that is not ASCII. A name without a valid ASCII form
// stays as it is, to be percent-escaped: an address always has one form.
func toASCII(host string) string {
	if ascii(host) || !utf8.ValidString(host) {
		return host
	}
	converted, err := names.ToASCII(host)
	if err != nil || !ascii(converted) || strings.ContainsFunc(converted, structural) {
		return host
	}
	return converted
}

// structural tells characters that a mapping must not bring into a host: they
// would end it, or change its meaning when read again.
func structural(r rune) bool { return r <= ' ' || strings.ContainsRune(`/\?#@:%[]`, r) }

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// lower maps ASCII letters only: the rest is bytes to be escaped.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
	return string(b)
}

func cleanDots(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '.' }), ".")
}

// bracketed reads an IPv6 address. One that stands for an IPv4 address
// (mapped, or NAT64 under 64:ff9b::/96) becomes that address.
func bracketed(s string) (string, error) {
	end := strings.IndexByte(s, ']')
	if end < 0 || end+1 < len(s) && s[end+1] != ':' {
		return "", errBrackets()
	}
	addr, err := netip.ParseAddr(s[1:end])
	if err != nil || !addr.Is6() || addr.Zone() != "" {
		return "", errBrackets()
	}
	if b := addr.As16(); nat64.Contains(addr) {
		addr = netip.AddrFrom4([4]byte(b[12:]))
	}
	if addr = addr.Unmap(); addr.Is4() {
		return addr.String(), nil
	}
	return "[" + addr.String() + "]", nil
}

var nat64 = netip.MustParsePrefix("64:ff9b::/96")

func errNoHost() error {
	return spec.Errorf(spec.CodeSignal, "this address has no host that could exist")
}

func errBrackets() error {
	return spec.Errorf(spec.CodeSignal, "the brackets of this address hold no IPv6 address")
}

// parseIPv4 reads every form of inet_aton: one to four numbers, decimal, octal
// or hex, the last filling what the others leave.
func parseIPv4(host string) (netip.Addr, bool) {
	parts := strings.Split(host, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	last := len(parts) - 1
	var v uint64
	for i, p := range parts {
		n, ok := number(p)
		limit, shift := uint64(math.MaxUint8), 24-8*i
		if i == last {
			limit, shift = math.MaxUint32>>(8*last), 0
		}
		if !ok || n > limit {
			return netip.Addr{}, false
		}
		v |= n << shift
	}
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}), true
}

func number(s string) (uint64, bool) {
	base := 10
	switch {
	case strings.HasPrefix(s, "0x"):
		s, base = s[2:], 16
	case len(s) > 1 && s[0] == '0':
		s, base = s[1:], 8
	}
	if s == "" {
		return 0, base != 10
	}
	n, err := strconv.ParseUint(s, base, 64)
	return n, err == nil && s[0] != '+'
}
