package shell

import "strings"

// Bounds of what a command becomes.
const (
	maxLayers  = 64
	maxLayered = 1 << 20 // bytes of all layers but the first
	minLiteral = 24      // bytes of an encoded text inside a command that is decoded
)

// assemble puts the layers and the lists together after everything was followed.
func (f *follow) assemble(src value, tail string) {
	if !f.unparsed {
		settle(f.all)
	}
	f.cmd.Layers = append(f.cmd.Layers, Layer{LayerRaw, src.render()})
	if tail != "" {
		f.cmd.Layers = append(f.cmd.Layers, Layer{LayerRaw, tail})
	}
	bare := f.readings()
	f.pipelines()
	if f.unparsed {
		bare = append(bare, src.text)
	}
	f.decodeAll(bare)
	f.urls()
	f.finish()
	f.unmask()
}

// readings adds the canonical forms of all scripts, code of other languages and decoded texts. It returns them without the
// encoded texts that nothing runs.
func (f *follow) readings() []string {
	var bare []string
	for _, s := range f.scripts {
		out := s.out.value()
		out.decoded = s.src.decoded
		bare = append(bare, f.reading(out))
	}
	for _, code := range f.codes {
		bare = append(bare, f.reading(code))
	}
	for _, sp := range f.spaces {
		f.reading(value{text: sp.text, segs: []seg{{0, len(sp.text), sp, 0, len(sp.text)}}, decoded: true})
	}
	return bare
}

func (f *follow) reading(v value) string {
	name := LayerWords
	if v.decoded {
		name = LayerDecoded
	}
	f.layer(name, v.render())
	return v.renderBare()
}

// layer adds a layer unless its text is there already.
func (f *follow) layer(name, text string) {
	if strings.TrimSpace(text) == "" || text == Blank {
		return
	}
	for _, l := range f.cmd.Layers {
		if l.Text == text {
			return
		}
	}
	if f.layered += len(text); len(f.cmd.Layers) >= maxLayers || f.layered > maxLayered {
		f.cmd.Cut = true
		return
	}
	f.cmd.Layers = append(f.cmd.Layers, Layer{name, text})
}

// decodeAll adds what is encoded in texts that run.
func (f *follow) decodeAll(texts []string) {
	d := decoder{bytes: maxDecoded, runs: maxRuns, least: minLiteral}
	for _, text := range texts {
		d.found = d.found[:0]
		d.scan(text, 1, Decoded{})
		for _, found := range d.found {
			f.layer(LayerDecoded, found.Text)
		}
	}
}

// urls notes the URLs of everything that runs.
func (f *follow) urls() {
	for i, l := range f.cmd.Layers {
		if i > 0 || len(f.cmd.Layers) == 1 || f.unparsed {
			f.urlsIn(l.Text)
		}
	}
}

// finish writes down processes and writes, in which data is now known.
func (f *follow) finish() {
	bytes := 0
	for _, p := range f.processes {
		if bytes > maxLayered {
			f.cmd.Cut = true
			break
		}
		done := p.finished()
		bytes += 2 * len(done.Text)
		f.cmd.Processes = append(f.cmd.Processes, done)
	}
	for _, w := range f.writes {
		w.Text = w.content.text
		f.cmd.Writes = append(f.cmd.Writes, w.Write)
	}
}

func (p process) finished() Process {
	b := builder{buf: make([]byte, 0, 64)}
	done := Process{Name: p.name, Parent: p.parent}
	for i, a := range p.args {
		if i > 0 {
			b.write(" ")
			done.Args = append(done.Args, a.render())
		}
		quoteInto(&b, a)
	}
	if done.Path = p.name; len(p.args) > 0 {
		done.Path = p.args[0].text
	}
	if len(p.redirs.text) > 0 {
		if len(b.buf) > 0 {
			b.write(" ")
		}
		b.add(p.redirs)
	}
	done.Text = b.value().render()
	return done
}

// unmask adds each layer that holds masked secrets with a token's text for them.
func (f *follow) unmask() {
	for _, l := range f.cmd.Layers {
		if text, ok := Unmask(l.Text); ok {
			f.layer(LayerUnmasked, text)
		}
	}
}
