package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"filippo.io/age"
	"github.com/clawbook/openclaw-ir/internal/statetest"
	"golang.org/x/sys/unix"
)

// Users of no account: whom the agent runs as, and somebody else.
const (
	agentUID = 64001
	otherUID = 64002
)

// A village is a directory with homes of two users, a host's files and the program, as it is installed.
type village struct {
	t                  *testing.T
	dir                string
	program            string
	agent, other, root string // homes
	recipient          string
}

func newVillage(t *testing.T, program string) *village {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("to be two users needs root")
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	v := &village{t: t, dir: dir, program: filepath.Join(dir, "bin/openclaw-ir")}
	v.agent, v.other, v.root = v.home("agent", agentUID), v.home("other", otherUID), v.home("root", 0)
	if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.Mkdir(filepath.Dir(v.program), 0o755)); err != nil {
		t.Fatal(err)
	}
	v.must(os.Link(program, v.program))
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	v.recipient = id.Recipient().String() + "\n"
	return v
}

// ownProgram makes the program a file that nobody else runs.
func (v *village) ownProgram() string {
	v.t.Helper()
	v.must(os.Rename(v.program, v.program+"~"), copyFile(v.program, v.program+"~", 0o755))
	return v.program
}

func copyFile(to, from string, mode os.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	syscall.ForkLock.RLock() // a child that is started meanwhile would hold it open, and the kernel runs nothing that is being written
	defer syscall.ForkLock.RUnlock()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func (v *village) must(errs ...error) {
	v.t.Helper()
	if err := errors.Join(errs...); err != nil {
		v.t.Fatal(err)
	}
}

func (v *village) home(name string, uid int) string {
	v.t.Helper()
	dir := filepath.Join(v.dir, name)
	v.must(os.Mkdir(dir, 0o755), os.Chown(dir, uid, uid))
	return dir
}

// put writes a file that is a user's, and the directories above it.
func (v *village) put(name, text string, uid int, mode os.FileMode) string {
	v.t.Helper()
	v.mkdir(filepath.Dir(name), uid)
	v.must(os.WriteFile(name, []byte(text), 0o600), os.Chown(name, uid, uid), os.Chmod(name, mode))
	return name
}

func (v *village) mkdir(dir string, uid int) string {
	v.t.Helper()
	if _, err := os.Lstat(dir); err != nil {
		v.mkdir(filepath.Dir(dir), uid)
		v.must(os.Mkdir(dir, 0o755), os.Chown(dir, uid, uid))
	}
	return dir
}

func (v *village) link(target, name string, uid int) {
	v.t.Helper()
	v.must(os.Symlink(target, name), os.Lchown(name, uid, uid))
}

// run runs a command line as a user, in the user's home.
func (v *village) run(uid int, env []string, args ...string) (code int, out string) {
	v.t.Helper()
	home := map[int]string{0: v.root, agentUID: v.agent, otherUID: v.other}[uid]
	cmd := exec.CommandContext(v.t.Context(), v.program, args...)
	cmd.Dir = home
	cmd.Env = append([]string{"HOME=" + home, "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR=" + v.dir, "NO_COLOR=1"}, env...)
	if uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
	var both bytes.Buffer
	cmd.Stdout, cmd.Stderr = &both, &both
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		v.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), both.String()
}

// A situation is one in which somebody may come to more rights, or be led astray.
type situation struct {
	name string
	make func(v *village) (args []string)
	uid  int
	env  func(v *village) []string
	code int
	want []string                             // what is said
	then func(t *testing.T, v *village) error // what is to be so afterwards; nil if nothing
}

var mountedHost = []string{"--root", "HOST", "--case-dir", "CASES"}

func collectInto(more ...string) []string {
	return append(append([]string{"collect"}, mountedHost...), more...)
}

// capabilityXattr is the value of security.capability for cap_dac_read_search, permitted and effective (capabilities(7)).
func capabilityXattr() []byte {
	b := binary.LittleEndian.AppendUint32(nil, 0x02000001)
	b = binary.LittleEndian.AppendUint32(b, 1<<unix.CAP_DAC_READ_SEARCH)
	return append(b, make([]byte, 12)...)
}

