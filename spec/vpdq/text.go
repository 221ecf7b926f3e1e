// SPDX-License-Identifier: Apache-2.0

package vpdq

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/pdq"
)

// MaxText bounds the text of a value in bytes.
const MaxText = 8 << 20

const (
	maxNumber = math.MaxInt32
	maxMillis = int64(1e12)
)

// Format returns the canonical text: a line "frame,quality,hash,seconds" for
// each frame, seconds with three decimals. Frames must be in the order of
// their numbers.
func Format(frames []Frame) string {
	var b []byte
	for _, f := range frames {
		b = strconv.AppendInt(b, int64(f.Number), 10)
		b = append(b, ',')
		b = strconv.AppendInt(b, int64(f.Quality), 10)
		b = append(b, ',')
		b = append(b, f.Hash.String()...)
		b = append(b, ',')
		b = appendSeconds(b, f.Millis)
		b = append(b, '\n')
	}
	return string(b)
}

// FormatJSON returns the form of python-threatexchange: a JSON array of
// "hash,quality,seconds". It leaves out the frames' numbers.
func FormatJSON(frames []Frame) string {
	b := []byte{'['}
	for i, f := range frames {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(b, '"')
		b = append(b, f.Hash.String()...)
		b = append(b, ',')
		b = strconv.AppendInt(b, int64(f.Quality), 10)
		b = append(b, ',')
		b = append(appendSeconds(b, f.Millis), '"')
	}
	return string(append(b, ']'))
}

func appendSeconds(b []byte, millis int64) []byte {
	b = strconv.AppendInt(b, millis/1000, 10)
	return append(b, '.', byte('0'+millis/100%10), byte('0'+millis/10%10), byte('0'+millis%10))
}

// Parse reads the canonical text, or python-threatexchange's JSON array, whose
// frames are numbered from 0. Its error is spec.CodeSignal, or
// spec.CodeTooLarge above MaxText and MaxFrames; it never repeats the text.
func Parse(text string) ([]Frame, error) {
	switch {
	case len(text) > MaxText:
		return nil, errTooLarge()
	case strings.HasPrefix(strings.TrimLeft(text, " \t\r\n"), "["):
		return parseJSON(text)
	}
	return parseLines(text)
}

// Check refuses what Parse refuses, and a value without frames.
func Check(text string) error {
	frames, err := Parse(text)
	if err == nil && len(frames) == 0 {
		return spec.Errorf(spec.CodeSignal, "a vPDQ value has at least one frame")
	}
	return err
}

func parseLines(text string) ([]Frame, error) {
	var frames []Frame
	for len(text) > 0 {
		line, rest, ended := strings.Cut(text, "\n")
		text = rest
		f, ok := parseLine(line)
		if !ok || !ended {
			return nil, spec.Errorf(spec.CodeSignal, "line %d of this vPDQ value is not frame,quality,hash,seconds", len(frames)+1)
		}
		if len(frames) == MaxFrames {
			return nil, errTooLarge()
		}
		frames = append(frames, f)
	}
	if !ascending(frames) {
		return nil, spec.Errorf(spec.CodeSignal, "the frames of a vPDQ value are numbered in ascending order")
	}
	return frames, nil
}

func parseLine(line string) (f Frame, ok bool) {
	parts := strings.Split(line, ",")
	if len(parts) != 4 {
		return f, false
	}
	number, ok1 := parseInt(parts[0], maxNumber)
	quality, ok2 := parseInt(parts[1], 100)
	hash, err := pdq.Parse(parts[2])
	whole, decimals, _ := strings.Cut(parts[3], ".")
	seconds, ok3 := parseInt(whole, maxMillis/1000-1)
	millis, err2 := strconv.ParseUint(decimals, 10, 16)
	f = Frame{int(number), int(quality), hash, 1000*seconds + int64(millis)}
	return f, ok1 && ok2 && ok3 && err == nil && err2 == nil && len(decimals) == 3
}

// parseInt reads a decimal number without a sign or leading zeros.
func parseInt(s string, limit int64) (int64, bool) {
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err == nil && int64(n) <= limit && (s[0] != '0' || len(s) == 1)
}

func parseJSON(text string) ([]Frame, error) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.Token()
	var frames []Frame
	for dec.More() {
		var s string
		if err := dec.Decode(&s); err != nil {
			return nil, errJSON(len(frames))
		}
		f, ok := parseCompact(s)
		if !ok {
			return nil, errJSON(len(frames))
		}
		if len(frames) == MaxFrames {
			return nil, errTooLarge()
		}
		f.Number = len(frames)
		frames = append(frames, f)
	}
	if end, err := dec.Token(); err != nil || end != json.Delim(']') || len(bytes.TrimSpace([]byte(text[dec.InputOffset():]))) > 0 {
		return nil, errJSON(len(frames))
	}
	return frames, nil
}

// parseCompact reads "hash,quality,seconds". python-threatexchange writes three
// significant digits: 12.3, 1.23e+03.
func parseCompact(s string) (f Frame, ok bool) {
	parts := strings.Split(s, ",")
	if len(parts) != 3 || strings.Trim(parts[2], "0123456789.e+-") != "" {
		return f, false
	}
	hash, err := pdq.Parse(parts[0])
	quality, ok := parseInt(parts[1], 100)
	seconds, err2 := strconv.ParseFloat(parts[2], 64)
	if !ok || err != nil || err2 != nil || !(seconds >= 0) || seconds*1000 >= float64(maxMillis) {
		return f, false
	}
	return Frame{Quality: int(quality), Hash: hash, Millis: int64(math.Round(seconds * 1000))}, true
}

func errJSON(at int) error {
	return spec.Errorf(spec.CodeSignal, "element %d of this vPDQ value is not hash,quality,seconds", at)
}

func errTooLarge() error {
	return spec.Errorf(spec.CodeTooLarge, "a vPDQ value has at most %d frames and %d bytes", MaxFrames, MaxText)
}
