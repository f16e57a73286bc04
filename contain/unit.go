package contain

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/product"
)

// A Unit is a unit of systemd, or a job of launchd, that runs, starts or restarts OpenClaw, as it was before.
type Unit struct {
	Name    string `json:"name"`
	User    bool   `json:"user"` // of a user's manager, not of the system's
	UID     uint32 `json:"uid"`  // whose
	Active  string `json:"active,omitempty"`
	Sub     string `json:"sub,omitempty"`
	Enabled string `json:"enabled,omitempty"` // UnitFileState
	Restart string `json:"restart,omitempty"`
	MainPID int    `json:"main_pid,omitempty"`
	Running bool   `json:"running"`
	// Answers says whether the unit's manager was there to be asked.
	Answers bool `json:"answers"`

	later  []string // drop-ins that come after ours, and may take back what it says
	masked bool     // nothing of ours counts, as far as the unit is loaded

	Domain string `json:"domain,omitempty"` // of a job of launchd, such as gui/501; Name is its label
	Plist  string `json:"plist,omitempty"`  // the file that defines the job, as far as one does
}

func (u Unit) String() string {
	if u.Domain != "" {
		return u.target()
	}
	if u.User {
		return u.Name + " of user " + strconv.Itoa(int(u.UID))
	}
	return u.Name
}

// command is what a person types to do something with the unit.
func (u Unit) command(verb string) string {
	if u.Domain != "" {
		return u.jobCommand(verb)
	}
	if !u.User {
		return "systemctl " + verb + " " + console.ShellWord(u.Name)
	}
	return fmt.Sprintf("sudo -u '#%d' XDG_RUNTIME_DIR=/run/user/%d systemctl --user %s %s", u.UID, u.UID, verb, console.ShellWord(u.Name))
}

// unitProperties are what is asked of a unit (org.freedesktop.systemd1(5)).
const unitProperties = "--property=Id,LoadState,ActiveState,SubState,UnitFileState,Restart,MainPID,ExecStart,FragmentPath,Description,Names,DropInPaths"

// units finds the units to keep down: those that mention OpenClaw, those whose main process is one of its own (a unit of
// any name that runs the gateway or PM2), and those that its installation's files define, whether loaded or not.
func (m Machine) units(ctx context.Context, installs []*openclaw.Installation, procs []host.Process) (list []Unit, gaps []string) {
	if m.Mac {
		return m.jobs(ctx, installs, procs)
	}
	for _, mgr := range m.managers() {
		found, err := m.ask(ctx, mgr, procs)
		if err != nil && mgr.User && len(m.managersOf(ctx, mgr.UID)) == 0 {
			continue // it was about to end
		}
		if err != nil {
			gaps = append(gaps, fmt.Sprintf("units of %s: %v", mgr, err))
			continue
		}
		list = append(list, found...)
	}
	users, _ := openclaw.Users(m.Root)
	for _, in := range installs {
		for _, u := range in.Units {
			list = addDefined(list, u, users)
		}
	}
	// Those that run come first: who floods the machine with units must not keep us from the one that counts.
	slices.SortStableFunc(list, func(a, b Unit) int { return cmp.Compare(rankUnit(a), rankUnit(b)) })
	if len(list) > maxUnits {
		gaps = append(gaps, fmt.Sprintf("%d units that mention OpenClaw, beyond the first %d, are left as they are", len(list)-maxUnits, maxUnits))
		list = list[:maxUnits]
	}
	return list, gaps
}

// maxUnits bounds how many units are kept down: each costs some milliseconds before the kill.
const maxUnits = 200

func rankUnit(u Unit) int {
	switch {
	case u.MainPID > 0:
		return 0
	case u.Running:
		return 1
	case u.Enabled == "enabled":
		return 2
	}
	return 3
}

