package report

import (
	"bytes"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/inerttest"
)

func TestMarkdown(t *testing.T) {
	for _, story := range []*Story{hostileStory(nasty), hostileStory("```\n````\n~~~ ` ``"), hostileStory("- [ ] x\n1. y\n===\n---"), {}} {
		for _, tmpl := range Templates() {
			var md bytes.Buffer
			if err := tmpl.WriteMarkdown(&md, story); err != nil {
				t.Fatal(err)
			}
			inerttest.Markdown(t, tmpl.Name, md.Bytes())
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
			inerttest.Markdown(t, tmpl.Name, md.Bytes())
		}
	})
}
