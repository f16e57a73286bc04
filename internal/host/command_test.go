package host

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func trusted(t *testing.T) *Trusted {
	t.Helper()
	run, err := NewTrusted()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := run.Find("sh"); err != nil {
		t.Skip(err) // a container that maps root away
	}
	return run
}

func sh(script string) Command { return Command{Argv: []string{"sh", "-c", script}} }

func TestRun(t *testing.T) {
	t.Setenv("OPENCLAW_GATEWAY_TOKEN", "FAKE-TOKEN-0001")
	run := trusted(t)
	c := sh(`env; pwd; cat; echo err >&2; exit 3`)
	c.Env = []string{"XDG_RUNTIME_DIR=/run/user/1000"}
	res := run.Run(t.Context(), c)
	if res.Err != nil || res.ExitCode != 3 || res.OK() || string(res.Stderr) != "err\n" || res.Truncated != 0 {
		t.Errorf("%+v", res)
	}
	out := string(res.Stdout)
	for _, want := range []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin\n", "HOME=/\n", "LC_ALL=C.UTF-8\n", "XDG_RUNTIME_DIR=/run/user/1000\n", "\n/\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in %q", want, out)
		}
	}
	if strings.Contains(out, "FAKE-TOKEN") {
		t.Error("hands its own environment on")
	}
	real, err := filepath.EvalSymlinks("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(real)
	if err != nil {
		t.Fatal(err)
	}
	if sum := fmt.Sprintf("%x", sha256.Sum256(b)); res.SHA256 != sum || res.Path != real {
		t.Errorf("path %q digest %q, want %q %q", res.Path, res.SHA256, real, sum)
	}
	if res.Start.IsZero() || res.End.Before(res.Start) {
		t.Errorf("from %v to %v", res.Start, res.End)
	}
}

func TestStdin(t *testing.T) {
	run := trusted(t)
	c := sh("cat; echo end")
	c.Stdin = bytes.Repeat([]byte("rule\n"), 100_000) // more than a pipe holds
	if res := run.Run(t.Context(), c); !res.OK() || string(res.Stdout) != string(c.Stdin)+"end\n" {
		t.Errorf("%d bytes, %v", len(res.Stdout), res.Err)
	}
	c = sh("exec sleep 300") // reads nothing
	c.Stdin = make([]byte, 1<<20)
	c.Timeout = 300 * time.Millisecond
	if res := run.Run(t.Context(), c); !errors.Is(res.Err, context.DeadlineExceeded) {
		t.Errorf("%v", res.Err)
	}
}

func TestFakeProgramIsNeverRun(t *testing.T) {
	dir := t.TempDir()
	marker := filepath.Join(dir, "ran")
	for _, name := range []string{"ufw", "sh", "nonesuch"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n: > "+marker+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	run := trusted(t)
	run.Run(t.Context(), Command{Argv: []string{"ufw", "status"}})
	if res := run.Run(t.Context(), sh("ufw; echo real")); string(res.Stdout) != "real\n" {
		t.Errorf("%+v", res)
	}
	if res := run.Run(t.Context(), Command{Argv: []string{"nonesuch"}}); !errors.Is(res.Err, exec.ErrNotFound) || res.ExitCode != -1 {
		t.Errorf("%+v", res)
	}
	for _, name := range []string{dir + "/ufw", "../ufw", "", ".", "..", "a\x00b"} {
		if res := run.Run(t.Context(), Command{Argv: []string{name}}); res.Err == nil {
			t.Errorf("%q: no error", name)
		}
	}
	if res := run.Run(t.Context(), Command{}); res.Err == nil {
		t.Error("no program: no error")
	}
	run.dirs = []string{dir} // below /tmp, which everybody can write
	if res := run.Run(t.Context(), Command{Argv: []string{"ufw"}}); !errors.Is(res.Err, ErrNotTrusted) {
		t.Errorf("%v", res.Err)
	}
	if _, err := os.Stat(marker); err == nil {
		t.Error("a fake program ran")
	}
}

func TestTrust(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	dir := t.TempDir()
	script := func(name, head string, mode fs.FileMode) {
		path := filepath.Join(dir, name)
		makeFile(t, path, []byte(head))
		os.Chmod(path, mode)
	}
	os.Chmod(dir, 0o755)
	script("bin/ok", "#!/bin/sh\necho ok", 0o755)
	script("bin/group", "#!/bin/sh\n", 0o775)
	script("bin/noexec", "#!/bin/sh\n", 0o644)
	script("bin/odd", "#!sh\n", 0o755)
	script("bin/interp", "#!/open/sh\n", 0o755)
	script("bin/owned", "#!/bin/sh\n", 0o755)
	script("bin/sh", "\x7fELF", 0o755)
	script("open/sh", "\x7fELF", 0o755)
	os.Chmod(filepath.Join(dir, "open"), 0o777)
	os.Chown(filepath.Join(dir, "bin/owned"), 1000, 0)
	makeLink(t, "../open/sh", filepath.Join(dir, "bin/link"))
	makeLink(t, "ok", filepath.Join(dir, "bin/good"))
	makeLink(t, "ok", filepath.Join(dir, "bin/theirs"))
	os.Lchown(filepath.Join(dir, "bin/theirs"), 1000, 0)
	if err := syscall.Mkfifo(filepath.Join(dir, "bin/fifo"), 0o755); err != nil {
		t.Fatal(err)
	}
	// The tree stands in for "/", so that what is above it doesn't matter.
	run := &Trusted{root: openRoot(t, dir), dirs: []string{"/bin"}, sums: map[fileKey]string{}}
	for name, want := range map[string]error{
		"ok": nil, "good": nil, "group": ErrNotTrusted, "noexec": ErrNotTrusted, "odd": ErrNotTrusted,
		"interp": ErrNotTrusted, "owned": ErrNotTrusted, "link": ErrNotTrusted, "theirs": ErrNotTrusted, "fifo": ErrNotTrusted,
	} {
		path, _, err := run.Find(name)
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
		if err == nil && path != filepath.Join(dir, "bin/ok") {
			t.Errorf("%s is %q", name, path)
		}
	}
	script("bin/ok", "#!/bin/sh\necho changed", 0o755)
	_, sum, err := run.Find("ok")
	if want := fmt.Sprintf("%x", sha256.Sum256([]byte("#!/bin/sh\necho changed"))); sum != want || err != nil {
		t.Errorf("stale digest %q, %v", sum, err)
	}
}

func TestTimeoutKillsGrandchildren(t *testing.T) {
	run := trusted(t)
	c := sh(`sleep 300 & echo $!; sleep 300`)
	c.Timeout = 300 * time.Millisecond
	start := time.Now()
	res := run.Run(t.Context(), c)
	if d := time.Since(start); d > 3*time.Second {
		t.Errorf("took %v", d)
	}
	if !errors.Is(res.Err, context.DeadlineExceeded) || res.ExitCode != -1 {
		t.Errorf("%+v", res)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(res.Stdout)))
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(2 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			break
		}
		if time.Now().After(end) {
			syscall.Kill(pid, syscall.SIGKILL)
			t.Fatal("the grandchild lives")
		}
	}
}

