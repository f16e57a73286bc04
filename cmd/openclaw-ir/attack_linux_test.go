package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/statetest"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// canary is in every file that must not be reached.
const canary = "CANARY-7f3a9c51e2"

// attackedLines run one after the other, again and again, while the state is under attack. STATE is the state directory, N a number that is
// another each time; exit code 2 is none of theirs but where -o leads through what the attacker made.
var attackedLines = []string{
	"collect --root HOST --case-dir CASES -R RECIPIENTS",
	"analyze posture --state-dir STATE --case-dir CASES --fix --yes --without-evidence",
	"rotate --state-dir STATE --case-dir CASES --yes --out OUT/values-N --without-evidence --scrub --reset-pairing",
	"contain --case-dir CASES --case contained --yes --now --no-firewall --lock-config",
	"contain undo --case-dir CASES --case contained --yes",
	"analyze posture undo --case-dir CASES --yes --force",
	"collect --root HOST --case-dir CASES -R RECIPIENTS -o STATE/agents/B-N.age",
	"analyze --root HOST --case-dir CASES",
	"analyze findings --root HOST --case-dir CASES",
	"analyze integrity --root HOST --case-dir CASES",
	"analyze posture --root HOST --case-dir CASES",
	"analyze secrets --root HOST --case-dir CASES",
	"collect --snapshot --root HOST --case-dir CASES -R RECIPIENTS",
	"report --root HOST --case-dir CASES --yes -R RECIPIENTS",
}

// A siege is a host whose agent's user attacks what we do.
type siege struct {
	*village
	host, state, vault, cases, out string
	id                             *age.X25519Identity
	touched                        *watch
	codes                          map[string]map[int]int
	said                           []byte // by the last command
	code                           int    // of the last command
}

// TestLiveAttack has every command that reads or changes an agent's files do so as root while the agent's user swaps them for links, pipes,
// devices and hard links to what is root's and another user's. None of that is ever read, written or told of, nothing is made elsewhere,
// and every command comes to an end and says how it ended.
func TestLiveAttack(t *testing.T) {
	if !inOwnLab(t) {
		return
	}
	s := newSiege(t)
	long := isLong()
	end := time.Now().Add(4 * time.Second)
	if long {
		end = time.Now().Add(200 * time.Second)
	}
	s.besiege(3)
	lines := attackedLines
	for n := 0; time.Now().Before(end) || long && n < len(lines) || n < 3; n++ {
		s.try(lines[n%len(lines)], n)
	}
	s.intact()
	s.sealed()
	t.Logf("exit codes: %v", s.codes)
}

// inOwnLab runs the calling test again where no process of this machine's can be seen, for contain stops what it finds.
func inOwnLab(t *testing.T) bool {
	t.Helper()
	const mark = "OPENCLAW_IR_LAB"
	if os.Getenv(mark) == t.Name() {
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("an attacker of another user needs root")
	}
	if _, err := exec.LookPath("unshare"); err != nil {
		t.Skip("unshare is not installed")
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "--net", os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=15m")
	cmd.Env = append(os.Environ(), mark+"="+t.Name())
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "unshare failed") {
		t.Skipf("no namespaces here: %s", out)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("in the lab: %v\n%s", err, out)
	}
	t.Logf("%s", out)
	return false
}

func newSiege(t *testing.T) *siege {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "openclaw-ir")
	if err := copyFile(program, self, 0o755); err != nil {
		t.Fatal(err)
	}
	s := &siege{village: newVillage(t, program), codes: map[string]map[int]int{}}
	s.host, s.vault, s.cases, s.out = s.dir+"/host", s.dir+"/vault", s.root+"/cases", s.root+"/out"
	s.must(os.Rename(statetest.Root(t, "2026.9.6/stopped"), s.host))
	states, err := filepath.Glob(s.host + "/home/*/.openclaw")
	if err != nil || len(states) != 1 {
		t.Fatal(states, err)
	}
	s.state = states[0]
	home := filepath.Dir(s.state)
	s.must(filepath.WalkDir(home, func(name string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(name, agentUID, agentUID))
	}), os.Chmod(home, 0o755), os.Mkdir(s.out, 0o700), os.Mkdir(s.dir+"/tmp", 0o700))
	passwd := fmt.Sprintf("root:x:0:0::/root:/bin/sh\nagent:x:%d:%d::/%s:/bin/sh\n", agentUID, agentUID, strings.TrimPrefix(home, s.host+"/"))
	s.must(os.WriteFile(s.host+"/etc/passwd", []byte(passwd), 0o644))
	s.id, err = age.GenerateX25519Identity()
	s.must(err)
	s.put(s.root+"/recipients.txt", s.id.Recipient().String()+"\n", 0, 0o600)
	s.fillVault()
	s.touched = watchFiles(t, s.vault)
	return s
}

