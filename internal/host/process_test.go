package host

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func find(t *testing.T, list []Process, pid int) Process {
	t.Helper()
	i := slices.IndexFunc(list, func(p Process) bool { return p.PID == pid })
	if i < 0 {
		t.Fatalf("no process %d", pid)
	}
	return list[i]
}

func TestProcesses(t *testing.T) {
	r := fakeHost(t, "gateway.txtar")
	table, err := Processes(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if table.Vanished != 1 { // 400 has no stat
		t.Errorf("vanished: %d", table.Vanished)
	}
	got := find(t, table.Processes, 100)
	want := Process{
		Record: "process", PID: 100, PPID: 1, PGID: 100, SID: 100, State: "S", Start: 12345,
		Started: time.Unix(1780000123, 450e6).UTC(), UID: 1000, EUID: 1000, GID: 1000, EGID: 1001,
		Comm: "node-MainThread",
		Argv: []Text{"/usr/bin/node", "--max-old-space-size=512", "/usr/lib/node_modules/openclaw/dist/index.js", "gateway", "--port", "18789"},
		Cwd:  "/home/claw", Exe: "/usr/bin/node",
		Cgroup: "0::/user.slice/user-1000.slice/user@1000.service/app.slice/openclaw-gateway.service",
		Env: []EnvMark{
			{"OPENCLAW_SERVICE_MARKER", "openclaw"},
			{"OPENCLAW_SYSTEMD_UNIT", "openclaw-gateway.service"},
			{"OPENCLAW_GATEWAY_TOKEN", ""},
			{"OPENCLAW_SERVICE_API_KEY", ""},
			{"CLAWDBOT_STATE_DIR", "/home/claw/.clawdbot"},
		},
		Role: RoleGateway, Why: "script: /usr/lib/node_modules/openclaw/dist/index.js",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	evil := find(t, table.Processes, 102)
	if evil.Comm != "evil) S 3 (x)" || evil.PPID != 1 || !evil.ExeDeleted {
		t.Errorf("evil: %+v", evil)
	}
	if d := cmp.Diff([]Text{"./miner", "-o", "", "pool.example"}, evil.Argv); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]Text{"openclaw-gateway"}, find(t, table.Processes, 200).Argv); d != "" {
		t.Error(d)
	}
	if g := find(t, table.Processes, 401).Gaps; len(g) < 2 {
		t.Errorf("gaps of garbage: %q", g)
	}
}

