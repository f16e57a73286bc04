package collect

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// maxAccounts bounds the homes that are looked into. Who can write /etc/passwd could make it endless.
const maxAccounts = 1000

// A target is an Entry at one of its places.
type target struct {
	*Entry
	base    string   // absolute path of the place
	path    string   // where it lies, links resolved; of a pattern, the directory before its first wildcard
	glob    string   // the rest of the pattern
	links   []string // links that were met on the way
	foreign bool     // a config or a link says where it lies, which whoever can write those could turn on anything
	refused string   // why nothing is taken here
	listing string   // why only metadata is taken
}

// name is the target as the catalog names it, for a row about it as a whole.
func (t *target) name() string { return joinPlace(t.base, t.Path, t.Place) }

// continued are the places whose name the pattern continues, without a slash between them.
var continued = []Place{AtStateName, AtConfig, AtUnit, AtLogStem}

func joinPlace(base, rel string, at Place) string {
	switch {
	case rel == "":
		return base
	case slices.Contains(continued, at):
		return base + rel
	}
	return strings.TrimSuffix(base, "/") + "/" + rel
}

// places are the directories and files that the entries are relative to.
type places struct {
	at     map[Place][]string
	states []string
	agents []host.Owner // as whom the agents act
	homes  []string     // of people: what is as wide as one of them is not taken as a whole
	cut    int          // accounts beyond maxAccounts
}

func findPlaces(root *host.Root, installs []*openclaw.Installation) places {
	p := places{at: map[Place][]string{AtHost: {"/"}}}
	p.accounts(root)
	for _, in := range installs {
		p.installation(in)
		p.agents = append(p.agents, in.RunsAs(root)...)
	}
	p.add(AtOperators, p.at[AtOwner]...)
	p.add(AtOperators, "/root", "/var/root")
	return p
}

func (p *places) add(at Place, paths ...string) {
	for _, name := range paths {
		if path.IsAbs(name) && !strings.ContainsRune(name, 0) && !slices.Contains(p.at[at], path.Clean(name)) {
			p.at[at] = append(p.at[at], path.Clean(name))
		}
	}
}

// accounts adds the homes that exist. Those of system accounts are often "/" or a directory of the system.
func (p *places) accounts(root *host.Root) {
	users, _ := openclaw.Users(root)
	slices.SortStableFunc(users, func(a, b openclaw.User) int { return cmp.Compare(rankUser(a), rankUser(b)) })
	for _, u := range users {
		if strings.ContainsRune(u.Home, 0) || isSystemDir(u.Home) || strings.HasPrefix(u.Home, "/proc/") {
			continue
		}
		if fi, err := root.Stat(hostName(u.Home)); err != nil || !fi.IsDir() {
			continue
		}
		if len(p.at[AtHome]) >= maxAccounts {
			p.cut++
			continue
		}
		p.add(AtHome, u.Home)
		if rankUser(u) == 0 {
			p.homes = append(p.homes, u.Home)
		}
	}
}

// rankUser puts people before system accounts.
func rankUser(u openclaw.User) int {
	if u.UID == 0 || u.UID == -1 || u.UID >= 1000 || u.UID >= 500 && strings.HasPrefix(u.Home, "/Users/") {
		return 0
	}
	return 1
}

func (p *places) installation(in *openclaw.Installation) {
	p.add(AtState, in.StateDir)
	p.add(AtStateName, in.StateDir)
	p.states = append(p.states, in.StateDir)
	if in.Home != "" && !isSystemDir(in.Home) {
		p.add(AtOwner, in.Home)
		p.add(AtHome, in.Home)
	}
	p.add(AtConfig, in.ConfigPath)
	if in.Config != nil {
		p.add(AtConfig, in.Config.Files...)
	}
	p.add(AtDatabase, in.StateDB()) // here too, so that a link in its place is followed
	for _, a := range in.Agents {
		p.add(AtAgent, a.Dir)
		p.add(AtDatabase, a.Database)
		p.add(AtSessions, a.Sessions)
		p.add(AtWorkspace, a.Workspace)
	}
	for _, l := range in.LoadDirs {
		p.add(AtLoad, l.Path)
	}
	p.add(AtLogs, in.LogDirs...)
	p.add(AtLogFile, in.LogFile)
	p.add(AtLogStem, in.LogStem())
	for _, u := range in.Units {
		p.add(AtUnit, u.Path)
	}
}

// systemDirs are never taken as a whole, whatever a config or a link says.
var systemDirs = strings.Fields("/ /bin /boot /dev /etc /home /lib /lib64 /media /mnt /opt /proc /root/. /run /sbin /srv " +
	"/sys /tmp /usr /usr/bin /usr/lib /usr/sbin /usr/local /usr/share /var /var/lib /var/log /var/run /var/tmp " +
	"/Users /Library /System /Applications /Volumes /private /private/etc /private/tmp /private/var")

func isSystemDir(dir string) bool { return slices.Contains(systemDirs, dir) }

