package store

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/console"
)

const (
	maxName    = 255     // bytes: as long as a file's name can be
	maxObjects = 100_000 // of a listing: eleven years of one every hour
	unfinished = ".part" // ends the name of an upload that goes on or was given up
)

// CheckName returns nil if something can be stored under name: one element of a path, of visible characters, that hides nothing.
func CheckName(name string) error {
	if problem := nameProblem(name); problem != "" {
		return fmt.Errorf("not a name in a store: %.300q: %s", name, problem)
	}
	return nil
}

func nameProblem(name string) string {
	switch {
	case name == "" || len(name) > maxName:
		return fmt.Sprintf("it has %d bytes", len(name))
	case strings.HasPrefix(name, "."):
		return "it begins with a dot"
	case strings.HasSuffix(name, unfinished):
		return "an upload that was not finished"
	case strings.ContainsAny(name, `/\`):
		return "it has a slash"
	case console.Escape(name) != name:
		return "it has characters that cannot be seen"
	}
	return ""
}

// A listing is what a store says that it holds, within reason.
type listing struct{ objects []Object }

// add takes one more, or says that there are too many.
func (l *listing) add(o Object) error {
	if len(l.objects) == maxObjects {
		return fmt.Errorf("listing: more than %d things", maxObjects)
	}
	if problem := nameProblem(o.Name); problem != "" {
		o.Problem = problem
	}
	if o.Problem == "" && o.Size < 0 {
		o.Problem = "it has no size"
	}
	l.objects = append(l.objects, o)
	return nil
}

func (l *listing) sorted() []Object {
	slices.SortFunc(l.objects, func(a, b Object) int { return cmp.Compare(a.Name, b.Name) })
	return l.objects
}

// cleanPath is a path of a store without dots and double slashes.
func cleanPath(p string) string { return path.Clean("/" + p) }
