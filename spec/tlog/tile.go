// SPDX-License-Identifier: Apache-2.0

package tlog

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/tocsin-db/tocsin/spec"
)

// TileWidth is how many hashes, or leaves, a full tile has (C2SP tlog-tiles:
// height 8).
const (
	TileWidth  = 256
	tileHeight = 8
)

// EntriesLevel is the level of tiles that hold leaves instead of hashes.
const EntriesLevel = -1

// A Tile names a run of hashes of the tree, or of leaves. Tiles of level L hold
// the hashes of level 8·L.
type Tile struct {
	Level int // EntriesLevel, or 0 to 6
	Index uint64
	Width int // 1 to TileWidth
}

const maxTileLevel = 6 // 2^48 leaves

// Path is the tile's place under the log's URL:
// tile/<level>/<index in groups of three digits>[.p/<width>].
func (t Tile) Path() string {
	n := t.Index
	name := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		name = fmt.Sprintf("x%03d/%s", n%1000, name)
	}
	level := "entries"
	if t.Level != EntriesLevel {
		level = strconv.Itoa(t.Level)
	}
	path := "tile/" + level + "/" + name
	if t.Width < TileWidth {
		path += ".p/" + strconv.Itoa(t.Width)
	}
	return path
}

// ParseTilePath is the reverse of Path, failing with MALFORMED.
func ParseTilePath(path string) (Tile, error) {
	bad := spec.Errorf(spec.CodeMalformed, "not the path of a tile")
	rest, ok := strings.CutPrefix(path, "tile/")
	level, name, more := strings.Cut(rest, "/")
	if !ok || !more || len(path) > 64 {
		return Tile{}, bad
	}
	t := Tile{Level: EntriesLevel, Width: TileWidth}
	if level != "entries" {
		n, err := strconv.Atoi(level)
		if err != nil {
			return t, bad
		}
		t.Level = n
	}
	if full, width, partial := strings.Cut(name, ".p/"); partial {
		n, err := strconv.Atoi(width)
		if err != nil {
			return t, bad
		}
		name, t.Width = full, n
	}
	for _, part := range strings.Split(name, "/") {
		n, err := strconv.ParseUint(strings.TrimPrefix(part, "x"), 10, 10)
		if err != nil || n > 999 || t.Index > MaxSize {
			return t, bad
		}
		t.Index = t.Index*1000 + n
	}
	if t.Level < EntriesLevel || t.Level > maxTileLevel || t.Width < 1 || t.Width > TileWidth || t.Index > MaxSize || t.Path() != path {
		return t, bad
	}
	return t, nil
}

// In reports whether a log of size leaves has all of the tile. Of the last tile
// of a level a log has every smaller width too.
func (t Tile) In(size uint64) bool {
	shift := 0
	if t.Level > 0 {
		shift = tileHeight * t.Level
	}
	return t.Index*TileWidth+uint64(t.Width) <= size>>shift
}

// Data is the tile's content: its hashes one after the other.
func (t Tile) Data(h Hashes) ([]byte, error) {
	out := make([]byte, 0, t.Width*len(spec.Hash{}))
	for i := range uint64(t.Width) {
		hash, err := h.LogHash(tileHeight*t.Level, t.Index*TileWidth+i)
		if err != nil {
			return nil, err
		}
		out = append(out, hash[:]...)
	}
	return out, nil
}

// Bundle is the content of a tile of leaves: each with its length before it as
// two bytes, big-endian.
func Bundle(leaves [][]byte) []byte {
	var out []byte
	for _, l := range leaves {
		out = append(binary.BigEndian.AppendUint16(out, uint16(len(l))), l...)
	}
	return out
}

// MaxBundle bounds a bundle in bytes.
const MaxBundle = TileWidth * (2 + spec.MaxLeaf)

// ParseBundle is the reverse of Bundle. The leaves share data's memory.
func ParseBundle(data []byte) ([][]byte, error) {
	var leaves [][]byte
	for len(data) > 0 {
		if len(data) < 2 || len(leaves) == TileWidth {
			return nil, spec.Errorf(spec.CodeMalformed, "not a bundle of leaves")
		}
		n := int(binary.BigEndian.Uint16(data))
		if data = data[2:]; n > len(data) || n > spec.MaxLeaf {
			return nil, spec.Errorf(spec.CodeMalformed, "not a bundle of leaves")
		}
		leaves, data = append(leaves, data[:n:n]), data[n:]
	}
	return leaves, nil
}
