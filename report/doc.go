// Package report tells the case as a letter to support, as Markdown, HTML and JSON, with no secret in it.
//
// Everything is made of a [Story], which the caller fills in. A [Template] is one kind of letter: to support, to the security
// contact of OpenClaw, to ClawHub, to a provider's abuse desk, to those who decide. What an intruder wrote is quoted so that no
// terminal, mail program, browser, issue tracker or assistant acts on it, and its length is bounded. The caller redacts the story
// ([Story.Redact]) and, before a file gets its name, has its finished bytes searched for every known secret ([Scan]).
//
// It sends nothing, and writes to nothing but the writers it is given.
package report
