package statetest

import (
	"runtime/debug"
	"slices"
)

// Raced reports a build with the race detector, under which everything takes ten times as long: then tests of many states take
// fewer of them, and properties fewer examples.
func Raced() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == "-race" && s.Value == "true" })
}
