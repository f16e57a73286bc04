package host

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Process is one process as /proc shows it.
type Process struct {
	Record  string    `json:"record"` // "process"
	PID     int       `json:"pid"`
	PPID    int       `json:"ppid"`
	PGID    int       `json:"pgid"`
	SID     int       `json:"sid"`
	State   string    `json:"state"`       // one letter, as in proc_pid_stat(5)
	Start   uint64    `json:"start_ticks"` // field 22: with the PID it names one process until the next boot
	Started time.Time `json:"started"`     // Start as a time, exact to the clock tick and the boot time's second
	UID     uint32    `json:"uid"`
	EUID    uint32    `json:"euid"`
	GID     uint32    `json:"gid"`
	EGID    uint32    `json:"egid"`

	Comm          Text   `json:"comm"`
	Argv          []Text `json:"argv"`
	ArgvTruncated bool   `json:"argv_truncated,omitempty"`
	Cwd           Text   `json:"cwd,omitempty"`
	Exe           Text   `json:"exe,omitempty"` // empty for a kernel thread or zombie
	ExeDeleted    bool   `json:"exe_deleted,omitempty"`
	ExeSHA256     string `json:"exe_sha256,omitempty"` // set in the snapshot, not by Processes
	Cgroup        Text   `json:"cgroup,omitempty"`

	Env  []EnvMark `json:"env,omitempty"`
	Role string    `json:"role,omitempty"` // what it is to OpenClaw, "" if nothing: the Role constants
	Why  Text      `json:"why,omitempty"`  // what the Role was told from

	// Gaps says what could not be read, one "what: why" each.
	Gaps []Text `json:"gaps,omitempty"`
}

// EnvMark is a variable of OpenClaw in a process's environment. Value is only filled in for those that hold
// no secret.
type EnvMark struct {
	Name  Text `json:"name"`
	Value Text `json:"value,omitempty"`
}

// ProcessTable is one reading of /proc.
type ProcessTable struct {
	Processes []Process // by rising PID
	Vanished  int       // ended while they were read
	stuck     int32
}

const (
	argvLimit    = 64 << 10 // kept of one process's arguments
	argvBudget   = 64 << 20 // kept of all: a fork bomb with long arguments must not exhaust our memory
	argvBeyond   = 256      // kept of one process's arguments when the budget is spent
	environLimit = 1 << 20  // searched for marks
	stuckLimit   = 8        // reads that never return cost a thread each
)

// Processes reads the process table. What cannot be read of a process is a gap in it; the error is only for
// a /proc that cannot be read at all, or the context's: what was read until then is returned with it.
func Processes(ctx context.Context, r *Root) (ProcessTable, error) {
	var t ProcessTable
	err := t.list(ctx, r)
	slices.SortFunc(t.Processes, func(a, b Process) int { return a.PID - b.PID })
	assignRoles(r, t.Processes)
	if err != nil {
		return t, fmt.Errorf("listing processes: %w", err)
	}
	return t, nil
}

// list reads every process, on all processors: freezing waits for it.
func (t *ProcessTable) list(ctx context.Context, r *Root) error {
	var pids []int
	for e, err := range r.ReadDirIter("proc") {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			t.readAll(ctx, r, pids)
			return err
		}
		if pid, err := strconv.Atoi(e.Name()); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	t.readAll(ctx, r, pids)
	return ctx.Err()
}

func (t *ProcessTable) readAll(ctx context.Context, r *Root, pids []int) {
	boot := BootTime(r)
	var budget atomic.Int64
	budget.Store(argvBudget)
	var next atomic.Int64
	var mu sync.Mutex
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(pids)) && ctx.Err() == nil; i = next.Add(1) - 1 {
				limit := argvLimit
				if budget.Load() <= 0 {
					limit = argvBeyond
				}
				p, ok := t.read(ctx, r, pids[i], limit)
				for _, a := range p.Argv {
					budget.Add(-int64(len(a)))
				}
				p.Started = boot.Add(time.Duration(p.Start) * (time.Second / 100)).UTC() // USER_HZ is 100 everywhere
				mu.Lock()
				if ok {
					t.Processes = append(t.Processes, p)
				} else {
					t.Vanished++
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
}

// BootTime is when the machine was started, the zero time if its /proc/stat does not tell.
func BootTime(r *Root) time.Time {
	b, _, _ := readCapped(r, "proc/stat", 4<<20)
	for line := range strings.Lines(string(b)) {
		if s, ok := strings.CutPrefix(line, "btime "); ok {
			if n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64); err == nil {
				return time.Unix(n, 0)
			}
		}
	}
	return time.Time{}
}

