// Package product knows what OpenClaw has called itself. It is apart because what reads files and what reads the live
// machine both ask.
package product

import (
	"slices"
	"strings"
)

// Names are OpenClaw's, in lower case, newest first.
var Names = []string{"openclaw", "clawdbot", "moltbot"}

// Mentions reports that text names OpenClaw, other than in the name of this tool.
func Mentions(text string) bool {
	text = strings.ReplaceAll(strings.ToLower(text), "openclaw-ir", "")
	return slices.ContainsFunc(Names, func(name string) bool { return strings.Contains(text, name) })
}
