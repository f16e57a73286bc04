// Package rotate replaces the secrets the agent held, and lists in order those that only a person can replace.
//
// It is not written yet: no command calls it.
package rotate
