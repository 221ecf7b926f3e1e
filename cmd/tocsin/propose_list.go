// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/node/api/wire"
	"github.com/tocsin-db/tocsin/spec"
)

// A listing is one run of propose --file.
type listing struct {
	p       *program
	name    string
	client  *wire.ClientWithResponses
	journal *journal
	request wire.ProposalRequest // without items
	bar     progress
	open    map[string]*batch // whose outcome an earlier run did not learn, by key
	next    *batch
	report  listReport
}

// A listReport is what became of a list.
type listReport struct {
	Cases    []string      `json:"cases"`    // that the list opened, in this run and before
	Proposed int           `json:"proposed"` // lines, in this run
	Before   int           `json:"before"`   // lines that were proposed before, or stand in the list twice
	Refused  []refusedLine `json:"refused"`
}

type refusedLine struct {
	Line   int       `json:"line"`
	Code   spec.Code `json:"code"`
	Detail string    `json:"detail"`
}

// proposeList proposes the items of a list in as few cases as they fit in.
func (p *program) proposeList(c *cli.Context) (err error) {
	if c.NArg() > 0 || len(c.StringSlice("signal")) > 0 || len(c.StringSlice("label")) > 0 || c.String("text") != "" {
		return usage("--file takes the place of files, --signal, --label and --text")
	}
	f, err := os.Open(c.String("file"))
	if err != nil {
		return usage("--file: %v", err)
	}
	defer f.Close()
	client, err := connect(c)
	if err != nil {
		return err
	}
	st, err := client.StatusWithResponse(c.Context)
	if err != nil {
		return callError(err, nil, 0, nil)
	}
	if err := callError(nil, st.HTTPResponse, http.StatusOK, st.ApplicationProblemJSONDefault); err != nil {
		return err
	}
	j, err := openJournal(f.Name()+journalSuffix, st.JSON200.Origin, st.JSON200.Organisation)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	l := &listing{
		p: p, name: f.Name(), client: client, journal: j, bar: p.progress(info.Size()), open: map[string]*batch{}, next: &batch{},
		request: wire.ProposalRequest{Basis: c.String("basis"), Urgent: c.Bool("urgent")},
	}
	ran := l.run(c.Context, newListReader(f))
	l.bar.end()
	return l.tell(c, ran)
}

// tell reports what became of the list, also of one that could not be finished.
func (l *listing) tell(c *cli.Context, ran error) error {
	r := &l.report
	r.Cases = append([]string{}, l.journal.cases...)
	r.Refused = append([]refusedLine{}, r.Refused...)
	fmt.Fprintf(l.p.talk, "tocsin: %d lines proposed, %d were before, %d refused; %d cases in all\n", r.Proposed, r.Before, len(r.Refused), len(r.Cases))
	var err error
	if c.Bool("json") {
		err = l.p.json(r)
	} else {
		for _, id := range r.Cases {
			fmt.Fprintln(l.p.out, id)
		}
	}
	switch {
	case ran != nil:
		return fmt.Errorf("the list is not finished; repeat the command, and it goes on from here: %w", ran)
	case err == nil && len(r.Refused) > 0:
		return &exitError{code: exitFailed, sentence: fmt.Sprintf("%d lines were refused", len(r.Refused))}
	}
	return err
}

// run reads the list to its end.
func (l *listing) run(ctx context.Context, lines *listReader) error {
	for {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && spec.CodeOf(err) == "" {
			return err
		}
		l.bar.at(lines.bytes)
		if err != nil {
			l.refuse(line, err)
			continue
		}
		if err := l.take(ctx, line); err != nil {
			return err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(l.open)) {
		if err := l.send(ctx, l.open[key]); err != nil {
			return err
		}
	}
	return l.flush(ctx)
}

// take puts a line into the batch that it belongs to.
func (l *listing) take(ctx context.Context, line *listLine) error {
	if l.journal.done[line.digest] {
		l.report.Before++
		return nil
	}
	if key, ok := l.journal.open[line.digest]; ok {
		b := l.open[key]
		if b == nil {
			b = &batch{key: key}
			l.open[key] = b
		}
		if same := func(x *listLine) bool { return x.digest == line.digest }; slices.ContainsFunc(b.lines, same) {
			l.report.Before++
			return nil
		}
		b.add(line)
		return nil
	}
	if slices.ContainsFunc(l.next.lines, func(x *listLine) bool { return x.digest == line.digest }) {
		l.report.Before++
		return nil
	}
	if !l.next.takes(line) {
		if err := l.flush(ctx); err != nil {
			return err
		}
	}
	l.next.add(line)
	return nil
}

func (l *listing) flush(ctx context.Context) error {
	b := l.next
	l.next = &batch{}
	if len(b.lines) == 0 {
		return nil
	}
	return l.send(ctx, b)
}

// send sees a batch through. One that is refused for what is in it is cut in two,
// until the lines at fault are alone.
func (l *listing) send(ctx context.Context, b *batch) error {
	if err := l.journal.begin(b); err != nil {
		return err
	}
	id, err := l.propose(ctx, b)
	switch {
	case err == nil:
		l.report.Proposed += len(b.lines)
		return l.journal.write(&journalLine{Key: b.key, Case: id})
	case !itemsAtFault(err):
		return err
	}
	if err := l.journal.write(&journalLine{Key: b.key, Refused: true}); err != nil {
		return err
	}
	if len(b.lines) == 1 {
		l.refuse(b.lines[0], err)
		return nil
	}
	for _, half := range [][]*listLine{b.lines[:len(b.lines)/2], b.lines[len(b.lines)/2:]} {
		part := &batch{}
		for _, line := range half {
			part.add(line)
		}
		if err := l.send(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

// itemsAtFault reports whether a refusal is about what a proposal lists.
func itemsAtFault(err error) bool {
	switch spec.CodeOf(err) {
	case spec.CodeMalformed, spec.CodeSignal, spec.CodeSignalType, spec.CodeDuplicate, spec.CodeLabel, spec.CodeTooLarge:
		return true
	}
	return false
}

// busyPause is how long a list waits when the node says that there is no room.
const busyPause = time.Second

// propose sends a batch, again under the same key while the node answers BUSY.
func (l *listing) propose(ctx context.Context, b *batch) (string, error) {
	body := l.request
	body.IdempotencyKey, body.Text = b.key, b.lines[0].Text
	for _, line := range b.lines {
		body.Items = append(body.Items, wire.ProposalItem{Labels: line.Labels, Signals: line.Signals})
	}
	for {
		resp, err := l.client.ProposeWithResponse(ctx, body)
		if err != nil {
			return "", callError(err, nil, 0, nil)
		}
		err = callError(nil, resp.HTTPResponse, http.StatusCreated, resp.ApplicationProblemJSONDefault)
		if err == nil {
			return resp.JSON201.ID, nil
		}
		if spec.CodeOf(err) != spec.CodeBusy {
			return "", err
		}
		l.bar.clear()
		fmt.Fprintf(l.p.talk, "tocsin: %v; trying again\n", err)
		select {
		case <-ctx.Done():
			return "", err
		case <-time.After(busyPause):
		}
	}
}

// refuse reports a line that is not proposed.
func (l *listing) refuse(line *listLine, err error) {
	l.bar.clear()
	fmt.Fprintf(l.p.talk, "tocsin: %s:%d: %v\n", l.name, line.number, err)
	l.report.Refused = append(l.report.Refused, refusedLine{line.number, spec.CodeOf(err), err.Error()})
}
