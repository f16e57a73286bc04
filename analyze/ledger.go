package analyze

import (
	"bytes"
	"context"
	"fmt"
	"hash/maphash"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/secret"
)

// ledgers turns what an installation records outside its transcripts into events: approvals, pairings,
// automations, config changes, subagents, and commands that no transcript holds. Which tables and files there
// are stands in tableLedgers and fileLedgers. The joiner must have read all transcripts.
//
// Nothing is taken of columns that are tokens, keys or pairing codes. Commands and prompts are as recorded.
func (r *Report) ledgers(ctx context.Context, fsys fs.FS, in *openclaw.Installation, j *joiner, keep func(*Event)) {
	l := newLedgerReader(ctx, fsys, r, j, keep)
	found := l.find(in)
	sources := make([]openclaw.Source, len(found))
	for i, f := range found {
		sources[i] = f.source
	}
	rows := r.cover(sources)
	for i, f := range found {
		if ctx.Err() != nil {
			return
		}
		l.source, l.row, l.modified = &sources[i], rows[&sources[i]], f.modified
		f.read(l)
	}
	l.finishRuns()
}

// maxKnown bounds how many events are remembered to recognize copies; beyond it copies are shown as well.
const maxKnown = 1 << 20

// A ledgerReader reads the ledgers of one installation.
type ledgerReader struct {
	ctx    context.Context
	fsys   fs.FS
	report *Report
	j      *joiner
	keep   func(*Event)
	masks  *secret.Set

	source       *openclaw.Source // what is being read
	row          *SourceCoverage
	modified     int64 // its modification time, for records without their own; milliseconds
	told, copied int   // events of the record that is being read

	seen    map[uint64]*openclaw.Source // contents of events → where they were first
	numbers map[uint64]int              // events per id
	spawns  map[string]bool             // runs of subagents
	jobs    map[string]*automation
	runs    map[runKey]*automationRun
	order   []*automationRun
	last    []*automationRun // each automation's last
}

func newLedgerReader(ctx context.Context, fsys fs.FS, r *Report, j *joiner, keep func(*Event)) *ledgerReader {
	return &ledgerReader{
		ctx: ctx, fsys: fsys, report: r, j: j, keep: keep, masks: secret.NewSet(secret.NewFingerprinter(nil)),
		seen: map[uint64]*openclaw.Source{}, numbers: map[uint64]int{}, spawns: map[string]bool{},
		jobs: map[string]*automation{}, runs: map[runKey]*automationRun{},
	}
}

// A ledgerSource is a source and how to read it.
type ledgerSource struct {
	source   openclaw.Source
	modified int64
	read     func(*ledgerReader)
}

// find lists the sources that are there: databases first, then files, what is in use before its left-overs.
func (l *ledgerReader) find(in *openclaw.Installation) []ledgerSource {
	found := l.glob(in, "state/openclaw.sqlite", (*ledgerReader).database)
	for _, a := range in.Agents {
		if info, err := fs.Stat(l.fsys, openclaw.FSName(a.Database)); err == nil && l.wanted(intentKinds) {
			found = append(found, newLedgerSource(a.Database, a.ID, info, (*ledgerReader).database))
		}
	}
	found = append(found, l.glob(in, "tasks/runs.sqlite", (*ledgerReader).database)...)
	for i := range fileLedgers {
		f := &fileLedgers[i]
		if l.wanted(f.kinds) {
			found = append(found, l.glob(in, f.name, func(l *ledgerReader) { l.file(f) })...)
		}
	}
	return found
}

func (l *ledgerReader) wanted(kinds []Kind) bool {
	return slices.ContainsFunc(kinds, func(k Kind) bool { return l.j.want[k] })
}

// glob finds the files of a name, with or without a suffix such as .bak, .migrated or .doctor-importing.
// The name's last part may hold one star.
func (l *ledgerReader) glob(in *openclaw.Installation, name string, read func(*ledgerReader)) (found []ledgerSource) {
	dir, base := path.Join(in.StateDir, path.Dir(name)), path.Base(name)
	entries, err := fs.ReadDir(l.fsys, openclaw.FSName(dir))
	if err != nil {
		l.unreadable(dir, err)
	}
	inUse := 0
	for _, e := range entries {
		file := path.Join(dir, e.Name())
		leftover, ok := matchLedger(base, e.Name())
		if !ok {
			continue
		}
		if !e.Type().IsRegular() {
			l.report.Coverage.gap(openclaw.Gap{Path: file, What: "is named like a ledger but is no regular file; not opened"})
			continue
		}
		info, err := e.Info()
		if err != nil {
			l.unreadable(file, err)
			continue
		}
		s := newLedgerSource(file, "", info, read)
		if leftover {
			found = append(found, s)
		} else {
			found = slices.Insert(found, inUse, s)
			inUse++
		}
	}
	return found
}

// matchLedger compares a file's name with a ledger's, and tells whether it is a left-over.
func matchLedger(pattern, name string) (leftover, ok bool) {
	before, after, star := strings.Cut(pattern, "*")
	rest, ok := strings.CutPrefix(name, before)
	if star && ok {
		i := strings.Index(rest, after)
		if ok = i > 0; ok {
			rest = rest[i+len(after):]
		}
	}
	for _, no := range []string{"-wal", "-shm", "-journal", ".lock"} {
		ok = ok && !strings.HasSuffix(rest, no)
	}
	return rest != "", ok && (rest == "" || rest[0] == '.')
}

func newLedgerSource(file, agent string, info fs.FileInfo, read func(*ledgerReader)) ledgerSource {
	return ledgerSource{
		source:   openclaw.Source{Path: file, Form: openclaw.FormLedger, Agent: agent, Size: info.Size()},
		modified: info.ModTime().UnixMilli(), read: read,
	}
}