func TestRoles(t *testing.T) {
	r := fakeHost(t, "gateway.txtar")
	table, err := Processes(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	want := map[int]string{
		1: "", 100: RoleGateway, 101: RoleBroker, 102: RoleExec, 103: RoleDescendant, 104: RoleDescendant,
		200: RoleGateway, 300: "", 301: RoleGateway, 302: "", 303: RoleCLI, 304: "", 305: RoleUnit,
	}
	for pid, role := range want {
		if p := find(t, table.Processes, pid); p.Role != role {
			t.Errorf("process %d %q is %q (%s), want %q", pid, p.Argv, p.Role, p.Why, role)
		}
	}
}

func TestHashExes(t *testing.T) {
	r := fakeHost(t, "gateway.txtar")
	table, err := Processes(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	hashExes(t.Context(), r, &table, 100)
	want := fmt.Sprintf("%x", sha256.Sum256([]byte("node\n")))
	if got := find(t, table.Processes, 100).ExeSHA256; got != want {
		t.Errorf("digest %q, want %q", got, want)
	}
	if got := find(t, table.Processes, 102); got.ExeSHA256 != "" || len(got.Gaps) > 0 && strings.HasPrefix(string(got.Gaps[0]), "exe") {
		t.Errorf("vanished program: %+v", got)
	}
	hashExes(t.Context(), r, &table, 1)
	if g := find(t, table.Processes, 100).Gaps; !slices.Contains(g, "exe: larger than 1 bytes") {
		t.Errorf("gaps %q", g)
	}
}

// After a few processes whose memory can't be read in time, no further thread is risked.
func TestStuckMemory(t *testing.T) {
	var table ProcessTable
	start := time.Now()
	for range 20 {
		if table.stuck < stuckLimit {
			_, err := within(t.Context(), 10*time.Millisecond, func(context.Context) (int, error) { select {} })
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			table.stuck++
		}
	}
	var p Process
	table.readMemory(t.Context(), nil, "proc/1/", 10, &p) // would crash on the nil Root if it tried
	if len(p.Gaps) != 1 {
		t.Errorf("gaps %q", p.Gaps)
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("took %v", d)
	}
}

func TestProcessesCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Processes(ctx, fakeHost(t, "gateway.txtar")); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestArgvLimits(t *testing.T) {
	r := fakeHost(t, "gateway.txtar")
	long := strings.Repeat("a", argvLimit+10)
	if err := os.WriteFile(filepath.Join(r.Dir(), "proc/1/cmdline"), []byte(long), 0o644); err != nil {
		t.Fatal(err)
	}
	table, err := Processes(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if p := find(t, table.Processes, 1); !p.ArgvTruncated || len(p.Argv[0]) != argvLimit {
		t.Errorf("truncated %v at %d", p.ArgvTruncated, len(p.Argv[0]))
	}
}

func TestSockets(t *testing.T) {
	r := fakeHost(t, "gateway.txtar")
	procs, err := Processes(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	table, err := Sockets(t.Context(), r, procs.Processes)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range table.Sockets {
		who := s.Proto + " " + s.State + " "
		if s.Local.IsValid() {
			who += s.Local.String() + " " + s.Remote.String()
		}
		who += string(s.Path)
		for _, pid := range s.PIDs {
			who += " " + find(t, procs.Processes, pid).Role
		}
		got = append(got, who)
	}
	want := []string{
		"tcp LISTEN 127.0.0.1:18789 0.0.0.0:0 gateway",
		"tcp ESTAB 192.168.0.1:49153 198.51.100.7:443 exec",
		"tcp TIME-WAIT 192.168.0.1:49153 198.51.100.7:443",
		"tcp6 LISTEN [::1]:18789 [::]:0 gateway spawn-broker",
		"udp UNCONN 0.0.0.0:5353 0.0.0.0:0",
		"unix LISTEN /run/user/1000/a b",
		"unix ESTAB ",
		"unix UNCONN @abstract",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if table.Malformed != 2 {
		t.Errorf("malformed: %d", table.Malformed)
	}
	if len(table.Gaps) != 0 {
		t.Errorf("gaps: %q", table.Gaps)
	}
}

func FuzzProc(f *testing.F) {
	f.Add([]byte("1 (a) b) S 0 1 1 0 -1 4194560 1 1 1 1 1 1 1 1 20 0 1 0 5 1 1"))
	f.Add([]byte("0000000000000000: 00000002 00000000 00010000 0001 01  5005 /run/user/1000/a b"))
	f.Add([]byte("   0: 0100007F:4965 00000000:0000 0A 0:0 0:0 0  1000        0 5001 1"))
	f.Add([]byte("36 35 98:0 / /mnt\\0402 rw - ext4 /dev/root rw"))
	f.Add([]byte("OPENCLAW_SHELL=exec\x00OPENCLAW_X_TOKEN=FAKE"))
	f.Fuzz(func(t *testing.T, b []byte) {
		checkStat(t, b)
		if argv := splitArgv(b); len(argv) > len(b)+1 {
			t.Error("more arguments than bytes")
		}
		for _, m := range envMarks(b) {
			if m.Value != "" && soundsSecret(string(m.Name)) {
				t.Errorf("shows %q", m.Name)
			}
		}
		checkSockets(t, string(b))
		if m, ok := parseMount(string(b), "/mnt"); ok {
			line := "1 2 0:3 / " + escaped(path.Join("/mnt", m.Point)) + " rw - " + m.Type + " " + escaped(m.Source) + " rw"
			if again, ok := parseMount(line, "/mnt"); !ok || again != m {
				t.Errorf("%q is %+v, and %q is %+v", b, m, line, again)
			}
		}
		if a, ok := parsePasswd(string(b)); ok {
			line := fmt.Sprintf("%s:x:%d:%d::%s:%s", a.Name, a.UID, a.GID, a.Home, a.Shell)
			if again, ok := parsePasswd(line); !ok || again != a {
				t.Errorf("%q is %+v, and %q is %+v", b, a, line, again)
			}
		}
		for _, unit := range openClawUnits(string(b), string(b)) {
			if strings.ContainsAny(unit, "\n") || !strings.Contains(string(b), unit) {
				t.Errorf("unit %q", unit)
			}
		}
		assignRoles(nil, []Process{{PID: 1, PPID: 1, Comm: Text(b)}})
	})
}

// checkStat writes what was read of a process as the kernel would, and reads it again.
func checkStat(t *testing.T, b []byte) {
	var p, q Process
	if p.parseStat(b) == nil {
		line := fmt.Sprintf("1 (%s) %s %d %d %d%s %d", p.Comm, p.State, p.PPID, p.PGID, p.SID, strings.Repeat(" 0", 15), p.Start)
		if err := q.parseStat([]byte(line)); err != nil || !cmp.Equal(p, q) {
			t.Errorf("%q is %+v, and %q is %+v, %v", b, p, line, q, err)
		}
	}
	p, q = Process{}, Process{}
	if p.parseIDs(b) == nil {
		line := fmt.Sprintf("Uid:\t%d\t%d\t0\t0\nGid:\t%d\t%d\t0\t0\n", p.UID, p.EUID, p.GID, p.EGID)
		if err := q.parseIDs([]byte(line)); err != nil || !cmp.Equal(p, q) {
			t.Errorf("%q is %+v, and %q is %+v, %v", b, p, line, q, err)
		}
	}
}

// checkSockets writes the sockets that were read as the kernel would, and reads them again.
func checkSockets(t *testing.T, line string) {
	if s, err := parseInet(line); err == nil {
		state := s.State
		if i := slices.Index(tcpStates, state); i > 0 {
			state = fmt.Sprintf("%02X", i)
		}
		again := fmt.Sprintf("0: %s %s %s 0:0 0:0 0 %d 0 %d", procAddr(s.Local), procAddr(s.Remote), state, s.UID, s.Inode)
		if q, err := parseInet(again); err != nil || !cmp.Equal(s, q, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })) {
			t.Errorf("%q is %+v, and %q is %+v, %v", line, s, again, q, err)
		}
	}
	if s, err := parseUnix(line); err == nil && (!strings.HasSuffix(line, string(s.Path)) || strings.ContainsAny(s.State, " \n")) {
		t.Errorf("%q is %+v", line, s)
	}
}

// procAddr is an address as /proc/net/tcp has it.
func procAddr(a netip.AddrPort) string {
	b := a.Addr().AsSlice()
	for w := 0; w < len(b); w += 4 {
		slices.Reverse(b[w : w+4])
	}
	return fmt.Sprintf("%X:%04X", b, a.Port())
}

// escaped writes a path as mountinfo has it.
func escaped(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == '\\' || c >= 0x7f {
			fmt.Fprintf(&b, "\\%03o", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// FuzzFilter reads what ufw, nft and iptables print, with the comments that anybody could have put into their rules.
func FuzzFilter(f *testing.F) {
	f.Add("Status: active\nLogging: on (low)\nDefault: deny (incoming), allow (outgoing)\n\nTo  Action  From\n--  ------  ----\n22/tcp  ALLOW IN  Anywhere # Status: inactive\n")
	f.Add("table inet f {\n chain i { type filter hook input priority 0; policy drop; }\n}\n:INPUT DROP [0:0]\n-A INPUT -p tcp --dport 22 -m limit\n")
	f.Fuzz(func(t *testing.T, text string) {
		var f Filter
		f.parseUFW(text)
		if !slices.Contains([]string{"active", "inactive", "unknown"}, f.UFW) || len(f.Rules) > maxRules {
			t.Errorf("%q, %d rules", f.UFW, len(f.Rules))
		}
		for _, r := range f.Rules {
			if strings.ContainsAny(r, "\n") || !strings.Contains(text, r) {
				t.Errorf("rule %q", r)
			}
		}
		if dropsInput(text) && !strings.Contains(text, "drop") && !strings.Contains(text, "DROP") {
			t.Errorf("%q drops", text)
		}
		_ = limitsSSH(text)
	})
}
