package collect

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/product"
)

const (
	// maxDepth bounds how deep a walk goes: each level costs a lookup for each file beneath it.
	maxDepth = 256
	// maxName bounds a path that is walked, in bytes; a bundle holds longer ones than any tool opens.
	maxName = 32 << 10
	// fullManifest is how many rows are written at most, a little less than a reader takes.
	fullManifest = maxRows - 4096
)

// A collector takes the targets of one host, one after the other.
type collector struct {
	ctx     context.Context
	root    *host.Root
	rootDir string  // where the root lies, as the kernel says it; "" if it does not say
	w       *Writer // nil only to estimate
	o       Options
	out     Outcome
	sizes   sizes // of an estimate

	places   places
	mounts   mountTable
	mountErr error // why the mount table is not known
	targets  []*target
	owner    map[string]int // the first target that names a path
	states   []string       // state directories, links resolved
	current  int            // index of the target being taken
	seen     map[[16]byte]struct{}
	listed   int64 // what the names weigh that are listed and not taken yet
	rows     int64
	past     *past         // what a chain of snapshots holds; nil to store everything
	lease    time.Duration // how long we may still wait for files that are leased
	scope    map[string]bool
}

// A visit says how a path is taken.
type visit struct {
	source  string
	listing string   // why only metadata is taken; "" takes content
	depth   int      // levels beneath the target; 0 is what the catalog names
	in      *os.File // the directory that it lies in, open; nil to look it up
	left    *int64   // bytes of content that are still taken in a group with a limit
}

// newCollector finds every target of the host.
func newCollector(ctx context.Context, root *host.Root, installs []*openclaw.Installation, o Options) *collector {
	c := &collector{
		ctx: ctx, root: root, o: o, out: Outcome{Rows: map[Status]int64{}}, sizes: sizes{}, lease: maxLease,
		owner: map[string]int{}, scope: map[string]bool{}, seen: map[[16]byte]struct{}{},
	}
	if f, err := root.OpenNoFollow("."); err == nil {
		c.rootDir = openedPath(f)
		f.Close()
	}
	mounts, err := root.Mounts()
	c.mounts, c.mountErr = newMountTable(mounts), err
	c.places = findPlaces(root, installs)
	c.prepare()
	return c
}

// prepare finds out where the targets lie and which of them takes what.
func (c *collector) prepare() {
	c.targets = c.places.targets()
	for _, t := range c.targets {
		c.resolve(t)
		if t.Place == AtState && t.Path == "" {
			c.states = append(c.states, t.path)
		}
	}
	for i, t := range c.targets {
		if t.refused == "" && t.foreign {
			t.refused = c.private(t.path)
		}
		if t.refused != "" || t.glob != "" {
			continue
		}
		if _, taken := c.owner[t.path]; !taken {
			c.owner[t.path] = i
		}
		c.scope[t.path] = c.scope[t.path] || !t.Listing && c.o.Profile.takes(t.Rank)
	}
}

// private says why a path is only listed, "" if it is not. It keeps a config or a link, which the agent can write,
// from turning the collection on such a path.
func (c *collector) private(p string) string {
	for _, t := range c.targets {
		if t.Listing && t.glob == "" && !t.foreign && openclaw.Within(p, t.path) {
			return t.Why
		}
	}
	return ""
}

// take takes one target. An error means that the bundle cannot be written.
func (c *collector) take(i int) error {
	t := c.targets[i]
	c.current = i
	for _, link := range t.links {
		if err := c.visit(link, visit{source: t.Source}); err != nil {
			return err
		}
	}
	row := Row{Meta: Meta{Path: path.Join(t.path, t.glob), Source: t.Source}, Status: Skipped}
	switch {
	case t.refused != "":
		row.Reason = t.refused
	case !c.o.Profile.takes(t.Rank):
		row.Reason = "not part of this profile"
	case c.ctx.Err() != nil:
		row.Reason = interrupted
	case t.glob != "":
		return c.expand(t, row)
	default:
		return c.visit(t.path, visit{source: t.Source, listing: t.listing})
	}
	return c.record(row)
}

