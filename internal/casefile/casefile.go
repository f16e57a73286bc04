// Package casefile keeps the case: one directory for an incident, which holds
// the custody log, the keys, and every output.
//
//	<dir>/<UTC timestamp>-<host>/  0700
//	    case.json      what the case is, and whether it is open
//	    custody.jsonl  what was done, each line chained to the one before
//	    salt           32 random bytes that key the fingerprints of secrets
//	    seal.key       the Ed25519 key that signs bundles, OpenSSH format
//	    seal.pub       its public half
//	    bundles/       report/
//	    contain.json   rotate.json   …: what the commands keep up to date
//
// Reading a case writes nothing, so that one on a disk mounted read-only is read too.
//
// # Trust
//
// A hostile user may have prepared any of it. A directory or file that is a
// symbolic link, belongs to somebody else or can be written by others is refused
// with [ErrUnsafe], and what is read is bounded. Someone with the rights of the
// case's owner can still rewrite the whole log with a new chain: that shows only
// against a [Head] kept elsewhere, such as in a sealed bundle.
package casefile

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"time"
)

var (
	// ErrNoCase is returned when there is no such case, or no open one.
	ErrNoCase = errors.New("no case")
	// ErrName is returned for what cannot be the name of a case.
	ErrName = errors.New("not a name for a case")
	// ErrUnsafe is returned when somebody else could have prepared or could
	// change what would be used.
	ErrUnsafe = errors.New("not safe to use")
)

// The directories for outputs in a case.
const (
	BundlesDir = "bundles"
	ReportDir  = "report"
)

// SnapshotsCase is the name of the case of scheduled snapshots. It stays open for years and is no incident, so that it is used only
// where it is named.
const SnapshotsCase = "snapshots"

// DefaultDir returns the directory that holds a user's cases. Root's is
// /var/lib/openclaw-ir; anybody else's is openclaw-ir in xdgStateHome
// (XDG_STATE_HOME, ignored unless absolute) or in home/.local/state.
func DefaultDir(uid int, xdgStateHome, home string) string {
	const name = "openclaw-ir"
	switch {
	case uid == 0:
		return "/var/lib/" + name
	case filepath.IsAbs(xdgStateHome):
		return filepath.Join(xdgStateHome, name)
	default:
		return filepath.Join(home, ".local", "state", name)
	}
}

// Case is a case directory that has passed the checks and is held open: what
// is done through it stays in that directory, whatever happens to its path.
type Case struct {
	// Operator is who acts, for the custody log. Open fills in the user; the
	// caller, who reads the environment, adds SudoUser.
	Operator Operator

	root *os.Root
	path string
	host string
	info Info
	made bool
}

// Open opens the case called name in dir, or with no name the newest open one that is not [SnapshotsCase].
// If there is none, it returns [ErrNoCase], or makes one if create is set: called
// name, or else by the time and the host. A closed case is opened by name only.
//
// The caller closes the Case.
func Open(dir, name string, create bool) (*Case, error) {
	if name != "" && !validName(name) {
		return nil, fmt.Errorf("%w: %q", ErrName, name)
	}
	base, path, err := openBase(dir, create)
	if err != nil {
		return nil, err
	}
	defer base.Close()
	if !create {
		return find(base, path, name)
	}
	// Two commands that start together have to end up with one case.
	unlock, err := lock(base, ".lock", lockWait)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := sweep(base); err != nil {
		return nil, err
	}
	c, err := find(base, path, name)
	if !errors.Is(err, ErrNoCase) {
		return c, err
	}
	return makeCase(base, path, name)
}

// New makes a case, also where one is open. The caller closes the Case.
func New(dir string) (*Case, error) {
	base, path, err := openBase(dir, true)
	if err != nil {
		return nil, err
	}
	defer base.Close()
	unlock, err := lock(base, ".lock", lockWait)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := sweep(base); err != nil {
		return nil, err
	}
	return makeCase(base, path, "")
}

func find(base *os.Root, path, name string) (*Case, error) {
	if name != "" {
		return openCase(base, path, name)
	}
	infos, err := list(base)
	if err != nil {
		return nil, err
	}
	for _, info := range infos {
		if info.Problem == "" && info.State == StateOpen && info.Name != SnapshotsCase {
			return openCase(base, path, info.Name)
		}
	}
	for _, info := range infos {
		if info.failed != nil { // it may be the one that is open
			return nil, info.failed
		}
	}
	return nil, fmt.Errorf("%w is open in %q", ErrNoCase, path)
}

func openCase(base *os.Root, path, name string) (*Case, error) {
	root, err := openDir(base, name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w %q in %q", ErrNoCase, name, path)
	}
	if err != nil {
		return nil, err
	}
	info, err := readInfo(root, name)
	if err != nil {
		root.Close()
		return nil, err
	}
	return newCase(root, filepath.Join(path, name), info), nil
}

func newCase(root *os.Root, path string, info Info) *Case {
	c := &Case{root: root, path: path, host: hostname(), info: info, Operator: Operator{UID: os.Getuid()}}
	if u, err := user.LookupId(strconv.Itoa(c.Operator.UID)); err == nil {
		c.Operator.User = u.Username
	}
	return c
}

func hostname() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		return "unknown"
	}
	return host
}

// Close gives the directory back. It does not change the state of the case.
func (c *Case) Close() error { return c.root.Close() }

// Name returns the name of the case's directory.
func (c *Case) Name() string { return c.info.Name }

// Info returns what case.json said when the Case was opened or last changed.
func (c *Case) Info() Info { return c.info }

// Made reports whether Open made the case.
func (c *Case) Made() bool { return c.made }

// Root returns the directory, for outputs. Files are to be made with O_EXCL and
// mode 0600. It is closed with the Case.
func (c *Case) Root() *os.Root { return c.root }

// Path returns the path of something in the case, to show to a person.
func (c *Case) Path(elem ...string) string {
	return filepath.Join(append([]string{c.path}, elem...)...)
}

// SetState closes or reopens the case, after writing so to the custody log. It
// does nothing if the state is already s.
func (c *Case) SetState(s State) error {
	action := "case reopen"
	if s == StateClosed {
		action = actionClose
	}
	info, err := readInfo(c.root, c.info.Name)
	if err != nil {
		return err
	}
	c.info = info
	if info.State == s {
		return nil
	}
	if err := c.Append(Entry{Action: action, Object: info.Name, Result: "done"}); err != nil {
		return err
	}
	info.State = s
	if err := c.WriteFile(infoName, info.encode()); err != nil {
		return fmt.Errorf("changing the state of the case: %w", err)
	}
	c.info = info
	return nil
}

// now is the time as the case records it.
func now() time.Time { return time.Now().UTC() }
