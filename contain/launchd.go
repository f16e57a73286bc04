package contain

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/product"
)

// target names a job of launchd as launchctl(1) takes it.
func (u Unit) target() string { return u.Domain + "/" + u.Name }

// jobCommand is what a person types to do something with a job.
func (u Unit) jobCommand(verb string) string {
	target := console.ShellWord(u.target())
	switch verb {
	case "disable":
		return fmt.Sprintf("sudo launchctl disable %s; sudo launchctl bootout %s", target, target)
	case "start":
		return fmt.Sprintf("sudo launchctl bootstrap %s %s", u.Domain, console.ShellWord(u.Plist))
	case "status":
		return fmt.Sprintf("sudo launchctl print %s; sudo launchctl print-disabled %s", target, u.Domain)
	}
	return "sudo launchctl " + verb + " " + target
}

// launchctlTime is what a command of launchctl may take. A bootout waits for the job's process, which is stopped; launchd goes
// on with it when nobody waits any more.
const launchctlTime = 2 * time.Second

func (m Machine) launchctl(ctx context.Context, words ...string) host.Result {
	return m.Run.Run(ctx, host.Command{Argv: append([]string{"launchctl"}, words...), Timeout: launchctlTime})
}

// jobs finds the jobs of launchd to keep down: those loaded ones that are named after OpenClaw or whose process is one of its own, and
// those that its installations' property lists define.
func (m Machine) jobs(ctx context.Context, installs []*openclaw.Installation, procs []host.Process) (list []Unit, gaps []string) {
	add := func(u Unit) {
		if slices.ContainsFunc(list, func(v Unit) bool { return v.target() == u.target() }) {
			return
		}
		u, err := m.job(ctx, u)
		if err != nil {
			gaps = append(gaps, fmt.Sprintf("job %s: %v", u, err))
		}
		list = append(list, u)
	}
	people := m.people()
	domains := []Unit{{Domain: "system"}}
	for _, uid := range people { // who is not logged in has no gui domain
		domains = append(domains, personal("gui", uid), personal("user", uid))
	}
	answers := map[string]bool{}
	for _, d := range domains {
		res := m.launchctl(ctx, "print", d.Domain)
		if answers[d.Domain] = res.OK(); !res.OK() && !notLoaded(res) {
			gaps = append(gaps, fmt.Sprintf("jobs of %s: %v", d.Domain, failure(res)))
		}
		for _, d.Name = range loadedJobs(string(res.Stdout), procs) {
			add(d)
		}
	}
	for _, in := range installs {
		for _, def := range in.Units {
			label := m.label(def)
			if path.Ext(def.Path) != ".plist" || !validLabel(label) {
				gaps = append(gaps, fmt.Sprintf("%s: not a property list with a label as launchctl takes it", def.Path))
				continue
			}
			if path.Dir(def.Path) == "/Library/LaunchDaemons" {
				add(Unit{Name: label, Domain: "system", Plist: def.Path})
				continue
			}
			uids := people
			if home := path.Dir(path.Dir(path.Dir(def.Path))); home != "/" {
				uids = m.ownersOf(home)
			}
			for _, uid := range uids {
				u := personal("gui", uid)
				if !answers[u.Domain] && answers[personal("user", uid).Domain] {
					u = personal("user", uid) // what is disabled is one list for both
				}
				u.Name, u.Plist = label, def.Path
				add(u)
			}
		}
	}
	return list, gaps
}

func personal(kind string, uid uint32) Unit {
	return Unit{Domain: kind + "/" + strconv.Itoa(int(uid)), User: true, UID: uid}
}

// people are the users with homes on a Mac: their accounts are in no file that tells their numbers.
func (m Machine) people() []uint32 {
	users, _ := openclaw.Users(m.Root)
	var homes []string
	for _, u := range users {
		if strings.HasPrefix(u.Home, "/Users/") {
			homes = append(homes, u.Home)
		}
	}
	return unique(m.ownersOf(homes...))
}

