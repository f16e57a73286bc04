//go:build linux

package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A victim is a host that is contained, with what tells whether it is.
type victim struct {
	*host
	g       *gateway
	secrets []string // none of them may be shown

	mu   sync.Mutex
	said []string // what the tool ever printed, a run each
	argv []string // command lines of any process that showed a secret
}

func newVictim(h *host) *victim {
	return &victim{host: h, secrets: []string{gatewayToken, modelKey, hooksToken, dotenvKey}}
}

// A row is what contain and rotate say in one line of JSON.
type row struct {
	Record, Step, What, Detail, Hint string
	OK                               bool
	ID, Kind                         string // of rotate's items
}

// tool runs the tool, which must end with an exit code, or with 0 or 3 if that is -1. It returns what it said.
func (v *victim) tool(t *testing.T, code int, cmd *exec.Cmd) (rows []row) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	defer v.watchArguments()()
	start := time.Now()
	err := cmd.Run()
	got := cmd.ProcessState.ExitCode()
	text := stdout.String() + stderr.String()
	v.mu.Lock()
	v.said = append(v.said, text)
	v.mu.Unlock()
	for line := range strings.Lines(stdout.String()) {
		var r row
		if json.Unmarshal([]byte(line), &r) == nil && r.Record != "" {
			rows = append(rows, r)
		}
	}
	t.Logf("%s: exit %d after %v%s", commandLine(cmd), got, time.Since(start).Round(time.Millisecond), notOK(rows))
	switch {
	case got != code && (code != -1 || got != 0 && got != 3):
		t.Errorf("%s: exit %d (%v), want %d\n%s", commandLine(cmd), got, err, code, tail(stderr.Bytes()))
	case got != 0:
		t.Logf("%s", tail(stderr.Bytes()))
	}
	return rows
}

// commandLine is a command without what brings it into the host.
func commandLine(cmd *exec.Cmd) string {
	i := slices.IndexFunc(cmd.Args, func(a string) bool { return filepath.Base(a) == "openclaw-ir" })
	return strings.Join(cmd.Args[max(i, 0):], " ")
}

// notOK lists what is not as it should be.
func notOK(rows []row) string {
	var b strings.Builder
	for _, r := range rows {
		if !r.OK && r.Record == "step" {
			fmt.Fprintf(&b, "\n   NO %s: %s: %s", r.Step, r.What, r.Detail)
		}
	}
	return b.String()
}

// watchArguments looks at the command lines of all processes until stop is called, and keeps those that show a secret.
func (v *victim) watchArguments() (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
			for _, name := range names {
				if text, _ := os.ReadFile(name); v.showsSecret(text) {
					v.mu.Lock()
					v.argv = append(v.argv, string(bytes.ReplaceAll(text, []byte{0}, []byte{' '})))
					v.mu.Unlock()
				}
			}
			select {
			case <-done:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	return func() { close(done); <-ended }
}

func (v *victim) showsSecret(text []byte) bool {
	return slices.ContainsFunc(v.secrets, func(s string) bool { return bytes.Contains(text, []byte(s)) })
}

// checkSecrets looks for secrets in what the tool printed, in the case outside sealed bundles, and in command lines.
func (v *victim) checkSecrets(t *testing.T) {
	t.Helper()
	for _, text := range v.said {
		if v.showsSecret([]byte(text)) {
			t.Errorf("a secret was printed: %s", tail([]byte(text)))
		}
	}
	for _, line := range slices.Compact(v.argv) {
		t.Errorf("a command line showed a secret: %.300q", line)
	}
	files := 0
	err := filepath.WalkDir(filepath.Join(v.root, casesDir), func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasSuffix(name, ".age") {
			return err
		}
		files++
		text, err := os.ReadFile(name)
		if v.showsSecret(text) {
			t.Errorf("%q holds a secret", name)
		}
		return err
	})
	if err != nil || files == 0 {
		t.Errorf("looking through %d files of the case: %v", files, err)
	}
}

