//go:build !linux

package host

import "os"

// copyACL does nothing: a file's list is not in an attribute here, and a directory passes on none that was not asked for.
func copyACL(_, _ *os.File) error { return nil }

// NamedWriter says no: ls shows a list here, and nothing reads it.
func NamedWriter(*os.File) (bool, error) { return false, nil }
