package shell

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// A redirections is what a statement's redirections mean.
type redirections struct {
	in    value
	hasIn bool
	outs  []target
	text  builder // canonical form
}

// A target is a file that output goes to.
type target struct {
	path    string
	appends bool
	stdout  bool
}

// redirections reads where a statement's input comes from and where its output goes.
func (s *script) redirections(list []*syntax.Redirect) redirections {
	var r redirections
	for i, d := range list {
		if i > 0 {
			r.text.write(" ")
		}
		s.redirect(&r, d)
	}
	return r
}

func (s *script) redirect(r *redirections, d *syntax.Redirect) {
	number := ""
	if d.N != nil {
		number = d.N.Value
	}
	r.text.write(number + d.Op.String())
	if d.Op == syntax.Hdoc || d.Op == syntax.DashHdoc {
		s.hereDocument(r, d)
		return
	}
	word := arg{value: s.text(d.Word), word: d.Word, quoted: true}
	if !strings.ContainsRune("0123456789-", rune((word.text + "x")[0])) {
		r.text.write(" ")
	}
	quoteInto(&r.text, word)
	switch d.Op {
	case syntax.WordHdoc:
		s.inert(&word)
		word.text += "\n"
		r.in, r.hasIn = word.value, true
	case syntax.RdrIn, syntax.RdrInOut:
		s.inputFrom(r, word, d.Op, number)
	case syntax.DplIn:
		if in, open := s.files[descriptor+word.text]; open {
			r.in, r.hasIn = in, true
		}
	default:
		s.outputTo(r, word, d.Op, number)
	}
}

func (s *script) hereDocument(r *redirections, d *syntax.Redirect) {
	r.text.add(s.text(d.Word))
	if d.Hdoc == nil {
		return
	}
	v := s.text(d.Hdoc)
	if d.Op == syntax.DashHdoc {
		v = withoutTabs(v)
	}
	if p := s.datum(d.Hdoc); p != nil {
		v.data = append(v.data[:len(v.data):len(v.data)], p)
	}
	r.in, r.hasIn = v, true
}

// withoutTabs removes the tabs at the start of lines, as <<- does.
func withoutTabs(v value) value {
	var b builder
	for start := 0; start < len(v.text); {
		end := start + len(line(v.text[start:]))
		end = min(end+1, len(v.text))
		tabs := len(v.text[start:end]) - len(strings.TrimLeft(v.text[start:end], "\t"))
		b.literal(v.text[start+tabs:end], v.origin(start+tabs, end))
		start = end
	}
	b.data, b.vague, b.decoded = v.data, !v.exact, v.decoded
	return b.value()
}

func (s *script) inputFrom(r *redirections, word arg, op syntax.RedirOperator, number string) {
	use(word.value)
	if s.network(word.text) {
		return
	}
	if op == syntax.RdrInOut {
		r.outs = append(r.outs, target{word.text, true, false})
	}
	s.read(word.text)
	if number != "" && number != "0" {
		s.keep(descriptor+number, s.content(word.text))
		return
	}
	r.in, r.hasIn = s.content(word.text), true
}

// descriptor begins the path under which what an open descriptor reads is kept.
const descriptor = "/dev/fd/"

func (s *script) outputTo(r *redirections, word arg, op syntax.RedirOperator, number string) {
	use(word.value)
	isDup := op == syntax.DplOut && strings.Trim(word.text, "0123456789-") == ""
	if isDup || s.network(word.text) {
		return
	}
	appends := op == syntax.AppOut || op == syntax.AppAll
	r.outs = append(r.outs, target{word.text, appends, number == "" || number == "1"})
}

// network notes the host of bash's /dev/tcp and reports whether a path is one.
func (s *script) network(path string) bool {
	rest, ok := strings.CutPrefix(path, "/dev/tcp/")
	if !ok {
		rest, ok = strings.CutPrefix(path, "/dev/udp/")
	}
	if !ok {
		return false
	}
	host, _, _ := strings.Cut(rest, "/")
	s.host(host)
	return true
}

// deliver writes output to the files it goes to, and returns what is left of it.
func (s *script) deliver(r redirections, out value) value {
	for _, t := range r.outs {
		if t.stdout {
			s.output(t.path, t.appends, out)
			out = known("")
		} else {
			s.output(t.path, t.appends, value{})
		}
	}
	return out
}
