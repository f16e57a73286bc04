package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/clawbook/openclaw-ir/internal/console"
)

// checkLent refuses to run with rights that whoever started the program does not have: a set-id bit on its file, or capabilities there.
// With those every user of the host could read any file into a bundle, stop any process and change any configuration.
func checkLent() error {
	var how string
	switch {
	case os.Getuid() != os.Geteuid():
		how = fmt.Sprintf("its set-user-ID bit gives user %d the rights of user %d", os.Getuid(), os.Geteuid())
	case os.Getgid() != os.Getegid():
		how = fmt.Sprintf("its set-group-ID bit gives a user of group %d the rights of group %d", os.Getgid(), os.Getegid())
	case os.Getuid() != 0 && lentCapabilities():
		how = fmt.Sprintf("its file's capabilities give user %d rights of root's", os.Getuid())
	default:
		return nil
	}
	file := "FILE"
	if exe, err := os.Executable(); err == nil {
		file = console.ShellWord(exe)
	}
	return &codeError{exitFailed, errors.New("this program must not lend rights to whoever runs it: " + how), []string{
		"as root: chmod u-s,g-s " + file + "; setcap -r " + file + "; and find out who set them; then sudo openclaw-ir",
	}}
}
