// Package schedule has snapshots taken by themselves: by a timer of systemd, the system's or a user's, or by cron where there is no
// systemd. It writes unit files, or a crontab, and asks systemd to take them up; it notes in the case what was there before, so that
// [Scheduler.Remove] puts it back. It takes no snapshot, and what it writes runs this very program.
package schedule

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/host"
)

// Kind says what starts the snapshots.
type Kind string

// The kinds.
const (
	System Kind = "systemd"
	User   Kind = "systemd --user"
	Cron   Kind = "cron"
)

// A Job is what is to be run again and again.
type Job struct {
	Name    string   // of the units and the crontab, without what follows the dot
	Argv    []string // the program's absolute path and its arguments
	Every   Every
	Case    string // the directory of the case, which is all that a snapshot writes to
	Store   string // a directory that it stores bundles in besides; usually empty
	Network bool   // it talks to other machines: it uploads, or notifies
}

// JobName names the units of a case's snapshots.
func JobName(caseName string) string { return "openclaw-ir-" + strings.ReplaceAll(caseName, ".", "_") }

// plainPath is a path that means the same to systemd, cron and a shell.
var plainPath = regexp.MustCompile(`^/[A-Za-z0-9/._+-]+$`)

func (j Job) check() error {
	for _, word := range append([]string{j.Case, j.Store}, j.Argv...) {
		// A line break ends an option, systemd passes over a line that is not UTF-8, and whoever reads the files is to see what they do.
		if console.EscapeCommand(word) != word {
			return fmt.Errorf("%q: a character that cannot be seen does not go into a unit or a crontab", word)
		}
	}
	if len(j.Argv) == 0 || !plainPath.MatchString(j.Argv[0]) {
		return fmt.Errorf("the path of this program, %q, is not made of letters, digits and ._+- alone", j.Argv)
	}
	return nil
}

// Every is how often a job runs: a number of minutes that an hour is a multiple of, of hours that a day is, or a day.
type Every time.Duration

// ParseEvery reads 15m, 1h, 6h, 1d.
func ParseEvery(text string) (Every, error) {
	d, err := time.ParseDuration(text)
	if text == "1d" {
		d, err = 24*time.Hour, nil
	}
	const day = 24 * time.Hour
	whole := d >= time.Minute && d < time.Hour && d%time.Minute == 0 && time.Hour%d == 0 || d >= time.Hour && d%time.Hour == 0 && day%d == 0
	if err != nil || !whole {
		return 0, fmt.Errorf("%q is none of 5m, 10m, 15m, 20m, 30m, 1h, 2h, 3h, 4h, 6h, 8h, 12h, 1d", text)
	}
	return Every(d), nil
}

// String is what ParseEvery reads.
func (e Every) String() string {
	switch d := time.Duration(e); {
	case d == 24*time.Hour:
		return "1d"
	case d >= time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	default:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
}

// MarshalText writes what ParseEvery reads.
func (e Every) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (e *Every) UnmarshalText(text []byte) (err error) {
	*e, err = ParseEvery(string(text))
	return err
}

// Account is whose schedule it is.
type Account struct {
	UID        int
	User       bool   // of the user's own service manager, not the system's
	Home       string // of the user
	ConfigHome string // XDG_CONFIG_HOME, or empty
}

// A Scheduler works on the schedule of one case.
type Scheduler struct {
	Kind Kind
	cs   *casefile.Case
	root *host.Root
	run  host.Runner
	mgr  host.Manager
	own  host.Owner
	dir  string // where the files lie
}

// ErrNoManager says that there is nothing for a user that would start snapshots.
var ErrNoManager = errors.New("no service manager of this user runs")

// New finds out what starts things for an account.
func New(cs *casefile.Case, root *host.Root, run host.Runner, a Account) (*Scheduler, error) {
	s := &Scheduler{cs: cs, root: root, run: run, own: host.Owner{UID: uint32(a.UID)}}
	_, err := root.Stat("run/systemd/system")
	switch {
	case a.User:
		return s, s.user(a)
	case err == nil:
		s.Kind, s.dir, s.mgr = System, "/etc/systemd/system", host.SystemManager()
	default:
		s.Kind, s.dir = Cron, "/etc/cron.d"
		if _, err := root.Stat(s.dir[1:]); err != nil {
			return nil, fmt.Errorf("neither systemd nor cron is here: %w", err)
		}
	}
	return s, nil
}

func (s *Scheduler) user(a Account) error {
	for _, m := range host.UserManagers(s.root) {
		if m.User && m.UID == uint32(a.UID) {
			config := a.ConfigHome
			if !filepath.IsAbs(config) {
				config = filepath.Join(a.Home, ".config")
			}
			s.Kind, s.mgr, s.dir = User, m, filepath.Join(config, "systemd/user")
			s.own = m.Owner()
			return nil
		}
	}
	return ErrNoManager
}

// Lingers says whether a user's timers run while the user is not logged in. The system's always do.
func (s *Scheduler) Lingers(user string) bool {
	_, err := s.root.Lstat("var/lib/systemd/linger/" + user)
	return s.Kind != User || err == nil
}

// A File is one that a job is made of.
type File struct {
	Path string
	Text string
}

// Files are the files of a job, and an error if it cannot be written as such.
func (s *Scheduler) Files(j Job) ([]File, error) {
	if err := j.check(); err != nil {
		return nil, err
	}
	name := func(suffix string) string { return filepath.Join(s.dir, j.Name+suffix) }
	if s.Kind == Cron {
		return []File{{name(""), j.crontab()}}, nil
	}
	return []File{{name(".service"), j.service(s.Kind)}, {name(".timer"), j.timer()}}, nil
}