// weaken makes the host as careless as hosts are: the gateway open to the network, UFW installed and never enabled, and a second way
// for the gateway to start. Its owner's comments stand in the configuration.
func (v *victim) weaken(t *testing.T, r release) {
	t.Helper()
	v.prepare(t)
	config := gatewayConfig(r, servicePort, modelPort)
	gateway := config["gateway"].(map[string]any)
	gateway["bind"] = "lan"
	gateway["controlUi"] = map[string]any{"allowedOrigins": []string{fmt.Sprintf("http://%s:%d", hostV4, servicePort)}}
	config["hooks"] = map[string]any{"enabled": true, "token": hooksToken}
	v.g = v.startService(t, config)
	// A key of a provider that OpenClaw knows would have its next start fetch a plugin for it.
	v.write(t, "home/"+hostUser+"/.openclaw/.env", "ACME_CRM_API_KEY="+dotenvKey+"\n", 0o600)
	v.comment(t)
	v.chown(t, "home/"+hostUser+"/.openclaw")
	cron := v.command("crontab", "-u", hostUser, "-")
	cron.Stdin = strings.NewReader("# m h dom mon dow command\nMAILTO=\"\"\n" + // another line that starts something would be told: TestStarts
		"@reboot /usr/local/bin/node /opt/openclaw/node_modules/openclaw/openclaw.mjs gateway run\n")
	run(t, cron)
}

// prepare is what all hosts have in common.
func (v *victim) prepare(t *testing.T) {
	t.Helper()
	_, recipient := newKey(t)
	v.write(t, recipientsFile, recipient+"\n", 0o644)
	run(t, v.command("ufw", "allow", fmt.Sprint(servicePort)))
}

// comment writes comments into the configuration, by hand as its owner would.
func (v *victim) comment(t *testing.T) {
	t.Helper()
	name := filepath.Join(v.root, userConfig)
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	auth := regexp.MustCompile(`"token": "` + gatewayToken + `",?`)
	if n := len(auth.FindAll(text, -1)); n != 1 {
		t.Fatalf("the token stands %d times in the configuration", n)
	}
	commented := configComment + "\n" + auth.ReplaceAllString(string(text), "${0} "+configComment)
	if err := os.WriteFile(name, []byte(commented), 0o600); err != nil {
		t.Fatal(err)
	}
}

// publish has the host publish a port as Docker does: a network of its own behind a rule that translates addresses, and
// rules that accept what is forwarded before anything of UFW's.
func (v *victim) publish(t *testing.T) {
	t.Helper()
	const box = "172.17.0.2"
	port := fmt.Sprint(servicePort)
	for _, args := range []string{
		"ip netns add box",
		"ip link add box0 type veth peer name eth0 netns box",
		"ip addr add 172.17.0.1/16 dev box0",
		"ip link set box0 up",
		"ip -n box addr add " + box + "/16 dev eth0",
		"ip -n box link set eth0 up",
		"ip -n box route add default via 172.17.0.1",
		"sysctl -q net.ipv4.ip_forward=1",
		"iptables -t nat -N DOCKER",
		"iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
		"iptables -t nat -A DOCKER ! -i box0 -p tcp --dport " + fmt.Sprint(publishedPort) + " -j DNAT --to-destination " + box + ":" + port,
		"iptables -N DOCKER",
		"iptables -I FORWARD -o box0 -j DOCKER",
		"iptables -I FORWARD -o box0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
		"iptables -I FORWARD -i box0 ! -o box0 -j ACCEPT",
		"iptables -A DOCKER -d " + box + " ! -i box0 -o box0 -p tcp --dport " + port + " -j ACCEPT",
	} {
		run(t, v.command(strings.Fields(args)...))
	}
	serveEcho(t, fmt.Sprintf("/proc/%d/root/run/netns/box", v.leader), "tcp4", box+":"+port)
}

