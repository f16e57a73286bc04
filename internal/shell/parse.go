package shell

import (
	"errors"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Bounds of what is read of a command.
const (
	maxHead = 256 << 10 // bytes of a command that are parsed
	maxTail = 64 << 10  // bytes of a longer one's end that the raw layer keeps
	maxDeep = 200       // parentheses inside parentheses
)

// errTooDeep is why a text is not parsed that would cost the parser too much stack.
var errTooDeep = errors.New("nested too deep")

// A Parser reads commands. It may be used again, by one goroutine at a time.
type Parser struct {
	dialects []*syntax.Parser
}

// NewParser returns a parser.
func NewParser() *Parser {
	var p Parser
	for _, lang := range []syntax.LangVariant{syntax.LangBash, syntax.LangMirBSDKorn, syntax.LangPOSIX} {
		p.dialects = append(p.dialects, syntax.NewParser(syntax.Variant(lang), syntax.KeepComments(true)))
	}
	return &p
}

// Parse says what a recorded command runs. It never fails: what cannot be read as a shell command is Broken.
func (p *Parser) Parse(command string) *Command {
	f := &follow{
		parser: p, cmd: &Command{}, vars: map[string]variable{}, files: map[string]value{}, functions: map[string]*function{},
	}
	head, tail := cutLong(command)
	f.cmd.Cut = head != command
	root := &space{text: head}
	f.all = append(f.all, root)
	src := value{text: head, segs: []seg{{0, len(head), root, 0, len(head)}}, exact: true}
	f.top(src)
	f.assemble(src, tail)
	return f.cmd
}

// cutLong returns the parts of a command that are looked at.
func cutLong(command string) (head, tail string) {
	if len(command) <= maxHead+maxTail {
		if len(command) > maxHead {
			return command[:maxHead], command[maxHead:]
		}
		return command, ""
	}
	return command[:maxHead], command[len(command)-maxTail:]
}

// top follows the command itself.
func (f *follow) top(src value) {
	s := &script{follow: f, src: src}
	f.scripts = append(f.scripts, s)
	if words, ok := plainWords(src); ok {
		s.simple(words, redirections{}, value{})
		return
	}
	text := restore(src.text)
	s.src.text = text
	file, err := f.parser.parse(text)
	if err == nil && !isPowerShell(text) {
		s.run(file)
		return
	}
	s.repaired(text)
}

// parse reads a script in the first dialect that it is written in.
func (p *Parser) parse(text string) (*syntax.File, error) {
	if tooDeep(text) {
		return nil, errTooDeep
	}
	var first error
	for _, d := range p.dialects {
		file, err := d.Parse(strings.NewReader(text), "")
		if err == nil {
			return file, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}