// ownersOf returns the owners of directories, but for root, who owns /Users/Shared.
func (m Machine) ownersOf(dirs ...string) (uids []uint32) {
	for _, dir := range dirs {
		if fi, err := m.Root.Stat(openclaw.FSName(dir)); err == nil && host.Meta(fi).UID != 0 {
			uids = append(uids, host.Meta(fi).UID)
		}
	}
	return uids
}

// plistLabel finds the label in a property list in XML (launchd.plist(5)).
var plistLabel = regexp.MustCompile(`<key>Label</key>\s*<string>([^<]+)</string>`)

// label returns what launchd calls a job, which is most often its file's name.
func (m Machine) label(def openclaw.Unit) string {
	label := strings.TrimSuffix(def.Name(), ".plist")
	if f, err := m.Root.Open(openclaw.FSName(def.Path)); err == nil {
		text, _ := io.ReadAll(io.LimitReader(f, 1<<20))
		f.Close()
		if found := plistLabel.FindSubmatch(text); found != nil {
			label = html.UnescapeString(string(found[1]))
		}
	}
	return label
}

// validLabel accepts a label as OpenClaw does, which may stand in an argument.
func validLabel(label string) bool {
	const chars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	return label != "" && len(label) < 256 && label[0] != '-' && strings.Trim(label, chars) == ""
}

// loadedJobs picks OpenClaw's from what "launchctl print DOMAIN" says: a line of process, last exit and label for each. An app that
// somebody opened is a job as well, which nothing starts again.
func loadedJobs(text string, procs []host.Process) (labels []string) {
	_, text, _ = strings.Cut(text, "\tservices = {\n")
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) > 0 && f[0] == "}" {
			break
		}
		if len(f) != 3 || !validLabel(f[2]) || strings.HasPrefix(f[2], "application.") {
			continue
		}
		pid, _ := strconv.Atoi(f[0])
		ours := func(p host.Process) bool { return p.PID == pid && pid > 1 }
		if product.Mentions(f[2]) || slices.ContainsFunc(procs, ours) {
			labels = append(labels, f[2])
		}
	}
	return labels
}

// job reads a job's state: Running says that it is loaded.
func (m Machine) job(ctx context.Context, u Unit) (Unit, error) {
	off, err := m.isDisabled(ctx, u)
	if u.Enabled = "enabled"; off {
		u.Enabled = "disabled"
	}
	res := m.launchctl(ctx, "print", u.target())
	if u.Running = res.OK(); !u.Running {
		if u.Active = "not loaded"; !notLoaded(res) {
			return u, errors.Join(err, failure(res))
		}
		return u, err
	}
	u.Answers = true
	for line := range strings.Lines(string(res.Stdout)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " = ")
		switch {
		case key == "state" && u.Active == "":
			u.Active = value
		case key == "pid" && u.MainPID == 0:
			u.MainPID, _ = strconv.Atoi(value)
		case key == "path" && u.Plist == "" && path.IsAbs(value):
			u.Plist = value
		}
	}
	return u, err
}

// notLoaded tells that a job or its domain is not there from what else launchctl may fail of.
func notLoaded(res host.Result) bool {
	said := strings.ToLower(string(res.Stderr) + string(res.Stdout))
	return res.Err == nil && res.ExitCode != 0 && slices.ContainsFunc([]string{
		"no such process", "could not find service", "could not find domain", "domain does not support specified action",
	}, func(s string) bool { return strings.Contains(said, s) })
}

// isDisabled says whether launchd refuses to load a job: "disabled", or "true" before macOS 13.
func (m Machine) isDisabled(ctx context.Context, u Unit) (bool, error) {
	res := m.launchctl(ctx, "print-disabled", u.Domain)
	if !res.OK() {
		return false, failure(res)
	}
	for line := range strings.Lines(string(res.Stdout)) {
		if state, ok := strings.CutPrefix(strings.TrimSpace(line), strconv.Quote(u.Name)+" => "); ok {
			return state == "disabled" || state == "true", nil
		}
	}
	return false, nil
}

// disableJob forbids launchd to load a job again, and has it forget the one that is loaded, whose process it would else start again
// when that is killed. The SIGTERM that it sends waits, because the process is stopped.
func (c *Containment) disableJob(ctx context.Context, u Unit) error {
	err := c.save() // what cannot be noted is done all the same
	if res := c.launchctl(ctx, "disable", u.target()); !res.OK() {
		err = errors.Join(err, failure(res))
	}
	if u.Running {
		c.launchctl(ctx, "bootout", u.target()) // unload looks what came of it
	}
	return err
}

