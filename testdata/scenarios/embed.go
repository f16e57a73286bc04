// Package scenarios holds the two acceptance scenarios that openclaw-ir carries with it, for its drill.
package scenarios

import "embed"

// Archives has NAME.tar.zst for each scenario that a drill can be held on.
//
//go:embed automation.tar.zst log-poisoning.tar.zst
var Archives embed.FS
