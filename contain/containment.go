package contain

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"syscall"
	"time"

	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// A Containment is one host's, in one case.
type Containment struct {
	Machine
	Case    *casefile.Case
	Journal *Journal

	unlock func() // nil if others may change it
}

// ErrBusy says that another run of ours works on the same containment.
var ErrBusy = errors.New("another openclaw-ir works on this containment")

const (
	lockName = "contain.lock"
	lockWait = 3 * time.Second
)

// hold takes the containment's lock.
func hold(cs *casefile.Case) (unlock func(), err error) {
	unlock, err = cs.Lock(lockName, lockWait)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, ErrBusy
	}
	return unlock, err
}

// Begin takes up the case's containment, or begins one, and notes what was frozen. No other run may work on it until Done.
func Begin(ctx context.Context, m Machine, cs *casefile.Case, f *Frozen, tool string) (*Containment, error) {
	unlock, err := hold(cs)
	if err != nil {
		return nil, err
	}
	c, err := begin(ctx, m, cs, f, tool)
	if err != nil {
		unlock()
		return nil, err
	}
	c.unlock = unlock
	return c, nil
}

// Take keeps other runs off an opened containment until Done, and reads its record again. The error wraps [ErrBusy].
func (c *Containment) Take() (err error) {
	if c.unlock, err = hold(c.Case); err != nil {
		return err
	}
	j, err := LoadJournal(c.Case)
	if err != nil {
		c.Done()
		return err
	}
	c.Journal = j
	return nil
}

// Done lets other runs at the containment.
func (c *Containment) Done() {
	if c.unlock != nil {
		c.unlock()
		c.unlock = nil
	}
}

func begin(ctx context.Context, m Machine, cs *casefile.Case, f *Frozen, tool string) (*Containment, error) {
	c := &Containment{Machine: m, Case: cs}
	j, err := LoadJournal(cs)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		j = nil
	case err != nil:
		return nil, err
	case j.State == Undone:
		if err := c.shelve(j); err != nil {
			return nil, err
		}
		j = nil
	}
	if c.Journal = j; j == nil {
		info := host.Describe(ctx, m.Root, m.Run)
		c.Journal = &Journal{Version: journalVersion, Tool: tool, Host: string(info.Hostname), BootID: string(info.BootID), Begun: time.Now().UTC(), State: Begun}
	}
	c.addFrozen(f)
	if err := c.save(); err != nil {
		return c, err
	}
	note := fmt.Sprintf("%d processes, %d cgroups, %d gaps", len(f.Processes), len(f.Cgroups), len(f.Gaps))
	return c, c.note("contain freeze", "openclaw", "frozen", note)
}

// shelve keeps the record of a containment that was undone under another name.
func (c *Containment) shelve(j *Journal) error {
	text, err := c.Case.ReadFile(journalName, journalLimit)
	if err != nil {
		return err
	}
	return c.Case.WriteFile("contain-"+j.Begun.Format("20060102T150405Z")+".json", text)
}

// Open takes up the case's containment for status, confirm and undo.
func Open(m Machine, cs *casefile.Case) (*Containment, error) {
	j, err := LoadJournal(cs)
	if err != nil {
		return nil, err
	}
	if j.Firewall != nil {
		j.Firewall.settled = true
	}
	return &Containment{Machine: m, Case: cs, Journal: j}, nil
}

func (c *Containment) addFrozen(f *Frozen) {
	j := c.Journal
	if j.Frozen == nil {
		j.Frozen = f
		return
	}
	for _, r := range f.Processes {
		if !slices.Contains(j.Frozen.Processes, r) {
			j.Frozen.Processes = append(j.Frozen.Processes, r)
		}
	}
	for _, dir := range f.Cgroups {
		if !slices.Contains(j.Frozen.Cgroups, dir) {
			j.Frozen.Cgroups = append(j.Frozen.Cgroups, dir)
		}
	}
	j.Frozen.Gaps = f.Gaps
}

func (c *Containment) save() error { return c.Journal.save(c.Case) }

