package casefile

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

func TestDefaultDir(t *testing.T) {
	for _, test := range []struct {
		uid             int
		xdg, home, want string
	}{
		{0, "/x", "/root", "/var/lib/openclaw-ir"},
		{1000, "", "/home/bob", "/home/bob/.local/state/openclaw-ir"},
		{1000, "/state", "/home/bob", "/state/openclaw-ir"},
		{1000, "relative", "/home/bob", "/home/bob/.local/state/openclaw-ir"},
	} {
		if got := DefaultDir(test.uid, test.xdg, test.home); got != test.want {
			t.Errorf("DefaultDir(%d, %q, %q) = %q, want %q", test.uid, test.xdg, test.home, got, test.want)
		}
	}
}

func TestOpenMakesCase(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cases")
	old := syscall.Umask(0)
	c, err := Open(dir, "", true)
	syscall.Umask(old)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if !c.Made() || c.Info().State != StateOpen || c.Info().Host != hostname() || time.Since(c.Info().Created) > time.Minute {
		t.Errorf("made %v, %+v", c.Made(), c.Info())
	}
	if !strings.HasPrefix(c.Name(), c.Info().Created.Format("20060102T150405Z-")) {
		t.Errorf("the name is %q", c.Name())
	}
	want := map[string]fs.FileMode{
		".": fs.ModeDir | 0o700, "bundles": fs.ModeDir | 0o700, "report": fs.ModeDir | 0o700,
		"case.json": 0o600, "salt": 0o600, "seal.key": 0o600, "seal.pub": 0o600,
		"custody.jsonl": 0o600, "custody.lock": 0o600,
	}
	err = fs.WalkDir(c.Root().FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if mode, ok := want[path]; !ok || info.Mode() != mode {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		delete(want, path)
		return nil
	})
	if err != nil || len(want) > 0 {
		t.Errorf("missing %v, %v", want, err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the base has %v, %v", info, err)
	}
	report := checkOK(t, readLog(t, c))
	if report.Lines != 1 || !bytes.Contains(readLog(t, c), []byte(`"action":"case open"`)) {
		t.Errorf("the log starts %+v", report)
	}
}

func TestOpenChooses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b", "cases")
	if _, err := Open(dir, "", false); !errors.Is(err, ErrNoCase) {
		t.Errorf("a base that is missing: %v", err)
	}
	open := func(name string, create bool) *Case {
		t.Helper()
		c, err := Open(dir, name, create)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	first := open("", true)
	if again := open("", true); again.Name() != first.Name() || again.Made() {
		t.Errorf("made a second case %q beside %q", again.Name(), first.Name())
	}
	named := open("acme-1", true)
	if !named.Made() || named.Name() != "acme-1" {
		t.Errorf("made %q", named.Name())
	}
	if newest := open("", false); newest.Name() != "acme-1" {
		t.Errorf("the newest is %q", newest.Name())
	}
	if err := named.SetState(StateClosed); err != nil {
		t.Fatal(err)
	}
	if newest := open("", false); newest.Name() != first.Name() {
		t.Errorf("the newest open one is %q", newest.Name())
	}
	if closed := open("acme-1", false); closed.Info().State != StateClosed {
		t.Errorf("got %+v", closed.Info())
	}
	if err := first.SetState(StateClosed); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, "", false); !errors.Is(err, ErrNoCase) {
		t.Errorf("all are closed: %v", err)
	}
	third := open("", true)
	if !third.Made() || third.Name() == first.Name() {
		t.Errorf("got %q", third.Name())
	}
	if err := named.SetState(StateOpen); err != nil {
		t.Fatal(err)
	}
	if err := named.SetState(StateOpen); err != nil {
		t.Fatal(err)
	}
	if report := checkOK(t, readLog(t, named)); report.Lines != 3 {
		t.Errorf("got %+v", report)
	}
	if _, err := Open(dir, "missing", false); !errors.Is(err, ErrNoCase) {
		t.Errorf("a name that is missing: %v", err)
	}
	for _, name := range []string{"..", ".", "../x", "a/b", "/etc", "-x", ".x", "a\nb", "é", strings.Repeat("x", 200)} {
		if _, err := Open(dir, name, true); err == nil || errors.Is(err, ErrNoCase) {
			t.Errorf("name %q: %v", name, err)
		}
	}
}

