package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"

	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// A tampering is one change of a log.
type tampering struct {
	what string
	log  []byte
	// hidden says that only a head kept elsewhere can show it: nothing in the case vouches for what was changed.
	hidden bool
}

// tamper makes one change of a log whose first vouched lines a seal vouches for. foreign is a line of another case.
func tamper(t *rapid.T, log []byte, vouched int, foreign []byte) tampering {
	lines := bytes.SplitAfter(bytes.TrimSuffix(log, []byte("\n")), []byte("\n"))
	lines[len(lines)-1] = append(bytes.Clone(lines[len(lines)-1]), '\n')
	index := rapid.IntRange(0, len(lines)-1)
	join := func(l ...[][]byte) []byte { return bytes.Join(slices.Concat(l...), nil) }
	i := index.Draw(t, "line")
	switch what := rapid.SampledFrom([]string{"flip", "remove", "swap", "repeat", "insert", "cut", "tear", "edit"}).Draw(t, "what"); what {
	case "flip":
		at := rapid.IntRange(0, len(log)-1).Draw(t, "at")
		changed := bytes.Clone(log)
		changed[at] ^= rapid.ByteRange(1, 255).Draw(t, "mask")
		return tampering{what, changed, at >= len(log)-len(lines[len(lines)-1])}
	case "remove":
		return tampering{what, join(lines[:i], lines[i+1:]), i == len(lines)-1 && i >= vouched}
	case "swap":
		j := index.Filter(func(j int) bool { return j != i }).Draw(t, "other")
		swapped := slices.Clone(lines)
		swapped[i], swapped[j] = swapped[j], swapped[i]
		return tampering{what, join(swapped), false}
	case "repeat":
		at := index.Draw(t, "at")
		return tampering{what, join(lines[:at+1], lines[i:i+1], lines[at+1:]), false}
	case "insert":
		return tampering{what, join(lines[:i], [][]byte{foreign}, lines[i:]), false}
	case "cut":
		return tampering{what, join(lines[:i]), i >= max(vouched, 1)}
	case "tear":
		at := rapid.IntRange(1, len(log)-1).Filter(func(at int) bool { return log[at-1] != '\n' }).Draw(t, "at")
		return tampering{what, log[:at], false}
	default: // another result of something that was done
		edited := slices.Clone(lines)
		edited[i] = bytes.Replace(edited[i], []byte(`"result":"`), []byte(`"result":"not `), 1)
		return tampering{what, join(edited), i == len(lines)-1}
	}
}

