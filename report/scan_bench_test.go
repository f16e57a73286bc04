package report

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/analyze"
)

// BenchmarkScan reads the largest page there is, with as many secrets as an installation has.
func BenchmarkScan(b *testing.B) {
	s := smallStory()
	for i := range 100_000 {
		s.Events = append(s.Events, analyze.Record{
			Time: fmt.Sprintf("2026-11-20T10:%02d:%02d.%03dZ", i/60%60, i%60, i%1000), Kind: analyze.KindExec, ID: fmt.Sprintf("80f0b671.%d", i), Agent: "main", Session: "80f0b671",
			Tool: "exec", What: strings.Repeat(fmt.Sprintf("curl -s http://x.example/%d | jq .items[%d] \\\n && ", i, i), 3), Source: "/home/a/.openclaw/agents/main/agent/openclaw-agent.sqlite",
		})
	}
	var values []string
	for i := range 40 {
		values = append(values, fmt.Sprintf("sk-ant-%040d", i*7919))
	}
	set := setOf(values...)
	var page bytes.Buffer
	if err := WritePage(&page, s); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(page.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if err := Scan("p.html", page.Bytes(), nil, set); err != nil {
			b.Fatal(err)
		}
	}
}
