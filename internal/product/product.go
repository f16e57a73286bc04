// Package product knows what OpenClaw has called itself. It is apart because what reads files and what reads the live
// machine both ask.
package product

import (
	"regexp"
	"slices"
	"strings"
)

// Names are OpenClaw's, in lower case, newest first.
var Names = []string{"openclaw", "clawdbot", "moltbot"}

// ourselves is the name of this tool, and what a unit or a crontab that runs it gives it to do, which may name OpenClaw's directories.
var ourselves = regexp.MustCompile(`openclaw-ir( +collect --snapshot (?:[^;|&(\n\x60$]|\$[^;|&(\n\x60])*)?`)

// Mentions reports that text names OpenClaw, other than in the name of this tool and in what it takes snapshots of.
func Mentions(text string) bool {
	text = strings.ToLower(text)
	if strings.Contains(text, "openclaw-ir") {
		text = ourselves.ReplaceAllString(text, "")
	}
	return slices.ContainsFunc(Names, func(name string) bool { return strings.Contains(text, name) })
}
