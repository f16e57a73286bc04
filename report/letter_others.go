package report

import (
	"cmp"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/severity"
)

func (l *letter) securityTitle() {
	l.say("Hello,")
	l.say("This is the report of an incident at an installation that I run, drafted by openclaw-ir. It is not the work of a security researcher: " +
		"what is not known is said to be unknown. By your policy a prompt injection alone is out of scope; whether a boundary was crossed is for you to judge from part 5.")
	l.say(asFound)
	l.heading("1. Title")
	l.say("%s", ours(incidentSubject(l.Story)))
}

func (l *letter) securitySeverity() {
	l.heading("2. Severity assessment")
	l.saySeverity()
}

func (l *letter) securityImpact() {
	l.heading("3. Impact")
	if len(l.Findings) == 0 {
		l.say("None was found in what was read.")
		return
	}
	l.say("Found in the evidence: %s.", ours(l.countText()))
	l.items(l.kinds()...)
	if n := l.sentSecrets(); n > 0 {
		l.say("Seen leaving the installation: %s it held.", ours(plural(n, "secret", "secrets")))
	}
}

func (s *Story) sentSecrets() (n int) {
	for i := range s.Open {
		if len(s.Open[i].Used) > 0 && s.Open[i].Used[0] == "sent" {
			n++
		}
	}
	return n
}

func (l *letter) securityComponent() {
	l.heading("4. Affected component")
	l.say("Not known to me: file, function and line are for you to find. The tools that were used, by the record:")
	var tools []string
	seen := map[string]bool{}
	for i := range l.Findings {
		f := &l.Findings[i]
		if f.Event == nil || f.Level < severity.High {
			continue
		}
		line := plain("tool %s, asked by %s", cmp.Or(f.Event.Tool, string(f.Event.Kind)), f.Event.Asker.String())
		if !seen[line] {
			seen[line] = true
			tools = append(tools, line)
		}
	}
	l.items(limit(tools, maxKinds)...)
	l.sayReach()
}

func (l *letter) securityReproduction() {
	l.heading("5. Technical reproduction")
	l.say("I have not reproduced it. This is the sequence that the evidence shows: the inputs, then (part 6) what the agent did.")
	l.quoteInputs()
}

func (l *letter) securityDemonstrated() {
	l.heading("6. Demonstrated impact")
	l.quoteDeeds("What the record says, the worst first. Links are broken on purpose (hxxp, [.]).")
}

func (l *letter) securityEnvironment() {
	l.heading("7. Environment")
	l.environment()
}

func (l *letter) securityAdvice() {
	l.heading("8. Remediation advice")
	var lines []string
	for i := range l.Posture {
		if w := &l.Posture[i]; w.Level >= severity.Medium {
			lines = append(lines, plain("%s: %s", title(w.Title), title(w.Fix)))
		}
	}
	if len(lines) == 0 {
		l.say("I have none beyond what is said above.")
		return
	}
	l.say("Of this installation's setup, these would have made it harder:")
	l.items(limit(lines, maxKinds)...)
}

func (l *letter) greetClawHub() {
	l.say("Hello,")
	l.say("The skills below were installed on a host that I run, and what they hold was found to be harmful by the rules named with them. Please look at them, and take them down if you agree.")
	l.say(asFound)
}

func (l *letter) skills() {
	l.heading("The skills")
	if len(l.Skills) == 0 {
		l.say("No finding is about a skill. There is nothing to report to ClawHub.")
	}
	for i := range l.Skills {
		s := &l.Skills[i]
		lines := []string{
			plain("skill: %s", s.Name), plain("publisher: %s", cmp.Or(s.Publisher, "not recorded on the host")), plain("version: %s", cmp.Or(s.Version, "not recorded on the host")),
			plain("SHA-256 of its SKILL.md: %s", ours(cmp.Or(s.SHA256, "the file is no longer there"))), plain("first found: %s", stampText(s.Time)),
		}
		for _, r := range s.Rules {
			lines = append(lines, plain("found: %s", title(r)))
		}
		l.items(lines...)
	}
}

// releases names what ran, and nothing private.
func (l *letter) releases() {
	var names []string
	for i := range l.Installations {
		names = append(names, plain("%s", title(cmp.Or(l.Installations[i].Version, "of an unknown version"))))
	}
	if len(names) > 0 {
		l.say("OpenClaw there: %s", ours(strings.Join(names, ", ")))
	}
}

