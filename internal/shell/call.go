package shell

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// A process is a Process before it is known what of it is only data.
type process struct {
	name   string
	args   []arg
	redirs value
	parent string
}

// An invocation is a simple command about to be followed.
type invocation struct {
	name   string // base name of the program
	args   []arg  // with the program
	parent string
	in     value // standard input
	redirs value // as text
	depth  int   // of programs that start each other
}

// operands returns the words after the program.
func (c invocation) operands() []arg { return c.args[1:] }

// inner returns the invocation of a command that c starts.
func (c invocation) inner(args []arg, parent string) invocation {
	c.args, c.parent = args, parent
	c.depth++
	return c
}

// call follows a simple command.
func (s *script) call(c *syntax.CallExpr, redirs redirections, in value) value {
	args := s.args(c.Args)
	for i, a := range c.Assigns {
		if i > 0 {
			s.emit(" ")
		}
		s.assign(a, len(args) > 0)
	}
	if len(c.Assigns) > 0 && len(args) > 0 {
		s.emit(" ")
	}
	return s.simple(args, redirs, in)
}

// simple follows a simple command whose words are known.
func (s *script) simple(args []arg, redirs redirections, in value) value {
	if len(args) > 0 {
		args[0] = globbedName(args[0])
	}
	for i, a := range args {
		if i > 0 {
			s.emit(" ")
		}
		s.word(a)
	}
	s.spaced(redirs)
	if len(args) == 0 {
		return known("")
	}
	return s.exec(invocation{args: args, parent: s.parent, in: in, redirs: redirs.text.value()})
}

// exec follows a program, and what it starts in turn.
func (s *script) exec(c invocation) value {
	if len(c.args) == 0 || !s.step() {
		return value{}
	}
	if c.depth > maxWrappers {
		s.cmd.Cut = true
		s.useArgs(c)
		return value{}
	}
	use(c.args[0].value)
	if c.args[0].text == "" || !c.args[0].exact && strings.ContainsAny(c.args[0].text, "( ") {
		s.useArgs(c) // what a substitution prints, which is not known
		return value{}
	}
	c.name = baseName(c.args[0].text)
	s.record(c)
	if f := s.functions[c.name]; f != nil && !f.busy {
		return s.invoke(f, c)
	}
	if act := actionOf(c.name); act != nil {
		return act(s, c)
	}
	s.external(c)
	return fetches(c)
}

// external notes what any other program does with its words.
func (s *script) external(c invocation) {
	for _, i := range dataWords(c) {
		s.inertBut(&c.args[i], keptOf(c))
	}
	s.useArgs(c)
	s.reach(c)
	if runsInput(c) {
		s.code(c.in)
	}
	if path := c.args[0].text; strings.Contains(path, "/") && !strings.Contains(path, "://") {
		s.runFile(path, c)
	}
}

// useArgs marks what the words of a command were made of as run, but for those that are only data.
func (s *script) useArgs(c invocation) {
	for _, a := range c.args {
		if !a.inert {
			use(a.value)
		}
	}
}

// invoke follows a function's body with the parameters of a call.
func (s *script) invoke(f *function, c invocation) value {
	s.useArgs(c)
	f.busy = true
	defer func() { f.busy = false }()
	inner := &script{follow: s.follow, src: f.script.src, parent: s.parent, depth: s.depth + 1}
	for _, a := range c.operands() {
		inner.params = append(inner.params, a.value)
	}
	if !s.enter(inner) {
		return value{}
	}
	return inner.stmt(f.body, c.in)
}

// enter adds a script unless there are too many.
func (s *script) enter(inner *script) bool {
	if len(s.scripts) >= maxScripts || inner.depth > maxNesting {
		s.cmd.Cut = true
		return false
	}
	s.scripts = append(s.scripts, inner)
	return true
}

// record notes a process.
func (s *script) record(c invocation) {
	if len(s.processes) >= maxProcesses {
		s.cmd.Cut = true
		return
	}
	s.processes = append(s.processes, process{c.name, c.args, c.redirs, c.parent})
	if name := reconnaissance(c); name != "" {
		s.cmd.Recon = once(s.cmd.Recon, name)
	}
}

