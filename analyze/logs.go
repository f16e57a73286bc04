package analyze

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/jsonl"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// logs keeps the lines of the gateway's rolling logs that warn of something: level WARN and above.
// Each line is counted in the coverage; OpenClaw's own format is FACTS 7.
func (r *Report) logs(ctx context.Context, fsys fs.FS, in *openclaw.Installation, o *Options, keep func(*Event)) {
	sources, gaps := in.Logs(fsys)
	sources = r.unread(sources)
	r.Coverage.gap(gaps...)
	rows := r.cover(sources)
	var last int64
	openclaw.ReadSources(ctx, fsys, sources, func(b openclaw.Batch) bool {
		row := rows[b.Source]
		if b.Line == 1 {
			last = 0
		}
		for _, g := range b.Gaps {
			row.Unreadable = row.Unreadable || b.Passed == 0
			r.Coverage.gap(g)
		}
		row.pass(b.Passed)
		line := b.Line
		for text := range bytes.Lines(b.Text) {
			row.Bytes += int64(len(text))
			if text = bytes.TrimSpace(text); len(text) > 0 {
				row.Records++
				e, err := logEvent(b.Source, text, line)
				switch {
				case err != nil:
					r.unparsedLog(row, b.Source, line, int64(len(text)), err)
				case e.NoTime:
					e.Time = last
				}
				if err == nil {
					last = e.Time
				}
				if err == nil && (o.whole || warns(e.Target)) {
					keep(e)
				}
			}
			line++
		}
		if o.Read != nil {
			o.Read(int64(len(b.Text)))
		}
		return true
	})
}

func (r *Report) unparsedLog(row *SourceCoverage, src *openclaw.Source, line, size int64, err error) {
	row.Lost += size
	if row.Unparsed++; row.Unparsed <= maxUnparsedGaps {
		r.Coverage.gap(openclaw.Gap{Path: src.Path, What: fmt.Sprintf("line %d: %v", line, err), Bytes: size})
	}
}

// warns reports the levels that are shown.
func warns(level string) bool { return level == "warn" || level == "error" || level == "fatal" }

// logEvent reads one line of any level.
func logEvent(src *openclaw.Source, text []byte, line int64) (*Event, error) {
	var p jsonl.Parser
	p.Reset(text)
	e := &Event{Kind: KindLog, Source: src, Line: line, Asker: &Asker{Kind: "gateway"}, Session: "log", Result: Result{Status: StatusOK}}
	level, subsystem, message := "", "", ""
	var parts []string
	if p.Kind() != '{' {
		return nil, errNotObject
	}
	for name := range p.Members() {
		switch key := string(name); key {
		case "time":
			e.Time, _ = parseTime(p.RawText())
		case "_meta":
			level = logLevel(&p, e)
		case "message":
			message = p.Text()
		case "agent_id":
			e.Agent = p.Text()
		case "0", "1", "2", "3":
			raw := p.Raw()
			if len(raw) == 0 {
				continue
			}
			part := string(raw)
			if raw[0] == '"' {
				part = jsonl.Unquote(raw)
			}
			if key == "0" && strings.HasPrefix(part, "{") {
				subsystem = subsystemOf(part)
				continue
			}
			parts = append(parts, part)
		}
	}
	if err := p.End(); err != nil {
		return nil, err
	}
	e.Tool, e.Target = subsystem, strings.ToLower(level)
	e.What = firstNonEmpty(message, strings.Join(parts, " "))
	e.NoTime = e.Time == 0
	return e, nil
}

func subsystemOf(part string) string {
	m := stringMembers(part)
	return firstNonEmpty(m["subsystem"], m["module"])
}

// logLevel reads _meta's level, and its date where the line has no time of its own.
func logLevel(p *jsonl.Parser, e *Event) (level string) {
	for name := range p.Members() {
		switch string(name) {
		case "logLevelName":
			level = p.Text()
		case "date":
			if ms, ok := parseTime(p.RawText()); ok && e.Time == 0 {
				e.Time = ms
			}
		}
	}
	return level
}
