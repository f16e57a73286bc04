package shell

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// hostile are commands made to cost much: deep, wide, growing, endless.
func hostile() map[string]string {
	const size = 64 << 10
	fill := func(s string) string { return strings.Repeat(s, size/len(s)) }
	calls := "f0() { id; };"
	for i := 1; i < 40; i++ {
		calls += fmt.Sprintf("f%d() { f%d; f%d; };", i, i-1, i-1)
	}
	return map[string]string{
		"parentheses": fill("("), "substitutions": fill("$("), "quoted substitutions": fill(`"$(`), "backquotes": fill("`"),
		"braces": fill("{ "), "ifs": fill("if "), "whiles": fill("while "), "fors": fill("for i in a; do "), "cases": fill("case x in a) "),
		"times": fill("time "), "functions": fill("f() "), "expansions": fill("${a:-"), "extended globs": fill("@(a|"),
		"arithmetic": "$((" + fill("-"), "assignments in arithmetic": "((" + fill("a="), "tests": "[[ " + fill("a && "),
		"pipes": fill("a|"), "lists": fill("a&&"), "statements": fill("a;"), "lines": fill("a\n"), "words": fill("a "), "quotes": fill("''"),
		"escapes": fill(`\a`), "comments": fill("# a\n"), "brace lists": fill("{a,b}"), "nested brace lists": strings.Repeat("{a,", 5000) + strings.Repeat("}", 5000),
		"doubling": "a=aaaaaaaaaaaaaaaa;" + strings.Repeat("a=$a$a;", 5000) + "$a", "wide use": "a=aaaaaaaaaaaaaaaa;" + strings.Repeat("a=$a$a;", 12) + strings.Repeat("$a ", 5000),
		"appending": fill("a+=x;"), "arrays": "a=(" + fill("x ") + "); ${a[@]}", "loops": strings.Repeat("for i in a b c d; do ", 20) + "id" + strings.Repeat("; done", 20),
		"recursion": "f() { f; f; }; f", "calls": calls + "f39", "evals": strings.Repeat("eval ", 3000) + "id", "shells": fill("bash -c 'id; ls';"),
		"wrappers": fill("sudo "), "xargs": fill("xargs "), "finds": "find . " + fill("-exec a ; "), "here-documents": fill("cat <<A\n"),
		"a large here-document": "cat > f <<'A'\n" + fill("line (with; things\n") + fill("line (with; things\n") + "A\nid\n", "redirections": "id " + fill(">a "),
		"writes": fill("echo x>>a;"), "jobs": "crontab - <<A\n" + fill("* * * * * id\n") + "A\n", "lines to run": "while read x; do eval $x; done <<A\n" + fill("id\n") + "A\n",
		"base64": fill("QUFB"), "many base64": fill(inBase64(payload) + " "), "state paths": fill("/.openclaw"), "other paths": fill("x/.openclaw/"), "masks": fill("export K=*** a;"),
		"zeros": fill("\x00"), "no text": fill("\xff\xfe"), "an open quote": "'" + fill("a "), "a megabyte": strings.Repeat("echo hello; ", 100_000),
	}
}

// TestHostile checks that the bounds hold; that they keep the cost small is for the benchmark.
func TestHostile(t *testing.T) {
	p := NewParser()
	for name, command := range hostile() {
		checkBounds(t, name, command, p.Parse(command))
	}
}

func checkBounds(t interface{ Errorf(string, ...any) }, name, command string, c *Command) {
	layers, text := 0, 0
	for _, l := range c.Layers[1:] {
		layers += len(l.Text)
	}
	for _, process := range c.Processes {
		text += len(process.Text)
	}
	if len(c.Layers) > maxLayers+2 || layers > maxLayered+maxTail || len(c.Processes) > maxProcesses || text > 2*maxLayered ||
		len(c.Writes) > maxFiles || len(c.URLs) > maxURLs || len(c.Layers[0].Text) > maxHead+maxDocument+maxHead {
		t.Errorf("%s: %d layers of %d bytes, %d processes of %d", name, len(c.Layers), layers, len(c.Processes), text)
	}
	if !isSubsequence(strings.ReplaceAll(c.Layers[0].Text, Blank, ""), command) {
		t.Errorf("%s: the raw layer says what the command does not: %.200q", name, c.Layers[0].Text)
	}
	if c.Broken && !c.Cut && c.Layers[0].Text != command && !strings.Contains(command, Blank) && len(c.Processes) == 0 {
		t.Errorf("%s: the raw layer of a broken command is changed", name)
	}
}

// TestAnyCommand checks the bounds on random commands, and that reading one twice gives the same.
func TestAnyCommand(t *testing.T) {
	pieces := []string{
		"a", "curl x", "sh", "echo", "grep", "bash -c", "eval", "sudo", "xargs", "find . -exec", "ssh h", "cat", "base64 -d", "tee f", "read x", "printf %s",
		" ", " ", " ", ";", "|", "&&", "||", "&", "\n", "(", ")", "{ ", "}", "$(", "`", "<(", "'", `"`, `\`, "$a", "${a", "}", "a=", "a+=", "$'\\x41'", "{a,b}",
		">f", ">>f", "<f", "<<E\n", "\nE\n", "<<<", "2>&1", "if ", "then ", "fi", "for i in ", "do ", "done", "case a in ", "esac", "f() ", "[[ ", " ]]", "((", "))", "#",
		"***", "sk-abc…wxyz", "/root/.moltbot/x", "Y3VybCB4", "http://x.y/", "é", "\x00", "\xff", "! ", "export ", "~", "${a:-b}", "$@", "**", "=~",
	}
	shared := NewParser()
	rapid.Check(t, func(t *rapid.T) {
		command := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 1, 30).Draw(t, "pieces"), "")
		c := shared.Parse(command)
		checkBounds(t, command, command, c)
		if again := NewParser().Parse(command); !reflect.DeepEqual(c, again) {
			t.Fatalf("%q\n%+v\n%+v", command, c, again)
		}
	})
}

func BenchmarkHostile(b *testing.B) {
	for name, command := range hostile() {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				NewParser().Parse(command)
			}
		})
	}
}
