package casefile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestMain lets the test binary stand for another process of ours.
func TestMain(m *testing.M) {
	switch os.Getenv("CASEFILE_TEST") {
	case "append":
		os.Exit(appendMany(os.Getenv("CASEFILE_DIR"), 0))
	case "readonly":
		os.Exit(readOnly(os.Getenv("CASEFILE_DIR")))
	case "full":
		limit, _ := strconv.ParseUint(os.Getenv("CASEFILE_LIMIT"), 10, 64)
		os.Exit(appendMany(os.Getenv("CASEFILE_DIR"), limit))
	}
	os.Exit(m.Run())
}

// appendMany appends 25 entries in a process of its own, whose files may not
// grow beyond limit bytes: the kernel cuts the write short, as on a full disk.
func appendMany(dir string, limit uint64) int {
	if limit > 0 {
		signal.Ignore(syscall.SIGXFSZ)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
			return 2
		}
	}
	c, err := Open(dir, "", true)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for i := range 25 {
		if err := c.Append(Entry{Action: "test", Object: strconv.Itoa(i), Result: "done"}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return 0
}

func child(t *testing.T, env ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Skip(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

// openNew makes a case in a fresh directory.
func openNew(t testing.TB) (c *Case, dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "cases")
	c, err := Open(dir, "", true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, dir
}

func readLog(t testing.TB, c *Case) []byte {
	t.Helper()
	data, err := os.ReadFile(c.Path(custodyName))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func mustAppend(t testing.TB, c *Case, objects ...string) {
	t.Helper()
	for _, object := range objects {
		if err := c.Append(Entry{Action: "test", Object: object, Result: "done"}); err != nil {
			t.Fatal(err)
		}
	}
}

func checkOK(t testing.TB, log []byte, known ...Head) Report {
	t.Helper()
	report := VerifyCustody(bytes.NewReader(log), known...)
	if !report.OK() {
		t.Fatalf("%+v in\n%s", report.Problems, log)
	}
	return report
}

// Lines gives each line with its digest, damaged ones too, and stops where the caller does.
func TestLines(t *testing.T) {
	c, _ := openNew(t)
	mustAppend(t, c, "first", "second")
	if err := os.WriteFile(c.Path(custodyName), append(readLog(t, c), "{rubbish\n{cut"...), 0o600); err != nil {
		t.Fatal(err)
	}
	whole := bytes.SplitAfter(readLog(t, c), []byte("\n"))
	n := 0
	for line, err := range c.Lines() {
		if err != nil {
			t.Fatal(err)
		}
		if line.Number != n+1 || line.SHA256 != digest(whole[n]) || (line.Entry == nil) != (n >= 3) {
			t.Errorf("line %d is %+v", n+1, line)
		}
		n++
	}
	if n != len(whole) {
		t.Errorf("%d lines, want %d", n, len(whole))
	}
	for range c.Lines() {
		break
	}
	mustAppend(t, c, "while nobody reads")
	for line, err := range c.Lines() { // whoever reads keeps nobody from appending
		if err != nil {
			t.Fatal(err)
		}
		if line.Number == 1 {
			mustAppend(t, c, "while somebody reads")
		}
	}
}

func TestAppend(t *testing.T) {
	c, _ := openNew(t)
	c.Operator.SudoUser = "bob"
	exit := 3
	err := c.Append(Entry{
		Seq: 99, Prev: "forged", Host: "forged", Time: time.Unix(1, 0), Operator: Operator{User: "forged"},
		Action: "contain freeze", Object: "pid 7 <a&b>\x1b\u202e\xff", Result: "done", Exit: &exit,
		Digests: []Digest{{"bundles/x", strings.Repeat("ab", 32)}}, Note: "n\xff\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	log := readLog(t, c)
	lines := bytes.SplitAfter(log, []byte("\n"))
	if len(lines) != 3 || len(lines[2]) != 0 {
		t.Fatalf("the log is %q", log)
	}
	for _, b := range log {
		if b != '\n' && (b < ' ' || b > '~') {
			t.Fatalf("byte %#x in the log", b)
		}
	}
	var e Entry
	if err := json.Unmarshal(lines[1], &e); err != nil {
		t.Fatal(err)
	}
	if e.Seq != 2 || e.Prev != digest(lines[0]) || e.Host != hostname() || time.Since(e.Time) > time.Minute ||
		e.Operator.UID != os.Getuid() || e.Operator.SudoUser != "bob" || e.Operator.User == "forged" ||
		*e.Exit != 3 || e.Object != `"pid 7 <a&b>\x1b\u202e\xff"` || len(e.Digests) != 1 {
		t.Errorf("got %+v", e)
	}
	if !bytes.Contains(lines[1], []byte("<a&b>")) {
		t.Error("HTML is escaped")
	}
	report := checkOK(t, log)
	hash, n, err := c.Head()
	if err != nil || hash != digest(lines[1]) || n != 2 || report.Head != hash || report.Lines != n {
		t.Errorf("Head is %s, %d, %v; report %+v", hash, n, err, report)
	}
}

func TestAppendRefuses(t *testing.T) {
	c, _ := openNew(t)
	before := readLog(t, c)
	for name, e := range map[string]Entry{
		"no action":  {},
		"our action": {Action: actionTorn},
		"too long":   {Action: "x", Note: strings.Repeat("x", lineLimit)},
	} {
		if err := c.Append(e); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if !bytes.Equal(before, readLog(t, c)) {
		t.Error("the log changed")
	}
	mustAppend(t, c, strings.Repeat("é", lineLimit/8)) // the longest that fits is read back
	mustAppend(t, c, "after")
	checkOK(t, readLog(t, c))
}

func TestHeadMatchesStandardTools(t *testing.T) {
	c, _ := openNew(t)
	mustAppend(t, c, "a", "b")
	out, err := exec.Command("sh", "-c", `tail -n 1 "$1" | sha256sum`, "sh", c.Path(custodyName)).Output()
	if err != nil {
		t.Skip(err)
	}
	hash, _, err := c.Head()
	if err != nil || !strings.HasPrefix(string(out), hash+" ") {
		t.Errorf("Head is %s (%v), sha256sum says %s", hash, err, out)
	}
}

func TestConcurrentProcesses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cases")
	const processes = 6
	var cmds []*exec.Cmd
	for range processes {
		cmd := child(t, "CASEFILE_TEST=append", "CASEFILE_DIR="+dir)
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Skip(err)
		}
		cmds = append(cmds, cmd)
	}
	for _, cmd := range cmds {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	infos, err := List(dir)
	if err != nil || len(infos) != 1 {
		t.Fatalf("the processes made %d cases: %+v, %v", len(infos), infos, err)
	}
	c, err := Open(dir, "", false)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	report := checkOK(t, readLog(t, c))
	if report.Lines != 1+processes*25 || len(report.Torn) != 0 {
		t.Errorf("got %+v", report)
	}
}

// A disk that is full, then is not: each limit cuts a write at another byte.
func TestFullDisk(t *testing.T) {
	c, dir := openNew(t)
	mustAppend(t, c, "before")
	for range 6 {
		before := readLog(t, c)
		for _, room := range []int{1, 100, 500} {
			cmd := child(t, "CASEFILE_TEST=full", "CASEFILE_DIR="+dir,
				fmt.Sprintf("CASEFILE_LIMIT=%d", len(readLog(t, c))+room))
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 1 {
				t.Skipf("the limit was not enforced: %v: %s", err, out)
			}
		}
		mustAppend(t, c, "after")
		after := readLog(t, c)
		if !bytes.HasPrefix(after, before) {
			t.Fatal("earlier bytes were changed")
		}
		if report := checkOK(t, after); len(report.Torn) == 0 {
			t.Errorf("no torn line: %+v", report)
		}
	}
}

func TestCrashAtEveryByte(t *testing.T) {
	c, _ := openNew(t)
	mustAppend(t, c, "first", "second")
	log := readLog(t, c)
	count := 0
	cutEverywhere(t, c, log, 1, func(after []byte) {
		// Now and then, a crash while the damage of the crash is recorded.
		if count++; count%400 == 0 {
			cutEverywhere(t, c, after, 9, func([]byte) {})
		}
	})
}

func cutEverywhere(t *testing.T, c *Case, log []byte, step int, then func([]byte)) {
	for n := 0; n <= len(log); n += step {
		if err := os.WriteFile(c.Path(custodyName), log[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		hash, lines, err := c.Head()
		if err != nil {
			t.Fatal(err)
		}
		mustAppend(t, c, "after")
		after := readLog(t, c)
		if !bytes.HasPrefix(after, log[:n]) {
			t.Fatalf("cut at %d: earlier bytes were changed", n)
		}
		known := []Head{{hash, lines}}
		if lines == 0 {
			known = nil
		}
		report := checkOK(t, after, known...)
		torn := n > 0 && log[n-1] != '\n'
		if recorded := bytes.Count(after, []byte(actionTorn)) > bytes.Count(log[:n], []byte(actionTorn)); torn && !recorded {
			t.Fatalf("cut at %d: torn, and not recorded: %+v\n%s", n, report, after)
		}
		then(after)
	}
}

func TestEveryFlippedByteIsFound(t *testing.T) {
	c, _ := openNew(t)
	mustAppend(t, c, "first", "second")
	if err := os.WriteFile(c.Path(custodyName), readLog(t, c)[:len(readLog(t, c))-20], 0o600); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, c, "after the crash", "last")
	log := readLog(t, c)
	hash, lines, err := c.Head()
	if err != nil {
		t.Fatal(err)
	}
	known := Head{hash, lines}
	checkOK(t, log, known, Head{Hash: hash})
	last := bytes.LastIndexByte(log[:len(log)-1], '\n') + 1
	for i := range log {
		for _, mask := range []byte{1, 0x20, 0x80, 0xff} {
			changed := bytes.Clone(log)
			changed[i] ^= mask
			report := VerifyCustody(bytes.NewReader(changed), known)
			if report.OK() {
				t.Fatalf("byte %d ^ %#x (%q) was not found", i, mask, log[i])
			}
			// The last line apart, the log needs nothing else to find it.
			if i < last && VerifyCustody(bytes.NewReader(changed)).OK() {
				t.Fatalf("byte %d ^ %#x (%q) was not found without a known head", i, mask, log[i])
			}
			line := 1 + bytes.Count(log[:i], []byte("\n"))
			if !slices.ContainsFunc(report.Problems, func(p Problem) bool { return p.Line >= line-1 && p.Line <= line+1 }) {
				t.Fatalf("byte %d is in line %d: %+v", i, line, report)
			}
		}
	}
}

func TestVerifyCustodyNamesTheLine(t *testing.T) {
	c, _ := openNew(t)
	mustAppend(t, c, "2", "3", "4", "5", "6")
	whole := bytes.SplitAfter(bytes.TrimSuffix(readLog(t, c), []byte("\n")), []byte("\n"))
	whole[5] = append(bytes.Clone(whole[5]), '\n')
	known := Head{digest(whole[5]), 6}
	other, _ := openNew(t)
	mustAppend(t, other, "x")
	foreign := bytes.SplitAfter(readLog(t, other), []byte("\n"))[1]

	edit := func(i int, old, new string) []byte {
		return bytes.Replace(whole[i-1], []byte(old), []byte(new), 1)
	}
	for _, test := range []struct {
		name  string
		lines [][]byte
		known []Head
		want  []Problem
	}{
		{"whole", whole, []Head{known, {Hash: digest(whole[1]), Lines: 2}, {Hash: digest(whole[3])}}, nil},
		{"empty", nil, nil, []Problem{{0, "the log is empty"}}},
		{
			"changed", splice(whole, 3, 3, edit(3, "done", "doNe")), nil,
			[]Problem{{3, "changed: it has not the digest that line 4 records"}},
		},
		{
			"changed to rubbish", splice(whole, 3, 3, []byte("rubbish\n")), nil,
			[]Problem{{3, "changed: it has not the digest that line 4 records"}},
		},
		{
			"first changed", splice(whole, 1, 1, edit(1, `"prev":"0`, `"prev":"1`)), nil,
			[]Problem{{1, "changed: the first entry does not start the chain"}, {1, "changed: it has not the digest that line 2 records"}},
		},
		{
			"last changed", splice(whole, 6, 6, edit(6, "done", "doNe")),
			[]Head{known},
			[]Problem{{6, "changed: it differs from the known head"}},
		},
		{
			"last changed to rubbish", splice(whole, 6, 6, []byte("{}\n")), nil,
			[]Problem{{6, "not a custody entry"}},
		},
		{"removed", splice(whole, 3, 4), nil, []Problem{{3, "entries 3 to 4 are missing before it"}}},
		{"first removed", splice(whole, 1, 2), nil, []Problem{{1, "the log starts with entry 3: those before it are missing"}}},
		{"end cut off", whole[:4], []Head{known}, []Problem{{4, "the log ends here, but line 6 is known: the end was cut off"}}},
		{"end cut off, unknown", whole[:4], nil, nil},
		{"digest gone", whole[:4], []Head{{Hash: known.Hash}}, []Problem{{0, fmt.Sprintf("no line has the known digest %q", known.Hash)}}},
		{
			"repeated", splice(whole, 3, 3, whole[2], whole[2]), nil,
			[]Problem{{4, "it is entry 3 where 4 should be: repeated, or out of order"}},
		},
		{"swapped", splice(whole, 3, 4, whole[3], whole[2]), nil, []Problem{
			{3, "entries 3 to 3 are missing before it"},
			{4, "it is entry 3 where 5 should be: repeated, or out of order"},
			{5, "entries 4 to 4 are missing before it"},
		}},
		{"inserted", splice(whole, 3, 3, whole[2], foreign), nil, []Problem{
			{4, "it is entry 2 where 4 should be: repeated, or out of order"},
			{5, "entries 3 to 3 are missing before it"},
		}},
		{"blank line", splice(whole, 3, 3, whole[2], []byte("\n")), nil, []Problem{
			{4, "not a custody entry"},
			{5, "it is entry 4 where 5 should be: repeated, or out of order"},
		}},
		{"torn", splice(whole, 6, 6, whole[5][:50]), nil, []Problem{{6, "cut short: it does not end in a newline"}}},
		{
			"long line", splice(whole, 6, 6, append(bytes.Repeat([]byte(" "), lineLimit), whole[5]...)), nil,
			[]Problem{{6, "not a custody entry"}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			report := VerifyCustody(bytes.NewReader(bytes.Join(test.lines, nil)), test.known...)
			if fmt.Sprint(report.Problems) != fmt.Sprint(test.want) {
				t.Errorf("got  %v\nwant %v", report.Problems, test.want)
			}
		})
	}
}

// splice replaces lines from to to, counted from 1.
func splice(lines [][]byte, from, to int, with ...[]byte) [][]byte {
	out := append([][]byte{}, lines[:from-1]...)
	return append(append(out, with...), lines[to:]...)
}

// Whatever is done to whole lines of a log, it is found or changes nothing but
// the end.
func TestEditedLogProperty(t *testing.T) {
	c, _ := openNew(t)
	mustAppend(t, c, "2", "3", "4", "5", "6", "7")
	log := readLog(t, c)
	lines := bytes.SplitAfter(log, []byte("\n"))[:7]
	rapid.Check(t, func(t *rapid.T) {
		var edited []byte
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, 6), 0, 9).Draw(t, "lines") {
			edited = append(edited, lines[i]...)
		}
		prefix := len(edited) > 0 && bytes.HasPrefix(log, edited)
		if ok := VerifyCustody(bytes.NewReader(edited)).OK(); ok != prefix {
			t.Fatalf("OK is %v for\n%s", ok, edited)
		}
	})
}

func FuzzVerifyCustody(f *testing.F) {
	c, _ := openNew(f)
	mustAppend(f, c, "2")
	if err := os.WriteFile(c.Path(custodyName), readLog(f, c)[:len(readLog(f, c))-9], 0o600); err != nil {
		f.Fatal(err)
	}
	mustAppend(f, c, "3")
	f.Add(readLog(f, c))
	f.Add([]byte("\n\n\n"))
	f.Add([]byte(strings.Repeat("[", 20000)))
	f.Fuzz(func(t *testing.T, log []byte) {
		report := VerifyCustody(bytes.NewReader(log), Head{genesis, 1})
		if want := bytes.Count(log, []byte("\n")); report.Lines != want {
			t.Fatalf("%d lines, want %d", report.Lines, want)
		}
		hash, lines, err := head(bytes.NewReader(log))
		if err != nil || hash != report.Head || lines != report.Lines {
			t.Fatalf("head is %s, %d, %v; report %+v", hash, lines, err, report)
		}
		for _, p := range report.Problems {
			if p.Line < 0 || p.Line > report.Lines+1 {
				t.Fatalf("problem %+v of %d lines", p, report.Lines)
			}
		}
		end, found, err := parseEnd(log, true)
		if err == nil && (!found || end.seq < int64(len(end.torn))) {
			t.Fatalf("the end is %+v, %v", end, found)
		}
	})
}

// endless is a log that never ends and has no newline.
type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) {
	e.read += int64(len(p))
	return len(p), nil
}

func TestVerifyCustodyIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 256 MiB")
	}
	r := new(endless)
	report := VerifyCustody(r)
	if report.OK() || r.read > custodyLimit+1 {
		t.Errorf("%+v after %d bytes", report, r.read)
	}
	report = VerifyCustody(strings.NewReader(strings.Repeat("\n", 100_000)))
	if len(report.Problems) != 100 || report.More != 100_000-100 {
		t.Errorf("%d problems and %d more", len(report.Problems), report.More)
	}
}

func TestVerifyCustodyReadError(t *testing.T) {
	report := VerifyCustody(brokenReader{})
	if report.OK() {
		t.Error("a log that cannot be read is whole")
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("input/output error") }

func TestAppendToHostileLog(t *testing.T) {
	for name, prepare := range map[string]func(path string) error{
		"garbage": func(path string) error {
			return os.WriteFile(path, bytes.Repeat([]byte("x"), tailLimit+10), 0o600)
		},
		"blank lines": func(path string) error {
			return os.WriteFile(path, bytes.Repeat([]byte("\n"), 10_000), 0o600)
		},
		"sparse": func(path string) error { return os.Truncate(path, 1<<40) },
		"fifo": func(path string) error {
			return errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600))
		},
		"symlink": func(path string) error {
			return errors.Join(os.Remove(path), os.Symlink("case.json", path))
		},
		"directory": func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
		"writable":  func(path string) error { return os.Chmod(path, 0o666) },
		"missing":   os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := openNew(t)
			if err := prepare(c.Path(custodyName)); err != nil {
				t.Skip(err)
			}
			if err := c.Append(Entry{Action: "x"}); err == nil {
				t.Error("appended")
			}
			if name == "sparse" {
				return // Head would read its limit; TestVerifyCustodyIsBounded does
			}
			if report, err := c.Verify(); err == nil && report.OK() {
				t.Error("verified")
			}
		})
	}
}