// wide says why a directory that a config or a link names cannot be meant as a whole.
func (p *places) wide(dir string, at Place) string {
	if isSystemDir(dir) {
		return "is a directory of the system"
	}
	for _, home := range p.homes {
		if home != dir && openclaw.Within(home, dir) {
			return "holds the home " + quoteName(home)
		}
		if home == dir && at != AtState {
			return "is the whole home of an account"
		}
	}
	for _, state := range p.states {
		if state != dir && openclaw.Within(state, dir) && at != AtState {
			return "holds the state directory " + quoteName(state)
		}
	}
	return ""
}

// hostName turns an absolute path into the name a Root knows it by.
func hostName(p string) string {
	if p == "/" {
		return "."
	}
	return p[1:]
}

// splitGlob cuts a pattern before its first component with a wildcard.
func splitGlob(pattern string) (literal, glob string) {
	i := strings.IndexAny(pattern, "*?[")
	if i < 0 {
		return pattern, ""
	}
	slash := strings.LastIndexByte(pattern[:i], '/')
	if slash < 0 {
		return "", pattern
	}
	return pattern[:slash], pattern[slash+1:]
}

// targets returns the catalog at every place, in order.
func (p *places) targets() []*target {
	var list []*target
	for i := range catalog {
		e := &catalog[i]
		for _, base := range p.at[e.Place] {
			t := &target{Entry: e, base: base}
			if e.Listing {
				t.listing = e.Why
			}
			list = append(list, t)
		}
	}
	slices.SortStableFunc(list, func(a, b *target) int { return cmp.Compare(a.Rank, b.Rank) })
	return list
}

// trusted says whether an entry of this place is where a table or root put it. The others are named by the
// config, which the agent can write.
func (at Place) trusted() bool {
	switch at {
	case AtHost, AtHome, AtOwner, AtOperators, AtUnit, AtState, AtStateName:
		return true
	}
	return false
}

// followed says whether links are followed to the end of the entry's path, and not only to its place. A log directory is
// where anybody can put a link, and OpenClaw does not follow one there.
func (e *Entry) followed() bool {
	switch e.Place {
	case AtHost, AtHome, AtOwner, AtOperators:
		return true
	case AtLogs:
		return false
	}
	return e.Path == ""
}

// resolve finds where a target really lies. A link beneath a state directory ends the way: it is stored as a link.
func (c *collector) resolve(t *target) {
	dir := t.base
	literal, glob := splitGlob(t.Path)
	if t.Path == "" && !t.followed() {
		dir, literal = path.Split(t.base)
	}
	if t.Path != "" && slices.Contains(continued, t.Place) {
		dir = path.Dir(t.base)
		literal, glob = path.Base(t.base)+t.Path, ""
		if _, wild := splitGlob(t.Path); wild != "" {
			literal, glob = "", quoteGlob(path.Base(t.base))+t.Path
		}
	}
	t.path, t.links = c.follow(dir)
	t.glob = glob
	if literal != "" {
		c.descend(t, literal)
	}
	t.foreign = t.foreign || !t.Place.trusted()
	c.judge(t)
}

// descend goes on from the place to the part of the path before a wildcard.
func (c *collector) descend(t *target, literal string) {
	want := joinPlace(t.path, literal, AtHost)
	if t.followed() {
		links := t.links
		t.path, t.links = c.follow(want)
		t.links = append(links, t.links...)
		t.foreign = t.path != want
		return
	}
	for part := range strings.SplitSeq(literal, "/") {
		t.path = path.Join(t.path, part)
		if _, err := c.root.ReadLink(hostName(t.path)); err == nil {
			t.glob = ""
			return
		}
	}
}

// judge refuses what cannot be meant.
func (c *collector) judge(t *target) {
	if mount := c.mounts.over(t.path); mount != nil && host.IsPseudoFS(mount.Type) {
		t.refused = "on a " + mount.Skip()
	} else if t.glob == "" && t.foreign || t.Place == AtState && t.Path == "" {
		t.refused = c.places.wide(t.path, t.Place)
	}
	if t.refused != "" && t.Place == AtWorkspace {
		t.refused += ": only the agent's own files in it are taken"
	}
}

// quoteGlob makes a name a pattern that matches only itself.
func quoteGlob(name string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(name)
}

// maxComponents bounds the way to a place, links included.
const maxComponents = 4096

// follow resolves a path as the host would, and returns the links it met.
func (c *collector) follow(name string) (real string, links []string) {
	todo := strings.Split(name, "/")
	real = "/"
	for steps := 0; len(todo) > 0; steps++ {
		part := todo[0]
		todo = todo[1:]
		next := path.Join(real, part) // real has no links, so that ".." means what it says
		if part == "" || part == "." || part == ".." || c.mounts.skip(next) != "" {
			real = next
			continue
		}
		target, err := c.root.ReadLink(hostName(next))
		if err != nil || len(links) >= maxHops || steps > maxComponents {
			real = next // no link, or not there, which whoever looks at the end of the path will see
			continue
		}
		links = append(links, next)
		if path.IsAbs(target) {
			real = "/"
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	return real, links
}
