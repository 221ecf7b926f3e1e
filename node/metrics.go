// SPDX-License-Identifier: Apache-2.0

package node

import (
	"math"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tocsin-db/tocsin/p2p/federation"
)

// MetricsHandler implements api.Metrics. Every figure is read when it is asked for,
// and labelled with the name of its consortium.
func (n *Node) MetricsHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reg := prometheus.NewRegistry()
		n.measure(reg, n.name)
		for _, c := range n.further.all() {
			child := c.node.Load()
			gauge(labelled(reg, c.place.Name), "consortium_running", "1 while the node of a further consortium runs.", nil, func() float64 { return truth(child != nil) })
			if child != nil {
				child.measure(reg, c.place.Name)
			}
		}
		promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(w, r)
	})
}

func labelled(reg prometheus.Registerer, consortium string) prometheus.Registerer {
	return prometheus.WrapRegistererWith(prometheus.Labels{"consortium": consortium}, reg)
}

func gauge(reg prometheus.Registerer, name, help string, labels prometheus.Labels, fn func() float64) {
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "tocsin", Name: name, Help: help, ConstLabels: labels}, fn))
}

// measure registers what one consortium's node knows of itself.
func (n *Node) measure(all prometheus.Registerer, consortium string) {
	reg, f := labelled(all, consortium), n.freshness()
	gauge(reg, "log_size", "Leaves of the log that this node shows.", nil, func() float64 { return float64(n.store.Size()) })
	gauge(reg, "final_size", "Leaves of them that are final.", nil, func() float64 { return float64(f.Final) })
	gauge(reg, "age_seconds", "Age of the newest final checkpoint.", nil, func() float64 { return f.Age.Seconds() })
	gauge(reg, "stale", "1 when answers are flagged as stale.", nil, func() float64 { return truth(f.Stale) })
	gauge(reg, "peers", "Connected peers.", nil, func() float64 { return float64(len(n.host.Peers())) })
	gauge(reg, "followers", "Nodes that follow this one.", nil, func() float64 { all, _ := n.followers.Subscribers(); return float64(all) })
	gauge(reg, "followers_pushed", "Nodes that this one pushes to.", nil, func() float64 { _, pushed := n.followers.Subscribers(); return float64(pushed) })
	gauge(reg, "bulk_rate_bytes", "Bytes a second for all nodes that are far behind together.", nil, func() float64 { return float64(n.serves().BulkRate) })
	gauge(reg, "snapshot_chunks_sent", "Chunks of snapshots that were sent since the start.", nil, func() float64 { return float64(n.serves().Chunks) })
	gauge(reg, "snapshot_bytes_sent", "Bytes of snapshots that were sent since the start.", nil, func() float64 { return float64(n.serves().BulkBytes) })
	gauge(reg, "evidence", "Proofs that organisations cosigned two histories. Anything but 0 is an alarm.", nil, n.evidenceKept)
	if n.reader == nil {
		return
	}
	st := n.reader.Status()
	for _, s := range federation.States {
		gauge(reg, "sync_state", "1 for the state in which this node follows.", prometheus.Labels{"state": string(s)}, func() float64 { return truth(st.State == s) })
	}
	gauge(reg, "sync_known_size", "Leaves of the largest final log that was seen.", nil, func() float64 { return float64(st.Known) })
	gauge(reg, "sync_behind", "Final leaves that are known and not shown yet.", nil, func() float64 { return float64(st.Behind()) })
	gauge(reg, "sync_upstreams", "Nodes that this one follows.", nil, func() float64 { return float64(len(st.Upstreams)) })
	for _, r := range st.Refusals {
		org, _ := n.directory.organisation(r.Peer)
		labels := prometheus.Labels{"organisation": org.ID, "peer": string(r.Peer), "code": string(r.Code)}
		gauge(reg, "sync_refused_timestamp_seconds", "Since when this upstream refuses that this node follows it, with which code.", labels, func() float64 { return float64(r.Since.UnixMilli()) / 1000 })
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// evidenceKept is how many proofs this node keeps, NaN where that cannot be told.
func (n *Node) evidenceKept() float64 {
	kept, err := n.evidence.List()
	if err != nil {
		n.log.Error("counting the evidence", "error", err)
		return math.NaN()
	}
	return float64(len(kept))
}