// fillVault makes a file of root's and of another user's for every name that the attacker may lead to. A reader would take them.
func (s *siege) fillVault() {
	s.mkdir(s.vault+"/root", 0)
	s.mkdir(s.vault+"/other", otherUID)
	text := fmt.Sprintf(`{"gateway": {"mode": "local", "auth": {"mode": "token", "token": %q}}, "type": "message", "message": {"content": %q}}`+"\n", canary, canary)
	_ = filepath.WalkDir(s.state, func(name string, e fs.DirEntry, err error) error {
		s.must(err)
		if base := filepath.Base(name); !e.IsDir() {
			s.put(s.vault+"/root/"+base, text, 0, 0o600)
			s.put(s.vault+"/other/"+base, text, otherUID, 0o600)
		}
		return nil
	})
	old := time.Now().Add(-time.Hour)
	_ = filepath.WalkDir(s.vault, func(name string, _ fs.DirEntry, _ error) error { return os.Chtimes(name, old.Add(-time.Hour), old) })
}

// besiege starts attackers.
func (s *siege) besiege(n int) {
	s.t.Helper()
	for seed := range n {
		cmd := exec.Command(s.program, s.state, s.vault, strconv.Itoa(seed))
		cmd.Args[0] = attackerRole
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: agentUID, Gid: agentUID}, Pdeathsig: syscall.SIGKILL}
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		s.must(err, cmd.Start())
		if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
			s.t.Fatal(line, err)
		}
		s.t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
	}
}

// hung is longer than any of the commands takes on a loaded machine.
const hung = 3 * time.Minute

// try runs one command line under attack.
func (s *siege) try(line string, n int) {
	s.t.Helper()
	line = strings.NewReplacer("HOST", s.host, "STATE", s.state, "CASES", s.cases, "RECIPIENTS", s.root+"/recipients.txt", "OUT", s.out, "N", strconv.Itoa(n)).Replace(line)
	ctx, cancel := context.WithTimeout(s.t.Context(), hung)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.program, strings.Fields(line)...)
	cmd.Dir, cmd.Env = s.root, []string{"HOME=" + s.root, "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR=" + s.dir + "/tmp", "NO_COLOR=1"}
	cmd.Cancel, cmd.WaitDelay = func() error { return cmd.Process.Signal(syscall.SIGQUIT) }, 5*time.Second // and say where it hangs
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	name := strings.Join(strings.Fields(line)[:2], " ")
	code := cmd.ProcessState.ExitCode()
	s.said, s.code = out.Bytes(), code
	if s.codes[name] == nil {
		s.codes[name] = map[int]int{}
	}
	s.codes[name][code]++
	led := code == exitUsage && strings.Contains(line, " -o ") // through a link of the attacker's
	switch {
	case ctx.Err() != nil:
		s.t.Errorf("%s: hangs: %v\n%s", line, err, out.Bytes())
	case !led && !slices.Contains([]int{exitDone, exitFailed, exitPartial, exitFound}, code), bytes.Contains(out.Bytes(), []byte("goroutine ")):
		s.t.Errorf("%s: exit code %d\n%s", line, code, out.Bytes())
	case code != exitDone && !bytes.Contains(out.Bytes(), []byte("openclaw-ir: ")):
		s.t.Errorf("%s: exit code %d, and nothing says why\n%s", line, code, out.Bytes())
	case bytes.Contains(out.Bytes(), []byte(canary)):
		s.t.Errorf("%s: it tells what is in a file that is not the agent's\n%s", line, out.Bytes())
	}
	if touched := s.touched.names(); len(touched) > 0 {
		s.t.Errorf("%s: it read or changed what is not the agent's: %q\n%s", line, touched, out.Bytes())
	}
}

