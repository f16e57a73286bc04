package collect

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// past is what a chain of snapshots holds, as the collector of the next link knows it. All its methods take nil for a collection
// that is no snapshot.
type past struct {
	key     []byte
	number  int
	full    bool
	old     *index // empty for the first link
	next    map[string]*entry
	said    map[[16]byte]bool
	out     *indexWriter
	settled time.Time // what changed later may change again without a change of its times
	seen    *chunker  // of the file that is being stored

	rows      map[string]databaseRows
	undecided []string // databases of which it could not be told whether rows of the past changed
	suspects  []suspect
	inodes    map[inode]*entry  // of what the chain has and nobody should rewrite
	went      map[string]string // where it went
	fresh     []string          // compressed files that are new
}

// tickOf is how long a file system's time stands still: two writes within it may leave the same. FAT counts two seconds, and shows
// itself by times without fractions.
func tickOf(t int64) time.Duration {
	if t%int64(time.Second) == 0 {
		return 2 * time.Second
	}
	return 50 * time.Millisecond
}

// mappedFor is how long a file may change without a change of its times by whoever has it mapped into memory: the first write to a page sets
// them, and the next ones do not until the kernel has written the page back, which it does within 35 s (vm.dirty_expire_centisecs and
// vm.dirty_writeback_centisecs). tmpfs writes nothing back and sets none.
const mappedFor = time.Minute

func newPast(key []byte, number int, full bool, old *index, out *indexWriter, started time.Time) *past {
	if old == nil {
		old = &index{}
	}
	return &past{
		key: key, number: number, full: full, old: old, out: out, settled: started,
		next: map[string]*entry{}, said: map[[16]byte]bool{}, went: map[string]string{}, rows: map[string]databaseRows{},
	}
}

func (p *past) incremental() bool { return p != nil && !p.full }

// notLive says why the live state is not taken.
func (p *past) notLive() string {
	if p != nil {
		return "a snapshot takes it only when asked to"
	}
	return "not the live host"
}

// unchanged says that a path needs no row, because nothing that stat(2) tells of it has changed since the link before.
func (p *past) unchanged(c *collector, m *Meta) bool {
	if !p.sameAs(c, m) {
		return false
	}
	e := p.old.entries[m.Path]
	if e.status == Truncated && m.Type == File {
		c.out.Cut++
		c.out.lack(Row{Meta: *m, Status: Truncated, Reason: fmt.Sprintf("as before, only the first %d bytes are stored", e.size)})
	}
	c.out.Unchanged++
	p.keep(e, e.state)
	return true
}

func (p *past) sameAs(c *collector, m *Meta) bool {
	if !p.incremental() {
		return false
	}
	e := p.old.entries[m.Path]
	if e == nil || !e.claimed() || e.state.has(again) || !e.sameStat(m) {
		return false
	}
	switch m.Type {
	case File:
		on := c.mounts.over(m.Path)
		return e.size == c.limit(*m) && (on == nil || on.Type != "tmpfs")
	case Symlink:
		return e.sum == sha256.Sum256([]byte(m.Link))
	}
	return true
}

// allUnchanged is unchanged for files that are to be of one state.
func (p *past) allUnchanged(c *collector, set []Meta) bool {
	for i := range set {
		if !p.sameAs(c, &set[i]) {
			return false
		}
	}
	for i := range set {
		p.unchanged(c, &set[i])
	}
	return true
}

// keep takes an entry over into the next index.
func (p *past) keep(e *entry, state flags) {
	e.state = state
	p.next[e.path] = e
	p.out.add(e, p.old.sumsReader(e))
}

// derived says that something of our own making is as it was.
func (p *past) derived(name string, text []byte) bool {
	if !p.incremental() {
		return false
	}
	e := p.old.entries[name]
	if e == nil || !e.state.has(summed) || e.sum != sha256.Sum256(text) {
		return false
	}
	p.keep(e, e.state)
	return true
}

// vanished says of a row about what does not exist that the link before had it. Where it went is known, and told, at the end.
func (p *past) vanished(row Row) bool {
	if p == nil || row.Status != Missing || p.next[row.Path] != nil {
		return false
	}
	e := p.old.entries[row.Path]
	return e != nil && e.kind != ""
}

// gone is the row of what an entry stood for.
func (e *entry) gone(why string) Row {
	return Row{Status: Gone, Reason: why, Meta: Meta{
		Path: e.path, Source: e.source, Type: e.kind, HostSize: e.hostSize, Mode: e.mode, UID: e.uid, GID: e.gid,
		Mtime: timeOf(e.mtime), Ctime: timeOf(e.ctime), Inode: e.inode, Dev: e.dev,
	}}
}