const interrupted = "interrupted"

// expand takes what matches a pattern. Where nothing does, the row that is given says so.
func (c *collector) expand(t *target, row Row) error {
	matched := false
	err := c.match(t.path, strings.Split(t.glob, "/"), func(name string) error {
		matched = true
		return c.matched(name, t)
	})
	if err != nil || matched {
		return err
	}
	row.Status, row.Reason = Missing, "nothing matches"
	return c.record(row)
}

// matched takes a match, and at trusted places what a link stands for too.
func (c *collector) matched(name string, t *target) error {
	v := visit{source: t.Source, listing: t.listing, depth: 1}
	if !t.followed() {
		return c.visit(name, v)
	}
	real, links := c.follow(name)
	for _, link := range links {
		if err := c.visit(link, v); err != nil {
			return err
		}
	}
	if real != name {
		u := *t
		u.path, u.glob, u.foreign = real, "", true
		if c.judge(&u); u.refused != "" || c.private(real) != "" || !c.isRegular(real) {
			return nil // the link is there, and says where it leads
		}
	}
	return c.visit(real, v)
}

// match calls yield for every path beneath dir that matches the pattern's components.
func (c *collector) match(dir string, pattern []string, yield func(string) error) error {
	if !strings.ContainsAny(pattern[0], `*?[\`) {
		name := path.Join(dir, pattern[0])
		fi, err := c.root.Lstat(hostName(name))
		if err != nil {
			return c.unlisted(name, err)
		}
		if len(pattern) > 1 && !fi.IsDir() {
			return nil
		}
		if len(pattern) == 1 {
			return yield(name)
		}
		return c.match(name, pattern[1:], yield)
	}
	if c.mounts.skip(dir) != "" {
		return nil
	}
	each := func(name string) error {
		if c.ctx.Err() != nil {
			return nil // the targets that follow say so
		}
		if len(pattern) > 1 {
			return c.match(path.Join(dir, name), pattern[1:], yield)
		}
		return yield(path.Join(dir, name))
	}
	for names, err := range c.matching(dir, pattern[0], len(pattern) > 1) {
		for _, name := range names {
			if err := each(name); err != nil {
				return err
			}
		}
		if err != nil {
			return c.unlisted(dir, err)
		}
	}
	return nil
}

// matching are the names in a directory, of directories or of all, that a pattern matches: sorted, as far as they can be held. The error
// that ended the listing is the last's.
func (c *collector) matching(dir, pattern string, dirs bool) iter.Seq2[[]string, error] {
	return func(yield func([]string, error) bool) {
		var names []string
		var held int64
		for e, err := range c.root.ReadDirIter(hostName(dir)) {
			if err != nil || held > maxListed {
				slices.Sort(names)
				if !yield(names, err) || err != nil {
					return
				}
				names, held = nil, 0
			}
			if ok, _ := path.Match(pattern, e.Name()); ok && (e.IsDir() || !dirs) {
				names, held = append(names, e.Name()), held+int64(len(e.Name()))+32
			}
		}
		slices.Sort(names)
		yield(names, nil)
	}
}

// unlisted says that a directory could not be searched for a pattern.
func (c *collector) unlisted(dir string, err error) error {
	if openclaw.IsAbsent(err) {
		return nil
	}
	return c.record(Row{
		Meta: Meta{Path: dir, Source: c.targets[c.current].Source}, Status: Unreadable,
		Reason: "looking for " + c.targets[c.current].name() + ": " + openclaw.Cause(err),
	})
}

// first says whether a path is met for the first time. Digests keep the memory flat; 128 bits of them do not collide.
func (c *collector) first(p string) bool {
	sum := sha256.Sum256([]byte(p))
	key := [16]byte(sum[:16])
	if _, ok := c.seen[key]; ok {
		return false
	}
	c.seen[key] = struct{}{}
	return true
}

func (c *collector) met(p string) bool {
	sum := sha256.Sum256([]byte(p))
	_, ok := c.seen[[16]byte(sum[:16])]
	return ok
}

// later says that a target still to come names this path.
func (c *collector) later(p string) bool {
	i, ok := c.owner[p]
	return ok && i > c.current
}

// visit takes a path, whatever it is, unless that was done before or is another target's.
func (c *collector) visit(p string, v visit) error {
	if c.later(p) || c.met(p) {
		return nil
	}
	if base := databaseOf(p); base != "" && !c.met(base) && c.isRegular(base) {
		return c.visit(base, v) // it takes p with it
	}
	c.first(p)
	row := Row{Meta: Meta{Path: p, Source: v.source}, Status: Skipped}
	if why := c.keepOut(p); why != "" && v.depth > 0 {
		row.Type, row.Reason = Dir, why
		return c.record(row)
	}
	fi, err := c.lstat(p, v.in)
	if err != nil {
		return c.failed(row.Meta, v, err)
	}
	row.Meta = metaOf(p, v.source, fi)
	if v.listing == "" && !c.targets[c.current].Place.trusted() && c.shut(&row.Meta) {
		v.listing = "listing only: the agent says that it is its own, and may not read it"
	}
	switch row.Type {
	case Dir:
		return c.dir(row.Meta, v)
	case Symlink:
		return c.link(row.Meta)
	case File:
		if isDatabase(p) || v.depth == 0 && v.source == "database" { // a link to it can lead to any name
			return c.database(row.Meta, v)
		}
		return c.file(row.Meta, v)
	}
	row.Reason = "a " + string(row.Type) + " is never opened"
	return c.record(row)
}

// shut says whether no agent's user may read a file, or enter a directory. Where an agent, which runs as another user than root, says that its
// things lie, root's lie too. With a state, in a home, or under OpenClaw's name they are evidence whoever made them.
func (c *collector) shut(m *Meta) bool {
	permission := uint32(0o4)
	if m.Type == Dir {
		permission = 0o1
	}
	may := func(who host.Owner) bool {
		return who.May(permission, host.Owner{UID: m.UID, GID: m.GID}, uint32(m.Mode))
	}
	if m.Type == Symlink || os.Geteuid() != 0 || len(c.places.agents) == 0 || slices.ContainsFunc(c.places.agents, may) {
		return false // nearly everything
	}
	within := func(place string) bool { return openclaw.Within(m.Path, place) }
	return !product.Mentions(m.Path) && !slices.ContainsFunc(c.states, within) && !slices.ContainsFunc(c.places.at[AtOwner], within)
}

// lstat describes a path, which lies in an open directory if one is given.
func (c *collector) lstat(p string, in *os.File) (fs.FileInfo, error) {
	if in == nil {
		return c.root.Lstat(hostName(p))
	}
	return c.root.LstatIn(in, hostName(p))
}

// keepOut says why a path is not even looked at.
func (c *collector) keepOut(p string) string {
	if slices.Contains(c.o.Exclude, p) {
		return "our own"
	}
	if why := c.mounts.skip(p); why != "" {
		return "not entered: " + why
	}
	return ""
}

func (c *collector) isRegular(p string) bool {
	fi, err := c.root.Lstat(hostName(p))
	return err == nil && fi.Mode().IsRegular()
}

// failed records a path that could not be described or opened.
func (c *collector) failed(m Meta, v visit, err error) error {
	row := Row{Meta: m, Status: Unreadable, Reason: openclaw.Cause(err)}
	if openclaw.IsAbsent(err) {
		row.Status, row.Reason, row.Type, row.HostSize = Missing, "does not exist", "", 0
		if v.depth > 0 || m.Type != "" {
			row.Reason = "vanished before it could be read"
		}
	}
	return c.record(row)
}

// link stores a symlink and says if what it leads to is not taken by another way.
func (c *collector) link(m Meta) error {
	target, err := c.root.ReadLink(hostName(m.Path))
	if err != nil {
		return c.failed(m, visit{}, err)
	}
	m.Link = target
	if !path.IsAbs(target) {
		target = path.Join(path.Dir(m.Path), target)
	}
	if !c.inScope(path.Clean(target)) {
		m.Note = "its target is outside the scope"
	}
	if c.past.unchanged(c, &m) {
		return nil
	}
	c.extra(&m)
	if c.w == nil {
		return nil
	}
	row, err := c.w.AddLink(m)
	return c.done(row, err)
}

// inScope says whether a path lies in what is collected.
func (c *collector) inScope(p string) bool {
	for ; ; p = path.Dir(p) {
		if taken, ok := c.scope[p]; ok {
			return taken
		}
		if p == "/" {
			return false
		}
	}
}

// dir takes a directory's entries and then the directory itself, so that its row can say how the listing ended.
func (c *collector) dir(m Meta, v visit) error {
	if g := c.group(m.Path); g != nil && v.depth > 0 && v.listing == "" {
		v.listing = fmt.Sprintf("listing only: %s (%s)", g.Why, g.Name)
		if g.Limit > 0 {
			left := g.Limit
			v.left = &left
		}
	}
	if v.depth >= maxDepth || len(m.Path) > maxName {
		return c.cut(m, fmt.Sprintf("not entered: more than %d levels or a path of more than %d bytes", maxDepth, maxName))
	}
	f, now, err := c.open(m)
	if err != nil {
		return c.failed(m, v, err)
	}
	defer f.Close()
	v.depth, v.in = v.depth+1, f
	taken := 0
	ended := ""
	for ended == "" {
		names, held, err := c.names(f)
		for _, name := range names {
			if ended = c.stopped(); ended != "" {
				break
			}
			if err := c.visit(path.Join(m.Path, name), v); err != nil {
				return err
			}
			taken++
		}
		c.listed -= held
		if ended == "" && errors.Is(err, io.EOF) {
			return c.addDir(now)
		}
		if ended == "" && err != nil {
			ended = "listing it failed: " + openclaw.Cause(err)
		}
	}
	return c.record(Row{Meta: now, Status: Truncated, Reason: fmt.Sprintf("%s after %d of its entries", ended, taken)})
}

// maxListed bounds the names that are held to be sorted, in bytes, of all directories that are inside each other.
const maxListed = 64 << 20

// names returns the next names of a directory, sorted, and what they weigh. Whoever reads a bundle reads its files by name, and
// decompresses a frame once for each run of files that lie in it: of a million small ones in no order, once for each file.
func (c *collector) names(f *os.File) (names []string, held int64, err error) {
	for err == nil {
		var more []string
		more, err = f.Readdirnames(256)
		names = append(names, more...)
		for _, name := range more {
			held += int64(len(name)) + 32
		}
		if c.listed+held > maxListed {
			break
		}
	}
	c.listed += held
	slices.Sort(names)
	return names, held, err
}

// stopped says why no more is taken.
func (c *collector) stopped() string {
	if c.ctx.Err() != nil {
		return interrupted
	}
	if c.rows >= fullManifest {
		return fmt.Sprintf("the manifest is full with %d rows", c.rows)
	}
	return ""
}

func (c *collector) addDir(m Meta) error {
	if c.w == nil || c.past.unchanged(c, &m) {
		return nil
	}
	row, err := c.w.AddDir(m)
	return c.done(row, err)
}

// group returns the group that a directory belongs to, nil if it is taken.
func (c *collector) group(dir string) *Group {
	for i := range groups {
		g := &groups[i]
		if slices.Contains(c.o.Include, g.Name) {
			continue
		}
		if end, ok := strings.CutPrefix(g.Path, "**"); ok {
			if strings.HasSuffix(dir, end) {
				return g
			}
			continue
		}
		for _, state := range c.states {
			rel, ok := strings.CutPrefix(dir, state+"/")
			if match, _ := path.Match(g.Path, rel); ok && match {
				return g
			}
		}
	}
	return nil
}
