// SPDX-License-Identifier: Apache-2.0

package audio

import (
	"strings"
	"testing"
)

func frames(header string, size, n int) string {
	return strings.Repeat(header+strings.Repeat("x", size-len(header)), n)
}

func TestClaim(t *testing.T) {
	for name, c := range map[string]struct{ head, format string }{
		"mp3 with tags":    {"ID3\x04\x00", "mp3"},
		"mp3 128 kbit/s":   {frames("\xff\xfb\x90\x00", 417, 4), "mp3"},
		"mp3 padded":       {frames("\xff\xfb\x92\x00", 418, 4), "mp3"},
		"mp3 MPEG-2":       {frames("\xff\xf3\x80\x00", 208, 4), "mp3"},
		"mp3 MPEG-2.5":     {frames("\xff\xe3\x80\x00", 417, 4), "mp3"},
		"aac":              {frames("\xff\xf1\x50\x80\x2e\x7f\xfc", 371, 4), "aac"},
		"wave":             {"RIFF\x00\x00\x00\x00WAVEfmt ", "wav"},
		"aiff":             {"FORM\x00\x00\x00\x00AIFF", "aiff"},
		"m4a":              {"\x00\x00\x00\x20ftypM4A ", "m4a"},
		"two mp3 frames":   {frames("\xff\xfb\x90\x00", 417, 2), ""},
		"wrong distance":   {frames("\xff\xfb\x90\x00", 418, 4), ""},
		"free bit rate":    {frames("\xff\xfb\x00\x00", 417, 4), ""},
		"no sampling rate": {frames("\xff\xfb\x9c\x00", 417, 4), ""},
		"layer II":         {frames("\xff\xfd\x90\x00", 417, 4), ""},
		"UTF-16 text":      {"\xff\xfeT\x00e\x00x\x00t\x00", ""},
		"JPEG":             {"\xff\xd8\xff\xe0", ""},
		"avi":              {"RIFF\x00\x00\x00\x00AVI LIST", ""},
		"empty":            {"", ""},
	} {
		format, ok := New(Config{}).Claim([]byte(c.head), "")
		if ok != (c.format != "") || format != c.format {
			t.Errorf("%s: %q, %v; want %q", name, format, ok, c.format)
		}
	}
}

func FuzzClaim(f *testing.F) {
	f.Add([]byte(frames("\xff\xfb\x90\x00", 417, 4)))
	f.Add([]byte(frames("\xff\xf1\x50\x80\x2e\x7f\xfc", 371, 4)))
	f.Fuzz(func(t *testing.T, head []byte) {
		if format, ok := New(Config{}).Claim(head, ""); ok && demuxers[format] == "" {
			t.Fatalf("%q has no demuxer", format)
		}
	})
}
