package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Artifact is one piece of the machine's volatile state, for a bundle. Names ending in .jsonl hold one JSON object a
// line with its kind in "record"; the others hold what the kernel gave.
type Artifact struct {
	Name   string // path in the bundle: "live/processes.jsonl"
	Source string // category: process, network, session, mount, firewall, service, container, kernel, user, package, journal
	What   string // one phrase for the manifest
	// Write reads the state and writes it. An error means that less than everything was written. What is
	// known to be missing is also a row.
	Write   func(ctx context.Context, w io.Writer) error
	Timeout time.Duration // what the caller should give Write through its context
}

// Options of a Snapshot. The zero value works.
type Options struct {
	Since      time.Time // where the journal excerpts begin, 30 days ago if zero
	JournalCap int64     // bytes kept of each journal excerpt, newest first, 64 MiB if zero
	ExeLimit   int64     // bytes beyond which a running program is not digested, 1 GiB if zero
}

func (o Options) defaults() Options {
	if o.Since.IsZero() {
		o.Since = time.Now().AddDate(0, 0, -30)
	}
	if o.JournalCap == 0 {
		o.JournalCap = 64 << 20
	}
	if o.ExeLimit == 0 {
		o.ExeLimit = 1 << 30
	}
	return o
}

// Snapshot reads the process table at once and returns the volatile state as artifacts, shortest-lived first. The
// caller writes each under its Timeout, one after the other; an error of one doesn't stop the next. r is the live host,
// or a tree that looks like one. Commands run on this machine whatever r is.
func Snapshot(ctx context.Context, r *Root, run Runner, o Options) []Artifact {
	o = o.defaults()
	if runtime.GOOS != "linux" {
		return otherArtifacts(run)
	}
	table, err := Processes(ctx, r)
	list := []Artifact{
		{"live/clock.jsonl", "kernel", "this machine's time and how far to trust it", clock(r), 5 * time.Second},
		{"live/sockets.jsonl", "network", "sockets and the processes that hold them", socketRows(r, table.Processes), 10 * time.Second},
		{"live/openfiles.jsonl", "process", "open files, deleted ones included", openFileRows(r, table.Processes), 10 * time.Second},
	}
	list = append(list, environs(r, table.Processes)...)
	// The table is read already; digesting what the processes run takes longest.
	list = append(list, Artifact{
		"live/processes.jsonl", "process", "processes and digests of what they run",
		processRows(r, &table, err, o), 20 * time.Second,
	})
	list = append(list,
		Artifact{"live/network.jsonl", "network", "neighbours, routes, addresses", network(r, run), 10 * time.Second},
		Artifact{"live/sessions.jsonl", "session", "who is and was logged in", sessions(run), 10 * time.Second},
		Artifact{"live/mountinfo", "mount", "mounted file systems", copyFile(r, "proc/self/mountinfo"), 5 * time.Second},
		Artifact{"live/firewall.jsonl", "firewall", "packet filters", firewall(run), 15 * time.Second},
		Artifact{"live/systemd.jsonl", "service", "the system's units", systemUnits(run), 20 * time.Second},
	)
	list = append(list, userManagers(r, run)...)
	return append(list,
		Artifact{"live/containers.jsonl", "container", "containers, OpenClaw's in full", containers(r, run, table.Processes), 20 * time.Second},
		Artifact{"live/kernel.jsonl", "kernel", "kernel, modules, load", kernel(r), 5 * time.Second},
		Artifact{"live/at.jsonl", "service", "at jobs", commands(run, "atq"), 5 * time.Second},
		Artifact{"live/users.jsonl", "user", "accounts that people or intruders can use", users(r), 5 * time.Second},
		Artifact{"live/packages.jsonl", "package", "installed packages", packages(run), 30 * time.Second},
		Artifact{"live/journal-openclaw.jsonl", "journal", "journal of OpenClaw's units", journalUnits(run, o), 20 * time.Second},
		Artifact{"live/journal-logins.jsonl", "journal", "journal of sshd, sudo, su and cron", journalLogins(run, o), 20 * time.Second},
	)
}

type writeFunc = func(context.Context, io.Writer) error

// commands runs each line, words apart by spaces, and writes a row for each.
func commands(run Runner, lines ...string) writeFunc {
	return func(ctx context.Context, w io.Writer) error {
		out := newRows(w)
		runAll(ctx, out, run, lines...)
		return errors.Join(out.err, ctx.Err())
	}
}

func runAll(ctx context.Context, out *rows, run Runner, lines ...string) {
	for _, line := range lines {
		if ctx.Err() != nil {
			out.note(line, "not run: "+ctx.Err().Error())
			continue
		}
		out.put(run.Run(ctx, Command{Argv: strings.Fields(line)}))
	}
}

