// SPDX-License-Identifier: Apache-2.0

package video

import (
	"strings"
	"testing"
)

func packets(before string, size, n int) string {
	return strings.Repeat(before+"G"+strings.Repeat("x", size-1-len(before)), n)
}

func TestClaim(t *testing.T) {
	for name, c := range map[string]struct{ head, format string }{
		"mp4":              {"\x00\x00\x00\x20ftypisom", "mp4"},
		"quicktime":        {"\x00\x00\x00\x20ftypqt  ", "mov"},
		"old quicktime":    {"\x00\x00\x00\x20moov", "mov"},
		"3gp":              {"\x00\x00\x00\x20ftyp3gp5", "3gp"},
		"matroska":         {"\x1aE\xdf\xa3\x01", "matroska"},
		"avi":              {"RIFF\x00\x00\x00\x00AVI LIST", "avi"},
		"transport stream": {packets("", 188, 8), "mpegts"},
		"with time stamps": {packets("time", 192, 8), "mpegts"},
		"theora":           {"OggS\x00\x02\x80theora", "ogg"},
		"heic":             {"\x00\x00\x00\x20ftypheic", ""},
		"avif":             {"\x00\x00\x00\x20ftypavif", ""},
		"m4a":              {"\x00\x00\x00\x20ftypM4A ", ""},
		"vorbis":           {"OggS\x00\x02\x01vorbis", ""},
		"wave":             {"RIFF\x00\x00\x00\x00WAVE", ""},
		"text":             {"G is a letter, and a sentence may begin with it", ""},
		"few packets":      {packets("", 188, 4), ""},
		"broken packets":   {packets("", 188, 5) + strings.Repeat("x", 400), ""},
		"short":            {"\x00\x00", ""},
		"empty":            {"", ""},
	} {
		format, ok := New(Config{}).Claim([]byte(c.head), "")
		if ok != (c.format != "") || ok && format != c.format {
			t.Errorf("%s: %q, %v; want %q", name, format, ok, c.format)
		}
		if ok && demuxers[format] == "" {
			t.Errorf("%s: %q has no demuxer", name, format)
		}
	}
}

func FuzzClaim(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x20ftypisom"))
	f.Add([]byte(packets("time", 192, 8)))
	f.Fuzz(func(t *testing.T, head []byte) {
		if format, ok := New(Config{}).Claim(head, ""); ok && demuxers[format] == "" {
			t.Fatalf("%q has no demuxer", format)
		}
	})
}
