// Package shell tells what a recorded command really runs, layer by layer, so that a detection matches what ran and not
// what was only mentioned.
//
// A command is read as bash reads it (mvdan.cc/sh, broken input tolerated) and followed without being run: quotes, escapes,
// variables with known values, pipes, here-documents, files written and run in the same command, encoded text that reaches
// an interpreter. Words that only carry data - what echo prints, what grep looks for, a commit's message, a comment - are
// replaced by [Blank] in every layer, unless they reach an interpreter.
//
// Nothing is executed, no file and no environment is read, and each step is bounded: hostile input costs little and sets
// Cut or Broken, it never fails.
package shell

// Blank stands in a layer for text that is only data.
const Blank = "⋯"

// The names of layers.
const (
	LayerRaw      = "raw"      // as recorded
	LayerWords    = "words"    // as the shell sees it: unquoted, expanded, rendered in one canonical form
	LayerDecoded  = "decoded"  // literal payloads decoded
	LayerUnmasked = "unmasked" // any of these with masked secrets replaced by text of a token's shape
)

// A Layer is one reading of a command. There may be several of one name: a script inside a command has its own.
type Layer struct {
	Name, Text string
}

// A Command is what one recorded command line does. It is not changed after Parse and may be shared.
type Command struct {
	Layers    []Layer
	Processes []Process
	URLs      []string // as written, without trailing punctuation
	Hosts     []string // lower case, without port; numeric spellings of an IPv4 address in dotted form too
	Writes    []Write
	Reads     []string // paths whose content is read
	Outputs   []string // paths that output or a download goes to
	Executes  []string // paths that are run
	Recon     []string // reconnaissance commands, by the names of DSC-001, each once
	Broken    bool     // not parsed as a shell command, at least in part: raw is then the text unchanged
	Cut       bool     // a bound was reached: something of the command was not looked at
}

// A Process is one simple command: a program and its arguments.
type Process struct {
	Name   string   // base name of the program
	Path   string   // as typed
	Args   []string // after the program's name
	Text   string   // its own canonical command line with redirections
	Parent string   // the wrapper or interpreter that starts it: "sudo", "bash -c", "ssh host"
}

// A Write is one change of a file by a command.
type Write struct {
	Path     string
	Append   bool
	Delete   bool
	Truncate bool   // emptied
	Text     string // what is written, as far as the command says it
	Known    bool   // Text is all of it
}
