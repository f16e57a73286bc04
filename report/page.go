package report

import (
	"html/template"
	"io"
)

// WritePage writes the case as one HTML file, for people to look at.
func WritePage(w io.Writer, s *Story) error {
	return template.Must(template.New("page").Parse("<!doctype html><title>{{.Case.Name}}</title>")).Execute(w, s)
}
