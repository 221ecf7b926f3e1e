// SPDX-License-Identifier: Apache-2.0

package transparency

import (
	"fmt"
	"html"
	"strings"
)

// A Plot is one figure of the report as SVG, with the same in words.
type Plot struct {
	File        string
	Alternative string
	SVG         []byte
}

// maxBars bounds the bars of a plot; the table has all rows.
const maxBars = 20

// Plots draws the items by origin and label, and the agreement between voters.
func (r *Report) Plots() []Plot {
	out := []Plot{
		bars("organisations.svg", "Listed items by organisation", r.ByOrganisation),
		bars("referrals.svg", "Listed items by referral", r.ByReferral),
		bars("labels.svg", "Listed items by label", r.ByLabel),
	}
	return append(out, r.matrix())
}

const (
	rowHeight = 24
	textWidth = 220
	barWidth  = 400
)

func bars(file, title string, rows []Items) Plot {
	rows = rows[:min(len(rows), maxBars)]
	most, words := 1, []string{}
	for _, i := range rows {
		most = max(most, i.Listed)
		words = append(words, fmt.Sprintf("%s %d, of which overturned %d", i.Name, i.Listed, i.Overturned))
	}
	var body strings.Builder
	for n, i := range rows {
		y := 40 + n*rowHeight
		fmt.Fprintf(&body, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", textWidth-8, y+15, html.EscapeString(clip(i.Name)))
		fmt.Fprintf(&body, `<rect x="%d" y="%d" width="%d" height="16" fill="#2b5d8a"/>`+"\n", textWidth, y+3, i.Listed*barWidth/most)
		if i.Overturned > 0 { // hatched as well as coloured
			fmt.Fprintf(&body, `<rect x="%d" y="%d" width="%d" height="16" fill="url(#o)" stroke="#000"/>`+"\n", textWidth, y+3, max(1, i.Overturned*barWidth/most))
		}
		fmt.Fprintf(&body, `<text x="%d" y="%d">%d</text>`+"\n", textWidth+i.Listed*barWidth/most+6, y+15, i.Listed)
	}
	return plot(file, title, words, textWidth+barWidth+60, 50+len(rows)*rowHeight, body.String())
}

// matrix draws in how many cases of a hundred two organisations voted the same way.
func (r *Report) matrix() Plot {
	index := map[string]int{}
	var names, words []string
	for _, p := range r.Agreement {
		for _, n := range []string{p.A, p.B} {
			if _, ok := index[n]; !ok {
				index[n] = len(names)
				names = append(names, n)
			}
		}
		words = append(words, fmt.Sprintf("%s and %s %d of %d", p.A, p.B, p.Same, p.Both))
	}
	const cell = 44
	var body strings.Builder
	for n, name := range names {
		fmt.Fprintf(&body, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", textWidth-8, 66+n*cell, html.EscapeString(clip(name)))
		fmt.Fprintf(&body, `<text x="%d" y="%d" text-anchor="middle">%d</text>`+"\n", textWidth+n*cell+cell/2, 36, n+1)
	}
	for _, p := range r.Agreement {
		share := p.Same * 100 / p.Both
		for _, at := range [][2]int{{index[p.A], index[p.B]}, {index[p.B], index[p.A]}} {
			x, y := textWidth+at[1]*cell, 40+at[0]*cell
			fmt.Fprintf(&body, `<rect x="%d" y="%d" width="%d" height="%d" fill="#2b5d8a" fill-opacity="0.%02d" stroke="#555"/>`+"\n", x, y, cell, cell, min(share*6/10, 99))
			fmt.Fprintf(&body, `<text x="%d" y="%d" text-anchor="middle">%d</text>`+"\n", x+cell/2, y+26, share)
		}
	}
	return plot("agreement.svg", "Votes the same way, in per cent of the cases on which both voted", words, textWidth+len(names)*cell+40, 60+len(names)*cell, body.String())
}

func plot(file, title string, words []string, width, height int, body string) Plot {
	alternative := title + ": " + strings.Join(words, "; ")
	if len(words) == 0 {
		alternative = title + ": none"
	}
	svg := fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-labelledby="t d" font-family="sans-serif" font-size="13">
<title id="t">%s</title>
<desc id="d">%s</desc>
<defs><pattern id="o" width="6" height="6" patternUnits="userSpaceOnUse"><rect width="6" height="6" fill="#fff"/><path d="M0 6L6 0" stroke="#a33" stroke-width="2"/></pattern></defs>
<rect width="100%%" height="100%%" fill="#fff"/>
<text x="8" y="18" font-weight="bold">%s</text>
%s</svg>
`, width, height, width, height, html.EscapeString(title), html.EscapeString(alternative), html.EscapeString(title), body)
	return Plot{file, alternative, []byte(svg)}
}

func clip(s string) string {
	r := []rune(s)
	if len(r) <= 28 {
		return s
	}
	return string(r[:27]) + "…"
}