// fileRow is a small file of the kernel's, as a row.
type fileRow struct {
	Record string `json:"record"` // "file"
	Name   string `json:"name"`
	Text   Text   `json:"text"`
}

func files(r *Root, out *rows, names ...string) {
	for _, name := range names {
		b, cut, err := readCapped(r, name, 4<<20)
		if err != nil {
			out.note(name, err.Error())
			continue
		}
		out.put(fileRow{"file", "/" + name, Text(b)})
		if cut {
			out.note(name, "cut at 4 MiB")
		}
	}
}

func copyFile(r *Root, name string) writeFunc {
	return func(_ context.Context, w io.Writer) error {
		f, err := r.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(w, f)
		return err
	}
}

func processRows(r *Root, t *ProcessTable, readErr error, o Options) writeFunc {
	return func(ctx context.Context, w io.Writer) error {
		out := newRows(w)
		hashExes(ctx, r, t, o.ExeLimit)
		gaps := 0
		for _, p := range t.Processes {
			gaps += len(p.Gaps)
			out.put(p)
		}
		out.put(struct {
			Record    string `json:"record"`
			Processes int    `json:"processes"`
			Vanished  int    `json:"vanished"`
			Gaps      int    `json:"gaps"`
		}{"summary", len(t.Processes), t.Vanished, gaps})
		return errors.Join(readErr, out.err, ctx.Err())
	}
}

func socketRows(r *Root, processes []Process) writeFunc {
	return func(ctx context.Context, w io.Writer) error {
		out := newRows(w)
		t, err := Sockets(ctx, r, processes)
		for _, s := range t.Sockets {
			out.put(s)
		}
		for _, g := range t.Gaps {
			out.note("sockets", string(g))
		}
		out.put(struct {
			Record    string `json:"record"`
			Sockets   int    `json:"sockets"`
			Malformed int    `json:"malformed"`
		}{"summary", len(t.Sockets), t.Malformed})
		return errors.Join(err, out.err)
	}
}

func openFileRows(r *Root, processes []Process) writeFunc {
	return func(ctx context.Context, w io.Writer) error {
		out := newRows(w)
		n := 0
		for _, p := range processes {
			if ctx.Err() != nil || out.err != nil {
				break
			}
			for f, err := range openFiles(r, p.PID) {
				if err != nil {
					out.note(fmt.Sprintf("open files of %d", p.PID), err.Error())
					continue
				}
				n++
				out.put(f)
			}
		}
		out.put(struct {
			Record string `json:"record"`
			Files  int    `json:"files"`
		}{"summary", n})
		return errors.Join(out.err, ctx.Err())
	}
}

// environs keeps the whole environment of every process of OpenClaw. It holds secrets: only for a sealed bundle.
func environs(r *Root, processes []Process) []Artifact {
	var list []Artifact
	for _, p := range processes {
		if p.Role == "" {
			continue
		}
		pid := strconv.Itoa(p.PID)
		list = append(list, Artifact{
			"live/environ/" + pid, "process",
			"environment of process " + pid + ", " + p.Role, environ(r, p), 3 * time.Second,
		})
	}
	return list
}

// ErrEnded says that a process ended before it could be read: on a host that lives, some always do.
var ErrEnded = errors.New("the process has ended")

func environ(r *Root, p Process) writeFunc {
	return func(ctx context.Context, w io.Writer) error {
		dir := fmt.Sprintf("proc/%d/", p.PID)
		type environ struct {
			b   []byte
			cut bool
		}
		e, err := within(ctx, 2*time.Second, func(context.Context) (e environ, err error) {
			var now Process
			stat, _, err := readCapped(r, dir+"stat", 4096)
			if err == nil {
				err = now.parseStat(stat)
			}
			if err == nil && now.Start != p.Start {
				err = fs.ErrNotExist // another process has the number now
			}
			if err == nil {
				e.b, e.cut, err = readCapped(r, dir+"environ", 32<<20)
			}
			return e, err
		})
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			return ErrEnded
		}
		if err == nil && e.cut {
			err = errors.New("cut at 32 MiB")
		}
		_, werr := w.Write(e.b)
		return errors.Join(err, werr)
	}
}

func network(r *Root, run Runner) writeFunc {
	return func(ctx context.Context, w io.Writer) error {
		out := newRows(w)
		files(r, out, "proc/net/arp", "proc/net/route", "proc/net/ipv6_route", "proc/net/if_inet6", "proc/net/dev", "proc/net/packet")
		runAll(ctx, out, run, "ip -j neigh show", "ip -j addr show", "ip -j route show table all",
			"ip -j -6 route show table all", "ip -j rule show")
		return errors.Join(out.err, ctx.Err())
	}
}

func sessions(run Runner) writeFunc {
	return commands(run, "who -a", "w -i", "last -F -w -n 500", "lastb -F -w -n 500", "loginctl list-sessions --no-legend --no-pager",
		"loginctl list-users --no-legend --no-pager")
}

