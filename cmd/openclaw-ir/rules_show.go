package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/analyze/rules"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/sigma"
)

// A rulePage is all of a rule that a user may want to know.
type rulePage struct {
	ruleRow
	Status         string                `json:"status,omitempty"`
	Date           string                `json:"date,omitempty"`
	Description    string                `json:"description"`
	Attack         []string              `json:"attack,omitempty"`
	Atlas          []string              `json:"atlas,omitempty"`
	FalsePositives []string              `json:"false_positives,omitempty"`
	References     []string              `json:"references,omitempty"`
	Logic          string                `json:"logic"` // YAML
	Positive       []map[string][]string `json:"must_match,omitempty"`
	Negative       []map[string][]string `json:"must_not_match,omitempty"`
}

func newRulePage(b *ruleBook, r *sigma.Rule) (*rulePage, error) {
	text, err := b.text(r)
	if err != nil {
		return nil, fmt.Errorf("reading the rule: %w", err)
	}
	p := &rulePage{
		ruleRow: newRuleRow(b.rules, r), Status: r.Status, Date: r.Date, Description: strings.Join(strings.Fields(r.Description), " "),
		FalsePositives: r.FalsePositives, References: r.References, Positive: r.Samples.Positive, Negative: r.Samples.Negative,
	}
	p.Attack, p.Atlas = r.Techniques()
	p.Logic, err = rules.Logic(text, r.Key())
	return p, err
}

// pageWidth is where lines of prose end.
const pageWidth = 100

// text is the page as a user reads it.
func (p *rulePage) text() string {
	lines := []string{fmt.Sprintf("%s  %s  %s", console.Escape(p.Rule), p.Level, console.Escape(p.Title)), ""}
	lines = append(lines, fold(console.Escape(p.Description), "", pageWidth)...)
	lines = append(lines, "")
	add := func(name string, texts ...string) {
		if text := strings.Join(texts, ", "); text != "" {
			lines = append(lines, fmt.Sprintf("%-11s %s", name, console.Escape(text)))
		}
	}
	add("records", p.Category)
	add("ATT&CK", p.Attack...)
	add("ATLAS", p.Atlas...)
	add("part of", p.PartOf...)
	add("not applied", p.Inactive)
	add("file", p.File)
	add("id", p.ID)
	add("status", strings.TrimSpace(p.Status+" "+p.Date))
	list := func(name string, texts []string) {
		if len(texts) == 0 {
			return
		}
		lines = append(lines, "", name+":")
		for _, t := range texts {
			lines = append(lines, fold(console.Escape(t), "  ", pageWidth)...)
		}
	}
	list("what may look like it", p.FalsePositives)
	list("known from", p.References)
	lines = append(lines, "", "what it matches:")
	for line := range strings.SplitSeq(strings.TrimSuffix(p.Logic, "\n"), "\n") {
		lines = append(lines, "  "+asWritten(line))
	}
	lines = append(lines, sampleLines("must match", p.Positive)...)
	lines = append(lines, sampleLines("must not match", p.Negative)...)
	return strings.Join(lines, "\n")
}

func sampleLines(name string, samples []map[string][]string) []string {
	if len(samples) == 0 {
		return nil
	}
	lines := []string{"", name + ":"}
	for _, s := range samples {
		lines = append(lines, "  "+sampleText(s))
	}
	return lines
}

// sampleText is a sample on one line; a command, which most samples are, is shown without its field's name.
func sampleText(sample map[string][]string) string {
	if command := sample["CommandLine"]; len(command) == 1 && (len(sample) == 1 || len(sample) == 2 && sample["Category"] != nil) {
		return asWritten(command[0])
	}
	var words []string
	for _, field := range slices.Sorted(maps.Keys(sample)) {
		words = append(words, asWritten(field+": "+strings.Join(sample[field], ", ")))
	}
	return strings.Join(words, "; ")
}

// asWritten makes a rule's text safe to show and leaves its backslashes single, so that it can be copied into a rule.
func asWritten(text string) string { return strings.ReplaceAll(console.Escape(text), `\\`, `\`) }

// fold breaks a text into lines of at most width bytes where its words allow.
func fold(text, indent string, width int) (lines []string) {
	line := indent
	for word := range strings.FieldsSeq(text) {
		if len(line) > len(indent) && len(line)+len(word) >= width {
			lines, line = append(lines, strings.TrimRight(line, " ")), indent
		}
		line += word + " "
	}
	return append(lines, strings.TrimRight(line, " "))
}
