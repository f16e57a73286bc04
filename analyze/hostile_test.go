package analyze

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/ncruces/go-sqlite3"

	"github.com/clawbook/openclaw-ir/internal/inerttest"
	"github.com/clawbook/openclaw-ir/internal/jsonl"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/statetest"
)

const agentDB = "home/claw/.openclaw/agents/main/agent/openclaw-agent.sqlite"

// gap finds a gap of a path's end that says what.
func gap(r *Report, file, what string) bool {
	return slices.ContainsFunc(r.Coverage.Gaps, func(g openclaw.Gap) bool { return strings.HasSuffix(g.Path, file) && strings.Contains(g.What, what) })
}

// TestHostileLines puts one bad line between two good ones: the good ones stay, and the bad one is told.
func TestHostileLines(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 200_000) + "1" + strings.Repeat("}", 200_000)
	cases := []struct {
		name, line string
		unparsed   int64
		extra      []string // what the bad line itself still tells
	}{
		{"garbage", "\x00\x01\x02\xff garbage", 1, nil},
		{"truncated", callLine("2", "c2", "torn")[:80], 1, nil},
		{"deeply nested", deep, 1, nil},
		{"deeply nested arguments", strings.Replace(callLine("2", "c2", "x"), `{"command":"x"}`, deep, 1), 1, nil},
		{"nested as deep as is allowed", strings.Replace(callLine("2", "c2", "x"), `{"command":"x"}`, `{"command":"x","y":`+strings.Repeat("[", 9000)+strings.Repeat("]", 9000)+"}", 1), 0, []string{"x"}},
		{"not an object", `["a"]`, 1, nil},
		{"two values", `{"a":1} {"b":2}`, 1, nil},
		{"byte order mark", "\ufeff" + callLine("2", "c2", "x"), 1, nil},
		{"duplicate names", strings.Replace(callLine("2", "c2", "x"), `"command":"x"`, `"command":"harmless","command":"evil"`, 1), 0, []string{"evil"}},
		{"duplicate escaped names", strings.Replace(callLine("2", "c2", "x"), `"command":"x"`, `"command":"harmless","comm\u0061nd":"evil"`, 1), 0, []string{"evil"}},
		{"invalid UTF-8", strings.Replace(callLine("2", "c2", "x"), `"command":"x"`, "\"command\":\"rm \xff\xfe\"", 1), 0, []string{"rm \xff\xfe [invalid-utf8]"}},
		{"lone surrogate", strings.Replace(callLine("2", "c2", "x"), `"command":"x"`, `"command":"rm \ud800"`, 1), 0, []string{"rm \ufffd"}},
		{"carriage returns", callLine("2", "c2", "x") + "\r", 0, []string{"x"}},
		{"calls of odd types", line("2", `{"role":"assistant","content":[7,null,[],{"type":"toolCall"},{"type":"toolCall","id":7,"name":[],"arguments":7},{"type":"toolCall","id":"c2","name":"exec","arguments":null}]}`), 0, []string{" [arguments-unreadable]"}},
		{"message of an odd type", `{"type":"message","id":"2","message":[]}`, 0, nil},
		{"huge numbers", `{"type":"message","id":"2","timestamp":1e999,"message":{"role":"toolResult","toolCallId":"c2","toolName":"x","details":{"exitCode":99999999999999999999,"durationMs":-1,"pid":1.5}}}`, 0, nil},
		{"NUL in a string", `{"id":"2","x":"` + "\x00" + `"}`, 1, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := newHost(t, map[string]string{sessionsDir + "s.jsonl": callLine("1", "c1", "before") + "\n" + c.line + "\n" + callLine("3", "c3", "after") + "\n"})
			r, events := timeline(t, dir, Options{})
			got, want := lines(events), append([]string{"before", "after"}, c.extra...)
			if missing, extra := difference(want, got); len(missing)+len(extra) > 0 || r.Coverage.Unparsed != c.unparsed {
				t.Errorf("missing %q, extra %q, %d unparsed", missing, extra, r.Coverage.Unparsed)
			}
			if c.unparsed > 0 && !gap(r, "s.jsonl", "record 2") {
				t.Errorf("gaps %v", r.Coverage.Gaps)
			}
			render(t, renderer(), events...)
		})
	}
}

