package posture

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// What bounds the journal: rows that are read (OpenClaw keeps 50,000), and of each row its bytes, words and paths.
const (
	maxJournalRows  = 200_000
	maxJournalRow   = 1 << 20
	maxJournalWords = 64
	maxJournalPaths = 4096
)

// A journalRow is a record of OpenClaw's journal of its configuration (src/config/io.audit.ts).
type journalRow struct {
	at        time.Time
	event     string // config.write, config.external, config.observe
	refused   bool   // the write did not happen
	origin    string // cli or another, since 2026.9
	previous  string // digest before; "" if it is not told or there was no file
	next      string // digest after; of an observation the one that was seen
	restored  string // of an observation: the digest of the backup that was put in its place
	modified  time.Time
	argv      []string
	changed   []string
	copiedOut bool // what was observed was kept as .clobbered
}

// words are a command's words after the program and the script.
func (r *journalRow) words() []string {
	if len(r.argv) < 3 {
		return nil
	}
	return r.argv[2:]
}

// auditRecord is a record as it is written.
type auditRecord struct {
	TS           string   `json:"ts"`
	Event        string   `json:"event"`
	ConfigPath   string   `json:"configPath"`
	Argv         []string `json:"argv"`
	ExistsBefore *bool    `json:"existsBefore"`
	PreviousHash *string  `json:"previousHash"`
	NextHash     *string  `json:"nextHash"`
	Hash         *string  `json:"hash"`
	BackupHash   *string  `json:"backupHash"`
	Restored     bool     `json:"restoredFromBackup"`
	Clobbered    *string  `json:"clobberedPath"`
	MtimeMs      *float64 `json:"mtimeMs"`
	ChangedPaths []string `json:"changedPaths"`
	Origin       string   `json:"origin"`
	Result       string   `json:"result"`
}

// parseJournalRow reads one record and the path of the configuration it is about. It reports false for what is none.
func parseJournalRow(text []byte) (row journalRow, config string, ok bool) {
	var r auditRecord
	if len(text) > maxJournalRow || json.Unmarshal(text, &r) != nil {
		return row, "", false
	}
	when, err := time.Parse(time.RFC3339Nano, r.TS)
	if err != nil || r.Event == "" {
		return row, "", false
	}
	row = journalRow{
		at: when.UTC(), event: r.Event, origin: r.Origin, refused: r.Result == "failed" || r.Result == "rejected",
		previous: digestOf(r.PreviousHash), next: digestOf(r.NextHash),
		argv: r.Argv[:min(len(r.Argv), maxJournalWords)], changed: r.ChangedPaths[:min(len(r.ChangedPaths), maxJournalPaths)],
	}
	if r.ExistsBefore != nil && !*r.ExistsBefore {
		row.previous = ""
	}
	if r.Event == "config.observe" {
		row.next, row.copiedOut = digestOf(r.Hash), r.Clobbered != nil
		if r.Restored {
			row.restored = digestOf(r.BackupHash)
		}
		if r.MtimeMs != nil && *r.MtimeMs > 0 && *r.MtimeMs < 1e15 {
			row.modified = time.UnixMicro(int64(*r.MtimeMs * 1000)).UTC()
		}
	}
	return row, r.ConfigPath, true
}

// digestOf returns a SHA-256 as it is written, or "".
func digestOf(s *string) string {
	if s == nil || len(*s) != 64 || strings.Trim(*s, "0123456789abcdef") != "" {
		return ""
	}
	return *s
}

// A journalReader collects the rows of one installation's journals.
type journalReader struct {
	*pastReader
	rows     map[string][]journalRow // by the path of the configuration
	known    map[string]bool         // rows, so that a migrated journal's copy counts once
	read     int
	unparsed int
	source   string
}

