// Package report tells the case as a letter to support, as Markdown, HTML and JSON, with no secret in it.
package report
