package collect

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

const state = "/home/claw/.openclaw"

// newHost makes a small host with one installation. Files are given by absolute path; a text that begins with "-> "
// makes a link.
func newHost(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	all := map[string]string{
		"/etc/passwd":             "root:x:0:0::/root:/bin/sh\nclaw:x:1000:1000::/home/claw:/bin/sh\nbob:x:1001:1001::/home/bob:/bin/sh\n",
		state + "/openclaw.json":  "{}",
		"/home/bob/private.txt":   "bob's",
		"/home/bob/.bash_history": "bob's",
	}
	for name, text := range files {
		all[name] = text
	}
	for name, text := range all {
		put(t, dir+name, text)
	}
	return dir
}

func put(t testing.TB, name, text string) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(name), 0o755)
	if target, ok := strings.CutPrefix(text, "-> "); ok {
		err = errors.Join(err, os.Symlink(target, name))
	} else {
		err = errors.Join(err, os.WriteFile(name, []byte(text), 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// want checks the status of rows, and a part of their reasons after a colon.
func (g taken) want(t testing.TB, wants map[string]string) {
	t.Helper()
	for p, want := range wants {
		row, ok := g.rows[p]
		status, reason, _ := strings.Cut(want, ": ")
		switch {
		case want == "":
			if ok {
				t.Errorf("%q has a row: %+v", p, row)
			}
		case string(row.Status) != status || !strings.Contains(row.Reason, reason):
			t.Errorf("%q is %s (%s), want %s", p, row.Status, row.Reason, want)
		}
	}
}

func TestHostileFiles(t *testing.T) {
	dir := newHost(t, map[string]string{
		state + "/new\nline":             "1",
		state + "/esc\x1b[31m":           "2",
		state + "/bad\xff\xfe":           "3",
		state + "/ \\ ":                  "4",
		state + "/loop":                  "-> loop",
		state + "/up":                    "-> ..",
		state + "/shadow":                "-> /etc/shadow",
		state + "/inside":                "-> logs/a.log",
		state + "/logs/a.log":            "log",
		state + "/agents/main/sessions":  "-> ../main",
		state + "/future/unknown.v9":     "of a newer release",
		state + "/media/inbound/cat.jpg": "cat",
		"/etc/shadow":                    "hash",
	})
	if err := errors.Join(unix.Mkfifo(dir+state+"/fifo", 0o600), unix.Mkfifo(dir+state+"/openclaw.json.bak", 0o600)); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	t.Chdir(dir + state) // a socket's path is short
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: "sock"}); err != nil {
		t.Fatal(err)
	}
	device := "missing"
	if unix.Mknod(dir+state+"/null", unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))) == nil {
		device = "skipped: device is never opened"
	}
	got := runOn(t, context.Background(), dir, Options{})
	want := map[string]string{
		state + "/new\nline": "collected", state + "/esc\x1b[31m": "collected", state + "/bad\xff\xfe": "collected",
		state + "/ \\ ": "collected", state + "/future/unknown.v9": "collected",
		state + "/loop": "collected", state + "/up": "collected: outside the scope",
		state + "/shadow": "collected: outside the scope", state + "/inside": "collected",
		state + "/fifo": "skipped: fifo is never opened", state + "/openclaw.json.bak": "skipped: fifo is never opened",
		state + "/sock": "skipped: socket is never opened", state + "/media/inbound/cat.jpg": "skipped: listing only",
		"/etc/shadow": "skipped: not taken", "/home/bob/.bash_history": "", "/home/bob/private.txt": "",
	}
	if device != "missing" {
		want[state+"/null"] = device
	}
	got.want(t, want)
	if r := got.rows[state+"/inside"]; r.Reason != "" || r.Link != "logs/a.log" || r.Type != Symlink {
		t.Errorf("%+v", r)
	}
	if text := got.content(t, state+"/bad\xff\xfe"); string(text) != "3" {
		t.Errorf("%q", text)
	}
	if got.out.Partial() {
		t.Errorf("partial: %+v", got.out.Lacking)
	}
}