// ask asks a manager for its units that are OpenClaw's.
func (m Machine) ask(ctx context.Context, mgr host.Manager, procs []host.Process) (list []Unit, err error) {
	loaded := m.Run.Run(ctx, mgr.Systemctl("show", unitProperties, "--", "*.service", "*.timer", "*.path", "*.socket"))
	if !loaded.OK() {
		return nil, failure(loaded)
	}
	var names []string
	for b := range blocks(string(loaded.Stdout)) {
		runs := func(p host.Process) bool {
			return p.PID == b.number("MainPID") && p.PID > 1 || unitOf(p) == service{b.get("Id"), mgr.String()}
		}
		if product.Mentions(b.text) || slices.ContainsFunc(procs, runs) {
			names = append(names, b.get("Id"))
		}
	}
	files := m.Run.Run(ctx, mgr.Systemctl("list-unit-files", "--full", "--no-legend"))
	for line := range strings.Lines(string(files.Stdout)) {
		if f := strings.Fields(line); len(f) > 1 && product.Mentions(f[0]) && !strings.Contains(f[0], "@.") && f[1] != "alias" {
			names = append(names, f[0])
		}
	}
	names = unique(names)
	for _, name := range names[:min(len(names), 5*maxUnits)] {
		if u, ok := m.show(ctx, mgr, name); ok {
			list = append(list, u)
		}
	}
	return list, nil
}

// show reads one unit's state.
func (m Machine) show(ctx context.Context, mgr host.Manager, name string) (Unit, bool) {
	if !validUnit(name) {
		return Unit{}, false
	}
	res := m.Run.Run(ctx, mgr.Systemctl("show", unitProperties, "--", name))
	for b := range blocks(string(res.Stdout)) {
		u := Unit{
			Name: name, User: mgr.User, UID: mgr.UID, Active: b.get("ActiveState"), Sub: b.get("SubState"), Enabled: b.get("UnitFileState"),
			Restart: b.get("Restart"), MainPID: b.number("MainPID"), Answers: true,
		}
		u.Running = u.Active != "inactive" && u.Active != "failed"
		u.masked = b.get("LoadState") == "loaded"
		for _, file := range strings.Fields(b.get("DropInPaths")) {
			switch base := path.Base(file); {
			case base > dropInName:
				u.later = append(u.later, file)
			case base == dropInName:
				u.masked = !m.isDropIn(file, u)
			}
		}
		return u, b.get("LoadState") != "not-found"
	}
	return Unit{}, false
}

// addDefined adds a unit that is only known by its file, for instance because its user is not logged in.
func addDefined(list []Unit, def openclaw.Unit, users []openclaw.User) []Unit {
	name := def.Name()
	if ext := path.Ext(name); ext == ".container" {
		name = strings.TrimSuffix(name, ext) + ".service" // as podman-systemd.unit(5) names what it generates
	}
	u := Unit{Name: name}
	if def.User != "" {
		i := slices.IndexFunc(users, func(v openclaw.User) bool { return v.Name == def.User })
		if i < 0 || users[i].UID < 0 {
			return list
		}
		u.User, u.UID = true, uint32(users[i].UID)
	}
	known := func(v Unit) bool { return v.Name == u.Name && v.User == u.User && v.UID == u.UID }
	if !validUnit(u.Name) || slices.ContainsFunc(list, known) {
		return list
	}
	return append(list, u)
}

// validUnit accepts a unit's name as it may stand in an argument and in a path (systemd.unit(5)).
func validUnit(name string) bool {
	const chars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@"
	ok := name != "" && len(name) < 256 && name[0] != '-' && name[0] != '.' && strings.Trim(name, chars) == ""
	return ok && slices.Contains([]string{".service", ".timer", ".path", ".socket"}, path.Ext(name))
}

// A block is what "systemctl show" says of one unit: lines of NAME=VALUE.
type block struct{ text string }

