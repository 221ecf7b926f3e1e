// SPDX-License-Identifier: Apache-2.0

package node

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tocsin-db/tocsin/p2p/federation"
)

// MetricsHandler implements api.Metrics. Every figure is read when it is asked for.
func (n *Node) MetricsHandler() http.Handler {
	reg := prometheus.NewRegistry()
	gauge := func(name, help string, labels prometheus.Labels, fn func() float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "tocsin", Name: name, Help: help, ConstLabels: labels}, fn))
	}
	gauge("log_size", "Leaves of the log that this node shows.", nil, func() float64 { return float64(n.store.Size()) })
	gauge("final_size", "Leaves of them that are final.", nil, func() float64 { return float64(n.freshness().Final) })
	gauge("age_seconds", "Age of the newest final checkpoint.", nil, func() float64 { return n.freshness().Age.Seconds() })
	gauge("stale", "1 when answers are flagged as stale.", nil, func() float64 { return truth(n.freshness().Stale) })
	gauge("peers", "Connected peers.", nil, func() float64 { return float64(len(n.host.Peers())) })
	gauge("followers", "Nodes that follow this one.", nil, func() float64 { all, _ := n.followers.Subscribers(); return float64(all) })
	gauge("followers_pushed", "Nodes that this one pushes to.", nil, func() float64 { _, pushed := n.followers.Subscribers(); return float64(pushed) })
	gauge("bulk_rate_bytes", "Bytes a second for all nodes that are far behind together.", nil, func() float64 { return float64(n.serves().BulkRate) })
	gauge("snapshot_chunks_sent", "Chunks of snapshots that were sent since the start.", nil, func() float64 { return float64(n.serves().Chunks) })
	gauge("snapshot_bytes_sent", "Bytes of snapshots that were sent since the start.", nil, func() float64 { return float64(n.serves().BulkBytes) })
	if n.reader == nil {
		return promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
	}
	for _, s := range federation.States {
		gauge("sync_state", "1 for the state in which this node follows.", prometheus.Labels{"state": string(s)}, func() float64 {
			return truth(n.reader.Status().State == s)
		})
	}
	gauge("sync_known_size", "Leaves of the largest final log that was seen.", nil, func() float64 { return float64(n.reader.Status().Known) })
	gauge("sync_behind", "Final leaves that are known and not shown yet.", nil, func() float64 { return float64(n.reader.Status().Behind()) })
	gauge("sync_upstreams", "Nodes that this one follows.", nil, func() float64 { return float64(len(n.reader.Status().Upstreams)) })
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
