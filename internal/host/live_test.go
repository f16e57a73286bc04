package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fakeRunner answers what it knows and remembers what it was asked.
type fakeRunner struct {
	answers map[string]string
	asked   []Command
}

func (f *fakeRunner) Run(_ context.Context, c Command) Result {
	f.asked = append(f.asked, c)
	out := f.answers[strings.Join(c.Argv, " ")]
	if c.Stdout != nil {
		io.WriteString(c.Stdout, out)
		out = ""
	}
	return Result{Argv: c.Argv, Stdout: []byte(out)}
}

func (f *fakeRunner) lines() []string {
	var list []string
	for _, c := range f.asked {
		list = append(list, strings.Join(c.Argv, " "))
	}
	return list
}

// records parses an artifact's lines and groups them by their "record".
func records(t *testing.T, name string, b []byte) map[string][]map[string]any {
	t.Helper()
	m := map[string][]map[string]any{}
	for line := range bytes.Lines(b) {
		var row map[string]any
		if err := json.Unmarshal(line, &row); err != nil {
			t.Errorf("%s: %v: %.100q", name, err, line)
			continue
		}
		kind, _ := row["record"].(string)
		m[kind] = append(m[kind], row)
	}
	return m
}

func write(t *testing.T, a Artifact) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), a.Timeout)
	defer cancel()
	var b bytes.Buffer
	if err := a.Write(ctx, &b); err != nil {
		t.Errorf("%s: %v", a.Name, err)
	}
	return b.Bytes()
}

func TestSnapshotOfThisMachine(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("no /proc")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	start := time.Now()
	r := openRoot(t, "/")
	list := Snapshot(t.Context(), r, trusted(t), Options{})
	out := map[string]map[string][]map[string]any{}
	for _, a := range list {
		ctx, cancel := context.WithTimeout(t.Context(), a.Timeout)
		var b bytes.Buffer
		began := time.Now()
		if err := a.Write(ctx, &b); err != nil {
			t.Logf("%s: %v", a.Name, err) // a process that ended, a program that isn't here
		}
		cancel()
		t.Logf("%-32s %8d bytes %v", a.Name, b.Len(), time.Since(began).Round(time.Millisecond))
		if strings.HasSuffix(a.Name, ".jsonl") {
			out[a.Name] = records(t, a.Name, b.Bytes())
		}
	}
	t.Logf("snapshot took %v", time.Since(start))
	var me map[string]any
	for _, p := range out["live/processes.jsonl"]["process"] {
		if int(p["pid"].(float64)) == os.Getpid() {
			me = p
		}
	}
	if me == nil {
		t.Fatal("doesn't list this process")
	}
	var argv []string
	for _, a := range me["argv"].([]any) {
		argv = append(argv, a.(string))
	}
	if d := cmp.Diff(os.Args, argv); d != "" {
		t.Error(d)
	}
	exe, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer exe.Close()
	sum, err := hashFile(t.Context(), exe, 1<<30)
	if err != nil || me["exe_sha256"] != sum {
		t.Errorf("digest %v, want %v, %v", me["exe_sha256"], sum, err)
	}
	found := slices.ContainsFunc(out["live/sockets.jsonl"]["socket"], func(s map[string]any) bool {
		pids, _ := s["pids"].([]any)
		return s["local"] == ln.Addr().String() && s["state"] == "LISTEN" && slices.Contains(pids, any(float64(os.Getpid())))
	})
	if !found {
		t.Error("doesn't list our listening socket with our pid")
	}
	if out["live/packages.jsonl"]["command"] == nil {
		t.Error("no record of the package commands")
	}
}

