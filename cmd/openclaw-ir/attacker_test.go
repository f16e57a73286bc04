package main

import (
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// attackerRole is the name under which this binary is an intruder who goes on while we work: with the rights of the agent's user it
// makes of the agent's files whatever that user can.
const attackerRole = "live-attacker"

// An attacker changes a state directory without end: attackerRole STATE VAULT SEED, where VAULT has the files of others
// that must not be reached.
type attacker struct {
	state, vault string
	away         string // beside the state: what is moved out of the way
	random       *rand.Rand
	files, dirs  []string
	texts        map[string][]byte
}

func attack() {
	seed, err := strconv.ParseUint(os.Args[3], 10, 64)
	if err != nil {
		panic(err)
	}
	a := &attacker{state: os.Args[1], vault: os.Args[2], random: rand.New(rand.NewPCG(seed, 0)), texts: map[string][]byte{}}
	a.away = fmt.Sprintf("%s.away-%d", a.state, seed)
	if err := os.Mkdir(a.away, 0o700); err != nil {
		panic(err)
	}
	_ = filepath.WalkDir(a.state, func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			a.files = append(a.files, name)
			a.texts[name] = firstPart(name)
		}
		if err == nil && e.IsDir() {
			a.dirs = append(a.dirs, name)
		}
		return nil
	})
	fmt.Println("ready")
	for n := 0; ; n++ {
		a.step(n)
	}
}

// firstPart is the text of a file, which another attacker may be making a terabyte long.
func firstPart(name string) []byte {
	f, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	text, _ := io.ReadAll(io.LimitReader(f, 1<<20))
	return text
}

// heal puts a file back that attackers have lost between them, so that there is always something to read.
func (a *attacker) heal(file string) {
	text, known := a.texts[file]
	if fi, err := os.Lstat(file); !known || err == nil && (fi.Mode().IsRegular() || a.random.IntN(8) > 0) {
		return
	}
	for dir := file; dir != filepath.Dir(a.state); dir = filepath.Dir(dir) {
		if fi, err := os.Lstat(dir); err == nil && !fi.IsDir() {
			_ = os.Remove(dir)
		}
	}
	_ = os.MkdirAll(filepath.Dir(file), 0o700)
	_ = os.WriteFile(file, text, 0o600)
}

// step swaps a file or a directory for something else, and mostly back again. What fails, failed: another attacker was quicker, or we.
func (a *attacker) step(n int) {
	if a.random.IntN(6) == 0 {
		a.swap(a.dirs[a.random.IntN(len(a.dirs))], a.aroundDirectory(), n)
		return
	}
	file := a.files[a.random.IntN(len(a.files))]
	if a.random.IntN(3) == 0 { // what is changed by us is what pays
		file = filepath.Join(a.state, []string{"openclaw.json", ".env", "openclaw.json.bak", "state/openclaw.sqlite", "state/openclaw.sqlite-wal"}[a.random.IntN(5)])
	}
	a.heal(file)
	if a.random.IntN(3) == 0 {
		a.inPlace(file)
		return
	}
	a.swap(file, a.instead(file), n)
}

// swap moves something away, puts something else there for a moment, and moves it back.
func (a *attacker) swap(name string, instead func(name string) error, n int) {
	away := filepath.Join(a.away, strconv.Itoa(n))
	if os.Rename(name, away) != nil {
		return
	}
	_ = instead(name)
	a.pause()
	if os.Remove(name) != nil {
		_ = os.Rename(name, away+"-instead")
	}
	defer os.RemoveAll(away)
	defer os.RemoveAll(away + "-instead")
	if os.Rename(away, name) != nil {
		_ = os.MkdirAll(filepath.Dir(name), 0o700) // somebody swapped what is above it
		_ = os.Rename(away, name)
	}
}

func (a *attacker) pause() {
	if d := a.random.IntN(5); d > 0 { // else at once
		time.Sleep(time.Duration(a.random.IntN(1<<(4*d))) * time.Microsecond)
	}
}

// link makes a symbolic link to a target.
func link(target string) func(string) error {
	return func(name string) error { return os.Symlink(target, name) }
}

func (a *attacker) aroundDirectory() func(name string) error {
	return []func(string) error{
		link(filepath.Join(a.vault, "root")), link(filepath.Join(a.vault, "other")), link("/etc"), link("/proc/self/fd"), link("/dev"), link("."), link(".."),
		func(name string) error { return syscall.Mkfifo(name, 0o600) },
		func(name string) error { return os.WriteFile(name, []byte("no directory"), 0o600) },
		func(string) error { return nil },
	}[a.random.IntN(10)]
}

// instead is what may stand where a file was.
func (a *attacker) instead(file string) func(name string) error {
	root, other := filepath.Join(a.vault, "root", filepath.Base(file)), filepath.Join(a.vault, "other", filepath.Base(file))
	return []func(string) error{
		link(root), link(other), link("/etc/shadow"), link("/proc/self/environ"), link("/dev/zero"), link("/dev/tty"), link("/dev/full"), link(file),
		func(name string) error { return os.Link(root, name) },
		func(name string) error { return os.Link(other, name) },
		func(name string) error { return syscall.Mkfifo(name, 0o600) },
		func(name string) error { return os.Mkdir(name, 0o700) },
		func(name string) error {
			l, err := net.Listen("unix", name)
			if err == nil {
				l.(*net.UnixListener).SetUnlinkOnClose(false)
				err = l.Close()
			}
			return err
		},
		func(name string) error {
			return os.WriteFile(name, []byte(`{"gateway": {"auth": {"token": "another"}}}`), 0o666)
		},
		func(string) error { return nil },
	}[a.random.IntN(15)]
}

// inPlace changes a file and not what lies under its name: it grows, is cut off, is other bytes or may be read by others.
func (a *attacker) inPlace(file string) {
	f, err := os.OpenFile(file, os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil || !fi.Mode().IsRegular() {
		return
	}
	text := make([]byte, min(fi.Size(), 1<<20))
	_, _ = f.ReadAt(text, 0)
	switch a.random.IntN(5) {
	case 0:
		_, _ = f.WriteAt(make([]byte, 4096), fi.Size())
	case 1:
		_ = f.Truncate(fi.Size() / 2)
	case 2:
		_ = f.Truncate(1 << 40) // all of it holes
	case 3:
		_, _ = f.WriteAt([]byte("\x00{]"), 0)
	case 4:
		_ = f.Chmod(0)
	}
	a.pause()
	_, _ = f.WriteAt(text, 0)
	_ = f.Truncate(fi.Size())
	_ = f.Chmod(0o600)
}
