package shell

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Bounds of one command.
const (
	maxScripts   = 64      // scripts inside scripts
	maxNesting   = 8       // of scripts
	maxWrappers  = 16      // programs that start each other
	maxProcesses = 512     // simple commands
	maxSteps     = 3000    // statements and programs followed
	maxBytes     = 2 << 20 // text put together
	maxTurns     = 4       // turns of a loop that are followed with their own value
)

// A follow is the state of following one command.
type follow struct {
	parser    *Parser
	cmd       *Command
	all       []*space // texts that values were written in
	spaces    []*space // those of them that were decoded
	scripts   []*script
	processes []process
	writes    []write
	vars      map[string]variable
	files     map[string]value // what was written to paths by the command itself
	functions map[string]*function
	followed  map[string]bool // substitutions that were followed, in canonical form
	steps     int
	bytes     int
	decoded   int     // bytes that programs decoded
	layered   int     // bytes of layers
	codes     []value // code of other languages that runs
	ran       []fetched
	unparsed  bool // the command itself is no shell script
}

// A script is one text that is read as a shell script: the command, or one that it starts.
type script struct {
	*follow
	src           value
	parent        string // what starts it
	depth         int
	out           builder // canonical form
	params        []value // $1 and on
	unknownParams bool
}

// A function is a shell function's body and the script it stands in.
type function struct {
	script *script
	body   *syntax.Stmt
	busy   bool
}

// step reports whether there is effort left for one more statement.
func (f *follow) step() bool {
	f.steps++
	if f.steps > maxSteps || f.bytes > maxBytes {
		f.cmd.Cut = true
		return false
	}
	return true
}

func (f *follow) spend(bytes int) { f.bytes += bytes }

func (s *script) emit(text string) { s.out.write(text) }

// run follows a parsed script with nothing to read.
func (s *script) run(file *syntax.File) value { return s.feed(file, value{}) }

// feed follows a parsed script that reads in.
func (s *script) feed(file *syntax.File, in value) value {
	if strings.Contains(s.src.text, "#") {
		s.comments(file)
	}
	return s.stmts(file.Stmts, in)
}

// comments marks comments as data.
func (s *script) comments(file *syntax.File) {
	syntax.Walk(file, func(n syntax.Node) bool {
		if c, ok := n.(*syntax.Comment); ok {
			datumOf(s.written(c.Pos(), c.End()).segs)
		}
		return true
	})
}

// stmts follows statements one after the other and returns what they print.
func (s *script) stmts(list []*syntax.Stmt, in value) value {
	var out builder
	var last uint
	for i, st := range list {
		if i > 0 {
			s.separate(list[i-1], st.Pos().Line() > last)
		}
		last = st.End().Line()
		out.add(s.stmt(st, in))
	}
	return s.bounded(out)
}

// bounded returns the builder's value unless it has grown too long to be kept.
func (s *script) bounded(b builder) value {
	s.spend(len(b.buf))
	if len(b.buf) > maxValue {
		s.cmd.Cut = true
		return value{data: b.data}
	}
	return b.value().compact()
}

func (s *script) separate(before *syntax.Stmt, newLine bool) {
	switch {
	case newLine:
		s.emit("\n")
	case before.Background:
		s.emit(" ")
	default:
		s.emit("; ")
	}
}

// stmt follows one statement.
func (s *script) stmt(st *syntax.Stmt, in value) value {
	if !s.step() {
		return value{}
	}
	if st.Negated {
		s.emit("! ")
	}
	redirs := s.redirections(st.Redirs)
	if redirs.hasIn {
		in = redirs.in
	}
	out := s.command(st.Cmd, redirs, in)
	if st.Background {
		s.emit(" &")
	}
	return s.deliver(redirs, out)
}

// command follows what a statement consists of, without its redirections.
func (s *script) command(c syntax.Command, redirs redirections, in value) value {
	switch c := c.(type) {
	case nil:
		s.out.add(redirs.text.value())
		return known("")
	case *syntax.CallExpr:
		return s.call(c, redirs, in)
	case *syntax.DeclClause:
		return s.declare(c)
	case *syntax.BinaryCmd:
		out := s.binary(c, in)
		s.spaced(redirs)
		return out
	}
	out := s.compound(c, in)
	s.spaced(redirs)
	return out
}

