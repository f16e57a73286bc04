package analyze

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/klauspost/compress/zstd"
	"github.com/ncruces/go-sqlite3"
)

// corpus writes about size bytes of transcripts as a 2026.3 gateway would, into sessions of one agent: a prompt,
// then calls with their results (exec twice as often as the others), results of 0.2 to 12 kB, then an answer.
func corpus(tb testing.TB, home string, size int64) {
	tb.Helper()
	dir := filepath.Join(home, ".openclaw", "agents", "main", "sessions")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		tb.Fatal(err)
	}
	config := `{"meta":{"lastTouchedVersion":"2026.3.31"}}`
	if err := os.WriteFile(filepath.Join(home, ".openclaw", "openclaw.json"), []byte(config), 0o600); err != nil {
		tb.Fatal(err)
	}
	g := generator{rng: rand.New(rand.NewPCG(1, 2)), clock: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
	for written, n := int64(0), 0; written < size; n++ {
		written += g.session(tb, filepath.Join(dir, fmt.Sprintf("%08d-0000-4000-8000-000000000000.jsonl", n)), min(size-written, 40<<20))
	}
}

type generator struct {
	rng   *rand.Rand
	clock time.Time
	w     *bufio.Writer
	n     int64
	id    int
}

var vocabulary = strings.Fields(`the agent reads a file and writes another one while 4096 drwxr-xr-x claw root usr bin local share node_modules
	package version error warning function return const import from export default async await string number boolean null undefined
	2026-03-01T00:00:00Z http https example com index html css json yaml test build run start stop status active inactive memory disk`)

func (g *generator) text(n int) string {
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(vocabulary[g.rng.IntN(len(vocabulary))])
		switch g.rng.IntN(12) {
		case 0:
			b.WriteString(`\n`)
		case 1:
			fmt.Fprintf(&b, " %d ", g.rng.IntN(1e6))
		default:
			b.WriteByte(' ')
		}
	}
	return b.String()
}

func (g *generator) line(format string, args ...any) {
	g.clock = g.clock.Add(time.Duration(g.rng.IntN(4000)) * time.Millisecond)
	g.id++
	head := fmt.Sprintf(`{"type":"message","id":"%08x","parentId":"%08x","timestamp":"%s","message":`, g.id, g.id-1, g.clock.Format("2006-01-02T15:04:05.000Z"))
	n, _ := g.w.WriteString(head + fmt.Sprintf(format, args...) + fmt.Sprintf(`,"timestamp":%d}}`+"\n", g.clock.UnixMilli()))
	g.n += int64(n)
}

func (g *generator) session(tb testing.TB, name string, size int64) int64 {
	f, err := os.Create(name)
	if err != nil {
		tb.Fatal(err)
	}
	g.w, g.n = bufio.NewWriterSize(f, 1<<20), 0
	for g.n < size {
		g.turn()
	}
	if err := g.w.Flush(); err != nil {
		tb.Fatal(err)
	}
	f.Close()
	return g.n
}

const usage = `"api":"anthropic-messages","provider":"anthropic","model":"m","usage":{"input":15170,"output":42,"cacheRead":0,"cacheWrite":0,"totalTokens":15212,"cost":{"input":0,"output":0,"total":0}},"stopReason":"toolUse"`

func (g *generator) turn() {
	g.line(`{"role":"user","content":[{"type":"text","text":"%s"}]`, g.text(40+g.rng.IntN(400)))
	for range 1 + g.rng.IntN(6) {
		call := fmt.Sprintf("call_%d", g.id)
		tool, args := g.call()
		g.line(`{"role":"assistant","content":[{"type":"thinking","thinking":"%s"},{"type":"toolCall","id":"%s","name":"%s","arguments":%s}],%s`, g.text(g.rng.IntN(900)), call, tool, args, usage)
		result := g.text(200 + g.rng.IntN(1+g.rng.IntN(12_000)))
		g.line(`{"role":"toolResult","toolCallId":"%s","toolName":"%s","content":[{"type":"text","text":"%s"}],"details":{"status":"completed","exitCode":0,"durationMs":%d,"cwd":"/home/claw/.openclaw/workspace"},"isError":false`, call, tool, result, g.rng.IntN(9000))
		if g.rng.IntN(3) == 0 {
			g.line(`{"role":"assistant","content":[{"type":"text","text":"%s"}],%s`, g.text(300), usage)
		}
	}
	g.line(`{"role":"assistant","content":[{"type":"text","text":"%s"}],%s`, g.text(600), usage)
}

func (g *generator) call() (tool, args string) {
	file := fmt.Sprintf("notes/%d.md", g.rng.IntN(1000))
	switch g.rng.IntN(8) {
	case 0, 1, 2, 3:
		return "exec", fmt.Sprintf(`{"command":"grep -rn '%s' src | head -%d","workdir":"/home/claw/.openclaw/workspace"}`, vocabulary[g.rng.IntN(20)], g.rng.IntN(100))
	case 4:
		return "write", fmt.Sprintf(`{"path":%q,"content":"%s"}`, file, g.text(1500))
	case 5:
		return "edit", fmt.Sprintf(`{"path":%q,"edits":[{"oldText":"%s","newText":"%s"}]}`, file, g.text(80), g.text(80))
	case 6:
		return "read", fmt.Sprintf(`{"path":%q}`, file)
	}
	return "web_fetch", fmt.Sprintf(`{"url":"https://example.com/%d"}`, g.rng.IntN(1e6))
}

// benchSize is the corpus' size; 1 GB takes the disk and a minute, so -short halves it twice.
func benchSize(b *testing.B) int64 {
	if testing.Short() {
		return 250 << 20
	}
	return 1 << 30
}

