package main

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/clawbook/openclaw-ir/collect"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/statetest"
	"github.com/clawbook/openclaw-ir/internal/storetest"
	"github.com/google/go-cmp/cmp"
	"github.com/minio/minio-go/v7"
	"github.com/pkg/sftp"
	"github.com/urfave/cli/v2"
)

// A tracedLine is a command line that runs under strace. It may write to the case, and to what it names here.
type tracedLine struct {
	args   string
	writes string   // what -o or a directory asks for, as a path begins
	net    string   // the addresses that it was asked to contact, and must
	placed bool     // the program lies where root alone can write, as a schedule asks
	shows  bool     // it prints or writes what the evidence says, which is what it is for
	typed  []string // prompts and what is typed on the terminal, which it has then
}

// tracedLines are, beside notedLines, what is traced: the other ways in which a command seals evidence or reads it, and the commands
// that leave no line in the custody log.
var tracedLines = []tracedLine{
	{args: "collect --root host -R recipients.txt -o -"},
	{args: "collect --root host -p", typed: []string{"secure one): ", "correct horse\r", "confirm", "correct horse\r"}},
	{args: "collect --root host -R recipients.txt --to store", writes: "store/"},
	{args: "collect --root host --snapshot -R recipients.txt"},
	{args: "collect --root host --snapshot -R recipients.txt"},
	{args: "collect verify -i key.txt B.tar.zst.age"},
	{args: "collect verify -i key.txt --salvage B.tar.zst.age"},
	{args: "collect list -i key.txt --gaps B.tar.zst.age"},
	{args: "analyze findings B.tar.zst.age -i key.txt --format ecs --bulk https://127.0.0.1:9/x --dry-run", shows: true},
	{args: "analyze --root host --format ocsf --bulk http://127.0.0.1:9/x", net: "127.0.0.1:9", shows: true},
	{args: "collect -R recipients.txt -o live.age --state-dir STATE --max-size 8M --since 1h", writes: "live.age"},
	{args: "collect --estimate --state-dir STATE"},
	{args: "collect --root host -R recipients.txt --to sftp://ir@SFTP/ --ssh-key ssh.key --host-key HOSTKEY", net: "SFTP"},
	{args: "collect verify sftp://ir@SFTP/B.tar.zst.age -i key.txt --ssh-key ssh.key --host-key HOSTKEY", net: "SFTP"},
	{args: "collect chain verify sftp://ir@SFTP/ --ssh-key ssh.key --host-key HOSTKEY", net: "SFTP"},
	{args: "collect --root host --snapshot -R recipients.txt --to s3://bucket/x?endpoint=http://REFUSING --notify https://HOOK/x", net: "REFUSING HOOK"},
	{args: "collect --root host --snapshot -R recipients.txt --to s3://bucket/x?endpoint=http://REFUSING --notify false", net: "REFUSING"},
	{args: "collect upload B.tar.zst.age --to s3://bucket/x?endpoint=http://REFUSING", net: "REFUSING"},
	{args: "collect schedule install --dry-run -R TRUSTED/recipients.txt", placed: true},
	{args: "collect schedule install --dry-run -R TRUSTED/recipients.txt --notify https://HOOK/x --to s3://bucket?endpoint=http://REFUSING", placed: true},
	{args: "contain --dry-run --egress --lock-config --state-dir STATE"},
	{args: "rotate --dry-run --without-evidence --reset-pairing --scrub --state-dir STATE"},
	{args: "analyze --state-dir STATE", shows: true},
	{args: "analyze posture --deep --state-dir STATE", net: "127.0.0.1:PORT", shows: true},
	{args: "analyze rules list"},
	{args: "analyze rules show DLX-001"},
	{args: "analyze rules test"},
	{args: "case"},
	{args: "case list"},
	{args: "collect schedule status"},
	{args: "doctor"},
	{args: "man"},
	{args: "completion bash"},
	{args: "drill --yes --dir drilled", writes: "drilled/"},
}

// cased says whether a command takes the directory of the cases.
func (l tracedLine) cased() (yes bool) {
	everyCommand(testApp(80), func(path string, c *cli.Command) {
		if path == "openclaw-ir "+(notedLine{args: l.args}).command() {
			yes = takesValue(c.Flags, "case-dir")
		}
	})
	return yes
}

