package collect

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/host"
)

// An Alarm says that something of the past, which an earlier link of the chain holds, is no longer what it was on the host, and
// that nothing was found that would explain it.
type Alarm struct {
	// Kind is one of: rewritten (bytes that were sealed are others now), cut (a part of them is no more), replaced (another file lies
	// there, and the old one nowhere), gone, times (changed without a change of size and times), rows (rows of a database are other
	// ones or no more), seal (seals of the chain are missing from the case).
	Kind   string `json:"kind"`
	Path   string `json:"path"`
	Detail string `json:"detail"`
	// Link is the number of the link that holds what was there; 0 if that is not the matter.
	Link int `json:"link,omitzero"`
}

// A suspect is what may become an alarm. Only at the end of a snapshot is it known where a file went.
type suspect struct {
	Alarm
	e *entry
}

// A keeping says what is expected of a file's past.
type keeping int

const (
	rewritable keeping = iota // programs rewrite it as they please
	growing                   // it only grows: a log, a transcript
	fixed                     // it never changes: an archive
)

// keepingOf goes by what asked for a file, and its name.
func keepingOf(e *entry) keeping {
	name := path.Base(e.path)
	switch {
	case e.kind != File:
		return rewritable
	case e.source == "transcript" && strings.HasSuffix(name, ".jsonl"):
		return growing
	case e.source == "transcript" && (strings.Contains(name, ".jsonl.") || strings.HasSuffix(name, ".zst")):
		return fixed
	case e.source == "log" && (strings.Contains(name, ".log") || strings.HasSuffix(name, ".jsonl")):
		return growing
	case e.source == "syslog" && strings.HasPrefix(e.path, "/var/log/"):
		return growing
	case e.source == "login" && (strings.HasPrefix(name, "wtmp") || strings.HasPrefix(name, "btmp")):
		return growing
	}
	return rewritable
}

// inode names a file whatever it is called.
type inode struct{ dev, number uint64 }

// movedFrom returns what the chain has, under another name, of a file that is new under this one: the same inode, or a copy by its
// name, as X.log.1 is one of X.log.
func (p *past) movedFrom(m *Meta) *entry {
	if p.inodes == nil {
		p.inodes = map[inode]*entry{}
		for _, e := range p.old.entries {
			if keepingOf(e) != rewritable && e.claimed() && e.count > 0 {
				p.inodes[inode{e.dev, e.inode}] = e
			}
		}
	}
	if e := p.inodes[inode{m.Dev, m.Inode}]; e != nil && e.sameFile(m) {
		if e.path == m.Path {
			return nil
		}
		return e
	}
	for stem := m.Path; ; {
		i := strings.LastIndexAny(stem, ".-/")
		if i <= 0 || stem[i] == '/' {
			return nil
		}
		stem = stem[:i]
		if e := p.old.entries[stem]; e != nil && keepingOf(e) != rewritable && e.claimed() && e.count > 0 {
			return e
		}
	}
}

// moved notes where a file went, and suspects that it was changed on the way.
func (p *past) moved(e *entry, m *Meta, diff change) {
	to := m.Path
	if diff.kept || e.state.has(torn) {
		p.went[e.path] = to
	} else if e.sameFile(m) {
		p.went[e.path] = to
		detail := fmt.Sprintf("moved to %q, and not what it was from byte %d on", to, diff.first)
		p.suspects = append(p.suspects, suspect{Alarm{"rewritten", e.path, detail, e.link}, nil})
	}
}

// suspicion says what is wrong with a file that differs from what the chain has of it, "" if nothing is.
func (c *collector) suspicion(base *entry, m *Meta, size int64, diff change) string {
	p := c.past
	if base.state.has(torn) || size == base.size && diff.bytes == 0 {
		return ""
	}
	if p.full && size == base.size && base.claimed() && !base.state.has(again) && base.sameStat(m) && !strings.HasSuffix(m.Path, "-shm") {
		detail := fmt.Sprintf("other content from byte %d on, with the size and the times it had", diff.first)
		p.suspects = append(p.suspects, suspect{Alarm{"times", m.Path, detail, base.link}, nil})
		return detail
	}
	if diff.kept || keepingOf(base) == rewritable || base.size == 0 {
		return ""
	}
	a := Alarm{Kind: "rewritten", Path: m.Path, Link: base.link}
	switch {
	case !base.sameFile(m):
		a.Kind, a.Detail = "replaced", fmt.Sprintf("another file than the one of snapshot %d, of %d bytes, and not its continuation", base.link, base.size)
	case size < base.size && diff.first >= size-size%base.chunk:
		a.Kind, a.Detail = "cut", fmt.Sprintf("cut short: %d bytes are left of the %d that snapshot %d holds", size, base.size, base.link)
	default:
		a.Detail = fmt.Sprintf("what was sealed as its first %d bytes in snapshot %d was changed, from byte %d on", base.size, base.link, diff.first)
	}
	p.suspects = append(p.suspects, suspect{a, base})
	return a.Detail
}

