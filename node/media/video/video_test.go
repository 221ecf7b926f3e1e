// SPDX-License-Identifier: Apache-2.0

package video

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/node/media/extract"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/pdq"
	"github.com/tocsin-db/tocsin/spec/vpdq"
)

var limits = extract.Limits{MaxPixels: 50_000_000, MaxSide: 16384}

func needFFmpeg(t *testing.T) {
	t.Helper()
	if err := New(Config{}).Available(); err != nil {
		t.Skip(err)
	}
}

// source opens a file as the hasher would hand it over.
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

func extracted(t *testing.T, c Config, path string) ([]vpdq.Frame, extract.Result) {
	t.Helper()
	res, err := New(c).Extract(t.Context(), source(t, path), limits)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if len(res.Signals) != 1 || res.Signals[0].Type != Type {
		t.Fatalf("%s: signals %v", path, res.Signals)
	}
	frames, err := vpdq.Parse(res.Signals[0].Value)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return frames, res
}

func expected(t *testing.T, name string) []vpdq.Frame {
	t.Helper()
	b, err := os.ReadFile("../../../spec/vpdq/testdata/" + name + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	frames, err := vpdq.Parse(string(b))
	if err != nil {
		t.Fatal(err)
	}
	return frames
}

func TestFramesOfTheVectors(t *testing.T) {
	needFFmpeg(t)
	for _, name := range []string{"test-padded-dimensions", "pattern-sd-grey-bar"} {
		want := expected(t, name)
		got, res := extracted(t, Config{Every: AllFrames}, "testdata/"+name+".mp4")
		if len(got) != len(want) || len(res.Unsupported) != 0 {
			t.Fatalf("%s: %d frames, want %d; %v", name, len(got), len(want), res.Unsupported)
		}
		compared, near, worst := 0, 0, 0
		for i, f := range got {
			if f.Number != want[i].Number || f.Millis != want[i].Millis {
				t.Fatalf("%s: frame %d at %d ms, want %d at %d", name, f.Number, f.Millis, want[i].Number, want[i].Millis)
			}
			if want[i].Quality < 80 {
				continue
			}
			d := pdq.Distance(f.Hash, want[i].Hash)
			compared, worst = compared+1, max(worst, d)
			if d <= 10 {
				near++
			}
		}
		t.Logf("%s: %d of %d frames within 10 bits, the farthest at %d", name, near, compared, worst)
		if compared == 0 || near*100 < compared*95 {
			t.Errorf("%s: %d of %d frames within 10 bits", name, near, compared)
		}
	}
}

func TestOneFrameASecond(t *testing.T) {
	needFFmpeg(t)
	all := expected(t, "test-padded-dimensions") // 30 frames a second, 5 seconds
	for name, c := range map[string]struct {
		conf Config
		want []int
	}{
		"default":         {Config{}, []int{0, 30, 60, 90, 120}},
		"two seconds":     {Config{Every: 2 * time.Second}, []int{0, 60, 120}},
		"half a second":   {Config{Every: 500 * time.Millisecond}, []int{0, 15, 30, 45, 60, 75, 90, 105, 120, 135}},
		"more than it is": {Config{Every: time.Hour}, []int{0}},
	} {
		got, _ := extracted(t, c.conf, "testdata/test-padded-dimensions.mp4")
		if len(got) != len(c.want) {
			t.Errorf("%s: %d frames, want %d", name, len(got), len(c.want))
			continue
		}
		for i, n := range c.want {
			if got[i].Number != n || got[i].Millis != all[n].Millis || pdq.Distance(got[i].Hash, all[n].Hash) > 10 {
				t.Errorf("%s: frame %d at %d ms, want frame %d", name, got[i].Number, got[i].Millis, n)
			}
		}
	}
}

// ffmpeg makes a video out of a generated picture.
func ffmpeg(t *testing.T, name string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	out, err := exec.Command("ffmpeg", append(append([]string{"-nostdin", "-v", "error", "-y"}, args...), path)...).CombinedOutput()
	if err != nil {
		t.Fatalf("making %s: %v\n%s", name, err, out)
	}
	return path
}

const mandelbrot = "mandelbrot=size=320x240:rate=10:maxiter=50"

func TestContainersAndCodecs(t *testing.T) {
	needFFmpeg(t)
	source := ffmpeg(t, "source.mkv", "-f", "lavfi", "-i", mandelbrot, "-t", "3", "-c:v", "ffv1")
	want, _ := extracted(t, Config{}, source)
	for name, args := range map[string][]string{
		"a.mp4": {"-c:v", "mpeg4", "-q:v", "2"}, "a.mov": {"-c:v", "mjpeg", "-q:v", "2"}, "a.avi": {"-c:v", "mpeg4", "-q:v", "2"},
		"a.flv": {"-c:v", "flv", "-q:v", "2"}, "a.wmv": {"-c:v", "wmv2", "-q:v", "2"}, "a.webm": {"-c:v", "libvpx", "-b:v", "2M"},
		"a.ts": {"-c:v", "mpeg2video", "-r", "25", "-q:v", "2"}, "a.mpg": {"-c:v", "mpeg2video", "-r", "25", "-q:v", "2"},
		"a.ogv": {"-c:v", "libtheora", "-q:v", "9"},
	} {
		got, _ := extracted(t, Config{}, ffmpeg(t, name, append([]string{"-i", source}, args...)...))
		if o := vpdq.Compare(got, want); !o.Match() || len(got) < len(want)-1 {
			t.Errorf("%s: %d frames, %+v", name, len(got), o)
		}
	}
}

func TestLimits(t *testing.T) {
	needFFmpeg(t)
	path := "testdata/test-padded-dimensions.mp4"
	got, res := extracted(t, Config{Every: AllFrames, MaxFrames: 7}, path)
	if len(got) != 7 || len(res.Unsupported) != 1 || res.Unsupported[0] != (extract.Unsupported{Type: Type, Code: spec.CodeTooLarge}) {
		t.Errorf("seven frames at most: %d, %v", len(got), res.Unsupported)
	}
	if _, res := extracted(t, Config{Every: AllFrames, MaxFrames: 150}, path); len(res.Unsupported) != 0 {
		t.Errorf("as many as there are: %v", res.Unsupported)
	}
	for name, lim := range map[string]extract.Limits{"pixels": {MaxPixels: 1079 * 1080, MaxSide: 2000}, "side": {MaxPixels: 1 << 30, MaxSide: 1079}} {
		if _, err := New(Config{}).Extract(t.Context(), source(t, path), lim); spec.CodeOf(err) != spec.CodeTooLarge {
			t.Errorf("too many %s: %v", name, err)
		}
	}
	if _, err := New(Config{Timeout: time.Nanosecond}).Extract(t.Context(), source(t, path), limits); spec.CodeOf(err) != extract.CodeTimeout {
		t.Errorf("no time: %v", err)
	}
	e := New(Config{Processes: 1})
	e.slots <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Extract(ctx, source(t, path), limits); spec.CodeOf(err) != extract.CodeTimeout {
		t.Errorf("no free decoder: %v", err)
	}
}

// A turned telephone says so in the track header; frames are hashed as they
// are stored all the same, as the reference hashes them.
func TestRotationIsNotApplied(t *testing.T) {
	needFFmpeg(t)
	b, err := os.ReadFile("testdata/test-padded-dimensions.mp4")
	if err != nil {
		t.Fatal(err)
	}
	i := bytes.Index(b, []byte("tkhd"))
	if i < 0 {
		t.Fatal("the video has no track header")
	}
	matrix := []byte{0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0} // by 90 degrees
	copy(b[i+44:], matrix)
	path := filepath.Join(t.TempDir(), "turned.mp4")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("ffprobe", "-v", "error", "-show_streams", path).Output(); err != nil || !bytes.Contains(out, []byte("rotation=-90")) {
		t.Fatalf("the video is not turned: %v", err)
	}
	got, _ := extracted(t, Config{}, path)
	want := expected(t, "test-padded-dimensions")
	for _, f := range got {
		if d := pdq.Distance(f.Hash, want[f.Number].Hash); d > 10 {
			t.Errorf("frame %d at distance %d", f.Number, d)
		}
	}
}

func TestHugeFramesAreScaledDown(t *testing.T) {
	for in, want := range map[stream][2]int{
		{Width: 3840, Height: 2160}: {3840, 2160}, {Width: 3842, Height: 2160}: {1921, 1080}, {Width: 16384, Height: 3000}: {5461, 1000},
		{Width: 50_000_000, Height: 1}: {7142857, 1},
	} {
		if w, h := in.hashed(); w != want[0] || h != want[1] {
			t.Errorf("%d by %d becomes %d by %d, want %v", in.Width, in.Height, w, h, want)
		}
	}
	needFFmpeg(t)
	small := ffmpeg(t, "small.mkv", "-f", "lavfi", "-i", mandelbrot, "-t", "1", "-c:v", "ffv1")
	huge := ffmpeg(t, "huge.mp4", "-i", small, "-frames:v", "1", "-vf", "scale=4800:3600", "-c:v", "mjpeg", "-q:v", "2")
	a, _ := extracted(t, Config{}, small)
	b, _ := extracted(t, Config{}, huge)
	if d := pdq.Distance(a[0].Hash, b[0].Hash); d > pdq.Threshold {
		t.Errorf("at distance %d", d)
	}
}

func TestBrokenVideos(t *testing.T) {
	needFFmpeg(t)
	whole, err := os.ReadFile("testdata/test-padded-dimensions.mp4")
	if err != nil {
		t.Fatal(err)
	}
	playlist := "#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"
	for name, content := range map[string][]byte{
		"header only":         whole[:32],
		"half":                whole[:len(whole)/2],
		"zeros behind header": append(bytes.Clone(whole[:32]), make([]byte, 50000)...),
		"a playlist inside":   append(bytes.Clone(whole[:32]), playlist...),
		"matroska in name":    []byte("\x1aE\xdf\xa3 and nothing else"),
		"avi in name":         []byte("RIFF\x10\x00\x00\x00AVI LIST"),
		"flv in name":         []byte("FLV\x01\x05\x00\x00\x00\x09"),
		"mpeg in name":        []byte("\x00\x00\x01\xba\xff\xff\xff\xff"),
		"asf in name":         []byte("0&\xb2u\x8ef\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"),
		"sound only":          sound(t),
	} {
		path := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		res, err := New(Config{}).Extract(t.Context(), source(t, path), limits)
		if spec.CodeOf(err) != spec.CodeMalformed || strings.Contains(err.Error(), "root:") {
			t.Errorf("%s: %v, %v", name, res, err)
		}
	}
	// Damage in the middle costs frames, not the video.
	for i := len(whole) / 2; i < len(whole)/2+2000; i++ {
		whole[i] ^= 0x5a
	}
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	got, _ := extracted(t, Config{}, path)
	if o := vpdq.Compare(got, expected(t, "test-padded-dimensions")); !o.Match() {
		t.Errorf("damaged: %+v", o)
	}
}

func sound(t *testing.T) []byte {
	b, err := os.ReadFile(ffmpeg(t, "sound.mp4", "-f", "lavfi", "-i", "sine=duration=1"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWithoutFFmpeg(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	e := New(Config{})
	if err := e.Available(); spec.CodeOf(err) != spec.CodeUnsupported {
		t.Errorf("Available: %v", err)
	}
	if _, err := e.Extract(t.Context(), source(t, "testdata/test-padded-dimensions.mp4"), limits); spec.CodeOf(err) != spec.CodeUnsupported {
		t.Errorf("Extract: %v", err)
	}
}
