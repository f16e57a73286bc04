package report

import (
	"fmt"
	"io"
	"time"

	"github.com/clawbook/openclaw-ir/internal/console"
)

// A Template is one kind of letter: to whom it goes and what stands in it.
type Template struct {
	Name string
	For  string // who gets it, in words
	To   string // the address; empty where only the user can know it

	subject  func(*Story) string
	sections []func(*letter)
}

// Templates are the letters there are, the usual one first.
func Templates() []Template {
	return []Template{
		{
			Name: "support", For: "ClawBook's support", To: "support@clawbook.io", subject: incidentSubject,
			sections: []func(*letter){
				(*letter).greet, (*letter).when, (*letter).unusual, (*letter).excerpts, (*letter).host, (*letter).attack, (*letter).reach, (*letter).severity,
				(*letter).actions, (*letter).open, (*letter).evidence, (*letter).coverage,
			},
		},
		{
			// The headings are those of "Required in Reports" in https://github.com/openclaw/openclaw/blob/main/SECURITY.md.
			Name: "security", For: "the security contact of OpenClaw", To: "security@openclaw.ai", subject: incidentSubject,
			sections: []func(*letter){
				(*letter).securityTitle, (*letter).securitySeverity, (*letter).securityImpact, (*letter).securityComponent, (*letter).securityReproduction,
				(*letter).securityDemonstrated, (*letter).securityEnvironment, (*letter).securityAdvice, (*letter).evidence, (*letter).coverage,
			},
		},
		{
			Name: "clawhub", For: "ClawHub, about skills", To: "security@openclaw.ai", subject: skillSubject,
			sections: []func(*letter){(*letter).greetClawHub, (*letter).skills, (*letter).releases, (*letter).limits},
		},
		{
			Name: "abuse", For: "the abuse desk of a provider", subject: abuseSubject,
			sections: []func(*letter){(*letter).greetAbuse, (*letter).addresses, (*letter).limits},
		},
		{
			Name: "management", For: "those who decide", subject: managementSubject,
			sections: []func(*letter){(*letter).summary, (*letter).done, (*letter).next, (*letter).unknown},
		},
	}
}

// TemplateNames lists the names that FindTemplate takes.
func TemplateNames() (names []string) {
	for _, t := range Templates() {
		names = append(names, t.Name)
	}
	return names
}

// FindTemplate returns the template of a name.
func FindTemplate(name string) (Template, bool) {
	for _, t := range Templates() {
		if t.Name == name {
			return t, true
		}
	}
	return Template{}, false
}

// Subject is the letter's subject: one line, with nothing hostile that could be more than text.
func (t Template) Subject(s *Story) string { return unmarked(t.subject(s)) }

// WriteText writes the letter as plain text, in lines of 72 columns where the words allow it.
func (t Template) WriteText(w io.Writer, s *Story) error { return t.compose(s).writeText(w) }

// WriteLetter writes the letter as WriteText does, with the address and the subject above it, for who copies it into a mail.
func (t Template) WriteLetter(w io.Writer, s *Story, to string) error {
	if to == "" {
		to = "(the address is yours to fill in)"
	}
	if _, err := fmt.Fprintf(w, "To: %s\nSubject: %s\n\n", console.Escape(to), headerText(t.Subject(s))); err != nil {
		return err
	}
	return t.WriteText(w, s)
}

// WriteMarkdown writes the letter as Markdown that is safe to paste into an issue.
func (t Template) WriteMarkdown(w io.Writer, s *Story) error {
	d := t.compose(s)
	d.subject = t.subject(s)
	return d.writeMarkdown(w)
}

func (t Template) compose(s *Story) *document {
	l := letter{Story: s}
	for _, section := range t.sections {
		section(&l)
	}
	return &l.document
}

// A letter is being written: the story, and what is said of it so far.
type letter struct {
	*Story
	document
}

func incidentSubject(s *Story) string {
	what := "Suspected compromise of OpenClaw"
	if s.Severity.Level != "" {
		what = s.Severity.Level + ": suspected compromise of OpenClaw"
	}
	return what + onHost(s) + onDay(s.Incident.First)
}

func skillSubject(s *Story) string {
	if len(s.Skills) == 1 {
		return plain("Abuse report: the skill %s", s.Skills[0].Name)
	}
	return fmt.Sprintf("Abuse report: %d skills", len(s.Skills))
}

func abuseSubject(s *Story) string {
	return "Abuse report: addresses used in an intrusion" + onDay(s.Incident.First)
}

func managementSubject(s *Story) string {
	return "Security incident with the AI assistant" + onHost(s) + ": where we stand"
}

// hostName is the name of the host, for which the case's stands in.
func onHost(s *Story) string {
	if s.Host.Name == "" {
		return ""
	}
	return plain(" on %s", head(s.Host.Name, 64))
}

func onDay(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return ", " + t.UTC().Format(time.DateOnly)
}

// stamp writes a time as all of the letter does: UTC, to the second.
func stamp(t time.Time) ours {
	if t.IsZero() {
		return "an unknown time"
	}
	return ours(t.UTC().Format("2006-01-02 15:04:05") + " UTC")
}

// stampText is stamp of a time in RFC 3339; of another text it is that text.
func stampText(s string) any {
	if t, ok := parseTime(s); ok {
		return stamp(t)
	}
	if s == "" {
		return ours("no time recorded")
	}
	return s
}