func TestList(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cases")
	if infos, err := List(dir); len(infos) != 0 || err != nil {
		t.Errorf("no base: %v, %v", infos, err)
	}
	for _, name := range []string{"b-first", "a-second", "c-third"} {
		c, err := Open(dir, name, true)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	junk := map[string]func(path string) error{
		"file":     func(p string) error { return os.WriteFile(p, nil, 0o600) },
		"empty":    func(p string) error { return os.Mkdir(p, 0o700) },
		"\x1b[31m": func(p string) error { return os.Mkdir(p, 0o700) },
		"link":     func(p string) error { return os.Symlink("b-first", p) },
		"fifo":     func(p string) error { return syscall.Mkfifo(p, 0o600) },
		".new-x":   func(p string) error { return os.Mkdir(p, 0o700) },
		"writable": func(p string) error { return errors.Join(os.Mkdir(p, 0o700), os.Chmod(p, 0o770)) },
	}
	for name, content := range map[string]string{
		"deep":    strings.Repeat(`{"a":`, 10_000),
		"null":    "null",
		"version": `{"version":2}`,
		"state":   `{"version":1,"id":"x","created":"2030-01-01T00:00:00Z","state":"\u001b"}`,
		"year":    `{"version":1,"id":"x","created":"99999-01-01T00:00:00Z","state":"open"}`,
		"huge":    `{"version":1,"id":"` + strings.Repeat("x", infoLimit) + `"}`,
	} {
		junk[name] = func(p string) error {
			return errors.Join(os.Mkdir(p, 0o700), os.WriteFile(filepath.Join(p, "case.json"), []byte(content), 0o600))
		}
	}
	junk["fifo-inside"] = func(p string) error {
		return errors.Join(os.Mkdir(p, 0o700), syscall.Mkfifo(filepath.Join(p, "case.json"), 0o600))
	}
	for name, make := range junk {
		if err := make(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	infos, err := List(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(infos) != 3+len(junk) {
		t.Errorf("%d rows, want %d", len(infos), 3+len(junk))
	}
	for i, info := range infos {
		if want := []string{"c-third", "a-second", "b-first"}; i < 3 && (info.Name != want[i] || info.Problem != "") {
			t.Errorf("row %d is %+v", i, info)
		}
		if i >= 3 && (info.Problem == "" || junk[info.Name] == nil) {
			t.Errorf("row %d is %+v", i, info)
		}
	}
	c, err := Open(dir, "", false)
	if err != nil || c.Name() != "c-third" {
		t.Fatalf("opened %v, %v", c, err)
	}
	c.Close()
}

func TestOpenRefusesWhatOthersPrepared(t *testing.T) {
	for name, prepare := range map[string]func(base, path string) error{
		"case is a link":         func(base, path string) error { return replaceByLink(path) },
		"base is a link":         func(base, path string) error { return replaceByLink(base) },
		"case is group-writable": func(base, path string) error { return os.Chmod(path, 0o770) },
		"case is world-writable": func(base, path string) error { return os.Chmod(path, 0o702) },
		"base is group-writable": func(base, path string) error { return os.Chmod(base, 0o730) },
		"case is another's":      func(base, path string) error { return os.Lchown(path, 12345, 12345) },
		"base is another's":      func(base, path string) error { return os.Lchown(base, 12345, 12345) },
		"case is a file": func(base, path string) error {
			return errors.Join(os.RemoveAll(path), os.WriteFile(path, nil, 0o600))
		},
		"case file is a link": func(base, path string) error { return replaceByLink(filepath.Join(path, "case.json")) },
		"case file is another's": func(base, path string) error {
			return os.Lchown(filepath.Join(path, "case.json"), 12345, 12345)
		},
		"lock is a link": func(base, path string) error { return os.Symlink("x", filepath.Join(base, ".lock")) },
		"above is another's (root only)": func(base, path string) error {
			if os.Getuid() != 0 {
				return errors.New("only root is that strict")
			}
			return os.Chown(filepath.Dir(base), 12345, 12345)
		},
	} {
		t.Run(name, func(t *testing.T) {
			above := filepath.Join(t.TempDir(), "above")
			base := filepath.Join(above, "cases")
			c, err := Open(base, "x", true)
			if err != nil {
				t.Fatal(err)
			}
			path := c.Path()
			c.Close()
			_ = os.Remove(filepath.Join(base, ".lock"))
			if err := prepare(base, path); err != nil {
				t.Skip(err)
			}
			c, err = Open(base, "x", true)
			if err == nil {
				c.Close()
			}
			if !errors.Is(err, ErrUnsafe) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// replaceByLink moves a file aside and puts a link to it in its place.
func replaceByLink(path string) error {
	return errors.Join(os.Rename(path, path+".real"), os.Symlink(path+".real", path))
}

// A parent that is a link is followed once, and only to a place that is safe.
func TestBaseBelowLink(t *testing.T) {
	above := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(above, "real"), 0o700), os.Symlink("real", filepath.Join(above, "link"))); err != nil {
		t.Fatal(err)
	}
	c, err := Open(filepath.Join(above, "link", "deeper", "cases"), "", true)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	real, err := filepath.EvalSymlinks(above)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(real, "real", "deeper", "cases", c.Name()); c.Path() != want {
		t.Errorf("the case is at %q, want %q", c.Path(), want)
	}
}

// What is done goes to the directory that was checked, not to its name.
func TestCaseSurvivesReplacement(t *testing.T) {
	c, _ := openNew(t)
	if err := os.Rename(c.Path(), c.Path()+"-moved"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(c.Path(), 0o700); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, c, "x")
	if entries, err := os.ReadDir(c.Path()); err != nil || len(entries) != 0 {
		t.Errorf("the replacement holds %v, %v", entries, err)
	}
}

func TestFailedCreationLeavesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cases")
	cmd := child(t, "CASEFILE_TEST=full", "CASEFILE_DIR="+dir, "CASEFILE_LIMIT=200")
	if out, err := cmd.CombinedOutput(); err == nil {
		t.Skipf("the limit was not enforced: %s", out)
	}
	if infos, err := List(dir); err != nil || len(infos) != 0 {
		t.Errorf("left %+v, %v", infos, err)
	}
}

func TestSignerAndSalt(t *testing.T) {
	c, _ := openNew(t)
	signer, err := c.Signer()
	if err != nil {
		t.Fatal(err)
	}
	public, err := c.ReadFile("seal.pub", 1000)
	if err != nil {
		t.Fatal(err)
	}
	key, comment, _, _, err := ssh.ParseAuthorizedKey(public)
	if err != nil || !bytes.Equal(key.Marshal(), signer.PublicKey().Marshal()) || comment != "openclaw-ir-case-"+c.Info().ID {
		t.Errorf("seal.pub is %q, %v", public, err)
	}
	sig, err := signer.Sign(rand.Reader, []byte("x"))
	if err != nil || key.Verify([]byte("x"), sig) != nil {
		t.Errorf("the signature does not verify: %v", err)
	}
	if !bytes.Contains(readLog(t, c), []byte(digest(public))) {
		t.Error("the log does not hold the digest of seal.pub")
	}

	salt, err := c.Salt()
	if err != nil || len(salt) != 32 || bytes.Equal(salt, make([]byte, 32)) {
		t.Errorf("the salt is %x, %v", salt, err)
	}
	for _, wrong := range []string{"short", strings.Repeat("x", 33)} {
		if err := c.WriteFile("salt", []byte(wrong)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Salt(); err == nil {
			t.Errorf("a salt of %d bytes was taken", len(wrong))
		}
	}
	for _, wrong := range []string{"", "rubbish", strings.Repeat("x", keyLimit+1)} {
		if err := c.WriteFile("seal.key", []byte(wrong)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Signer(); err == nil || strings.Contains(err.Error(), "rubbish") {
			t.Errorf("a wrong key: %v", err)
		}
	}
}

func TestSealKeyIsForOpenSSH(t *testing.T) {
	c, _ := openNew(t)
	out, err := exec.Command("ssh-keygen", "-y", "-f", c.Path("seal.key")).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip(err)
	}
	public, _ := os.ReadFile(c.Path("seal.pub"))
	if err != nil || !bytes.Equal(bytes.TrimSpace(out), bytes.TrimSpace(public)) {
		t.Errorf("ssh-keygen says %q (%v), seal.pub is %q", out, err, public)
	}
}

func TestFiles(t *testing.T) {
	c, _ := openNew(t)
	for _, content := range []string{"one", "two"} {
		if err := c.WriteFile("report/x.md", []byte(content)); err != nil {
			t.Fatal(err)
		}
		got, err := c.ReadFile("report/x.md", 3)
		if err != nil || string(got) != content {
			t.Errorf("got %q, %v", got, err)
		}
	}
	if _, err := c.ReadFile("report/x.md", 2); err == nil {
		t.Error("a file beyond the limit was read")
	}
	if _, err := c.ReadFile("contain.json", 10); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is missing: %v", err)
	}
	if err := c.WriteFile("../escape", nil); err == nil {
		t.Error("wrote outside the case")
	}
	if err := errors.Join(os.RemoveAll(c.Path("report")), os.Symlink(t.TempDir(), c.Path("report"))); err != nil {
		t.Fatal(err)
	}
	if err := c.WriteFile("report/x.md", nil); !errors.Is(err, ErrUnsafe) {
		t.Errorf("wrote into a directory that is a link: %v", err)
	}
	if err := errors.Join(os.Remove(c.Path("report")), c.WriteFile("report/x.md", nil)); err != nil {
		t.Errorf("the directory was not made again: %v", err)
	}
	// A link in the way is replaced, not followed.
	target := filepath.Join(t.TempDir(), "target")
	if err := errors.Join(os.WriteFile(target, []byte("keep"), 0o600), os.Symlink(target, c.Path("contain.json"))); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ReadFile("contain.json", 10); !errors.Is(err, ErrUnsafe) {
		t.Errorf("read through a link: %v", err)
	}
	if err := c.WriteFile("contain.json", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if kept, err := os.ReadFile(target); err != nil || string(kept) != "keep" {
		t.Errorf("the target is %q, %v", kept, err)
	}
	entries, err := os.ReadDir(c.Path("report"))
	if err != nil || len(entries) != 1 {
		t.Errorf("report/ holds %v, %v", entries, err)
	}
}

// TestLeftByAKilledProcess finds nothing of a process that was killed while it made a case, or wrote a file of one.
func TestLeftByAKilledProcess(t *testing.T) {
	c, dir := openNew(t)
	half := filepath.Join(dir, newPrefix+rand.Text())
	err := errors.Join(os.Mkdir(half, 0o700), os.WriteFile(filepath.Join(half, keyName), []byte("half"), 0o600),
		os.WriteFile(c.Path(ReportDir, temporaryName), []byte("half"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	again, err := Open(dir, c.Name(), true)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if infos, err := List(dir); err != nil || len(infos) != 1 {
		t.Errorf("%+v, %v", infos, err)
	}
	if err := again.WriteFile(ReportDir+"/a", []byte("whole")); err != nil {
		t.Fatal(err)
	}
	if text, err := again.ReadFile(ReportDir+"/a", 10); err != nil || string(text) != "whole" {
		t.Errorf("%q, %v", text, err)
	}
	if files, err := os.ReadDir(c.Path(ReportDir)); err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
}

func FuzzReadInfo(f *testing.F) {
	f.Add([]byte(`{"version":1,"id":"x","created":"2030-01-01T00:00:00Z","state":"open"}`))
	dir := f.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, infoName), data, 0o600); err != nil {
			t.Fatal(err)
		}
		info, err := readInfo(root, "x")
		if err != nil {
			return
		}
		if err := root.WriteFile(infoName, info.encode(), 0o600); err != nil {
			t.Fatal(err)
		}
		again, err := readInfo(root, "x")
		if err != nil || !again.Created.Equal(info.Created) || again.ID != info.ID || again.State != info.State {
			t.Fatalf("%+v became %+v, %v", info, again, err)
		}
	})
}

// TestSnapshotsCase says that the case of scheduled snapshots is not taken for that of an incident.
func TestSnapshotsCase(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cases")
	named, err := Open(dir, SnapshotsCase, true)
	if err != nil {
		t.Fatal(err)
	}
	defer named.Close()
	if _, err := Open(dir, "", false); !errors.Is(err, ErrNoCase) {
		t.Errorf("without a name: %v", err)
	}
	incident, err := Open(dir, "", true)
	if err != nil {
		t.Fatal(err)
	}
	defer incident.Close()
	if !incident.Made() || incident.Name() == SnapshotsCase {
		t.Errorf("the incident's case is %q", incident.Name())
	}
}
