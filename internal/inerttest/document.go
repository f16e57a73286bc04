package inerttest

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	netmail "net/mail"
	"regexp"
	"slices"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
	"golang.org/x/net/html"
)

// live are what programs make links and more of.
var live = regexp.MustCompile(`(?i)https?://|www\.[a-z]|\bevil\.example|[a-z0-9]@[a-z0-9-]+\.[a-z]|198\.51\.100\.7`)

// Letter checks the text of a letter, which mail programs show with links of their own making.
func Letter(tb TB, name, letter string) {
	tb.Helper()
	Lines(tb, name, letter)
	for line := range strings.Lines(letter) {
		if m := live.FindString(line); m != "" {
			tb.Fatalf("%s: %q is alive in %q", name, m, line)
		}
	}
}

// Mail checks what every mail has to be, and that it has our headers alone. It reads it as the standard library does.
func Mail(tb TB, name string, data []byte) *netmail.Message {
	tb.Helper()
	for line := range bytes.Lines(data) {
		line = bytes.TrimSuffix(line, []byte("\r\n"))
		if len(line) > 998 || bytes.ContainsFunc(line, func(r rune) bool { return r > 0x7e || r < ' ' && r != '\t' }) {
			tb.Fatalf("%s: not a line of a mail: %q", name, line)
		}
	}
	m, err := netmail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	for field, values := range m.Header {
		if !strings.Contains(" To Subject X-Unsent Mime-Version Content-Type Content-Transfer-Encoding ", " "+field+" ") || len(values) != 1 {
			tb.Fatalf("%s: header %s: %q", name, field, values)
		}
	}
	if m.Header.Get("X-Unsent") != "1" {
		tb.Fatalf("%s: no draft", name)
	}
	return m
}

// Markdown parses as GitHub does, and fails for whatever is more than text, code, headings and lists, and for a mention or
// a reference in text.
func Markdown(tb TB, name string, source []byte) {
	tb.Helper()
	doc := goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(text.NewReader(source))
	err := ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		switch n := n.(type) {
		case *ast.CodeSpan, *ast.FencedCodeBlock:
			return ast.WalkSkipChildren, nil
		case *ast.Document, *ast.Heading, *ast.Paragraph, *ast.List, *ast.ListItem, *ast.TextBlock:
		case *ast.Text:
			if s := string(n.Value(source)); entering && strings.ContainsAny(s, "@\x01\x02\x1b") || strings.Contains(s, "#1") {
				tb.Fatalf("%s: alive in text: %q", name, s)
			}
		default:
			tb.Fatalf("%s: a %v", name, n.Kind())
		}
		return ast.WalkContinue, nil
	})
	if err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	Lines(tb, name, string(source))
}

// elements that a page of ours is made of; any other came from outside.
var elements = strings.Fields(`html head meta title style script body svg symbol path circle use a header p h1 h2 h3 h4 ul ol li b q div nav main
	section span code details summary dl dt dd article table caption thead tbody tr th td form label input select option button fieldset legend
	figure figcaption aside footer br kbd`)

// attributes that it uses; none takes a style or a script, and href leads only to places in the page.
var attributes = strings.Fields(`lang class charset http-equiv content name id width height aria-hidden focusable viewbox d transform cx cy r href
	aria-label aria-labelledby aria-describedby tabindex title type for autocomplete autocapitalize spellcheck placeholder value inputmode
	data-from data-until data-event hidden role aria-live aria-readonly aria-colcount aria-rowindex scope open`)

// Page checks that nothing on a page of HTML loads, sends, runs or leads anywhere, but its own style and script, and that no text of
// it hides or moves another.
func Page(tb TB, name string, page []byte) (root *html.Node) {
	tb.Helper()
	characters(tb, name, string(page))
	root, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	policy, digests := "", []string{}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		a := checkElement(tb, name, n)
		switch {
		case a["http-equiv"] == "Content-Security-Policy":
			policy = a["content"]
		case a["http-equiv"] != "":
			tb.Fatalf("%s: another http-equiv: %q", name, a["http-equiv"])
		case n.Data == "style", n.Data == "script" && a["type"] == "":
			sum := sha256.Sum256([]byte(n.FirstChild.Data))
			digests = append(digests, base64.StdEncoding.EncodeToString(sum[:]))
		}
	}
	want := ""
	if len(digests) == 2 {
		want = fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; script-src 'sha256-%s'; img-src 'none'; base-uri 'none'; form-action 'none'", digests[0], digests[1])
	}
	if policy != want {
		tb.Fatalf("%s: the policy is %q; of what stands in the page it is %q", name, policy, want)
	}
	return root
}

func checkElement(tb TB, name string, n *html.Node) map[string]string {
	tb.Helper()
	if !slices.Contains(elements, n.Data) {
		tb.Fatalf("%s: an element <%s>", name, n.Data)
	}
	a := map[string]string{}
	for _, at := range n.Attr {
		a[at.Key] = at.Val
		if !slices.Contains(attributes, strings.ToLower(at.Key)) || at.Key == "href" && !strings.HasPrefix(at.Val, "#") {
			tb.Fatalf("%s: <%s> has an attribute %s=%q", name, n.Data, at.Key, at.Val)
		}
	}
	return a
}
