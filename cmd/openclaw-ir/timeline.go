package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/clawbook/openclaw-ir/analyze"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/urfave/cli/v2"
)

// A hitWriter writes the timeline in the format asked for.
type hitWriter struct {
	hit func(analyze.Hit) error
	end func(*analyze.Coverage) error
}

// newEventWriter returns the writer of a format; documents go to sink.
func newEventWriter(c *cli.Context, e env, src *source, sink documentSink, r *analyze.Renderer, report *analyze.Report) (hitWriter, error) {
	out := bufio.NewWriterSize(e.console.Out(), 64<<10)
	flush := func(*analyze.Coverage) error { return out.Flush() }
	switch format := c.String("format"); {
	case isSchema(format):
		return shapedWriter(c.Context, e, newShaper(format, src, r), sink), nil
	case c.Bool("json"):
		return jsonWriter(out, r, report)
	case format == "text":
		return hitWriter{func(h analyze.Hit) error { return writeLine(out, e, h) }, flush}, nil
	case format == "jsonl":
		lines := console.NewBareJSONLines(out)
		return hitWriter{func(h analyze.Hit) error { return lines.Write(r.Record(h.Event)) }, flush}, nil
	case format == "csv":
		w, err := analyze.NewCSV(out, r)
		return wrap(e, w, out), err
	case format == "timesketch":
		return wrap(e, analyze.NewTimesketch(out, r), out), nil
	default:
		return hitWriter{}, usageError("formats are "+formatNames, "no such format: %q", format)
	}
}

func shapedWriter(ctx context.Context, e env, shape shaper, sink documentSink) hitWriter {
	return hitWriter{
		func(h analyze.Hit) error { return sink.Write(ctx, shape.Event(h.Event)) },
		func(*analyze.Coverage) error {
			sayCut(e, shape.Shortened())
			return sink.Close(ctx)
		},
	}
}

func wrap(e env, w eventWriter, out *bufio.Writer) hitWriter {
	return hitWriter{
		func(h analyze.Hit) error { return w.Write(h.Event) },
		func(*analyze.Coverage) error {
			sayCut(e, w.Shortened())
			if err := w.Flush(); err != nil {
				return err
			}
			return out.Flush()
		},
	}
}

func jsonWriter(out *bufio.Writer, r *analyze.Renderer, report *analyze.Report) (hitWriter, error) {
	lines, err := console.NewJSONLines(out, map[string]any{"command": "analyze", "installations": report.Installations})
	if err != nil {
		return hitWriter{}, err
	}
	return hitWriter{
		func(h analyze.Hit) error { return lines.Write(map[string]any{"event": r.Record(h.Event)}) },
		func(c *analyze.Coverage) error {
			if err := lines.Write(map[string]any{"coverage": c}); err != nil {
				return err
			}
			return out.Flush()
		},
	}, nil
}

func writeLine(out *bufio.Writer, e env, h analyze.Hit) error {
	if h.Gap {
		out.WriteString("--\n")
	}
	line := e.console.FoldOut(h.Line)
	if h.Context {
		line = e.console.Paint(console.Dim, line)
	}
	out.WriteString(line)
	return out.WriteByte('\n')
}

// maxGapsShown is how many gaps are told one by one; --json has them all.
const maxGapsShown = 20

// sayCoverage tells what stands behind the timeline; incomplete evidence is exit code 3.
func sayCoverage(e env, r *analyze.Renderer, c *analyze.Coverage) error {
	for i, g := range c.Gaps {
		if i == maxGapsShown {
			e.console.Warningf("and %d more; --json lists them all", len(c.Gaps)-i)
			break
		}
		e.console.Warningf("%s: %s", r.Secrets.Redact(g.Path), r.Secrets.Redact(g.What))
	}
	for _, n := range c.Notes {
		e.console.Printf("note: %s", n)
	}
	found, read, unreadable := c.Files()
	e.console.Printf("coverage: %s; %d sources found, %d read, %d unreadable; %d records (%s), %d unparsed (%s), %d duplicates; %d events, %d shown",
		plural(c.Installations, "installation"), found, read, unreadable, c.Records, console.Size(c.Bytes), c.Unparsed, console.Size(c.UnparsedBytes), c.Duplicates, c.Events, c.Shown)
	if !c.Complete() {
		return errPartial
	}
	return nil
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if strings.HasSuffix(what, "s") {
		what += "e"
	}
	return fmt.Sprintf("%d %ss", n, what)
}
