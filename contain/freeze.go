package contain

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/product"
	"golang.org/x/sys/unix"
)

// A Ref names one process until the next boot.
type Ref struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start_ticks"` // as in host.Process; on macOS seconds since 1970
	UID   uint32 `json:"uid"`
	Role  string `json:"role"`
	// Name is the process's own short name: its arguments may hold a secret.
	Name host.Text `json:"name"`
}

// Frozen is what was kept from acting, and can be thawed.
type Frozen struct {
	Processes []Ref    `json:"processes"`
	Cgroups   []string `json:"cgroups,omitempty"` // directories whose cgroup.freeze was set
	Passes    int      `json:"passes"`            // over the process table until nothing new was found
	// Gaps says what may still act, one "what: why" each.
	Gaps []string `json:"gaps,omitempty"`

	last map[identity]bool // what the pass before saw
}

type identity struct {
	pid   int
	start uint64
}

const (
	// freezePasses and freezeTime bound the race against a process that forks as fast as it is stopped. A cgroup
	// is frozen at once, so only what left it can run that race.
	freezePasses = 50
	freezeTime   = 2 * time.Second
	// freezePass bounds one pass: while processes are made faster than they are read, a listing has no end.
	freezePass = 300 * time.Millisecond
	// settleTime is how long what was stopped may take to stop.
	settleTime    = 500 * time.Millisecond
	settleWaiting = 50 * time.Millisecond
	settleStep    = time.Millisecond
)

// Freeze keeps the gateway and everything it started from acting: it freezes the cgroups that are OpenClaw's alone, and
// stops each of its processes, until a pass over the process table finds none that is new. Nothing is lost by
// it, and Thaw takes it back. What cannot be stopped is a gap; the error is for a process table that cannot be read.
func (m Machine) Freeze(ctx context.Context) (*Frozen, error) {
	f := &Frozen{Processes: []Ref{}}
	defer hurry()()
	f.freezeKnown(m)
	end := time.Now().Add(freezeTime)
	for f.Passes < freezePasses && time.Now().Before(end) {
		f.Passes++
		again, err := f.pass(ctx, m)
		if err != nil {
			return f, err
		}
		if !again {
			f.settle(m)
			return f, nil
		}
	}
	f.settle(m)
	f.gap("processes", errors.New("new ones appear as fast as they are stopped"))
	return f, nil
}

// pass goes over the process table once, and reports whether another pass may find more.
func (f *Frozen) pass(ctx context.Context, m Machine) (again bool, err error) {
	limited, cancel := context.WithTimeout(ctx, freezePass)
	defer cancel()
	table, err := m.Processes(limited)
	found := f.stop(m, actors(table.Processes, nil))
	found = f.moved(table) || found
	if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return true, nil
	}
	return found, err
}

// settle waits until what was stopped has stopped: what is in a system call finishes that first, such as one last write. What
// waits in one, for a disk or for a child that is stopped itself, may do so for ever, and is not waited for that long.
func (f *Frozen) settle(m Machine) {
	begun := time.Now()
	for _, r := range f.Processes {
		for {
			start, state, err := m.alive(r.PID)
			waits := state == "D" && time.Since(begun) < settleWaiting
			if err != nil || start != r.Start || state != "R" && !waits {
				break
			}
			if time.Since(begun) > settleTime {
				f.gap(fmt.Sprintf("process %d (%s)", r.PID, r.Role), errors.New("has not stopped yet: it is in a system call"))
				break
			}
			time.Sleep(settleStep)
		}
	}
}

// moved reports whether a process could have been missed: one that ended while it was read, or that is new since the pass
// before and belongs to a user of what is frozen, may have left a child that no pass has seen yet.
func (f *Frozen) moved(table host.ProcessTable) bool {
	users := map[uint32]bool{}
	for _, r := range f.Processes {
		users[r.UID] = true
	}
	now, moved := make(map[identity]bool, len(table.Processes)), table.Vanished > 0
	for _, p := range table.Processes {
		id := identity{p.PID, p.Start}
		now[id] = true
		moved = moved || users[p.UID] && !f.last[id]
	}
	f.last = now
	return moved && len(f.Processes) > 0
}

