package main

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/clawbook/openclaw-ir/analyze/changes"
	"github.com/clawbook/openclaw-ir/internal/console"
)

// A diffPrinter shows a comparison. Its report holds no secret; all of it may be hostile.
type diffPrinter struct {
	env
	report *changes.Report
}

func (p *diffPrinter) json(older, newer *source) error {
	lines, err := console.NewJSONLines(p.console.Out(), map[string]any{
		"command": "collect diff", "older": older.label(), "newer": newer.label(),
	})
	if err != nil {
		return err
	}
	for _, c := range p.report.Changes {
		if err := lines.Write(map[string]any{"change": c}); err != nil {
			return err
		}
	}
	r := p.report
	return lines.Write(map[string]any{"counts": r.Counts, "dropped": r.Dropped, "gaps": r.Gaps, "rewritten": r.Rewritten()})
}

// groupTitles are what kinds are called above their changes.
var groupTitles = map[changes.Kind]string{
	changes.Past: "the past", changes.Installation: "installations", changes.Config: "settings", changes.Credential: "credentials",
	changes.Skill: "skills", changes.Plugin: "plugins", changes.Hook: "hooks", changes.MCP: "MCP servers", changes.Automation: "automations",
	changes.Pairing: "senders", changes.Device: "devices", changes.Approval: "approvals", changes.Identity: "instructions",
	changes.Memory: "memory", changes.Other: "other files", changes.Session: "conversations", changes.Records: "records",
}

// maxShownChanges is how many changes of one kind the text shows, and maxShownFiles how many files of one change.
const (
	maxShownChanges = 200
	maxShownFiles   = 20
)

func (p *diffPrinter) text(older, newer *source) error {
	var b strings.Builder
	byKind := map[changes.Kind][]changes.Change{}
	for _, c := range p.report.Changes {
		byKind[c.Kind] = append(byKind[c.Kind], c)
	}
	for _, kind := range changes.Kinds {
		if list := byKind[kind]; len(list) > 0 {
			p.group(&b, kind, list)
		}
	}
	fmt.Fprintf(&b, "from %s to %s: %s\n", console.Escape(older.label()), console.Escape(newer.label()), p.verdict())
	_, err := p.console.Out().Write([]byte(b.String()))
	return err
}

func (p *diffPrinter) verdict() string {
	n := p.report.Count(changes.Kinds...)
	switch {
	case p.report.Rewritten():
		return plural(n, "change") + ", and the past was rewritten"
	case n == 0:
		return "no change found"
	}
	return plural(n, "change") + "; what was recorded then is as it was, as far as it was compared"
}

// group writes the changes of one kind, their names in one column.
func (p *diffPrinter) group(b *strings.Builder, kind changes.Kind, list []changes.Change) {
	var counts []string
	for _, s := range []changes.Status{changes.Added, changes.Changed, changes.Removed} {
		if n := p.report.Counts[kind][s]; n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, s))
		}
	}
	if kind == changes.Past {
		counts = []string{plural(p.report.Count(kind), "sign") + " of a change"}
	}
	fmt.Fprintf(b, "%s  %s\n", p.console.Paint(console.Strong, groupTitles[kind]), strings.Join(counts, ", "))
	width := 0
	for _, c := range list[:min(len(list), maxShownChanges)] {
		if n := utf8.RuneCountInString(console.Escape(c.Name)); n <= maxNameColumn {
			width = max(width, n)
		}
	}
	for i, c := range list {
		if i == maxShownChanges {
			fmt.Fprintf(b, "  and %d more; --json lists them\n", p.report.Count(kind)-i)
			break
		}
		p.change(b, &c, width)
	}
	b.WriteByte('\n')
}

// maxNameColumn bounds the column of names.
const maxNameColumn = 56

func (p *diffPrinter) change(b *strings.Builder, c *changes.Change, width int) {
	if c.Kind == changes.Past {
		p.past(b, c)
		return
	}
	name := console.Escape(c.Name)
	line := "  " + signs[c.Status] + " " + name
	if what := changed(c); what != "" {
		line += strings.Repeat(" ", max(0, width-utf8.RuneCountInString(name))) + "  " + what
	}
	b.WriteString(p.console.FoldOut(line + "\n"))
	p.details(b, c)
}

// past writes a sign that the past was rewritten: what, where, and what would explain it.
func (p *diffPrinter) past(b *strings.Builder, c *changes.Change) {
	b.WriteString(p.leveled(c.Level, p.console.FoldOut(fmt.Sprintf("  %-8s  %s\n", c.Level, console.Escape(c.Is)))))
	b.WriteString(p.console.FoldOut("            where     " + console.Escape(c.Name) + "\n"))
	if c.Finding.Benign != "" {
		b.WriteString(p.console.FoldOut("            innocent  " + console.Escape(c.Finding.Benign) + "\n"))
	}
}

// diffHead is how many lines of a diff say only which two texts it is of.
const diffHead = 2

// signs mark what became of a thing, as diff does.
var signs = map[changes.Status]string{changes.Added: "+", changes.Removed: "-", changes.Changed: "~"}

// changed says what a thing was and is.
func changed(c *changes.Change) string {
	was, is := console.Escape(c.Was), console.Escape(c.Is)
	switch {
	case c.Diff != "" || c.Was == "" && c.Is == "" && len(c.Files) == 0:
		return ""
	case len(c.Files) > 0:
		return plural(len(c.Files), "file")
	case c.Status == changes.Changed && c.Was != "":
		return was + " → " + is
	case c.Status == changes.Removed:
		return was
	}
	return is
}

// details writes what stands below a change: the files of it, and the lines.
func (p *diffPrinter) details(b *strings.Builder, c *changes.Change) {
	for i, f := range c.Files {
		if i == maxShownFiles {
			fmt.Fprintf(b, "      and %d more; --json lists them\n", len(c.Files)-i)
			break
		}
		digest := f.Is
		if f.Status == changes.Removed {
			digest = f.Was
		}
		b.WriteString(p.console.FoldOut(fmt.Sprintf("      %s %s  %s\n", signs[f.Status], console.Escape(strings.TrimPrefix(f.Path, c.Name+"/")), console.Escape(beginning(digest)))))
	}
	if c.Diff != "" {
		n := 0
		for line := range strings.Lines(c.Diff) {
			if n++; n > diffHead {
				b.WriteString(p.diffLine(strings.TrimSuffix(line, "\n")))
			}
		}
	}
}

// beginning is as much of a digest as tells two apart; --json has all of it.
func beginning(digest string) string {
	const enough = 16
	if len(digest) != 64 {
		return digest
	}
	return digest[:enough] + "…"
}

// diffLine writes one line of a unified diff, as wide as it is.
func (p *diffPrinter) diffLine(line string) string {
	head := strings.HasPrefix(line, "--- ") || strings.HasPrefix(line, "+++ ") || strings.HasPrefix(line, "@@ ")
	if head {
		line = strings.ReplaceAll(line, "\t", "  ")
	}
	shown := "      " + console.Escape(line)
	if head {
		shown = p.console.Paint(console.Dim, shown)
	}
	return shown + "\n"
}
