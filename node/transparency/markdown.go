// SPDX-License-Identifier: Apache-2.0

package transparency

import (
	"fmt"
	"strings"
	"time"
)

// Markdown writes the report for people. plots are the names of the plots' files
// beside it, by title; nil for none.
func (r *Report) Markdown(plots []Plot) string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	p("# Transparency report of %s\n\n", escape(r.Origin))
	p("From the public log of %d leaves, %s to %s. %d organisations have been enrolled.\n", r.Leaves, day(r.FromMS), day(r.ToMS), r.Members)
	p("\n## Additions\n\n")
	p("%d proposals with %d items and %d signals: %d items listed, of which disputes overturned %d (%s).\n",
		r.Total.Proposals, r.Total.Items, r.Total.Signals, r.Total.Listed, r.Total.Overturned, percent(r.Disputes.ErrorPPM))
	for _, g := range r.groups() {
		p("\n### By %s\n\n", g.name)
		table(&b, itemsHead(g.name), itemsRows(append(g.rows[:len(g.rows):len(g.rows)], g.total...)))
		if g.note != "" {
			p("\n%s\n", g.note)
		}
	}
	p("\n## Times\n\n")
	table(&b, []string{"", "cases", "p50", "p99", "longest"}, [][]string{timesRow("proposal to decision", r.Decisions), timesRow("dispute to ruling", r.Rulings)})
	p("\n## Disputes and urgent cases\n\n")
	table(&b, []string{"", "cases", "accepted", "rejected", "lapsed", "withdrawn", "moot", "open"}, [][]string{casesRow("disputes", r.Disputes.Cases), casesRow("urgent additions", r.Urgent)})
	if len(r.Disputes.ByRole) > 0 {
		p("\nDisputed by ")
		for i, f := range r.Disputes.ByRole {
			p("%s%ss: %d", sep(i), escape(f.Name), f.Count)
		}
		p(".\n")
	}
	p("\n## Agreement between voters\n\n")
	if len(r.Agreement) == 0 {
		p("No two organisations voted on one case.\n")
	} else {
		var rows [][]string
		for _, a := range r.Agreement {
			rows = append(rows, []string{escape(a.A), escape(a.B), fmt.Sprint(a.Both), fmt.Sprint(a.Same), percent(a.Same * 1_000_000 / a.Both)})
		}
		table(&b, []string{"", "and", "both voted on", "the same way", "share"}, rows)
	}
	p("\n## Overdue\n\n")
	if len(r.Notices) == 0 {
		p("Nothing was noticed as overdue or in doubt.\n")
	} else {
		var rows [][]string
		for _, n := range r.Notices {
			rows = append(rows, []string{escape(n.Organisation), n.What, fmt.Sprint(n.Noticed), fmt.Sprint(n.Marked)})
		}
		table(&b, []string{"organisation", "what", "noticed", "marked"}, rows)
	}
	p("\n## Cosignatures in ticks\n\n")
	r.cosignatures(&b)
	for _, plot := range plots {
		p("\n![%s](%s)\n", escape(plot.Alternative), plot.File)
	}
	return b.String()
}

// cosignatures says what ticks prove of sequencers, and what they do not.
func (r *Report) cosignatures(b *strings.Builder) {
	if len(r.Cosigned) == 0 {
		b.WriteString("The log has no tick yet.\n")
		return
	}
	var rows [][]string
	for _, c := range r.Cosigned {
		rows = append(rows, []string{escape(c.Organisation), fmt.Sprint(c.Stood), fmt.Sprint(c.LeftOut)})
	}
	table(b, []string{"sequencer", "its cosignature stood", "not among the k"}, rows)
	b.WriteString("\nOf the ticks made while it had a seat. A tick carries exactly k cosignatures, as many as make a checkpoint final: the newest, to the second, " +
		"that the leader held, among equals those first by id. To stand in a tick proves that a sequencer cosigned. " +
		"Not to be among the k does not show that it missed anything: it may have cosigned and not been needed.\n")
}

// A group is one way in which items are counted.
type group struct {
	name  string
	rows  []Items
	total []Items
	note  string
}

func (r *Report) groups() []group {
	total := r.Total
	total.Name = "all"
	all := []Items{total}
	return []group{
		{"referral by an authority", r.ByReferral, all, ""},
		{"organisation", r.ByOrganisation, all, ""},
		{"role", r.ByRole, all, ""},
		{"label", r.ByLabel, nil, "An item counts under each of its labels."},
	}
}

func itemsHead(name string) []string {
	return []string{name, "proposals", "items", "signals", "listed", "left out", "rejected", "lapsed", "withdrawn", "moot", "open", "overturned"}
}

func itemsRows(list []Items) [][]string {
	var out [][]string
	for _, i := range list {
		row := []string{escape(i.Name)}
		for _, n := range []int{i.Proposals, i.Items, i.Signals, i.Listed, i.LeftOut, i.Rejected, i.Lapsed, i.Withdrawn, i.Moot, i.Open, i.Overturned} {
			row = append(row, fmt.Sprint(n))
		}
		out = append(out, row)
	}
	return out
}

func casesRow(name string, c Cases) []string {
	row := []string{name}
	for _, n := range []int{c.Cases, c.Accepted, c.Rejected, c.Lapsed, c.Withdrawn, c.Moot, c.Open} {
		row = append(row, fmt.Sprint(n))
	}
	return row
}

func timesRow(name string, t Times) []string {
	if t.Count == 0 {
		return []string{name, "0", "–", "–", "–"}
	}
	row := []string{name, fmt.Sprint(t.Count)}
	for _, ms := range []int64{t.P50, t.P99, t.Max} {
		row = append(row, (time.Duration(ms) * time.Millisecond).String())
	}
	return row
}

func table(b *strings.Builder, head []string, rows [][]string) {
	line := func(cells []string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	line(head)
	line(strings.Split(strings.Repeat("---,", len(head)-1)+"---", ","))
	for _, r := range rows {
		line(r)
	}
}

// percent writes parts per million.
func percent(ppm int) string { return fmt.Sprintf("%d.%02d %%", ppm/10_000, ppm%10_000/100) }

func day(ms uint64) string {
	if ms == 0 {
		return "no time"
	}
	return time.UnixMilli(int64(ms)).UTC().Format(time.DateTime)
}

func sep(i int) string {
	if i == 0 {
		return ""
	}
	return ", "
}

// escape keeps names from being taken for marks.
func escape(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "[", `\[`, "]", `\]`, "<", "&lt;", "*", `\*`, "_", `\_`).Replace(s)
}
