package host

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrNotTrusted says that someone else than root could have replaced a program.
var ErrNotTrusted = errors.New("not trusted")

// Command is a program to run. A secret belongs neither in Argv nor in Env: every process of the machine can
// read the one, and the custody log records both.
type Command struct {
	Argv      []string      // Argv[0] is a bare name, such as "ufw", or the absolute path of a program that root named
	Env       []string      // added to the clean environment, as "NAME=value"
	Stdin     []byte        // what it reads from standard input, which is empty without
	As        *Owner        // another user to run as, nil for ours; only root can
	Timeout   time.Duration // 10 s if zero
	MaxOutput int64         // bytes kept of each of stdout and stderr, 8 MiB if zero
	Stdout    io.Writer     // gets stdout as it comes, instead of the Result
}

// Owner is a user and the user's group.
type Owner struct{ UID, GID uint32 }

// Result is what a Command did.
type Result struct {
	Argv           []string
	Path           string // the file that ran, links resolved
	SHA256         string // of that file, hex
	Start, End     time.Time
	ExitCode       int // -1 if it did not run or a signal ended it
	Stdout, Stderr []byte
	Truncated      int64 // bytes of output beyond the cap
	// Err says why there is no exit code: not found, [ErrNotTrusted], or [context.DeadlineExceeded].
	// A program that ran and exited with a status other than 0 is no error.
	Err error
}

// OK says whether the program ran and exited with status 0.
func (r Result) OK() bool { return r.Err == nil && r.ExitCode == 0 }

// MarshalJSON writes the row that shows a reader of the bundle exactly what ran.
func (r Result) MarshalJSON() ([]byte, error) {
	row := struct {
		Record    string    `json:"record"`
		Argv      []Text    `json:"argv"`
		Path      string    `json:"path,omitempty"`
		SHA256    string    `json:"sha256,omitempty"`
		Start     time.Time `json:"start"`
		End       time.Time `json:"end"`
		Exit      int       `json:"exit"`
		Stdout    Text      `json:"stdout"`
		Stderr    Text      `json:"stderr"`
		Truncated int64     `json:"truncated,omitempty"`
		Err       Text      `json:"error,omitempty"`
	}{
		"command", texts(r.Argv), r.Path, r.SHA256, r.Start, r.End, r.ExitCode,
		Text(r.Stdout), Text(r.Stderr), r.Truncated, "",
	}
	if r.Err != nil {
		row.Err = Text(r.Err.Error())
	}
	return json.Marshal(row)
}

// Runner runs programs of the host. [Trusted] is the real one.
type Runner interface {
	Run(ctx context.Context, c Command) Result
}

// Trusted runs programs from /usr/sbin, /usr/bin, /sbin and /bin, or where an absolute path says, and only if root alone could have
// written the file, its interpreter and every directory on the way to them. The caller's environment
// plays no part. It is safe for concurrent use.
type Trusted struct {
	root *Root
	dirs []string

	mu   sync.Mutex
	sums map[fileKey]string
}

// fileKey changes when a file does.
type fileKey struct {
	dev, ino     uint64
	size         int64
	mtime, ctime time.Time
}

// NewTrusted returns a Runner for this machine.
func NewTrusted() (*Trusted, error) {
	root, err := OpenRoot("/")
	if err != nil {
		return nil, err
	}
	return &Trusted{root: root, dirs: []string{"/usr/sbin", "/usr/bin", "/sbin", "/bin"}, sums: map[fileKey]string{}}, nil
}

// Run runs a command to its end, its timeout or the context's, with no shell, no terminal and "/" as its directory. At a timeout
// the whole process group is killed. It always returns the Result, also of what could not run.
func (t *Trusted) Run(ctx context.Context, c Command) (res Result) {
	res = Result{Argv: c.Argv, ExitCode: -1, Start: time.Now().UTC()}
	defer func() { res.End = time.Now().UTC() }()
	if len(c.Argv) == 0 {
		res.Err = errors.New("no program named")
		return res
	}
	if res.Path, res.SHA256, res.Err = t.Find(c.Argv[0]); res.Err == nil {
		t.run(ctx, c, &res)
	}
	return res
}