func TestSnapshotOfFakeHost(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("macOS has no /proc")
	}
	r := fakeHost(t, "gateway.txtar")
	makeFile(t, filepath.Join(r.Dir(), "proc/self/mountinfo"), []byte("raw\x00mounts"))
	run := &fakeRunner{}
	names := map[string]Artifact{}
	var order []string
	for _, a := range Snapshot(t.Context(), r, run, Options{}) {
		if _, twice := names[a.Name]; twice || a.Timeout == 0 || a.What == "" || a.Source == "" {
			t.Errorf("%+v", a)
		}
		names[a.Name] = a
		order = append(order, a.Name)
	}
	if len(run.asked) > 0 {
		t.Errorf("ran %q before it was asked to write", run.lines())
	}
	if slices.Index(order, "live/sockets.jsonl") > slices.Index(order, "live/packages.jsonl") {
		t.Errorf("order of volatility: %q", order)
	}
	if got := string(write(t, names["live/environ/100"])); !strings.Contains(got, "OPENCLAW_GATEWAY_TOKEN=FAKE-TOKEN-0001\x00") {
		t.Errorf("environment %q", got)
	}
	if _, ok := names["live/environ/300"]; ok {
		t.Error("keeps a stranger's environment")
	}
	if got := write(t, names["live/mountinfo"]); string(got) != "raw\x00mounts" {
		t.Errorf("mounts %q", got)
	}
	procs := write(t, names["live/processes.jsonl"])
	if bytes.Contains(procs, []byte("FAKE-TOKEN")) {
		t.Error("shows a secret of the environment")
	}
	if n := len(records(t, "processes", procs)["process"]); n != 14 {
		t.Errorf("%d processes", n)
	}
	var accounts []string
	users := records(t, "users", write(t, names["live/users.jsonl"]))
	for _, u := range users["user"] {
		accounts = append(accounts, u["name"].(string))
	}
	if d := cmp.Diff([]string{"root", "toor", "claw", "sys"}, accounts); d != "" || len(users["note"]) != 1 {
		t.Errorf("%s %v", d, users["note"])
	}
	deleted := records(t, "openfiles", write(t, names["live/openfiles.jsonl"]))["fd"]
	if !slices.ContainsFunc(deleted, func(f map[string]any) bool {
		return f["pid"] == 102.0 && f["deleted"] == true && f["target"] == "/tmp/.log (deleted)"
	}) {
		t.Errorf("open files %v", deleted)
	}
	// A reused pid must not lend its environment.
	p := find(t, mustProcesses(t, r), 100)
	p.Start++
	if err := environ(r, p)(t.Context(), io.Discard); !errors.Is(err, ErrEnded) {
		t.Errorf("took the environment of another process: %v", err)
	}
	if err := environ(r, Process{PID: 1 << 30})(t.Context(), io.Discard); !errors.Is(err, ErrEnded) {
		t.Errorf("of a process that is no more: %v", err)
	}
}

