package collect

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/clawbook/openclaw-ir/internal/json5"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/secret"
)

const (
	// maxVersion bounds one version of a config, maxVersions all of one installation's together, in bytes.
	maxVersion  = 8 << 20
	maxVersions = 64 << 20
	// maxJournal bounds the rows of a config journal. OpenClaw keeps 50 000.
	maxJournal = 100_000
)

func newSet() *secret.Set {
	salt := make([]byte, 32)
	rand.Read(salt) // never fails
	return secret.NewSet(secret.NewFingerprinter(salt))
}

// A version is one state of a config, and when it came to be.
type version struct {
	ConfigVersion
	ring    int // 1 is the current file, 2 .bak, 3 .bak.1 and so on; 0 is none of these
	sum     string
	from    string     // what told the time: "journal", "mtime", "commit"
	journal *journaled // nil if the journal does not know this state
}

// journaled is a row of OpenClaw's config journal: what a file was before and after, by digest only.
type journaled struct {
	Time     string   `json:"ts"`
	Event    string   `json:"event,omitzero"`
	Previous string   `json:"previousHash,omitzero"`
	Next     string   `json:"nextHash,omitzero"`
	Changed  []string `json:"changedPaths,omitzero"`
	Argv     []string `json:"argv,omitzero"`
	at       time.Time
}

// history is everything that is known about the versions of one installation's config.
type history struct {
	c        *collector
	in       *openclaw.Installation
	versions []version
	journal  []journaled
	notes    []string
	left     int64
}

// histories writes, for each installation, the differences between the versions of its config in the order of time.
func (c *collector) histories(installs []*openclaw.Installation) error {
	for i, in := range installs {
		folder := fmt.Sprintf("config-diffs/%d-%s", i+1, plainName(strings.Trim(in.StateDir, "/")))
		if c.ctx.Err() != nil {
			if err := c.record(Row{Meta: Meta{Path: folder, Source: "config-diff"}, Status: Skipped, Reason: interrupted}); err != nil {
				return err
			}
			continue
		}
		h := &history{c: c, in: in, left: maxVersions}
		h.read()
		if err := h.write(folder); err != nil {
			return err
		}
	}
	return nil
}

// plainName is a name for a file of ours made out of one from the host.
func plainName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' {
			return r
		}
		return '-'
	}, s)
	return s[:min(len(s), 100)]
}

func (h *history) note(format string, args ...any) {
	h.notes = append(h.notes, fmt.Sprintf(format, args...))
}

func (h *history) read() {
	h.files()
	h.gitVersions()
	h.readJournal()
	h.date()
	for _, v := range h.versions {
		if tree, err := json5.Parse(v.Data); err == nil {
			h.c.o.Set.AddAll(v.Name, secret.FromConfig(tree))
		}
	}
	env := path.Join(h.in.StateDir, ".env")
	if text, _, err := h.c.slurp(env, maxVersion); err == nil {
		h.c.o.Set.AddAll(env, secret.FromEnv(text))
	}
}

// files reads the config and what lies beside it under a name that continues its own.
func (h *history) files() {
	dir, base := path.Split(h.in.ConfigPath)
	dir = path.Clean(dir)
	for e, err := range h.c.root.ReadDirIter(hostName(dir)) {
		if err != nil {
			if !openclaw.IsAbsent(err) {
				h.note("listing %q: %s", dir, openclaw.Cause(err))
			}
			return
		}
		rest, ok := strings.CutPrefix(e.Name(), base)
		if !ok || rest != "" && rest[0] != '.' || e.IsDir() {
			continue
		}
		origin, ring := originOf(rest)
		h.file(path.Join(dir, e.Name()), origin, ring)
	}
}

// originOf tells from what follows the config's name what a version is.
func originOf(rest string) (origin string, ring int) {
	switch {
	case rest == "":
		return "current", 1
	case rest == ".bak":
		return ".bak ring", 2
	case rest == ".last-good":
		return "last-good", 0
	case strings.HasPrefix(rest, ".rejected."):
		return "rejected", 0
	case strings.HasPrefix(rest, ".clobbered."):
		return "clobbered", 0
	}
	if n, err := strconv.Atoi(strings.TrimPrefix(rest, ".bak.")); err == nil && n > 0 && n < 1000 {
		return ".bak ring", n + 2
	}
	return "beside the config", 0
}

