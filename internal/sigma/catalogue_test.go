package sigma

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

// catalogue returns the rules with all expressions of the catalogue.
func catalogue(t testing.TB) *Set {
	t.Helper()
	text, err := os.ReadFile("testdata/catalogue.yml")
	if err != nil {
		t.Fatal(err)
	}
	return load(t, string(text))
}

// TestCatalogueSamples has each expression find its samples, and none of the others, as it does without literals.
func TestCatalogueSamples(t *testing.T) {
	set := catalogue(t)
	m := set.NewMatcher()
	for _, r := range set.Rules() {
		for _, samples := range []struct {
			list []map[string][]string
			want bool
		}{{r.Samples.Positive, true}, {r.Samples.Negative, false}} {
			for _, fields := range samples.list {
				rec := new(Record)
				rec.Reset(r.Logsource.Category)
				for _, field := range slices.Sorted(maps.Keys(fields)) {
					for _, text := range fields[field] {
						rec.Add(field, text, "raw")
					}
				}
				matches := m.Match(rec)
				got := slices.ContainsFunc(matches, func(m Match) bool { return m.Rule == r })
				if got != samples.want {
					t.Errorf("%s on %q: %v", r.Name, fields, got)
				}
			}
		}
	}
}

var words = strings.Fields(`the a of to and in is for this file error warning import return function const let if else
	README.md src/index.ts package.json node_modules dist test build npm install python3 main.py def class self None True
	git commit push origin main branch merge total drwxr-xr-x claw staff 4096 Nov 22 08:04 2026-11-22T08:14:27.894Z
	https://docs.example.com/guide/setup https://github.com/openclaw/openclaw/issues/4821 user agent assistant message
	session tool result exec system config token model 127.0.0.1 0x7ffd 200 404 GET POST application/json utf-8 ✅ → ️🦞
	INFO DEBUG [gateway] listening on port 18789 ws:// please run the following command to update see instructions above`)

// prose writes about n bytes as tool results hold them: listings, logs, code, text. Each has words of its own.
func prose(r *rand.Rand, n int) string {
	own := make([]string, 60)
	for i := range own {
		own[i] = words[r.IntN(len(words))]
		if i%3 > 0 {
			own[i] = fmt.Sprintf("%c%s%x", 'a'+r.IntN(26), words[r.IntN(len(words))], r.IntN(1<<(4*r.IntN(5))))
		}
	}
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(own[r.IntN(len(own))])
		b.WriteByte(" \n"[btoi(r.IntN(12) == 0)])
	}
	return b.String()
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

var commands = []string{
	"ls -la ~/notes", "cat package.json | jq .version", "git status --short && git diff --stat", "npm run build 2>&1 | tail -20",
	"curl -s https://api.github.com/repos/a/b | jq .stargazers_count", "python3 scripts/report.py --month 2026-11",
	"grep -rn 'TODO' src | head", "docker ps --format '{{.Names}}'", "find . -name '*.ts' -newer package.json",
	"sed -i 's/foo/bar/' README.md", "ssh build@host uptime", "cd ~/work && go test ./...", "tail -n 50 /var/log/app.log",
	"cp config.yml config.yml.bak; vim config.yml", "date -u +%s", "for f in *.md; do wc -w \"$f\"; done",
}

// ordinary makes the records of ordinary work, of about size bytes in all: mostly what tools returned.
func ordinary(size int) (records []*Record, total int64) {
	r := rand.New(rand.NewPCG(1, 2))
	for total < int64(size) {
		rec := new(Record)
		switch n := r.IntN(10); {
		case n < 4:
			rec.Reset("tool_result")
			rec.Add("Content", prose(r, 200+r.IntN(12_000)), "raw")
		case n < 7:
			rec.Reset("process_creation")
			command := commands[r.IntN(len(commands))]
			rec.Add("CommandLine", command, "raw")
			rec.Add("CommandLine", command+" ", "words")
			rec.Add("Image", "/usr/bin/"+strings.Fields(command)[0], "raw")
		case n < 8:
			rec.Reset("message_in")
			rec.Add("Content", prose(r, 50+r.IntN(800)), "raw")
		default:
			rec.Reset("file_event")
			rec.Add("TargetFilename", "/home/claw/work/"+words[r.IntN(len(words))], "raw")
			rec.Add("Content", prose(r, 200+r.IntN(8_000)), "raw")
		}
		rec.Add("Agent", "main", "")
		rec.Add("Session", fmt.Sprintf("a87e1df6-cf43-42f1-aa70-%012d", r.IntN(1000)), "")
		rec.Add("SessionKind", "direct", "")
		for _, v := range rec.values {
			total += int64(len(v.text))
		}
		records = append(records, rec)
	}
	return records, total
}

// BenchmarkMatch runs all expressions of the catalogue over ordinary records, on all cores.
func BenchmarkMatch(b *testing.B) {
	records, total := ordinary(8 << 20)
	set := catalogue(b)
	b.SetBytes(total)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		m := set.NewMatcher()
		for pb.Next() {
			for _, r := range records {
				m.Match(r)
			}
		}
	})
}