func (t *Trusted) run(ctx context.Context, c Command, res *Result) {
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	out := newCapped(c.MaxOutput, c.Stdout)
	errOut := newCapped(c.MaxOutput, nil)
	cmd := exec.CommandContext(ctx, res.Path)
	cmd.Args = c.Argv // a program of many names goes by the name it was called
	cmd.Dir = "/"
	cmd.Env = t.env(c.Env)
	cmd.Stdout, cmd.Stderr = out, errOut
	if c.Stdin != nil {
		cmd.Stdin = bytes.NewReader(c.Stdin)
	}
	// A session of its own: a group to kill, and no terminal for the program to type into.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if c.As != nil && int(c.As.UID) != os.Geteuid() {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: c.As.UID, Gid: c.As.GID}
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second // a grandchild that left the group may hold the pipes open
	err := cmd.Run()
	res.Stdout, res.Stderr = out.buf, errOut.buf
	res.Truncated = out.over + errOut.over
	if cmd.ProcessState != nil {
		res.ExitCode = cmd.ProcessState.ExitCode()
	}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil && (err != nil || res.ExitCode != 0):
		res.Err = fmt.Errorf("running %q: %w", c.Argv[0], ctx.Err())
	case out.err != nil:
		res.Err = fmt.Errorf("writing what %q printed: %w", c.Argv[0], out.err)
	case err != nil && !(errors.As(err, &exit) && exit.Exited()):
		res.Err = fmt.Errorf("running %q: %w", c.Argv[0], err)
	}
}

// Start starts a command that goes on by itself, such as a program of the desktop, and does not wait for it. Its output is lost.
func (t *Trusted) Start(c Command) error {
	file, _, err := t.Find(c.Argv[0])
	if err != nil {
		return err
	}
	cmd := exec.Command(file)
	cmd.Args, cmd.Dir, cmd.Env = c.Argv, "/", t.env(c.Env)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %q: %w", c.Argv[0], err)
	}
	return cmd.Process.Release()
}

// env holds what decides where a program looks and how it prints. The Python ones keep ufw from writing
// caches and from importing what lies in a home.
func (t *Trusted) env(extra []string) []string {
	env := []string{
		"PATH=" + strings.Join(t.dirs, ":"), "LC_ALL=C.UTF-8", "HOME=/",
		"PYTHONDONTWRITEBYTECODE=1", "PYTHONNOUSERSITE=1",
	}
	return append(env, extra...)
}

// Find returns the file that would run for a bare program name, or an absolute path, and its SHA-256. The error wraps
// [exec.ErrNotFound] or [ErrNotTrusted].
func (t *Trusted) Find(name string) (path, sum string, err error) {
	if strings.HasPrefix(name, "/") && !strings.Contains(name, "\x00") {
		path, sum, err := t.check(name)
		if errors.Is(err, fs.ErrNotExist) {
			err = exec.ErrNotFound
		}
		if err != nil {
			return "", "", fmt.Errorf("finding program %q: %w", name, err)
		}
		return path, sum, nil
	}
	if name == "" || strings.ContainsAny(name, "/\x00") || name == "." || name == ".." {
		return "", "", fmt.Errorf("finding program %q: not a bare name", name)
	}
	for _, dir := range t.dirs {
		full := dir + "/" + name
		if _, err := t.root.Lstat(full[1:]); err != nil {
			continue
		}
		path, sum, err := t.check(full)
		if err != nil {
			return "", "", fmt.Errorf("finding program %q: %w", name, err)
		}
		return path, sum, nil
	}
	return "", "", fmt.Errorf("finding program %q: %w", name, exec.ErrNotFound)
}

