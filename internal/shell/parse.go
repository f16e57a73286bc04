package shell

import (
	"errors"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Bounds of what is read of a command.
const (
	maxHead       = 32 << 10  // bytes of a command that are parsed
	maxDocument   = 192 << 10 // bytes of a here-document at its beginning that are parsed besides
	maxTail       = 32 << 10  // bytes of a longer command whose end the raw layer keeps
	maxDeep       = 100       // brackets or compound commands inside others
	maxTests      = 500       // operators in the tests of a long command
	maxArithmetic = 2048      // bytes of an arithmetic expression in a long command
	maxWords      = 4096      // words of one simple command
)

// errTooDeep is why a text is not parsed that would cost the parser too much stack.
var errTooDeep = errors.New("nested too deep")

// A Parser reads commands. It may be used again, by one goroutine at a time.
type Parser struct {
	dialects []*syntax.Parser
	lenient  *syntax.Parser
	seen     map[string]*Command
}

// What is kept of commands that were parsed: agents run many again and again.
const (
	maxSeen      = 2048
	maxSeenBytes = 1024 // of a command
)

// NewParser returns a parser.
func NewParser() *Parser {
	var p Parser
	for _, lang := range []syntax.LangVariant{syntax.LangBash, syntax.LangMirBSDKorn, syntax.LangPOSIX} {
		p.dialects = append(p.dialects, syntax.NewParser(syntax.Variant(lang), syntax.KeepComments(true)))
	}
	p.lenient = syntax.NewParser(syntax.KeepComments(true), syntax.RecoverErrors(8))
	return &p
}

// Parse says what a recorded command runs. It never fails: what cannot be read as a shell command is Broken.
func (p *Parser) Parse(command string) *Command {
	if c := p.seen[command]; c != nil {
		return c
	}
	c := p.follow(command)
	if len(command) <= maxSeenBytes {
		if p.seen == nil || len(p.seen) >= maxSeen {
			p.seen = map[string]*Command{}
		}
		p.seen[strings.Clone(command)] = c
	}
	return c
}

func (p *Parser) follow(command string) *Command {
	head, tail := cutLong(command)
	f := newFollow(p, head)
	f.cmd.Cut = head != command
	src := value{text: head, segs: []seg{{0, len(head), f.all[0], 0, len(head)}}, exact: true}
	f.top(src)
	f.assemble(src, tail)
	return f.cmd
}

func newFollow(p *Parser, text string) *follow {
	return &follow{parser: p, cmd: &Command{}, all: []*space{{text: text}}}
}

// cutLong returns the parts of a command that are looked at.
func cutLong(command string) (head, tail string) {
	most := maxHead
	if len(command) > maxHead {
		most += documentAtStart(command)
	}
	if len(command) <= most {
		return command, ""
	}
	return command[:most], command[max(most, len(command)-maxTail):]
}

// documentAtStart returns how long the here-document is that a command begins with. Only one whose text is not expanded
// counts: it costs next to nothing to parse, and files that an agent writes in this way are often long.
func documentAtStart(command string) int {
	i := strings.IndexAny(command[:maxHead], "'\"#\\`$()<")
	rest, ok := strings.CutPrefix(command[max(i, 0):], "<<")
	if !ok {
		return 0
	}
	rest = strings.TrimLeft(strings.TrimPrefix(rest, "-"), " ")
	if rest == "" || rest[0] != '\'' && rest[0] != '"' {
		return 0
	}
	name, _, ok := strings.Cut(rest[1:min(len(rest), 256)], rest[:1])
	start := strings.IndexByte(command[:maxHead], '\n')
	if !ok || start < 0 {
		return 0
	}
	most := min(len(command), start+maxDocument)
	if n := strings.Index(command[start:most], "\n"+name+"\n"); n >= 0 {
		return n
	}
	return most - start
}

// top follows the command itself.
func (f *follow) top(src value) {
	s := &script{follow: f, src: src}
	s.out.buf = make([]byte, 0, len(src.text)+len(src.text)/4)
	f.scripts = append(f.scripts, s)
	if words, ok := plainWords(src); ok {
		s.simple(words, redirections{}, value{})
		return
	}
	text := restore(src.text)
	s.src.text = text
	file, err := f.parser.parse(text)
	if err == nil && !isWindows(text) {
		s.run(file)
		return
	}
	s.repaired(text, err)
}

// parse reads a script in the first dialect that it is written in.
func (p *Parser) parse(text string) (*syntax.File, error) {
	if tooDeep(text) {
		return nil, errTooDeep
	}
	file, err := p.dialects[0].Parse(strings.NewReader(text), "")
	if err == nil || len(text) > maxHead/4 {
		return file, err
	}
	for _, d := range p.dialects[1:] {
		if file, err := d.Parse(strings.NewReader(text), ""); err == nil {
			return file, nil
		}
	}
	return nil, err
}