// read reads one process; it isn't ok if that had ended before anything was known of it.
func (t *ProcessTable) read(ctx context.Context, r *Root, pid, limit int) (p Process, ok bool) {
	dir := "proc/" + strconv.Itoa(pid) + "/"
	p = Process{Record: "process", PID: pid, Argv: []Text{}}
	b, _, err := readCapped(r, dir+"stat", 4096)
	if gone(err) {
		return p, false
	}
	if err == nil {
		err = p.parseStat(b)
	}
	p.gap("stat", err)
	b, _, err = readCapped(r, dir+"status", 64<<10)
	if err == nil {
		err = p.parseIDs(b)
	}
	p.gap("status", err)
	b, _, err = readCapped(r, dir+"cgroup", 16<<10)
	p.Cgroup = Text(bytes.TrimSuffix(b, []byte("\n")))
	if !errors.Is(err, fs.ErrNotExist) { // a kernel without cgroups
		p.gap("cgroup", err)
	}
	p.Cwd = p.link(r, dir, "cwd")
	p.Exe = p.link(r, dir, "exe")
	p.ExeDeleted = strings.HasSuffix(string(p.Exe), " (deleted)")
	t.readMemory(ctx, r, dir, limit, &p)
	return p, true
}

// readMemory reads what lies in the process's own memory. A process can put that on a file system that never
// answers, which blocks the reader as it blocks ps(1); hence the time limit.
func (t *ProcessTable) readMemory(ctx context.Context, r *Root, dir string, limit int, p *Process) {
	if atomic.LoadInt32(&t.stuck) >= stuckLimit {
		p.gap("cmdline, environ", errors.New("not tried: too many processes don't let theirs be read"))
		return
	}
	type memory struct {
		argv            []Text
		env             []EnvMark
		argvCut, envCut bool
		argvErr, envErr error
	}
	m, err := within(ctx, 500*time.Millisecond, func(context.Context) (m memory, _ error) {
		var b []byte
		b, m.argvCut, m.argvErr = readCapped(r, dir+"cmdline", limit)
		m.argv = splitArgv(b)
		b, m.envCut, m.envErr = readCapped(r, dir+"environ", environLimit)
		m.env = envMarks(b)
		return m, nil
	})
	if err != nil {
		atomic.AddInt32(&t.stuck, 1)
		p.gap("cmdline, environ", err)
		return
	}
	p.Argv, p.ArgvTruncated, p.Env = m.argv, m.argvCut, m.env
	p.gap("cmdline", m.argvErr)
	p.gap("environ", m.envErr)
	if m.envCut {
		p.gap("environ", fmt.Errorf("searched the first %d bytes only", environLimit))
	}
}