func TestInclude(t *testing.T) {
	dir := newHost(t, map[string]string{
		state + "/media/cat.jpg":                          "cat",
		state + "/browser/main/user-data/Cookies":         "c",
		state + "/browser/main/other":                     "o",
		state + "/extensions/x/node_modules/y/index.js":   "y",
		state + "/workspace/.git/objects/aa/" + zeros38(): "object",
	})
	plain := runOn(t, context.Background(), dir, Options{})
	plain.want(t, map[string]string{
		state + "/media/cat.jpg": "skipped", state + "/browser/main/user-data/Cookies": "skipped",
		state + "/browser/main/other": "collected", state + "/extensions/x/node_modules/y/index.js": "skipped",
		state + "/workspace/.git/objects/aa/" + zeros38(): "collected",
	})
	if r := plain.rows[state+"/media/cat.jpg"]; r.HostSize != 3 || r.Mode != 0o600 || r.Mtime.IsZero() || r.SHA256 != "" {
		t.Errorf("%+v", r)
	}
	all := runOn(t, context.Background(), dir, Options{Include: []string{"media", "packages"}})
	all.want(t, map[string]string{
		state + "/media/cat.jpg": "collected", state + "/browser/main/user-data/Cookies": "skipped",
		state + "/extensions/x/node_modules/y/index.js": "collected",
	})
}

func zeros38() string { return strings.Repeat("0", 38) }

// What the catalog only lists is not taken, even if a config or a link says it is OpenClaw's.
func TestPrivateKeysStay(t *testing.T) {
	const secret = "PRIVATE-KEY-BYTES"
	dir := newHost(t, map[string]string{
		"/etc/shadow":                          secret,
		"/home/claw/.ssh/id_ed25519":           secret,
		"/home/claw/.ssh/id_ed25519.pub":       "public",
		"/home/claw/.ssh/authorized_keys":      "-> id_ed25519",
		"/home/claw/.bashrc":                   "-> .ssh/id_ed25519",
		"/home/claw/.bash_history":             "-> /etc/shadow",
		"/home/claw/.npmrc":                    secret,
		"/home/claw/.claude/history.jsonl":     "{}",
		"/home/claw/.claude/.credentials.json": secret,
		state + "/openclaw.json": `{logging:{file:"/etc/shadow"}, agents:{entries:{main:{agentDir:"~/.ssh"},
			ops:{workspace:"/etc"}, all:{workspace:"~"}}}}`,
		"/home/claw/MEMORY.md":   "remember",
		"/home/claw/documents/x": "x",
		"/tmp/openclaw":          "-> /home/bob",
		"/etc/hosts":             "hosts",
		"/etc/mine.md":           "mine",
	})
	got := runOn(t, context.Background(), dir, Options{})
	for p, row := range got.rows {
		if row.Type == File && row.At > 0 && bytes.Contains(got.content(t, p), []byte(secret)) {
			t.Errorf("%q was taken: %+v", p, row)
		}
	}
	got.want(t, map[string]string{
		"/home/claw/.ssh/id_ed25519": "skipped: not taken", "/home/claw/.ssh/authorized_keys": "collected",
		"/home/claw/.bashrc": "collected", "/home/claw/.npmrc": "skipped: revoked",
		"/home/claw/.claude/history.jsonl": "collected", "/home/claw/MEMORY.md": "collected",
		"/tmp/openclaw": "collected: outside the scope", "/home/bob/private.txt": "",
		"/home/claw/documents/x": "", "/etc/hosts": "collected",
		"/home/claw": "skipped: whole home", "/etc": "skipped: directory of the system",
		"/home/claw/.ssh/id_ed25519.pub": "collected",
	})
}