func (h *history) file(name, origin string, ring int) {
	text, mtime, err := h.c.slurp(name, min(maxVersion, h.left))
	if err != nil {
		h.note("%s: %s", quoteName(name), openclaw.Cause(err))
		return
	}
	h.add(version{ConfigVersion: ConfigVersion{Name: name, Time: mtime, Origin: origin, Data: text}, ring: ring, from: "mtime"})
}

func (h *history) add(v version) {
	sum := sha256.Sum256(v.Data)
	v.sum = hex.EncodeToString(sum[:])
	h.left -= int64(len(v.Data))
	h.versions = append(h.versions, v)
}

// errTooLong says that a file was not read because it is longer than expected.
var errTooLong = errors.New("too long to be compared")

// slurp reads a small file of the host. A link is followed, as OpenClaw follows one at a config's place.
func (c *collector) slurp(name string, limit int64) ([]byte, time.Time, error) {
	f, err := c.root.Open(hostName(name))
	if err != nil {
		return nil, time.Time{}, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, time.Time{}, err
	}
	if !fi.Mode().IsRegular() {
		return nil, time.Time{}, errors.New("not a regular file")
	}
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = errTooLong
	}
	return text, fi.ModTime(), err
}

// readJournal reads the config journal of every era.
func (h *history) readJournal() {
	for _, name := range []string{"config-audit.jsonl.migrated.raw", "config-audit.jsonl.migrated", "config-audit.jsonl"} {
		h.journalFile(path.Join(h.in.StateDir, "logs", name))
	}
	db := h.in.StateDB()
	_, err := openclaw.OpenDatabaseFunc(h.c.root, db, h.journalRows)
	if err != nil && !openclaw.IsAbsent(err) {
		h.note("reading the config journal of %s: %v", quoteName(db), err)
	}
	slices.SortStableFunc(h.journal, func(a, b journaled) int { return a.at.Compare(b.at) })
	if len(h.journal) >= maxJournal {
		h.note("the config journal of %s has more than %d rows: those beyond are not looked at", quoteName(h.in.StateDir), maxJournal)
	}
	h.journal = slices.CompactFunc(h.journal, func(a, b journaled) bool { return a.at.Equal(b.at) && a.Next == b.Next })
}

func (h *history) journalFile(name string) {
	f, err := h.c.root.Open(hostName(name))
	if err != nil {
		return // the walk has a row for it
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxLine)
	bad := 0
	for lines.Scan() && len(h.journal) < maxJournal {
		if !h.journalLine(lines.Bytes()) {
			bad++
		}
	}
	if err := lines.Err(); err != nil {
		h.note("reading %s: %v", quoteName(name), err)
	}
	if bad > 0 {
		h.note("%s: %d lines are no journal rows", quoteName(name), bad)
	}
}

func (h *history) journalRows(d *openclaw.Database) error {
	if !d.Has("diagnostic_events", "scope", "payload_json") {
		return nil
	}
	ctx, cancel := context.WithTimeout(h.c.ctx, time.Minute)
	defer cancel()
	query := fmt.Sprintf(`SELECT payload_json FROM diagnostic_events
		WHERE scope = 'config-audit' AND length(payload_json) < %d LIMIT %d`, maxLine, maxJournal)
	bad := 0
	for row, err := range d.Query(ctx, query) {
		if err != nil {
			return err
		}
		if !h.journalLine(row.Text(0)) {
			bad++
		}
	}
	if bad > 0 {
		h.note("%s: %d journal rows cannot be read", quoteName(d.Path), bad)
	}
	return nil
}

// journalLine adds a row. It says false if there is none in the line.
func (h *history) journalLine(line []byte) bool {
	var j journaled
	err := json.Unmarshal(line, &j, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if err != nil || j.Next == "" || len(h.journal) >= maxJournal {
		return false
	}
	if j.at, err = time.Parse(time.RFC3339Nano, j.Time); err != nil {
		return false
	}
	h.journal = append(h.journal, j)
	return true
}

// date finds out when each version came to be, and puts them in that order.
//
// The journal is exact. Without it there is the file's own time, which for a backup is when it was made, that is, when
// its state ended. The ring is in order by itself: no backup is younger than the one that came after it.
func (h *history) date() {
	for i := range h.versions {
		if h.versions[i].from != "commit" {
			h.fromJournal(&h.versions[i])
		}
	}
	slices.SortFunc(h.versions, func(a, b version) int { return cmp.Compare(a.ring, b.ring) })
	last := time.Time{}
	for i := range h.versions {
		v := &h.versions[i]
		if v.ring == 0 {
			continue
		}
		if !last.IsZero() && v.Time.After(last) {
			v.Time = last
		}
		last = v.Time
	}
	slices.SortStableFunc(h.versions, func(a, b version) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(b.ring, a.ring), strings.Compare(a.Name, b.Name))
	})
}