// endless is a file of a size that nobody writes: one line, made as it is read.
type endless struct {
	fs.FS
	name string
	size int64
	tail string
}

func (e endless) Open(name string) (fs.File, error) {
	f, err := e.FS.Open(name)
	if err != nil || name != e.name {
		return f, err
	}
	return made{f, io.MultiReader(io.LimitReader(yes{}, e.size), strings.NewReader(e.tail))}, nil
}

type made struct {
	fs.File
	r io.Reader
}

func (m made) Read(p []byte) (int, error) { return m.r.Read(p) }

type yes struct{}

var line32k = strings.Repeat("y", 32<<10)

func (yes) Read(p []byte) (int, error) {
	return copy(p, line32k), nil
}

// TestTwoGigabyteLine passes over a line of 2 GB, in little memory, and reads what follows it.
func TestTwoGigabyteLine(t *testing.T) {
	const size = 2 << 30
	tail := "\n" + callLine("1", "c", "after") + "\n"
	dir := newHost(t, map[string]string{sessionsDir + "s.jsonl": "x"})
	r, events := timelineFS(t, endless{openRoot(t, dir), sessionsDir + "s.jsonl", size, tail}, Options{})
	if got := lines(events); !slices.Equal(got, []string{"after"}) {
		t.Errorf("%q", got)
	}
	row := r.Coverage.Sources[0]
	if row.Lost != size+1 || row.Unparsed != 1 || row.Records != 2 || row.Bytes != size+int64(len(tail)) || row.Unreadable {
		t.Errorf("%+v", row)
	}
	if !gap(r, "s.jsonl", fmt.Sprintf("line 1 is longer than %d MiB", jsonl.MaxLine>>20)) {
		t.Errorf("gaps %v", r.Coverage.Gaps)
	}
}

// TestOddFiles puts what is no transcript where transcripts are. Each is told, and nothing waits for it.
func TestOddFiles(t *testing.T) {
	dir := newHost(t, map[string]string{
		sessionsDir + "good.jsonl":                    callLine("1", "c", "good"),
		sessionsDir + "empty.jsonl":                   "",
		sessionsDir + "new\nline\x1b[2J.jsonl":        callLine("1", "c", "newline"),
		sessionsDir + "\xff\xfe.jsonl":                callLine("1", "c", "bytes"),
		sessionsDir + "torn.jsonl.deleted.1.zst":      pack(callLine("1", "c", "torn"))[:60],
		sessionsDir + "garbage.jsonl.zst":             "garbage",
		sessionsDir + "dir.jsonl/x.jsonl":             callLine("1", "c", "inside"),
		sessionsDir + "a/b/c/d/too-deep.jsonl":        callLine("1", "c", "too deep"),
		sessionsDir + "sessions.json":                 `{"agent:main:main":{"sessionId":"good"},"x":` + strings.Repeat("[", 20_000),
		"home/claw/elsewhere.jsonl":                   callLine("1", "c", "elsewhere"),
		"home/claw/.openclaw/agents/x/sessions/s.txt": "",
	})
	in := func(name string) string { return filepath.Join(dir, sessionsDir, name) }
	for _, err := range []error{
		syscall.Mkfifo(in("fifo.jsonl"), 0o600), os.Symlink("loop.jsonl", in("loop.jsonl")), os.Symlink("/home/claw/elsewhere.jsonl", in("link.jsonl")),
		os.Symlink("..", in("up")), syscall.Mkfifo(filepath.Join(dir, agentDB+"-wal-not"), 0o600),
	} {
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		r, events := timeline(t, dir, Options{})
		got := lines(events)
		slices.Sort(got)
		if want := []string{"bytes", "good", "inside", "newline"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		for file, what := range map[string]string{
			"fifo.jsonl": "no regular file", "loop.jsonl": "no regular file", "link.jsonl": "no regular file", "torn.jsonl.deleted.1.zst": "", "garbage.jsonl.zst": "",
			"sessions.json": "nested too deep",
		} {
			if !gap(r, file, what) {
				t.Errorf("%s is not told: %v", file, r.Coverage.Gaps)
			}
		}
		out := render(t, renderer(), events...)
		inerttest.Lines(t, "the lines", out.lines)
		inerttest.CSV(t, "the table", out.csv)
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("it hangs")
	}
}

func TestUnreadableFile(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root reads everything")
	}
	dir := newHost(t, map[string]string{sessionsDir + "s.jsonl": callLine("1", "c", "a"), sessionsDir + "t.jsonl": callLine("1", "c", "b")})
	if err := os.Chmod(filepath.Join(dir, sessionsDir, "s.jsonl"), 0); err != nil {
		t.Fatal(err)
	}
	r, events := timeline(t, dir, Options{})
	found, read, unreadable := r.Coverage.Files()
	if got := lines(events); !slices.Equal(got, []string{"b"}) || !gap(r, "s.jsonl", "permission denied") || found != 2 || read != 1 || unreadable != 1 {
		t.Errorf("%q, gaps %v, %d %d %d", got, r.Coverage.Gaps, found, read, unreadable)
	}
}