// unload waits until launchd has forgotten a job whose process was killed.
func (c *Containment) unload(ctx context.Context, u Unit) error {
	for end := time.Now().Add(killTime); ; time.Sleep(killHead) {
		now, err := c.job(ctx, u)
		if !now.Running {
			return err
		}
		if time.Now().After(end) {
			return errors.New("it is still loaded")
		}
		c.launchctl(ctx, "bootout", u.target())
	}
}

// verifyJob looks at a job as launchd sees it.
func (c *Containment) verifyJob(ctx context.Context, u Unit) Check {
	check := Check{What: "job " + u.String(), Hint: u.jobCommand("disable")}
	now, err := c.job(ctx, Unit{Name: u.Name, Domain: u.Domain})
	check.Detail = now.Active + ", " + now.Enabled
	if err != nil {
		check.Detail = err.Error()
	} else if check.OK = !now.Running && now.Enabled == "disabled"; check.OK {
		check.Hint = ""
	}
	return check
}

// enableJob lets launchd load a job again, if it could before. Its list of what is disabled keeps a line that says so.
func (c *Containment) enableJob(ctx context.Context, u Unit) Check {
	var err error
	if u.Enabled != "disabled" {
		if res := c.launchctl(ctx, "enable", u.target()); !res.OK() {
			err = failure(res)
		}
	}
	return c.done("restore", "job "+u.String(), err, u.jobCommand("enable"))
}

// startJob loads a job again.
func (c *Containment) startJob(ctx context.Context, u Unit) error {
	if u.Plist == "" {
		return errors.New("no file defines it: somebody had submitted it by hand")
	}
	if res := c.launchctl(ctx, "bootstrap", u.Domain, u.Plist); !res.OK() {
		return failure(res)
	}
	return nil
}

// virtualMachines are the programs in whose virtual machines containers run on a Mac, where their processes cannot be seen.
var virtualMachines = []string{"com.docker.backend", "com.docker.virtualization", "OrbStack", "limactl", "colima", "vfkit", "krunkit", "gvproxy"}

// machineGaps says which containers cannot be looked at: their engines are programs that the user could have replaced.
func machineGaps(all []host.Process) (gaps []string) {
	for _, p := range all {
		if slices.Contains(virtualMachines, string(p.Comm)) {
			gaps = append(gaps, fmt.Sprintf("containers in the virtual machine of %s: type docker ps --all, then docker update --restart=no NAME and docker kill NAME", p.Comm))
		}
	}
	return unique(gaps)
}

// ByHand says what has to be done by hand, and how: each is a check that failed. Of Linux nothing is left.
func (m Machine) ByHand(withFirewall bool) (list []Check) {
	if !m.Mac {
		return nil
	}
	const filter = "sudo /usr/libexec/ApplicationFirewall/socketfilterfw"
	if withFirewall {
		list = append(list, Check{
			What:   "firewall",
			Detail: "not closed: no rules for macOS are known to this program, neither for what comes in nor for what goes out",
			Hint: filter + " --setglobalstate on; " + filter + " --setblockall on" +
				" (System Settings > Network > Firewall > Options > Block all incoming connections); SSH that is open stays, new SSH is refused: keep yours open; " + filter + " --setblockall off takes it back",
		})
	}
	return append(list, Check{
		What:   "login items",
		Detail: "not looked at: macOS keeps them where no command tells",
		Hint: "System Settings > General > Login Items & Extensions: take OpenClaw out of Open at Login and switch it off under Allow in the Background;" +
			" in OpenClaw > Settings > General switch off Launch at login",
	}, Check{
		What:   "children that left",
		Detail: "not told: macOS hides the environment of its own programs, such as /bin/bash, by which what the agent started is known when its parent is gone",
		Hint:   "ps -axo ppid,pid,lstart,user,args | grep '^ *1 ': sudo kill -9 PID for what none of yours is",
	})
}
