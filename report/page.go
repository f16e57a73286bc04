package report

import (
	"bufio"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"strings"
	"sync"
)

//go:embed page
var pageFiles embed.FS

// WritePage writes the case as one HTML file, for people to look at. The file loads nothing, sends nothing and follows
// nothing: its policy allows its own style and script alone. It needs no script but for the timeline.
//
// Every text of s is shown inert: escaped, with what cannot be seen made visible and addresses defanged. Texts and lists
// that are too long are cut, and the page says by how much. The timeline is written as it is read from s, so the memory it
// takes beside s does not grow with the length of the texts.
func WritePage(w io.Writer, s *Story) error {
	assets, err := loadPage()
	if err != nil {
		return err
	}
	t := newTimelineData(s)
	v := newPageView(s, t, assets)
	out := bufio.NewWriterSize(w, 64<<10)
	if err := assets.pages.ExecuteTemplate(out, "top", v); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	if err := t.writeElement(out); err != nil {
		return fmt.Errorf("writing the page's timeline: %w", err)
	}
	if err := assets.pages.ExecuteTemplate(out, "bottom", v); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	return out.Flush()
}

// pageAssets are what every page is made from.
type pageAssets struct {
	pages  *template.Template
	style  template.CSS
	script template.JS
	policy string
}

var loadPage = sync.OnceValues(func() (*pageAssets, error) {
	style, err := joined("*.css")
	if err != nil {
		return nil, err
	}
	script, err := joined("*.js")
	if err != nil {
		return nil, err
	}
	script = "(() => {\n\"use strict\";\n" + script + "})();\n"
	pages, err := template.New("").Funcs(pageFuncs).ParseFS(pageFiles, "page/*.html")
	if err != nil {
		return nil, err
	}
	policy := "default-src 'none'; style-src '" + digestOf(style) + "'; script-src '" + digestOf(script) +
		"'; img-src 'none'; base-uri 'none'; form-action 'none'"
	return &pageAssets{pages, template.CSS(style), template.JS(script), policy}, nil
})

// joined returns the embedded files of a pattern as one text, in the order of their names.
func joined(pattern string) (string, error) {
	names, err := fs.Glob(pageFiles, "page/"+pattern)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, name := range names {
		text, err := pageFiles.ReadFile(name)
		if err != nil {
			return "", err
		}
		b.Write(text)
	}
	return b.String(), nil
}

// digestOf names an inline text as a Content-Security-Policy does (CSP level 3, hash-source).
func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
