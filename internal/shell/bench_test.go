package shell

import (
	"strings"
	"testing"
)

// typical are commands as agents run them.
var typical = []string{
	"ls -la",
	"cat package.json",
	"git status --short",
	"npm install express",
	"cd /home/u/project && npm test 2>&1 | tail -40",
	`git commit -m "Fix the parser for nested lists"`,
	`grep -rn "TODO" src --include='*.ts' | head -20`,
	`curl -s -H "Authorization: Bearer $TOKEN" https://api.github.com/repos/a/b/issues | jq '.[].title'`,
	"for f in *.md; do wc -w \"$f\"; done",
	"python3 - <<'EOF'\nimport json\nprint(json.load(open('a.json'))['x'])\nEOF",
	"cat > notes.md <<'EOF'\n# Notes\n\nSome text about the project, with a few lines.\nEOF",
	"find . -name '*.go' -not -path './vendor/*' | xargs wc -l | sort -n | tail -5",
}

func BenchmarkParse(b *testing.B) {
	p := NewParser()
	for _, command := range typical {
		b.Run(strings.Map(func(r rune) rune {
			if r < 'a' || r > 'z' {
				return '_'
			}
			return r
		}, command[:min(14, len(command))]), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.follow(command)
			}
		})
	}
}