// A grandchild that left the group keeps the pipe, but not us.
func TestEscapedGrandchild(t *testing.T) {
	run := trusted(t)
	if _, _, err := run.Find("setsid"); err != nil {
		t.Skip(err)
	}
	start := time.Now()
	res := run.Run(t.Context(), sh(`setsid sleep 4 & echo out`))
	if d := time.Since(start); d > 3*time.Second {
		t.Errorf("took %v", d)
	}
	if string(res.Stdout) != "out\n" {
		t.Errorf("%+v", res)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if res := trusted(t).Run(ctx, sh("echo ran")); !errors.Is(res.Err, context.Canceled) || len(res.Stdout) > 0 {
		t.Errorf("%+v", res)
	}
}

func TestOutputCap(t *testing.T) {
	run := trusted(t)
	c := sh(`head -c 1000000 /dev/zero; echo 12345678901 >&2`)
	c.MaxOutput = 10
	res := run.Run(t.Context(), c)
	if !res.OK() || len(res.Stdout) != 10 || string(res.Stderr) != "1234567890" || res.Truncated != 999990+2 {
		t.Errorf("%d %q %d %v", len(res.Stdout), res.Stderr, res.Truncated, res.Err)
	}
	var w bytes.Buffer
	c.Stdout = &w
	res = run.Run(t.Context(), c)
	if !res.OK() || w.Len() != 10 || res.Stdout != nil || res.Truncated != 999990+2 {
		t.Errorf("%d %q %d %v", w.Len(), res.Stdout, res.Truncated, res.Err)
	}
	c.Stdout = failing{}
	if res = run.Run(t.Context(), c); !errors.Is(res.Err, syscall.ENOSPC) {
		t.Errorf("%v", res.Err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestRunAs(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	run := trusted(t)
	c := sh("id -u; id -g; id -G; test -t 0; : < /dev/tty")
	c.As = &Owner{65534, 65533}
	res := run.Run(t.Context(), c)
	if string(res.Stdout) != "65534\n65533\n65533\n" || res.ExitCode == 0 {
		t.Errorf("%q %q %v", res.Stdout, res.Stderr, res.Err)
	}
}

func TestSignalled(t *testing.T) {
	if res := trusted(t).Run(t.Context(), sh("kill -9 $$")); res.Err == nil || res.ExitCode != -1 {
		t.Errorf("%+v", res)
	}
}

func TestResultJSON(t *testing.T) {
	b, err := json.Marshal(Result{
		Argv: []string{"x", "\xff"}, Stdout: []byte("a<b\x1b"), Stderr: []byte{0xff}, ExitCode: 1, Err: ErrNotTrusted,
	})
	if err != nil {
		t.Fatal(err)
	}
	var row struct {
		Record         string
		Argv           []Text
		Stdout, Stderr Text
		Exit           int
		Error          string
	}
	if err := json.Unmarshal(b, &row); err != nil {
		t.Fatal(err)
	}
	if row.Record != "command" || row.Argv[1] != "\xff" || row.Stdout != "a<b\x1b" || row.Stderr != "\xff" || row.Exit != 1 || row.Error != "not trusted" {
		t.Errorf("%s", b)
	}
	if bytes.ContainsAny(b, "\x1b\xff") {
		t.Errorf("raw bytes in %q", b)
	}
}