// Of what the config of an agent that is not root names outside its home, the content is taken if the agent may read it.
func TestNamedByTheConfig(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("another user's files need root")
	}
	const agent = 1000
	dir := newHost(t, map[string]string{
		state + "/openclaw.json": `{logging:{file:"/var/gw/a.log"}, session:{store:"/srv/kept/sessions.json"}, agents:{defaults:{workspace:"/srv/work"}}}`,
		"/home/claw/secret.txt":  "x", state + "/root.txt": "of root's, in a state",
		"/var/gw/a.1.log": "its own", "/var/gw/abc.log": "root's",
		"/srv/kept/sessions.json": "{}", "/srv/kept/other.json": "{}",
		"/srv/work/AGENTS.md": "for all", "/srv/work/own.md": "its own", "/srv/work/shadow.bak": "root's", "/srv/work/shut/in.md": "root's",
	})
	chown := func(name string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(name, agent, agent))
	}
	if err := filepath.WalkDir(dir+"/home/claw", chown); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]fs.FileMode{
		state + "/root.txt": 0o600, "/var/gw/abc.log": 0o640, "/srv/kept/other.json": 0o600, "/srv/work/shadow.bak": 0o600, "/srv/work/shut": 0o700,
		"/srv/work/shut/in.md": 0o644, "/srv/work/AGENTS.md": 0o644, "/srv/kept/sessions.json": 0o644,
	} {
		if err := errors.Join(os.Lchown(dir+name, 0, 0), os.Chmod(dir+name, mode)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"/var/gw/a.1.log", "/srv/work/own.md"} {
		if err := errors.Join(os.Lchown(dir+name, agent, agent), os.Chmod(dir+name, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	const shut = "skipped: may not read it"
	runOn(t, context.Background(), dir, Options{}).want(t, map[string]string{
		state + "/root.txt": "collected", "/var/gw/a.1.log": "collected", "/var/gw/abc.log": shut,
		"/srv/kept/sessions.json": "collected", "/srv/kept/other.json": shut,
		"/srv/work/AGENTS.md": "collected", "/srv/work/own.md": "collected", "/srv/work/shadow.bak": shut, "/srv/work/shut/in.md": shut,
	})
}

// TestStoreInHome: sessions that the config keeps in a home are taken, and nothing else of it.
func TestStoreInHome(t *testing.T) {
	dir := newHost(t, map[string]string{
		state + "/openclaw.json":      `{session:{store:"~/sessions.json"}}`,
		"/home/claw/sessions.json":    "{}",
		"/home/claw/a.jsonl":          "{}",
		"/home/claw/a.jsonl.reset.1":  "{}",
		"/home/claw/documents/b.json": "{}",
		"/home/claw/x":                "x",
	})
	runOn(t, context.Background(), dir, Options{}).want(t, map[string]string{
		"/home/claw/sessions.json": "collected", "/home/claw/a.jsonl": "collected", "/home/claw/a.jsonl.reset.1": "collected",
		"/home/claw": "skipped: whole home", "/home/claw/x": "", "/home/claw/documents/b.json": "",
	})
}

// Where the state directory, or a home, is reached by a link, both the link and what it stands for are taken.
func TestLinkedPlaces(t *testing.T) {
	dir := newHost(t, map[string]string{
		"/data/oc/openclaw.json":                           `{a:1}`,
		"/data/oc/state/openclaw.sqlite":                   "-> /data/db/y",
		"/data/db/y":                                       "db",
		"/data/db/y-wal":                                   "log",
		"/data/sessions/s.jsonl":                           "{}",
		"/data/oc/agents/main/agent/openclaw-agent.sqlite": "-> /data/db/x",
		"/data/db/x":                                       "db",
		"/data/db/x-wal":                                   "log",
		"/data/oc/agents/main/sessions":                    "-> /data/sessions",
		"/var/claw2/x":                                     "",
		"/var/claw2/.ssh/authorized_keys":                  "key",
		"/etc/passwd":                                      "c2:x:1002:1002::/home/c2:/bin/sh\n",
		"/home/c2":                                         "-> /var/claw2",
		"/var/claw2/.openclaw":                             "-> /data/oc",
		"/etc/systemd/system/linked.service":               "-> /opt/openclaw.service",
		"/opt/openclaw.service":                            "[Service]\nExecStart=/usr/bin/openclaw gateway\n",
		"/var/claw2/.config/systemd/user/x.service":        "[Service]",
	})
	got := runOn(t, context.Background(), dir, Options{})
	got.want(t, map[string]string{
		"/home/c2": "collected", "/var/claw2/.openclaw": "collected", "/data/oc/openclaw.json": "collected",
		"/data/oc/state/openclaw.sqlite": "collected", "/data/oc": "collected",
		"/data/oc/agents/main/sessions": "collected", "/data/sessions/s.jsonl": "collected",
		"/data/db/x": "collected", "/data/db/x-wal": "collected", "/data/db/y": "collected", "/data/db/y-wal": "collected",
		"/var/claw2/.ssh/authorized_keys": "collected", "/etc/systemd/system/linked.service": "collected",
		"/opt/openclaw.service": "collected", "/var/claw2/.config/systemd/user/x.service": "collected",
	})
	text, err := fsRead(got, "home/c2/.openclaw/agents/main/sessions/s.jsonl")
	if err != nil || text != "{}" {
		t.Errorf("through the links: %q, %v", text, err)
	}
}

func fsRead(g taken, name string) (string, error) {
	f, err := g.FS().Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	return string(b), err
}

// Files that grow, shrink, are rewritten, replaced or vanish while others are read.
func TestFilesInMotion(t *testing.T) {
	dir := newHost(t, nil)
	in := dir + state + "/motion/"
	big := noise(9, 3*copyBuffer)
	for _, name := range []string{"grows", "shrinks", "rewritten", "still"} {
		put(t, in+name, big)
	}
	done := map[string]bool{}
	o := Options{Progress: func(p string, n int64) {
		if done[p] || n == 0 {
			return
		}
		done[p] = true
		var err error
		switch path := dir + p; filepath.Base(p) {
		case "grows":
			err = os.WriteFile(path, []byte(big+"more"), 0o600)
		case "shrinks":
			err = os.Truncate(path, 2*copyBuffer)
		case "rewritten":
			err = os.WriteFile(path, []byte(strings.ToUpper(big)), 0o600)
		}
		if err != nil {
			t.Error(err)
		}
	}}
	got := runOn(t, context.Background(), dir, o)
	got.want(t, map[string]string{
		state + "/motion/grows": "changed: grew", state + "/motion/shrinks": "changed: shrank",
		state + "/motion/rewritten": "changed: parts of two states", state + "/motion/still": "collected",
	})
	if !got.out.Partial() || len(got.out.Lacking) != 3 {
		t.Errorf("%+v", got.out)
	}
	if text := got.content(t, state+"/motion/grows"); string(text) != big {
		t.Error("what was there at first is not what is stored")
	}
}

func TestFilesVanish(t *testing.T) {
	dir := newHost(t, nil)
	for i := range 20 {
		put(t, fmt.Sprintf("%s%s/gone/%d", dir, state, i), "x")
	}
	kept := ""
	got := runOn(t, context.Background(), dir, Options{Progress: func(p string, _ int64) {
		if kept == "" && strings.Contains(p, "/gone/") {
			kept = p
			if err := os.RemoveAll(dir + state + "/gone"); err != nil {
				t.Error(err)
			}
		}
	}})
	want := map[string]string{kept: "collected"}
	for i := range 20 {
		if p := fmt.Sprintf("%s/gone/%d", state, i); p != kept {
			want[p] = "missing: vanished"
		}
	}
	got.want(t, want)
}

// A directory that becomes a link while it is walked leads nowhere.
func TestDirectorySwapped(t *testing.T) {
	dir := newHost(t, nil)
	for i := range 20 {
		put(t, fmt.Sprintf("%s%s/swap/%d", dir, state, i), "mine")
		put(t, fmt.Sprintf("%s/etc/private/%d", dir, i), "not mine")
	}
	swapped := false
	got := runOn(t, context.Background(), dir, Options{Progress: func(p string, _ int64) {
		if strings.Contains(p, "/swap/") && !swapped {
			swapped = true
			err := errors.Join(os.Rename(dir+state+"/swap", dir+state+"/swapped"), os.Symlink("/etc/private", dir+state+"/swap"))
			if err != nil {
				t.Error(err)
			}
		}
	}})
	other := 0
	for p, row := range got.rows {
		if !strings.Contains(p, "/swap/") {
			continue
		}
		switch {
		case row.Status == Unreadable && strings.Contains(row.Reason, "lies elsewhere"):
			other++
		case row.Status != Collected || string(got.content(t, p)) != "mine":
			t.Errorf("%q: %+v", p, row)
		}
	}
	if other != 19 {
		t.Errorf("%d files were seen to lie elsewhere, want 19", other)
	}
}

func TestLeasedFile(t *testing.T) {
	dir := newHost(t, map[string]string{state + "/leased": "x"})
	f, err := os.OpenFile(dir+state+"/leased", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		t.Skip(err)
	}
	release := time.AfterFunc(200*time.Millisecond, func() { unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK) })
	defer release.Stop()
	got := runOn(t, context.Background(), dir, Options{})
	got.want(t, map[string]string{state + "/leased": "collected"})
}

// Without root some files cannot be read, and each says so.
func TestUnreadable(t *testing.T) {
	if dir := os.Getenv("COLLECT_AS_NOBODY"); dir != "" {
		got := runOn(t, context.Background(), dir, Options{})
		got.want(t, map[string]string{
			state + "/secret": "unreadable: permission denied", state + "/closed": "unreadable: permission denied",
			state + "/open": "collected", "/etc/sudoers": "unreadable: permission denied",
		})
		if !got.out.Partial() {
			t.Error("not partial")
		}
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root to become somebody else")
	}
	dir, err := os.MkdirTemp("", "collect")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for name, text := range map[string]string{
		"/etc/passwd": "claw:x:1000:1000::/home/claw:/bin/sh\n", "/etc/sudoers": "root ALL", state + "/openclaw.json": "{}",
		state + "/secret": "s", state + "/open": "o", state + "/closed/x": "c",
	} {
		put(t, dir+name, text)
	}
	test, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(os.WriteFile(dir+"/test", test, 0o755), os.Chmod(dir+"/test", 0o755), os.Chmod(dir, 0o755),
		os.Chmod(dir+"/etc/passwd", 0o644), os.Chmod(dir+state+"/openclaw.json", 0o644), os.Chmod(dir+state+"/open", 0o644),
		os.Chmod(dir+state+"/closed", 0o700))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(dir+"/test", "-test.run=^TestUnreadable$")
	cmd.Env, cmd.Dir = []string{"COLLECT_AS_NOBODY=" + dir, "TMPDIR=/tmp"}, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestBudgets(t *testing.T) {
	dir := newHost(t, map[string]string{
		state + "/logs/big.log":              noise(1, 100_000),
		state + "/a.txt":                     noise(2, 5_000),
		state + "/workspace/large":           noise(3, 60_000),
		"/etc/hosts":                         noise(4, 100),
		state + "/state/openclaw.sqlite":     noise(5, 30_000),
		state + "/state/openclaw.sqlite-wal": noise(6, 30_000),
	})
	t.Run("file", func(t *testing.T) {
		got := runOn(t, context.Background(), dir, Options{MaxFileSize: 20_000})
		got.want(t, map[string]string{
			state + "/logs/big.log": "truncated: first 20000 of 100000", state + "/a.txt": "collected",
			state + "/workspace/large": "truncated: limit of 20000", state + "/state/openclaw.sqlite": "truncated",
		})
		if r := got.rows[state+"/logs/big.log"]; r.Size != 20_000 || r.HostSize != 100_000 {
			t.Errorf("%+v", r)
		}
		if got.out.Cut != 4 || !got.out.Partial() {
			t.Errorf("%+v", got.out)
		}
	})
	for _, limit := range []int64{1, 4_000, 20_000, 70_000, 150_000, 170_000} {
		got := runOn(t, context.Background(), dir, Options{MaxSize: limit})
		var sum, cut int64
		for p, row := range got.rows {
			if row.At > 0 && row.Source != "bundle" {
				sum += row.Size
			}
			if strings.Contains(row.Reason, "over the budget") {
				cut++
			}
			if row.HostSize > limit && row.Status != Skipped {
				t.Errorf("%q: %+v", p, row)
			}
		}
		if sum > limit || sum != got.out.Bytes || cut == 0 || cut != got.out.Cut || !got.out.Partial() {
			t.Errorf("budget %d: %d bytes taken, %d cut, %+v", limit, sum, cut, got.out)
		}
	}
}

// A file of terabytes of nothing is cut, or it would keep us for hours.
func TestHollowFile(t *testing.T) {
	dir := newHost(t, map[string]string{state + "/logs/hollow.log": "the beginning"})
	if err := os.Truncate(filepath.Join(dir, state, "logs/hollow.log"), 8<<40); err != nil {
		t.Skipf("the file system has no files that large: %v", err)
	}
	got := runOn(t, context.Background(), dir, Options{})
	got.want(t, map[string]string{state + "/logs/hollow.log": "truncated: made of holes"})
	if r := got.rows[state+"/logs/hollow.log"]; r.Size != hollowSize || r.HostSize != 8<<40 || !got.out.Partial() {
		t.Errorf("%+v", r)
	}
}

// An interrupted run ends at once, with a row for each target and a bundle that is whole.
func TestInterruptedRun(t *testing.T) {
	dir := newHost(t, map[string]string{state + "/workspace/x": "x", "/etc/hosts": "h"})
	for i := range 50 {
		put(t, fmt.Sprintf("%s%s/aa/%d", dir, state, i), "x")
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n := 0
	got := runOn(t, ctx, dir, Options{Progress: func(p string, _ int64) {
		if n++; strings.Contains(p, "/aa/") {
			cancel()
		}
	}})
	got.want(t, map[string]string{
		state + "/aa": "truncated: interrupted after 1 ", state: "truncated: interrupted",
		state + "/workspace": "skipped: interrupted", "/etc/hosts": "skipped: interrupted",
	})
	if !got.out.Interrupted || !got.out.Partial() {
		t.Errorf("%+v", got.out)
	}
	before, cancel2 := context.WithCancel(context.Background())
	cancel2()
	runOn(t, before, dir, Options{}).want(t, map[string]string{state: "skipped: interrupted"})
}

func TestManyEntries(t *testing.T) {
	n := 5_000
	dir := newHost(t, nil)
	many := dir + state + "/media/many"
	if err := os.MkdirAll(many, 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, many+"/0", "x")
	for i := 1; i < n; i++ {
		if err := os.Link(many+"/0", fmt.Sprintf("%s/%d", many, i)); err != nil {
			t.Fatal(err)
		}
	}
	got := runOn(t, context.Background(), dir, Options{})
	if got.out.Rows[Skipped] < int64(n) {
		t.Errorf("%d rows for %d files", got.out.Rows[Skipped], n)
	}
}

// TestFilesLieByName: whoever reads a bundle reads by name, and would decompress a frame for each file if they lay in no order.
func TestFilesLieByName(t *testing.T) {
	dir := newHost(t, nil)
	var want []string
	for i := range 500 {
		name := fmt.Sprintf("%s/agents/main/sessions/%08x.jsonl", state, uint32(i)*2654435761)
		want = append(want, name)
		put(t, dir+name, "{}\n")
	}
	slices.Sort(want)
	got := runOn(t, context.Background(), dir, Options{})
	lie := slices.SortedFunc(maps.Keys(got.rows), func(a, b string) int { return cmp.Compare(got.rows[a].At, got.rows[b].At) })
	lie = slices.DeleteFunc(lie, func(name string) bool { return !slices.Contains(want, name) })
	if !slices.Equal(lie, want) {
		t.Errorf("%d files, first %q", len(lie), lie[:3])
	}
}

func TestDeepDirectory(t *testing.T) {
	dir := newHost(t, nil)
	deep := dir + state + "/deep"
	fd, err := unix.Open(dir+state, unix.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	for range maxDepth + 50 {
		if err := unix.Mkdirat(fd, "deep", 0o755); err != nil {
			t.Fatal(err)
		}
		next, err := unix.Openat(fd, "deep", unix.O_RDONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(fd)
		fd = next
	}
	unix.Close(fd)
	t.Cleanup(func() { os.RemoveAll(deep) })
	got := runOn(t, context.Background(), dir, Options{})
	if got.out.Cut != 1 || !got.out.Partial() {
		t.Errorf("%+v", got.out)
	}
}

// Every line of the catalog leaves a row, on a host that has nothing of it.
func TestCatalogLeavesRows(t *testing.T) {
	dir := newHost(t, map[string]string{
		state + "/openclaw.json":               `{logging:{file:"/var/gw.log"},plugins:{load:{paths:["/srv/p"]}}}`,
		"/srv/p/index.js":                      "x",
		"/etc/systemd/system/openclaw.service": "[Service]\nEnvironment=HOME=/home/claw\n",
	})
	root := openRoot(t, dir)
	installs, _ := openclaw.Find(root, openclaw.FindOptions{})
	c := newCollector(context.Background(), root, installs, Options{})
	got := runOn(t, context.Background(), dir, Options{})
	used := map[*Entry]bool{}
	for _, target := range c.targets {
		used[target.Entry] = true
		if row, ok := got.rows[filepath.Join(target.path, target.glob)]; target.glob == "" && !ok || ok && row.Status == "" {
			t.Errorf("%s leaves no row: %+v", target.name(), target)
		}
	}
	for i := range catalog {
		if e := &catalog[i]; !used[e] || e.Why == "" || e.Source == "" {
			t.Errorf("%s %q is never looked for, or says nothing", e.Place, e.Path)
		}
	}
	if !slices.IsSortedFunc(Catalog(), func(a, b Entry) int { return int(a.Rank - b.Rank) }) {
		t.Error("the catalog is not in order of volatility")
	}
}

// The shortest-lived comes first.
func TestOrder(t *testing.T) {
	dir := newHost(t, map[string]string{
		"/tmp/openclaw/openclaw-2026-11-22.log": "log",
		state + "/state/openclaw.sqlite":        "db",
		state + "/agents/main/sessions/s.jsonl": "{}",
		state + "/zzz":                          "rest",
		state + "/workspace/AGENTS.md":          "agents",
		"/home/claw/.claude/projects/x/y.jsonl": "{}",
		"/etc/crontab":                          "cron",
	})
	got := runOn(t, context.Background(), dir, Options{Live: true})
	last := int64(0)
	for _, p := range []string{
		"live/processes.jsonl", "/tmp/openclaw/openclaw-2026-11-22.log", "live/journal-openclaw.jsonl",
		state + "/state/openclaw.sqlite", state + "/agents/main/sessions/s.jsonl", state + "/openclaw.json",
		state + "/zzz", state + "/workspace/AGENTS.md", "/home/claw/.claude/projects/x/y.jsonl", "/etc/crontab",
	} {
		row := got.rows[p]
		if row.At <= last {
			t.Errorf("%q is not after what lives shorter: %+v", p, row)
		}
		last = row.At
	}
}

func TestVolatileProfile(t *testing.T) {
	dir := newHost(t, map[string]string{
		state + "/state/openclaw.sqlite": "db", state + "/credentials/x": "c", state + "/workspace/AGENTS.md": "a",
		"/etc/crontab": "cron",
	})
	got := runOn(t, context.Background(), dir, Options{Profile: Volatile})
	got.want(t, map[string]string{
		state + "/state/openclaw.sqlite": "collected", state + "/credentials/x": "collected", state: "collected",
		state + "/workspace": "skipped: profile", state + "/workspace/AGENTS.md": "", "/etc/crontab": "skipped: profile",
	})
	if got.out.Partial() {
		t.Errorf("%+v", got.out)
	}
}

// An artifact that hangs, and one that fails, do not keep the others.
func TestArtifacts(t *testing.T) {
	dir := newHost(t, nil)
	release := make(chan struct{})
	defer close(release)
	artifacts := []host.Artifact{
		{Name: "live/hangs", Source: "process", Timeout: 10 * time.Millisecond, Write: func(_ context.Context, w io.Writer) error {
			fmt.Fprint(w, "before")
			<-release
			return nil
		}},
		{Name: "live/fails", Source: "process", Timeout: time.Second, Write: func(_ context.Context, w io.Writer) error {
			fmt.Fprint(w, "some")
			return errors.New("no more")
		}},
		{Name: "live/absent", Source: "process", Timeout: time.Second, Write: func(_ context.Context, w io.Writer) error {
			fmt.Fprint(w, "note")
			return exec.ErrNotFound
		}},
		{Name: "live/ended", Source: "process", Timeout: time.Second, Write: func(context.Context, io.Writer) error { return host.ErrEnded }},
	}
	id := newKey(t)
	bundle, _ := build(t, id, func(w *Writer) {
		c := newCollector(context.Background(), openRoot(t, dir), nil, Options{})
		c.w = w
		for _, a := range artifacts {
			if err := c.artifact(a); err != nil {
				t.Fatal(err)
			}
		}
	})
	got := taken{Bundle: open(t, bundle, id)}
	got.rows = rowsOf(t, got.Bundle)
	got.want(t, map[string]string{"live/hangs": "truncated: deadline", "live/fails": "truncated: no more", "live/absent": "collected", "live/ended": "missing: has ended"})
	if text := got.content(t, "live/hangs"); string(text) != "before" {
		t.Errorf("%q", text)
	}
}

// An estimate says what a run takes.
func TestEstimate(t *testing.T) {
	dir := newHost(t, map[string]string{
		state + "/media/cat.jpg": "cat", state + "/logs/x.log": noise(1, 5000), state + "/openclaw.json": `{a:"b"}`,
	})
	for _, o := range []Options{{}, {MaxFileSize: 100}, {Profile: Volatile}} {
		root := openRoot(t, dir)
		installs, _ := openclaw.Find(root, openclaw.FindOptions{})
		list, _ := Estimate(context.Background(), root, installs, o)
		var files, size, listed, cut int64
		for _, s := range list {
			files, size, listed, cut = files+s.Files, size+s.Bytes, listed+s.Listed, cut+s.Cut
		}
		got := runOn(t, context.Background(), dir, o)
		var wantFiles, wantSize int64
		for p, row := range got.rows {
			if strings.HasPrefix(p, "/") && row.Type == File && row.At > 0 {
				wantFiles, wantSize = wantFiles+1, wantSize+row.Size
			}
		}
		if files != wantFiles || size != wantSize || listed != 1 || cut != got.out.Cut {
			t.Errorf("%+v: estimated %d files of %d bytes, %d cut; taken %d of %d, %+v", o, files, size, cut, wantFiles, wantSize, got.out)
		}
	}
}

func TestExclude(t *testing.T) {
	dir := newHost(t, map[string]string{state + "/case/bundle": "x"})
	got := runOn(t, context.Background(), dir, Options{Exclude: []string{state + "/case"}})
	got.want(t, map[string]string{state + "/case": "skipped: our own", state + "/case/bundle": ""})
}

func TestMounts(t *testing.T) {
	table := newMountTable([]host.Mount{
		{Point: ".", Type: "nfs4"},
		{Point: "home", Type: "autofs"},
		{Point: "home/claw", Type: "nfs4"},
		{Point: "home/claw/x", Type: "ext4"},
		{Point: "proc", Type: "proc"},
	})
	for name, want := range map[string]string{
		"/home/claw": "network file system nfs4", "/home": "pseudo file system autofs", "/home/claw/x": "", "/etc": "", "/": "",
	} {
		if got := table.skip(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]string{"/home/claw/.openclaw": "nfs4", "/home/claw/x/y": "ext4", "/proc/kcore": "proc"} {
		if got := table.over(name); got == nil || got.Type != want {
			t.Errorf("%q: %+v, want %q", name, got, want)
		}
	}
	if got := table.over("/etc/passwd"); got != nil {
		t.Errorf("%+v", got)
	}
}