// Whatever is done to a real log is found: by itself, by the seal of a bundle, or else by a head that was kept elsewhere. A log that
// does not hold is left as it is.
func TestTamperedCaseProperty(t *testing.T) {
	r := newResponder(t, "2026.1.30")
	for _, line := range []string{
		"case open one", "analyze host --count", "collect --root host -R recipients.txt", "collect --root host -R recipients.txt -o B.tar.zst.age",
		"case open two", "analyze host --count --case one", "case show one", "case close one",
	} {
		if code, _, stderr := r.run(append(strings.Fields(line), "--case-dir", r.cases)...); code != exitDone {
			t.Fatalf("%s: exit code %d: %s", line, code, stderr)
		}
	}
	file := filepath.Join(r.cases, "one", "custody.jsonl")
	log := readFile(t, file)
	foreign := bytes.SplitAfter(readFile(t, filepath.Join(r.cases, "two", "custody.jsonl")), []byte("\n"))[1]
	first := r.verify(exitDone)
	if first.Vouched == 0 || first.Vouched >= first.Log.Lines {
		t.Fatalf("%d of %d lines are vouched for", first.Vouched, first.Log.Lines)
	}
	rapid.Check(t, func(rt *rapid.T) {
		x := tamper(rt, log, first.Vouched, foreign)
		if bytes.Equal(x.log, log) {
			rt.Skip("nothing changed")
		}
		if err := os.WriteFile(file, x.log, 0o600); err != nil {
			rt.Fatal(err)
		}
		head := first.Log.Head + ":" + jsonOf(first.Log.Lines)
		if code, stdout, stderr := r.run("case", "verify", "one", "--head", head, "--case-dir", r.cases); code != exitFound {
			rt.Fatalf("%s: exit code %d with the head\n%s%s", x.what, code, stdout, stderr)
		}
		if !bytes.Equal(readFile(t, file), x.log) {
			rt.Fatalf("%s: the log was written to", x.what)
		}
		if code, stdout, stderr := r.run("case", "verify", "one", "--case-dir", r.cases); code != exitFound && !x.hidden {
			rt.Fatalf("%s: exit code %d without a head\n%s%s", x.what, code, stdout, stderr)
		}
	})
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func jsonOf(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// A verdict is the last line of case verify --json.
type verdict struct {
	Log      casefile.Report
	Vouched  int
	Problems int
	Holds    bool
	files    []caseFile
}

// verify verifies case one as JSON.
func (r *responder) verify(want int, args ...string) (v verdict) {
	r.t.Helper()
	code, stdout, stderr := r.run(append([]string{"case", "verify", "one", "--json", "--case-dir", r.cases}, args...)...)
	if code != want {
		r.t.Fatalf("exit code %d, want %d\n%s%s", code, want, stdout, stderr)
	}
	for line := range strings.Lines(stdout) {
		var row struct {
			File *caseFile
			*verdict
		}
		row.verdict = &v
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			r.t.Fatal(err)
		}
		if row.File != nil {
			v.files = append(v.files, *row.File)
		}
	}
	return v
}

// Every file that the log names is compared with it, and a bundle with its seal.
func TestTamperedFilesOfCase(t *testing.T) {
	r := newResponder(t, "2026.1.30")
	r.run("case", "open", "one", "--case-dir", r.cases)
	r.run("collect", "--root", "host", "-R", "recipients.txt", "--case-dir", r.cases)
	whole := r.verify(exitDone)
	if len(whole.files) != 4 {
		t.Fatalf("files %+v", whole.files)
	}
	for _, f := range whole.files {
		path := filepath.Join(r.cases, "one", f.Path)
		text := readFile(t, path)
		for what, change := range map[string]func() error{
			"changed": func() error {
				return os.WriteFile(path, append(bytes.Clone(text[:len(text)-1]), text[len(text)-1]^1), 0o600)
			},
			"longer":  func() error { return os.WriteFile(path, append(bytes.Clone(text), '\n'), 0o600) },
			"missing": func() error { return os.Remove(path) },
			"link":    func() error { return errors.Join(os.Remove(path), os.Symlink("/etc/hostname", path)) },
		} {
			if err := change(); err != nil {
				t.Fatal(err)
			}
			v := r.verify(exitFound)
			if !slices.ContainsFunc(v.files, func(g caseFile) bool { return g.Path == f.Path && g.Problem != "" }) || v.Holds {
				t.Errorf("%s %s: %+v", f.Path, what, v)
			}
			if err := errors.Join(os.RemoveAll(path), os.WriteFile(path, text, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
	}
	r.verify(exitDone)
}

// A log is somebody's text: what it names lies in the case, or is a problem; nothing outside is opened, and nothing waits for ever.
func TestHostileCase(t *testing.T) {
	r := newResponder(t, "2026.1.30")
	cs, err := casefile.Open(r.cases, "one", true)
	if err != nil {
		t.Fatal(err)
	}
	defer cs.Close()
	r.write("secret", "x")
	names := []string{"/etc/passwd", "../../secret", "bundles/../../../secret", "bundles/pipe", "bundles/out", "bundles", "bundles/", "bundles/\x1b[2J\u202e"}
	for _, name := range names {
		sum := sha256.Sum256([]byte("x"))
		err := cs.Append(casefile.Entry{Action: "\x1b[2J\n", Object: "<b>\u202e\xff", Result: "\r", Note: "\t", Digests: []casefile.Digest{{Name: name, SHA256: hex.EncodeToString(sum[:])}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(syscall.Mkfifo(cs.Path("bundles", "pipe"), 0o600), os.Symlink(filepath.Join(r.dir, "secret"), cs.Path("bundles", "out"))); err != nil {
		t.Fatal(err)
	}
	v := r.verify(exitFound)
	for _, name := range names {
		if name != "bundles" && !slices.ContainsFunc(v.files, func(f caseFile) bool { return f.Path == name && f.Problem != "" }) {
			t.Errorf("%q is no problem: %+v", name, v.files)
		}
	}
	for _, command := range []string{"show", "verify"} {
		_, stdout, stderr := r.run("case", command, "one", "--case-dir", r.cases)
		for _, c := range stdout + stderr {
			if c != '\n' && (c < ' ' || c == 0x7f || unicode.Is(unicode.Bidi_Control, c)) {
				t.Errorf("%s prints %q", command, c)
			}
		}
	}
}

// at is a moment of the day on which the lines of a test were written.
func at(clock string) time.Time {
	t, err := time.Parse(time.DateTime, "2026-11-29 "+clock)
	if err != nil {
		panic(err)
	}
	return t
}

// storyLines are two commands at once, one that was killed, and a damaged line.
func storyLines() (lines []casefile.Line) {
	carol, root := casefile.Operator{User: "root", SudoUser: "carol"}, casefile.Operator{User: "root"}
	bundle := "bundles/openclaw-ir-vps-3-20261129T120250Z.tar.zst.age"
	sum := strings.Repeat("0123456789abcdef", 4)
	part, done := exitPartial, exitDone
	add := func(clock string, o casefile.Operator, pid int, e casefile.Entry) {
		e.Time, e.Operator, e.PID, e.Host = at(clock), o, pid, "vps-3"
		lines = append(lines, casefile.Line{Number: len(lines) + 1, SHA256: sum, Entry: &e})
	}
	add("12:00:00", carol, 7, casefile.Entry{Action: "collect", Object: "/var/lib/openclaw-ir/one/" + bundle, Result: "begun", Note: "recipients: age1first, age1second"})
	add("12:00:01", root, 8, casefile.Entry{Action: "rotate replace gateway.auth.token", Object: "/home/claw/\x1b[2J\u202e.json", Result: "done"})
	lines = append(lines, casefile.Line{Number: len(lines) + 1, SHA256: sum})
	add("12:00:09", carol, 7, casefile.Entry{
		Action: "collect", Object: "/var/lib/openclaw-ir/one/" + bundle, Result: "sealed in part", Note: "110 collected, 1 skipped",
		Digests: []casefile.Digest{{Name: bundle, SHA256: sum}, {Name: bundle + ".seal", SHA256: sum}},
	})
	add("12:00:10", carol, 7, casefile.Entry{
		Action: "collect", Object: "/", Result: "done in part", Exit: &part, Note: "printed 1 line, 74 B", Digests: []casefile.Digest{{Name: "stdout", SHA256: sum}},
	})
	add("12:01:00", root, 9, casefile.Entry{Action: "analyze findings", Object: "/mnt/image", Result: "done", Exit: &done})
	lines[len(lines)-1].Entry.Host = "laptop"
	return lines
}

// The story fits a narrow terminal, and uses a wide one.
func TestStory(t *testing.T) {
	for _, columns := range []int{80, 200} {
		var text bytes.Buffer
		out := bufio.NewWriter(&text)
		s := story{console: console.New(console.Streams{}, console.Facts{}), out: out, width: columns, dir: "/var/lib/openclaw-ir/one", host: "vps-3"}
		for _, line := range storyLines() {
			s.add(line)
		}
		s.finish()
		out.Flush()
		for line := range strings.Lines(text.String()) {
			if width(strings.TrimSuffix(line, "\n")) > columns {
				t.Errorf("%d columns: %q", columns, line)
			}
		}
		name := "testdata/story-" + jsonOf(columns) + ".txt"
		if *update {
			if err := os.WriteFile(name, text.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(string(readFile(t, name)), text.String()); diff != "" {
			t.Errorf("%d columns: -want +got\n%s", columns, diff)
		}
	}
}