// TestHostileDatabases reads what is left of databases, and says what is not.
func TestHostileDatabases(t *testing.T) {
	const rows = 100
	fill := func(t *testing.T, name string) {
		var lines []string
		for i := range rows {
			lines = append(lines, callLine(fmt.Sprint("e", i), fmt.Sprint("c", i), fmt.Sprintf("command %d %s", i, noise(i))))
		}
		database(t, name, "s", lines)
	}
	cases := []struct {
		name   string
		make   func(t *testing.T, name string)
		least  int    // events that must still come
		suffix string // of the gap's path
		what   string
	}{
		{"whole", fill, rows, "", ""},
		{"empty", func(t *testing.T, name string) { change(t, name, func(b []byte) []byte { return nil }) }, 0, "", ""},
		{"garbage", func(t *testing.T, name string) {
			change(t, name, func([]byte) []byte { return []byte(strings.Repeat("garbage", 1000)) })
		}, 0, ".sqlite", ""},
		{"torn page", func(t *testing.T, name string) {
			fill(t, name)
			change(t, name, func(b []byte) []byte { clear(b[len(b)/2 : len(b)/2+4096]); return b })
		}, rows / 4, ".sqlite", ""},
		{"cut short", func(t *testing.T, name string) {
			fill(t, name)
			change(t, name, func(b []byte) []byte { return b[:len(b)*3/4/4096*4096] })
		}, rows / 4, ".sqlite", ""},
		{"foreign schema", func(t *testing.T, name string) {
			sqlExec(t, name, "PRAGMA user_version=99; CREATE TABLE other(a); CREATE TABLE transcript_events(session_id, x)")
		}, 0, ".sqlite", "has no table transcript_events"},
		{"odd values", func(t *testing.T, name string) {
			sqlExec(t, name, "PRAGMA user_version=23; CREATE TABLE transcript_events(session_id, seq, event_json, event_zstd, event_utf8_bytes);"+
				"INSERT INTO transcript_events VALUES(NULL,'x',NULL,NULL,-1),(x'ff',1.5,7,NULL,'a'),('s',3,x'00ff',NULL,3),('s',4,NULL,x'28b52ffd',9),('s',5,NULL,zeroblob(100),9),('s',6,'"+callLine("1", "c", "good")+"',NULL,NULL)")
		}, 1, ".sqlite", "record"},
		{"both columns filled", func(t *testing.T, name string) {
			sqlExec(t, name, fmt.Sprintf("PRAGMA user_version=23; CREATE TABLE transcript_events(session_id, seq, event_json, event_zstd, event_utf8_bytes); INSERT INTO transcript_events VALUES('s',1,'%s',x'%x',NULL)",
				callLine("1", "c", "ls"), pack(callLine("1", "c", "evil"))))
		}, 2, "", ""},
		{"a length that lies", func(t *testing.T, name string) {
			sqlExec(t, name, fmt.Sprintf("PRAGMA user_version=23; CREATE TABLE transcript_events(session_id, seq, event_json, event_zstd, event_utf8_bytes); INSERT INTO transcript_events VALUES('s',1,NULL,x'%x',7)",
				pack(callLine("1", "c", "evil"))))
		}, 1, ".sqlite", "its row says 7"},
		{"a zstd bomb", func(t *testing.T, name string) {
			sqlExec(t, name, fmt.Sprintf("PRAGMA user_version=23; CREATE TABLE transcript_events(session_id, seq, event_json, event_zstd, event_utf8_bytes); INSERT INTO transcript_events VALUES('s',1,NULL,x'%x',7),('s',2,'%s',NULL,NULL)",
				pack(strings.Repeat(" ", 2*jsonl.MaxLine)), callLine("1", "c", "good")))
		}, 1, ".sqlite", "unpacking"},
		{"a view in a table's place", func(t *testing.T, name string) {
			sqlExec(t, name, "PRAGMA user_version=23; CREATE VIEW transcript_events AS WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM r) SELECT 's' AS session_id, n AS seq, '{}' AS event_json FROM r")
		}, 0, ".sqlite", "has no table transcript_events"},
		{"a log that hides the database", func(t *testing.T, name string) {
			fill(t, name)
			put(t, name+"-wal", foreignLog(t))
		}, rows, ".sqlite-wal", "other tables"},
		{"a log of another database", func(t *testing.T, name string) {
			fill(t, name)
			put(t, name+"-wal", strings.Repeat("\x37\x7f\x06\x82", 3000))
		}, rows, ".sqlite-wal", ""},
		{"a journal that is hot", func(t *testing.T, name string) {
			fill(t, name)
			put(t, name+"-journal", hotJournal(t, name))
		}, 1, ".sqlite-journal", "cut short"},
		{"a journal that is garbage", func(t *testing.T, name string) {
			fill(t, name)
			put(t, name+"-journal", strings.Repeat("x", 5000))
		}, rows, "", ""},
		{"a named pipe for a log", func(t *testing.T, name string) {
			fill(t, name)
			if err := syscall.Mkfifo(name+"-wal", 0o600); err != nil {
				t.Fatal(err)
			}
		}, 0, ".sqlite", "named pipe"},
		{"a directory", func(t *testing.T, name string) {
			if err := os.MkdirAll(name, 0o700); err != nil {
				t.Fatal(err)
			}
		}, 0, ".sqlite", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := newHost(t, map[string]string{sessionsDir + "t.jsonl": callLine("1", "c", "beside")})
			name := filepath.Join(dir, agentDB)
			if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
				t.Fatal(err)
			}
			c.make(t, name)
			before := statetest.Snapshot(t, dir)
			began := time.Now()
			r, events := timeline(t, dir, Options{})
			if d := time.Since(began); d > 10*time.Second {
				t.Errorf("took %v", d)
			}
			if !equalMaps(before, statetest.Snapshot(t, dir)) {
				t.Error("reading changed the directory")
			}
			if got := lines(events); len(got) < c.least+1 || !slices.Contains(got, "beside") || c.what == "" && c.suffix == "" && len(got) != c.least+1 {
				t.Errorf("%d events of %d, %.200q", len(got)-1, c.least, got)
			}
			if (c.suffix != "" || c.what != "") && !gap(r, c.suffix, c.what) || c.suffix == "" && c.what == "" && len(r.Coverage.Gaps) > 0 {
				t.Errorf("gaps %.600v", r.Coverage.Gaps)
			}
		})
	}
}

