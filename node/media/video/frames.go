// SPDX-License-Identifier: Apache-2.0

package video

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/tocsin-db/tocsin/node/media/extract"
	"github.com/tocsin-db/tocsin/node/media/video/program"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/pdq"
	"github.com/tocsin-db/tocsin/spec/vpdq"
)

// A job is one video being hashed.
type job struct {
	tools toolset
	conf  Config
	src   extract.Source
	lim   extract.Limits
}

// A stream is what ffprobe says of the first video stream.
type stream struct {
	Width   int    `json:"width"`
	Height  int    `json:"height"`
	Average string `json:"avg_frame_rate"`
	Least   string `json:"r_frame_rate"`
}

// codecs are the decoders that a video may be decoded with: what platforms
// receive, not the hundreds of rarities with as many faults. ffprobe has no
// such list: it gives up at the first stream, of sound say, that is not on it.
const codecs = "h264,hevc,vp8,vp9,libvpx,libvpx-vp9,av1,libdav1d,libaom-av1,mpeg1video,mpeg2video,mpeg4,msmpeg4,msmpeg4v1,msmpeg4v2," +
	"h263,flv,vp6,vp6a,vp6f,wmv1,wmv2,wmv3,vc1,theora,mjpeg,rawvideo,prores,dnxhd,ffv1"

// input are the options of both programs that come before the file: this
// format and no other, files and pipes only, one thread.
func (j job) input() []string {
	demuxer := demuxers[j.src.Format]
	return []string{
		"-v", "error", "-threads", "1", "-protocol_whitelist", "file,pipe", "-format_whitelist", demuxer, "-f", demuxer,
	}
}

func (j job) limits() program.Limits {
	return program.Limits{Memory: j.conf.Memory, CPU: j.conf.Timeout}
}

// run returns the frames that could be hashed, and why there are not more.
func (j job) run(ctx context.Context) ([]vpdq.Frame, error) {
	if demuxers[j.src.Format] == "" {
		return nil, spec.Errorf(spec.CodeUnsupported, "no decoder reads %s", j.src.Format)
	}
	s, err := j.probe(ctx)
	if err != nil {
		return nil, err
	}
	rate, err := s.rate()
	if err != nil {
		return nil, err
	}
	if s.Width > j.lim.MaxSide || s.Height > j.lim.MaxSide || s.Width*s.Height > j.lim.MaxPixels {
		return nil, spec.Errorf(spec.CodeTooLarge, "the video has frames of %d by %d pixels, more than allowed", s.Width, s.Height)
	}
	return j.decode(ctx, s, rate)
}

func (j job) probe(ctx context.Context) (stream, error) {
	args := append(j.input(), "-select_streams", "V:0", "-show_entries", "stream=width,height,avg_frame_rate,r_frame_rate",
		"-of", "json", "-i", "file:"+program.Input)
	out, err := program.Output(ctx, j.tools.ffprobe, args, j.src.File, j.limits())
	var found struct{ Streams []stream }
	if jerr := json.Unmarshal(out, &found); jerr != nil && err == nil {
		err = spec.Errorf(spec.CodeMalformed, "the decoder cannot describe this video")
	}
	if err != nil {
		return stream{}, err
	}
	if len(found.Streams) == 0 || found.Streams[0].Width <= 0 || found.Streams[0].Height <= 0 {
		return stream{}, spec.Errorf(spec.CodeMalformed, "the file has no video stream")
	}
	return found.Streams[0], nil
}

// A ratio is a frame rate.
type ratio struct{ num, den int64 }

// rate is the average frame rate, else the least that fits all time stamps.
func (s stream) rate() (ratio, error) {
	for _, text := range []string{s.Average, s.Least} {
		a, b, _ := strings.Cut(text, "/")
		num, err1 := strconv.ParseInt(a, 10, 32)
		den, err2 := strconv.ParseInt(b, 10, 32)
		if err1 == nil && err2 == nil && num > 0 && den > 0 {
			return ratio{num, den}, nil
		}
	}
	return ratio{}, spec.Errorf(spec.CodeMalformed, "the video has no frame rate")
}

// step is how many frames lie from one hashed frame to the next.
func (j job) step(r ratio) int64 {
	n := j.conf.Every.Seconds() * (float64(r.num) / float64(r.den))
	return int64(min(max(n, 1), math.MaxInt32))
}

// millis is the time of a frame, rounded to the nearest.
func (r ratio) millis(frame int64) int64 {
	return (frame*1000*r.den + r.num/2) / r.num
}

// maxHashed is the largest frame that is hashed as it is; larger ones are
// scaled down by whole numbers, which moves their hashes by a few bits.
const maxHashed = 3840 * 2160

// hashed returns the size at which frames are hashed.
func (s stream) hashed() (w, h int) {
	w, h = s.Width, s.Height
	for n := 2; w*h > maxHashed; n++ {
		w, h = max(s.Width/n, 1), max(s.Height/n, 1)
	}
	return w, h
}

func (j job) decode(ctx context.Context, s stream, r ratio) ([]vpdq.Frame, error) {
	step := j.step(r)
	w, h := s.hashed()
	args := append([]string{"-nostdin", "-filter_threads", "1", "-noautorotate", "-an", "-sn", "-dn", "-codec_whitelist", codecs,
		"-max_pixels", strconv.Itoa(j.lim.MaxPixels)}, j.input()...)
	args = append(args, "-i", "file:"+program.Input, "-map", "0:V:0", "-frames:v", strconv.Itoa(j.conf.MaxFrames+1),
		"-vf", fmt.Sprintf(`select=not(mod(n\,%d))`, step), "-fps_mode", "passthrough", "-sws_flags", "area", "-pix_fmt", "rgb24",
		"-s", fmt.Sprintf("%dx%d", w, h), "-threads", "1", "-f", "rawvideo", "pipe:1")
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p, err := program.Start(ctx, j.tools.ffmpeg, args, j.src.File, j.limits())
	if err != nil {
		return nil, err
	}
	frames, err := j.hash(p.Stdout, w, h, func(i int) (int64, int64) {
		n := int64(i) * step
		return n, r.millis(n)
	})
	if err != nil {
		cancel()
		p.Wait()
		return frames, err
	}
	return frames, p.Wait()
}

// hash reads frames of exactly w by h pixels of three bytes until the decoder
// ends; a frame cut short is left out, and Wait knows why.
func (j job) hash(raw io.Reader, w, h int, place func(i int) (number, millis int64)) ([]vpdq.Frame, error) {
	pix := make([]byte, 3*w*h)
	in := bufio.NewReaderSize(raw, 1<<16)
	var frames []vpdq.Frame
	for {
		_, err := io.ReadFull(in, pix)
		switch {
		case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF):
			return frames, nil
		case err != nil:
			return frames, spec.Errorf(extract.CodeDecoder, "reading from the decoder: %w", err)
		case len(frames) == j.conf.MaxFrames:
			return frames, spec.Errorf(spec.CodeTooLarge, "the video is longer than what is hashed of one")
		}
		hash, quality, err := pdq.FromRGB(pix, w, h)
		if err != nil {
			return frames, err
		}
		number, millis := place(len(frames))
		frames = append(frames, vpdq.Frame{Number: int(number), Quality: quality, Hash: hash, Millis: millis})
	}
}
