// SPDX-License-Identifier: Apache-2.0

package text

import (
	"bytes"
	"context"
	"errors"
	"strings"

	"github.com/ledongthuc/pdf"

	"github.com/tocsin-db/tocsin/node/media/extract"
	"github.com/tocsin-db/tocsin/spec"
)

// PDF implements extract.Extractor for PDF documents.
type PDF struct{}

// Kind is PDF.
func (PDF) Kind() string { return extract.PDF }

// Types lists the types of texts.
func (PDF) Types() []string { return Types() }

// Trusted is false.
func (PDF) Trusted() bool { return false }

// headSize is how far into a file its PDF header may stand.
const headSize = 1024

// Claim looks for the header, which readers find within the first 1,024 bytes.
func (PDF) Claim(head []byte, _ string) (string, bool) {
	return "pdf", bytes.Contains(head[:min(len(head), headSize)], []byte("%PDF-"))
}

// Bounds of the tree of pages that is walked.
const (
	maxPages = 5000
	maxNodes = 4 * maxPages
)

// Extract hashes the text of all pages. A document that the reader cannot read
// gives spec.CodeMalformed, an encrypted one spec.CodeUnsupported; pages that it cannot read
// are left out, and the types reported as unsupported besides.
func (PDF) Extract(ctx context.Context, src extract.Source, lim extract.Limits) (res extract.Result, err error) {
	defer func() {
		if recover() != nil {
			res, err = extract.Result{}, spec.Errorf(spec.CodeMalformed, "the PDF document cannot be read")
		}
	}()
	d := newDocument(src.File, src.Size)
	r, err := pdf.NewReader(d, d.size)
	if errors.Is(err, pdf.ErrInvalidPassword) {
		return res, spec.Errorf(spec.CodeUnsupported, "the PDF document is encrypted")
	}
	if err != nil {
		return res, spec.Errorf(spec.CodeMalformed, "the PDF document cannot be read")
	}
	text, whole, err := pages(ctx, r, lim.MaxTextSize)
	if err != nil {
		return res, err
	}
	res = signals(strings.ToValidUTF8(text, "\uFFFD"))
	if !whole {
		for _, s := range res.Signals {
			res.Unsupported = append(res.Unsupported, extract.Unsupported{Type: s.Type, Code: spec.CodeMalformed})
		}
	}
	return res, nil
}

// A walk collects the text of a document, page by page in the order of the tree.
type walk struct {
	ctx          context.Context
	max          int64
	text         strings.Builder
	pages, nodes int
	missing      bool // some page could not be read
}

// pages walks the whole tree, each node once: the reader's own search for a
// page starts from the root each time, and does not end in a circle.
func pages(ctx context.Context, r *pdf.Reader, max int64) (text string, whole bool, err error) {
	w := walk{ctx: ctx, max: max}
	root := r.Trailer().Key("Root").Key("Pages")
	if err := w.node(root); err != nil {
		return "", false, err
	}
	return w.text.String(), !w.missing && w.pages == int(root.Key("Count").Int64()), nil
}

func (w *walk) node(v pdf.Value) error {
	if w.nodes++; w.nodes > maxNodes {
		return spec.Errorf(spec.CodeTooLarge, "the PDF document has too large a tree of pages")
	}
	if err := w.ctx.Err(); err != nil {
		return spec.Errorf(extract.CodeTimeout, "reading the PDF document took too long")
	}
	if v.Key("Type").Name() == "Page" {
		return w.page(pdf.Page{V: v})
	}
	kids := v.Key("Kids")
	for i := range kids.Len() {
		if err := w.node(kids.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

// page reads a page with its own fonts: their names differ from page to page.
func (w *walk) page(p pdf.Page) error {
	if w.pages++; w.pages > maxPages {
		return spec.Errorf(spec.CodeTooLarge, "the PDF document has more than %d pages", maxPages)
	}
	s, err := p.GetPlainText(nil)
	if err != nil {
		w.missing = true
	}
	if int64(w.text.Len()+len(s)) > w.max {
		return errTooLarge(w.max)
	}
	w.text.WriteString(s)
	return nil
}
