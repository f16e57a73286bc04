package main

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/clawbook/openclaw-ir/contain"
	"github.com/clawbook/openclaw-ir/internal/casefile"
)

// skipAction is the action of the custody line that says that a person skipped a step of the runbook.
const skipAction = "run skip"

// history finds in the custody log which steps of the runbook were done or skipped: for each the last line that says so. A step
// counts however it was run, also by hand. A step that failed was not done.
func history(cs *casefile.Case) (map[string]casefile.Entry, error) {
	did := map[string]casefile.Entry{}
	for line, err := range cs.Lines() {
		if err != nil {
			return nil, err
		}
		if line.Entry == nil {
			continue // case verify tells of it
		}
		e := *line.Entry
		name := stepOf(e)
		if _, replaced := did["rotate"]; e.Action == "rotate" && e.Exit != nil && replaced {
			name = "rotate" // how it ended
		}
		if name != "" {
			did[name] = e
		}
	}
	held, err := contained(cs)
	if !held {
		delete(did, "contain") // what was undone is to be done again
	}
	return did, err
}

// stepOf is the step that a line of the custody log says was done or skipped; "" for any other line.
func stepOf(e casefile.Entry) string {
	switch {
	case e.Action == skipAction:
		return e.Object
	case e.Exit == nil:
		// What rotate changes it notes one by one: after a "no" there is nothing of that.
		if verb, ok := strings.CutPrefix(e.Action, "rotate "); ok && verb != "done" && e.Result == "done" {
			return "rotate"
		}
		return ""
	case !succeeded(*e.Exit):
		return ""
	}
	switch e.Action {
	case "contain", "collect", "report":
		return e.Action
	case "analyze findings":
		return "analyze"
	}
	return ""
}

// contained reports whether the case's containment is in force.
func contained(cs *casefile.Case) (bool, error) {
	j, err := contain.LoadJournal(cs)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && j.State == contain.Contained, err
}
