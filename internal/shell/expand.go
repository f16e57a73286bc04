package shell

import (
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// maxValue is how long a variable's value may grow, in bytes.
const maxValue = 64 << 10

// A variable is what was assigned to a name, by index if to an array.
type variable struct {
	values []value
	array  bool
}

// set gives a name its value.
func (f *follow) set(name string, x variable) {
	if f.vars == nil {
		f.vars = map[string]variable{}
	}
	f.vars[name] = x
}

// all returns the variable's values as one, joined by blanks.
func (v variable) all() value {
	if len(v.values) == 1 {
		return v.values[0]
	}
	var b builder
	for i, x := range v.values {
		if i > 0 {
			b.write(" ")
		}
		b.add(x)
	}
	return b.value()
}

// surroundings are variables that have a known meaning without being assigned, in the form that stands for it.
var surroundings = map[string]string{
	"HOME": "~", "IFS": " ", "OPENCLAW_STATE_DIR": "~/.openclaw", "OPENCLAW_CONFIG_PATH": "~/.openclaw/openclaw.json",
}

// param expands a variable. What is not known stays as it is written, in the short form.
func (s *script) param(p *syntax.ParamExp) value {
	if p.Param == nil {
		return s.source(p)
	}
	s.insideParam(p)
	v, found := s.lookup(p)
	switch {
	case found && v.exact:
		if out, ok := s.modify(p, v); ok && len(out.text) <= maxValue {
			return out
		}
	case found && isBare(p):
		return v
	case !found && p.Exp != nil:
		if out, ok := s.instead(p.Exp); ok {
			return out
		}
	}
	out := s.source(p)
	if isBare(p) {
		out = coarse(out, "$"+p.Param.Value)
	}
	out.data = v.data
	return out
}

// isBare reports whether p is $x or ${x}.
func isBare(p *syntax.ParamExp) bool {
	return !p.Excl && !p.Length && p.Index == nil && p.Slice == nil && p.Repl == nil && p.Exp == nil && p.Names == 0
}

// lookup returns what the parameter holds.
func (s *script) lookup(p *syntax.ParamExp) (value, bool) {
	name := p.Param.Value
	if x, ok := s.vars[name]; ok {
		v := s.element(x, p)
		if p.Excl && v.exact && p.Names == 0 {
			y, ok := s.vars[v.text]
			return y.all(), ok
		}
		return v, true
	}
	if v, ok := s.positional(name); ok {
		return v, true
	}
	if cut := p.Slice; cut != nil && (name == "PATH" || name == "HOME" || name == "PWD" || name == "SHELL") {
		return value{text: "/", exact: true}, isFirst(cut)
	}
	text, ok := surroundings[name]
	return known(text), ok
}

// isFirst reports whether a slice is of the first character, which of these variables is a slash.
func isFirst(cut *syntax.Slice) bool {
	from, ok := integer(cut.Offset)
	n, also := integer(cut.Length)
	return ok && also && from == 0 && n == 1
}

// elements returns the values that "${name[@]}" and "$@" stand for, if it is one of these.
func (s *script) elements(p *syntax.ParamExp) ([]value, bool) {
	if p.Param == nil || p.Excl || p.Length || p.Slice != nil || p.Repl != nil || p.Exp != nil {
		return nil, false
	}
	if p.Param.Value == "@" && p.Index == nil {
		return s.params, !s.unknownParams
	}
	x, ok := s.vars[p.Param.Value]
	if w, isWord := p.Index.(*syntax.Word); !ok || !x.array || !isWord || w.Lit() != "@" {
		return nil, false
	}
	return x.values[:min(len(x.values), maxFields)], true
}

func (s *script) element(x variable, p *syntax.ParamExp) value {
	i, literal := integer(p.Index)
	if !x.array && literal && i != 0 {
		return known("")
	}
	if !x.array || len(x.values) == 0 {
		return x.all()
	}
	if literal && i >= len(x.values) {
		return known("")
	}
	if literal && i >= 0 {
		return x.values[i]
	}
	if p.Index != nil {
		return x.all()
	}
	return x.values[0]
}

// positional returns $1, $@ and their like: at the top of a command there are none, so that they are only in the way of
// reading (`who$@ami`).
func (s *script) positional(name string) (value, bool) {
	if name == "@" || name == "*" {
		return variable{values: s.params}.all(), !s.unknownParams
	}
	n, err := strconv.Atoi(name)
	if err != nil || n == 0 || s.unknownParams {
		return value{}, false
	}
	if n <= len(s.params) {
		return s.params[n-1], true
	}
	return known(""), true
}

// modify applies what stands beside the name in ${name…}.
func (s *script) modify(p *syntax.ParamExp, v value) (value, bool) {
	switch {
	case p.Length:
		return known(strconv.Itoa(len(v.text))), true
	case p.Slice != nil:
		return slice(p.Slice, v)
	case p.Repl != nil:
		return s.replace(p.Repl, v)
	case p.Exp != nil:
		return s.expansion(p.Exp, v)
	}
	return v, p.Names == 0
}

func slice(cut *syntax.Slice, v value) (value, bool) {
	from, ok := integer(cut.Offset)
	if !ok {
		return v, false
	}
	if from < 0 {
		from += len(v.text)
	}
	from = min(max(from, 0), len(v.text))
	end := len(v.text)
	if cut.Length != nil {
		n, ok := integer(cut.Length)
		if !ok {
			return v, false
		}
		if end = from + n; n < 0 {
			end = len(v.text) + n
		}
	}
	return v.part(from, min(max(end, from), len(v.text))), true
}

// integer reads a literal number.
func integer(x syntax.ArithmExpr) (int, bool) {
	switch x := x.(type) {
	case *syntax.Word:
		n, err := strconv.Atoi(x.Lit())
		return n, err == nil && n < 1<<20
	case *syntax.ParenArithm:
		return integer(x.X)
	case *syntax.UnaryArithm:
		n, ok := integer(x.X)
		return -n, ok && x.Op == syntax.Minus && !x.Post
	}
	return 0, false
}

// replace replaces literal text; a pattern leaves the value unknown.
func (s *script) replace(r *syntax.Replace, v value) (value, bool) {
	old, by := s.text(r.Orig), s.text(r.With)
	if old.text == "" || !old.exact || !by.exact || strings.ContainsAny(old.text, "*?[") || old.text[0] == '#' || old.text[0] == '%' {
		return v, false
	}
	n := 1
	if r.All {
		n = -1
	}
	if strings.Count(v.text, old.text)*len(by.text) > maxValue {
		return v, false
	}
	return v.computed(strings.Replace(v.text, old.text, by.text, n)), true
}

// computed returns a value that was made of v.
func (v value) computed(text string) value {
	return value{text: text, data: v.data, exact: v.exact, decoded: v.decoded}
}

func (s *script) expansion(e *syntax.Expansion, v value) (value, bool) {
	arg := known("")
	if e.Word != nil {
		arg = s.text(e.Word)
	}
	switch e.Op {
	case syntax.AlternateUnset, syntax.AlternateUnsetOrNull:
		return arg, true
	case syntax.DefaultUnset, syntax.ErrorUnset, syntax.AssignUnset:
		return v, true
	case syntax.DefaultUnsetOrNull, syntax.ErrorUnsetOrNull, syntax.AssignUnsetOrNull:
		if v.text == "" {
			return arg, true
		}
		return v, true
	case syntax.RemSmallPrefix, syntax.RemLargePrefix, syntax.RemSmallSuffix, syntax.RemLargeSuffix:
		return remove(e.Op, v, arg.text)
	case syntax.UpperAll:
		return v.computed(strings.ToUpper(v.text)), true
	case syntax.LowerAll:
		return v.computed(strings.ToLower(v.text)), true
	case syntax.UpperFirst:
		return v.computed(strings.ToUpper(v.text[:min(1, len(v.text))]) + v.text[min(1, len(v.text)):]), true
	}
	return v, false
}

// remove takes literal text, or as many characters as there are question marks, from one end.
func remove(op syntax.ParExpOperator, v value, pattern string) (value, bool) {
	n := len(pattern)
	suffix := op == syntax.RemSmallSuffix || op == syntax.RemLargeSuffix
	switch {
	case strings.Trim(pattern, "?") == "":
	case strings.ContainsAny(pattern, "*?[\\"):
		return v, false
	case suffix && !strings.HasSuffix(v.text, pattern), !suffix && !strings.HasPrefix(v.text, pattern):
		return v, true
	}
	if n > len(v.text) {
		return v, true
	}
	if suffix {
		return v.part(0, len(v.text)-n), true
	}
	return v.part(n, len(v.text)), true
}

// instead returns what ${x:-word} gives when x is unknown: most likely it is unset, and that is what the trick relies on.
func (s *script) instead(e *syntax.Expansion) (value, bool) {
	switch e.Op {
	case syntax.DefaultUnset, syntax.DefaultUnsetOrNull, syntax.AssignUnset, syntax.AssignUnsetOrNull:
		return s.text(e.Word), true
	}
	return value{}, false
}

// insideParam follows commands in the parts of ${…} that are not expanded themselves.
func (s *script) insideParam(p *syntax.ParamExp) {
	for _, n := range []syntax.ArithmExpr{p.Index} {
		if n != nil {
			s.inside(n)
		}
	}
	if p.Slice != nil && p.Slice.Offset != nil {
		s.inside(p.Slice.Offset)
	}
}

// substitute follows $(…) and returns what it prints, or the command itself in canonical form if that is not known.
func (s *script) substitute(c *syntax.CmdSubst) value {
	if text := s.written(c.Pos(), c.End()); s.followed[text.text] {
		text.exact = false // it stands in a script that was put together from one that was followed
		return text
	}
	body, out := s.captured(c.Stmts)
	if out.exact && out.text != "" {
		out.text = strings.TrimRight(out.text, "\n")
		out.segs = out.origin(0, len(out.text))
		return out
	}
	v := enclose("$(", body, out)
	if s.followed == nil {
		s.followed = map[string]bool{}
	}
	s.followed[v.text] = true
	return v
}

// process follows <(…) and returns a path whose content is what it prints.
func (s *script) process(p *syntax.ProcSubst) value {
	body, out := s.captured(p.Stmts)
	v := enclose(p.Op.String(), body, out)
	s.keep(v.text, out)
	return v
}

func enclose(open string, body, out value) value {
	var b builder
	b.write(open)
	b.add(body)
	b.write(")")
	b.data = append(b.data, out.data...)
	b.vague = true
	return b.value()
}

// captured follows statements and returns their canonical form and what they print.
func (s *script) captured(list []*syntax.Stmt) (body, out value) {
	saved := s.out
	s.out = builder{}
	out = s.stmts(list, value{})
	body, s.out = s.out.value(), saved
	return body, out
}

// inside follows the commands in a node whose own meaning is not read: arithmetic, tests, patterns.
func (s *script) inside(n syntax.Node) {
	syntax.Walk(n, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.CmdSubst:
			s.substitute(n)
			return false
		case *syntax.ProcSubst:
			s.process(n)
			return false
		}
		return true
	})
}