// freezeKnown freezes the cgroups of OpenClaw's units before anything is read: from then on what is in them forks no more.
func (f *Frozen) freezeKnown(m Machine) {
	mount := CgroupMount(m.Root)
	if mount == "" {
		return
	}
	dirs := []string{path.Join(mount, "system.slice")}
	for _, user := range m.subdirs(path.Join(mount, "user.slice")) {
		for _, manager := range m.subdirs(user) {
			dirs = append(dirs, manager, path.Join(manager, "app.slice"))
		}
	}
	for _, dir := range dirs {
		for _, unit := range m.subdirs(dir) {
			if name := path.Base(unit); path.Ext(name) == ".service" && product.Mentions(name) {
				f.freezeDir(m, unit)
			}
		}
	}
}

func (m Machine) subdirs(dir string) (list []string) {
	entries, _ := fs.ReadDir(m.Root, dir[1:])
	for _, e := range entries {
		if e.IsDir() {
			list = append(list, path.Join(dir, e.Name()))
		}
	}
	return list
}

// hurry gives our threads what processor there is, which a storm of processes would take, and returns what gives it back.
// Without root's rights it does nothing.
func hurry() (rest func()) {
	const first = -20
	before, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return func() {}
	}
	set := func(nice int) {
		tasks, _ := os.ReadDir("/proc/self/task")
		for _, t := range tasks {
			if tid, err := strconv.Atoi(t.Name()); err == nil {
				_ = unix.Setpriority(unix.PRIO_PROCESS, tid, nice)
			}
		}
	}
	set(first)
	return func() { set(20 - before) } // the system call returns 20 minus it
}

// stop stops what is not stopped yet and reports whether there was any.
func (f *Frozen) stop(m Machine, list []host.Process) (found bool) {
	for _, p := range list {
		if f.has(p) {
			continue
		}
		found = true
		f.freezeCgroup(m, p)
		ref := refOf(p)
		f.Processes = append(f.Processes, ref)
		if err := m.signal(ref, unix.SIGSTOP); err != nil && !errors.Is(err, fs.ErrNotExist) {
			f.gap(fmt.Sprintf("process %d (%s)", p.PID, p.Role), err)
		}
	}
	return found
}

func (f *Frozen) has(p host.Process) bool {
	return slices.ContainsFunc(f.Processes, func(r Ref) bool { return r.PID == p.PID && r.Start == p.Start })
}

func (f *Frozen) gap(what string, err error) {
	if text := what + ": " + err.Error(); !slices.Contains(f.Gaps, text) {
		f.Gaps = append(f.Gaps, text)
	}
}

func refOf(p host.Process) Ref {
	return Ref{PID: p.PID, Start: p.Start, UID: p.UID, Role: p.Role, Name: p.Comm}
}

// actors are the processes that act for OpenClaw, and those that also says so of. We ourselves are none, nor is what
// started us if it only inherited the agent's environment, or is a shell or the like by whatever name the agent's start-up files gave it: the
// responder sits there. A zombie acts no more.
func actors(list []host.Process, also func(host.Process) bool) []host.Process {
	up := ancestors(list)
	inherited := []string{host.RoleExec, host.RoleService, host.RoleUnit, host.RoleDescendant}
	var found []host.Process
	for _, p := range list {
		acts := p.Role != "" || also != nil && also(p)
		spared := p.PID == 1 || p.PID == os.Getpid() || up[p.PID] && (slices.Contains(inherited, p.Role) || isSeat(p))
		if acts && !spared && p.State != "Z" && p.State != "X" {
			found = append(found, p)
		}
	}
	return found
}

// seats are the programs that a responder sits at or came in by. They run nothing of OpenClaw's themselves.
var seats = []string{"sh", "bash", "dash", "zsh", "fish", "ksh", "busybox", "tmux", "screen", "mosh-server", "sudo", "su", "doas", "login", "sshd", "sshd-session", "dropbear"}

// isSeat knows a program by its file, as the kernel tells.
func isSeat(p host.Process) bool {
	return slices.Contains(seats, path.Base(strings.TrimSuffix(string(p.Exe), " (deleted)")))
}