// marker stands in the evidence at many places. Where it may not be shown, no byte of it is written but as ciphertext.
const marker = "PLAINTEXT-MARKER-7c31e0"

// fakePrograms lie in the working directory, the home and everywhere PATH leads.
var fakePrograms = []string{
	"ufw", "systemctl", "nft", "iptables", "ps", "ss", "git", "ssh", "sh", "bash", "python3", "node", "docker", "podman", "journalctl", "crontab", "getent",
	"lsof", "last", "dpkg", "dpkg-query", "rpm", "age", "age-plugin-yubikey", "zstd", "sqlite3", "xdg-open", "xdg-email", "openclaw", "tailscale", "loginctl",
	"false", "iptables-save", "ip6tables-save", "sysctl", "uname", "hostname", "id", "stat", "who", "ip", "timedatectl", "mail", "curl",
}

// TestSystemCalls runs every command that reads evidence or makes a bundle under strace, as it runs for a user, with fake programs
// wherever it could look for one. From each call it is seen that nothing is written but to the case and to what was asked for,
// nothing under the evidence is opened for writing, locked or mapped, not even its access times change, nothing of it is written in
// clear, no address is contacted that was not named, and no program runs that others than root could have put there.
// With OPENCLAW_IR_LONG_TEST=1 it runs every command, and over states with databases too; otherwise those that seal and open a bundle.
func TestSystemCalls(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil || statetest.Raced() {
		t.Skip("needs strace, and is not about races: ", err)
	}
	versions, long := []string{"2026.1.30"}, isLong()
	if long {
		versions = []string{"2026.1.30", "2026.7.1", "2026.9.6/running"}
	}
	for _, version := range versions {
		t.Run(version, func(t *testing.T) { newTracer(t, version).all(long) })
	}
	everyCommand(testApp(80), func(path string, c *cli.Command) {
		path = strings.TrimPrefix(path, "openclaw-ir ")
		run := func(args string) bool { return notedLine{args: args}.command() == path }
		traced := slices.ContainsFunc(notedLines, func(l notedLine) bool { return run(l.args) }) ||
			slices.ContainsFunc(tracedLines, func(l tracedLine) bool { return run(l.args) })
		group := len(c.Subcommands) > 0 && slices.Contains(unnoted, path) // does nothing by itself
		if !c.Hidden && !traced && !group {
			t.Errorf("openclaw-ir %s is not traced: add it to notedLines or tracedLines", path)
		}
	})
}

// A tracer runs command lines under strace, on a state of its own.
type tracer struct {
	*responder
	program string
	trusted string   // a directory in which root alone can write
	places  []string // what names in capitals stand for, one after the other
	env     []string
	told    atomic.Int64 // how often the web address was told something
}