// lostPast suspects a file of the past that is gone, and says what explains it.
func (c *collector) lostPast(e *entry) string {
	rows := c.past.old.Rows[e.path]
	if keepingOf(e) == rewritable && rows == nil || !e.claimed() || e.size == 0 {
		return ""
	}
	if why := c.explain(e); why != "" {
		return why
	}
	detail := fmt.Sprintf("gone: snapshot %d holds %d bytes of it, last written %s", e.link, e.size, timeOf(e.mtime).UTC().Format(time.RFC3339))
	c.out.Alarms = append(c.out.Alarms, Alarm{"gone", e.path, detail, e.link})
	return detail
}

// alarms turns what is suspect and has no explanation into alarms.
func (c *collector) alarms() {
	for _, s := range c.past.suspects {
		if s.e == nil || s.Kind == "rewritten" || c.explain(s.e) == "" {
			c.out.Alarms = append(c.out.Alarms, s.Alarm)
		}
	}
}

// rotated are the names of logs that were moved out of the way, and are deleted in their turn.
var rotated = regexp.MustCompile(`\.\d+(\.log)?(\.gz|\.xz|\.zst|\.bz2)?$|-\d{8,}(\.gz|\.xz|\.zst)?$|\.(gz|xz|old)$`)

const (
	logsLast     = 24 * time.Hour      // OpenClaw deletes its logs so long after they were last written
	archivesLast = 30 * 24 * time.Hour // and archives of sessions (session.maintenance.pruneAfter)
)

// explain looks for an innocent reason why a file is no longer where or what it was, "" for none.
func (c *collector) explain(e *entry) string {
	if to := c.past.went[e.path]; to != "" {
		return fmt.Sprintf("moved to %q", to)
	}
	if to := c.past.successor(e.path); to != "" {
		return fmt.Sprintf("compressed: %q came at the same time, and was not compared", to)
	}
	return c.deleted(e)
}

// deleted says what deletes a file that is gone; of one that is still there, and shorter, that explains nothing.
func (c *collector) deleted(e *entry) string {
	// The time of the last write can be set back by whoever wants the file to pass for old; that this was done cannot.
	age := c.past.settled.Sub(timeOf(max(e.mtime, e.ctime)))
	switch isLog := e.source != "transcript"; {
	case c.past.next[e.path].is(e):
		return ""
	case isLog && rotated.MatchString(e.path):
		return "a rotated log, which makes room for the next"
	case e.source == "log" && age > logsLast:
		return "a log that was last written more than a day ago: OpenClaw deletes those itself"
	case strings.HasPrefix(e.path, "/tmp/") && c.rebooted():
		return "the machine was restarted, which empties /tmp"
	case !isLog && keepingOf(e) == fixed && age > archivesLast:
		return "an archive of more than 30 days: OpenClaw deletes those itself"
	}
	return ""
}

// successor finds a path that is new, compressed, and whose name continues the given one, as those of rotated logs and archived
// transcripts do. One that is not compressed was compared when it was stored.
func (p *past) successor(name string) string {
	if p.fresh == nil {
		p.fresh = []string{}
		for to, e := range p.next {
			if p.old.entries[to] == nil && e.claimed() && e.size > 0 && compressed.MatchString(to) {
				p.fresh = append(p.fresh, to)
			}
		}
		slices.Sort(p.fresh)
	}
	for _, mark := range []string{".", "-"} {
		i, _ := slices.BinarySearch(p.fresh, name+mark)
		if i < len(p.fresh) && strings.HasPrefix(p.fresh[i], name+mark) {
			return p.fresh[i]
		}
	}
	return ""
}

var compressed = regexp.MustCompile(`\.(gz|xz|zst|bz2)$`)

// rebooted says whether the machine was started after the link before.
func (c *collector) rebooted() bool {
	return c.root.Live() && host.BootTime(c.root).After(c.past.old.Started)
}