func (l *letter) greetAbuse() {
	l.say("Hello,")
	l.say("A host that I run was misused. From it connections were made, or were to be made, to the addresses below, some of which may be yours. " +
		"Please look into them. Nothing that was sent is quoted here, and queries of URLs are left out, because they can hold private data.")
}

func (l *letter) addresses() {
	l.heading("Addresses and times")
	if len(l.Addresses) == 0 {
		l.say("No address outside this host's own networks was found. There is nothing to report to a provider.")
		return
	}
	var lines []string
	for i := range l.Addresses {
		a := &l.Addresses[i]
		line := plain("%s, %s", a.Value, stampText(a.First))
		if a.Count > 1 {
			line += plain(", %d times until %s", a.Count, stampText(a.Last))
		}
		lines = append(lines, line+plain(" (%s)", a.Deed))
	}
	l.items(limit(lines, 100)...)
	l.say("Times are UTC. Write hxxp as http and [.] as a dot to read an address.")
}

func (l *letter) summary() {
	l.heading("What happened")
	name := l.hostName("one of our servers")
	switch {
	case l.Severity.Level == "":
		l.say("We suspect that the AI assistant on %s was misused. The evidence has not been read yet.", name)
	case l.Incident.First.IsZero():
		l.say("We suspect that the AI assistant on %s was misused. What was read so far shows no grave sign of it, which proves nothing.", name)
	default:
		l.say("The AI assistant on %s very likely did things that nobody of us wanted, from %s on.", name, stamp(l.Incident.First))
	}
	l.say("%s", ours(map[string]string{
		"SEV1": "It looks as bad as it can: harmful commands ran, and data was sent away or a way back in was left behind.",
		"SEV2": "It looks bad: harmful commands ran. No sign was found that data was sent away or a way back in was left.",
		"SEV3": "Harmful things were tried or asked for; no sign was found that the worst of them succeeded.",
		"SEV4": "Nothing grave was found so far.",
	}[l.Severity.Level]))
	if n := l.sentSecrets(); n > 0 {
		l.say("Seen leaving the server: %s (passwords, keys) that the assistant held.", ours(plural(n, "secret", "secrets")))
	}
}

// milestones says in plain words what the custody log says, each once.
var milestones = []struct{ action, text string }{
	{"contain freeze", "The assistant was stopped in its tracks (frozen)."},
	{"contain kill", "The assistant was shut down and kept from starting again."},
	{"contain close", "The server was closed to the network."},
	{"collect", "The evidence was sealed, so that nobody can change it unseen."},
	{"rotate replace", "Passwords and keys that can be replaced on the server were replaced."},
	{"contain undo", "The measures at the server were taken back."},
}

// nothingDone are results that say that it was not done.
var nothingDone = []string{"begun", "failed", "not sealed", "simulated", "cut short"}

func (l *letter) done() {
	l.heading("What we have done")
	var lines []string
	told := map[string]bool{}
	for i := range l.Actions {
		a := &l.Actions[i]
		for _, m := range milestones {
			if strings.HasPrefix(a.Action, m.action) && !slices.Contains(nothingDone, a.Result) && a.Exit == nil && !told[m.text] {
				told[m.text] = true
				lines = append(lines, plain("%s: %s", stamp(a.Time), ours(m.text)))
			}
		}
	}
	if len(lines) == 0 {
		l.say("Nothing is on record yet.")
	}
	l.items(lines...)
}

func (l *letter) next() {
	l.heading("What comes next")
	open := 0
	for i := range l.Open {
		if l.Open[i].Status == "open" {
			open++
		}
	}
	if open > 0 {
		l.say("Passwords and keys still to be replaced, at the services that issued them: %d. Until then whoever has one can use it.", open)
	}
	l.say("The provider's support has been or will be told. The assistant stays off until the server is rebuilt from a state that we trust.")
}

func (l *letter) unknown() {
	l.heading("What we do not know")
	l.say("We see only what was recorded, and whoever controlled the server can have changed the records. That something does not show does not mean that it did not happen.")
	if n := len(l.Coverage.Missing) + len(l.Coverage.Gaps); n > 0 {
		l.say("Parts of the evidence that could not be read: %d.", n)
	}
}
