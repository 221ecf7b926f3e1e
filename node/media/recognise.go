// SPDX-License-Identifier: Apache-2.0

package media

import (
	"bytes"

	"github.com/tocsin-db/tocsin/node/media/extract"
)

// A magic names a format by bytes at a place near the start.
type magic struct {
	at           int
	bytes        string
	kind, format string
}

// Formats that are recognised so that the answer can say what is missing. The
// brands of ISO media files stand before the general "ftyp".
var magics = []magic{
	{4, "ftypavif", extract.Image, "avif"},
	{4, "ftypavis", extract.Image, "avif"},
	{4, "ftypheic", extract.Image, "heic"},
	{4, "ftypheix", extract.Image, "heic"},
	{4, "ftyphevc", extract.Image, "heic"},
	{4, "ftypheim", extract.Image, "heic"},
	{4, "ftypheis", extract.Image, "heic"},
	{4, "ftypmif1", extract.Image, "heif"},
	{4, "ftypmsf1", extract.Image, "heif"},
	{4, "ftypM4A ", extract.Audio, "m4a"},
	{4, "ftyp", extract.Video, "mp4"},
	{4, "moov", extract.Video, "mov"},
	{0, "\x1aE\xdf\xa3", extract.Video, "matroska"},
	{8, "AVI ", extract.Video, "avi"},
	{0, "FLV\x01", extract.Video, "flv"},
	{0, "0&\xb2u\x8ef\xcf\x11", extract.Video, "asf"},
	{0, "\x00\x00\x01\xba", extract.Video, "mpeg"},
	{0, "\x00\x00\x01\xb3", extract.Video, "mpeg"},
	{0, "\xff\x0a", extract.Image, "jxl"},
	{0, "\x00\x00\x00\x0cJXL ", extract.Image, "jxl"},
	{0, "\x00\x00\x00\x0cjP  ", extract.Image, "jp2"},
	{0, "\x00\x00\x01\x00", extract.Image, "ico"},
	{0, "8BPS", extract.Image, "psd"},
	{0, "%PDF-", extract.PDF, "pdf"},
	{0, "ID3", extract.Audio, "mp3"},
	{0, "OggS", extract.Audio, "ogg"},
	{0, "fLaC", extract.Audio, "flac"},
	{8, "WAVE", extract.Audio, "wav"},
}

// recognise names the kind and format of a file that no extractor reads.
func recognise(head []byte) (kind, format string) {
	for _, m := range magics {
		if len(head) >= m.at && bytes.HasPrefix(head[m.at:], []byte(m.bytes)) {
			return m.kind, m.format
		}
	}
	return extract.Other, ""
}
