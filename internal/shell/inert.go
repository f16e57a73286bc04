package shell

import (
	"regexp"
	"slices"
	"strings"
)

// dataWords returns the indexes of the words of a command that only carry data: what a search looks for, a program of a
// language that cannot run others, a message to people.
func dataWords(c invocation) []int {
	switch c.name {
	case "grep", "egrep", "fgrep", "zgrep", "rg", "ag", "ack", "ugrep":
		return patterns(c, 0)
	case "sed", "gsed":
		return unless(canRunSed, programs(c, flags{"efl", []string{"expression", "file"}}), c)
	case "awk", "gawk", "mawk", "nawk":
		return unless(canRunAwk, programs(c, flags{short: "vFf"}), c)
	case "jq", "yq", "gojq":
		return programs(c, flags{"LfI", []string{"arg", "argjson", "slurpfile", "indent"}})
	case "git":
		return gitWords(c)
	case "gh", "glab", "hub":
		return optionValues(c, 1, "btn", "body", "title", "notes", "message", "description", "comment")
	case "openclaw", "clawdbot", "moltbot":
		return openclawWords(c)
	case "logger", "notify-send", "say", "wall", "figlet", "cowsay", "tput", "title":
		return operandIndexes(c)
	case "mail", "mailx", "mutt":
		return optionValues(c, 1, "s", "subject")
	case "svn", "hg", "jj":
		return optionValues(c, 1, "m", "message")
	case "curl":
		return sentWords(c)
	case "[", "test":
		return compared(c)
	}
	return nil
}

// hunted is what a search may look for that tells what it is about: secrets, and the products that would notice. These words
// are kept of a pattern that is otherwise blanked; none of them is a command.
var hunted = regexp.MustCompile(`(?i)api[_-]?key|secret|passw(?:or)?d|token|private key|akia|sk-ant|sk-proj|ghp_|xox[bp]|mnemonic|seed phrase|` +
	`crowdstrike|falcon|sentinel(?:one|d)|defender|mdatp|wazuh|auditd|osquery|clamav|little.?snitch|lulu|carbonblack|eset`)

// prose is all that stays of a text that is sent somewhere. Who sends a text about a command does not run it, but the
// words may be a secret, or a request that the other side runs.
var prose = regexp.MustCompile("[^|;&<>`$]+")

// keptOf returns what stays of a program's data words.
func keptOf(c invocation) *regexp.Regexp {
	switch c.name {
	case "grep", "egrep", "fgrep", "zgrep", "rg", "ag", "ack", "ugrep", "awk", "gawk", "mawk", "sed":
		return hunted
	case "git":
		if slices.ContainsFunc(c.args, func(a arg) bool { return a.text == "grep" || a.text == "log" }) {
			return hunted
		}
	case "curl":
		return prose
	}
	return nil
}

// inert marks a word as only data.
func (s *script) inert(a *arg) { s.inertBut(a, nil) }

// inertBut marks a word as only data except for what an expression matches.
func (s *script) inertBut(a *arg, kept *regexp.Regexp) {
	parts := a.segs
	if a.word != nil {
		parts = s.literals(a.word.Parts, nil)
	}
	if kept != nil {
		parts = without(parts, kept)
	}
	if d := datumOf(parts); d != nil {
		a.data = append(a.data[:len(a.data):len(a.data)], d)
	}
	a.inert = true
}

// without returns the parts of segs that an expression does not match.
func without(segs []seg, kept *regexp.Regexp) []seg {
	var rest []seg
	for _, g := range segs {
		from := g.from
		for _, m := range kept.FindAllStringIndex(g.space.text[g.from:g.from+g.size], -1) {
			rest = appendSeg(rest, g, from, g.from+m[0])
			from = g.from + m[1]
		}
		rest = appendSeg(rest, g, from, g.from+g.size)
	}
	return rest
}

func appendSeg(segs []seg, g seg, from, to int) []seg {
	if from < to {
		segs = append(segs, seg{n: to - from, space: g.space, from: from, size: to - from})
	}
	return segs
}

// unless leaves out the words of which run says that they run something.
func unless(run func(string) bool, indexes []int, c invocation) []int {
	return slices.DeleteFunc(indexes, func(i int) bool { return run(c.args[i].text) })
}

// canRunSed reports whether a sed program has the e command or flag, with which it runs its input.
func canRunSed(program string) bool {
	for _, mark := range []string{"/e", "|e", "#e", "1e ", ";e ", "$e ", "/ge", "|ge", "/eg"} {
		if strings.Contains(program, mark) {
			return true
		}
	}
	return strings.HasPrefix(program, "e ")
}