// foreignLog is the write-ahead log of a database with other tables, whose checksums hold.
func foreignLog(t *testing.T) string {
	name := filepath.Join(t.TempDir(), "other")
	c, err := sqlite3.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Exec("PRAGMA journal_mode=wal; CREATE TABLE other(a); INSERT INTO other VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(name + "-wal")
	if err != nil || len(log) == 0 {
		t.Fatalf("no log: %v", err)
	}
	return string(log)
}

// noise is text that does not pack well, the same for the same number.
func noise(n int) string {
	rng := rand.New(rand.NewPCG(uint64(n), 7))
	b := make([]byte, 600)
	for i := range b {
		b[i] = 'a' + byte(rng.IntN(26))
	}
	return string(b)
}

func put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func change(t *testing.T, name string, f func([]byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	put(t, name, string(f(data)))
}

// hotJournal is the journal of a write that was cut short: the database's second page as it was before, which is
// what the page is now (https://sqlite.org/fileformat2.html, "The Rollback Journal").
func hotJournal(t *testing.T, name string) string {
	t.Helper()
	db, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	const page, sector = 4096, 512
	head := make([]byte, sector)
	copy(head, "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7")
	head[11], head[15] = 1, 9 // one record, nonce 9
	pages := len(db) / page
	head[18], head[19] = byte(pages>>8), byte(pages)
	head[22], head[26] = sector>>8, page>>8
	body := db[page : 2*page]
	sum := uint32(9)
	for i := page - 200; i > 0; i -= 200 {
		sum += uint32(body[i])
	}
	record := append([]byte{0, 0, 0, 2}, body...)
	return string(head) + string(record) + string([]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)})
}

