// Package faults has a program's system calls fail, for tests: one of those that touch certain files returns an error, does only a
// part of its work, or ends the program as kill -9 does, just before it would have been made. The program is the real one and knows
// nothing of it: the kernel stops it at these calls and asks a tracer (seccomp(2), ptrace(2)), which is a process of its own.
//
// A test binary offers it as a command that it can run as:
//
//	testscript.Main(m, map[string]func(){"faults": faults.Main, …})
//	cmd, result := faults.Command(plan, "program", "argument")
package faults

// A Plan says which calls are counted, and what becomes of one of them.
type Plan struct {
	// Calls are the names of the calls, of those in [Names]; none for all of them.
	Calls []string
	// Under are paths: calls count whose file is one of them or lies in one. None for every file. Where a call has two files, one suffices;
	// those that have none, such as kill, count wherever they are asked for.
	Under []string
	// Nth is which of the counted calls it is, from 1; 0 for none, to see what there is.
	Nth int
	// On says that the same becomes of every call after it, too, as of a disk that is full.
	On bool
	// Fault is the error's name, such as EIO; or Short, for a call that reads or writes one byte; or Kill.
	Fault string
}

// What becomes of a call beside an error.
const (
	Short = "short"
	Kill  = "kill"
)

// A Call is a system call that was counted.
type Call struct {
	Name    string
	Path    string // of its file; of two, the one that is made
	Size    uint64 // how many bytes were asked for, of calls that Short shortens; else 0
	Changes bool   // it changes what is on the disk, or may
}

// A Result is what was seen of a program that ended.
type Result struct {
	Calls []Call // those that the plan counts, in order
	Met   bool   // there was an Nth
	Exit  int    // the program's exit code; 128 and the signal's number if one ended it
}

// NthOf returns the calls that a filter picks by their numbers, from 1.
func (r *Result) NthOf(pick func(Call) bool) (nth []int) {
	for i, c := range r.Calls {
		if pick(c) {
			nth = append(nth, i+1)
		}
	}
	return nth
}