// firewall asks every layer by itself: each shows only a part of what filters.
func firewall(run Runner) writeFunc {
	return commands(run, "ufw status verbose", "ufw status numbered", "nft -a list ruleset", "iptables-save", "ip6tables-save",
		"iptables-legacy-save", "ip6tables-legacy-save")
}

func kernel(r *Root) writeFunc {
	return func(_ context.Context, w io.Writer) error {
		out := newRows(w)
		files(r, out, "proc/version", "proc/cmdline", "proc/uptime", "proc/loadavg", "proc/modules",
			"proc/sys/kernel/tainted", "proc/sys/kernel/random/boot_id", "proc/sys/kernel/hostname")
		return out.err
	}
}

func packages(run Runner) writeFunc {
	return commands(run,
		`dpkg-query -W -f ${Package}\t${Version}\t${Architecture}\t${db:Status-Status}\n`,
		`rpm -qa --qf %{NAME}\t%{VERSION}-%{RELEASE}\t%{ARCH}\t%{INSTALLTIME}\n`,
		"apk info -v")
}

// account is a line of /etc/passwd.
type account struct {
	Record string `json:"record"` // "user"
	Name   Text   `json:"name"`
	UID    uint32 `json:"uid"`
	GID    uint32 `json:"gid"`
	Home   Text   `json:"home"`
	Shell  Text   `json:"shell"`
}

// users lists root and its doubles, people, and whoever has a shell. Accounts from a directory server are not in
// /etc/passwd, and asking for them could hang.
func users(r *Root) writeFunc {
	return func(_ context.Context, w io.Writer) error {
		b, cut, err := readCapped(r, "etc/passwd", 16<<20)
		out := newRows(w)
		for line := range strings.Lines(string(b)) {
			a, ok := parsePasswd(strings.TrimSuffix(line, "\n"))
			switch {
			case !ok:
				out.note("/etc/passwd", "malformed: "+line)
			case a.UID == 0, a.UID >= 1000, hasShell(string(a.Shell)):
				out.put(a)
			}
		}
		if cut {
			out.note("/etc/passwd", "cut at 16 MiB")
		}
		return errors.Join(err, out.err)
	}
}

func parsePasswd(line string) (account, bool) {
	f := strings.Split(line, ":")
	if len(f) != 7 {
		return account{}, false
	}
	uid, err1 := strconv.ParseUint(f[2], 10, 32)
	gid, err2 := strconv.ParseUint(f[3], 10, 32)
	a := account{"user", Text(f[0]), uint32(uid), uint32(gid), Text(f[5]), Text(f[6])}
	return a, err1 == nil && err2 == nil
}

// hasShell says whether a shell lets its user in. An empty one means /bin/sh.
func hasShell(shell string) bool {
	return !strings.HasSuffix(shell, "/nologin") && !strings.HasSuffix(shell, "/false")
}

// clock asks no program: timedatectl would start a service.
func clock(r *Root) writeFunc {
	return func(ctx context.Context, w io.Writer) error {
		out := newRows(w)
		row := ReadClock()
		row.Timezone = Text(timezone(r))
		out.put(row)
		files(r, out, "proc/uptime", "proc/sys/kernel/random/boot_id", "sys/class/rtc/rtc0/since_epoch")
		return out.err
	}
}

// otherArtifacts is what the programs of macOS tell; there is no /proc to read.
func otherArtifacts(run Runner) []Artifact {
	list := []struct{ name, source, what string }{
		{"clock", "kernel", "time"},
		{"processes", "process", "processes"},
		{"openfiles", "process", "open files and sockets"},
		{"network", "network", "sockets, neighbours, routes, addresses"},
		{"sessions", "session", "who is and was logged in"},
		{"mounts", "mount", "mounted file systems"},
		{"firewall", "firewall", "packet filters"},
		{"launchd", "service", "launchd's jobs"},
		{"kernel", "kernel", "kernel and extensions"},
	}
	lines := map[string][]string{
		"clock":     {"date -u", "sysctl kern.boottime"},
		"processes": {"ps -axww -o pid,ppid,pgid,uid,gid,lstart,state,comm", "ps -axww -o pid,args"},
		"openfiles": {"lsof -nP -w"},
		"network":   {"netstat -anv", "netstat -rn", "arp -an", "ifconfig -a"},
		"sessions":  {"who -a", "w -i", "last -500"},
		"mounts":    {"mount"},
		"firewall":  {"pfctl -s all"},
		"launchd":   {"launchctl list"},
		"kernel":    {"uname -a", "sw_vers", "kmutil showloaded"},
	}
	var arts []Artifact
	for _, l := range list {
		arts = append(arts, Artifact{"live/" + l.name + ".jsonl", l.source, l.what, commands(run, lines[l.name]...), 20 * time.Second})
	}
	return arts
}
