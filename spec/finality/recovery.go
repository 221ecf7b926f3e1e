// SPDX-License-Identifier: Apache-2.0

package finality

import (
	"fmt"
	"slices"
	"strings"
)

// A Recovering is a consortium whose members go on with another panel because too
// few of the first are left. Of the honest sequencers of the first panel, Gone are
// lost, at any moment before the first of the others signs; all others sign, and sit in
// the next panel beside Next.Sequencers − Next.Liars − those honest newcomers. A
// recovery is a leaf r or s, two that exclude each other, behind a final history.
//
// Crashes are no part of this model: those of one era are the other model's.
type Recovering struct {
	Panel
	Gone   int
	Next   Panel
	Length int // leaves of the longest history

	// CosignOn: who signed a recovery goes on cosigning as before.
	CosignOn bool
	// Return: those who are gone come back and cosign as before.
	Return bool
	// Shorter: a recovery may go on from before what is final.
	Shorter bool
	// Unsigned: a recovery is carried out before all that are left signed it.
	Unsigned bool
	// Twice: who signed or carried out a recovery does so with another as well.
	Twice bool
}

// A survivor is an honest member. Histories are numbers.
type survivor struct {
	first, gone bool
	signed      uint64 // the recoveries that it signed, by their histories, a bit each
	era         int    // the recovery that it carried out; 0: none
	mark        int    // the last history that it cosigned
	cosigned    uint64 // every history that it cosigned, a bit each
}

// Explore visits every reachable state, or those until two final histories exclude each
// other.
func (r Recovering) Explore() Found {
	x := &recovering{Recovering: r, all: r.histories()}
	at := x.start()
	seen, todo := map[string]bool{x.key(at): true}, [][]survivor{at}
	ever := uint64(0)
	found := func(a, b string) Found {
		return Found{len(seen), (&explorer{all: x.all}).named(ever), a, b}
	}
	for len(todo) > 0 {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		final := x.final(at)
		ever |= final
		if a, b := (&explorer{all: x.all}).conflict(final); a != "" {
			return found(a, b)
		}
		for i := range at {
			for _, to := range x.steps(at, i, final) {
				after := slices.Clone(at)
				after[i] = to
				if k := x.key(after); !seen[k] {
					seen[k] = true
					todo = append(todo, after)
				}
			}
		}
	}
	return found("", "")
}

type recovering struct {
	Recovering
	all []string
}

func (r *Recovering) histories() []string {
	all := []string{""}
	for at := 0; at < len(all); at++ {
		if len(all[at]) == r.Length {
			continue
		}
		leaves := "xy"
		if at > 0 && !strings.ContainsAny(all[at], "rs") {
			leaves += "rs" // from a checkpoint on, and only one
		}
		for _, leaf := range leaves {
			all = append(all, all[at]+string(leaf))
		}
	}
	return all
}

func (x *recovering) start() (out []survivor) {
	honest := x.Sequencers - x.Liars
	for i := range honest {
		out = append(out, survivor{first: true, gone: i < x.Gone})
	}
	for range x.Next.Sequencers - x.Next.Liars - (honest - x.Gone) {
		out = append(out, survivor{})
	}
	return out
}

// key is the same for states in which honest members of the same seats swapped places.
func (x *recovering) key(at []survivor) string {
	lines := make([]string, len(at))
	for i := range at {
		lines[i] = fmt.Sprint(at[i])
	}
	slices.Sort(lines)
	return strings.Join(lines, ";")
}

// steps are all that an honest member may do.
func (x *recovering) steps(at []survivor, i int, final uint64) (out []survivor) {
	n := at[i]
	begun := slices.ContainsFunc(at, func(n survivor) bool { return n.signed != 0 })
	for h := 1; h < len(x.all); h++ {
		turn := strings.IndexAny(x.all[h], "rs")
		next := n
		switch {
		case turn < 0:
			if next.mark, next.cosigned = h, n.cosigned|1<<h; x.cosignsOld(n, begun) && x.continues(h, n.mark) {
				out = append(out, next)
			}
		case turn == len(x.all[h])-1 && !n.gone:
			if next.signed = n.signed | 1<<h; (n.signed == 0 && n.era == 0 || x.Twice) && x.longest(h, final) {
				out = append(out, next)
			}
			next = n
			if next.era, next.mark, next.cosigned = h, h, n.cosigned|1<<h; (n.era == 0 || x.Twice && n.era != h) && x.good(at, h) {
				out = append(out, next)
			}
		case n.era != 0:
			if next.mark, next.cosigned = h, n.cosigned|1<<h; x.continues(h, n.mark) {
				out = append(out, next)
			}
		}
	}
	return out
}

func (x *recovering) continues(h, mark int) bool {
	return h != mark && strings.HasPrefix(x.all[h], x.all[mark])
}

// cosignsOld reports whether a member makes the first panel's cosignatures.
func (x *recovering) cosignsOld(n survivor, begun bool) bool {
	stays := !n.gone && (n.signed == 0 || x.CosignOn) && n.era == 0
	return n.first && (stays || n.gone && (!begun || x.Return))
}

// longest reports whether a recovery goes on from a final history that no other goes
// beyond.
func (x *recovering) longest(h int, final uint64) bool {
	from := x.all[h][:len(x.all[h])-1]
	known := false
	for i := 1; i < len(x.all); i++ {
		if final&(1<<i) != 0 {
			known = known || x.all[i] == from
			if !x.Shorter && strings.HasPrefix(x.all[i], from) && x.all[i] != from {
				return false
			}
		}
	}
	return known
}

// good reports whether all that are left signed a recovery; liars sign any.
func (x *recovering) good(at []survivor, h int) bool {
	some := false
	for _, n := range at {
		signed := n.signed&(1<<h) != 0
		some = some || signed
		if !n.gone && !signed && !x.Unsigned {
			return false
		}
	}
	return some
}

// final are the histories that enough cosigned: of the next panel once a recovery is in
// them, else of the first.
func (x *recovering) final(at []survivor) (out uint64) {
	for h := 1; h < len(x.all); h++ {
		recovered := strings.ContainsAny(x.all[h], "rs")
		count, k := x.Liars, x.K
		if recovered {
			count, k = x.Next.Liars, x.Next.K
		}
		for _, n := range at {
			if n.cosigned&(1<<h) != 0 && (recovered && !n.gone || !recovered && n.first) {
				count++
			}
		}
		if count >= k {
			out |= 1 << h
		}
	}
	return out
}
