// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"

	"github.com/tocsin-db/tocsin/spec"
)

// opening is the backend of a node that is not open yet: it knows how far the node
// is, and nothing else is asked of it.
type opening struct {
	Backend
	checks func() []Check
}

// Ready implements Backend.
func (o *opening) Ready(context.Context) []Check { return o.checks() }

// Consortia implements Backend: their checks come with them.
func (o *opening) Consortia(context.Context) ([]Consortium, error) { return nil, nil }

// notYet says why nothing else is answered.
func (o *opening) notYet() error {
	for _, c := range o.checks() {
		if !c.OK {
			return spec.Errorf(spec.CodeNotReady, "the node is not ready: %s", c.Reason)
		}
	}
	return spec.Errorf(spec.CodeNotReady, "the node is not ready")
}

// health is the routes that answer whatever the node is at.
var health = map[string]bool{"GET /livez": true, "GET /readyz": true}
