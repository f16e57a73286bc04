//go:build !linux || !amd64

package faults

import (
	"fmt"
	"os"
)

// Main is the tracer, of which there is none here.
func Main() {
	fmt.Fprintln(os.Stderr, "faults: only on linux/amd64")
	os.Exit(125)
}