func (s *script) spaced(r redirections) {
	if len(r.text.buf) > 0 {
		s.emit(" ")
		s.out.add(r.text.value())
	}
}

// compound follows the commands that hold others.
func (s *script) compound(c syntax.Command, in value) value {
	switch c := c.(type) {
	case *syntax.Subshell:
		return s.group("(", c.Stmts, ")", in)
	case *syntax.Block:
		return s.group("{ ", c.Stmts, "; }", in)
	case *syntax.IfClause:
		return s.conditional(c, in)
	case *syntax.WhileClause:
		return s.while(c, in)
	case *syntax.ForClause:
		return s.loop(c, in)
	case *syntax.CaseClause:
		return s.cases(c, in)
	case *syntax.FuncDecl:
		return s.function(c)
	case *syntax.TimeClause:
		s.emit("time ")
		return s.optional(c.Stmt, in)
	case *syntax.CoprocClause:
		s.emit("coproc ")
		return s.optional(c.Stmt, in)
	case *syntax.TestClause:
		s.compared(c)
	case nil:
		return known("")
	}
	s.inside(c)
	s.out.add(s.source(c))
	return known("")
}

// compared marks the words that a test compares as data.
func (s *script) compared(c *syntax.TestClause) {
	syntax.Walk(c, func(n syntax.Node) bool {
		t, ok := n.(*syntax.BinaryTest)
		if !ok || t.Op != syntax.TsMatch && t.Op != syntax.TsMatchShort && t.Op != syntax.TsNoMatch && t.Op != syntax.TsReMatch {
			return true
		}
		for _, x := range []syntax.TestExpr{t.X, t.Y} {
			if w, ok := x.(*syntax.Word); ok {
				s.datum(w)
			}
		}
		return true
	})
}

func (s *script) optional(st *syntax.Stmt, in value) value {
	if st == nil {
		return known("")
	}
	return s.stmt(st, in)
}

func (s *script) group(open string, list []*syntax.Stmt, end string, in value) value {
	s.emit(open)
	out := s.stmts(list, in)
	s.emit(end)
	return out
}

// binary follows a list or a pipeline. Long ones are nested on the left; they are unrolled so that they cost no stack.
func (s *script) binary(c *syntax.BinaryCmd, in value) value {
	links := []*syntax.BinaryCmd{c}
	for {
		first := links[len(links)-1].X
		next, ok := first.Cmd.(*syntax.BinaryCmd)
		if !ok || len(first.Redirs) > 0 || first.Negated {
			break
		}
		links = append(links, next)
	}
	out := s.stmt(links[len(links)-1].X, in)
	var all builder
	for i := len(links) - 1; i >= 0; i-- {
		s.emit(" " + links[i].Op.String() + " ")
		if op := links[i].Op; op == syntax.Pipe || op == syntax.PipeAll {
			out = s.stmt(links[i].Y, out)
			continue
		}
		all.add(out)
		out = s.stmt(links[i].Y, in)
	}
	all.add(out)
	return s.bounded(all)
}

func (s *script) conditional(c *syntax.IfClause, in value) value {
	var out builder
	word := "if "
	for ; c != nil; c = c.Else {
		if len(c.Cond) > 0 {
			s.emit(word)
			s.stmts(c.Cond, in)
			s.emit("; then ")
		} else {
			s.emit("; else ")
		}
		out.add(s.stmts(c.Then, in))
		word = "; elif "
	}
	s.emit("; fi")
	out.vague = true
	return s.bounded(out)
}

