// SPDX-License-Identifier: Apache-2.0

package audio

import "bytes"

// A magic names a format by bytes at a place near its start.
type magic struct {
	at     int
	bytes  string
	format string
}

var magics = []magic{
	{0, "ID3", "mp3"},
	{0, "fLaC", "flac"},
	{0, "OggS", "ogg"},
	{8, "WAVE", "wav"},
	{8, "AIFF", "aiff"},
	{8, "AIFC", "aiff"},
	{4, "ftypM4A ", "m4a"},
	{4, "ftypM4B ", "m4a"},
	{0, "#!AMR", "amr"},
}

// demuxers names Chromaprint's reader of each format: no other is ever tried.
var demuxers = map[string]string{
	"mp3": "mp3", "flac": "flac", "ogg": "ogg", "wav": "wav", "aiff": "aiff", "m4a": "mov", "amr": "amr", "aac": "aac",
}

// Claim recognises sounds by their first bytes. Containers that may hold a film
// belong to the extractor of videos, which should be asked before.
func (*Extractor) Claim(head []byte, _ string) (string, bool) {
	for _, m := range magics {
		if len(head) >= m.at && bytes.HasPrefix(head[m.at:], []byte(m.bytes)) {
			return m.format, true
		}
	}
	for _, s := range []struct {
		format string
		size   func([]byte) int
	}{{"mp3", mp3Frame}, {"aac", adtsFrame}} {
		if consecutive(head, s.size) {
			return s.format, true
		}
	}
	return "", false
}

// consecutive reports whether head begins with at least three whole frames, one
// behind the other: a single sync word occurs in any file.
func consecutive(head []byte, size func([]byte) int) bool {
	for range 3 {
		n := size(head)
		if n <= 0 || n > len(head) {
			return false
		}
		head = head[n:]
	}
	return true
}

// Bit rates of MPEG layer III in kbit/s and sampling rates (ISO/IEC 11172-3,
// 13818-3).
var (
	mp3Rates1  = [16]int{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0}
	mp3Rates2  = [16]int{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0}
	mp3Samples = [4]int{44100, 48000, 32000, 0}
)

// mp3Frame returns the length of the frame that b begins with, 0 if none.
func mp3Frame(b []byte) int {
	if len(b) < 4 || b[0] != 0xff || b[1]&0xe6 != 0xe2 {
		return 0
	}
	samples, padding := mp3Samples[b[2]>>2&3], int(b[2]>>1&1)
	if samples == 0 {
		return 0
	}
	switch b[1] >> 3 & 3 {
	case 3: // MPEG-1
		return frameOf(144000*mp3Rates1[b[2]>>4], samples, padding)
	case 2: // MPEG-2
		return frameOf(72000*mp3Rates2[b[2]>>4], samples/2, padding)
	case 0: // MPEG-2.5
		return frameOf(72000*mp3Rates2[b[2]>>4], samples/4, padding)
	}
	return 0
}

func frameOf(bits, samples, padding int) int {
	if bits == 0 {
		return 0
	}
	return bits/samples + padding
}

// adtsFrame returns the length of the AAC frame that b begins with, 0 if none.
func adtsFrame(b []byte) int {
	if len(b) < 7 || b[0] != 0xff || b[1]&0xf6 != 0xf0 || b[2]>>2&15 > 12 {
		return 0
	}
	n := int(b[3]&3)<<11 | int(b[4])<<3 | int(b[5])>>5
	if n < 7 {
		return 0
	}
	return n
}