func (b block) get(name string) string {
	for line := range strings.Lines(b.text) {
		if value, ok := strings.CutPrefix(line, name+"="); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func (b block) number(name string) int {
	n, _ := strconv.Atoi(b.get(name))
	return n
}

func blocks(show string) func(func(block) bool) {
	return func(yield func(block) bool) {
		for text := range strings.SplitSeq(show, "\n\n") {
			if strings.TrimSpace(text) != "" && !yield(block{text}) {
				return
			}
		}
	}
}

// unitDirs are the directories that decide over a unit, those that can be written: its drop-in goes into the first.
// A drop-in of root's works for every user's unit of that name, and the user cannot take it away.
func (m Machine) unitDirs(u Unit, home string) []string {
	switch {
	case !u.User:
		return []string{"/etc/systemd/system"}
	case m.UID == 0 && product.Mentions(u.Name): // another user's unit of another name may be quite another's
		return []string{"/etc/systemd/user", path.Join(home, ".config/systemd/user")}
	}
	return []string{path.Join(home, ".config/systemd/user")}
}

// dropInName sorts after every drop-in that OpenClaw or its user would write.
const dropInName = "~~~~openclaw-ir-contain.conf"

// dropIn keeps a unit from starting, and from being started again when its process is killed.
func dropIn(u Unit) []byte {
	text := "# openclaw-ir contain keeps this unit down; \"openclaw-ir contain undo\" takes this file away.\n[Unit]\nAssertPathExists=!/\n"
	if path.Ext(u.Name) == ".service" {
		// OpenClaw's own unit gives a busy gateway 330 s to stop. A manager that missed the end of a process waits as long.
		text += "[Service]\nRestart=no\nRestartForceExitStatus=\nTimeoutStopSec=5s\n"
	}
	return []byte(text)
}

// rivals are a user's drop-ins on the disk that would count instead of ours, or come after it, where no manager is there to be asked.
func (m Machine) rivals(u Unit) (files []string) {
	if !u.User {
		return nil // the system's are root's
	}
	home, run := m.homeOf(u.UID), fmt.Sprintf("/run/user/%d/systemd", u.UID)
	dirs := slices.Insert(openclaw.UserUnitDirs(home), 1, path.Join(home, ".config/systemd/user.control"))
	dirs = append(dirs, path.Join(run, "user"), path.Join(run, "user.control"), path.Join(run, "transient"))
	for _, dir := range dirs {
		for _, drops := range dropInDirs(u.Name) {
			entries, _ := fs.ReadDir(m.Root, openclaw.FSName(path.Join(dir, drops)))
			for _, e := range entries {
				file := path.Join(dir, drops, e.Name())
				if path.Ext(file) == ".conf" && e.Name() >= dropInName && !m.isDropIn(file, u) {
					files = append(files, file)
				}
			}
		}
	}
	return files
}

// dropInDirs are the names of the directories with a unit's drop-ins: its own, that of its kind, that of its template, and those of what its
// name begins with up to a dash (systemd.unit(5)).
func dropInDirs(unit string) []string {
	kind := path.Ext(unit)
	dirs := []string{unit + ".d", strings.TrimPrefix(kind, ".") + ".d"}
	for i, r := range strings.TrimSuffix(unit, kind) {
		if r == '-' || r == '@' {
			dirs = append(dirs, unit[:i+1]+kind+".d")
		}
	}
	return dirs
}

// isDropIn says whether a file is the unit's drop-in as we write it. One of a user's own that has the name counts instead of root's.
func (m Machine) isDropIn(file string, u Unit) bool {
	owner, err := m.ownerFor(file)
	if err != nil {
		return false
	}
	_, now, err := host.ReadFile(owner, file)
	return err == nil && now.SHA256 == digest(string(dropIn(u)))
}

// enabledBy returns the links by which other units start this one, as paths on the host.
func (m Machine) enabledBy(u Unit, home string) (links []string) {
	for _, dir := range m.unitDirs(u, home) {
		entries, _ := fs.ReadDir(m.Root, openclaw.FSName(dir))
		for _, e := range entries {
			if !slices.Contains([]string{".wants", ".requires", ".upholds"}, path.Ext(e.Name())) {
				continue
			}
			link := path.Join(dir, e.Name(), u.Name)
			if fi, err := m.Root.Lstat(openclaw.FSName(link)); err == nil && fi.Mode()&fs.ModeSymlink != 0 {
				links = append(links, link)
			}
		}
	}
	return links
}

// managers are those that can be asked. The system's runs where this directory is (sd_booted(3)).
func (m Machine) managers() []host.Manager {
	list := host.UserManagers(m.Root)
	if _, err := m.Root.Stat("run/systemd/system"); err == nil {
		list = append([]host.Manager{host.SystemManager()}, list...)
	}
	return list
}

// managerOf returns the manager that runs a unit, if it can be asked.
func (m Machine) managerOf(u Unit) (host.Manager, bool) {
	for _, mgr := range m.managers() {
		if mgr.User == u.User && mgr.UID == u.UID {
			return mgr, true
		}
	}
	return host.Manager{}, false
}

func unique[T cmp.Ordered](list []T) []T {
	slices.Sort(list)
	return slices.Compact(list)
}