var situations = []situation{
	{
		name: "set-user-ID root", uid: agentUID, code: exitFailed,
		make: func(v *village) []string {
			v.must(os.Chmod(v.ownProgram(), 0o755|os.ModeSetuid))
			return []string{"collect", "--estimate", "--root", "HOST"}
		},
		want: []string{"must not lend rights", "gives user 64001 the rights of user 0", "chmod u-s,g-s PROGRAM"},
	},
	{
		name: "set-user-ID of the agent, run by another", uid: otherUID, code: exitFailed,
		make: func(v *village) []string {
			v.must(os.Chown(v.ownProgram(), agentUID, agentUID), os.Chmod(v.program, 0o755|os.ModeSetuid))
			return []string{"case", "open"}
		},
		want: []string{"must not lend rights", "gives user 64002 the rights of user 64001"},
	},
	{
		name: "set-user-ID of the agent, run by root", code: exitFailed,
		make: func(v *village) []string {
			v.must(os.Chown(v.ownProgram(), agentUID, agentUID), os.Chmod(v.program, 0o755|os.ModeSetuid))
			return []string{"case", "open"}
		},
		want: []string{"must not lend rights"},
	},
	{
		name: "set-group-ID root", uid: agentUID, code: exitFailed,
		make: func(v *village) []string {
			v.must(os.Chmod(v.ownProgram(), 0o755|os.ModeSetgid))
			return []string{"--version"}
		},
		want: []string{"must not lend rights", "group 0", "chmod u-s,g-s PROGRAM"},
	},
	{
		name: "capabilities of its file", uid: agentUID, code: exitFailed,
		make: func(v *village) []string {
			v.must(unix.Setxattr(v.ownProgram(), "security.capability", capabilityXattr(), 0))
			return []string{"--version"}
		},
		want: []string{"must not lend rights", "capabilities", "setcap -r PROGRAM"},
	},
	{
		name: "root's program run by the agent's user", uid: agentUID, code: exitPartial,
		make: func(v *village) []string {
			return collectInto("-r", strings.TrimSpace(v.recipient), "--case-dir", v.agent+"/cases")
		},
		want: []string{"closed to your account: sudo openclaw-ir collect"},
	},
	{
		name: "the agent's own user seals its own host", uid: agentUID, code: exitPartial,
		make: func(v *village) []string {
			v.mkdir(v.agent+"/.openclaw", agentUID)
			return []string{"collect", "-r", strings.TrimSpace(v.recipient), "--state-dir", v.agent + "/.openclaw", "--max-size", "1k"}
		},
		want: []string{"runs as your own user", "sudo openclaw-ir keeps them out of its reach"},
	},
	{
		name: "another user's cases", uid: otherUID, code: exitFailed,
		make: func(v *village) []string {
			v.mkdir(v.agent+"/cases", agentUID)
			return []string{"case", "open", "--case-dir", v.agent + "/cases"}
		},
		want: []string{"belongs to uid 64001, not to uid 64002", "name another directory with --case-dir"},
	},
	{
		name: "root on a user's cases", code: exitFailed,
		make: func(v *village) []string {
			v.mkdir(v.agent+"/cases", agentUID)
			return collectInto("-r", strings.TrimSpace(v.recipient), "--case-dir", v.agent+"/cases")
		},
		want: []string{"belongs to uid 64001, not to uid 0", "name another directory with --case-dir"},
		then: func(_ *testing.T, v *village) error { return empty(v.agent + "/cases") },
	},
	{
		name: "root's cases in a user's home", code: exitFailed,
		make: func(v *village) []string { return []string{"case", "open", "--case-dir", v.agent + "/new/cases"} },
		want: []string{"belongs to uid 64001, not to uid 0", "name another directory with --case-dir"},
		then: func(_ *testing.T, v *village) error { return absent(v.agent + "/new") },
	},
	{
		name: "the directory of the cases is a link", code: exitFailed,
		make: func(v *village) []string {
			v.mkdir(v.root+"/real", 0)
			v.link(v.root+"/real", v.root+"/cases", 0)
			return []string{"case", "open", "--case-dir", v.root + "/cases"}
		},
		want: []string{"is a symbolic link", "name another directory with --case-dir"},
		then: func(_ *testing.T, v *village) error { return empty(v.root + "/real") },
	},
	{
		name: "a case is a link", code: exitFailed,
		make: func(v *village) []string {
			v.mkdir(v.root+"/cases", 0)
			v.must(os.Chmod(v.root+"/cases", 0o700))
			v.mkdir(v.agent+"/trap", agentUID)
			v.link(v.agent+"/trap", v.root+"/cases/c1", 0)
			return collectInto("-r", strings.TrimSpace(v.recipient), "--case-dir", v.root+"/cases", "--case", "c1")
		},
		want: []string{"is a symbolic link"},
		then: func(_ *testing.T, v *village) error { return empty(v.agent + "/trap") },
	},
	{
		name: "cases that everybody can write", code: exitFailed,
		make: func(v *village) []string {
			v.must(os.Chmod(v.mkdir(v.root+"/cases", 0), 0o777))
			return []string{"case", "open", "--case-dir", v.root + "/cases"}
		},
		want: []string{"can be written by others", "name another directory with --case-dir"},
	},
	{
		name: "XDG_STATE_HOME and HOME of the agent under sudo", code: exitDone,
		make: func(v *village) []string {
			v.mkdir(v.agent+"/.local/state/openclaw-ir/planted", agentUID)
			return []string{"case", "list"}
		},
		env: func(v *village) []string {
			return []string{"XDG_STATE_HOME=" + v.agent + "/.local/state", "HOME=" + v.agent, "SUDO_USER=agent"}
		},
		then: func(_ *testing.T, v *village) error { return empty(v.agent + "/.local/state/openclaw-ir/planted") },
	},
	{
		name: "TMPDIR of the agent", code: exitUsage,
		make: func(v *village) []string {
			v.mkdir(v.agent+"/tmp", agentUID)
			return []string{"drill", "--yes"}
		},
		env:  func(v *village) []string { return []string{"TMPDIR=" + v.agent + "/tmp"} },
		want: []string{"only where nobody else can change it", "belongs to uid 64001", "drill --dir DIR"},
		then: func(_ *testing.T, v *village) error { return empty(v.agent + "/tmp") },
	},
	{
		name: "the agent's recipients beside the program", code: exitUsage,
		make: func(v *village) []string {
			v.put(filepath.Join(filepath.Dir(v.program), "recipients.txt"), v.recipient, agentUID, 0o644)
			return collectInto()
		},
		want: []string{"can be written by others than root", "belongs to user 64001", "chown root"},
	},
	{
		name: "the agent's link to root's file beside the program", code: exitUsage,
		make: func(v *village) []string { // such as to a file of /proc that is root's and holds what the agent wrote
			v.link(v.put(v.root+"/file", v.recipient, 0, 0o644), filepath.Join(filepath.Dir(v.program), "recipients.txt"), agentUID)
			return collectInto()
		},
		want: []string{"can be written by others than root", "name the recipients with -r or -R"},
	},
	{
		name: "root's recipients in the agent's directory", code: exitUsage,
		make: func(v *village) []string {
			v.put(filepath.Join(filepath.Dir(v.program), "recipients.txt"), v.recipient, 0, 0o644)
			v.must(os.Chown(filepath.Dir(v.program), agentUID, agentUID))
			return collectInto()
		},
		want: []string{"can be written by others than root", "belongs to user 64001"},
	},
	{
		name: "recipients beside the program that everybody can write", code: exitUsage,
		make: func(v *village) []string {
			v.put(filepath.Join(filepath.Dir(v.program), "recipients.txt"), v.recipient, 0, 0o666)
			return collectInto()
		},
		want: []string{"can be written by others than root", "chmod 644"},
	},
	{
		name: "root's own recipients beside the program", code: exitDone,
		make: func(v *village) []string {
			v.put(filepath.Join(filepath.Dir(v.program), "recipients.txt"), v.recipient, 0, 0o644)
			return collectInto()
		},
		want: []string{"recipients from"},
	},
	{
		name: "named recipients that everybody can write", code: exitUsage,
		make: func(v *village) []string { return collectInto("-R", v.put(v.root+"/r.txt", v.recipient, 0, 0o666)) },
		want: []string{"can be written by everybody", "chmod o-w", "name the recipients with -r"},
	},
	{
		name: "files of the agent's in the working directory", code: exitUsage,
		make: func(v *village) []string { // nothing is taken up because it lies where we stand, or in a home or a state
			for _, name := range []string{"recipients.txt", "report.json", "suppressions.yml", "rules/x.yml", "ioc.csv", ".openclaw/recipients.txt", ".config/openclaw-ir/recipients.txt"} {
				v.put(filepath.Join(v.root, name), v.recipient, agentUID, 0o644)
			}
			return collectInto()
		},
		want: []string{"no recipient given"},
	},
	{
		name: "the output is a link to root's file", code: exitUsage,
		make: func(v *village) []string {
			v.link(v.put(v.root+"/precious", "precious", 0, 0o600), v.agent+"/B.age", agentUID)
			return collectInto("-r", strings.TrimSpace(v.recipient), "-o", v.agent+"/B.age")
		},
		want: []string{"exists, and evidence is never overwritten", "name another file with -o"},
		then: precious,
	},
	{
		name: "the output is a link to nothing in root's directory", code: exitUsage,
		make: func(v *village) []string {
			v.link(v.root+"/made", v.agent+"/B.age", agentUID)
			return collectInto("-r", strings.TrimSpace(v.recipient), "-o", v.agent+"/B.age")
		},
		want: []string{"exists, and evidence is never overwritten"},
		then: func(_ *testing.T, v *village) error { return absent(v.root + "/made") },
	},
	{
		name: "the unfinished output is a link to root's file", code: exitFailed,
		make: func(v *village) []string {
			v.link(v.put(v.root+"/precious", "precious", 0, 0o600), v.agent+"/B.age.partial", agentUID)
			return collectInto("-r", strings.TrimSpace(v.recipient), "-o", v.agent+"/B.age")
		},
		want: []string{"making the bundle", "file exists"},
		then: precious,
	},
	{
		name: "the output's seal is a hard link to root's file", code: exitFailed,
		make: func(v *village) []string {
			v.must(os.Link(v.put(v.root+"/precious", "precious", 0, 0o600), v.agent+"/B.age.seal"))
			return collectInto("-r", strings.TrimSpace(v.recipient), "-o", v.agent+"/B.age")
		},
		want: []string{"writing the seal", "file already exists"},
		then: precious,
	},
	{
		name: "the output's directory is the agent's link to root's", code: exitUsage,
		make: func(v *village) []string {
			v.mkdir(v.root+"/etc", 0)
			v.link(v.root+"/etc", v.agent+"/out", agentUID)
			return collectInto("-r", strings.TrimSpace(v.recipient), "-o", v.agent+"/out/B.age")
		},
		want: []string{"a link of user 64001 leads to", "which is user 0's", "name the directory that is meant itself"},
		then: func(_ *testing.T, v *village) error { return empty(v.root + "/etc") },
	},
	{
		name: "a bundle is opened through the agent's link", code: exitFailed,
		make: func(v *village) []string {
			v.mkdir(v.root+"/etc", 0)
			v.link(v.root+"/etc", v.agent+"/out", agentUID)
			if code, out := v.run(0, nil, v.expand(collectInto("-R", v.keyed(), "-o", v.root+"/B.age"))...); code != exitDone {
				v.t.Fatalf("%d: %s", code, out)
			}
			return []string{"collect", "open", "-i", v.root + "/key", v.root + "/B.age", v.agent + "/out"}
		},
		want: []string{"a link of user 64001 leads to"},
		then: func(_ *testing.T, v *village) error {
			if fi, err := os.Stat(v.root + "/etc"); err != nil || fi.Mode().Perm() != 0o755 {
				return errors.New("its mode was changed")
			}
			return empty(v.root + "/etc")
		},
	},
	{
		name: "a store is the agent's link to root's directory", code: exitPartial,
		make: func(v *village) []string {
			v.mkdir(v.root+"/etc", 0)
			v.link(v.root+"/etc", v.agent+"/store", agentUID)
			return collectInto("-r", strings.TrimSpace(v.recipient), "--to", v.agent+"/store")
		},
		want: []string{"a link of user 64001 leads to", "still owed"},
		then: func(_ *testing.T, v *village) error { return empty(v.root + "/etc") },
	},
	{
		name: "the agent's programs in PATH", code: anyCode,
		make: func(v *village) []string {
			for _, name := range []string{"ufw", "systemctl", "nft", "iptables", "ip", "ss", "ssh", "docker", "podman", "journalctl", "uname", "sh", "node", "openclaw", "lsof", "ps"} {
				v.put(v.agent+"/bin/"+name, "#!/bin/sh\nid -u >>"+v.agent+"/ran\n", agentUID, 0o755)
			}
			return []string{"contain", "--dry-run"}
		},
		env:  func(v *village) []string { return []string{"PATH=" + v.agent + "/bin", "SHELL=" + v.agent + "/bin/sh"} },
		then: func(_ *testing.T, v *village) error { return absent(v.agent + "/ran") },
	},
	{
		name: "an environment of the agent's", code: exitDone,
		make: func(v *village) []string { return collectInto("-r", strings.TrimSpace(v.recipient)) },
		env: func(v *village) []string {
			return []string{
				"SSLKEYLOGFILE=" + v.agent + "/keys", "LD_PRELOAD=" + v.agent + "/evil.so", "LD_LIBRARY_PATH=" + v.agent, "GODEBUG=tracebackancestors=5", "GOTRACEBACK=crash",
				"SQLITE_TMPDIR=" + v.agent, "XDG_CONFIG_HOME=" + v.agent, "OPENCLAW_STATE_DIR=" + v.agent, "OPENCLAW_HOME=" + v.agent, "EDITOR=" + v.agent + "/x", "PAGER=" + v.agent + "/x",
			}
		},
		want: []string{"sealed"},
		then: func(_ *testing.T, v *village) error { return empty(v.agent) },
	},
}

