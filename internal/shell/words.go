package shell

import (
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// An arg is one word of a command after expansion.
type arg struct {
	value
	quoted bool         // in quotes where it was written
	inert  bool         // only data for the program that gets it
	word   *syntax.Word // nil if it was not written as a word of this script
}

// An atom is a stretch of a word that is treated in one way.
type atom struct {
	value
	kind atomKind
}

type atomKind int

const (
	plain    atomKind = iota // written without quotes: braces in it expand
	quoted                   // in quotes or escaped
	expanded                 // from an expansion outside quotes: split at blanks
	border                   // between two elements of an array: the word ends here
)

// maxFields is how many words one word may become.
const maxFields = 64

// args expands words.
func (s *script) args(words []*syntax.Word) []arg {
	args := make([]arg, 0, len(words))
	for _, w := range words {
		if len(args) >= maxWords || s.bytes > maxBytes {
			s.cmd.Cut = true
			break
		}
		args = append(args, s.fields(w)...)
	}
	return args
}

// fields expands a word as bash does: braces, variables and commands with known values, splitting.
func (s *script) fields(w *syntax.Word) []arg {
	if len(w.Parts) == 0 {
		return nil
	}
	if l, ok := w.Parts[0].(*syntax.Lit); ok && len(w.Parts) == 1 {
		if v := s.lit(l); !strings.ContainsAny(v.text, "\\{") {
			return []arg{{value: canonical(v), word: w}}
		}
	}
	var args []arg
	for _, atoms := range s.braced(s.atoms(w.Parts, nil, plain)) {
		args = append(args, join(atoms, w)...)
		if len(args) > maxFields {
			s.cmd.Cut = true
			return args[:maxFields]
		}
	}
	for i := range args {
		args[i].value = canonical(args[i].value)
		s.spend(len(args[i].text))
	}
	return args
}

// text expands a word to one value, as in an assignment, a redirection or a here-document.
func (s *script) text(w *syntax.Word) value {
	if w == nil {
		return known("")
	}
	var b builder
	for _, a := range s.atoms(w.Parts, nil, plain) {
		b.add(a.value)
	}
	s.spend(len(b.buf))
	return canonical(b.value())
}

// join makes the words of atoms: one, or several where an expansion is split, or none.
func join(atoms []atom, w *syntax.Word) []arg {
	if len(atoms) == 1 && atoms[0].kind <= quoted {
		return []arg{{value: atoms[0].value, quoted: atoms[0].kind == quoted, word: w}}
	}
	var args []arg
	var b builder
	open, inQuotes := false, false
	flush := func() {
		if open {
			args = append(args, arg{value: b.value(), quoted: inQuotes, word: w})
		}
		b, open, inQuotes = builder{}, false, false
	}
	for _, a := range atoms {
		if a.kind == border {
			flush()
			continue
		}
		if a.kind != expanded || !a.exact {
			b.add(a.value)
			open = open || a.kind == quoted || a.text != ""
			inQuotes = inQuotes || a.kind == quoted
			continue
		}
		for i, f := range split(a.value) {
			if i > 0 {
				flush()
			}
			b.add(f)
			open = open || f.text != ""
		}
	}
	flush()
	return args
}

// split cuts a value at blanks. A blank at its start or end leaves an empty piece there, which ends the word beside it.
func split(v value) []value {
	var fields []value
	start := 0
	for i := 0; i <= len(v.text); i++ {
		if i < len(v.text) && !strings.ContainsRune(" \t\n", rune(v.text[i])) {
			continue
		}
		if i > start || i == len(v.text) || start == 0 && i == 0 {
			fields = append(fields, v.part(start, i))
		}
		start = i + 1
	}
	return fields
}

// maxBraces is how many lists in braces one word may have.
const maxBraces = 8

// braced expands the braces of a word unless there are too many.
func (s *script) braced(atoms []atom) [][]atom {
	lists, commas := 0, 0
	for _, a := range atoms {
		if a.kind == plain {
			lists += strings.Count(a.text, "{")
			commas += strings.Count(a.text, ",")
		}
	}
	if lists > maxBraces || lists > 0 && commas > maxFields {
		s.cmd.Cut = true
		return [][]atom{atoms}
	}
	return braces(atoms, maxFields)
}

// braces expands the lists in unquoted braces. Sequences such as {1..9} stay.
func braces(atoms []atom, most int) [][]atom {
	open, commas, end, ok := findBraces(atoms)
	if !ok {
		return [][]atom{atoms}
	}
	head, tails := between(atoms, place{}, open), braces(between(atoms, end.next(), place{len(atoms), 0}), most)
	cuts := append([]place{open}, append(commas, end)...)
	var all [][]atom
	for i := range len(cuts) - 1 {
		for _, element := range braces(between(atoms, cuts[i].next(), cuts[i+1]), most) {
			for _, tail := range tails {
				if len(all) < most {
					all = append(all, slices.Concat(head, element, tail))
				}
			}
		}
	}
	return all
}

// A place is a byte of one of several atoms.
type place struct{ atom, at int }

func (p place) next() place { return place{p.atom, p.at + 1} }

// before reports whether p comes first.
func (p place) before(q place) bool { return p.atom < q.atom || p.atom == q.atom && p.at < q.at }

// findBraces returns the first brace that opens a list, the list's commas and its end.
func findBraces(atoms []atom) (open place, commas []place, end place, ok bool) {
	var stack [][]place
	for i, a := range atoms {
		if a.kind != plain || !strings.ContainsAny(a.text, "{,}") {
			continue
		}
		for j := range len(a.text) {
			switch n := len(stack) - 1; {
			case a.text[j] == '{':
				stack = append(stack, []place{{i, j}})
			case a.text[j] == ',' && n >= 0:
				stack[n] = append(stack[n], place{i, j})
			case a.text[j] == '}' && n >= 0:
				top := stack[n]
				if n == 0 && len(top) == 1 && top[0] != (place{i, j - 1}) {
					continue // bash goes on to look for the end of a list
				}
				stack = stack[:n]
				if len(top) > 1 && (!ok || top[0].before(open)) {
					open, commas, end, ok = top[0], top[1:], place{i, j}, true
				}
				if ok && len(stack) == 0 {
					return open, commas, end, ok
				}
			}
		}
	}
	return open, commas, end, ok
}

// between returns the atoms from one place up to another.
func between(atoms []atom, from, to place) []atom {
	var cut []atom
	for i := from.atom; i <= to.atom && i < len(atoms); i++ {
		a := atoms[i]
		start, end := 0, len(a.text)
		if i == from.atom {
			start = from.at
		}
		if i == to.atom {
			end = to.at
		}
		if start < end || end == 0 && a.kind != plain && i < to.atom {
			cut = append(cut, atom{a.part(start, end), a.kind})
		}
	}
	return cut
}

// atoms reads the parts of a word.
func (s *script) atoms(parts []syntax.WordPart, atoms []atom, kind atomKind) []atom {
	expand := expanded
	if kind == quoted {
		expand = quoted
	}
	for _, p := range parts {
		switch p := p.(type) {
		case *syntax.Lit:
			atoms = s.literal(p, atoms, kind)
		case *syntax.SglQuoted:
			atoms = append(atoms, atom{s.single(p), quoted})
		case *syntax.DblQuoted:
			if !s.isNoWord(p) {
				atoms = append(atoms, atom{known(""), quoted})
			}
			atoms = s.atoms(p.Parts, atoms, quoted)
		case *syntax.ParamExp:
			atoms = s.expandInto(atoms, p, expand)
		case *syntax.CmdSubst:
			atoms = append(atoms, atom{s.substitute(p), expand})
		case *syntax.ProcSubst:
			atoms = append(atoms, atom{s.process(p), expand})
		default:
			s.inside(p)
			atoms = append(atoms, atom{s.source(p), quoted})
		}
	}
	return atoms
}

// isNoWord reports whether q is "$@" or its like without elements, which is not even an empty word.
func (s *script) isNoWord(q *syntax.DblQuoted) bool {
	if len(q.Parts) != 1 {
		return false
	}
	p, ok := q.Parts[0].(*syntax.ParamExp)
	if !ok {
		return false
	}
	elements, ok := s.elements(p)
	return ok && len(elements) == 0
}

// expandInto expands a variable: all elements of an array, each a word, or one value.
func (s *script) expandInto(atoms []atom, p *syntax.ParamExp, kind atomKind) []atom {
	elements, ok := s.elements(p)
	if !ok {
		return append(atoms, atom{s.param(p), kind})
	}
	for i, e := range elements {
		if i > 0 {
			atoms = append(atoms, atom{kind: border})
		}
		atoms = append(atoms, atom{e, kind})
	}
	return atoms
}

// source returns a node as it is written.
func (s *script) source(n syntax.Node) value {
	v := s.written(n.Pos(), n.End())
	v.exact = false
	return v
}

// written returns the script's text between two positions.
func (s *script) written(pos, end syntax.Pos) value {
	a := min(int(pos.Offset()), len(s.src.text))
	z := min(max(int(end.Offset()), a), len(s.src.text))
	return value{text: s.src.text[a:z], segs: s.src.origin(a, z), exact: true}
}

// single returns the text in single quotes.
func (s *script) single(q *syntax.SglQuoted) value {
	v := s.written(q.Left, q.Right)
	skip := 1
	if q.Dollar {
		skip = 2
	}
	if len(v.text) < skip || !q.Right.IsValid() {
		return known(q.Value)
	}
	v = v.part(skip, len(v.text))
	if !q.Dollar || !strings.Contains(v.text, `\`) {
		return coarse(v, q.Value)
	}
	text := ansi(q.Value)
	v = coarse(v, text)
	v.decoded = strings.ContainsAny(q.Value, "xuU01234567")
	return v
}

// coarse gives a value's origin to the text that it means.
func coarse(v value, text string) value {
	if v.text == text {
		return v
	}
	for i := range v.segs {
		v.segs[i].at, v.segs[i].n = 0, 0
	}
	if len(v.segs) > 0 {
		v.segs = v.segs[:1]
		v.segs[0].n = len(text)
	}
	v.text = text
	return v
}

// literal reads unquoted or double-quoted text: backslashes go, what follows them is quoted.
func (s *script) literal(l *syntax.Lit, atoms []atom, kind atomKind) []atom {
	v := s.lit(l)
	if !strings.Contains(v.text, `\`) {
		return append(atoms, atom{v, kind})
	}
	if !strings.ContainsAny(v.text, "{,}") {
		var b builder
		unquote(v, kind == quoted, func(a, z int, _ bool) { b.add(v.part(a, z)) })
		if len(b.segs) > maxFields {
			return append(atoms, atom{coarse(v, string(b.buf)), quoted})
		}
		return append(atoms, atom{b.value(), quoted})
	}
	unquote(v, kind == quoted, func(a, z int, escaped bool) {
		k := kind
		if escaped {
			k = quoted
		}
		atoms = append(atoms, atom{v.part(a, z), k})
	})
	return atoms
}

// lit returns literal text with its backslashes.
func (s *script) lit(l *syntax.Lit) value {
	v := s.written(l.ValuePos, l.ValueEnd)
	switch {
	case v.text == l.Value || strings.ReplaceAll(v.text, "\\\n", "") == l.Value:
		return v
	case strings.HasPrefix(v.text, l.Value): // the parser counts a here-document's end to its text
		return v.part(0, len(l.Value))
	}
	return coarse(v, l.Value)
}

// unquote calls yield for the stretches of a text between its backslashes.
func unquote(v value, inQuotes bool, yield func(a, z int, escaped bool)) {
	start := 0
	for i := 0; i+1 < len(v.text); i++ {
		if v.text[i] != '\\' || inQuotes && strings.IndexByte("$`\"\\\n", v.text[i+1]) < 0 {
			continue
		}
		if i > start {
			yield(start, i, false)
		}
		if v.text[i+1] != '\n' {
			yield(i+1, i+2, true)
		}
		i++
		start = i + 1
	}
	if start < len(v.text) {
		yield(start, len(v.text), false)
	}
}

// datum returns the datum of a word's literal parts.
func (s *script) datum(w *syntax.Word) *datum {
	if w == nil {
		return nil
	}
	return datumOf(s.literals(w.Parts, nil))
}

func (s *script) literals(parts []syntax.WordPart, segs []seg) []seg {
	for _, p := range parts {
		switch p := p.(type) {
		case *syntax.Lit:
			segs = append(segs, s.lit(p).segs...)
		case *syntax.SglQuoted:
			v := s.written(p.Left, p.Right)
			if skip := min(len(v.text), strings.IndexByte(v.text, '\'')+1); skip < len(v.text) {
				segs = append(segs, v.origin(skip, len(v.text))...)
			}
		case *syntax.DblQuoted:
			segs = s.literals(p.Parts, segs)
		}
	}
	return segs
}
