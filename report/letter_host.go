package report

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/console"
)

func (l *letter) host() {
	l.heading("4. The host and the version")
	l.environment()
}

func (l *letter) environment() {
	h := &l.Host
	fact := func(name, value string) string {
		if value == "" {
			return name + ": not in the evidence"
		}
		return name + plain(": %s", title(value))
	}
	l.items(fact("host", h.Name), fact("operating system", h.OS), fact("kernel", strings.TrimSpace(h.Kernel+" "+h.Arch)))
	l.version()
}

func (l *letter) version() {
	for i := range l.Installations {
		in := &l.Installations[i]
		l.items(plain("OpenClaw %s of the account %s, in %s", title(cmp.Or(in.Version, "unknown")), cmp.Or(in.User, "unknown"), in.StateDir))
	}
	if len(l.Installations) == 0 {
		l.say("No installation of OpenClaw was found in what was read.")
	}
}

// attack pairs what came in with what the agent did.
func (l *letter) attack() {
	l.heading("5. What the attacker sent, and what the agent did")
	l.quoteInputs()
	l.say("What the agent did is quoted in part 3.")
}

func (l *letter) quoteInputs() {
	inputs := l.Incident.Untrusted
	if len(inputs) == 0 {
		l.say("No input was found that led to a finding of level high or above. The evidence need not hold it.")
		return
	}
	l.say("These inputs led to findings of level high or above. An input is not always the attacker's: whose it was stands with it.")
	for i := range inputs {
		if i == maxInputs {
			l.say("%s more lie in the sealed evidence.", ours(plural(len(inputs)-i, "input", "inputs")))
			break
		}
		in := &inputs[i]
		what := plain("Input %d, %s, of %s, %s:", i+1, stampText(in.Event.Time), in.Event.Asker.String(), ours(trustText(in.Trust)))
		head := inert(string(in.Event.Kind)+" "+strings.TrimSpace(in.Event.Tool+" "+in.Event.Target)+" #"+in.Event.ID, maxShown)
		l.quote(what, append([]string{head}, quoted(in.Quote)...)...)
	}
}

// trustText says whose an input is, in words.
func trustText(trust string) string {
	switch trust {
	case "owner":
		return "which holds the rights of the owner"
	case "paired":
		return "whom the owner had let in"
	case "external":
		return "from outside: a page, a file or a message that the agent read"
	case "system":
		return "from OpenClaw itself"
	}
	return "nobody known"
}

func (l *letter) reach() {
	l.heading("6. Could it be reached from outside")
	l.sayReach()
}

func (l *letter) sayReach() {
	for i := range l.Installations {
		in := &l.Installations[i]
		answer := map[string]ours{
			"yes": "yes, the configuration lets others than this machine reach the gateway.",
			"no":  "no, by the configuration: the gateway listens on this machine only. A tunnel or a reverse proxy does not show in it.",
		}[in.Beyond]
		l.say("%s: %s", in.StateDir, cmp.Or(answer, "not known, for the evidence does not tell."))
		var lines []string
		for _, line := range in.Reach {
			lines = append(lines, plain("%s", line))
		}
		l.items(lines...)
	}
	if len(l.Installations) == 0 {
		l.say("Not known.")
	}
	if n := len(l.Exposures); n > 0 {
		var lines []string
		for i := range l.Exposures {
			e := &l.Exposures[i]
			lines = append(lines, plain("%s: %s; %s ran %s", title(e.ID), title(e.Title), title(strings.Join(e.Releases, ", ")), title(e.Span)))
		}
		l.say("The conditions of %s of OpenClaw were met. That one was open does not say that it was used.", ours(plural(n, "known weakness", "known weaknesses")))
		l.items(limit(lines, maxWeaknesses)...)
	}
}

// limit keeps the first n lines and says how many more there are.
func limit(lines []string, n int) []string {
	if len(lines) <= n {
		return lines
	}
	return append(slices.Clone(lines[:n]), fmt.Sprintf("and %d more", len(lines)-n))
}

func (l *letter) severity() {
	l.heading("7. How bad it looks")
	l.saySeverity()
}

func (l *letter) saySeverity() {
	a := &l.Severity
	if l.unread() {
		l.say("%s", ours(ruleNone))
		return
	}
	l.say("Suggested severity: %s. The criterion: %s.", ours(a.Level), ours(a.Rule))
	var lines []string
	for _, b := range a.Because {
		lines = append(lines, plain("%s", ours(b)))
	}
	l.items(lines...)
	l.say("The criteria: SEV1 is that %s; SEV2, that %s; SEV3, that %s; SEV4, that %s.", ours(ruleSEV1), ours(ruleSEV2), ours(ruleSEV3), ours(ruleSEV4))
}

func (l *letter) actions() {
	l.heading("8. What I did")
	if len(l.Actions) == 0 {
		l.say("The case holds no action yet.")
		return
	}
	var lines []string
	for i := range l.Actions {
		if a := &l.Actions[i]; a.changes() {
			lines = append(lines, a.line())
		}
	}
	skipped := max(len(lines)-maxActions, 0)
	l.items(lines[skipped:]...)
	if more := len(l.Actions) + l.ActionsLeftOut - len(lines) + skipped; more > 0 {
		l.say("%s more, about looking, and how commands began and ended, are in the custody log.", ours(plural(more, "line", "lines")))
	}
}

