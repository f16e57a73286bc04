package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/statetest"
)

// nobody is an account that has neither rights nor files.
const nobody = 65534

// What the program holds while it asks for a passphrase is for no other process of its user, and for no core file.
func TestMemoryIsKeptFromOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can run it as another user")
	}
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	bundle := filepath.Join(dir, "B.age")
	if err := os.WriteFile(bundle, []byte(passphraseHeader+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "openclaw-ir") // TestMain runs the command for who is called so
	if err := os.Link(self, program); err != nil {
		t.Skip("linking the test's program: ", err)
	}
	terminal := statetest.NewTerminal(t)
	tty, err := terminal.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	cmd := exec.Command(program, "collect", "list", bundle, "--case-dir", dir)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = []string{"CANARY=" + dir}, tty, tty, tty
	asNobody := &syscall.Credential{Uid: nobody, Gid: nobody}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Credential: asNobody}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	terminal.WaitFor(t, "passphrase")
	proc := "/proc/" + strconv.Itoa(cmd.Process.Pid) + "/"

	if text, err := os.ReadFile(proc + "limits"); err != nil || !strings.Contains(strings.Join(strings.Fields(string(text)), " "), "Max core file size 0 0 ") {
		t.Errorf("core files: %v\n%s", err, text)
	}
	if text, err := os.ReadFile(proc + "environ"); err != nil || !strings.Contains(string(text), dir) {
		t.Errorf("root reads its environment: %v, %q", err, text)
	}
	for _, name := range []string{"environ", "mem", "maps", "fd"} {
		look := exec.Command("ls", "-L", proc+name)
		if name != "fd" {
			look = exec.Command("head", "-c", "1", proc+name)
		}
		look.SysProcAttr = &syscall.SysProcAttr{Credential: asNobody}
		if out, err := look.CombinedOutput(); err == nil || !strings.Contains(string(out), "Permission denied") {
			t.Errorf("another process of the same user at %s%s: %v, %q", proc, name, err, out)
		}
	}
}
