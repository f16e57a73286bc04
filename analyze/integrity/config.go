package integrity

import (
	"bytes"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/jsonl"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/sqlite"
)

// A link is one row of the config journal: what the file was before and after, by digest (FACTS 3.4).
type link struct {
	file           string
	line, time     int64
	event          string
	previous, next string
	existed        bool
}

// journalRows reads the journal in the shared database.
func (c *checker) journalRows(d *openclaw.Database) error {
	if !d.Has("diagnostic_events", "scope", "payload_json", "sequence") {
		return nil
	}
	return each(c, d, "SELECT sequence, payload_json, event_key FROM diagnostic_events WHERE scope = 'config-audit' ORDER BY sequence", func(row *sqlite.Row) {
		c.rowIDs[c.rowKey("diagnostic_events", text(row, 2), 0)] = true
		c.journalLine(d.Path, row.Int(0), row.Text(1))
	})
}

// journalFiles reads the journal of releases that kept it in a file.
func (c *checker) journalFiles() {
	file := path.Join(c.in.StateDir, "logs", "config-audit.jsonl")
	sources := []openclaw.Source{{Path: file, Form: openclaw.FormLedger}}
	if _, err := fs.Stat(c.fsys, openclaw.FSName(file)); err != nil {
		return
	}
	openclaw.ReadSources(c.ctx, c.fsys, sources, func(b openclaw.Batch) bool {
		c.gap(b.Gaps...)
		line := b.Line
		for text := range bytes.Lines(b.Text) {
			if text = bytes.TrimSpace(text); len(text) > 0 {
				c.journalLine(file, line, text)
			}
			line++
		}
		b.Free()
		return true
	})
}

func (c *checker) journalLine(file string, line int64, text []byte) {
	l := link{file: file, line: line, existed: true}
	var p jsonl.Parser
	p.Reset(text)
	for name := range p.Members() {
		switch string(name) {
		case "ts":
			l.time = moment(&p)
		case "event":
			l.event = p.Text()
		case "previousHash":
			l.previous = p.Text()
		case "nextHash":
			l.next = p.Text()
		case "existsBefore":
			l.existed, _ = p.Bool()
		}
	}
	if err := p.End(); err != nil {
		c.add(Finding{Check: "CFG-018", Level: high, Title: "a line of the config journal does not parse", Path: file, Line: line, Detail: err.Error(), Benign: "a crash during a write"})
		return
	}
	if strings.HasPrefix(l.event, "config.") && l.next != "" {
		c.journal = append(c.journal, l)
	}
}

// configJournal checks that each row of the journal continues the one before, that the last one is the config that is
// there, and that each backup is a version that the journal knows.
func (c *checker) configJournal() {
	c.journalFiles()
	slices.SortStableFunc(c.journal, func(a, b link) int { return int(min(max(a.time-b.time, -1), 1)) })
	c.count("CFG-018", int64(len(c.journal)))
	if len(c.journal) == 0 {
		c.rep.undecided("CFG-018", "this release keeps no journal of its config, or it is gone")
		return
	}
	known := map[string]bool{}
	for i, l := range c.journal {
		known[l.previous], known[l.next] = true, true
		if i > 0 {
			c.continues(&c.journal[i-1], &l)
		}
	}
	c.configFiles(known)
}

func (c *checker) continues(before, l *link) {
	if before.next == l.previous || !l.existed {
		return
	}
	f := Finding{
		Check: "CFG-018", Level: medium, Title: "the config was changed and the journal does not say how", Path: l.file, Line: l.line, Time: ms(before.time), Until: ms(l.time),
		Detail: "a row of the journal begins from another version than the row before it left",
		Benign: "an edit by hand while the gateway was down, or a row of the journal that was never written",
	}
	if l.event == "config.external" {
		f.Level = low
	}
	c.add(f)
}

// configFiles compares the config and what lies beside it with the journal.
func (c *checker) configFiles(known map[string]bool) {
	head := c.journal[len(c.journal)-1]
	dir, base := path.Split(c.in.ConfigPath)
	entries, _ := fs.ReadDir(c.fsys, openclaw.FSName(dir))
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), base)
		isBackup := rest == ".bak" || strings.HasPrefix(rest, ".bak.") || rest == ".last-good"
		if !ok || !e.Type().IsRegular() || rest != "" && !isBackup {
			continue
		}
		file := path.Join(dir, e.Name())
		sum, err := digestOf(c.fsys, file)
		if err != nil {
			c.gap(openclaw.Gap{Path: file, What: openclaw.Cause(err)})
			continue
		}
		c.count("CFG-018", 1)
		f := Finding{Check: "CFG-018", Path: file, Time: ms(head.time), Benign: "an edit by hand while the gateway was down"}
		if fi, err := e.Info(); err == nil {
			f.Until = fi.ModTime().UTC()
		}
		switch {
		case rest == "" && sum != head.next && known[sum]:
			f.Level, f.Title, f.Detail = high, "the config is an older version than the journal's last", "it was put back without a row in the journal"
		case rest == "" && sum != head.next:
			f.Level, f.Title, f.Detail = high, "the config is not the one that the journal wrote last", "it was changed after the journal's last row"
		case rest != "" && !known[sum]:
			f.Level, f.Title = medium, "a backup of the config is no version that the journal knows"
			f.Detail, f.Benign = "it was changed, or made from a version that was never recorded", "an edit by hand before a write by OpenClaw"
			f.Time, f.Until = f.Until, f.Time
			f.Until = ms(0)
		default:
			continue
		}
		c.add(f)
	}
}