func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		err = errors.New(dir + " holds " + entries[0].Name())
	}
	return err
}

func absent(name string) error {
	if _, err := os.Lstat(name); !errors.Is(err, os.ErrNotExist) {
		return errors.New(name + " was made")
	}
	return nil
}

func precious(_ *testing.T, v *village) error {
	text, err := os.ReadFile(v.root + "/precious")
	if err == nil && string(text) != "precious" {
		err = errors.New("root's file was changed")
	}
	return err
}

// keyed makes a key in root's home, and returns a file with its recipient.
func (v *village) keyed() string {
	v.t.Helper()
	id, err := age.GenerateX25519Identity()
	v.must(err)
	v.put(v.root+"/key", id.String()+"\n", 0, 0o600)
	return v.put(v.root+"/key.pub", id.Recipient().String()+"\n", 0, 0o644)
}

// expand fills in the places of a command line, and lays out the host if it is one of them.
func (v *village) expand(args []string) []string {
	args = slices.Clone(args)
	if _, err := os.Lstat(v.dir + "/host"); err != nil && slices.Contains(args, "HOST") {
		v.must(os.Rename(statetest.Root(v.t, "2026.2.12"), v.dir+"/host"))
	}
	for i, a := range args {
		args[i] = strings.NewReplacer("HOST", v.dir+"/host", "CASES", v.root+"/cases", "PROGRAM", v.program).Replace(a)
	}
	return args
}

// TestPrivileges is what happens where rights are lent, or somebody without them prepared what root is to use: it is refused with what to
// do, or does no harm.
func TestPrivileges(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("to be two users needs root")
	}
	program := filepath.Join(t.TempDir(), "openclaw-ir")
	self, err := os.Executable()
	if err == nil {
		err = copyFile(program, self, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range situations {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			v := newVillage(t, program)
			args := v.expand(s.make(v))
			var env []string
			if s.env != nil {
				env = s.env(v)
			}
			code, out := v.run(s.uid, env, args...)
			if s.code != anyCode && code != s.code {
				t.Errorf("%q: exit code %d, want %d", args, code, s.code)
			}
			for _, want := range s.want {
				if want = v.expand([]string{want})[0]; !strings.Contains(out, want) {
					t.Errorf("%q is not said", want)
				}
			}
			if s.then != nil {
				if err := s.then(t, v); err != nil {
					t.Error(err)
				}
			}
			if t.Failed() {
				t.Log(out)
			}
		})
	}
}