// fromJournal takes the time from the last row, before the file's own time, that brought this state.
func (h *history) fromJournal(v *version) {
	written := v.Time.Add(2 * time.Second) // the row and the copy are not made at the same moment
	for i := range h.journal {
		j := &h.journal[i]
		if j.Next == v.sum && (v.journal == nil || !j.at.After(written)) {
			v.journal = j
		}
	}
	if v.journal != nil {
		v.Time, v.from = v.journal.at, "journal"
		return
	}
	for i := range h.journal {
		if j := &h.journal[i]; j.Previous == v.sum {
			v.Time, v.from = j.at.Add(-time.Millisecond), "journal, as what was there before"
			return
		}
	}
}

// configState is one line of a history.
type configState struct {
	Time    time.Time `json:"time"`
	From    string    `json:"time_from"`
	Origin  string    `json:"origin"`
	Path    string    `json:"path,omitzero"` // empty if there is no copy
	SHA256  string    `json:"sha256"`
	Bytes   int       `json:"bytes,omitzero"`
	Event   string    `json:"event,omitzero"`
	Changed []string  `json:"changed_paths,omitzero"`
	Argv    []string  `json:"argv,omitzero"`
}

// write stores the differences and a list of all states.
func (h *history) write(folder string) error {
	plain := make([]ConfigVersion, len(h.versions))
	for i, v := range h.versions {
		plain[i] = v.ConfigVersion
	}
	for _, d := range ConfigDiffs(plain, h.c.o.Set) {
		name := fmt.Sprintf("%s/%03d-%s--%s.diff", folder, d.To, plainName(path.Base(plain[d.From].Name)), plainName(path.Base(plain[d.To].Name)))
		if err := h.c.derived(name, "config-diff", d.Text); err != nil {
			return err
		}
	}
	return h.c.derived(folder+"/history.jsonl", "config-diff", h.list())
}

// list holds every known state, those of which only the journal tells included, and then the notes.
func (h *history) list() []byte {
	known := map[string]bool{emptySHA256: true}
	var states []configState
	for _, v := range h.versions {
		known[v.sum] = true
		s := configState{Time: v.Time, From: v.from, Origin: v.Origin, Path: v.Name, SHA256: v.sum, Bytes: len(v.Data)}
		s.explain(v.journal)
		states = append(states, s)
	}
	for i := range h.journal {
		if j := &h.journal[i]; !known[j.Next] {
			s := configState{Time: j.at, From: "journal", Origin: "journal, no copy", SHA256: j.Next}
			s.explain(j)
			states = append(states, s)
		}
	}
	for _, j := range h.journal {
		known[j.Next] = true
	}
	for _, j := range h.journal {
		if j.Previous != "" && !known[j.Previous] {
			known[j.Previous] = true
			states = append(states, configState{
				Time: j.at.Add(-time.Millisecond), From: "journal, as what was there before",
				Origin: "written past the journal, no copy", SHA256: j.Previous,
			})
		}
	}
	slices.SortStableFunc(states, func(a, b configState) int { return a.Time.Compare(b.Time) })
	var out bytes.Buffer
	for _, s := range states {
		h.line(&out, s)
	}
	for _, n := range h.notes {
		h.line(&out, map[string]string{"note": n})
	}
	return out.Bytes()
}

// emptySHA256 is the digest of nothing, which the journal has for a file that did not exist.
const emptySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func (s *configState) explain(j *journaled) {
	if j != nil {
		s.Event, s.Changed, s.Argv = j.Event, j.Changed, j.Argv
	}
}

func (h *history) line(out *bytes.Buffer, v any) {
	text, err := appendLine(nil, v)
	if err != nil {
		text = fmt.Appendf(nil, "{\"note\":%q}\n", err.Error())
	}
	out.WriteString(h.c.o.Set.Redact(string(text)))
}