// gap notes an error. That a process ended meanwhile is noted as well: the rest of its row is what was seen.
func (p *Process) gap(what string, err error) {
	if err == nil {
		return
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	p.Gaps = append(p.Gaps, Text(what+": "+err.Error()))
}

// link reads a link of the process's directory. A kernel thread's lead nowhere, and neither do a zombie's.
func (p *Process) link(r *Root, dir, name string) Text {
	s, err := r.ReadLink(dir + name)
	if !errors.Is(err, fs.ErrNotExist) {
		p.gap(name, err)
	}
	return Text(s)
}

// parseStat reads proc_pid_stat(5). The name is between the first "(" and the last ")": it may hold both.
func (p *Process) parseStat(b []byte) error {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < open {
		return errors.New("no name in parentheses")
	}
	p.Comm = Text(b[open+1 : end])
	f := strings.Fields(string(b[end+1:])) // f[0] is field 3
	if len(f) < 20 {
		return fmt.Errorf("%d fields after the name, want 20 or more", len(f))
	}
	p.State = f[0]
	for i, to := range []*int{&p.PPID, &p.PGID, &p.SID} {
		n, err := strconv.Atoi(f[i+1])
		if err != nil {
			return fmt.Errorf("field %d: %w", i+4, err)
		}
		*to = n
	}
	n, err := strconv.ParseUint(f[19], 10, 64)
	if err != nil {
		return fmt.Errorf("field 22: %w", err)
	}
	p.Start = n
	return nil
}

func (p *Process) parseIDs(b []byte) error {
	for line := range strings.Lines(string(b)) {
		var real, eff *uint32
		f := strings.Fields(line)
		switch {
		case len(f) < 3:
			continue
		case f[0] == "Uid:":
			real, eff = &p.UID, &p.EUID
		case f[0] == "Gid:":
			real, eff = &p.GID, &p.EGID
		default:
			continue
		}
		for i, to := range []*uint32{real, eff} {
			n, err := strconv.ParseUint(f[i+1], 10, 32)
			if err != nil {
				return fmt.Errorf("%s %w", f[0], err)
			}
			*to = uint32(n)
		}
	}
	return nil
}

// splitArgv splits /proc/PID/cmdline. A program that renamed itself leaves NULs up to the end of the old arguments.
func splitArgv(b []byte) []Text {
	if len(b) == 0 {
		return []Text{}
	}
	if first, rest, _ := strings.Cut(string(b), "\x00"); strings.Trim(rest, "\x00") == "" {
		return []Text{Text(first)}
	}
	return texts(strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00"))
}

// gone says whether an error means that the process has ended.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH)
}

// fd is one open file of a process.
type fd struct {
	Record  string `json:"record"` // "fd"
	PID     int    `json:"pid"`
	FD      Text   `json:"fd"`
	Target  Text   `json:"target"`
	Deleted bool   `json:"deleted,omitempty"` // told from the text: a file may be named like that
}

// openFiles lists a process's open files by the text of their links, which asks no file system.
func openFiles(r *Root, pid int) iter.Seq2[fd, error] {
	return func(yield func(fd, error) bool) {
		dir := "proc/" + strconv.Itoa(pid) + "/fd"
		for e, err := range r.ReadDirIter(dir) {
			if err != nil {
				yield(fd{}, err)
				return
			}
			target, err := r.ReadLink(dir + "/" + e.Name())
			if gone(err) {
				continue // closed since it was listed
			}
			row := fd{"fd", pid, Text(e.Name()), Text(target), strings.HasSuffix(target, " (deleted)")}
			if !yield(row, err) {
				return
			}
		}
	}
}

// hashExes digests what the processes run, each file once.
func hashExes(ctx context.Context, r *Root, t *ProcessTable, limit int64) {
	type done struct {
		sum string
		err error
	}
	seen := make(map[fileKey]done)
	for i := range t.Processes {
		p := &t.Processes[i]
		if p.Exe == "" {
			continue
		}
		if atomic.LoadInt32(&t.stuck) >= stuckLimit {
			p.gap("exe", errors.New("not tried: too many programs don't let themselves be read"))
			continue
		}
		f, m, err := openExe(ctx, r, p.PID)
		if gone(err) {
			continue // it ended; its row is a little older than this
		}
		if errors.Is(err, context.DeadlineExceeded) {
			atomic.AddInt32(&t.stuck, 1)
		}
		if err != nil {
			p.gap("exe", err)
			continue
		}
		key := fileKey{m.Dev, m.Inode, m.Size, m.Mtime, m.Ctime}
		d, ok := seen[key]
		if !ok {
			d.sum, d.err = within(ctx, 5*time.Second, func(ctx context.Context) (string, error) {
				defer f.Close()
				return hashFile(ctx, f, limit)
			})
			seen[key] = d
		} else {
			f.Close()
		}
		p.ExeSHA256 = d.sum
		p.ExeDeleted = p.ExeDeleted || m.Nlink == 0
		p.gap("exe", d.err)
	}
}

// openExe opens what a process runs. Its file system may never answer.
func openExe(ctx context.Context, r *Root, pid int) (*os.File, FileMeta, error) {
	type exe struct {
		f *os.File
		m FileMeta
	}
	x, err := within(ctx, time.Second, func(context.Context) (x exe, err error) {
		if x.f, err = r.openMagic("proc/" + strconv.Itoa(pid) + "/exe"); err != nil {
			return x, err
		}
		fi, err := x.f.Stat()
		if err == nil {
			x.m = Meta(fi)
		}
		return x, err
	})
	return x.f, x.m, err
}

func hashFile(ctx context.Context, f *os.File, limit int64) (string, error) {
	h := sha256.New()
	buf := make([]byte, 1<<20)
	for total := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		n, err := f.Read(buf)
		h.Write(buf[:n])
		if total += int64(n); total > limit {
			return "", fmt.Errorf("larger than %d bytes", limit)
		}
		if isEOF(err) {
			return hex.EncodeToString(h.Sum(nil)), nil
		}
		if err != nil {
			return "", err
		}
	}
}

// readCapped reads up to limit bytes and says whether there were more.
func readCapped(r *Root, name string, limit int) (b []byte, cut bool, err error) {
	f, err := r.open(name, true)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	b, err = io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if len(b) > limit {
		return b[:limit], true, err
	}
	return b, false, err
}

// within gives a call a time limit. A call that a dead file system holds goes on holding its thread.
func within[T any](ctx context.Context, limit time.Duration, do func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	type result struct {
		v   T
		err error
	}
	ch := make(chan result, 1)
	go func() {
		v, err := do(ctx)
		ch <- result{v, err}
	}()
	select {
	case res := <-ch:
		return res.v, res.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// Alive reads what tells a process from a later one with its number: its start, in ticks since boot, and its state
// (proc_pid_stat(5)). The error of one that has ended is [fs.ErrNotExist].
func Alive(r *Root, pid int) (start uint64, state string, err error) {
	b, _, err := readCapped(r, "proc/"+strconv.Itoa(pid)+"/stat", 4096)
	if gone(err) {
		return 0, "", fs.ErrNotExist
	}
	if err != nil {
		return 0, "", err
	}
	var p Process
	err = p.parseStat(b)
	return p.Start, p.State, err
}
