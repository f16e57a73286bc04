package openclaw

import (
	"cmp"
	"context"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/product"
)

// A Form is how a source stores its records. The order is the order of trust when two forms hold one event:
// what OpenClaw itself reads first comes first.
type Form int

// The forms of transcripts, trajectories, command-line back ends and logs.
const (
	FormSQLite           Form = iota // transcript_events rows, plain or zstd
	FormCold                         // sessions/cold/<sha256>.jsonl.zst, and cold archives inside the database
	FormJSONL                        // sessions/<id>.jsonl
	FormArchive                      // archives of deleted and reset sessions inside the database
	FormDeleted                      // <id>.jsonl.deleted.<time>, also .zst
	FormReset                        // <id>.jsonl.reset.<time>, also .zst
	FormBackup                       // <id>.jsonl.bak…, .tmp and interrupted imports
	FormImport                       // session-sqlite-import-archive/: originals of what was moved into SQLite
	FormReadCache                    // /tmp/openclaw/session-archive-read-cache: unpacked deleted sessions
	FormTrajectory                   // <id>.trajectory.jsonl
	FormTrajectorySQLite             // trajectory_runtime_events rows
	FormClaude                       // ~/.claude/projects: turns that ran on the claude command line
	FormCodex                        // ~/.codex/sessions, codex-home: turns that ran on the codex command line
	FormLog                          // /tmp/openclaw/openclaw-<date>.log, under the name of then
	FormLedger                       // a table or file outside the transcripts: approvals, pairing, automations, …
)

var formNames = [...]string{"sqlite", "cold", "jsonl", "archive", "deleted", "reset", "backup", "import", "read-cache", "trajectory", "trajectory-sqlite", "claude", "codex", "log", "ledger"}

func (f Form) String() string { return formNames[f] }

// A Source is one file, or one database, that holds records.
type Source struct {
	Path    string // absolute path on the host
	Form    Form
	Agent   string
	Session string // session id; "" for a database, whose rows name theirs
	Zstd    bool
	Size    int64
}

// transcriptSchema is the first schema of an agent database that holds transcripts (first shipped in
// 2026.7.2-beta.1; FACTS 11).
const transcriptSchema = 4

// userVersion reads PRAGMA user_version of a database, its write-ahead log included; 0 if there is none.
func userVersion(fsys fs.FS, hostPath string) (version int64) {
	OpenDatabaseFunc(fsys, hostPath, func(d *Database) error {
		version = d.userVersion()
		return nil
	})
	return version
}

func (d *Database) userVersion() (version int64) {
	for row, err := range d.Query(context.Background(), "PRAGMA user_version") {
		if err == nil {
			version = row.Int(0)
		}
	}
	return version
}

func (in *Installation) era(fsys fs.FS) Era {
	inFiles, inSQLite := false, false
	for _, a := range in.Agents {
		inSQLite = inSQLite || userVersion(fsys, a.Database) >= transcriptSchema
	}
	for _, dir := range slices.Sorted(maps.Keys(in.sessionDirs())) {
		entries, _ := fs.ReadDir(fsys, FSName(dir))
		inFiles = inFiles || slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
			_, form, ok := transcriptName(e.Name())
			return ok && form == FormJSONL
		})
	}
	switch {
	case inFiles && inSQLite:
		return EraMixed
	case inFiles:
		return EraJSONL
	case inSQLite:
		return EraSQLite
	}
	return EraUnknown
}

// transcriptName tells from a file's name in a sessions directory which session it holds and in what form.
func transcriptName(name string) (session string, form Form, ok bool) {
	base := strings.TrimSuffix(name, ".zst")
	if s, isTrajectory := strings.CutSuffix(base, ".trajectory.jsonl"); isTrajectory {
		return s, FormTrajectory, true
	}
	session, suffix, ok := strings.Cut(base, ".jsonl")
	if !ok || suffix == ".lock" {
		return "", 0, false
	}
	if s, isTrajectory := strings.CutSuffix(session, ".trajectory"); isTrajectory {
		return s, FormTrajectory, true
	}
	switch {
	case suffix == "" && base == name:
		return session, FormJSONL, true
	case suffix == "":
		return session, FormCold, true
	case strings.HasPrefix(suffix, ".deleted."):
		return session, FormDeleted, true
	case strings.HasPrefix(suffix, ".reset."):
		return session, FormReset, true
	case strings.HasPrefix(suffix, ".imported-"):
		return session[strings.LastIndexByte(session, '.')+1:], FormImport, true
	}
	return session, FormBackup, true
}

// Transcripts lists every source of an installation's transcripts, those OpenClaw reads first coming first.
func (in *Installation) Transcripts(fsys fs.FS) ([]Source, []Gap) {
	l := lister{fsys: fsys, listed: map[string]bool{}}
	for _, a := range in.Agents {
		l.agent(a)
	}
	known := in.sessionDirs()
	for _, a := range in.Agents {
		l.named(known, a)
	}
	for _, dir := range in.LogDirs {
		l.dir(path.Join(dir, "session-archive-read-cache"), "", 1, func(name string) (string, Form, bool) {
			return strings.TrimSuffix(name, ".jsonl"), FormReadCache, path.Ext(name) == ".jsonl"
		})
	}
	if in.Home != "" {
		l.dir(path.Join(in.Home, ".claude", "projects"), "", 4, jsonlOf(FormClaude))
		l.dir(path.Join(in.Home, ".codex", "sessions"), "", 5, jsonlOf(FormCodex))
		l.dir(path.Join(in.Home, ".codex", "archived_sessions"), "", 5, jsonlOf(FormCodex))
	}
	slices.SortStableFunc(l.found, func(a, b Source) int {
		return cmp.Or(cmp.Compare(a.Form, b.Form), strings.Compare(a.Path, b.Path))
	})
	return l.found, l.gaps
}