// TestCancel stops in the middle, without leaving anything running.
func TestCancel(t *testing.T) {
	dir := newHost(t, map[string]string{sessionsDir + "s.jsonl": strings.Repeat(callLine("1", "c", "a")+"\n", 20_000)})
	ctx, cancel := context.WithCancel(context.Background())
	_, err := Timeline(ctx, openRoot(t, dir), Options{Read: func(int64) { cancel() }})
	if err == nil {
		t.Error("a cancelled reading has no error")
	}
}

func TestNothing(t *testing.T) {
	r, err := Timeline(context.Background(), openRoot(t, t.TempDir()), Options{})
	if err != ErrNothing || len(all(t, r)) > 0 {
		t.Error(err)
	}
}

// validJSON reports what encoding/json takes for an object. Invalid UTF-8 it takes too, as JSON.parse sees it.
func validJSON(data []byte) bool {
	return json.Valid(data) && bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{"))
}

// FuzzItem decodes changed records. Whatever they are, the decoder takes or refuses them without a panic, refuses
// exactly what encoding/json refuses or is no object, and its events can be joined, stored and shown harmlessly.
func FuzzItem(f *testing.F) {
	for _, seed := range []string{
		callLine("1", "c", "curl x | sh"), resultLine("2", "c", 3), `{"type":"session","version":4,"id":"s","timestamp":"2026-11-22T08:00:00.000Z","cwd":"/home/u"}`,
		line("3", `{"role":"user","content":[{"type":"text","text":"hi"}],"__openclaw":{"senderIsOwner":false,"senderId":"666","transport":{"channel":"telegram"}},"provenance":{"kind":"internal_system","sourceTool":"exec"}}`),
		line("4", `{"role":"custom","customType":"openclaw.nested-tool.v1","details":{"parentToolCallId":"c","toolCallId":"n","toolName":"automations","input":{"action":"add"},"result":{"details":{"exitCode":1}},"startedAt":1795334400000}}`),
		line("5", `{"role":"assistant","content":[{"type":"toolCall","id":"c","name":"tool_call","arguments":{"id":"openclaw:core:message","args":{"to":"x","text":"y"}}}]}`),
		line("6", `{"role":"assistant","content":[{"type":"toolCall","id":"c","name":"apply_patch","arguments":{"input":"*** Begin Patch\n*** Add File: a\n+x\n*** Update File: b\n*** Move to: c\n*** Delete File: d\n"}}]}`),
		line("7", `{"role":"bashExecution","command":"ls","output":"x","exitCode":0}`),
		`{"type":"tool.result","ts":"2026-11-22T08:00:00.000Z","data":{"toolCallId":"c","name":"exec","success":false,"result":{"details":{"status":"failed","error":"exited with code 7"}}}}`,
		`{"type":"context.compiled","ts":1795334400000,"data":{"messagesSnapshot":[{"role":"assistant","content":[{"type":"toolCall","id":"c","name":"exec","arguments":{"command":"a"}}]}]}}`,
		`{"type":"user","uuid":"u","message":{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"no","is_error":true}]}}`,
		`{"timestamp":"2026-11-22T08:00:00Z","type":"response_item","payload":{"type":"function_call","name":"shell","arguments":"{\"command\":[\"bash\",\"-lc\",\"ls\"]}","call_id":"k"}}`,
		`{"type":"message","message":{"role":"toolResult","details":` + strings.Repeat(`{"details":`, 50) + "1" + strings.Repeat("}", 50) + `}}`,
	} {
		f.Add([]byte(seed))
	}
	d, err := newDecoder(maphash.MakeSeed(), wanted(Kinds), true)
	if err != nil {
		f.Fatal(err)
	}
	r := renderer("topsecretvalue123")
	src := &openclaw.Source{Path: "/x", Form: openclaw.FormJSONL, Agent: "main"}
	f.Fuzz(func(t *testing.T, data []byte) {
		it, err := d.item(data, "s")
		if valid := validJSON(data); (err == nil) != valid {
			t.Fatalf("%q: %v, but valid is %v", data, err, valid)
		}
		if err != nil {
			return
		}
		st, err := newStore()
		if err != nil {
			t.Fatal(err)
		}
		j := newJoiner(wanted(Kinds), nil, nil, st.add)
		if j.add(src, &it) {
			t.Error("the first record is a duplicate")
		}
		again, _ := d.item(data, "s")
		if !j.add(src, &again) {
			t.Error("the same record again is none")
		}
		j.flush()
		for e, err := range st.byTime() {
			if err != nil {
				t.Fatal(err)
			}
			if e.Time < 0 || e.Time >= 253_402_300_800_000 {
				t.Errorf("time %d", e.Time)
			}
			out := render(t, r, e)
			inerttest.Lines(t, "the lines", out.lines)
			checkCSV(t, out.csv, 1)
			checkTimesketch(t, out.timesketch, 3)
			checkDocuments(t, out.ecs, 1, checkECS)
			checkDocuments(t, out.ocsf, 1, checkOCSF)
		}
	})
}

// FuzzUnpack unpacks a row as the database packs them, whatever length its row claims: a text or an error, no more of it than is kept of a
// line, and what was unpacked before stays as it was.
func FuzzUnpack(f *testing.F) {
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		f.Fatal(err)
	}
	row := enc.EncodeAll([]byte(callLine("1", "c", "curl x | sh")), nil)
	f.Add(row, int64(100))
	f.Add(row[:len(row)-1], int64(-1))
	f.Add(append(bytes.Clone(row), row...), int64(1)<<40)
	f.Add(enc.EncodeAll(make([]byte, 1<<20), nil), int64(3))
	d, err := newDecoder(maphash.MakeSeed(), wanted(Kinds), true)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, frame []byte, size int64) {
		arena := append(make([]byte, 0, arenaBytes), "before"...)
		kept := arena
		text, err := d.unpack(frame, min(size, 1<<20), &arena)
		if string(kept) != "before" {
			t.Fatalf("what was there is %q now", kept)
		}
		want, wrong := zstdReference(frame)
		if (err == nil) != (wrong == nil) && len(want) < jsonl.MaxLine || err == nil && !bytes.Equal(text, want) {
			t.Errorf("%d bytes and %v, the reference has %d and %v", len(text), err, len(want), wrong)
		}
		if err != nil && text != nil || len(text) > jsonl.MaxLine+arenaBytes {
			t.Errorf("%d bytes and %v", len(text), err)
		}
	})
}

