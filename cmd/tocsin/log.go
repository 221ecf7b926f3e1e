// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/node/api/wire"
	"github.com/tocsin-db/tocsin/node/audit"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

func (p *program) logCommand() *cli.Command {
	return &cli.Command{
		Name: "log", Usage: "audit the whole public history",
		Subcommands: []*cli.Command{
			{
				Name: "export", Usage: "write the public dump of the final log", ArgsUsage: "FILE",
				Description: "Nothing in the dump opens a hash value.",
				Flags:       []cli.Flag{genesisFlag()},
				Action:      p.logExport,
			},
			{
				Name: "checkpoint", Usage: "the newest final checkpoint with all its cosignatures, a signed note (C2SP)",
				Description: "The log key's signature comes first, then the sequencers that make it final, then the\nmembers and outside witnesses that cosigned it afterwards.",
				Action:      p.logCheckpoint,
			},
			p.logEvidenceCommand(),
			{
				Name: "verify", Usage: "repeat the history: every signature, tally, decision and root",
				Description: "Names the first leaf that is wrong, and what is wrong with it.",
				Flags:       []cli.Flag{&cli.StringFlag{Name: "from-file", Usage: "verify the dump in `FILE`; without it the node's log"}, genesisFlag(), jsonFlag()},
				Action:      p.logVerify,
			},
		},
	}
}

func (p *program) logCheckpoint(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	b, err := rawCall(c, http.MethodGet, "/log/checkpoint", nil, tlog.MaxNote)
	if err != nil {
		return err
	}
	_, err = p.out.Write(b)
	return err
}

func (p *program) logExport(c *cli.Context) error {
	path, err := oneArgument(c, "file")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return spec.Errorf(spec.CodeUsage, "making the dump: %w", err)
	}
	if err := p.export(c, f); err != nil {
		f.Close()
		os.Remove(path)
		return err
	}
	return f.Close()
}

func (p *program) export(c *cli.Context, w io.Writer) error {
	g, err := p.genesis(c)
	if err != nil {
		return err
	}
	client, err := connect(c)
	if err != nil {
		return err
	}
	return audit.Export(c.Context, g, logFiles(client), w, nil)
}

// logFiles fetches the files of a node's log.
func logFiles(client *wire.ClientWithResponses) func(ctx context.Context, path string) ([]byte, error) {
	return func(ctx context.Context, path string) ([]byte, error) {
		return rawClient(ctx, client, http.MethodGet, "/log/"+path, nil, tlog.MaxBundle)
	}
}

func (p *program) logVerify(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	g, err := p.genesis(c)
	if err != nil {
		return err
	}
	report, err := p.audit(c, audit.Options{Genesis: g})
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return p.json(map[string]any{
			"origin": report.Origin, "leaves": report.Leaves, "operations": report.Operations, "decisions": report.Decisions, "ticks": report.Ticks,
			"entries": report.Entries, "signals": report.Signals, "live_root_computed": report.LiveRoot, "log_time": report.LogTime.UTC(),
			"final_time": report.Final.UTC(), "cosigners": report.Cosigners,
		})
	}
	live := "attested by the cosignatures: the dump opens no value"
	if report.LiveRoot {
		live = "computed"
	}
	return p.table([][]string{
		{"consortium", report.Origin},
		{"leaves", fmt.Sprintf("%d: %d operations, %d decisions, %d ticks", report.Leaves, report.Operations, report.Decisions, report.Ticks)},
		{"at the end", fmt.Sprintf("%d entries, %d signals, %s", report.Entries, report.Signals, day(report.LogTime))},
		{"root of the signals", live},
		{"final", fmt.Sprintf("no older than %s, cosigned by %s", day(report.Final), strings.Join(report.Cosigners, ", "))},
	})
}

// audit repeats the history in the dump that --from-file names, or in the node's log.
func (p *program) audit(c *cli.Context, o audit.Options) (*audit.Report, error) {
	var in io.Reader
	var total int64
	if path := c.String("from-file"); path != "" {
		f, err := os.Open(path)
		if err != nil {
			return nil, spec.Errorf(spec.CodeUsage, "reading the dump: %w", err)
		}
		defer f.Close()
		if info, err := f.Stat(); err == nil {
			total = info.Size()
		}
		in = f
	} else {
		r, w := io.Pipe()
		defer r.Close()
		go func() { w.CloseWithError(p.export(c, w)) }()
		in = r
	}
	bar := p.progress(total)
	defer bar.end()
	return audit.Verify(c.Context, &counted{r: in, bar: bar}, o)
}

// counted moves the progress on as it is read.
type counted struct {
	r   io.Reader
	bar progress
	n   int64
}

func (r *counted) Read(b []byte) (int, error) {
	n, err := r.r.Read(b)
	r.n += int64(n)
	r.bar.at(r.n)
	return n, err
}

// rawClient calls a route whose answer is not JSON, of at most limit bytes.
func rawClient(ctx context.Context, client *wire.ClientWithResponses, method, path string, body []byte, limit int64) ([]byte, error) {
	inner, ok := client.ClientInterface.(*wire.Client)
	if !ok {
		return nil, spec.Errorf(spec.CodeInternal, "the client has another type")
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(inner.Server, "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := inner.Client.Do(req)
	if err != nil {
		return nil, callError(err, nil, 0, nil)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, limit+smallAnswer))
	if err != nil {
		return nil, spec.Errorf(spec.CodeUnavailable, "the node broke the answer off: %w", err)
	}
	if resp.StatusCode/100 == 2 {
		return b, nil
	}
	problem := new(wire.Problem)
	if json.Unmarshal(b, problem) != nil {
		problem = nil
	}
	return nil, callError(nil, resp, 0, problem)
}

// smallAnswer is room for a problem beside an expected answer.
const smallAnswer = 64 << 10