func mustProcesses(t *testing.T, r *Root) []Process {
	t.Helper()
	table, err := Processes(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return table.Processes
}

func TestContainers(t *testing.T) {
	id := strings.Repeat("ab", 32)
	r := fakeHost(t, "gateway.txtar")
	run := &fakeRunner{}
	var b bytes.Buffer
	if err := containers(r, run, nil)(t.Context(), &b); err != nil || len(run.asked) > 0 {
		t.Errorf("woke an engine: %q, %v", run.lines(), err)
	}
	if n := len(records(t, "containers", b.Bytes())["note"]); n != 2 {
		t.Errorf("%d notes", n)
	}
	const ps = `docker ps --all --no-trunc --format {{.ID}}\t{{.Names}}\t{{.Image}}\t{{.Command}}\t{{.CreatedAt}}\t{{.Status}}\t{{.Ports}}\t{{.Mounts}}\t{{.Labels}}`
	run.answers = map[string]string{ps: id + "\topenclaw-sbx-1\n" + strings.Repeat("cd", 32) + "\tnginx\n--help\topenclaw\n"}
	if err := containers(r, run, []Process{{Comm: "dockerd"}})(t.Context(), &b); err != nil {
		t.Error(err)
	}
	if d := cmp.Diff([]string{ps, "docker inspect " + id}, run.lines()); d != "" {
		t.Error(d)
	}
}

func TestUserManager(t *testing.T) {
	r := fakeHost(t, "gateway.txtar")
	dir := filepath.Join(r.Dir(), "run/user")
	uid := uint32(os.Geteuid())
	makeFile(t, filepath.Join(dir, "0/systemd/private"), nil) // a stand-in for the socket
	makeFile(t, filepath.Join(dir, "4242/systemd/private"), nil)
	makeFile(t, filepath.Join(dir, "notauser/x"), nil)
	if d := cmp.Diff([]uint32{0, 4242}, userManagerUIDs(r)); d != "" {
		t.Fatal(d)
	}
	const show = "systemctl --user --no-pager show --property=Id,Names,ExecStart,FragmentPath,Description -- *.service *.timer *.path *.socket"
	run := &fakeRunner{answers: map[string]string{
		show: "Id=dbus.service\nExecStart=/bin/dbus\n\nId=bot.service\nExecStart={ path=/usr/bin/node ; argv[]=node openclaw/dist/index.js }\n\nId=openclaw-ir-snapshot.timer\n",
		"systemctl --user --no-pager list-unit-files --full --no-legend": "moltbot-gateway.service enabled\nclawdbot@.service static\n",
	}}
	var b bytes.Buffer
	if err := userUnits(r, run, 4242)(t.Context(), &b); err != nil {
		t.Error(err)
	}
	if notes := records(t, "units", b.Bytes())["note"]; len(run.asked) > 0 || len(notes) != 1 {
		t.Errorf("asked %q for a directory that is another's; %v", run.lines(), notes)
	}
	if uid != 0 {
		t.Skip("needs root")
	}
	if err := userUnits(r, run, 0)(t.Context(), &b); err != nil {
		t.Error(err)
	}
	last := run.asked[len(run.asked)-1]
	if got := strings.Join(last.Argv, " "); got != "systemctl --user --no-pager show --all -- bot.service moltbot-gateway.service" {
		t.Errorf("%q", got)
	}
	if last.As == nil || last.As.UID != 0 || last.Env[0] != "XDG_RUNTIME_DIR=/run/user/0" {
		t.Errorf("%+v", last)
	}
}

func TestJournal(t *testing.T) {
	since := time.Unix(1780000000, 0)
	run := &fakeRunner{answers: map[string]string{
		"journalctl --no-pager --quiet --field=_SYSTEMD_UNIT":      "ssh.service\nopenclaw-ir-snapshot.service\n",
		"journalctl --no-pager --quiet --field=_SYSTEMD_USER_UNIT": "openclaw-gateway.service\nx.service\nclawdbot-gateway.service\n",
		"journalctl --no-pager --quiet --field=USER_UNIT":          "openclaw-gateway.service\n",
		"journalctl --no-pager --quiet --output=json --all --reverse --since=@1780000000 _SYSTEMD_USER_UNIT=openclaw-gateway.service" +
			" _SYSTEMD_USER_UNIT=clawdbot-gateway.service + USER_UNIT=openclaw-gateway.service": `{"MESSAGE":"hello"}` + "\n" + `{"MESSAGE":"last"}`,
	}}
	var b bytes.Buffer
	if err := journalUnits(run, Options{Since: since, JournalCap: 100})(t.Context(), &b); err != nil {
		t.Error(err)
	}
	rows := records(t, "journal", b.Bytes())
	if len(rows[""]) != 2 || rows[""][0]["MESSAGE"] != "hello" || len(rows["command"]) != 5 {
		t.Errorf("%s", b.String())
	}
	b.Reset()
	if err := journalUnits(&fakeRunner{}, Options{})(t.Context(), &b); err != nil || len(records(t, "journal", b.Bytes())["note"]) != 1 {
		t.Errorf("%s %v", b.String(), err)
	}
}

func TestArtifactReportsWriteError(t *testing.T) {
	r := fakeHost(t, "gateway.txtar")
	for _, a := range Snapshot(t.Context(), r, &fakeRunner{}, Options{}) {
		if err := a.Write(t.Context(), failing{}); err == nil {
			t.Errorf("%s: no error from a full disk", a.Name)
		}
	}
}

func TestOtherArtifacts(t *testing.T) {
	run := &fakeRunner{}
	for _, a := range otherArtifacts(run) {
		write(t, a)
	}
	if len(run.asked) < 15 {
		t.Errorf("asked %q", run.lines())
	}
}

func TestDescribe(t *testing.T) {
	r := fakeHost(t, "gateway.txtar")
	makeFile(t, filepath.Join(r.Dir(), "proc/uptime"), []byte("12.50 3.00\n"))
	want := HostInfo{
		Hostname: "victim", OS: "Debian GNU/Linux 12 (bookworm)", OSVersion: "12",
		MachineID: "0123456789abcdef0123456789abcdef", Timezone: "Europe/Vienna", Uptime: 12500 * time.Millisecond,
	}
	if d := cmp.Diff(want, Describe(t.Context(), r, &fakeRunner{})); d != "" {
		t.Error(d)
	}
	h := Describe(t.Context(), openRoot(t, "/"), &fakeRunner{})
	name, _ := os.Hostname()
	if string(h.Hostname) != name || h.Kernel == "" || h.Arch == "" {
		t.Errorf("%+v", h)
	}
}

func TestText(t *testing.T) {
	for _, want := range []Text{"", "a", "<&>", "\x00\x1b\u202e", "\xff\xfe", "…"} {
		b, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Text
		if err := json.Unmarshal(b, &got); err != nil || got != want {
			t.Errorf("%q became %q, %v", want, got, err)
		}
	}
	var x Text
	if err := json.Unmarshal([]byte("3"), &x); err == nil {
		t.Error("a number is text")
	}
	if errors.Is(json.Unmarshal([]byte(`{"base64":"!"}`), &x), nil) {
		t.Error("not base64 and no error")
	}
}
