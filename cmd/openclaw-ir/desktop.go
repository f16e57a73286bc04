package main

import (
	"path"
	"runtime"

	"github.com/clawbook/openclaw-ir/internal/host"
)

// open opens a file in the program that the person at the desk uses for it. Root does not: a mail program or a browser has no
// business with root's rights.
func (e env) open(what, file string) {
	program := "xdg-open"
	if runtime.GOOS == "darwin" {
		program = "open"
	}
	if e.uid == 0 {
		e.console.Printf("not opened: root runs no such program; copy %s to your own account and type: %s %s", what, program, path.Base(file))
		return
	}
	runner, err := host.NewTrusted()
	if err == nil {
		err = runner.Start(host.Command{Argv: []string{program, file}, Env: e.desktop()})
	}
	if err != nil {
		e.console.Warningf("opening %s: %v; open %q yourself", what, err, file)
	}
}

// desktop is what a program of the desktop must know of it.
func (e env) desktop() (list []string) {
	for _, name := range []string{
		"HOME", "USER", "LANG", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "XDG_CURRENT_DESKTOP", "XDG_DATA_DIRS", "XDG_CONFIG_HOME",
	} {
		if v := e.getenv(name); v != "" {
			list = append(list, name+"="+v)
		}
	}
	return list
}
