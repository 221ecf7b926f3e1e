// SPDX-License-Identifier: Apache-2.0

package audio

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/node/media/extract"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/chromaprint"
)

func needFpcalc(t *testing.T) {
	t.Helper()
	if err := New(Config{}).Available(); err != nil {
		t.Skip(err)
	}
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg, which makes the sounds, is not installed")
	}
}

// notes is a melody of a different tone every third of a second.
const notes = "aevalsrc=0.4*sin(2*PI*t*(220+60*mod(floor(3*t)*7\\,11)))+0.2*sin(2*PI*t*(440+45*mod(floor(3*t)*5\\,13))):s=22050:d=30"

// others is another one.
const others = "aevalsrc=0.4*sin(2*PI*t*(260+35*mod(floor(2*t)*11\\,17)))+0.2*sin(2*PI*t*(700+31*mod(floor(4*t)*3\\,19))):s=22050:d=30"

func sound(t *testing.T, name, source string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	args = append(append([]string{"-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", source}, args...), path)
	if out, err := exec.Command("ffmpeg", args...).CombinedOutput(); err != nil {
		t.Fatalf("making %s: %v\n%s", name, err, out)
	}
	return path
}

func source(t *testing.T, path string) extract.Source {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	head := make([]byte, extract.HeadSize)
	n, _ := f.ReadAt(head, 0)
	format, ok := New(Config{}).Claim(head[:n], "")
	if !ok {
		t.Fatalf("%s is not claimed", path)
	}
	return extract.Source{File: f, Size: info.Size(), Format: format}
}

func fingerprint(t *testing.T, c Config, path string) chromaprint.Fingerprint {
	t.Helper()
	res, err := New(c).Extract(t.Context(), source(t, path), extract.Limits{})
	if err != nil || len(res.Signals) != 1 || res.Signals[0].Type != Type || len(res.Unsupported) != 0 {
		t.Fatalf("%s: %+v, %v", path, res, err)
	}
	f, err := chromaprint.Parse(res.Signals[0].Value)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return f
}

func TestFormats(t *testing.T) {
	needFpcalc(t)
	want := fingerprint(t, Config{}, sound(t, "a.wav", notes))
	for name, args := range map[string][]string{
		"a.flac": nil, "a.aiff": nil, "a.mp3": {"-b:a", "96k"}, "bare.mp3": {"-b:a", "96k", "-id3v2_version", "0", "-write_xing", "0"},
		"low.mp3": {"-b:a", "32k", "-ar", "11025", "-id3v2_version", "0", "-write_xing", "0"},
		"a.m4a":   {"-b:a", "96k"}, "a.aac": {"-b:a", "96k"}, "vorbis.ogg": {"-c:a", "libvorbis"}, "opus.ogg": {"-c:a", "libopus"},
	} {
		got := fingerprint(t, Config{}, sound(t, name, notes, args...))
		if a := chromaprint.Align(got, want); !a.Match() {
			t.Errorf("%s: %+v, %d‰", name, a, a.Rate())
		}
	}
	if a := chromaprint.Align(want, fingerprint(t, Config{}, sound(t, "b.wav", others))); a.Match() {
		t.Errorf("another melody: %+v, %d‰", a, a.Rate())
	}
}

func TestTheFingerprintIsThatOfFpcalc(t *testing.T) {
	needFpcalc(t)
	path := sound(t, "a.wav", notes)
	out, err := exec.Command("fpcalc", "-plain", path).Output()
	if len(out) == 0 {
		t.Fatal(err)
	}
	if got := fingerprint(t, Config{}, path).String() + "\n"; got != string(out) {
		t.Error("it differs from the one made without confinement")
	}
	if n := len(fingerprint(t, Config{Length: 15 * time.Second}, path).Items); n > 15*9 || n < 15*6 {
		t.Errorf("15 seconds have %d items", n)
	}
}

func TestSoundsWithoutASignal(t *testing.T) {
	needFpcalc(t)
	for name, s := range map[string]string{"tone": "sine=duration=30", "silence": "anullsrc=d=30", "short": notes + ",atrim=end=8"} {
		res, err := New(Config{}).Extract(t.Context(), source(t, sound(t, "a.wav", s)), extract.Limits{})
		if err != nil || len(res.Signals) != 0 || len(res.Unsupported) != 1 || res.Unsupported[0] != (extract.Unsupported{Type: Type, Code: spec.CodeSignal}) {
			t.Errorf("%s: %+v, %v", name, res, err)
		}
	}
}

func TestBrokenSounds(t *testing.T) {
	needFpcalc(t)
	path := sound(t, "a.wav", notes)
	for name, content := range map[string]string{
		"header only": "RIFF\x00\x00\x00\x00WAVE", "flac in name": "fLaC and no more", "playlist": "ID3#EXTM3U\nfile:///etc/passwd\n", "instant": "#!AMR\n",
	} {
		broken := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(broken, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if res, err := New(Config{}).Extract(t.Context(), source(t, broken), extract.Limits{}); spec.CodeOf(err) != spec.CodeMalformed {
			t.Errorf("%s: %+v, %v", name, res, err)
		}
	}
	if _, err := New(Config{Timeout: time.Nanosecond}).Extract(t.Context(), source(t, path), extract.Limits{}); spec.CodeOf(err) != extract.CodeTimeout {
		t.Errorf("no time: %v", err)
	}
	e := New(Config{Processes: 1})
	e.slots <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Extract(ctx, source(t, path), extract.Limits{}); spec.CodeOf(err) != extract.CodeTimeout {
		t.Errorf("no free decoder: %v", err)
	}
}

func TestWithoutFpcalc(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	e := New(Config{})
	if err := e.Available(); spec.CodeOf(err) != spec.CodeUnsupported {
		t.Errorf("Available: %v", err)
	}
	if _, err := e.Extract(t.Context(), extract.Source{Format: "wav"}, extract.Limits{}); spec.CodeOf(err) != spec.CodeUnsupported {
		t.Errorf("Extract: %v", err)
	}
}