// intact holds that what is others' is as it was, and that nothing of root's lies in the agent's directories but what was to be made there.
func (s *siege) intact() {
	s.t.Helper()
	vault := map[uint64]bool{}
	_ = filepath.WalkDir(s.vault, func(name string, e fs.DirEntry, err error) error {
		s.must(err)
		fi, err := e.Info()
		s.must(err)
		m := host.Meta(fi)
		vault[m.Inode] = true
		uid := uint32(0)
		if strings.HasPrefix(name, s.vault+"/other") {
			uid = otherUID
		}
		if !e.IsDir() && (m.UID != uid || m.Mode&0o7777 != 0o600 || time.Since(m.Mtime) < 30*time.Minute || m.Atime.After(m.Mtime)) {
			s.t.Errorf("%q was touched: %+v", name, m)
		}
		if e.IsDir() && (m.Mode&0o7777 != 0o755 || name != s.vault && time.Since(m.Mtime) < 30*time.Minute) {
			s.t.Errorf("something was made in %q, or removed: %+v", name, m)
		}
		return nil
	})
	// The attackers go on: a walk by names would follow the link that they put in a directory's place, and wait at the FIFO for ever.
	home, err := host.OpenRoot(s.host + "/home")
	s.must(err)
	defer home.Close()
	_ = fs.WalkDir(home, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		fi, err := e.Info()
		own := strings.Contains(path.Base(name), "B-") // of collect -o
		if err == nil && name != "." && host.Meta(fi).UID != agentUID && !own && !vault[host.Meta(fi).Inode] {
			s.t.Errorf("%q is user %d's", name, host.Meta(fi).UID)
		}
		return nil
	})
	s.must(empty(s.dir + "/tmp"))
	for _, dir := range []string{s.cases, s.out} {
		_ = filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() {
				text, err := os.ReadFile(name)
				s.must(err)
				if bytes.Contains(text, []byte(canary)) {
					s.t.Errorf("%q holds what is in a file that is not the agent's", name)
				}
			}
			return nil
		})
	}
}

// sealed opens every bundle and looks for what must not be in it.
func (s *siege) sealed() {
	s.t.Helper()
	bundles, err := filepath.Glob(s.cases + "/*/bundles/*.age")
	s.must(err)
	if len(bundles) == 0 {
		s.t.Error("nothing was sealed, which proves nothing")
	}
	changed := 0
	for _, name := range bundles {
		f, err := os.Open(name)
		s.must(err)
		plain, err := age.Decrypt(f, s.id)
		s.must(err)
		z, err := zstd.NewReader(plain)
		s.must(err)
		text, err := io.ReadAll(z)
		if err != nil {
			s.t.Errorf("%q: %v", name, err)
		}
		z.Close()
		f.Close()
		if i := bytes.Index(text, []byte(canary)); i >= 0 {
			s.t.Errorf("%q holds what is in a file that is not the agent's: %q", name, text[max(0, i-600):i+40])
		}
		changed += bytes.Count(text, []byte(`"status":"changed"`))
	}
	s.t.Logf("%d bundles; %d files changed while they were read", len(bundles), changed)
}

// A watch tells which files of a tree were read or written, whatever their times say.
type watch struct {
	t    *testing.T
	f    *os.File
	dirs map[int32]string
}

func watchFiles(t *testing.T, tree string) *watch {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	w := &watch{t, os.NewFile(uintptr(fd), "inotify"), map[int32]string{}}
	t.Cleanup(func() { w.f.Close() })
	_ = filepath.WalkDir(tree, func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() { // a directory may be listed: its names are nobody's secret
			wd, err := unix.InotifyAddWatch(fd, name, unix.IN_ACCESS|unix.IN_MODIFY)
			if err != nil {
				t.Fatal(err)
			}
			w.dirs[int32(wd)] = name
		}
		return nil
	})
	return w
}

// names are the files that were read or written since it was last asked.
func (w *watch) names() (list []string) {
	buf := make([]byte, 64<<10)
	conn, err := w.f.SyscallConn()
	if err != nil {
		w.t.Fatal(err)
	}
	n := 0
	_ = conn.Read(func(fd uintptr) bool { n, _ = unix.Read(int(fd), buf); return true })
	for at := 0; at+unix.SizeofInotifyEvent <= n; {
		wd := int32(uint32(buf[at]) | uint32(buf[at+1])<<8 | uint32(buf[at+2])<<16 | uint32(buf[at+3])<<24)
		length := int(uint32(buf[at+12]) | uint32(buf[at+13])<<8)
		if name := w.dirs[wd]; !slices.Contains(list, name) {
			list = append(list, name)
		}
		at += unix.SizeofInotifyEvent + length
	}
	return list
}
