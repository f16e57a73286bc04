package schedule

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/host"
)

const (
	recordName    = "schedule.json"
	recordLimit   = 16 << 20
	recordVersion = 1
	lockName      = "schedule.lock"
	lockWait      = 3 * time.Second
)

// A Record is what a case notes of its schedule: what runs, and what was there before.
type Record struct {
	Version   int       `json:"version"`
	Tool      string    `json:"tool"`
	Kind      Kind      `json:"kind"`
	Name      string    `json:"name"`
	Every     Every     `json:"every"`
	Argv      []string  `json:"argv"`
	Installed time.Time `json:"installed"`
	Files     []Written `json:"files"`
	// WasEnabled says that a timer of the name was enabled before.
	WasEnabled bool `json:"was_enabled,omitempty"`
}

// A Written is a file that was written, and what was there.
type Written struct {
	Path   string         `json:"path"`
	Before []byte         `json:"before,omitempty"`
	Was    host.FileState `json:"was"`
	Now    host.FileState `json:"now"`
}

// ErrNone says that the case has no schedule.
var ErrNone = errors.New("no schedule is installed")

// Load reads what a case notes of its schedule. The error is [ErrNone] if there is none.
func Load(cs *casefile.Case) (*Record, error) {
	text, err := cs.ReadFile(recordName, recordLimit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNone
	}
	r := &Record{}
	if err == nil {
		err = json.Unmarshal(text, r)
	}
	if err == nil && (r.Version < 1 || r.Version > recordVersion) {
		err = fmt.Errorf("version %d is not known to this program", r.Version)
	}
	if err == nil && (r.Every == 0 || len(r.Argv) == 0) {
		err = errors.New("it does not say what runs how often")
	}
	if err != nil {
		return nil, fmt.Errorf("reading the record of the schedule: %w", err)
	}
	return r, nil
}

func (r *Record) save(cs *casefile.Case) error {
	text, err := console.JSON(r, " ")
	if err == nil {
		err = cs.WriteFile(recordName, text)
	}
	if err != nil {
		return fmt.Errorf("writing the record of the schedule: %w", err)
	}
	return nil
}

func (r *Record) timer() string   { return r.Name + ".timer" }
func (r *Record) service() string { return r.Name + ".service" }

// A Step is one thing that was done, or could not be.
type Step struct {
	What string
	Err  error
}

// Install writes a job's files and has them taken up. What was there before is noted in the case first, and each change in the custody
// log. It stops at the first step that fails; Remove takes back what was done by then. To install again replaces the schedule.
func (s *Scheduler) Install(ctx context.Context, j Job, tool string, tell func(Step)) error {
	unlock, err := s.cs.Lock(lockName, lockWait)
	if err != nil {
		return err
	}
	defer unlock()
	files, err := s.Files(j)
	if err != nil {
		return err
	}
	r := &Record{Version: recordVersion, Tool: tool, Kind: s.Kind, Name: j.Name, Every: j.Every, Argv: j.Argv, Installed: time.Now().UTC()}
	if err := s.before(ctx, r, files); err != nil {
		return err
	}
	for i, f := range files {
		if err := s.step(tell, "write "+f.Path, f.Path, "written", f.Text, s.writing(r, i, f.Text)); err != nil {
			return err
		}
	}
	if s.Kind == Cron {
		return nil
	}
	for _, words := range s.commands(r, true) {
		if err := s.systemctl(ctx, tell, words...); err != nil {
			return err
		}
	}
	return nil
}

// commands are what systemctl is told to take up the files, or to leave them.
func (s *Scheduler) commands(r *Record, install bool) [][]string {
	if install {
		return [][]string{{"daemon-reload"}, {"enable", r.timer()}, {"restart", r.timer()}}
	}
	return [][]string{{"disable", "--now", r.timer()}}
}

// Plan says what Install does, in words.
func (s *Scheduler) Plan(j Job) (lines []string, err error) {
	files, err := s.Files(j)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		verb := "write "
		if _, was, err := host.ReadFile(s.own, f.Path); err == nil && was.Exists {
			verb = "replace "
		}
		lines = append(lines, verb+f.Path)
	}
	if s.Kind != Cron {
		for _, words := range s.commands(&Record{Name: j.Name}, true) {
			lines = append(lines, strings.Join(s.mgr.Systemctl(words...).Argv, " "))
		}
	}
	return lines, nil
}