// freezeCgroup freezes the cgroup of version 2 that a process is in, if OpenClaw's unit or a container is alone in it.
// What it forks from then on is born frozen.
func (f *Frozen) freezeCgroup(m Machine, p host.Process) {
	if dir, ok := ownCgroup(m.Root, p); ok {
		f.freezeDir(m, dir)
	}
}

func (f *Frozen) freezeDir(m Machine, dir string) {
	if slices.Contains(f.Cgroups, dir) {
		return
	}
	if err := m.writeCgroup(dir, "1"); err == nil {
		f.Cgroups = append(f.Cgroups, dir)
	} else if !errors.Is(err, fs.ErrNotExist) { // cgroup.freeze came with Linux 5.2
		f.gap("cgroup "+dir, err)
	}
}

func (m Machine) writeCgroup(dir, value string) error {
	file, err := os.OpenFile(path.Join(m.Root.Dir(), dir, "cgroup.freeze"), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(value)
	return errors.Join(err, file.Close())
}

// ownCgroup returns the directory of a process's cgroup if everything in it belongs to OpenClaw, which its name tells.
// A session's cgroup holds the responder's own shell as well.
func ownCgroup(r *host.Root, p host.Process) (dir string, ok bool) {
	for line := range strings.Lines(string(p.Cgroup)) {
		cgroup, isV2 := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::")
		if !isV2 || strings.Contains(cgroup, "..") {
			continue
		}
		last := path.Base(cgroup)
		_, inContainer := containerOf(p)
		if strings.HasSuffix(last, ".service") && product.Mentions(last) || inContainer && p.Role != host.RoleDescendant {
			if mount := CgroupMount(r); mount != "" {
				return path.Join(mount, cgroup), true
			}
		}
	}
	return "", false
}

// rests says whether a process is stopped, or its cgroup of version 2 frozen, as the kernel tells.
func (m Machine) rests(p host.Process) bool {
	if p.State == "T" || p.State == "t" {
		return true
	}
	mount := CgroupMount(m.Root)
	for line := range strings.Lines(string(p.Cgroup)) {
		cgroup, isV2 := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::")
		if !isV2 || mount == "" || strings.Contains(cgroup, "..") {
			continue
		}
		events, _ := fs.ReadFile(m.Root, path.Join(mount, cgroup, "cgroup.events")[1:])
		return strings.Contains("\n"+string(events), "\nfrozen 1\n")
	}
	return false
}

// CgroupMount is where the hierarchy of version 2 is mounted, "" if it is not.
func CgroupMount(r *host.Root) string {
	for _, dir := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		if _, err := r.Stat(dir[1:] + "/cgroup.controllers"); err == nil {
			return dir
		}
	}
	return ""
}

// containerOf returns the id of the container that a process runs in, told from its cgroup.
func containerOf(p host.Process) (id string, ok bool) {
	for part := range strings.FieldsFuncSeq(string(p.Cgroup), func(c rune) bool { return c == '/' || c == '\n' }) {
		part = strings.TrimSuffix(part, ".scope")
		for _, prefix := range []string{"docker-", "libpod-", ""} {
			if id, cut := strings.CutPrefix(part, prefix); cut && len(id) == 64 && strings.Trim(id, "0123456789abcdef") == "" {
				return id, true
			}
		}
	}
	return "", false
}

// Thaw lets go on what is frozen: what f names, and whatever else of OpenClaw's is stopped, such as by a run of ours that
// was killed before it could note what it froze.
func (m Machine) Thaw(ctx context.Context, f *Frozen) error {
	var errs []error
	for _, dir := range f.Cgroups {
		if err := m.writeCgroup(dir, "0"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("thawing cgroup %q: %w", dir, err))
		}
	}
	table, err := m.Processes(ctx)
	errs = append(errs, err)
	for _, p := range actors(table.Processes, f.has) {
		ref := refOf(p)
		if err := m.signal(ref, unix.SIGCONT); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("thawing process %d: %w", p.PID, err))
		}
	}
	return errors.Join(errs...)
}

// isAlive says whether a process still runs. A zombie does not: it only waits for its parent to look.
func (m Machine) isAlive(ref Ref) bool {
	start, state, err := m.alive(ref.PID)
	return err == nil && start == ref.Start && state != "Z" && state != "X"
}

func (r Ref) String() string { return r.Role + " " + strconv.Itoa(r.PID) }
