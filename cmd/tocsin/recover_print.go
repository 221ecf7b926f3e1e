// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"strings"

	"github.com/tocsin-db/tocsin/node"
	"github.com/tocsin-db/tocsin/node/api"
)

// printReview says what a recovery would do.
func (p *program) printReview(to io.Writer, r *api.RecoveryReview) error {
	rows := [][]string{
		{"goes on from", fmt.Sprintf("the final checkpoint of %d leaves, root %s", r.Size, r.Root)},
		{"begins", fmt.Sprintf("epoch %d", r.Epoch)},
	}
	for _, s := range r.Sequencers {
		rows = append(rows, []string{"sequences then", fmt.Sprintf("%s, cosigning with %s", s.Organisation, base64.StdEncoding.EncodeToString(s.CosignKey))})
	}
	signed := strings.Join(r.Signed, ", ")
	if signed == "" {
		signed = "nobody"
	}
	rows = append(rows, []string{"signed by", signed})
	if len(r.Bad) > 0 {
		rows = append(rows, []string{"bad signatures", strings.Join(r.Bad, ", ") + ": with no key in force"})
	}
	if r.Known {
		missing := "none"
		if r.Missing > 0 {
			missing = fmt.Sprint(r.Missing)
		}
		rows = append(rows,
			[]string{"still missing", fmt.Sprintf("%s; %d of %d members decide", missing, r.Required, r.Members)},
			[]string{"discarded here", discardedHere(r)})
	} else {
		rows = append(rows, []string{"still missing", "not known: this node has no state"})
	}
	if r.Refused != "" {
		rows = append(rows, []string{"refused here", r.Refused})
	}
	q := *p
	q.out = to
	return q.table(rows)
}

func discardedHere(r *api.RecoveryReview) string {
	switch {
	case r.Log < r.Size:
		return fmt.Sprintf("nothing: this node's log of %d leaves is shorter", r.Log)
	case r.Discarded == 0:
		return "nothing"
	}
	return fmt.Sprintf("%d leaves that are not final, %d operations among them %s", r.Discarded, len(r.Operations), strings.Join(r.Operations, " "))
}

// printRecovered says what applying a recovery did.
func (p *program) printRecovered(r *node.Recovered) error {
	part := "follows; start its node"
	if r.Sequences {
		part = "sequences; start its node"
	}
	rows := [][]string{
		{"went on from", fmt.Sprintf("%d leaves", r.From)},
		{"log now", fmt.Sprintf("%d leaves, root %s", r.Size, r.Root)},
		{"sequencers", strings.Join(orgsOf(r), ", ")},
		{"this node", part},
		{"discarded", fmt.Sprintf("%d leaves", r.Discarded)},
	}
	for _, id := range r.Lost {
		rows = append(rows, []string{"lost operation", id.String()})
	}
	if r.Aside != "" {
		rows = append(rows, []string{"copy kept in", r.Aside})
	}
	return p.table(rows)
}

func orgsOf(r *node.Recovered) (ids []string) {
	for _, s := range r.Panel.Seats {
		ids = append(ids, s.Org)
	}
	return ids
}

// recoveredOf is what applying a recovery did, as JSON.
func recoveredOf(r *node.Recovered) map[string]any {
	lost := []string{}
	for _, id := range r.Lost {
		lost = append(lost, id.String())
	}
	return map[string]any{
		"from": r.From, "size": r.Size, "root": r.Root.String(), "sequencers": orgsOf(r), "sequences": r.Sequences,
		"discarded": r.Discarded, "lost": lost, "kept_in": r.Aside,
	}
}
