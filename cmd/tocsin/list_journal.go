// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"os"

	"github.com/gofrs/flock"

	"github.com/tocsin-db/tocsin/spec"
)

// journalSuffix names the journal beside a list.
const journalSuffix = ".tocsin"

// A journal remembers which lines of a list were sent to the node in which batch,
// and which case came of it. A batch stands in it before it is sent, so that one
// whose outcome is not known is asked for by its key, never sent as another.
type journal struct {
	f     *os.File
	lock  io.Closer           // held against a second writer, in another process too; the operating system lets go of it with the process
	done  map[string]bool     // lines, by digest
	open  map[string]string   // lines of batches without an outcome → key
	lines map[string][]string // of batches without an outcome
	cases []string            // in the order in which they were opened
}

// A journalLine is one line of the file; the first names whose journal it is.
type journalLine struct {
	Origin       string   `json:"origin,omitempty"`
	Organisation string   `json:"organisation,omitempty"`
	Key          string   `json:"key,omitempty"`
	Lines        []string `json:"lines,omitempty"`
	Case         string   `json:"case,omitempty"`
	Refused      bool     `json:"refused,omitempty"`
}

// openJournal opens or begins the journal of a list for one organisation's node.
func openJournal(path, origin, org string) (*journal, error) {
	lock := flock.New(path+".lock", flock.SetPermissions(0o600))
	if held, err := lock.TryLock(); err != nil {
		return nil, spec.Errorf(spec.CodeConfig, "locking the journal of the list: %w", err)
	} else if !held {
		return nil, spec.Errorf(spec.CodeBusy, "%s is being written by another tocsin propose", path)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	j := &journal{f: f, lock: lock, done: map[string]bool{}, open: map[string]string{}, lines: map[string][]string{}}
	if err := j.load(origin, org); err != nil {
		return nil, errors.Join(err, j.close())
	}
	return j, nil
}

// load reads what there is and cuts off a last line that was not written whole.
func (j *journal) load(origin, org string) error {
	data, err := io.ReadAll(j.f)
	if err != nil {
		return err
	}
	whole := bytes.LastIndexByte(data, '\n') + 1
	if err := j.f.Truncate(int64(whole)); err != nil {
		return err
	}
	if _, err := j.f.Seek(int64(whole), io.SeekStart); err != nil {
		return err
	}
	first := true
	for raw := range bytes.Lines(data[:whole]) {
		var l journalLine
		if err := json.Unmarshal(raw, &l); err != nil {
			return spec.Errorf(spec.CodeMalformed, "%s is not the journal of a list", j.f.Name())
		}
		if first && (l.Origin != origin || l.Organisation != org) {
			return usage("%s is of %q in %q, not of %q in %q; for another proposal of the list, copy the list", j.f.Name(), l.Organisation, l.Origin, org, origin)
		}
		first = false
		j.note(&l)
	}
	if first {
		return j.write(&journalLine{Origin: origin, Organisation: org})
	}
	return nil
}

// note takes one line into account.
func (j *journal) note(l *journalLine) {
	switch {
	case l.Case != "" || l.Refused:
		for _, d := range j.lines[l.Key] {
			delete(j.open, d)
			j.done[d] = j.done[d] || l.Case != ""
		}
		delete(j.lines, l.Key)
		if l.Case != "" {
			j.cases = append(j.cases, l.Case)
		}
	case l.Key != "":
		j.lines[l.Key] = l.Lines
		for _, d := range l.Lines {
			j.open[d] = l.Key
		}
	}
}

// write makes a line durable and takes it into account.
func (j *journal) write(l *journalLine) error {
	b, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if _, err := j.f.Write(append(b, '\n')); err != nil {
		return err
	}
	j.note(l)
	return j.f.Sync()
}

// begin writes a batch down before it is sent; one that has a key stands there.
func (j *journal) begin(b *batch) error {
	if b.key != "" {
		return nil
	}
	b.key = rand.Text()
	l := &journalLine{Key: b.key}
	for _, line := range b.lines {
		l.Lines = append(l.Lines, line.digest)
	}
	return j.write(l)
}

func (j *journal) close() error { return errors.Join(j.f.Close(), j.lock.Close()) }
