package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/clawbook/openclaw-ir/collect"
	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/rotate"
)

// A rest is what is left for the person when the runbook has been gone through.
type rest struct {
	Exit    int           `json:"exit"`
	Again   []string      `json:"steps,omitempty"` // that were skipped, failed or done in part
	Open    []rotate.Item `json:"open"`            // what only a person can replace
	Bundles []string      `json:"bundles"`
	Copy    string        `json:"copy,omitempty"` // a command to type on another machine
	Letter  string        `json:"letter,omitempty"`
	Page    string        `json:"page,omitempty"`
	Undo    []string      `json:"undo,omitempty"`    // a command, without the program's name
	Problem string        `json:"problem,omitempty"` // why the list may be incomplete
}

// end says what is left to do, and ends with the worst exit code of the steps.
func (x *runbook) end(err error) error {
	if err != nil {
		return x.left(err)
	}
	r := x.rest()
	x.write(guided{Record: "end", Exit: &r.Exit, End: r, text: x.restText(r)})
	if r.Exit == exitDone {
		return nil
	}
	return &codeError{r.Exit, fmt.Errorf("%s", endText(r)), nil}
}

func endText(r rest) string {
	switch {
	case len(r.Again) > 0:
		return fmt.Sprintf("%s not wholly done: see above", plural(len(r.Again), "step"))
	case len(r.Open) > 0:
		return plural(len(r.Open), "item") + " still open, and only you can close them"
	}
	return "done in part: see above"
}

func (x *runbook) rest() rest {
	r := rest{Open: []rotate.Item{}, Bundles: []string{}}
	x.did = x.history()
	for _, s := range x.stages {
		code := x.codeOf(s.Name)
		r.Exit = worse(r.Exit, code)
		if !x.isWhole(s.Name, code) {
			r.Again = append(r.Again, s.Name)
		}
	}
	ledger, err := rotate.LoadLedger(x.cs)
	if err != nil {
		r.Problem, r.Exit = err.Error(), worse(r.Exit, exitPartial)
	} else {
		r.Open = slices.DeleteFunc(slices.Clone(ledger.Items), func(it rotate.Item) bool { return it.Status != rotate.StatusOpen })
	}
	if len(r.Open) > 0 {
		r.Exit = worse(r.Exit, exitPartial)
	}
	r.Bundles = append(r.Bundles, newest(x.cs, casefile.BundlesDir, "*"+collect.BundleSuffix)...)
	if len(r.Bundles) > 0 {
		r.Copy = "scp " + console.ShellWord(x.cs.Info().Host+":"+x.cs.Path(casefile.BundlesDir, "*")) + " ."
	}
	r.Letter, r.Page = last(newest(x.cs, casefile.ReportDir, "*.eml")), last(newest(x.cs, casefile.ReportDir, "*.html"))
	if x.isContained() {
		r.Undo = append([]string{"contain", "undo"}, x.caseArgs()...)
	}
	return r
}

// codeOf is how a step ended, in this run or before; a step that was never run, or skipped, is open.
func (x *runbook) codeOf(name string) int {
	if code, ok := x.codes[name]; ok {
		return code
	}
	e, ok := x.did[name]
	switch {
	case !ok || e.Action == skipAction:
		return exitPartial
	case e.Exit != nil:
		return *e.Exit
	}
	return exitDone
}

// isWhole reports a step of which nothing is left to do. What rotate leaves open is a list of its own.
func (x *runbook) isWhole(name string, code int) bool {
	if e, before := x.did[name]; !before || e.Action == skipAction {
		return false
	}
	return code == exitDone || code == exitFound || name == "rotate" && code == exitPartial
}

// newest are the files of a directory of the case, the oldest first: their names begin alike and hold the time.
func newest(cs *casefile.Case, dir, pattern string) []string {
	names, err := filepath.Glob(cs.Path(dir, pattern))
	if err != nil {
		return nil
	}
	slices.SortFunc(names, func(a, b string) int { return modified(a) - modified(b) })
	return names
}

func modified(name string) int {
	fi, err := os.Stat(name)
	if err != nil {
		return 0
	}
	return int(fi.ModTime().UnixMilli())
}

func last(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[len(names)-1]
}

// maxOpen is how many open items are shown at the end; rotate list has them all.
const maxOpen = 12

func (x *runbook) restText(r rest) []string {
	text := []string{"", x.console.Paint(console.Strong, "what is left for you")}
	add := func(label, format string, args ...any) {
		text = append(text, x.beside(label, []string{fmt.Sprintf(format, args...)})...)
	}
	for _, name := range r.Again {
		add("step", "%s: %s", name, x.again("--from", name))
	}
	for _, it := range r.Open[:min(len(r.Open), maxOpen)] {
		add("replace", "%s (%s)", console.Escape(it.ID), console.Escape(it.Provider+" "+string(it.Kind)))
	}
	if n := len(r.Open) - maxOpen; n > 0 {
		add("", "and %d more", n)
	}
	if len(r.Open) > 0 {
		text = append(text, x.typed("how", append([]string{"rotate", "list"}, x.caseArgs()...))...)
	}
	if r.Problem != "" {
		add("unknown", "%s", console.Escape(r.Problem))
	}
	if r.Letter != "" {
		text = append(text, x.beside("send", []string{"when you have read it:", console.Escape(r.Letter)})...)
	}
	if r.Page != "" {
		add("look at", "%s", console.Escape(r.Page))
	}
	if r.Copy != "" {
		add("copy", "on another machine: %s", console.EscapeCommand(r.Copy))
	}
	if r.Undo != nil {
		add("undo", "when all of this is done:")
		text = append(text, x.typed("", r.Undo)...)
	}
	return text
}