// BenchmarkTimeline reads 1 GB of JSONL transcripts and reports how many times as fast that is as what a user
// would type instead, in the same run: rg '"toolCall"' over the files, and jq for the commands.
func BenchmarkTimeline(b *testing.B) {
	root := b.TempDir()
	home := filepath.Join(root, "home", "claw")
	corpus(b, home, benchSize(b))
	fsys, err := host.OpenRoot(root)
	if err != nil {
		b.Fatal(err)
	}
	var ours, theirs time.Duration
	var events int64
	for b.Loop() {
		began := time.Now()
		r, err := Timeline(context.Background(), fsys, Options{})
		if err != nil {
			b.Fatal(err)
		}
		ours += time.Since(began)
		if events = r.Coverage.Events; r.Coverage.Unparsed > 0 || events == 0 {
			b.Fatalf("%d events, %d records unparsed", events, r.Coverage.Unparsed)
		}
		theirs += grepAndJQ(b, home)
	}
	b.ReportMetric(float64(events), "events")
	b.ReportMetric(ours.Seconds()/float64(b.N), "s/ours")
	b.ReportMetric(theirs.Seconds()/float64(b.N), "s/rg+jq")
	b.ReportMetric(theirs.Seconds()/ours.Seconds(), "x-faster")
}

// BenchmarkTimelineSQLite reads the same events out of an agent database, the rows of 1 KiB and more as zstd frames as
// OpenClaw stores them, and reports how many times as long that takes as reading them as JSONL in the same run.
func BenchmarkTimelineSQLite(b *testing.B) {
	files, database := b.TempDir(), b.TempDir()
	home := filepath.Join(files, "home", "claw")
	corpus(b, home, benchSize(b))
	intoSQLite(b, filepath.Join(home, ".openclaw", "agents", "main", "sessions"), filepath.Join(database, "home", "claw", ".openclaw"))
	var took [2]time.Duration
	var events [2]int64
	for b.Loop() {
		for i, root := range []string{files, database} {
			fsys, err := host.OpenRoot(root)
			if err != nil {
				b.Fatal(err)
			}
			began := time.Now()
			r, err := Timeline(context.Background(), fsys, Options{})
			if err != nil || !r.Coverage.Complete() {
				b.Fatal(err, r.Coverage.Gaps)
			}
			took[i] += time.Since(began)
			events[i] = r.Coverage.Events
			fsys.Close()
		}
	}
	if events[0] != events[1] {
		b.Fatalf("%d events in the files, %d in the database", events[0], events[1])
	}
	b.ReportMetric(took[0].Seconds()/float64(b.N), "s/jsonl")
	b.ReportMetric(took[1].Seconds()/float64(b.N), "s/sqlite")
	b.ReportMetric(took[1].Seconds()/took[0].Seconds(), "x-jsonl")
}

// intoSQLite moves the transcripts of a directory into an agent database of schema 23.
func intoSQLite(b *testing.B, sessions, state string) {
	dir := filepath.Join(state, "agents", "main", "agent")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		b.Fatal(err)
	}
	db, err := sqlite3.Open(filepath.Join(dir, "openclaw-agent.sqlite"))
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	const schema = `PRAGMA user_version=23; PRAGMA synchronous=OFF; PRAGMA journal_mode=OFF;
		CREATE TABLE transcript_events (session_id TEXT NOT NULL, seq INTEGER NOT NULL, event_json TEXT, created_at INTEGER NOT NULL,
		event_zstd BLOB, event_utf8_bytes INTEGER, navigation_json TEXT, PRIMARY KEY (session_id, seq)) STRICT; BEGIN`
	if err := db.Exec(schema); err != nil {
		b.Fatal(err)
	}
	insert, _, err := db.Prepare("INSERT INTO transcript_events VALUES (?,?,?,0,?,?,NULL)")
	if err != nil {
		b.Fatal(err)
	}
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		b.Fatal(err)
	}
	names, _ := filepath.Glob(filepath.Join(sessions, "*.jsonl"))
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			b.Fatal(err)
		}
		seq := int64(0)
		for line := range bytes.Lines(text) {
			line = bytes.TrimSpace(line)
			insert.BindText(1, strings.TrimSuffix(filepath.Base(name), ".jsonl"))
			insert.BindInt64(2, seq)
			insert.BindNull(3)
			insert.BindNull(4)
			if len(line) >= 1024 {
				insert.BindBlob(4, enc.EncodeAll(line, nil))
			} else {
				insert.BindText(3, string(line))
			}
			insert.BindInt64(5, int64(len(line)))
			if err := insert.Exec(); err != nil {
				b.Fatal(err)
			}
			seq++
		}
	}
	insert.Close()
	if err := db.Exec("COMMIT"); err != nil {
		b.Fatal(err)
	}
}

// grepAndJQ runs the pipe of the published runbooks; 0 where its programs are absent.
func grepAndJQ(b *testing.B, home string) time.Duration {
	if _, err := exec.LookPath("rg"); err != nil {
		return 0
	}
	script := `rg --no-filename '"toolCall"' "$0" | jq -c '.timestamp as $t | .message.content[]? | select(.type=="toolCall" and (.name=="exec" or .name=="write" or .name=="edit")) | [$t, .name, .arguments.command // .arguments.path]' >/dev/null`
	began := time.Now()
	if out, err := exec.Command("sh", "-c", script, filepath.Join(home, ".openclaw", "agents")).CombinedOutput(); err != nil {
		b.Fatalf("rg | jq: %v: %s", err, out)
	}
	return time.Since(began)
}
