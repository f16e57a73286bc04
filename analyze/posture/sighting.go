package posture

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// A Sighting is a moment at which a version of OpenClaw is known to have been there.
type Sighting struct {
	Release string    `json:"release"`
	At      time.Time `json:"at"`
	Basis   string    `json:"basis"` // what shows it
}

// What bounds the search for versions: trajectories that are opened and how much of each is read, and bytes of logs.
const (
	maxTrajectories   = 2000
	maxTrajectoryHead = 256 << 10
	maxLogBytes       = 256 << 20
	maxSightings      = 100_000
)

// Sightings tells which version of OpenClaw was there when: by the versions of the configuration, the databases,
// the updates and boots they record, the trajectories' headers, the logs of connections and the installed package. now
// is the moment of the evidence, zero if it is not known. They come in the order of time.
//
// Who can write the state can forge them.
func Sightings(ctx context.Context, fsys fs.FS, in *openclaw.Installation, past *Past, now time.Time) ([]Sighting, []openclaw.Gap) {
	r := &sightingReader{ctx: ctx, fsys: fsys, in: in, found: map[Sighting]bool{}}
	r.past(past)
	r.database(in.StateDB())
	for _, a := range in.Agents {
		r.database(a.Database)
		r.trajectories(a.Sessions)
	}
	r.logs()
	r.packages(past, now)
	list := make([]Sighting, 0, len(r.found))
	for s := range r.found {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b Sighting) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		return strings.Compare(a.Release+a.Basis, b.Release+b.Basis)
	})
	return list, r.gaps
}

type sightingReader struct {
	ctx   context.Context
	fsys  fs.FS
	in    *openclaw.Installation
	found map[Sighting]bool
	gaps  []openclaw.Gap
}

func (r *sightingReader) gap(file, what string) {
	r.gaps = append(r.gaps, openclaw.Gap{Path: file, What: what})
}

// see notes a sighting. What is no version and what has no time is none.
func (r *sightingReader) see(version string, when time.Time, basis string) {
	version, _, _ = strings.Cut(version, "\n") // a build's identity follows
	version = strings.TrimPrefix(version, "v")
	if _, ok := parseRelease(version); !ok || when.IsZero() || when.Year() < 2025 || len(r.found) >= maxSightings {
		return
	}
	r.found[Sighting{version, when.UTC(), basis}] = true
}

// past sees who wrote each version of the configuration.
func (r *sightingReader) past(p *Past) {
	for i := range p.Steps {
		c := p.Steps[i].Config
		if c == nil {
			continue
		}
		when, err := time.Parse(time.RFC3339Nano, c.String("meta", "lastTouchedAt"))
		if err != nil && p.Steps[i].Event != "" {
			when = p.Steps[i].From.NotAfter // since 2026.9 the time is kept elsewhere
		}
		r.see(c.String("meta", "lastTouchedVersion"), when, "meta.lastTouchedVersion of the configuration")
		if when, err := time.Parse(time.RFC3339Nano, c.String("wizard", "lastRunAt")); err == nil {
			r.see(c.String("wizard", "lastRunVersion"), when, "wizard.lastRunVersion of the configuration")
		}
	}
}

// A releaseQuery reads versions and times, in milliseconds or as text, from a table.
type releaseQuery struct {
	table, version, time string
}

// releaseQueries are where databases record versions. Those of update_runs lie in JSON, as "version".
var releaseQueries = []releaseQuery{
	{"schema_meta", "app_version", "created_at"},
	{"schema_meta", "app_version", "updated_at"},
	{"update_runs", "before_json", "created_at_ms"},
	{"update_runs", "after_json", "finished_at_ms"},
	{"update_check_state", "auto_last_success_version", "auto_last_success_at"},
}

func (r *sightingReader) database(file string) {
	_, err := openclaw.OpenDatabaseFunc(r.fsys, file, func(d *openclaw.Database) error {
		for _, q := range releaseQueries {
			if err := r.query(d, q); err != nil {
				return err
			}
		}
		return r.traces(d)
	})
	if err != nil {
		r.gap(file, "looking for versions of OpenClaw: "+err.Error())
	}
}

func (r *sightingReader) query(d *openclaw.Database, q releaseQuery) error {
	if !d.Has(q.table, q.version, q.time) {
		return nil
	}
	query := fmt.Sprintf("SELECT %s, %s FROM %s NOT INDEXED WHERE %s IS NOT NULL LIMIT 10000", q.version, q.time, q.table, q.version)
	for row, err := range d.Query(r.ctx, query) {
		if err != nil {
			return err
		}
		version := string(row.Text(0))
		var inner struct{ Version string }
		if json.Unmarshal(row.Text(0), &inner) == nil {
			version = inner.Version
		}
		r.see(version, columnTime(row.Int(1), string(row.Text(1))), q.table+"."+q.time+" of "+path.Base(d.Path))
	}
	return nil
}

// columnTime reads a time in milliseconds, or an RFC 3339 text.
func columnTime(ms int64, text string) time.Time {
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t
	}
	if ms > 1e12 && ms < 1e13 {
		return time.UnixMilli(ms)
	}
	return time.Time{}
}

// traces reads the headers of trajectories that a database holds.
func (r *sightingReader) traces(d *openclaw.Database) error {
	if !d.Has("trajectory_runtime_events", "event_json") {
		return nil
	}
	const query = "SELECT event_json FROM trajectory_runtime_events NOT INDEXED WHERE event_json LIKE '%trace.metadata%' LIMIT 10000"
	for row, err := range d.Query(r.ctx, query) {
		if err != nil {
			return err
		}
		r.trace(row.Text(0))
	}
	return nil
}

