// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/node/api/wire"
	"github.com/tocsin-db/tocsin/node/consortia"
	"github.com/tocsin-db/tocsin/spec"
)

func (p *program) statusCommand() *cli.Command {
	return &cli.Command{
		Name: "status", Usage: "what the node says of itself",
		Description: "Ends with 3 when the node is not ready for lookups, and says why.",
		Flags:       []cli.Flag{jsonFlag()},
		Action:      p.status,
	}
}

// A statusReport is the node's status with its checks.
type statusReport struct {
	wire.Status
	Ready  bool         `json:"ready"`
	Checks []wire.Check `json:"checks"`
}

func (p *program) status(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	client, err := connect(c)
	if err != nil {
		return err
	}
	resp, err := client.StatusWithResponse(c.Context)
	if err != nil {
		return callError(err, nil, 0, nil)
	}
	health, err := readiness(c, client)
	if err != nil {
		return err
	}
	opening := resp.JSON200 == nil && !health.Ok // it can only say how far it is
	if err := callError(nil, resp.HTTPResponse, 200, resp.ApplicationProblemJSONDefault); err != nil && !opening {
		return err
	}
	report := statusReport{Ready: health.Ok, Checks: health.Checks}
	if !opening {
		report.Status = *resp.JSON200
	}
	if c.Bool("json") {
		err = p.json(report)
	} else if opening {
		err = p.table([][]string{{"ready", "no"}})
	} else {
		err = p.printStatus(&report)
	}
	if err == nil && !health.Ok {
		err = spec.Errorf(spec.CodeNotReady, "the node is not ready: %s", reasons(health.Checks))
	}
	return err
}

func readiness(c *cli.Context, client *wire.ClientWithResponses) (*wire.Health, error) {
	resp, err := client.ReadyzWithResponse(c.Context)
	switch {
	case err != nil:
		return nil, callError(err, nil, 0, nil)
	case resp.JSON503 != nil:
		return resp.JSON503, nil
	case resp.JSON200 != nil:
		return resp.JSON200, nil
	}
	return nil, callError(nil, resp.HTTPResponse, 200, resp.ApplicationProblemJSONDefault)
}

func reasons(checks []wire.Check) string {
	var out []string
	for _, check := range checks {
		if !check.Ok {
			out = append(out, check.Name+": "+check.Reason)
		}
	}
	return strings.Join(out, "; ")
}

// syncLine tells in one line how a node that follows stands.
func syncLine(s *wire.Sync) string {
	if s == nil {
		return "sequences"
	}
	line := fmt.Sprintf("%s, %d behind", s.State, s.Behind)
	if s.SnapshotSize > 0 && s.State == "SNAPSHOT" {
		line += fmt.Sprintf(", %d%% of a snapshot", 100*s.SnapshotDone/s.SnapshotSize)
	}
	for _, u := range s.Upstreams {
		how := "announces"
		if u.Pushes {
			how = "pushes"
		}
		line += fmt.Sprintf("; %s %s", u.Organisation, how)
	}
	return line
}

// refusedRows tell why nothing comes: who refuses that this node follows, and why a
// stream or a task last ended.
func refusedRows(s *wire.Sync) (rows [][]string) {
	if s == nil {
		return nil
	}
	for _, r := range s.Refusals {
		who := r.Organisation
		if who == "" {
			who = r.Peer
		}
		rows = append(rows, []string{"refused", fmt.Sprintf("by %s since %s: %s: %s", who, r.Since.Format(time.RFC3339), r.Code, r.Message)})
	}
	if s.LastError != "" {
		rows = append(rows, []string{"last error", fmt.Sprintf("%s, at %s", s.LastError, s.LastErrorAt.Format(time.RFC3339))})
	}
	return rows
}

// servingLine tells in one line what the node gives to those that follow it.
func servingLine(s *wire.Serving) string {
	return fmt.Sprintf("%d of %d followers, pushes to %d of %d; bulk at %d KiB/s at most, %d chunks sent; %d requests denied",
		s.Subscribers, s.MaxSubscribers, s.Followers, s.MaxFollowers, s.BulkRate>>10, s.Chunks, s.Denied)
}

// cosignedLine tells who stands on the newest final checkpoint.
func cosignedLine(sequencers, witnesses []string) string {
	line := strings.Join(sequencers, ", ")
	if len(witnesses) > 0 {
		line += "; afterwards by " + strings.Join(witnesses, ", ")
	}
	return line
}

func (p *program) printStatus(s *statusReport) error {
	leader := s.Leader
	if leader == "" {
		leader = "unknown"
	}
	if s.Raft == "leader" {
		leader += " (this node)"
	}
	role := string(s.Role)
	if s.Tier == wire.Digest {
		role += " of the digest tier (finds equal values alone)"
	}
	rows := [][]string{
		{"organisation", fmt.Sprintf("%s, %s of %s", s.Organisation, role, s.Origin)},
		{"ready", yes(s.Ready)},
		{"fresh", fmt.Sprintf("%d ms old, stale: %s", s.AgeMs, yes(s.Stale))},
		{"log", fmt.Sprintf("%d leaves, %d final, time %s, epoch %d", s.Size, s.FinalSize, day(s.LogTime), s.Epoch)},
		{"cosigned by", cosignedLine(s.Cosigners, s.Witnesses)},
		{"sync", syncLine(s.Sync)},
	}
	rows = append(append(rows, refusedRows(s.Sync)...), [][]string{
		{"serves", servingLine(&s.Serving)},
		{"listed", fmt.Sprintf("%d entries, %d signals", s.Entries, s.Signals)},
		{"open cases", fmt.Sprint(s.OpenCases)},
		{"leader", leader},
		{"peers", fmt.Sprint(s.Peers)},
		{"live root", s.LiveRoot}, {"rules root", s.RulesRoot},
		{"version", s.Version},
	}...)
	if s.Damage != "" {
		rows = append(rows, []string{"damaged", s.Damage})
	}
	if s.NotAnswering != "" {
		rows = append(rows, []string{"not answering", s.NotAnswering})
	}
	if s.NotCosigning != "" {
		rows = append(rows, []string{"not cosigning", s.NotCosigning})
	}
	return p.table(append(rows, consortiaRows(s.Consortia)...))
}

// consortiaRows tells of further consortia, and of an import policy that is not to
// trust all.
func consortiaRows(list []wire.Consortium) (rows [][]string) {
	for i := range list {
		x := &list[i]
		policy := policyWords(&x.Imports)
		switch {
		case !x.Own:
			rows = append(rows, []string{"follows", fmt.Sprintf("%s, %s: %s; %d entries; %d ms old; matches count as: %s", x.Name, x.Origin, stateOf(x), x.Entries, x.AgeMs, policy)})
		case policy != string(consortia.Trust):
			rows = append(rows, []string{"imports", policy})
		}
	}
	return rows
}
