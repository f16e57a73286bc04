package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

// checkMarkdown parses as GitHub does, and fails for whatever is more than text, code, headings and lists, and for a mention or
// a reference in text.
func checkMarkdown(tb testing.TB, source []byte) {
	tb.Helper()
	doc := goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(text.NewReader(source))
	err := ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		switch n := n.(type) {
		case *ast.CodeSpan, *ast.FencedCodeBlock:
			return ast.WalkSkipChildren, nil
		case *ast.Document, *ast.Heading, *ast.Paragraph, *ast.List, *ast.ListItem, *ast.TextBlock:
		case *ast.Text:
			if s := string(n.Value(source)); entering && strings.ContainsAny(s, "@\x01\x02\x1b") || strings.Contains(s, "#1") {
				tb.Fatalf("alive in text: %q", s)
			}
		default:
			tb.Fatalf("a %v", n.Kind())
		}
		return ast.WalkContinue, nil
	})
	if err != nil {
		tb.Fatal(err)
	}
}

func TestMarkdown(t *testing.T) {
	for _, story := range []*Story{hostileStory(nasty), hostileStory("```\n````\n~~~ ` ``"), hostileStory("- [ ] x\n1. y\n===\n---"), {}} {
		for _, tmpl := range Templates() {
			var md bytes.Buffer
			if err := tmpl.WriteMarkdown(&md, story); err != nil {
				t.Fatal(err)
			}
			checkMarkdown(t, md.Bytes())
		}
	}
}

func FuzzMarkdown(f *testing.F) {
	f.Add(nasty)
	f.Add("`")
	f.Add("``` ````` \\` `a`")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4096 {
			return
		}
		for _, tmpl := range Templates() {
			var md bytes.Buffer
			if err := tmpl.WriteMarkdown(&md, hostileStory(text)); err != nil {
				t.Fatal(err)
			}
			checkMarkdown(t, md.Bytes())
		}
	})
}