func timeOf(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

// known says that the link before has the same row, of something that has no content. What should have been had is told each time.
func (p *past) known(row Row) bool {
	if p == nil || row.Status != Skipped && row.Status != Missing {
		return false
	}
	digest := p.rowDigest(row)
	if row.Type == "" || !strings.HasPrefix(row.Path, "/") {
		p.said[digest] = true
		return !p.full && p.old.said[digest]
	}
	e := p.old.entries[row.Path]
	if p.full || e == nil || e.row != digest {
		return false
	}
	p.keep(e, e.state)
	return true
}

func (p *past) rowDigest(row Row) [16]byte {
	line, _ := appendRow(nil, row) // what cannot be written is met when it is recorded
	mac := hmac.New(sha256.New, p.key)
	mac.Write(line)
	return [16]byte(mac.Sum(nil)[:16])
}

// note keeps in the next index what a row says.
func (p *past) note(row Row) error {
	if p == nil || row.Type == "" || row.Type == Stream || row.Part > 0 || row.Status == Gone {
		return nil
	}
	if row.At == 0 {
		p.noteWithout(row)
		return p.out.err
	}
	e := &entry{status: row.Status, state: stored, link: p.number, size: row.WholeSize()}
	e.setStat(&row.Meta)
	if row.Type == File && e.hostSize == 0 {
		e.hostSize = row.WholeSize()
	}
	if row.Type == Symlink {
		e.state, e.size, e.sum = e.state|summed, int64(len(row.Link)), sha256.Sum256([]byte(row.Link))
	}
	if sum, err := hex.DecodeString(row.WholeDigest()); err == nil && len(sum) == len(e.sum) {
		e.state, e.sum = e.state|summed, [32]byte(sum)
	}
	if row.Status == Changed || p.recent(e) {
		e.state |= again
	}
	if row.mixed || row.Read != nil {
		e.state |= torn | again
	}
	sums := p.chunks(row, e)
	p.next[e.path] = e
	p.out.add(e, sums)
	return p.out.err
}

// recent says that an entry's times are so young that a later change may not show in them.
func (p *past) recent(e *entry) bool {
	young := func(t int64) bool {
		still := tickOf(t)
		if e.kind == File {
			still = max(still, mappedFor)
		}
		return t >= p.settled.Add(-still).UnixNano()
	}
	return young(e.mtime) || young(e.ctime)
}

// chunks returns the digests of what is stored of a file. One that shrank while ranges of it were read has none, and is stored
// whole the next time.
func (p *past) chunks(row Row, e *entry) io.Reader {
	if p.seen == nil || row.Read != nil && row.Delta != nil {
		return strings.NewReader("")
	}
	sums := p.seen.finish()
	e.chunk, e.count = p.seen.size, int64(len(sums)/chunkSum)
	return strings.NewReader(string(sums))
}

// noteWithout keeps what a row without content says. What the chain has of the path is no longer claimed to be the state, but the
// next difference may still be told from it.
func (p *past) noteWithout(row Row) {
	e := p.old.entries[row.Path]
	if p.full || e == nil || !e.state.has(stored) { // a full link needs none before it
		e = &entry{}
		e.setStat(&row.Meta)
	}
	e.status, e.row = row.Status, p.rowDigest(row)
	p.keep(e, e.state|stale)
}

// base returns what the chain has of a file to which a new version can be compared, nil for nothing.
func (p *past) base(name string) *entry {
	e := p.old.entries[name]
	if e == nil || e.kind != File || !e.state.has(stored) || e.size > 0 && e.count == 0 {
		return nil
	}
	return e
}

// absent accounts for what the link before had and this one has not met.
func (c *collector) absent() error {
	if c.past == nil {
		return nil
	}
	c.alarms()
	for _, p := range slices.Sorted(maps.Keys(c.past.old.entries)) {
		e := c.past.old.entries[p]
		if c.past.next[p] != nil || e.kind == "" || !strings.HasPrefix(p, "/") {
			continue
		}
		if err := c.record(c.unmet(e)); err != nil {
			return err
		}
	}
	return nil
}

// unmet says what became of a path that was not met.
func (c *collector) unmet(e *entry) Row {
	row := e.gone("does not exist any more")
	_, err := c.root.Lstat(hostName(e.path))
	if openclaw.IsAbsent(err) {
		row.Reason = joinText(row.Reason, c.lostPast(e))
		return row
	}
	row.Status = Skipped
	switch {
	case c.ctx.Err() != nil:
		row.Reason = interrupted
	case err != nil:
		row.Status, row.Reason = Unreadable, openclaw.Cause(err)
	default:
		row.Reason = "not looked at this time: nothing that is looked for leads there any more"
	}
	return row
}
