// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-db/tocsin/node/identity"
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/p2p/federation/state"
	"github.com/tocsin-db/tocsin/spec"
)

// bulkSnapshots is how many leaves lie between snapshots of members that one pulls from:
// many, since making one and preparing it to be sent is not what is measured.
const bulkSnapshots = 2048

// untilSnapshot proposes until there is a snapshot to be fetched.
func (c *Consortium) untilSnapshot(ctx context.Context) error {
	var wg sync.WaitGroup
	var failed atomic.Pointer[error]
	for _, m := range c.Members {
		wg.Go(func() {
			client := newSocketClient(m.Dir)
			for m.LogSize() < bulkSnapshots+64 && failed.Load() == nil {
				if _, err := client.propose(ctx, 1); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// A puller is an enrolled reader that fetches snapshots from every member at once, as
// fast as they send, and throws them away: all that members do for a node that is far
// behind, and nothing of what that node would do itself.
type puller struct {
	host  *p2p.Host
	bytes atomic.Uint64
	began time.Time
	done  sync.WaitGroup
	stop  context.CancelFunc
}

type anybody struct{}

func (anybody) Role(p2p.PeerID) (string, bool) { return spec.RoleMember, true }

// pull enrols a reader and has it fetch until end is called.
func (c *Consortium) pull(ctx context.Context, streams int) (*puller, error) {
	who, err := c.enrol(ctx, "bulk", spec.RoleReader, spec.TierFull, false)
	if err != nil {
		return nil, err
	}
	id, err := identity.Load(who.Dir)
	if err != nil {
		return nil, err
	}
	h, err := p2p.NewHost(p2p.Config{Key: id.Libp2p, Directory: anybody{}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	p := &puller{host: h, began: time.Now(), stop: stop}
	for _, m := range c.Members {
		card, err := identity.Load(m.Dir)
		if err == nil {
			err = h.AddPeer(m.Peer(), card.Addresses)
		}
		if err != nil {
			p.end()
			return nil, err
		}
		for range streams {
			p.done.Go(func() { p.from(ctx, m) })
		}
	}
	first, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err = Await(first, func() (bool, error) { return p.bytes.Load() > 0, nil })
	if err != nil {
		p.end()
		return nil, fmt.Errorf("no member serves a snapshot: %w", err)
	}
	return p, nil
}

// end stops pulling and tells how many bytes a second came.
func (p *puller) end() (perSecond float64) {
	p.stop()
	p.done.Wait()
	_ = p.host.Close() // nothing is to be had from it any more
	return float64(p.bytes.Load()) / time.Since(p.began).Seconds()
}

// from fetches one snapshot after the other.
func (p *puller) from(ctx context.Context, m *Participant) {
	for ctx.Err() == nil {
		if err := p.snapshot(ctx, m); err != nil {
			select { // none is kept yet, or it was replaced by a newer one
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
}

func (p *puller) snapshot(ctx context.Context, m *Participant) error {
	client, err := state.Dial(ctx, p.host, m.Peer())
	if err != nil {
		return err
	}
	defer client.Close()
	manifest, err := client.Manifest(0, m.Final().Size)
	if err != nil {
		return err
	}
	for i := range uint32(state.RuleChunks) {
		b, err := client.Rules(manifest.Size, i)
		if err != nil {
			return err
		}
		p.bytes.Add(uint64(len(b)))
	}
	return nil
}

// A BulkResult compares commits beside bulk with those before and after, in equal parts:
// the log grows meanwhile, and with it what a commit takes.
type BulkResult struct {
	MBps   float64 `json:"bulk_mb_per_second"` // that members sent meanwhile, all together
	RateMB float64 `json:"bulk_limit_mb_per_second"`
	P50MS  float64 `json:"bulk_p50_ms"`
	P99MS  float64 `json:"bulk_p99_ms"`
	Rate   float64 `json:"bulk_operations_per_second"`
	P50X   float64 `json:"bulk_p50_ratio"`
	P99X   float64 `json:"bulk_p99_ratio"`
	CPUMS  float64 `json:"bulk_cpu_ms_per_second"` // of processors, for bulk and the reader that takes it: above what the commits took without

	AfterP50MS float64 `json:"after_p50_ms"`
	AfterP99MS float64 `json:"after_p99_ms"`
}

// besideBulk measures once more while a reader pulls from all members, and then without.
func (c *Consortium) besideBulk(ctx context.Context, o BenchOptions, alone *BenchResult) (*BulkResult, []spec.Hash, error) {
	p, err := c.pull(ctx, 2)
	if err != nil {
		return nil, nil, err
	}
	cpu := cpuTime()
	r, acked, err := c.measure(ctx, o)
	cpu = cpuTime() - cpu
	mbps := p.end() / 1e6
	if err != nil {
		return nil, nil, err
	}
	without := cpuTime()
	after, more, err := c.measure(ctx, o)
	without = cpuTime() - without
	if err != nil {
		return nil, nil, err
	}
	alone.Elections += r.Elections + after.Elections
	each := without.Seconds() / float64(max(after.Operations, 1))
	return &BulkResult{
		MBps: mbps, RateMB: float64(len(c.Members)) * float64(c.Members[0].BulkRate()) / 1e6, P50MS: r.P50MS, P99MS: r.P99MS, Rate: r.OperationsPerSec,
		P50X: r.P50MS / ((alone.P50MS + after.P50MS) / 2), P99X: r.P99MS / ((alone.P99MS + after.P99MS) / 2),
		CPUMS:      1e3 * (cpu.Seconds() - each*float64(r.Operations)) / r.Seconds,
		AfterP50MS: after.P50MS, AfterP99MS: after.P99MS,
	}, append(acked, more...), nil
}

func (b *BulkResult) print(out io.Writer) error {
	_, err := fmt.Fprintf(out, `bulk        a reader fetched snapshots from every member meanwhile: %.1f MB/s, of %.1f that they may send together
latency     beside it p50 %.2f ms, p99 %.2f ms, %.0f operations/s: %.2f and %.2f times the mean of before and after
control     without it once more p50 %.2f ms, p99 %.2f ms; bulk and the reader that took it used %.0f ms of processors a second
`, b.MBps, b.RateMB, b.P50MS, b.P99MS, b.Rate, b.P50X, b.P99X, b.AfterP50MS, b.AfterP99MS, b.CPUMS)
	return err
}