// before notes what is there, or what was there before an earlier installation.
func (s *Scheduler) before(ctx context.Context, r *Record, files []File) error {
	old, err := Load(s.cs)
	if err != nil && !errors.Is(err, ErrNone) {
		return err
	}
	if old != nil && (old.Kind != r.Kind || old.Name != r.Name) {
		return fmt.Errorf("the case has a schedule of another kind (%s, %s): remove it first", old.Kind, old.Name)
	}
	for _, f := range files {
		text, was, err := host.ReadFile(s.own, f.Path)
		if err != nil {
			return err
		}
		w := Written{Path: f.Path, Before: text, Was: was, Now: was}
		if old != nil {
			if i := slices.IndexFunc(old.Files, func(o Written) bool { return o.Path == f.Path }); i >= 0 {
				w.Before, w.Was = old.Files[i].Before, old.Files[i].Was
			}
		}
		r.Files = append(r.Files, w)
	}
	r.WasEnabled = old == nil && s.Kind != Cron && s.property(ctx, r.timer(), "UnitFileState") == "enabled" || old != nil && old.WasEnabled
	return r.save(s.cs)
}

// writing writes the file at i and notes what it is then.
func (s *Scheduler) writing(r *Record, i int, text string) (err error) {
	w := &r.Files[i]
	w.Now, err = host.Rewrite(s.own, w.Path, []byte(text), w.Now, 0o644)
	if err != nil {
		return err
	}
	return r.save(s.cs)
}

// Remove takes back what Install did: the timer is stopped and the files are as they were. A snapshot that is being taken goes on to its
// end. A file that somebody changed since is left alone, and its error wraps [host.ErrChanged], unless force.
func (s *Scheduler) Remove(ctx context.Context, r *Record, force bool, tell func(Step)) error {
	unlock, err := s.cs.Lock(lockName, lockWait)
	if err != nil {
		return err
	}
	defer unlock()
	failed := error(nil)
	if s.Kind != Cron {
		for _, words := range s.commands(r, false) {
			failed = errors.Join(failed, s.systemctl(ctx, tell, words...))
		}
	}
	for _, w := range r.Files {
		result := "removed"
		if w.Was.Exists {
			result = "as it was"
		}
		failed = errors.Join(failed, s.step(tell, result+": "+w.Path, w.Path, result, string(w.Before), s.restoring(w, force)))
	}
	if s.Kind != Cron {
		failed = errors.Join(failed, s.systemctl(ctx, tell, "daemon-reload"))
		s.run.Run(ctx, s.mgr.Systemctl("reset-failed", r.service(), r.timer())) // which may not know them any more, or have nothing to reset
		if r.WasEnabled {
			failed = errors.Join(failed, s.systemctl(ctx, tell, "enable", "--now", r.timer()))
		}
	}
	if failed != nil {
		return failed
	}
	return s.cs.Root().Remove(recordName)
}

func (s *Scheduler) restoring(w Written, force bool) error {
	_, now, err := host.ReadFile(s.own, w.Path)
	if err != nil {
		return err
	}
	switch {
	case now.Exists == w.Was.Exists && (!now.Exists || now.SHA256 == w.Was.SHA256):
		return nil // taken back already
	case now.SHA256 != w.Now.SHA256 && now.Exists && !force:
		return fmt.Errorf("%q: %w by somebody else", w.Path, host.ErrChanged)
	case !w.Was.Exists:
		return host.Remove(s.own, w.Path, now)
	}
	_, err = host.Rewrite(s.own, w.Path, w.Before, now, fs.FileMode(w.Was.Mode))
	return err
}

// step notes a change in the custody log, and tells it.
func (s *Scheduler) step(tell func(Step), what, object, result, text string, err error) error {
	entry := casefile.Entry{Action: "schedule", Object: object, Result: result}
	if err != nil {
		entry.Result, entry.Note = "failed", err.Error()
	} else if text != "" {
		sum := sha256.Sum256([]byte(text))
		entry.Note = "sha256 " + hex.EncodeToString(sum[:])
	}
	err = errors.Join(err, s.cs.Append(entry))
	tell(Step{what, err})
	return err
}

// commandTimeout is how long systemctl may take: it answers when a timer is started, and starts no snapshot.
const commandTimeout = 30 * time.Second

func (s *Scheduler) systemctl(ctx context.Context, tell func(Step), words ...string) error {
	c := s.mgr.Systemctl(words...)
	c.Timeout = commandTimeout
	res := s.run.Run(ctx, c)
	err := res.Err
	if err == nil && res.ExitCode != 0 {
		err = fmt.Errorf("exit code %d: %s", res.ExitCode, strings.TrimSpace(string(res.Stderr)))
	}
	line := strings.Join(c.Argv, " ")
	return s.step(tell, line, line, "done", "", err)
}