// zstdReference unpacks as a stream, with another code path of the library and no arena.
func zstdReference(frame []byte) ([]byte, error) {
	r, err := zstd.NewReader(bytes.NewReader(frame), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(jsonl.MaxLine+arenaBytes))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// FuzzSuppressions reads the file of suppressions. None is taken that silences for no reason, everywhere or for ever.
func FuzzSuppressions(f *testing.F) {
	f.Add("- {rule: PER-001, scope: {agent: main, command: 'crontab -l'}, reason: why, expires: 2027-01-31}\n")
	f.Add("- rule: PER-001\n  scope: {command: '('}\n  reason: x\n  expires: 2027-01-31\n---\n- {rule: X}\n")
	f.Add("a: &a [*a,*a]\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := ReadSuppressions(strings.NewReader(text))
		if err != nil && list != nil {
			t.Fatalf("%v and %v", list, err)
		}
		for _, s := range list {
			if s.Rule == "" || s.Scope == (Scope{}) || s.Reason == "" || s.Expires.IsZero() || s.what == nil {
				t.Errorf("%+v is taken", s)
			}
		}
		if err == nil && len(list) > strings.Count(text, "expires") {
			t.Errorf("%d of %q", len(list), text)
		}
	})
}

// FuzzLog reads a line of the gateway's log, in which the other end's words stand: the same line tells the same every time.
func FuzzLog(f *testing.F) {
	f.Add("unauthorized conn=1 remote=203.0.113.9 client=cli origin=http://evil.example host=h:18789 auth=token reason=token_mismatch")
	f.Add("⇄ res ✓ config.set 3ms ⇄ res ✗ exec")
	f.Add("remote=a remote=b ip= role=n/a webchat connected")
	f.Fuzz(func(t *testing.T, line string) {
		method, outcome := rpcMethod(line)
		for range 8 {
			if m, o := rpcMethod(line); m != method || o != outcome {
				t.Fatalf("%q calls %q, %q and %q, %q", line, method, outcome, m, o)
			}
		}
		for name, value := range logFields(line) {
			if value == "" || value != strings.TrimSpace(value) || !strings.Contains(line, value) {
				t.Errorf("%s=%q of %q", name, value, line)
			}
		}
	})
}

