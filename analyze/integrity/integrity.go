// Package integrity answers whether the record of an agent was changed after it was written: whether a transcript,
// ledger, log or config contradicts itself, another copy of itself, or an earlier bundle.
//
// It reads any io/fs.FS of a host through internal/openclaw, changes nothing and prints nothing. It proves changes,
// never their absence: what a check examined and what it could not decide stands beside the findings. It hands on no
// content of the record, only where, when and which.
package integrity

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/severity"
)

// A Finding is one sign that the record was changed, or is not whole. All text may hold hostile bytes of the evidence.
type Finding struct {
	Check    string         `json:"check"` // INT-001 to INT-012, MEM-004, CFG-018
	Level    severity.Level `json:"level"`
	Title    string         `json:"title"`
	Detail   string         `json:"detail"`
	Path     string         `json:"path,omitempty"` // file on the host
	Session  string         `json:"session,omitempty"`
	Line     int64          `json:"line,omitempty"` // line number, seq or rowid in Path
	Time     time.Time      `json:"time,omitzero"`
	Until    time.Time      `json:"until,omitzero"`
	Benign   string         `json:"benign,omitempty"` // the innocent explanation that was considered
	Evidence []string       `json:"evidence,omitempty"`
}

// CheckCoverage says how much one check examined, or why it could not.
type CheckCoverage struct {
	Check     string `json:"check"`
	Examined  int64  `json:"examined"`
	What      string `json:"what"` // what was counted
	Undecided string `json:"undecided,omitempty"`
}

// A Report is what the checks found and how far they went.
type Report struct {
	Findings []Finding         `json:"findings"` // worst first
	Checks   []CheckCoverage   `json:"checks"`   // by id
	Records  int64             `json:"records"`  // events, rows and lines examined
	Gaps     []openclaw.Gap    `json:"gaps,omitempty"`
	kinds    map[[4]string]int // how many findings of one kind there were
	crowded  int               // findings beyond all that are kept
}

// Options narrow the checks. The zero Options take the time of now for the end of the evidence.
type Options struct {
	Now          time.Time   // when the evidence was taken
	Read         func(int64) // called with bytes as they are read; may be nil
	Since, Until time.Time   // leave out findings that bear a time outside; zero: no limit
}

// the checks and what each one counts.
var checks = []CheckCoverage{
	{Check: "CFG-018", What: "links of the config journal and versions of the config"},
	{Check: "INT-001", What: "transcript events"},
	{Check: "INT-002", What: "times of events"},
	{Check: "INT-003", What: "tool calls and results"},
	{Check: "INT-004", What: "ledger rows and index entries that name a session"},
	{Check: "INT-005", What: "numbered rows"},
	{Check: "INT-006", What: "sessions"},
	{Check: "INT-007", What: "digests and second copies of events"},
	{Check: "INT-008", What: "log lines and boots"},
	{Check: "INT-009", What: "pages of databases and logs"},
	{Check: "INT-010", What: "user turns"},
	{Check: "INT-011", What: "files and directories"},
	{Check: "INT-012", What: "approvals"},
	{Check: "MEM-004", What: "files of workspaces"},
}

// Check looks for signs of change in the records of the installations. What cannot be read is a gap of the report;
// the error is ctx's.
func Check(ctx context.Context, fsys fs.FS, installs []*openclaw.Installation, o Options) (*Report, error) {
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	rep := newReport()
	seen := map[string]bool{}
	for _, in := range installs {
		newChecker(ctx, fsys, in, &o, rep, seen, maphash.MakeSeed()).run()
	}
	rep.finish(&o)
	return rep, ctx.Err()
}

func newReport() *Report { return &Report{Checks: slices.Clone(checks)} }

// A checker examines one installation.
type checker struct {
	ctx       context.Context
	fsys      fs.FS
	in        *openclaw.Installation
	o         *Options
	rep       *Report
	seen      map[string]bool // files that another installation of the account has brought
	seed      maphash.Seed
	sessions  map[string]*session
	events    map[uint64]place // by event id within its session
	ledger    ledger
	boots     []boot
	repeats   decoder
	busy      map[int64]bool  // minutes in which something happened
	ids       map[uint64]bool // event ids, whatever their session
	rowIDs    map[uint64]bool // rows that are compared by their key
	headers   map[string]bool // sessions whose header is there
	rewritten map[string]bool // sessions that OpenClaw says it wrote anew
	files     []*watched
	asked     map[uint64]bool // calls that an approval was asked for
	approvals []approval
	journal   []link
	hashes    []generatedHash
	replayed  int // bytes of writes that are kept
	resets    []time.Time
	commands  map[uint64][]runOf  // command → where it ran
	wrote     map[uint32][]string // SQLite's version → databases it wrote last
}

// A place says what an event holds, and where it stands.
type place struct {
	body    uint64 // hash of its bytes
	line    int64
	session *session
}

func newChecker(ctx context.Context, fsys fs.FS, in *openclaw.Installation, o *Options, rep *Report, seen map[string]bool, seed maphash.Seed) *checker {
	return &checker{
		ctx: ctx, fsys: fsys, in: in, o: o, rep: rep, seen: seen, seed: seed,
		sessions: map[string]*session{}, events: map[uint64]place{}, commands: map[uint64][]runOf{}, busy: map[int64]bool{}, ids: map[uint64]bool{},
		rowIDs: map[uint64]bool{}, headers: map[string]bool{}, rewritten: map[string]bool{}, asked: map[uint64]bool{},
	}
}

