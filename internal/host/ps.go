package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxWords bounds how many arguments of one process are kept.
const maxWords = 4096

// ProcessesOfMac reads the process table of macOS, which has no /proc, from ps(1). Start is in seconds since 1970. Argv is an
// approximation: ps puts spaces between arguments and does not mark those within. So are the marks in Env, which are only those
// that macOS shows: it hides the environment of its own programs, such as /bin/bash.
func ProcessesOfMac(ctx context.Context, r *Root, run Runner) (ProcessTable, error) {
	var t ProcessTable
	args := map[int]string{}
	budget := argvBudget
	err := runPS(ctx, run, argvLimit, func(line string) {
		p, rest, ok := parsePS(line)
		if !ok {
			return
		}
		p.ArgvTruncated = len(line) == argvLimit
		if budget -= len(rest); budget <= 0 && len(rest) > argvBeyond {
			rest, p.ArgvTruncated = rest[:argvBeyond], true
		}
		args[p.PID] = rest
		p.setArgs(rest)
		t.Processes = append(t.Processes, p)
	}, "-axww", "-o", "pid=,ppid=,pgid=,uid=,state=,lstart=,args=")
	if err == nil && len(t.Processes) == 0 {
		err = errors.New("ps shows none")
	}
	if err != nil {
		return t, fmt.Errorf("listing processes: %w", err)
	}
	slices.SortFunc(t.Processes, func(a, b Process) int { return a.PID - b.PID })
	err = runPS(ctx, run, environLimit, func(line string) {
		first, rest := word(line)
		pid, _ := strconv.Atoi(first)
		i, ok := slices.BinarySearchFunc(t.Processes, pid, func(p Process, pid int) int { return p.PID - pid })
		if !ok || t.Processes[i].ArgvTruncated {
			return
		}
		// The environment follows the arguments. What a process has as an argument is no mark.
		if env, ok := strings.CutPrefix(strings.TrimLeft(rest, " "), args[pid]+" "); ok {
			t.Processes[i].Env = envMarks([]byte(strings.ReplaceAll(env, " ", "\x00")))
		}
	}, "-axwwE", "-o", "pid=,args=")
	if err != nil {
		for i := range t.Processes {
			t.Processes[i].gap("environ", err)
		}
	}
	assignRoles(r, t.Processes)
	return t, ctx.Err()
}

// AliveOfMac is [Alive] for macOS: start is in seconds since 1970.
func AliveOfMac(ctx context.Context, run Runner, pid int) (start uint64, state string, err error) {
	err = fs.ErrNotExist
	rerr := runPS(ctx, run, argvLimit, func(line string) {
		first, rest := word(line)
		begun, _, ok := parseStart(rest)
		if err = nil; !ok || first == "" {
			err = fmt.Errorf("ps shows %.100q for a process", line)
			return
		}
		start, state = uint64(begun.Unix()), first[:1]
	}, "-o", "state=,lstart=", "-p", strconv.Itoa(pid))
	if rerr != nil && !(errors.Is(err, fs.ErrNotExist) && errors.Is(rerr, errPSFailed)) { // it exits with 1 if there is none
		err = rerr
	}
	return start, state, err
}

var errPSFailed = errors.New("ps failed")

// runPS passes on the lines that ps prints, each cut at limit bytes. In UTC no hour of the clock comes twice.
func runPS(ctx context.Context, run Runner, limit int, each func(string), args ...string) error {
	out := &lineWriter{limit: limit, each: each}
	res := run.Run(ctx, Command{Argv: append([]string{"ps"}, args...), Env: []string{"TZ=UTC"}, MaxOutput: 1 << 30, Stdout: out})
	switch {
	case res.Err != nil:
		return res.Err
	case res.ExitCode != 0:
		return fmt.Errorf("%w: exit code %d", errPSFailed, res.ExitCode)
	case res.Truncated > 0:
		return errors.New("ps printed more than 1 GiB")
	}
	return nil
}

// parsePS reads a line of ps up to the arguments, which it returns as they are.
func parsePS(line string) (p Process, args string, ok bool) {
	p.Record = "process"
	var n [4]int64
	for i := range n {
		var s string
		s, line = word(line)
		v, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return p, "", false
		}
		n[i] = v
	}
	p.PID, p.PPID, p.PGID = int(n[0]), int(n[1]), int(n[2])
	p.UID, p.EUID = uint32(n[3]), uint32(n[3]) // ps shows the effective one
	p.State, line = word(line)
	p.State = p.State[:min(1, len(p.State))] // what follows says no more than "in the foreground" and such
	p.Started, args, ok = parseStart(line)
	p.Start = uint64(p.Started.Unix())
	return p, strings.TrimLeft(args, " "), ok && p.PID > 0 && p.State != ""
}

// parseStart reads lstart, such as "Sun Nov 22 23:35:33 2026".
func parseStart(line string) (begun time.Time, rest string, ok bool) {
	var w [5]string
	for i := range w {
		w[i], line = word(line)
	}
	begun, err := time.Parse("Jan 2 15:04:05 2006", strings.Join(w[1:], " "))
	return begun, line, err == nil
}

func (p *Process) setArgs(args string) {
	words := strings.Fields(args)
	if len(words) > maxWords {
		words, p.ArgvTruncated = words[:maxWords], true
	}
	if p.Argv = texts(words); len(words) > 0 {
		p.Comm = Text(path.Base(words[0]))
	}
}

// word returns the first word of a line, and what follows it.
func word(line string) (first, rest string) {
	first, rest, _ = strings.Cut(strings.TrimLeft(line, " "), " ")
	return first, rest
}

// A lineWriter passes on the lines that are written to it, without more of each than limit bytes.
type lineWriter struct {
	limit int
	each  func(string)
	buf   []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		part, rest, whole := bytes.Cut(p, []byte("\n"))
		w.buf = append(w.buf, part[:min(len(part), w.limit-len(w.buf))]...)
		if p = rest; whole {
			w.each(string(w.buf))
			w.buf = w.buf[:0]
		}
	}
	return n, nil
}