// changes reports an action that did something: neither its beginning, nor a look, nor the line that only says how a command ended.
func (a *Action) changes() bool {
	command, _, _ := strings.Cut(a.Action, " ")
	switch {
	case a.Result == "begun" || slices.Contains([]string{"analyze", "report", "doctor"}, command):
		return false
	case a.Exit != nil:
		return !slices.Contains([]int{0, 3, 4}, *a.Exit)
	}
	return true
}

func (a *Action) line() string {
	object := a.Object
	if a.Action == "collect" {
		object = path.Base(object) // the bundle
	}
	line := plain("%s  %s", stamp(a.Time), strings.TrimSpace(a.Action+" "+object)) + plain(": %s", a.Result)
	if a.Exit != nil && *a.Exit != 0 {
		line += fmt.Sprintf(", exit code %d", *a.Exit)
	}
	if a.Note != "" {
		line += plain(" (%s)", a.Note)
	}
	return line
}

func (l *letter) open() {
	l.heading("9. What is still open")
	var open []string
	for i := range l.Open {
		it := &l.Open[i]
		if it.Status != "open" {
			continue
		}
		line := plain("%s", it.What)
		if len(it.Used) > 0 {
			line += plain("; the agent had it: %s", ours(strings.Join(it.Used, ", ")))
		}
		open = append(open, line)
	}
	if len(open) == 0 {
		l.say("No secret is listed as still to be replaced%s.", ours(map[bool]string{true: "; the list is empty", false: ""}[len(l.Open) == 0]))
		return
	}
	l.say("%s of %d still to be replaced, in this order:", ours(plural(len(open), "secret", "secrets")), len(l.Open))
	l.items(limit(open, maxListedOpen)...)
}

func (l *letter) evidence() {
	l.heading("Sealed evidence")
	if len(l.Bundles) == 0 {
		l.say("The case holds no sealed bundle. Nothing of the evidence was kept by this tool.")
	}
	for i := range l.Bundles {
		l.bundle(&l.Bundles[i])
	}
	c := &l.Case
	if c.Name == "" {
		return
	}
	lines := []string{plain("case: %s, id %s", c.Name, c.ID), plain("custody log: %s", ours(plural(c.Lines, "line", "lines"))), plain("SHA-256 of its last line: %s", title(hexOnly(c.Head)))}
	l.items(lines...)
	if len(c.Problems) > 0 {
		var problems []string
		for _, p := range c.Problems {
			problems = append(problems, plain("%s", p))
		}
		l.say("The custody log does not hold. Somebody or a fault changed it:")
		l.items(limit(problems, maxGaps)...)
	}
}

func (l *letter) bundle(b *Bundle) {
	lines := []string{plain("bundle: %s", b.Name)}
	if b.Problem != "" {
		lines = append(lines, plain("problem: %s", b.Problem))
	}
	if b.Note != "" {
		lines = append(lines, plain("note: %s", b.Note))
	}
	if b.Sent != "" {
		lines = append(lines, plain("how you get it: %s", title(b.Sent)))
	}
	if b.SHA256 == "" {
		l.items(lines...) // what has no seal that can be read is no more than a name
		return
	}
	lines = append(lines, plain("size: %d bytes (%s)", b.Size, ours(console.Size(b.Size))), plain("SHA-256: %s", title(hexOnly(b.SHA256))),
		plain("seal: %s.seal, SHA-256 %s", b.Name, title(hexOnly(b.SealSHA256))), plain("signed by: %s", b.Signer), plain("sealed: %s", stamp(b.Created)))
	for _, r := range b.Recipients {
		lines = append(lines, plain("can be opened by: %s", r))
	}
	l.items(lines...)
}

// hexOnly lets nothing through but a digest.
func hexOnly(s string) string {
	if s == "" || len(s) > 128 || strings.Trim(s, "0123456789abcdef") != "" {
		return "unknown"
	}
	return s
}

func (l *letter) coverage() {
	l.heading("What was read, and what was not")
	c := &l.Coverage
	found, read, unreadable := c.Files()
	l.items(
		plain("%s; files and databases: %d found, %d read, %d unreadable", ours(plural(c.Installations, "installation", "installations")), found, read, unreadable),
		plain("%d records, %d of them not understood; %d events, %d rules", c.Records, c.Unparsed, c.Events, c.Rules),
	)
	var gaps []string
	for _, m := range c.Missing {
		gaps = append(gaps, plain("missing: %s", m))
	}
	for _, g := range c.Gaps {
		gaps = append(gaps, plain("%s: %s", g.Path, g.What))
	}
	if c.Cut > 0 {
		gaps = append(gaps, plain("%d texts were too long to be matched wholly", c.Cut))
	}
	if n := c.Lost + l.FindingsLeftOut; n > 0 {
		gaps = append(gaps, plain("%d findings are not listed", n))
	}
	if n := len(l.Suppressed); n > 0 {
		gaps = append(gaps, plain("%d findings were left out because they are known and accepted", n))
	}
	if len(gaps) > 0 {
		l.say("What is missing:")
		l.items(limit(gaps, maxGaps)...)
	}
	l.limits()
}

// limits says what nothing here proves.
func (l *letter) limits() {
	l.say("The limits: only what OpenClaw and the host recorded can be seen, and whoever controlled the host can have changed the records. "+
		"OpenClaw masks some of what it stores. That something is not listed proves nothing. Written by %s at %s.", cmp.Or(l.Tool, "openclaw-ir"), stamp(l.Written))
}
