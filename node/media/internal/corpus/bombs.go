// SPDX-License-Identifier: Apache-2.0

package corpus

import (
	"bytes"
	"compress/lzw"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"io"
)

// Bombs are small files that ask for a lot of memory or time, and must be
// refused before they get any.
func Bombs() []File {
	return []File{
		{"png of 60,000 squared in 58 bytes", append(png(60000, 60000, 8, 2, nil), 0)},
		{"png of 2^31-1 squared", png(1<<31-1, 1<<31-1, 8, 6, nil)},
		{"png of 16,384 squared", png(16384, 16384, 8, 6, zeros(1<<16))},
		{"png of no pixels", png(0, 1, 8, 2, nil)},
		{"png of 7,000 squared in 16 bits", png(7000, 7000, 16, 6, zeros(1<<20))},
		{"gif of 65,535 squared", gif(65535, 65535, 1, 1, 1)},
		{"gif frame beyond its screen", gif(16, 16, 60000, 60000, 1)},
		{"jpeg of 65,535 squared", jpeg(65535, 65535, 0xc0, 1)},
		{"progressive jpeg of 7,000 squared", jpeg(7000, 7000, 0xc2, 3)},
		{"progressive jpeg of 30,000 scans", jpeg(2000, 2000, 0xc2, 30_000)},
		{"webp of 16,384 squared", webp(16383, 16383)},
		{"bmp of 2^31-1 squared", bmp(1<<31-1, 1<<31-1)},
		{"bmp upside down by 2^31", bmp(16, 1<<31)},
		{"tiff whose directory points at itself", tiff(8, 8, 1<<28)},
		{"tiff of 2^32-1 squared", tiff(1<<32-1, 1<<32-1, 1)},
		{"zeros", make([]byte, 1<<20)},
	}
}

// Heavy are files just within the limits, that take as much as a file may. They
// take seconds to make and to decode.
func Heavy() []File {
	return []File{
		{"png of 7,000 squared, all there", png(7000, 7000, 8, 6, zeros(7000*(1+4*7000)))},
		{"png whose data go on for ever", png(8, 8, 8, 2, zeros(64<<20))},
		{"gif of 200,000 frames", gif(64, 64, 1, 1, 200_000)},
		{"gif of large frames", gif(7000, 7000, 7000, 7000, 4)},
	}
}

func zeros(n int64) []byte {
	var b bytes.Buffer
	z, err := zlib.NewWriterLevel(&b, zlib.BestCompression)
	if err == nil {
		_, err = io.CopyN(z, zeroReader{}, n)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		panic(err) // a buffer takes everything
	}
	return b.Bytes()
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// png builds a PNG of any declared size around zlib data.
func png(w, h uint32, depth, colour byte, data []byte) []byte {
	header := binary.BigEndian.AppendUint32(nil, w)
	header = binary.BigEndian.AppendUint32(header, h)
	header = append(header, depth, colour, 0, 0, 0)
	out := chunk([]byte("\x89PNG\r\n\x1a\n"), "IHDR", header)
	return chunk(chunk(out, "IDAT", data), "IEND", nil)
}

func chunk(out []byte, kind string, data []byte) []byte {
	out = binary.BigEndian.AppendUint32(out, uint32(len(data)))
	start := len(out)
	out = append(append(out, kind...), data...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[start:]))
}

func gif(w, h, fw, fh uint16, frames int) []byte {
	out := binary.LittleEndian.AppendUint16([]byte("GIF89a"), w)
	out = binary.LittleEndian.AppendUint16(out, h)
	out = append(out, 0x80, 0, 0, 0, 0, 0, 255, 255, 255)
	data := pixels(int(fw) * int(fh))
	for range frames {
		out = append(out, 0x2c, 0, 0, 0, 0)
		out = binary.LittleEndian.AppendUint16(out, fw)
		out = binary.LittleEndian.AppendUint16(out, fh)
		out = append(append(out, 0), data...)
	}
	return append(out, 0x3b)
}

// pixels is the data of a GIF frame of n pixels of colour 0; of more than 50
// million only one is there.
func pixels(n int) []byte {
	if n > 50_000_000 {
		n = 1
	}
	var b bytes.Buffer
	z := lzw.NewWriter(&b, lzw.LSB, 2)
	if _, err := io.CopyN(z, zeroReader{}, int64(n)); err != nil {
		panic(err) // a buffer takes everything
	}
	z.Close()
	out := []byte{2}
	for b.Len() > 0 {
		part := b.Next(255)
		out = append(append(out, byte(len(part))), part...)
	}
	return append(out, 0)
}

func jpeg(w, h uint16, frame byte, scans int) []byte {
	out := append([]byte{0xff, 0xd8, 0xff, 0xdb, 0, 67, 0}, bytes.Repeat([]byte{1}, 64)...)
	out = append(out, 0xff, frame, 0, 11, 8)
	out = binary.BigEndian.AppendUint16(out, h)
	out = binary.BigEndian.AppendUint16(out, w)
	out = append(out, 1, 1, 0x11, 0)
	for _, class := range []byte{0x00, 0x10} { // one code word each, of one bit
		out = append(out, 0xff, 0xc4, 0, 20, class, 1)
		out = append(append(out, make([]byte, 15)...), 0)
	}
	for range scans {
		out = append(out, 0xff, 0xda, 0, 8, 1, 1, 0, 0, 0, 0)
		out = append(out, make([]byte, 8)...)
	}
	return append(out, 0xff, 0xd9)
}

func webp(w, h uint32) []byte {
	bits := w | h<<14
	out := append([]byte("RIFF\x1e\x00\x00\x00WEBPVP8L\x11\x00\x00\x00\x2f"), byte(bits), byte(bits>>8), byte(bits>>16), byte(bits>>24))
	return append(out, make([]byte, 13)...)
}

func bmp(w, h uint32) []byte {
	out := append([]byte("BM"), make([]byte, 8)...)
	for _, v := range []uint32{54, 40, w, h, 24<<16 | 1, 0, 0, 0, 0, 0, 0} {
		out = binary.LittleEndian.AppendUint32(out, v)
	}
	return append(out, make([]byte, 64)...)
}

// tiff declares a grey image whose strip tables have count members.
func tiff(w, h, count uint32) []byte {
	out := []byte("II*\x00\x08\x00\x00\x00\x08\x00")
	for _, e := range [][3]uint32{
		{256, 1, w}, {257, 1, h}, {258, 1, 8}, {259, 1, 1}, {262, 1, 1}, {273, count, 8}, {278, 1, 1}, {279, count, 8},
	} {
		out = binary.LittleEndian.AppendUint16(out, uint16(e[0]))
		out = binary.LittleEndian.AppendUint16(out, 4)
		out = binary.LittleEndian.AppendUint32(out, e[1])
		out = binary.LittleEndian.AppendUint32(out, e[2])
	}
	return append(out, 8, 0, 0, 0)
}