// note writes an action to the custody log.
func (c *Containment) note(action, object, result, note string) error {
	return c.Case.Append(casefile.Entry{Action: action, Object: object, Result: result, Note: note})
}

// done notes what became of an action and turns it into a check.
func (c *Containment) done(action, object string, err error, hint string) Check {
	check := Check{What: object, OK: err == nil, Detail: Past(action)}
	result, note := "done", ""
	if err != nil {
		result, note = "failed", err.Error()
		check.Detail, check.Hint = action+": "+err.Error(), hint
	}
	if logErr := c.note("contain "+action, object, result, note); logErr != nil {
		check.OK, check.Detail = false, check.Detail+"; and the custody log could not be written: "+logErr.Error()
	}
	return check
}

// past are the verbs of what is done, when it is done.
var past = map[string]string{
	"disable": "disabled", "reload": "reloaded", "kill": "killed", "watch": "nothing came back", "stop": "stopped", "hold": "held", "close": "closed",
	"lock": "closed", "arm": "armed", "restore": "restored", "let go": "goes on", "thaw": "thawed", "undo": "undone", "start": "started",
	"defuse": "done", "replace": "replaced", "remove": "removed", "scrub": "scrubbed", "purge": "purged", "tell": "handed over", "unload": "unloaded",
}

// Past says an action as it is said when it is done: the log has the action, people read what became of it.
func Past(action string) string {
	if done, ok := past[action]; ok {
		return done
	}
	return action
}

// make makes or edits a file of the plan, after noting what it was.
func (c *Containment) make(f File, text []byte) error {
	i := slices.IndexFunc(c.Journal.Files, func(g File) bool { return g.Path == f.Path && !g.Undone })
	now, before, err := host.ReadFile(f.Owner, f.Path)
	if err != nil {
		return err
	}
	if i >= 0 && before.SHA256 == c.Journal.Files[i].After.SHA256 {
		return nil // an earlier run did it
	}
	if f.Edits != nil {
		if text, err = f.Edits.Apply(now); err != nil {
			return fmt.Errorf("editing %q: %w", f.Path, err)
		}
	}
	f.Before = before
	f.After = host.FileState{Exists: true, Size: int64(len(text)), SHA256: digest(string(text))}
	if i < 0 {
		i = len(c.Journal.Files)
		c.Journal.Files = append(c.Journal.Files, f)
	} else if f.Edits == nil {
		f.Before = c.Journal.Files[i].Before
		c.Journal.Files[i] = f
	} else {
		return fmt.Errorf("editing %q: %w since an earlier run", f.Path, host.ErrChanged)
	}
	if err := c.save(); err != nil {
		return err
	}
	after, err := host.Rewrite(f.Owner, f.Path, text, before, 0o644)
	if err != nil {
		return err
	}
	c.Journal.Files[i].After = after
	return c.save()
}

