//go:build !linux

package main

// lentCapabilities is false: only Linux has capabilities of files.
func lentCapabilities() bool { return false }
