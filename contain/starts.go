package contain

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// verifyStarts tells what a user of the agent's has had start by itself, root apart, that does not name OpenClaw: a line of a crontab, a job of
// at, a unit. A script that it runs may start OpenClaw again long after anybody looks. A person has to tell.
func (c *Containment) verifyStarts(ctx context.Context) []Check {
	ids := c.agentUsers()
	check := Check{What: "nothing else starts as the agent's user", OK: true, Detail: "no crontab, job of at or unit of its own"}
	table, err := c.Processes(ctx)
	switch {
	case len(ids) == 0 || c.Mac:
		return nil
	case err == nil && c.isDesktop(table.Processes, ids):
		check.Detail = "not judged: a desktop"
		return []Check{check}
	}
	users, _ := openclaw.Users(c.Root)
	var told, hints []string
	for _, u := range users {
		if u.UID < 0 || !slices.Contains(ids, uint32(u.UID)) {
			continue
		}
		found := slices.Concat(c.cronOf(u), c.atOf(u), c.unitsOf(ctx, u))
		if len(found) > 0 {
			hints = append(hints, fmt.Sprintf("crontab -l -u %s; ls -l %s/*/", console.ShellWord(u.Name), console.ShellWord(openclaw.UserUnitDirs(u.Home)[0])))
		}
		told = append(told, found...)
	}
	if check.OK = len(told) == 0; !check.OK {
		check.Detail = "starting by itself with no sign of OpenClaw: " + listed(told)
		check.Hint = strings.Join(hints, "; ") + " shows it; take out what you do not know"
	}
	return []Check{check}
}

// cronSetting is a line of a crontab that sets a variable (crontab(5)).
var cronSetting = regexp.MustCompile(`^["']?[A-Za-z_][A-Za-z0-9_]*["']?\s*=`)

// cronOf tells how many lines of a user's crontab start something.
func (c *Containment) cronOf(u openclaw.User) (told []string) {
	for _, dir := range cronDirs[:len(cronDirs)-1] { // /etc/cron.d is root's
		file := path.Join(dir, path.Base(u.Name))
		text, _, err := host.ReadFile(ourselves(), onDisk(c.Machine, file))
		if err != nil && !errors.Is(err, fs.ErrPermission) { // that only root can look has been told
			told = append(told, fmt.Sprintf("%s (%s)", file, openclaw.Cause(err)))
		}
		n := 0
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' && !cronSetting.MatchString(line) {
				n++
			}
		}
		if n > 0 {
			told = append(told, fmt.Sprintf("%s (%d)", file, n))
		}
	}
	return told
}

// atOf tells a user's jobs of at.
func (c *Containment) atOf(u openclaw.User) (told []string) {
	for _, dir := range []string{"/var/spool/cron/atjobs", "/var/spool/at"} {
		entries, _ := fs.ReadDir(c.Root, openclaw.FSName(dir))
		for _, e := range entries {
			if fi, err := e.Info(); err == nil && fi.Mode().IsRegular() && int64(host.Meta(fi).UID) == int64(u.UID) && e.Name()[0] != '.' {
				told = append(told, path.Join(dir, e.Name()))
			}
		}
	}
	return told
}

// unitsOf tells the units of a user's own that start at login, and those that wait for something, other than those that are kept down.
func (c *Containment) unitsOf(ctx context.Context, u openclaw.User) (told []string) {
	add := func(name string) {
		kept := slices.ContainsFunc(c.Journal.Units, func(v Unit) bool { return v.User && int64(v.UID) == int64(u.UID) && v.Name == name })
		if !kept && !slices.Contains(told, name) {
			told = append(told, name)
		}
	}
	own := openclaw.UserUnitDirs(u.Home)
	_, everybodys := openclaw.UnitDirs()
	for _, dir := range slices.Concat(own, everybodys) {
		dirs, _ := fs.ReadDir(c.Root, openclaw.FSName(dir))
		for _, d := range dirs {
			if !slices.Contains([]string{".wants", ".requires", ".upholds"}, path.Ext(d.Name())) {
				continue
			}
			links, _ := fs.ReadDir(c.Root, openclaw.FSName(path.Join(dir, d.Name())))
			for _, l := range links {
				target, err := fs.ReadLink(c.Root, openclaw.FSName(path.Join(dir, d.Name(), l.Name())))
				theirs := slices.Contains(own, dir) && !openclaw.Within(path.Clean(target), "/usr")
				if err == nil && (theirs || c.makes(own, l.Name())) { // else it is of the system's
					add(l.Name())
				}
			}
		}
	}
	mgr, ok := c.managerOf(Unit{User: true, UID: uint32(u.UID)})
	if !ok {
		return told
	}
	res := c.Run.Run(ctx, mgr.Systemctl("show", "--property=Id,ActiveState,FragmentPath", "--", "*.timer", "*.path", "*.socket"))
	for b := range blocks(string(res.Stdout)) {
		if file := b.get("FragmentPath"); b.get("ActiveState") == "active" && !openclaw.Within(file, "/usr") && validUnit(b.get("Id")) {
			add(b.get("Id"))
		}
	}
	return told
}

// makes says whether a unit's file, or a drop-in, lies in one of a user's own directories: it counts, whatever a link to start the unit leads
// to. A unit that is masked is none.
func (c *Containment) makes(own []string, unit string) bool {
	return slices.ContainsFunc(own, func(dir string) bool {
		info, err := fs.Stat(c.Root, openclaw.FSName(path.Join(dir, unit)))
		return err == nil && info.Mode().IsRegular() || slices.ContainsFunc(dropInDirs(unit), func(drops string) bool {
			_, err := fs.Stat(c.Root, openclaw.FSName(path.Join(dir, drops)))
			return err == nil
		})
	})
}
