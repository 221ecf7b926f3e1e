// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/media"
	"github.com/tocsin-db/tocsin/node/media/video"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/vpdq"
)

// listFile proposes what is computed of a file and has it approved.
func listFile(t *testing.T, ctx context.Context, c *trial.Consortium, file []byte) {
	t.Helper()
	h := media.New(media.Config{Children: 1})
	defer h.Close()
	rec, err := h.Hash(ctx, bytes.NewReader(file), "")
	if err != nil || rec.Err != nil {
		t.Fatalf("hashing: %v, %v", err, rec.Err)
	}
	signals, err := media.Listing(rec.Signals)
	if err != nil {
		t.Fatal(err)
	}
	id, err := c.Members[0].Propose(ctx, api.Proposal{
		Items: []api.ProposalItem{{Labels: []string{"isil"}, Signals: signals}}, Basis: "designated-entity",
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Members[1].Vote(ctx, api.Ballot{Case: id, Choice: spec.Approve}); err != nil {
		t.Fatal(err)
	}
}

// types looks a file up on the second member and returns the types that matched.
func types(t *testing.T, ctx context.Context, c *trial.Consortium, file []byte) string {
	t.Helper()
	a, err := c.Members[1].MatchFile(ctx, bytes.NewReader(file), "")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range a.Matches {
		out = append(out, m.Type)
	}
	return strings.Join(out, " ")
}

func TestTextMatchesThoughItWasEdited(t *testing.T) {
	ctx, c := found(t, 3)
	var text strings.Builder
	for i := range 400 {
		text.WriteString(strings.Repeat(string(rune('a'+i*7%26)), 1+i%5))
		text.WriteString([]string{" and ", " of the ", ", ", " with "}[i%4])
	}
	listFile(t, ctx, c, []byte(text.String()))
	edited := strings.Replace(strings.ToUpper(text.String()), " OF THE ", " of  a ", 6)
	if got := types(t, ctx, c, []byte(edited)); !strings.HasPrefix(got, "text_tlsh") {
		t.Errorf("an edited text matched by %q", got)
	}
	if got := types(t, ctx, c, []byte(strings.Repeat("something else entirely, said at length. 0123456789 ", 30))); got != "" {
		t.Errorf("another text matched by %q", got)
	}
}

func TestVideoMatchesThoughItWasReencoded(t *testing.T) {
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("needs ffmpeg: frames of videos are decoded by it")
	}
	ctx, c := found(t, 3)
	const original = "media/video/testdata/pattern-sd-grey-bar.mp4"
	file, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	listFile(t, ctx, c, file)
	path := filepath.Join(t.TempDir(), "small.mp4")
	if out, err := exec.CommandContext(ctx, ffmpeg, "-loglevel", "error", "-i", original, "-vf", "scale=400:-2", "-crf", "34", path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	small, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := types(t, ctx, c, small); got != "vpdq" {
		t.Errorf("a smaller, re-encoded copy matched by %q", got)
	}
	other, err := os.ReadFile("media/video/testdata/test-padded-dimensions.mp4")
	if err != nil {
		t.Fatal(err)
	}
	if got := types(t, ctx, c, other); got != "" {
		t.Errorf("another video matched by %q", got)
	}
}

func TestFramesOfAVideoAreHashedAtTheRateAskedFor(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("needs ffmpeg: frames of videos are decoded by it")
	}
	file, err := os.ReadFile("media/video/testdata/test-padded-dimensions.mp4")
	if err != nil {
		t.Fatal(err)
	}
	for every, want := range map[time.Duration]int{0: 5, 500 * time.Millisecond: 10, video.AllFrames: 150} {
		h := media.New(media.Config{Children: 1, FrameEvery: every})
		rec, err := h.Hash(t.Context(), bytes.NewReader(file), "")
		h.Close()
		if err != nil || rec.Err != nil || len(rec.Signals) != 5 {
			t.Fatalf("every %v: %v, %v, %d signals", every, err, rec.Err, len(rec.Signals))
		}
		if s := rec.Signals[3]; s.Type != "video_md5" || s.Value != rec.Signals[1].Value {
			t.Errorf("every %v: %s is not the MD5 of the bytes", every, s.Type)
		}
		frames, err := vpdq.Parse(rec.Signals[4].Value)
		if err != nil || len(frames) != want {
			t.Errorf("every %v: %d frames, %v; want %d", every, len(frames), err, want)
		}
	}
}