func newTracer(t *testing.T, version string) *tracer {
	r := newResponder(t, version)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	x := &tracer{responder: r, program: filepath.Join(r.dir, "self", "openclaw-ir")}
	for _, dir := range []string{"self", "bin", "home/bin", "home/.local/bin", "tmp", "store"} {
		if err := os.MkdirAll(filepath.Join(r.dir, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(self, x.program); err != nil { // the test binary is the program by this name
		t.Fatal(err)
	}
	for _, name := range fakePrograms {
		for _, dir := range []string{".", "bin", "home/bin", "home/.local/bin"} {
			if err := os.WriteFile(filepath.Join(r.dir, dir, name), []byte("#!/bin/sh\n"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	x.env = []string{
		"PATH=" + x.dir + "/bin:" + x.dir + "/home/bin:.:" + os.Getenv("PATH"),
		"HOME=" + x.dir + "/home", "TMPDIR=" + x.dir + "/tmp", "XDG_STATE_HOME=" + x.dir + "/xdg", "SUDO_USER=carol", "NO_COLOR=1",
		"SHELL=" + x.dir + "/bin/sh", "EDITOR=" + x.dir + "/bin/sh", "PAGER=" + x.dir + "/bin/sh", "BROWSER=" + x.dir + "/bin/xdg-open", "SQLITE_TMPDIR=" + x.dir + "/tmp",
	}
	x.plant()
	x.servers()
	return x
}

// servers start who can be contacted: a server that takes everything, a store that refuses everything, and who is told of that.
func (x *tracer) servers() {
	addr, hostKey := storetest.ServeSFTP(x.t, sftp.InMemHandler())
	storetest.WriteKey(x.t, filepath.Join(x.dir, "ssh.key"))
	refusing := httptest.NewServer(&hostileStore{})
	hook := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { x.told.Add(1) }))
	x.t.Cleanup(func() { refusing.Close(); hook.Close() })
	x.write("hook.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hook.Certificate().Raw})))
	x.env = append(x.env, "SSL_CERT_FILE="+x.dir+"/hook.pem", "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=y")
	x.trusted = trustedDirectory(x.t, x.dir)
	installs, _ := openclaw.Find(os.DirFS(x.dir+"/host"), openclaw.FindOptions{UID: -1})
	x.places = []string{
		"PORT", strconv.Itoa(installs[0].Port), "STATE", x.state, "NONE", filepath.Join(x.dir, "none"), "SFTP", addr, "HOSTKEY", hostKey,
		"REFUSING", refusing.Listener.Addr().String(), "HOOK", hook.Listener.Addr().String(), "TRUSTED", x.trusted,
	}
}

// place puts the program where a schedule may run it from.
func (x *tracer) place() {
	text, err := os.ReadFile(filepath.Join(x.dir, "recipients.txt"))
	if err == nil && x.trusted != x.dir {
		err = os.WriteFile(filepath.Join(x.trusted, "recipients.txt"), text, 0o600)
	}
	if err == nil {
		err = copyFile(filepath.Join(x.trusted, "openclaw-ir"), x.program, 0o755)
	}
	if err != nil {
		x.t.Fatal(err)
	}
}

// plant writes the marker into the evidence: into every file of text, where such a file goes on.
func (x *tracer) plant() {
	x.t.Helper()
	planted := 0
	err := filepath.WalkDir(filepath.Join(x.dir, "host"), func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		line := map[string]string{
			".json": "\n", ".jsonl": `{"type":"message","id":"m` + fmt.Sprint(planted) + `","message":{"role":"user","content":"` + marker + `"}}` + "\n",
			".md": marker + "\n", ".log": `{"0":"` + marker + `"}` + "\n",
		}[filepath.Ext(name)]
		if line == "" {
			return nil
		}
		planted++
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = f.WriteString(line)
		return err
	})
	if err != nil || planted < 5 {
		x.t.Fatalf("planted %d markers, %v", planted, err)
	}
}

// all runs everything, and then looks whether the evidence is as it was and the directory for temporary files empty.
func (x *tracer) all(long bool) {
	before, atimes := statetest.Snapshot(x.t, x.dir+"/host"), accessTimes(x.t, x.dir+"/host")
	x.write("changed.age", "age-encryption.org/v1\n")
	lines := make([]tracedLine, 0, len(notedLines)+len(tracedLines))
	for _, l := range notedLines {
		lines = append(lines, tracedLine{args: l.args, writes: askedFor(l.args), shows: shows(l.args)})
	}
	lines = slices.Insert(lines, len(lines)-3, tracedLines...)
	if !long {
		lines = lines[:8] // what seals, checks and opens a bundle
	} else {
		x.place()
	}
	for _, l := range lines {
		x.run(l)
	}
	if told := x.told.Load(); long && told != 1 {
		x.t.Errorf("the web address was told %d times", told)
	}
	if long {
		x.t.Run("S3", x.bucket)
	}
	if diff := cmp.Diff(before, statetest.Snapshot(x.t, x.dir+"/host")); diff != "" {
		x.t.Error("the evidence changed: ", diff)
	}
	if diff := cmp.Diff(atimes, accessTimes(x.t, x.dir+"/host")); diff != "" {
		x.t.Error("access times changed: ", diff)
	}
	x.searchable()
	if left, err := os.ReadDir(filepath.Join(x.dir, "tmp")); err != nil || len(left) > 0 {
		x.t.Errorf("left for temporary files: %v, %v", left, err)
	}
}

// bucket stores in a real bucket, and reads what is there.
func (x *tracer) bucket(t *testing.T) {
	s := storetest.StartS3(t, t.TempDir())
	x.env = append(x.env, "AWS_ACCESS_KEY_ID="+os.Getenv("AWS_ACCESS_KEY_ID"), "AWS_SECRET_ACCESS_KEY="+os.Getenv("AWS_SECRET_ACCESS_KEY"))
	x.run(tracedLine{args: "collect --root host -R recipients.txt --to " + s.Address(), net: s.Addr})
	stored := 0
	for o := range s.Admin.ListObjects(t.Context(), storetest.Bucket, minio.ListObjectsOptions{Recursive: true}) {
		if stored++; strings.HasSuffix(o.Key, collect.BundleSuffix) {
			x.run(tracedLine{args: "collect verify -i key.txt " + strings.Replace(s.Address(), "host-1", o.Key, 1), net: s.Addr})
		}
	}
	if stored != 2 {
		t.Errorf("%d objects were stored", stored)
	}
}

// searchable looks whether all that is written is ciphertext or text, in which the marker would have been seen: not so in what is packed.
func (x *tracer) searchable() {
	for _, dir := range []string{x.cases, x.dir + "/store"} {
		err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || slices.Contains(random, d.Name()) {
				return err
			}
			text, err := os.ReadFile(name)
			if sealed := strings.HasSuffix(name, ".age"); err == nil && sealed != bytes.HasPrefix(text, []byte("age-encryption.org/v1\n")) || !sealed && !utf8.Valid(text) {
				x.t.Errorf("%s is neither ciphertext nor text", name)
			}
			return err
		})
		if err != nil {
			x.t.Error(err)
		}
	}
}

// random are the files of a case that hold bytes: the salt, and the digests of the index.
var random = []string{"salt", "snapshots.index"}

// askedFor is what a line of notedLines asks to have written beside the case.
func askedFor(args string) string {
	words := strings.Fields(args)
	if i := slices.Index(words, "-o"); i >= 0 {
		return words[i+1]
	}
	if strings.HasPrefix(args, "collect open ") {
		return words[len(words)-1]
	}
	return ""
}

// shows says whether a command's work is to tell what the evidence says. Those that seal do not.
func shows(args string) bool {
	for _, seals := range []string{"collect --", "collect upload", "contain", "rotate"} {
		if strings.HasPrefix(args, seals) {
			return false
		}
	}
	return true
}

func accessTimes(t *testing.T, dir string) map[string]int64 {
	t.Helper()
	times := map[string]int64{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && d.Type().IsRegular() { // reading the directories changed theirs
			times[name] = info.Sys().(*syscall.Stat_t).Atim.Nano()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return times
}

// onTerminal gives a command a terminal of its own, on which somebody types.
func onTerminal(t *testing.T, cmd *exec.Cmd, typed []string, do func()) {
	t.Helper()
	terminal := statetest.NewTerminal(t)
	tty, err := terminal.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	cmd.ExtraFiles = []*os.File{tty}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 3}
	terminal.Typed(t, typed, do)
}

// run runs one line and judges its calls.
func (x *tracer) run(line tracedLine) {
	x.t.Helper()
	named := strings.NewReplacer(x.places...)
	args := strings.Fields(named.Replace(line.args))
	if line.cased() {
		args = append(args, "--case-dir", x.cases)
	}
	cmd := exec.Command(x.program, args...)
	if line.placed {
		cmd.Path = filepath.Join(x.trusted, "openclaw-ir")
	}
	var out, errs bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.Dir = x.env, &out, &errs, x.dir
	var calls []systemCall
	var err error
	do := func() { calls, err = trace(x.t, cmd) }
	if line.typed == nil {
		do()
	} else {
		onTerminal(x.t, cmd, line.typed, do)
	}
	code := cmd.ProcessState.ExitCode()
	if code == exitUsage || code < 0 || code > exitFound {
		x.t.Errorf("%s: %v\n%s", line.args, err, &errs)
	}
	j := judge{tracer: x, line: line, asked: strings.Fields(named.Replace(line.net)), contacted: map[string]bool{}, children: childrenOf(calls)}
	said := map[string]bool{}
	for _, c := range calls {
		if why := j.wrong(c); why != "" && !said[why+c.name] {
			said[why+c.name] = true
			x.t.Errorf("%s: %s: %.300s", line.args, why, c.line)
		}
	}
	for _, addr := range j.asked {
		if !j.contacted[addr] {
			x.t.Errorf("%s: it does not contact %s, which it was asked to\n%s", line.args, addr, &errs)
		}
	}
	if j.opened == 0 {
		x.t.Errorf("%s: no file was opened: the trace is not read", line.args)
	}
	if !line.shows && (bytes.Contains(out.Bytes(), []byte(marker)) || bytes.Contains(errs.Bytes(), []byte(marker))) {
		x.t.Errorf("%s prints what the evidence says", line.args)
	}
}
