package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/faults"
	"github.com/clawbook/openclaw-ir/internal/statetest"
	gocmp "github.com/google/go-cmp/cmp"
)

// A faultLine is a command line under faults. It is run in a directory that holds what newFaultRig prepares.
type faultLine struct {
	name  string
	args  string
	files string // beside the case, where its output goes; calls there are counted too
	out   string // where its standard output goes, which is part of the files then; "" for nowhere
	makes string // what is not made a second time
	next  string // a later run of it once that is there; "" for the same line again
	plain bool   // it writes plaintext, as asked
	state bool   // it changes the state directory, as asked
	// thorough: it is killed at every call that changes something
	thorough bool
}

// faultLines are the commands that write, and of those that read one each way of reading.
var faultLines = []faultLine{
	{name: "collect", args: "collect --root DIR/host -R DIR/recipients.txt --case one", thorough: true},
	{name: "collect to a file", args: "collect --root DIR/host -R DIR/recipients.txt --case one -o DIR/out/new.tar.zst.age", files: "out", makes: "out/new.tar.zst.age*", next: "collect --root DIR/host -R DIR/recipients.txt --case one -o DIR/out/next.tar.zst.age"},
	{name: "collect to a pipe", args: "collect --root DIR/host -R DIR/recipients.txt --case one -o -", files: "out", out: "out/new.tar.zst.age", makes: "out/new.tar.zst.age", next: "collect --root DIR/host -R DIR/recipients.txt --case one"},
	{name: "collect to a store", args: "collect --root DIR/host -R DIR/recipients.txt --case one --to DIR/store", files: "store"},
	{name: "snapshot", args: "collect --snapshot --root DIR/host -R DIR/recipients.txt"},
	{name: "verify", args: "collect verify -i DIR/key.txt DIR/B.tar.zst.age", files: "B.tar.zst.age"},
	{name: "list", args: "collect list -i DIR/key.txt DIR/B.tar.zst.age", files: "B.tar.zst.age"},
	{name: "open", args: "collect open -i DIR/key.txt DIR/B.tar.zst.age DIR/out/opened", files: "out", makes: "out/opened", next: "collect open -i DIR/key.txt DIR/B.tar.zst.age DIR/out/again", plain: true},
	{name: "case open", args: "case open two"},
	{name: "case close", args: "case close one"},
	{name: "case verify", args: "case verify one"},
	{name: "timeline", args: "analyze --root DIR/host --case one --kind all"},
	{name: "of a bundle", args: "analyze DIR/B.tar.zst.age -i DIR/key.txt --case one --kind all", files: "B.tar.zst.age"},
	{name: "findings", args: "analyze findings --root DIR/host --case one"},
	{name: "integrity", args: "analyze integrity DIR/host --case one"},
	{name: "posture", args: "analyze posture --root DIR/host --case one"},
	{name: "secrets", args: "analyze secrets DIR/host --case one"},
	{name: "report", args: "report --root DIR/host --yes -R DIR/recipients.txt --case one"},
	{name: "fix", args: "analyze posture --fix --yes --without-evidence --state-dir STATE --case one", state: true},
	{name: "rotate", args: "rotate --yes --without-evidence --out DIR/out/new --state-dir STATE --case one", files: "out", makes: "out/new", next: "rotate --yes --without-evidence --out DIR/out/next --state-dir STATE --case one", state: true, thorough: true},
}

// A faultRig holds what every run begins with: evidence, a case with a bundle in it, a chain of snapshots, and a bundle outside.
type faultRig struct {
	*testing.T
	dir     string
	planted [][]byte // what must be nowhere in clear
	runs    *atomic.Int64
}

// of is the rig for a subtest.
func (x *faultRig) of(t *testing.T) *faultRig { return &faultRig{t, x.dir, x.planted, x.runs} }