// trace reads one event of a trajectory.
func (r *sightingReader) trace(text []byte) {
	if !bytes.Contains(text, []byte(`"trace.metadata"`)) {
		return
	}
	var e struct {
		Type string    `json:"type"`
		TS   time.Time `json:"ts"`
		Data struct {
			Harness struct {
				Version string `json:"version"`
			} `json:"harness"`
		} `json:"data"`
	}
	if json.Unmarshal(text, &e) == nil && e.Type == "trace.metadata" {
		r.see(e.Data.Harness.Version, e.TS, "a trajectory's trace.metadata")
	}
}

// trajectories reads the headers of the trajectories that are files.
func (r *sightingReader) trajectories(dir string) {
	entries, err := fs.ReadDir(r.fsys, openclaw.FSName(dir))
	if err != nil {
		if !openclaw.IsAbsent(err) {
			r.gap(dir, openclaw.Cause(err))
		}
		return
	}
	left := maxTrajectories
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".trajectory.jsonl") || !e.Type().IsRegular() {
			continue
		}
		if left--; left < 0 {
			r.gap(dir, fmt.Sprintf("more than %d trajectories; the versions in the others were not looked for", maxTrajectories))
			return
		}
		for line := range bytes.Lines(r.head(path.Join(dir, e.Name()), maxTrajectoryHead)) {
			r.trace(line)
		}
	}
}

// head reads the beginning of a file.
func (r *sightingReader) head(file string, limit int64) []byte {
	f, err := r.fsys.Open(openclaw.FSName(file))
	if err != nil {
		if !openclaw.IsAbsent(err) && !errors.Is(err, openclaw.ErrLeftOut) {
			r.gap(file, openclaw.Cause(err))
		}
		return nil
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit))
	if err != nil {
		r.gap(file, openclaw.Cause(err))
	}
	return text
}

// clientVersion is how the gateway's log names the command line of the same installation that connects.
var clientVersion = regexp.MustCompile(`client=cli cli v(20\d\d\.\d{1,2}\.\d{1,3}[\w.-]{0,20})`)

// logTime is the time of a line of a rolling log.
var logTime = regexp.MustCompile(`"(?:time|date)":"(20\d\d-\d\d-\d\dT[0-9:.]+(?:Z|[+-]\d\d:\d\d))"`)

func (r *sightingReader) logs() {
	left := int64(maxLogBytes)
	for _, dir := range r.in.LogDirs {
		entries, _ := fs.ReadDir(r.fsys, openclaw.FSName(dir))
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), "openclaw") || !strings.Contains(e.Name(), ".log") || !e.Type().IsRegular() {
				continue
			}
			source := openclaw.Source{Path: path.Join(dir, e.Name()), Form: openclaw.FormLedger}
			openclaw.ReadSources(r.ctx, r.fsys, []openclaw.Source{source}, func(b openclaw.Batch) bool {
				defer b.Free()
				r.gaps = append(r.gaps, b.Gaps...)
				if left -= int64(len(b.Text)); left < 0 {
					r.gap(source.Path, fmt.Sprintf("logs are longer than %d MiB; versions in the rest were not looked for", maxLogBytes>>20))
					return false
				}
				r.log(b.Text)
				return true
			})
		}
	}
}

func (r *sightingReader) log(text []byte) {
	for {
		i := bytes.Index(text, []byte("client=cli cli v"))
		if i < 0 {
			return
		}
		start, end := bytes.LastIndexByte(text[:i], '\n')+1, len(text)
		if n := bytes.IndexByte(text[i:], '\n'); n >= 0 {
			end = i + n
		}
		version, when := clientVersion.FindSubmatch(text[start:end]), logTime.FindSubmatch(text[start:end])
		if version != nil && when != nil {
			t, _ := time.Parse(time.RFC3339Nano, string(when[1]))
			r.see(string(version[1]), t, "the log, where its command line connects")
		}
		text = text[end:]
	}
}

// packages reads the packages that are installed: where the journal says OpenClaw ran from, and in the usual places.
// npm gives their files no times that mean anything; the directory's is when it was put there.
func (r *sightingReader) packages(p *Past, now time.Time) {
	dirs := []string{"/usr/lib/node_modules/openclaw", "/usr/local/lib/node_modules/openclaw", path.Join(r.in.Home, ".npm-global/lib/node_modules/openclaw")}
	for i := range p.Steps {
		for _, word := range strings.Fields(p.Steps[i].Command) {
			if before, _, ok := strings.Cut(word, "/node_modules/"); ok && path.IsAbs(before) {
				dirs = append(dirs, before+"/node_modules/openclaw")
			}
		}
	}
	slices.Sort(dirs)
	for _, dir := range slices.Compact(dirs) {
		var pkg struct{ Name, Version string }
		if json.Unmarshal(r.head(dir+"/package.json", 1<<20), &pkg) != nil || pkg.Name != "openclaw" {
			continue
		}
		if info, err := fs.Stat(r.fsys, openclaw.FSName(dir)); err == nil {
			r.see(pkg.Version, info.ModTime(), "the package in "+dir+", put there")
		}
		r.see(pkg.Version, now, "the package in "+dir)
	}
}
