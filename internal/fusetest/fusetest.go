// Package fusetest serves a file system that never answers, as the user of an agent can mount one wherever that user can write. It is
// for tests, on Linux.
package fusetest