// attack opens a connection from the attacker's address, which stays open until the test ends.
func (v *victim) attack(t *testing.T, port int) net.Conn {
	t.Helper()
	conn, err := v.dialOutside(attackerV4, fmt.Sprintf("%s:%d", hostV4, port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// reaches says whether a port of the host answers an address outside it.
func (v *victim) reaches(from string, port int) bool {
	to := hostV4
	if strings.Contains(from, ":") {
		to = hostV6
	}
	conn, err := v.dialOutside(from, net.JoinHostPort(to, strconv.Itoa(port)))
	if err == nil {
		conn.Close()
	}
	return err == nil
}

// connects says whether the host itself reaches an address.
func (v *victim) connects(t *testing.T, addr string, port int) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	conn, err := v.dial(ctx, "tcp", net.JoinHostPort(addr, strconv.Itoa(port)))
	if err == nil {
		conn.Close()
	}
	return err == nil
}

// checkFrozen looks at how fast the tool says that the agent was frozen, and whether the agent wrote anything after that.
func (v *victim) checkFrozen(t *testing.T, rows []row) {
	t.Helper()
	i := slices.IndexFunc(rows, func(r row) bool { return r.Record == "frozen" })
	if i < 0 {
		t.Errorf("nothing said of what was frozen: %v", rows)
		return
	}
	t.Logf("frozen: %s", rows[i].What)
	if !regexp.MustCompile(`\d m?s`).MatchString(rows[i].What) { // how long depends on what else the machine does
		t.Errorf("no time is said: %q", rows[i].What)
	}
	frozen := v.custody(t, "contain freeze")
	if len(frozen) != 1 {
		t.Errorf("%d times frozen in the custody log", len(frozen))
		return
	}
	for name := range v.counters() {
		lines := v.lines(name)
		if name == requestsFile || len(lines) == 0 {
			continue
		}
		seconds, err := strconv.ParseFloat(strings.TrimSpace(lines[len(lines)-1]), 64)
		if last := time.UnixMicro(int64(seconds * 1e6)); err != nil || last.After(frozen[0]) {
			t.Errorf("%s was written at %v, after the freeze was noted at %v (%v)", name, last, frozen[0], err)
		}
	}
}

// custody returns when an action was noted in the newest case.
func (v *victim) custody(t *testing.T, action string) (times []time.Time) {
	t.Helper()
	text, _ := os.ReadFile(filepath.Join(v.newestCase(), "custody.jsonl"))
	for line := range bytes.Lines(text) {
		var e struct {
			Time   time.Time
			Action string
		}
		if json.Unmarshal(line, &e) == nil && e.Action == action {
			times = append(times, e.Time)
		}
	}
	return times
}

// newestCase returns the directory of root's newest case, as this machine sees it.
func (v *victim) newestCase() string {
	names, _ := filepath.Glob(fmt.Sprintf("/proc/%d/root%s/*/custody.jsonl", v.leader, casesDir))
	newest, when := "", time.Time{}
	for _, name := range names {
		if fi, err := os.Stat(filepath.Dir(name)); err == nil && fi.ModTime().After(when) {
			newest, when = filepath.Dir(name), fi.ModTime()
		}
	}
	return newest
}

// requestsFile has a line for each request to the model.
const requestsFile = "release.requests"

// counters tells how much the agent has done so far.
func (v *victim) counters() map[string]int {
	counts := map[string]int{}
	for _, name := range []string{"turns", "detached", requestsFile} {
		counts[name] = len(v.lines(name))
	}
	return counts
}

// lines returns what the agent wrote so far to a file in its user's home.
func (v *victim) lines(name string) []string {
	text, _ := os.ReadFile(filepath.Join(v.root, "home", hostUser, name))
	return slices.Collect(strings.Lines(string(text)))
}

// runAway has the agent take up a turn that never ends. A gateway that just read its configuration again may drop the first.
func (v *victim) runAway(t *testing.T) {
	t.Helper()
	answer := v.g.startTurn(t, "runaway")
	waitFor(t, 2*time.Minute, "the agent to run away", func() bool {
		select {
		case got := <-answer:
			t.Logf("the turn that should never end answered %q", got)
			answer = v.g.startTurn(t, "runaway")
		default:
		}
		return len(v.lines("turns")) > 0
	})
	v.waitActing(t)
}

// waitActing waits until the agent acts, and what it detached too.
func (v *victim) waitActing(t *testing.T) {
	t.Helper()
	was := v.counters()
	waitFor(t, time.Minute, "the agent to act", func() bool {
		now := v.counters()
		return now["turns"] >= was["turns"]+3 && now["detached"] >= was["detached"]+3
	})
}

// checkIdle looks whether nothing of the agent's is there or acts.
func (v *victim) checkIdle(t *testing.T) {
	t.Helper()
	if list := v.agents(t); len(list) > 0 {
		t.Errorf("the agent lives on: %s", strings.Join(list, "; "))
	}
	was := v.counters()
	time.Sleep(300 * time.Millisecond)
	if diff := cmp.Diff(was, v.counters()); diff != "" {
		t.Errorf("the agent acts (-was +now):\n%s", diff)
	}
}

// agents returns the processes of the host that are the gateway, or carry its mark.
func (v *victim) agents(t *testing.T) (list []string) {
	t.Helper()
	own, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", v.leader))
	if err != nil {
		t.Fatal(err)
	}
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		if ns, err := os.Readlink(dir + "/ns/pid"); err != nil || ns != own {
			continue
		}
		argv, _ := os.ReadFile(dir + "/cmdline")
		environ, _ := os.ReadFile(dir + "/environ")
		line := string(bytes.ReplaceAll(argv, []byte{0}, []byte{' '}))
		gateway := strings.Contains(line, "openclaw/dist/index.js") || strings.Contains(line, "openclaw.mjs") || strings.HasPrefix(line, "openclaw-gateway")
		if gateway || bytes.Contains(environ, []byte("OPENCLAW_SHELL=exec")) {
			list = append(list, filepath.Base(dir)+" "+line)
		}
	}
	return list
}

// checkClosed looks at the host from outside and inside: the agent gone, its port and what is published closed, whoever listens
// there, and the responder not locked out.
func (v *victim) checkClosed(t *testing.T) {
	t.Helper()
	v.checkIdle(t)
	for _, addr := range []string{"127.0.0.1", "::1", hostV4, hostV6} {
		if v.connects(t, addr, servicePort) {
			t.Errorf("port %d is open inside, on %s", servicePort, addr)
		}
	}
	stop := serveEcho(t, processNetwork(v.leader), "tcp", fmt.Sprintf("[::]:%d", servicePort))
	defer stop()
	type try struct {
		from string
		port int
	}
	var wg sync.WaitGroup
	for _, r := range []try{{responderV4, servicePort}, {attackerV4, servicePort}, {responderV6, servicePort}, {attackerV4, publishedPort}, {attackerV4, 22}} {
		wg.Go(func() {
			if v.reaches(r.from, r.port) {
				t.Errorf("port %d is open outside, from %s", r.port, r.from)
			}
		})
	}
	wg.Wait()
	if out, err := v.newSession(responderV4, "root", "true").CombinedOutput(); err != nil {
		t.Errorf("a new SSH session: %v: %s", err, out)
	}
	if _, err := os.Stat(v.sessionSocket()); err == nil {
		if out, err := v.inSession("true").CombinedOutput(); err != nil {
			t.Errorf("the open SSH session: %v: %s", err, out)
		}
	}
}

// checkDead looks whether an attacker's connection to the gateway ended.
func (v *victim) checkDead(t *testing.T, conn net.Conn) {
	t.Helper()
	out := run(t, v.command("ss", "-Htn", "state", "established", fmt.Sprintf("( sport = :%d )", servicePort)))
	if len(bytes.TrimSpace(out)) > 0 {
		t.Errorf("the gateway's port has connections: %s", out)
	}
	_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
	_, _ = conn.Write([]byte{0x89, 0x80, 0, 0, 0, 0}) // a WebSocket's ping, which is always answered
	buf := make([]byte, 1<<16)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			break
		}
		if i := bytes.IndexByte(buf[:n], 0x8a); i >= 0 && i == n-2 {
			t.Error("the gateway answers the attacker")
		}
	}
}