// journal reads the journal, wherever this release keeps it, in the order of time.
func (p *pastReader) journal() []journalRow {
	j := &journalReader{pastReader: p, rows: map[string][]journalRow{}, known: map[string]bool{}}
	j.database(p.in.StateDB())
	j.files(path.Join(p.in.StateDir, "logs"))
	rows := j.rows[p.in.ConfigPath]
	if rows == nil && len(j.rows) == 1 { // a copied state names the host it came from
		for config, only := range j.rows {
			if path.Base(config) == path.Base(p.in.ConfigPath) {
				rows = only
			}
		}
	}
	slices.SortStableFunc(rows, func(a, b journalRow) int { return a.at.Compare(b.at) })
	return rows
}

// take counts and keeps one row. It reports false when there are too many.
func (j *journalReader) take(text []byte) bool {
	if j.read++; j.read > maxJournalRows {
		j.gap(j.source, fmt.Sprintf("more than %d records of configuration changes; the rest was not read", maxJournalRows))
		return false
	}
	row, config, ok := parseJournalRow(text)
	if !ok {
		j.unparsed++
		return true
	}
	key := fmt.Sprint(row.at.UnixNano(), row.event, row.previous, row.next)
	if !j.known[key] {
		j.known[key] = true
		j.rows[config] = append(j.rows[config], row)
	}
	return true
}

func (j *journalReader) end() {
	if j.unparsed > 0 {
		j.gap(j.source, fmt.Sprintf("%d records of configuration changes could not be read", j.unparsed))
	}
	j.unparsed = 0
}

// journalQueries read the journal of 2026.9 and of the releases between that kept it among the plugins' state.
var journalQueries = []struct {
	table, query string
	columns      []string
}{
	{"diagnostic_events", "SELECT payload_json FROM diagnostic_events NOT INDEXED WHERE scope = 'config-audit'", []string{"scope", "payload_json"}},
	{
		"plugin_state_entries",
		"SELECT value_json FROM plugin_state_entries NOT INDEXED WHERE plugin_id = 'core:config' AND namespace = 'audit'",
		[]string{"plugin_id", "namespace", "value_json"},
	},
}

func (j *journalReader) database(file string) {
	j.source = file
	_, err := openclaw.OpenDatabaseFunc(j.fsys, file, func(d *openclaw.Database) error {
		for _, q := range journalQueries {
			if !d.Has(q.table, q.columns...) {
				continue
			}
			for row, err := range d.Query(j.ctx, q.query) {
				if err != nil {
					return err
				}
				if !j.take(row.Text(0)) {
					return nil
				}
			}
		}
		return nil
	})
	if err != nil {
		j.gap(file, "reading the journal of the configuration: "+err.Error())
	}
	j.end()
}

// files reads config-audit.jsonl and what a migration left of it.
func (j *journalReader) files(dir string) {
	entries, err := fs.ReadDir(j.fsys, openclaw.FSName(dir))
	if err != nil && !openclaw.IsAbsent(err) {
		j.gap(dir, openclaw.Cause(err))
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int {
		return cmp.Or(cmp.Compare(len(a.Name()), len(b.Name())), strings.Compare(a.Name(), b.Name()))
	})
	for _, e := range entries {
		if rest, ok := strings.CutPrefix(e.Name(), "config-audit.jsonl"); !ok || rest != "" && rest[0] != '.' {
			continue
		}
		j.source = path.Join(dir, e.Name())
		if !e.Type().IsRegular() {
			j.gap(j.source, "is named like a journal but is no regular file; not opened")
			continue
		}
		j.lines()
		j.end()
	}
}

func (j *journalReader) lines() {
	source := openclaw.Source{Path: j.source, Form: openclaw.FormLedger}
	openclaw.ReadSources(j.ctx, j.fsys, []openclaw.Source{source}, func(b openclaw.Batch) bool {
		defer b.Free()
		j.gaps = append(j.gaps, b.Gaps...)
		for line := range bytes.Lines(b.Text) {
			if line = bytes.TrimSpace(line); len(line) > 0 && !j.take(line) {
				return false
			}
		}
		return true
	})
}