// canRunAwk reports whether an awk program runs a command or opens a connection.
func canRunAwk(program string) bool {
	return strings.Contains(program, "system(") || strings.Contains(program, "getline") ||
		strings.Contains(program, `|"`) || strings.Contains(program, `| "`) || strings.Contains(program, "/inet/") ||
		strings.Contains(program, "|&")
}

// grepFlags are the options of grep and its kin that take a word.
var grepFlags = flags{"efmABCdDgtTjEM", []string{
	"regexp", "file", "max-count", "after-context", "before-context", "context", "include", "exclude", "exclude-dir", "glob",
	"type", "color", "colors", "threads", "max-depth", "ignore-file", "replace", "sort",
}}

// patterns returns the patterns of a search: the values of -e, or the first operand. Operands begin after skip words.
func patterns(c invocation, skip int) []int {
	f := grepFlags
	if c.name != "rg" && c.name != "ag" && c.name != "ack" {
		f.short = "efmABCdD"
	}
	return programsFrom(c, f, 1+skip, "e", "regexp")
}

// programs returns the programs of sed, awk and jq: the values of -e, or the first operand.
func programs(c invocation, f flags) []int { return programsFrom(c, f, 1, "e", "expression") }

func programsFrom(c invocation, f flags, from int, short, long string) []int {
	if found := optionValues(c, from, short, long); len(found) > 0 {
		return found
	}
	from = min(from, len(c.args))
	for _, a := range c.args[from:] {
		if a.text == "-f" || a.text == "--file" {
			return nil
		}
	}
	if i := from + skipOptions(c.args[from:], f); i < len(c.args) {
		return []int{i}
	}
	return nil
}

// optionValues returns the words that are, or that hold, the values of some options, from a word on.
func optionValues(c invocation, from int, short string, long ...string) []int {
	var found []int
	for i := from; i < len(c.args); i++ {
		text := c.args[i].text
		switch {
		case len(text) < 2 || text[0] != '-':
		case text == "--":
			return found
		case text[1] == '-':
			name, _, joined := strings.Cut(text[2:], "=")
			if !slices.Contains(long, name) {
				continue
			}
			if joined {
				found = append(found, i)
			} else if i+1 < len(c.args) {
				i++
				found = append(found, i)
			}
		case strings.IndexByte(short, text[len(text)-1]) >= 0 && len(text) <= 4 && i+1 < len(c.args):
			i++
			found = append(found, i)
		case strings.IndexByte(short, text[1]) >= 0 && len(text) > 2:
			found = append(found, i)
		}
	}
	return found
}

// gitWords returns messages, search patterns and notes of git's commands.
func gitWords(c invocation) []int {
	i := 1 + skipOptions(c.operands(), flags{"Cc", []string{"git-dir", "work-tree", "namespace"}})
	if i >= len(c.args) {
		return nil
	}
	switch c.args[i].text {
	case "commit", "tag", "merge", "notes", "stash", "revert", "cherry-pick":
		return optionValues(c, i+1, "m", "message", "trailer", "author")
	case "grep":
		return patterns(c, i)
	case "log", "show", "shortlog", "rev-list", "reflog":
		return optionValues(c, i+1, "SG", "grep", "author", "committer", "format", "pretty")
	}
	return nil
}

// openclawWords returns the texts that OpenClaw's command line sends to people or to an agent.
func openclawWords(c invocation) []int {
	i := 1 + skipOptions(c.operands(), flags{long: []string{"profile"}})
	if i >= len(c.args) {
		return nil
	}
	switch c.args[i].text {
	case "message", "agent", "system":
		return optionValues(c, i+1, "m", "message", "text", "body", "caption")
	}
	return nil
}

// sentWords returns the data that curl sends to a server that is not this machine's.
func sentWords(c invocation) []int {
	for _, a := range c.args {
		if strings.Contains(a.text, "://localhost") || strings.Contains(a.text, "://127.") || strings.Contains(a.text, "://[::1]") || a.text == "--unix-socket" {
			return nil
		}
	}
	all := optionValues(c, 1, "d", "data", "data-raw", "data-binary", "data-ascii", "data-urlencode", "json", "form-string")
	return unless(func(text string) bool { return strings.HasPrefix(text, "@") }, all, c)
}

func operandIndexes(c invocation) []int {
	var all []int
	for i := 1; i < len(c.args); i++ {
		if !strings.HasPrefix(c.args[i].text, "-") {
			all = append(all, i)
		}
	}
	return all
}

// compared returns the words that test compares for being equal.
func compared(c invocation) []int {
	var all []int
	for i := 2; i+1 < len(c.args); i++ {
		if op := c.args[i].text; op == "=" || op == "==" || op == "!=" {
			all = append(all, i-1, i+1)
		}
	}
	return all
}
