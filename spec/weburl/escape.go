// SPDX-License-Identifier: Apache-2.0

package weburl

import "strings"

// unescape replaces percent-escapes until none is left. Escapes never overlap,
// so the order in which they are replaced does not matter, and one pass over
// the bytes with the result as a stack finds what repeated passes would.
func unescape(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := range len(s) {
		out = append(out, s[i])
		for n := len(out); n >= 3 && out[n-3] == '%' && nibble(out[n-2]) >= 0 && nibble(out[n-1]) >= 0; n = len(out) {
			out = append(out[:n-3], byte(nibble(out[n-2])<<4|nibble(out[n-1])))
		}
	}
	return string(out)
}

// escape writes controls, space, non-ASCII, "#" and "%" as %XX.
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '#' || c == '%' {
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

const digits = "0123456789ABCDEF"

func nibble(c byte) int {
	switch {
	case digit(c):
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// cleanPath resolves "." and "..", then joins runs of slashes. The result
// begins with a slash.
func cleanPath(path string) string {
	parts := strings.Split(strings.ReplaceAll(path, `\`, "/"), "/")
	var kept []string
	for i, p := range parts[min(1, len(parts)):] {
		last := i == len(parts)-2
		switch {
		case p == ".." && len(kept) > 0:
			kept = kept[:len(kept)-1]
		case p != "." && p != "..":
			kept = append(kept, p)
			continue
		}
		if last {
			kept = append(kept, "")
		}
	}
	return joinNonEmpty(kept)
}

func joinNonEmpty(parts []string) string {
	var b strings.Builder
	b.WriteByte('/')
	for i, p := range parts {
		if p == "" {
			continue
		}
		b.WriteString(p)
		if i < len(parts)-1 {
			b.WriteByte('/')
		}
	}
	return b.String()
}