func (c *checker) run() {
	c.files = c.watchedFiles()
	c.readApprovals()
	c.transcripts()
	c.index()
	c.stateDatabase()
	c.writers()
	c.checkSessions()
	c.checkCalls()
	c.checkLedger()
	c.checkApprovals()
	c.archives()
	c.carve()
	c.logs()
	c.configJournal()
	c.modes()
	c.workspaces()
}

func (c *checker) add(f Finding) { c.rep.add(f) }

func (c *checker) count(check string, n int64) { c.rep.count(check, n) }

func (c *checker) gap(gaps ...openclaw.Gap) { c.rep.Gaps = append(c.rep.Gaps, gaps...) }

// hash is a short name for bytes within this run: contents are compared and not kept.
func (c *checker) hash(parts ...[]byte) uint64 {
	var h maphash.Hash
	h.SetSeed(c.seed)
	for _, p := range parts {
		h.Write(p)
		h.WriteByte(0)
	}
	return h.Sum64()
}

func (c *checker) read(n int64) {
	if c.o.Read != nil {
		c.o.Read(n)
	}
}

// maxAlike is how many findings of one kind in one file are told one by one; the others are counted in the last one.
const maxAlike = 10

const (
	// maxKind is how many findings of one kind in one session of one file are kept, and maxFindings how many in all.
	maxKind     = 100
	maxFindings = 100_000
)

// add keeps a finding. A record made to contradict itself everywhere must not take all memory, so those beyond maxKind
// of a kind are only counted.
func (r *Report) add(f Finding) {
	kind := [4]string{f.Check, f.Title, f.Path, f.Session}
	if r.kinds == nil {
		r.kinds = map[[4]string]int{}
	}
	if len(r.kinds) >= maxFindings && r.kinds[kind] == 0 || len(r.Findings) >= maxFindings {
		r.crowded++
		return
	}
	if r.kinds[kind]++; r.kinds[kind] <= maxKind {
		r.Findings = append(r.Findings, f)
	}
}

func (r *Report) count(check string, n int64) {
	for i := range r.Checks {
		if r.Checks[i].Check == check {
			r.Checks[i].Examined += n
		}
	}
}

// undecided notes why a check could not be made, or not wholly.
func (r *Report) undecided(check, why string) {
	for i := range r.Checks {
		x := &r.Checks[i]
		if x.Check == check && !strings.Contains(x.Undecided, why) {
			x.Undecided = strings.TrimPrefix(x.Undecided+"; "+why, "; ")
		}
	}
}

func (r *Report) finish(o *Options) {
	r.Findings = slices.DeleteFunc(r.Findings, func(f Finding) bool { return o.leavesOut(&f) })
	r.order()
	r.fold()
	for _, x := range r.Checks {
		if slices.Contains([]string{"INT-001", "INT-005", "INT-007", "INT-008", "CFG-018"}, x.Check) {
			r.Records += x.Examined
		}
	}
}

// order puts the worst first, and after that goes by check, place and time.
func (r *Report) order() {
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(b.Level, a.Level), strings.Compare(a.Check, b.Check), strings.Compare(a.Path, b.Path),
			strings.Compare(a.Session, b.Session), strings.Compare(a.Title, b.Title), cmp.Compare(a.Line, b.Line), strings.Compare(a.Detail, b.Detail), a.Time.Compare(b.Time))
	})
}

func (o *Options) leavesOut(f *Finding) bool {
	end := f.Until
	if end.IsZero() {
		end = f.Time
	}
	return !f.Time.IsZero() && (!o.Since.IsZero() && end.Before(o.Since) || !o.Until.IsZero() && !f.Time.Before(o.Until))
}

// fold counts what goes on alike instead of telling it line by line.
func (r *Report) fold() {
	kept, run := r.Findings[:0], 0
	for _, f := range r.Findings {
		if n := len(kept); n > 0 && alike(&kept[n-1], &f) {
			if run++; run >= maxAlike {
				kept[n-1].more(&f, run-maxAlike+1)
				continue
			}
		} else {
			run = 0
		}
		kept = append(kept, f)
	}
	r.Findings = kept
	for i := range kept {
		r.uncounted(&kept[i])
	}
	if r.crowded > 0 {
		r.Gaps = append(r.Gaps, openclaw.Gap{What: fmt.Sprintf("%d more findings were not kept: there are too many", r.crowded)})
	}
}

// uncounted says, once, how many findings of a kind were not kept.
func (r *Report) uncounted(f *Finding) {
	kind := [4]string{f.Check, f.Title, f.Path, f.Session}
	if n := r.kinds[kind] - maxKind; n > 0 {
		f.Evidence = append(f.Evidence, fmt.Sprintf("%d more of this kind were counted and not kept", n))
		delete(r.kinds, kind)
	}
}

func alike(a, b *Finding) bool {
	return a.Check == b.Check && a.Level == b.Level && a.Path == b.Path && a.Session == b.Session && a.Title == b.Title
}

// ms turns a time of the evidence into a Time; 0 stays zero.
func ms(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}
