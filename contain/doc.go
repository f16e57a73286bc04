// Package contain freezes the agent, keeps what stopping it would lose, stops it and closes the host; it verifies by looking and can undo.
//
// It is not written yet: no command calls it.
package contain