// unlink takes a link away, after noting where it led.
func (c *Containment) unlink(name string, owner host.Owner) error {
	target, err := c.Root.ReadLink(openclaw.FSName(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	link := Link{Path: name, Target: host.Text(target), Owner: owner}
	if !slices.Contains(c.Journal.Links, link) {
		c.Journal.Links = append(c.Journal.Links, link)
	}
	if err := c.save(); err != nil {
		return err
	}
	return host.AsAt(owner, name, func() error { return os.Remove(name) })
}

// ownerFor returns with whose rights something at a path is changed, which need not exist: the owner of the nearest
// directory that does.
func (m Machine) ownerFor(name string) (host.Owner, error) {
	for dir := path.Dir(name); ; dir = path.Dir(dir) {
		owner, err := host.OwnerOf(m.Root, dir)
		if !errors.Is(err, fs.ErrNotExist) || dir == "/" {
			return owner, err
		}
	}
}

// homeOf returns the home of a user, "" if that is not known.
func (m Machine) homeOf(uid uint32) string {
	users, _ := openclaw.Users(m.Root)
	i := slices.IndexFunc(users, func(u openclaw.User) bool { return u.UID == int(uid) })
	if i < 0 {
		return ""
	}
	return users[i].Home
}

// ancestors are our own process and what started it, up to the first.
func ancestors(all []host.Process) map[int]bool {
	parents := map[int]int{}
	for _, p := range all {
		parents[p.PID] = p.PPID
	}
	up := map[int]bool{}
	for pid := os.Getpid(); pid > 1 && !up[pid]; pid = parents[pid] {
		up[pid] = true
	}
	return up
}

// Close closes the host's firewall as the plan says.
func (c *Containment) Close(ctx context.Context, p *Plan) Check {
	if fw := c.Journal.Firewall; fw == nil || fw.State == Undone {
		c.Journal.Firewall = p.Firewall
	} else {
		fw.Adopt(p.Firewall) // what was there before is what the first run saw
	}
	err := c.Journal.Firewall.Apply(ctx, c.Machine, c.save)
	return c.done("close", "firewall", err, "openclaw-ir contain again, or contain undo")
}

const (
	reserveName = "reserve"
	reserveSize = 512 << 10
)

// Reserve takes room on the disk for the record of what is to come, before the bundle takes what there is, and returns what
// gives it back. The error says that there is no room for a bundle either.
func (c *Containment) Reserve() (release func(), err error) {
	release = func() { _ = c.Case.Root().Remove(reserveName) }
	if err := c.Case.WriteFile(reserveName, make([]byte, reserveSize)); err != nil {
		release()
		return nil, fmt.Errorf("no room for a bundle: %w", err)
	}
	return release, nil
}

// Kept notes the bundle that holds what stopping lost, or why there is none.
func (c *Containment) Kept(bundle string, why error) error {
	if why != nil {
		return c.note("contain keep", "volatile state", "not sealed", why.Error())
	}
	c.Journal.Kept = bundle
	return errors.Join(c.save(), c.note("contain keep", bundle, "sealed", ""))
}

// Finish notes that every step was done, with how many checks failed.
func (c *Containment) Finish(failed int) error {
	c.Journal.State = Contained
	result := "done"
	if failed > 0 {
		result = "done in part"
	}
	return errors.Join(c.save(), c.note("contain", c.Journal.Host, result, fmt.Sprintf("%d checks failed", failed)))
}

// Release thaws what Begin noted, because there was a "no" before anything was changed.
func (c *Containment) Release(ctx context.Context) error {
	err := c.Thaw(ctx, c.Journal.Frozen)
	if err == nil && c.Journal.State == Begun && len(c.Journal.Units)+len(c.Journal.Files)+len(c.Journal.Killed) == 0 {
		c.Journal.State = Undone
	}
	result := "done"
	if err != nil {
		result = err.Error()
	}
	return errors.Join(err, c.save(), c.note("contain thaw", "openclaw", result, ""))
}

// Note writes to the custody log what the caller did to undo or to rotate, and turns it into a check.
func (c *Containment) Note(action, object string, err error) Check {
	return c.done(action, object, err, "")
}

// Changes says in a phrase each what undo puts back.
func (c *Containment) Changes() (list []string) {
	j := c.Journal
	if j.Firewall != nil && j.Firewall.State != Undone {
		list = append(list, "firewall")
	}
	for _, f := range j.Files {
		if !f.Undone {
			list = append(list, f.Path+" ("+f.Why+")")
		}
	}
	for _, u := range j.Units {
		if u.Domain != "" && u.Enabled != "disabled" {
			list = append(list, u.String()+" (disabled)")
		}
	}
	for _, l := range j.Links {
		if !l.Undone {
			list = append(list, l.Path+" (starts a unit at boot)")
		}
	}
	for _, ct := range j.Containers {
		list = append(list, ct.String()+" (restart policy "+ct.Restart+")")
	}
	for _, r := range j.Held {
		list = append(list, r.String()+" (goes on)")
	}
	return list
}

// Ports are the gateways' ports, as far as the record tells.
func (c *Containment) Ports() []int {
	ports := gatewayPorts(nil, c.Journal.Containers)
	return unique(append(ports, c.Journal.Ports...))
}
