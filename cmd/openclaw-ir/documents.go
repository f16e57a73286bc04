package main

import (
	"bufio"
	"context"

	"github.com/clawbook/openclaw-ir/analyze"
	"github.com/clawbook/openclaw-ir/internal/console"
)

// formatNames are the values of --format.
const formatNames = "text, jsonl, csv, timesketch, ecs or ocsf"

// A shaper makes documents of events and findings, in the shape that stores of logs expect.
type shaper interface {
	Event(*analyze.Event) analyze.Document
	Finding(*analyze.Finding) analyze.Document
	Shortened() int64 // how many texts were
}

// isSchema reports whether a format is one that a shaper makes.
func isSchema(format string) bool { return format == "ecs" || format == "ocsf" }

// newShaper returns the shaper of a format that isSchema.
func newShaper(format string, src *source, r *analyze.Renderer) shaper {
	from := analyze.Origin{Renderer: r, Host: src.hostname(), Now: src.now}
	if format == "ocsf" {
		return &analyze.OCSF{Origin: from}
	}
	return &analyze.ECS{Origin: from}
}

// sayCut warns of texts that were shortened.
func sayCut(e env, n int64) {
	if n > 0 {
		e.console.Warningf("%d texts were shortened to what a store of logs or a spreadsheet takes; --format jsonl has them whole", n)
	}
}

// A documentSink takes documents.
type documentSink interface {
	Write(context.Context, analyze.Document) error
	Close(context.Context) error
}

// documentLines writes documents as JSON lines.
type documentLines struct {
	out   *bufio.Writer
	lines *console.JSONLines
}

func newDocumentLines(e env) documentLines {
	out := bufio.NewWriterSize(e.console.Out(), 64<<10)
	return documentLines{out, console.NewBareJSONLines(out)}
}

// Write writes a document on a line.
func (d documentLines) Write(_ context.Context, doc analyze.Document) error {
	return d.lines.Write(doc.Body)
}

// Close writes what has waited.
func (d documentLines) Close(context.Context) error { return d.out.Flush() }