// unreadable notes that a source cannot be read. One that does not exist is no gap.
func (l *ledgerReader) unreadable(file string, err error) {
	if openclaw.IsAbsent(err) {
		return
	}
	if l.row != nil {
		l.row.Unreadable = true
	}
	l.report.Coverage.gap(openclaw.Gap{Path: file, What: err.Error()})
}

// unparsed counts a record that is not, or not wholly, what it should be.
func (l *ledgerReader) unparsed(where, why string, size int64) {
	l.row.Lost += size
	if l.row.Unparsed++; l.row.Unparsed <= maxUnparsedGaps {
		l.report.Coverage.gap(openclaw.Gap{Path: l.source.Path, What: where + ": " + why, Bytes: size})
	}
}

// take reads one record. It is a duplicate if other ledgers have told all of it.
func (l *ledgerReader) take(read func(*ledgerReader, *entry), e *entry) {
	l.told, l.copied = 0, 0
	read(l, e)
	if l.told == 0 && l.copied > 0 {
		l.row.Duplicates++
	}
}

// emit completes an event of a record and keeps it if its kind is wanted.
func (l *ledgerReader) emit(e *entry, ev Event) {
	ev.Source, ev.Line, ev.Session, ev.Tool = e.source, e.line, e.code, e.tool
	ev.Call = l.number(e)
	if ev.Agent == "" {
		ev.Agent = firstNonEmpty(agentOf(ev.Key), e.source.Agent)
	}
	if ev.Asker == nil {
		ev.Asker = unknownAsker
	}
	if ev.Result.Status == "" {
		ev.Result.Status = StatusOK
	}
	ev.Marks = slices.Clone(ev.Marks) // events of one record are copies of each other
	if ev.Time <= 0 {
		ev.Time = min(max(e.modified, 0), lastMilli)
		ev.mark("time:file")
	}
	if e.damaged {
		ev.mark("record-damaged")
	}
	if isMasked(ev.What) {
		ev.mark("masked")
	}
	if l.isCopy(&ev) {
		l.copied++
		return
	}
	l.told++
	if l.j.want[ev.Kind] {
		l.keep(&ev)
	}
}

// recordOnly emits a command that a ledger shows, unless a transcript shows it.
func (l *ledgerReader) recordOnly(e *entry, ev Event) {
	if ev.What == "" {
		return
	}
	if l.j.hasExec(ev.What) {
		l.number(e) // the ids of others must not depend on it
		return
	}
	ev.Kind = KindExec
	l.emit(e, ev)
}

// number tells apart the events of one record, and those of records with the same number in several files.
func (l *ledgerReader) number(e *entry) int {
	key := maphash.String(l.j.seed, e.code+"\x00"+strconv.FormatInt(e.line, 10))
	n, known := l.numbers[key]
	if known || len(l.numbers) < maxKnown {
		l.numbers[key] = n + 1
	}
	return n
}

// isCopy reports whether another source has the same event: a ledger's left-over holds much of what it does.
func (l *ledgerReader) isCopy(ev *Event) bool {
	var h maphash.Hash
	h.SetSeed(l.j.seed)
	for _, s := range []string{
		string(ev.Kind), strconv.FormatInt(ev.Time, 10), ev.What, ev.Target, ev.CallID, ev.Key, ev.Agent, ev.Session,
		string(ev.Result.Status), ev.Asker.String(), strings.Join(ev.Marks, " "),
	} {
		h.WriteString(s)
		h.WriteByte(0)
	}
	first, known := l.seen[h.Sum64()]
	if !known && len(l.seen) < maxKnown {
		l.seen[h.Sum64()] = ev.Source
	}
	return known && first != ev.Source
}

// agentOf reads the agent from a session key.
func agentOf(key string) string {
	if parts := strings.SplitN(key, ":", 3); len(parts) == 3 && parts[0] == "agent" {
		return parts[1]
	}
	return ""
}

// statuses are the words ledgers use for an outcome.
var statuses = map[string]Status{
	"ok": StatusOK, "succeeded": StatusOK, "completed": StatusOK, "done": StatusOK, "allowed": StatusOK, "rename": StatusOK, "copy-fallback": StatusOK,
	"error": StatusError, "failed": StatusError, "lost": StatusError, "interrupted": StatusError,
	"denied": StatusDenied, "rejected": StatusDenied,
	"timeout": StatusTimeout, "timed_out": StatusTimeout, "expired": StatusTimeout,
	"running": StatusRunning, "pending": StatusPending,
}

// ended sets the outcome. A word that is not among statuses becomes a mark.
func (e *Event) ended(word, message string) {
	status, known := statuses[word]
	if !known {
		status = StatusNone
		if word != "" {
			e.mark(word)
		}
	}
	e.Result.Status, e.Result.Error, e.Result.Recorded = status, message, word != ""
}

// lines reads a file line by line.
func (l *ledgerReader) lines(read func(line int64, text []byte)) {
	openclaw.ReadSources(l.ctx, l.fsys, []openclaw.Source{*l.source}, func(b openclaw.Batch) bool {
		defer b.Free()
		for _, g := range b.Gaps {
			l.row.Unreadable = l.row.Unreadable || b.Passed == 0
			l.report.Coverage.gap(g)
		}
		l.row.pass(b.Passed)
		line := b.Line
		for text := range bytes.Lines(b.Text) {
			l.row.Bytes += int64(len(text))
			if text = bytes.TrimSpace(text); len(text) > 0 {
				l.row.Records++
				read(line, text)
			}
			line++
		}
		return true
	})
}

func ordinal(what string, n int64) string { return fmt.Sprintf("%s %d", what, n) }
