package collect

import (
	"bufio"
	"fmt"
	gobuild "go/build"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// prose returns text that people and programs wrote: Go's own sources, up to a limit, as one JSON string
// without its quotes would hold them, one element a line.
func prose(tb testing.TB, limit int) []string {
	tb.Helper()
	var lines []string
	root := filepath.Join(gobuild.Default.GOROOT, "src")
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(name) != ".go" || limit < 0 {
			return err
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		limit -= len(content)
		for line := range strings.Lines(string(content)) {
			quoted := strconv.Quote(line)
			lines = append(lines, quoted[1:len(quoted)-1])
		}
		return nil
	})
	if err != nil || len(lines) == 0 {
		tb.Skipf("no text to make evidence of: %v", err)
	}
	return lines
}

// writeCorpus fills dir with session transcripts of about total bytes: JSON lines with ids, times, prose,
// commands and their output, the same for the same seed.
func writeCorpus(tb testing.TB, dir string, total int64) {
	tb.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	source := prose(tb, 80<<20)
	text := func(b *strings.Builder, n int) {
		at := r.IntN(len(source) - n)
		for _, line := range source[at : at+n] {
			b.WriteString(line)
		}
	}
	for file := 0; total > 0; file++ {
		name := filepath.Join(dir, fmt.Sprintf("agents/main/sessions/%08x-%04x.jsonl", r.Uint32(), r.IntN(1<<16)))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			tb.Fatal(err)
		}
		f, err := os.Create(name)
		if err != nil {
			tb.Fatal(err)
		}
		w := bufio.NewWriterSize(f, 1<<20)
		size := min(total, int64(20_000+r.IntN(1<<(10+r.IntN(15)))))
		total -= size
		for size > 0 {
			var b strings.Builder
			fmt.Fprintf(&b, `{"type":"message","id":"%08x","parentId":"%08x","timestamp":"2026-11-%02dT%02d:%02d:%02d.%03dZ","message":`,
				r.Uint32(), r.Uint32(), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60), r.IntN(1000))
			switch r.IntN(3) {
			case 0:
				fmt.Fprintf(&b, `{"role":"assistant","content":[{"type":"toolCall","id":"call_%016x","name":"exec","arguments":{"command":"`, r.Uint64())
				text(&b, 1+r.IntN(3))
				b.WriteString(`"}}],"provider":"anthropic","usage":{"input":`)
				fmt.Fprintf(&b, `%d,"output":%d,"cacheRead":%d}}}`, r.IntN(9999), r.IntN(9999), r.IntN(99999))
			case 1:
				fmt.Fprintf(&b, `{"role":"toolResult","toolCallId":"call_%016x","toolName":"exec","content":[{"type":"text","text":"`, r.Uint64())
				text(&b, 2+r.IntN(120))
				fmt.Fprintf(&b, `"}],"details":{"exitCode":%d,"durationMs":%d},"isError":false}}`, r.IntN(2), r.IntN(9000))
			default:
				b.WriteString(`{"role":"user","content":[{"type":"text","text":"`)
				text(&b, 1+r.IntN(30))
				b.WriteString(`"}]}}`)
			}
			b.WriteByte('\n')
			size -= int64(b.Len())
			if _, err := w.WriteString(b.String()); err != nil {
				tb.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil {
			tb.Fatal(err)
		}
		if err := f.Close(); err != nil {
			tb.Fatal(err)
		}
	}
}