// TestWaitingIsBounded leaves more calls without a result, and results without a call, than are waited for: all are told, once, and what is
// answered in time is told with its result.
func TestWaitingIsBounded(t *testing.T) {
	d, err := newDecoder(maphash.MakeSeed(), wanted(DefaultKinds), false)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	j := newJoiner(wanted(DefaultKinds), nil, nil, func(e *Event) {
		got = append(got, fmt.Sprintf("%s %s %s %v%v", e.CallID, e.Kind, e.What, e.Result.Recorded, e.Marks))
	})
	j.most = 3 * 1600
	src := &openclaw.Source{Path: "/x", Form: openclaw.FormJSONL, Agent: "main"}
	add := func(line string) {
		it, err := d.item([]byte(line), "s")
		if err != nil {
			t.Fatal(err)
		}
		j.add(src, &it)
		if j.waiting < 0 || j.waiting > j.most {
			t.Errorf("%d bytes wait after %s", j.waiting, line)
		}
	}
	var want []string
	for i := range 10 {
		add(callLine(fmt.Sprint("m", i), fmt.Sprint("c", i), fmt.Sprint("run ", i)))
		want = append(want, fmt.Sprintf("c%d exec run %d false[]", i, i))
	}
	add(callLine("m", "c", "answered"))
	add(resultLine("r", "c", 0))
	want = append(want, "c exec answered true[]")
	for i := range 10 {
		add(resultLine(fmt.Sprint("o", i), fmt.Sprint("lost", i), 0))
		want = append(want, fmt.Sprintf("lost%d exec  true[call-missing]", i))
	}
	j.flush()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if j.parted == 0 {
		t.Error("all could wait")
	}
}