// once adds a text to a list that does not have it.
func once(list []string, text string) []string {
	for _, have := range list {
		if have == text {
			return list
		}
	}
	return append(list, text)
}

func baseName(path string) string {
	if i := strings.LastIndexAny(path, `/\`); i >= 0 && i+1 < len(path) {
		path = path[i+1:]
	}
	if len(path) > 4 && strings.EqualFold(path[len(path)-4:], ".exe") {
		path = path[:len(path)-4]
	}
	return path
}

// assign follows a variable's assignment. A value that a program gets in its environment is used; one that the script
// keeps is only data until it is.
func (s *script) assign(a *syntax.Assign, used bool) {
	if a.Name == nil {
		s.word(arg{value: s.text(a.Value)})
		return
	}
	s.emit(a.Name.Value)
	if a.Naked {
		return
	}
	s.emit("=")
	var x variable
	if a.Array != nil {
		x = s.array(a.Array)
	} else {
		x = variable{values: []value{s.assigned(a.Value)}}
	}
	if old, ok := s.vars[a.Name.Value]; ok && a.Append {
		x = old.append(x)
	}
	if used || isTelling(a.Name.Value) {
		use(x.values...)
	}
	for _, v := range x.values {
		s.spend(len(v.text))
	}
	s.set(a.Name.Value, x)
}

// assigned writes and returns the value that is assigned.
func (s *script) assigned(w *syntax.Word) value {
	v := s.text(w)
	s.word(arg{value: v, quoted: true})
	if d := s.datum(w); d != nil {
		v.data = append(v.data[:len(v.data):len(v.data)], d)
	}
	return v.compact()
}

// maxElements is how many elements of an array are kept.
const maxElements = 1024

func (s *script) array(a *syntax.ArrayExpr) variable {
	x := variable{array: true}
	s.emit("(")
	for i, e := range a.Elems {
		if i > 0 {
			s.emit(" ")
		}
		if e.Value == nil {
			continue
		}
		if i >= maxElements {
			s.cmd.Cut = true
			break
		}
		for _, f := range s.fields(e.Value) {
			s.word(f)
			if d := s.datum(e.Value); d != nil {
				f.data = append(f.data[:len(f.data):len(f.data)], d)
			}
			x.values = append(x.values, f.value)
		}
	}
	s.emit(")")
	return x
}

// append is +=.
func (v variable) append(more variable) variable {
	if v.array || more.array {
		return variable{append(v.values, more.values...), true}
	}
	var b builder
	b.add(v.all())
	b.add(more.all())
	if len(b.buf) > maxValue {
		return variable{values: []value{{data: b.data}}}
	}
	return variable{values: []value{b.value().compact()}}
}

// isTelling reports whether a variable changes what later programs do without being named by them.
func isTelling(name string) bool {
	switch name {
	case "PATH", "ENV", "BASH_ENV", "PROMPT_COMMAND", "IFS", "PYTHONSTARTUP", "PERL5OPT", "RUBYOPT", "NODE_OPTIONS":
		return name != "IFS"
	}
	for _, part := range []string{"LD_", "DYLD_", "_PROXY", "_proxy", "BASE_URL", "ENDPOINT", "OPENCLAW", "CLAWDBOT"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// declare follows export and its kin.
func (s *script) declare(c *syntax.DeclClause) value {
	s.emit(c.Variant.Value)
	var b builder
	b.write(c.Variant.Value)
	for _, a := range c.Args {
		s.emit(" ")
		start := len(s.out.buf)
		s.assign(a, c.Variant.Value == "export")
		b.write(" ")
		b.add(s.out.since(start))
	}
	if len(s.processes) < maxProcesses {
		s.processes = append(s.processes, process{name: c.Variant.Value, args: []arg{}, redirs: b.value(), parent: s.parent})
	}
	return known("")
}