// check resolves and digests a program, and its interpreter if it is a script.
func (t *Trusted) check(path string) (real, sum string, err error) {
	real, sum, head, err := t.open(path)
	if err != nil {
		return "", "", err
	}
	if line, ok := strings.CutPrefix(head, "#!"); ok {
		line, _, _ = strings.Cut(line, "\n")
		words := strings.Fields(line)
		if len(words) == 0 || words[0][0] != '/' {
			return "", "", fmt.Errorf("%q: %w: odd interpreter", path, ErrNotTrusted)
		}
		if _, _, _, err := t.open(words[0]); err != nil {
			return "", "", err
		}
	}
	return real, sum, nil
}

func (t *Trusted) open(path string) (real, sum, head string, err error) {
	p, err := t.root.findSeeing("open", strings.TrimPrefix(path, "/"), true, onlyRoot)
	if err != nil {
		return "", "", "", err
	}
	defer p.close()
	if p.stat.Mode&unix.S_IFMT != unix.S_IFREG || p.stat.Mode&0o111 == 0 {
		return "", "", "", fmt.Errorf("%q: %w: not an executable file", path, ErrNotTrusted)
	}
	fd, err := p.open()
	if err != nil {
		return "", "", "", fmt.Errorf("%q: %w", path, err)
	}
	f := os.NewFile(uintptr(fd), p.host())
	defer f.Close()
	buf := make([]byte, 256) // BINPRM_BUF_SIZE: no more of a script's first line counts
	n, err := f.ReadAt(buf, 0)
	if err != nil && !isEOF(err) {
		return "", "", "", err
	}
	sum, err = t.digest(f)
	return p.host(), sum, string(buf[:n]), err
}

// onlyRoot refuses whatever someone else than root could have changed. A link's own mode means nothing.
func onlyRoot(path string, st *unix.Stat_t) error {
	if st.Uid != 0 {
		return fmt.Errorf("%w: %q belongs to user %d", ErrNotTrusted, "/"+path, st.Uid)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFLNK && st.Mode&0o022 != 0 {
		return fmt.Errorf("%w: %q can be written by others than root", ErrNotTrusted, "/"+path)
	}
	return nil
}

// RootOnly returns where a path leads, links resolved, if root alone could have changed what is there and every directory and
// link on the way. Else the error wraps [ErrNotTrusted].
func RootOnly(r *Root, path string) (string, error) {
	p, err := r.findSeeing("open", hostName(path), true, onlyRoot)
	if err != nil {
		return "", err
	}
	defer p.close()
	return p.host(), nil
}

func (t *Trusted) digest(f *os.File) (string, error) {
	fi, err := f.Stat()
	if err != nil {
		return "", err
	}
	m := Meta(fi)
	key := fileKey{m.Dev, m.Inode, m.Size, m.Mtime, m.Ctime}
	t.mu.Lock()
	defer t.mu.Unlock()
	if sum, ok := t.sums[key]; ok {
		return sum, nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	t.sums[key] = hex.EncodeToString(h.Sum(nil))
	return t.sums[key], nil
}

// capped keeps or passes on what comes first and counts the rest, so that the program is never blocked.
type capped struct {
	to   io.Writer // nil to keep it in buf
	left int64
	buf  []byte
	over int64
	err  error
}

func newCapped(limit int64, to io.Writer) *capped {
	if limit == 0 {
		limit = 8 << 20
	}
	return &capped{to: to, left: limit}
}

func (c *capped) Write(p []byte) (int, error) {
	keep := p[:min(int64(len(p)), c.left)]
	c.left -= int64(len(keep))
	c.over += int64(len(p) - len(keep))
	switch {
	case c.to == nil:
		c.buf = append(c.buf, keep...)
	case c.err == nil && len(keep) > 0:
		_, c.err = c.to.Write(keep)
	}
	return len(p), nil
}