func jsonlOf(form Form) func(string) (string, Form, bool) {
	return func(name string) (string, Form, bool) {
		session, ok := strings.CutSuffix(name, ".jsonl")
		return session, form, ok
	}
}

// Logs lists the gateway's rolling logs and the configured log file, oldest name first.
func (in *Installation) Logs(fsys fs.FS) ([]Source, []Gap) {
	l := lister{fsys: fsys, listed: map[string]bool{}}
	for _, dir := range in.LogDirs {
		l.dir(dir, "", 0, func(name string) (string, Form, bool) {
			return "", FormLog, product.Mentions(name) && strings.Contains(name, ".log")
		})
	}
	if in.LogFile != "" && exists(fsys, in.LogFile) {
		l.add(in.LogFile, "", "", FormLog)
	}
	if path.IsAbs(in.LogFile) {
		l.dir(path.Dir(in.LogFile), "", 0, in.besideLog)
	}
	return l.found, l.gaps
}

// rollingName is a name of the default log's form: OpenClaw puts today's date into one that logging.file gives.
var rollingName = regexp.MustCompile(`^openclaw-(YYYY-MM-DD|\d{4}-\d\d-\d\d)\.log$`)

// LogStem is what the names of the logs begin with that logging.file leads to: with a number, or for every day another. "" if it is not set.
func (in *Installation) LogStem() string {
	if rollingName.MatchString(path.Base(in.LogFile)) {
		return path.Join(path.Dir(in.LogFile), "openclaw-")
	}
	return strings.TrimSuffix(in.LogFile, path.Ext(in.LogFile))
}

// besideLog knows the logs that logging.file leads to besides the file of that name.
func (in *Installation) besideLog(name string) (string, Form, bool) {
	base, ext := path.Base(in.LogFile), path.Ext(in.LogFile)
	rest, ok := strings.CutPrefix(name, path.Base(in.LogStem()))
	if rollingName.MatchString(base) {
		return "", FormLog, ok && name != base && strings.Contains(rest, ".log")
	}
	number, last := strings.CutSuffix(rest, ext)
	return "", FormLog, ok && last && len(number) > 1 && number[0] == '.' && strings.Trim(number[1:], "0123456789") == ""
}

type lister struct {
	fsys   fs.FS
	found  []Source
	listed map[string]bool // the files of found, and the sessions directories that were listed
	gaps   []Gap
}

func (l *lister) agent(a Agent) {
	if !l.listed[a.Sessions] { // agents may share it
		l.listed[a.Sessions] = true
		l.dir(a.Sessions, a.ID, 2, transcriptName)
		l.dir(path.Join(path.Dir(a.Sessions), "session-sqlite-import-archive"), a.ID, 1, transcriptName)
	}
	l.dir(path.Join(a.Dir, "codex-home", "sessions"), a.ID, 5, jsonlOf(FormCodex))
	if exists(l.fsys, a.Database) {
		for _, form := range []Form{FormSQLite, FormCold, FormArchive, FormTrajectorySQLite} {
			l.found = append(l.found, Source{Path: a.Database, Form: form, Agent: a.ID, Size: l.size(a.Database)})
		}
	}
}

// dir lists the files of a directory whose names are known, down to depth more levels. Links are not followed.
func (l *lister) dir(dir, agent string, depth int, known func(name string) (string, Form, bool)) {
	entries, err := fs.ReadDir(l.fsys, FSName(dir))
	l.gaps = append(l.gaps, readGap(dir, err)...)
	for _, e := range entries {
		file := path.Join(dir, e.Name())
		if e.IsDir() && depth > 0 {
			l.dir(file, agent, depth-1, known)
			continue
		}
		session, form, ok := known(e.Name())
		if !ok {
			continue
		}
		if !e.Type().IsRegular() {
			l.notRegular(file)
			continue
		}
		l.add(file, agent, session, form)
	}
}

func (l *lister) notRegular(file string) {
	l.gaps = append(l.gaps, Gap{Path: file, What: "is named like a record of the agent but is no regular file; not opened"})
}

func (l *lister) add(file, agent, session string, form Form) {
	if l.listed[file] {
		return // two agents may share a directory
	}
	l.listed[file] = true
	l.found = append(l.found, Source{Path: file, Form: form, Agent: agent, Session: session, Zstd: strings.HasSuffix(file, ".zst"), Size: l.size(file)})
}

func (l *lister) size(file string) int64 {
	info, err := fs.Stat(l.fsys, FSName(file))
	if err != nil {
		l.gaps = append(l.gaps, readGap(file, err)...)
		return 0
	}
	return info.Size()
}