// snapshot describes what containing a host changes: the firewall, what the kernel was told with it, units, crontabs, the
// configuration.
func (v *victim) snapshot(t *testing.T) map[string]string {
	t.Helper()
	seen := map[string]string{}
	home := "home/" + hostUser
	for _, dir := range []string{
		"etc/ufw", "etc/default/ufw", "etc/nftables.conf", "etc/openclaw-ir", "etc/systemd", home + "/.config", "var/spool/cron", "etc/cron.d",
		userConfig,
	} {
		err := filepath.WalkDir(filepath.Join(v.root, dir), func(name string, d fs.DirEntry, err error) error {
			if os.IsNotExist(err) {
				return nil
			}
			if err == nil {
				seen[strings.TrimPrefix(name, v.root)] = describe(t, name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for what, cmd := range map[string]*exec.Cmd{
		"ufw status": v.command("ufw", "status", "verbose"),
		"nft rules":  v.command("nft", "-s", "list", "ruleset"),
		"sysctl":     v.command("sysctl", "-a", "--pattern", `^net\.ipv[46]\.(conf\.(all|default)|icmp|tcp_s|ip_f)`),
		"unit files": v.command("systemctl", "list-unit-files", "--no-legend", "--state=enabled,masked"),
		"gateway": v.asUser("systemctl", "--user", "show",
			"-pLoadState,UnitFileState,Restart,DropInPaths,FragmentPath,NeedDaemonReload", "openclaw-gateway.service"),
	} {
		seen[what] = string(run(t, cmd))
	}
	seen["nft rules"] = sortedChains(seen["nft rules"])
	return seen
}

// sortedChains puts the chains of each table of "nft list ruleset" in order: it lists them in that in which they were made.
func sortedChains(rules string) string {
	tables := strings.SplitAfter(rules, "\n}\n")
	for i, table := range tables {
		head, body, _ := strings.Cut(strings.TrimSuffix(table, "}\n"), "\n")
		chains := strings.Split(body, "\n\t}\n")
		for j := range chains {
			chains[j] = strings.TrimLeft(chains[j], "\n")
		}
		slices.Sort(chains)
		tables[i] = head + "\n" + strings.Join(chains, "\n\t}\n")
	}
	slices.Sort(tables)
	return strings.Join(tables, "\n}\n")
}

// describe tells a file's mode, owner, group and content.
func describe(t *testing.T, name string) string {
	t.Helper()
	fi, err := os.Lstat(name)
	if err != nil {
		t.Fatal(err)
	}
	st := fi.Sys().(*syscall.Stat_t)
	content := ""
	switch {
	case fi.Mode()&fs.ModeSymlink != 0:
		content, err = os.Readlink(name)
	case fi.Mode().IsRegular():
		var text []byte
		text, err = os.ReadFile(name)
		content = string(text)
	}
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%v %d %d %s", fi.Mode(), st.Uid, st.Gid, content)
}

// checkSame compares a snapshot with the host as it is now.
func (v *victim) checkSame(t *testing.T, before map[string]string) {
	t.Helper()
	now := v.snapshot(t)
	for what := range now {
		if _, ok := before[what]; !ok {
			before[what] = ""
		}
	}
	for what, was := range before {
		if was != now[what] {
			t.Errorf("%s is not as it was before:\n%s", what, lineDiff(was, now[what]))
		}
	}
}

// lineDiff lists the lines that only one of two texts has.
func lineDiff(was, now string) string {
	var b strings.Builder
	list := func(sign, text, other string) {
		has := strings.Split(other, "\n")
		for line := range strings.SplitSeq(text, "\n") {
			if !slices.Contains(has, line) && b.Len() < 2000 {
				fmt.Fprintf(&b, "%s %s\n", sign, line)
			}
		}
	}
	list("-", was, now)
	list("+", now, was)
	return b.String()
}
