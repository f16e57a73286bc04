// Package report tells the case as a letter to support, as Markdown, HTML and JSON, with no secret in it.
//
// It is not written yet: no command calls it.
package report