// TestFullLog looks whether nothing is written that would not be read again, and whether a full case can be closed.
func TestFullLog(t *testing.T) {
	c, _ := openNew(t)
	line, err := os.ReadFile(c.Path(custodyName))
	if err != nil {
		t.Fatal(err)
	}
	// A hole stands for the lines before: only the end of a log is looked at.
	if err := errors.Join(os.Truncate(c.Path(custodyName), custodyLimit-closeRoom-int64(len(line))-100), appendTo(c.Path(custodyName), "\n"+string(line))); err != nil {
		t.Fatal(err)
	}
	if err := c.Append(Entry{Action: "x", Result: "done"}); !errors.Is(err, ErrFull) {
		t.Errorf("appending: %v", err)
	}
	if err := c.SetState(StateClosed); err != nil {
		t.Errorf("closing: %v", err)
	}
	if _, lines, err := c.Head(); err != nil || lines < 3 {
		t.Errorf("%d lines: %v", lines, err)
	}
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func TestLockHeldByAnother(t *testing.T) {
	c, _ := openNew(t)
	unlock, err := lock(c.root, custodyLock, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock(c.root, custodyLock, 20*time.Millisecond); !errors.Is(err, syscall.EWOULDBLOCK) {
		t.Errorf("got %v", err)
	}
	unlock()
	again, err := lock(c.root, custodyLock, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	again()
}

func BenchmarkAppend(b *testing.B) {
	c, _ := openNew(b)
	for b.Loop() {
		mustAppend(b, c, "x")
	}
}
