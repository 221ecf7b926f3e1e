// SPDX-License-Identifier: Apache-2.0

package video

import "bytes"

// A magic names a container by bytes at a place near its start.
type magic struct {
	at     int
	bytes  string
	format string
}

var magics = []magic{
	{4, "ftypqt  ", "mov"},
	{4, "ftyp3g", "3gp"},
	{4, "ftyp", "mp4"},
	{4, "moov", "mov"},
	{4, "mdat", "mov"},
	{4, "wide", "mov"},
	{0, "\x1aE\xdf\xa3", "matroska"},
	{8, "AVI ", "avi"},
	{0, "FLV\x01", "flv"},
	{0, "0&\xb2u\x8ef\xcf\x11", "asf"},
	{0, "\x00\x00\x01\xba", "mpeg"},
	{0, "\x00\x00\x01\xb3", "mpegvideo"},
}

// demuxers names ffmpeg's reader of each format: no other is ever tried.
var demuxers = map[string]string{
	"mp4": "mov", "mov": "mov", "3gp": "mov", "matroska": "matroska", "avi": "avi", "flv": "flv", "asf": "asf",
	"mpeg": "mpeg", "mpegvideo": "mpegvideo", "mpegts": "mpegts", "ogg": "ogg",
}

// others are the brands of ISO media files that hold a picture or sound alone.
var others = []string{"avif", "avis", "heic", "heix", "hevc", "hevx", "heim", "heis", "hevm", "hevs", "mif1", "mif2", "msf1", "crx ", "M4A ", "M4B ", "M4P "}

// Claim recognises containers of video by their first bytes.
func (*Extractor) Claim(head []byte, _ string) (string, bool) {
	for _, m := range magics {
		if len(head) >= m.at && bytes.HasPrefix(head[m.at:], []byte(m.bytes)) {
			return m.format, !otherBrand(head)
		}
	}
	switch {
	case transport(head):
		return "mpegts", true
	case bytes.HasPrefix(head, []byte("OggS")) && bytes.Contains(head, []byte("\x80theora")):
		return "ogg", true
	}
	return "", false
}

func otherBrand(head []byte) bool {
	if len(head) < 12 || string(head[4:8]) != "ftyp" {
		return false
	}
	for _, brand := range others {
		if string(head[8:12]) == brand {
			return true
		}
	}
	return false
}

// transport reports whether head is a transport stream: packets of 188 bytes,
// or of 192 with a time stamp before each.
func transport(head []byte) bool {
	for _, p := range []struct{ at, size int }{{0, 188}, {4, 192}} {
		n := 0
		for i := p.at; i < len(head) && head[i] == 0x47; i += p.size {
			n++
		}
		if n >= 5 && n == (len(head)-p.at+p.size-1)/p.size {
			return true
		}
	}
	return false
}