// while follows a loop, which may read its input line by line: each of a few lines, or all of them at once.
func (s *script) while(c *syntax.WhileClause, in value) value {
	inputs, word := []value{in}, "while "
	if c.Until {
		word = "until "
	}
	if n := strings.Count(strings.TrimSuffix(in.text, "\n"), "\n"); n > 0 && n < maxTurns {
		inputs = linesOf(in)
	}
	var out builder
	for i, in := range inputs {
		if i > 0 {
			s.emit("; ")
		}
		s.emit(word)
		s.stmts(c.Cond, in)
		s.emit("; do ")
		out.add(s.stmts(c.Do, in))
		s.emit("; done")
	}
	out.vague = true
	return s.bounded(out)
}

// linesOf cuts a value after its lines.
func linesOf(v value) []value {
	var lines []value
	for start := 0; start < len(v.text); {
		end := min(start+len(line(v.text[start:]))+1, len(v.text))
		lines = append(lines, v.part(start, end))
		start = end
	}
	return lines
}

// loop follows a loop's body for each of a few known values, or once with the name unknown.
func (s *script) loop(c *syntax.ForClause, in value) value {
	words, ok := c.Loop.(*syntax.WordIter)
	if !ok {
		s.emit("for ")
		s.inside(c.Loop)
		s.out.add(s.source(c.Loop))
		return s.body(c, in)
	}
	items := s.args(words.Items)
	s.emit("for " + words.Name.Value + " in")
	for i := range items {
		s.emit(" ")
		s.word(items[i])
		s.inert(&items[i])
	}
	if len(items) == 0 || len(items) > maxTurns || !allExact(items) {
		s.set(words.Name.Value, variable{values: []value{unknown("$"+words.Name.Value, items)}})
		return s.body(c, in)
	}
	var out builder
	for _, item := range items {
		s.set(words.Name.Value, variable{values: []value{item.value}})
		out.add(s.body(c, in))
	}
	return s.bounded(out)
}

// unknown returns a value that is one of args; running it runs them all.
func unknown(text string, args []arg) value {
	v := value{text: text}
	for _, a := range args {
		v.data = append(v.data, a.data...)
	}
	return v
}

func allExact(args []arg) bool {
	for _, a := range args {
		if !a.exact {
			return false
		}
	}
	return true
}

func (s *script) body(c *syntax.ForClause, in value) value {
	s.emit("; do ")
	out := s.stmts(c.Do, in)
	s.emit("; done")
	return out
}

func (s *script) cases(c *syntax.CaseClause, in value) value {
	s.emit("case ")
	s.out.add(s.text(c.Word))
	s.emit(" in")
	var out builder
	for _, item := range c.Items {
		for i, p := range item.Patterns {
			s.emit(strings.Repeat(" |", min(i, 1)) + " ")
			s.out.add(s.text(p))
			s.datum(p)
		}
		s.emit(") ")
		out.add(s.stmts(item.Stmts, in))
		s.emit(";;")
	}
	s.emit(" esac")
	out.vague = true
	return s.bounded(out)
}

// function follows a function's body once, with its parameters unknown, and keeps it for its calls.
func (s *script) function(c *syntax.FuncDecl) value {
	if c.Name == nil || c.Body == nil {
		return known("")
	}
	s.emit(c.Name.Value + "() ")
	f := &function{script: s, body: c.Body}
	if s.functions == nil {
		s.functions = map[string]*function{}
	}
	s.functions[c.Name.Value] = f
	f.busy = true
	was := s.unknownParams
	s.unknownParams = true
	s.stmt(c.Body, value{})
	s.unknownParams = was
	f.busy = false
	return known("")
}

// word writes a word in canonical form: in quotes only where it needs them.
func (s *script) word(a arg) { quoteInto(&s.out, a) }

func quoteInto(b *builder, a arg) {
	quote := ""
	switch {
	case !a.exact && a.quoted && strings.ContainsAny(a.text, " \t\n|&;<>()"):
		quote = `"`
	case !a.exact || a.text != "" && !strings.ContainsAny(a.text, " \t\n|&;<>()'\"`$\\"):
	case strings.Contains(a.text, "'"):
		quote = `"`
	default:
		quote = "'"
	}
	b.write(quote)
	b.literal(a.text, a.segs)
	b.write(quote)
}