func newFaultRig(t *testing.T) *faultRig {
	if os.Geteuid() != 0 {
		t.Skip("the evidence has owners, which root alone can give it")
	}
	const marker = "marker-of-the-fault-tests-5b1f"
	planted := append(statetest.Secrets(t), marker)
	r := newResponder(t, "2026.1.30") // from here on, in another directory
	x := &faultRig{T: t, dir: r.dir, runs: new(atomic.Int64)}
	for _, s := range planted {
		x.planted = append(x.planted, []byte(s))
	}
	r.write("host"+strings.TrimPrefix(r.state, filepath.Join(r.dir, "host"))+"/workspace/marker.md", marker+"\n")
	for _, name := range []string{"out", "store", "tmp"} {
		if err := os.Mkdir(filepath.Join(r.dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range []string{
		"case open one", "collect --root host -R recipients.txt --case one", "collect --root host -R recipients.txt --case one -o B.tar.zst.age",
		"collect --snapshot --root host -R recipients.txt",
	} {
		if code, _, stderr := r.run(append(strings.Fields(line), "--case-dir", r.cases)...); code != exitDone {
			t.Fatalf("%s: exit code %d\n%s", line, code, stderr)
		}
	}
	for dir := r.dir; dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) { // the owners of the evidence have to get there
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return x
}

// A faultRun is one run of a line, in a copy of the rig of its own.
type faultRun struct {
	*faultRig
	line   faultLine
	dir    string
	plan   faults.Plan
	result *faults.Result
	stdout string
	stderr string
	before map[string]string // the evidence
}

// under is where calls are counted: in a directory of the run, or in one of these.
type under string

const (
	inCase     under = "case" // and where else the line writes
	inEvidence under = "/host"
	anywhere   under = "anywhere"
)

func (x *faultRig) prepare(line faultLine) *faultRun {
	r := &faultRun{faultRig: x, line: line, dir: fmt.Sprintf("%s/run%06d", x.dir, x.runs.Add(1))}
	if err := os.Mkdir(r.dir, 0o755); err != nil {
		x.Fatal(err)
	}
	for _, name := range []string{"host", "cases", "out", "store", "tmp", "key.txt", "recipients.txt", "B.tar.zst.age", "B.tar.zst.age.seal"} {
		if out, err := exec.Command("cp", "-a", filepath.Join(x.dir, name), r.dir).CombinedOutput(); err != nil {
			x.Fatalf("%v: %s", err, out)
		}
	}
	r.before = statetest.Snapshot(x, filepath.Join(r.dir, "host"))
	return r
}

func (r *faultRun) argv(line string) []string {
	states, _ := filepath.Glob(r.dir + "/host/home/*/.openclaw")
	return append(strings.Fields(strings.NewReplacer("STATE", states[0], "DIR", r.dir).Replace(line)), "--case-dir", r.dir+"/cases")
}

// run runs the line under a plan, in a new copy.
func (x *faultRig) run(line faultLine, where under, plan faults.Plan) *faultRun {
	r := x.prepare(line)
	r.attempt(where, plan)
	return r
}

// attempt runs the line under a plan.
func (r *faultRun) attempt(where under, plan faults.Plan) {
	x, line := r.faultRig, r.line
	r.plan = plan
	switch where {
	case anywhere:
	case inCase:
		r.plan.Under = []string{r.dir + "/cases"}
		if line.files != "" {
			r.plan.Under = append(r.plan.Under, filepath.Join(r.dir, line.files))
		}
		if line.state && line.thorough {
			r.plan.Under = append(r.plan.Under, r.dir+string(inEvidence))
		}
	default:
		r.plan.Under = []string{r.dir + string(where)}
	}
	cmd, result := faults.Command(x.T, r.plan, "openclaw-ir", r.argv(line.args)...)
	cmd.Dir = r.dir
	cmd.Env = append(cmd.Env, "HOME="+r.dir, "XDG_STATE_HOME="+r.dir, "TMPDIR="+r.dir+"/tmp", "NO_COLOR=1")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if line.out != "" {
		f, err := os.Create(filepath.Join(r.dir, line.out))
		if err != nil {
			x.Fatal(err)
		}
		defer f.Close()
		cmd.Stdout = f
	}
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		x.Fatal(err)
	}
	r.result, r.stdout, r.stderr = result(), stdout.String(), stderr.String()
}

// again runs a command line without a fault, in this process.
func (r *faultRun) again(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	streams := console.Streams{In: strings.NewReader(""), Out: &out, Err: &errs, OpenTTY: noTerminal}
	e := env{console: console.New(streams, console.Facts{}), uid: os.Getuid(), getenv: func(string) string { return "" }}
	code = run(r.Context(), append([]string{"openclaw-ir"}, args...), e)
	return code, out.String(), errs.String()
}

// An ending is all that came of a run, with what is another in every run masked.
type ending struct {
	Exit  int
	Out   string
	Log   []string // lines of the custody logs
	Files []string // in the case and where the output goes
	Rows  []string // of the manifests of new bundles
	Said  string
}

func (r *faultRun) ending() (e ending) {
	e.Exit, e.Out, e.Said = r.result.Exit, r.mask(r.stdout), r.mask(r.stderr)
	for _, dir := range []string{"cases", r.line.files} {
		if dir == "" {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(statetest.Snapshot(r, filepath.Join(r.dir, dir)))) {
			e.Files = append(e.Files, r.mask(dir+"/"+name))
		}
	}
	for _, name := range r.glob("cases/*/custody.jsonl") {
		cs, err := casefile.Open(r.dir+"/cases", filepath.Base(filepath.Dir(name)), false)
		if err != nil {
			r.Fatal(err)
		}
		for line, err := range cs.Lines() {
			if err != nil {
				r.Error(err)
			} else if line.Entry == nil {
				e.Log = append(e.Log, "torn")
			} else {
				entry := line.Entry
				e.Log = append(e.Log, r.mask(fmt.Sprint(entry.Action, "|", entry.Object, "|", entry.Result, "|", entry.Note)))
			}
		}
		cs.Close()
	}
	for _, name := range r.bundles() {
		if _, err := os.Lstat(filepath.Join(r.faultRig.dir, strings.TrimPrefix(name, r.dir))); err == nil {
			continue // it was there before
		}
		_, rows, _ := r.again("collect", "list", "-i", r.dir+"/key.txt", "--case-dir", r.dir+"/none", name)
		for line := range strings.Lines(rows) {
			if !strings.Contains(line, "  bundle  ") { // which holds times and numbers of the run
				e.Rows = append(e.Rows, r.mask(line))
			}
		}
	}
	return e
}

func (r *faultRun) glob(pattern string) []string {
	names, err := filepath.Glob(filepath.Join(r.dir, pattern))
	if err != nil {
		r.Fatal(err)
	}
	return names
}

// bundles are the bundles that have their name.
func (r *faultRun) bundles() []string {
	return slices.Concat(r.glob("cases/*/bundles/*.age"), r.glob("out/*.age"), r.glob("store/*.age"))
}

var maskedSecond = regexp.MustCompile(`TIME-[0-9]+\.tar`) // a second bundle of one second

var maskedSizes = regexp.MustCompile(`[0-9]+ bytes`)

var maskedHash = regexp.MustCompile(`\b[0-9a-f]{12,}\b`)

func (r *faultRun) mask(text string) string {
	text = strings.ReplaceAll(text, r.dir, "DIR")
	for _, c := range varying {
		text = regexp.MustCompile(c.what).ReplaceAllString(text, c.as)
	}
	text = maskedSecond.ReplaceAllString(text, "TIME.tar")
	return maskedHash.ReplaceAllString(maskedSizes.ReplaceAllString(text, "N bytes"), "HASH")
}

func (r *faultRun) failf(format string, args ...any) {
	r.Helper()
	where := ""
	if n := r.plan.Nth; n > 0 && n <= len(r.result.Calls) {
		c := r.result.Calls[n-1]
		where = fmt.Sprintf("%s %s %s", r.plan.Fault, c.Name, r.mask(c.Path))
	}
	r.Errorf("%s: call %d, %s: %s\nit said:\n%s", r.line.name, r.plan.Nth, where, fmt.Sprintf(format, args...), r.stderr)
}

// check holds a run to what must be so after any fault. whole is how the line ends without one.
func (r *faultRun) check(whole ending) {
	r.Helper()
	e := r.ending()
	killed := r.plan.Fault == faults.Kill
	switch {
	case killed && e.Exit != 137:
		r.failf("exit code %d of a killed process", e.Exit)
	case killed:
	case strings.Contains(r.stderr, "panic:") || strings.Contains(r.stderr, "goroutine "):
		r.failf("it panicked")
	case r.plan.Fault == "EINTR" || r.plan.Fault == faults.Short:
		if diff := gocmp.Diff(whole, e); diff != "" {
			r.failf("it is not as without: %s", diff)
		}
	case e.Exit == exitPartial && e.Out+e.Said != whole.Out+whole.Said: // it says what is missing
	case e.Exit == whole.Exit:
		got, want := e, whole
		got.Said, want.Said = "", ""
		if diff := gocmp.Diff(want, got); diff != "" {
			r.failf("exit code %d, and something is missing: %s", e.Exit, diff)
		}
	case e.Exit != exitFailed && e.Exit != exitPartial:
		r.failf("exit code %d", e.Exit)
	}
	r.checkEvidence()
	r.checkPlain("cases", "tmp", "store")
	if !r.line.plain && r.line.name != "rotate" {
		r.checkPlain("out")
	}
	r.checkBundles()
	r.checkNext(whole)
	if r.line.name == "rotate" {
		r.checkToken()
	}
	if !r.Failed() {
		os.RemoveAll(r.dir)
	}
}

// checkEvidence looks whether the evidence is as it was.
func (r *faultRun) checkEvidence() {
	r.Helper()
	if r.line.state {
		return
	}
	if diff := gocmp.Diff(r.before, statetest.Snapshot(r, filepath.Join(r.dir, "host"))); diff != "" {
		r.failf("the evidence was changed: %s", diff)
	}
}

// checkPlain looks for what was read in what was written.
func (r *faultRun) checkPlain(dirs ...string) {
	r.Helper()
	for _, dir := range dirs {
		err := filepath.WalkDir(filepath.Join(r.dir, dir), func(name string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			text, err := os.ReadFile(name)
			for _, secret := range r.planted {
				if bytes.Contains(text, secret) {
					r.failf("%s holds plaintext: %q", name, secret)
					break
				}
			}
			return err
		})
		if err != nil {
			r.Error(err)
		}
	}
}

// checkBundles holds every bundle that has its name to its seal, and salvages what there is of one that has not.
func (r *faultRun) checkBundles() {
	r.Helper()
	for _, name := range r.bundles() {
		if r.line.out != "" && r.result.Exit != exitDone && strings.HasPrefix(name, r.dir+"/out/") {
			continue // a pipe that was cut has no second name
		}
		args := []string{"collect", "verify", "-i", r.dir + "/key.txt", "--case-dir", r.dir + "/none", name}
		if r.line.out != "" && strings.HasPrefix(name, r.dir+"/out/") {
			seals := r.glob("cases/one/bundles/*.seal")
			args = append(args, "--seal", seals[len(seals)-1])
		}
		if _, err := os.Lstat(name + ".seal"); err != nil && (strings.HasPrefix(name, r.dir+"/store/") || strings.Contains(name, "/cases/snapshots/")) {
			continue // the seal comes last; what has none is no part of the chain
		}
		if code, _, stderr := r.again(args...); code != exitDone {
			r.failf("%s does not verify: exit code %d\n%s", name, code, stderr)
		}
	}
	for _, name := range slices.Concat(r.glob("cases/*/bundles/openclaw-ir*.partial"), r.glob("out/*.age.partial")) {
		info, err := os.Stat(name)
		if err != nil {
			r.Fatal(err)
		}
		if code, _, stderr := r.again("collect", "verify", "--salvage", "-i", r.dir+"/key.txt", "--case-dir", r.dir+"/none", name); code != exitDone && code != exitFound && info.Size() > 0 {
			r.failf("%s is not salvaged: exit code %d\n%s", name, code, stderr)
		}
	}
}

// checkNext runs the line again, which mends what the fault left, and then holds the case to its record.
func (r *faultRun) checkNext(whole ending) {
	r.Helper()
	left := r.strays()
	next := r.line.args
	if r.line.makes != "" && len(r.glob(r.line.makes)) > 0 {
		next = r.line.next
	}
	if code, _, stderr := r.again(r.argv(next)...); code != whole.Exit {
		r.failf("the next run ends with exit code %d, not %d\n%s", code, whole.Exit, stderr)
	}
	strays := slices.DeleteFunc(r.strays(), func(name string) bool { // a second name of a file that is there
		return strings.HasPrefix(name, "out/.new") && len(r.glob(r.line.makes)) > 0
	})
	if len(strays) > 0 {
		r.failf("left behind: %q; before the next run %q", strays, left)
	}
	for _, name := range r.glob("cases/*/custody.jsonl") {
		if code, stdout, stderr := r.again(r.argv("case verify " + filepath.Base(filepath.Dir(name)))...); code != exitDone {
			r.failf("the case does not hold: exit code %d\n%s%s", code, stdout, stderr)
		}
	}
	r.checkPlain("cases", "tmp")
}

// checkToken looks whether the owner was told the token that the gateway takes now, and that no other stands anywhere.
func (r *faultRun) checkToken() {
	r.Helper()
	told, err := os.ReadFile(r.dir + "/out/next")
	if errors.Is(err, fs.ErrNotExist) {
		told, err = os.ReadFile(r.dir + "/out/new")
	}
	if err != nil {
		r.failf("nothing was told: %v", err)
		return
	}
	config, err := os.ReadFile(r.glob("host/home/*/.openclaw/openclaw.json")[0])
	if err != nil {
		r.Fatal(err)
	}
	for line := range strings.Lines(string(told)) {
		_, value, _ := strings.Cut(line, "/.openclaw: ")
		if value = strings.TrimSpace(value); len(value) < 40 || !bytes.Contains(config, []byte(value)) {
			r.failf("%q was told, and is not in force", line)
		}
	}
}

// strays are files that mean nothing: bundles that were cut short are evidence.
func (r *faultRun) strays() (list []string) {
	for _, dir := range []string{"cases", "tmp", "store", "out", "host"} {
		for name := range statetest.Snapshot(r, filepath.Join(r.dir, dir)) {
			base := filepath.Base(name)
			if dir == "host" {
				if strings.HasPrefix(base, ".openclaw-ir-") {
					list = append(list, dir+"/"+name)
				}
				continue
			}
			if dir == "tmp" || base[0] == '.' && base != ".lock" || strings.HasSuffix(base, ".partial") && !strings.HasSuffix(base, ".age.partial") {
				if !r.line.plain || dir != "out" {
					list = append(list, dir+"/"+name)
				}
			}
		}
	}
	return list
}

// meets are the calls that meet with an error. What was written is on the disk by the time it is closed.
var meets = map[string][]string{
	"EIO":    slices.DeleteFunc(faults.Names(), func(name string) bool { return name == "close" || name == "fstat" }),
	"ENOSPC": {"write", "pwrite64", "copy_file_range", "fsync", "mkdirat", "linkat", "renameat"},
	// those that a signal can interrupt (signal(7)), and that Go makes again
	"EINTR": {"openat", "openat2", "read", "write", "pread64", "pwrite64", "copy_file_range", "sendfile", "fsync", "ftruncate"},
}

// hits says whether a fault is one that a call can meet with.
func hits(fault string, c faults.Call) bool {
	switch fault {
	case faults.Kill:
		return c.Changes && c.Name != "fsync" // a process that is killed takes nothing from what was written
	case faults.Short:
		return c.Size > 1
	}
	return slices.Contains(meets[fault], c.Name)
}

// planAt has a fault at the last of calls. Where only some can meet with it, only those are counted: another run may make one more of
// the others before it.
func planAt(fault string, calls []faults.Call) faults.Plan {
	names := meets[fault]
	if names != nil {
		calls = slices.DeleteFunc(slices.Clone(calls), func(c faults.Call) bool { return !hits(fault, c) })
	}
	return faults.Plan{Calls: names, Nth: len(calls), Fault: fault, On: fault == "ENOSPC"} // a disk that is full stays so
}

// kinds are the faults, each at places of its own.
var kinds = []string{"EIO", "ENOSPC", "EINTR", faults.Short, faults.Kill}

// some picks at most so many of a list, the same ones in every run.
func some(list []int, most int) []int {
	r := rand.New(rand.NewPCG(7, uint64(len(list))))
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list[:min(len(list), most)]
}

// TestFaults has the disk fail under the real command, and kills it. Without OPENCLAW_IR_LONG_TEST it is a taste.
func TestFaults(t *testing.T) {
	if statetest.Raced() {
		t.Skip("a process that is traced and raced takes minutes")
	}
	x := newFaultRig(t)
	t.Run("case", func(t *testing.T) { x.of(t).ofCase() })
	t.Run("evidence", func(t *testing.T) { x.of(t).ofEvidence() })
	t.Run("killed", func(t *testing.T) { x.of(t).killed() })
}

// ofCase has a call of each command fail, or kills it there, wherever it touches the case or its output, and holds what is left to what
// must be so after any fault.
func (x *faultRig) ofCase() {
	lines, most, every := faultLines[:1], 1, 1
	if isLong() {
		lines, most, every = faultLines, 2, 40
	}
	for _, line := range lines {
		x.Run(line.name, func(t *testing.T) {
			t.Parallel()
			x := x.of(t)
			r := x.run(line, inCase, faults.Plan{})
			whole := r.ending()
			if len(r.result.Calls) < 20 {
				t.Fatalf("only %d calls were seen", len(r.result.Calls))
			}
			n := 0
			for _, fault := range kinds {
				places := r.result.NthOf(func(c faults.Call) bool { return hits(fault, c) })
				if line.thorough && fault == faults.Kill {
					places = some(places, every)
				} else {
					places = some(places, most)
				}
				for _, at := range places {
					x.run(line, inCase, planAt(fault, r.result.Calls[:at])).check(whole)
					n++
				}
			}
			t.Logf("%d of %d calls, one at a time", n, len(r.result.Calls))
		})
	}
}

// ofEvidence has the evidence fail while it is read: one call of each kind of call for each kind of file.
func (x *faultRig) ofEvidence() {
	lines, most := faultLines[:1], 2
	if isLong() {
		most = 40
	}
	for _, line := range lines {
		if !strings.Contains(line.args, "DIR/host") || line.out != "" {
			continue
		}
		x.Run(line.name, func(t *testing.T) {
			t.Parallel()
			x := x.of(t)
			r := x.run(line, inEvidence, faults.Plan{})
			whole := r.ending()
			first := map[string]int{}
			for i, c := range r.result.Calls {
				if kind := c.Name + filepath.Ext(c.Path); first[kind] == 0 && hits("EIO", c) {
					first[kind] = i + 1
				}
			}
			for i, at := range some(slices.Sorted(maps.Values(first)), most) {
				fault, c := "EIO", r.result.Calls[at-1]
				if other := []string{"EIO", "EIO", faults.Short, "EINTR"}[i%4]; hits(other, c) {
					fault = other
				}
				// Where several files are read at once, which call is the Nth differs: so of one file.
				path := strings.TrimPrefix(c.Path, r.dir)
				nth := 0
				for _, d := range r.result.Calls[:at] {
					if d.Name == c.Name && strings.TrimPrefix(d.Path, r.dir) == path {
						nth++
					}
				}
				x.run(line, under(path), faults.Plan{Calls: []string{c.Name}, Nth: nth, Fault: fault}).check(whole)
			}
		})
	}
}

// killed kills collect at random system calls, one run after the other in one case. After each the custody log is whole but
// for a last line that was cut short, what was written of the bundle is salvaged, and nothing is in clear; in the end a run that is let
// alone mends the log and seals everything.
func (x *faultRig) killed() {
	times := 8
	if isLong() {
		times = 500
	}
	line := faultLines[0]
	r := x.run(line, anywhere, faults.Plan{})
	whole, calls := r.ending(), len(r.result.Calls)
	if err := os.RemoveAll(r.dir); err != nil {
		x.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	r = x.prepare(line)
	for n := 0; n < times; {
		r.attempt(anywhere, faults.Plan{Nth: 1 + random.IntN(calls), Fault: faults.Kill})
		if !r.result.Met {
			continue // it made fewer calls this time
		}
		n++
		if r.result.Exit != 137 {
			r.failf("exit code %d of a killed process", r.result.Exit)
		}
		cs, err := casefile.Open(r.dir+"/cases", "one", false)
		if err != nil {
			x.Fatal(err)
		}
		report, err := cs.Verify()
		if err != nil || len(report.Problems) > 1 || len(report.Problems) == 1 && report.Problems[0].Line < report.Lines {
			r.failf("the custody log: %+v, %v", report, err)
		}
		cs.Close()
		r.checkPlain("cases", "tmp")
		r.checkBundles()
		for _, name := range r.glob("cases/one/bundles/*") { // so that each is looked at once
			if base := filepath.Base(name); !strings.HasPrefix(base, ".") && strings.HasSuffix(base, ".partial") {
				if err := os.Remove(name); err != nil {
					x.Fatal(err)
				}
			}
		}
	}
	r.checkEvidence()
	r.plan = faults.Plan{}
	r.checkNext(whole)
	x.Logf("killed %d times at one of %d calls", times, calls)
}
