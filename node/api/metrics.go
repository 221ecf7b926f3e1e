// SPDX-License-Identifier: Apache-2.0

package api

import "net/http"

// Metrics is a node that measures itself.
type Metrics interface {
	// MetricsHandler answers in the text format of Prometheus. Nothing in it tells of
	// content or of who asked.
	MetricsHandler() http.Handler
}

const metricsRoute = "GET /metrics"

// mountMetrics adds the route where the node has metrics.
func mountMetrics(mux *http.ServeMux, p Proofs) {
	if m, ok := p.(Metrics); ok {
		mux.Handle(metricsRoute, m.MetricsHandler())
	}
}
