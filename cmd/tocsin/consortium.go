// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/node/api/wire"
	"github.com/tocsin-db/tocsin/node/consortia"
)

func (p *program) consortiumCommand() *cli.Command {
	return &cli.Command{
		Name: "consortium", Usage: "the consortia that this node follows, and what their matches count as",
		Subcommands: []*cli.Command{
			{Name: "list", Usage: "list them, the node's own first", Flags: []cli.Flag{jsonFlag()}, Action: p.consortiumList},
			{
				Name: "policy", Usage: "show or change what matches with a consortium count as here", ArgsUsage: "NAME",
				Description: "trust: as listed; review: for people to look at, never as listed; ignore: not at all. Of an entry's labels\n" +
					"that the policy names the strictest decides, the default where it names none. It is kept in imports.toml beside the\n" +
					"consortium's keys, which may be edited as well: an agent that gets SIGHUP reads it again. What is stored never changes.",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "default", Usage: "`ACTION` for entries whose labels are not named"},
					&cli.StringSliceFlag{Name: "label", Usage: "`LABEL=ACTION`; LABEL= takes one back; may be given more than once"},
					jsonFlag(),
				},
				Action: p.consortiumPolicy,
			},
			{
				Name: "follow", Usage: "have the running node follow a consortium that was joined, or again one that failed", ArgsUsage: "NAME",
				Action: p.consortiumFollow,
			},
			{
				Name: "leave", Usage: "stop following a consortium and delete its keys and its data from this node", ArgsUsage: "NAME",
				Description: "The enrolment is ended by the members: ask them before, with tocsin --consortium NAME member leave.\nTo come back takes a new invitation.",
				Action:      p.consortiumLeave,
			},
		},
	}
}

// listConsortia asks the running node.
func listConsortia(c *cli.Context) ([]wire.Consortium, error) {
	client, err := connectAll(c)
	if err != nil {
		return nil, err
	}
	resp, err := client.ListConsortiaWithResponse(c.Context)
	if err != nil {
		return nil, callError(err, nil, 0, nil)
	}
	if err := callError(nil, resp.HTTPResponse, 200, resp.ApplicationProblemJSONDefault); err != nil {
		return nil, err
	}
	return resp.JSON200.Consortia, nil
}

func (p *program) consortiumList(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	list, err := listConsortia(c)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return p.json(wire.ConsortiumList{Consortia: list})
	}
	rows := [][]string{{"NAME", "ORIGIN", "AS", "STATE", "ENTRIES", "AGE", "MATCHES COUNT AS"}}
	for i := range list {
		x := &list[i]
		as := "-"
		if x.Organisation != "" {
			as = fmt.Sprintf("%s, %s", x.Organisation, x.Role)
		}
		rows = append(rows, []string{x.Name, x.Origin, as, stateOf(x), fmt.Sprint(x.Entries), span(x.AgeMs), policyWords(&x.Imports)})
	}
	return p.table(rows)
}

// stateOf tells how a consortium stands in a few words.
func stateOf(x *wire.Consortium) string {
	s := x.State
	if x.Stale && x.State != "STALE" && x.State != "HALT" {
		s += ", stale"
	}
	if x.NotAnswering != "" {
		s += ": " + x.NotAnswering
	}
	return s
}

func policyWords(i *wire.ImportPolicy) string {
	words := []string{string(i.Default)}
	for _, l := range slices.Sorted(maps.Keys(i.Labels)) {
		words = append(words, l+"="+string(i.Labels[l]))
	}
	return strings.Join(words, " ")
}

func (p *program) consortiumPolicy(c *cli.Context) error {
	name, err := oneArgument(c, "consortium's name")
	if err != nil {
		return err
	}
	list, err := listConsortia(c)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(list, func(x wire.Consortium) bool { return x.Name == name })
	if at < 0 {
		return consortia.Unknown(name)
	}
	policy := list[at].Imports
	if c.IsSet("default") || c.IsSet("label") {
		if err := changePolicy(c, &policy); err != nil {
			return err
		}
		client, err := connectAll(c)
		if err != nil {
			return err
		}
		resp, err := client.SetImportsWithResponse(c.Context, name, policy)
		if err != nil {
			return callError(err, nil, 0, nil)
		}
		if err := callError(nil, resp.HTTPResponse, 204, resp.ApplicationProblemJSONDefault); err != nil {
			return err
		}
	}
	if c.Bool("json") {
		return p.json(policy)
	}
	_, err = fmt.Fprintln(p.out, policyWords(&policy))
	return err
}

// changePolicy applies the flags to a policy. The node knows the actions.
func changePolicy(c *cli.Context, policy *wire.ImportPolicy) error {
	if d := c.String("default"); d != "" {
		policy.Default = wire.ImportAction(d)
	}
	labels := maps.Clone(policy.Labels)
	if labels == nil {
		labels = map[string]wire.ImportAction{}
	}
	for _, text := range c.StringSlice("label") {
		label, action, ok := strings.Cut(text, "=")
		switch {
		case !ok || label == "":
			return usage("--label takes LABEL=ACTION, such as entity:example=review")
		case action == "":
			delete(labels, label)
		default:
			labels[label] = wire.ImportAction(action)
		}
	}
	policy.Labels = labels
	return nil
}

func (p *program) consortiumFollow(c *cli.Context) error {
	name, err := oneArgument(c, "consortium's name")
	if err != nil {
		return err
	}
	return tellToFollow(c, name)
}

// tellToFollow has the running node follow a consortium.
func tellToFollow(c *cli.Context, name string) error {
	client, err := connectAll(c)
	if err != nil {
		return err
	}
	resp, err := client.FollowConsortiumWithResponse(c.Context, wire.ConsortiumRequest{Name: name})
	if err != nil {
		return callError(err, nil, 0, nil)
	}
	return callError(nil, resp.HTTPResponse, 204, resp.ApplicationProblemJSONDefault)
}

func (p *program) consortiumLeave(c *cli.Context) error {
	name, err := oneArgument(c, "consortium's name")
	if err != nil {
		return err
	}
	client, err := connectAll(c)
	if err != nil {
		return err
	}
	resp, err := client.LeaveConsortiumWithResponse(c.Context, name)
	if err != nil {
		return callError(err, nil, 0, nil)
	}
	if err := callError(nil, resp.HTTPResponse, 204, resp.ApplicationProblemJSONDefault); err != nil {
		return err
	}
	fmt.Fprintf(p.talk, "tocsin: nothing of %s is left on this node\n", name)
	return nil
}
