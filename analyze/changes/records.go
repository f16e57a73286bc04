package changes

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/analyze"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/stores"
)

// senders compares who may write to the agent, may command it, or asked to. The config's own lists are told there.
func (d *differ) senders(was, is *openclaw.Installation) {
	list := func(side *Side, in *openclaw.Installation) map[string]item {
		entries, gaps := stores.Allowed(d.ctx, side.FS, in)
		d.gaps(gaps)
		items := map[string]item{}
		for _, e := range entries {
			if e.Config {
				continue
			}
			items[words(e.Kind, e.Channel, e.Account, e.Entry)] = item{"", e.Where}
		}
		return items
	}
	d.items(Pairing, list(d.older, was), list(d.newer, is))
}

// devices compares what may connect to the gateway. That it was there again is no change.
func (d *differ) devices(was, is *openclaw.Installation) {
	list := func(side *Side, in *openclaw.Installation) map[string]item {
		found, gaps := stores.Devices(d.ctx, side.FS, in)
		d.gaps(gaps)
		items := map[string]item{}
		for _, x := range found {
			id := x.ID
			if id == "" { // whose id is its secret: it is told apart by when it was made
				id = x.Since.Format(time.RFC3339)
			}
			items[words(x.Kind, id)] = item{words(quoted(x.Name), x.Platform, named("role", x.Role), named("approved", x.Approved), named("ip", x.RemoteIP)), x.Where}
		}
		return items
	}
	d.items(Device, list(d.older, was), list(d.newer, is))
}

func words(list ...string) string { return strings.Join(strings.Fields(strings.Join(list, " ")), " ") }

func named(name, value string) string {
	if value == "" {
		return ""
	}
	return name + "=" + value
}

func quoted(s string) string {
	if s == "" {
		return ""
	}
	return fmt.Sprintf("%q", s)
}

// A tally is what the events of one side say.
type tally struct {
	standing map[Kind]map[string]item // what is set up, by its id
	sessions map[string]*count
	records  map[string]*count // by the table or the file's name
}

// A count is how many records there are of something, and when the last was made.
type count struct {
	n     int64
	last  int64
	where string
}

func (c *count) text() string {
	if c == nil {
		return ""
	}
	text := fmt.Sprintf("%d events", c.n)
	if c.n == 1 {
		text = "1 event"
	}
	if c.last > 0 {
		text += ", the last " + time.UnixMilli(c.last).UTC().Format(time.RFC3339)
	}
	return text
}

// standingKinds are the kinds of things that ledgers hold as they are set up now.
var standingKinds = []Kind{Automation, Approval, Plugin}

// events reads the records of both sides: what is set up is compared, the rest is counted.
func (d *differ) events() error {
	older, err := d.tally(d.older)
	if err != nil {
		return err
	}
	newer, err := d.tally(d.newer)
	if err != nil {
		return err
	}
	for _, kind := range standingKinds {
		d.items(kind, older.standing[kind], newer.standing[kind])
	}
	d.counts(Session, older.sessions, newer.sessions)
	d.counts(Records, older.records, newer.records)
	return nil
}

// maxTallied bounds how many sessions and things that are set up are told apart on one side.
const maxTallied = 200_000

func (d *differ) tally(side *Side) (*tally, error) {
	t := &tally{map[Kind]map[string]item{}, map[string]*count{}, map[string]*count{}}
	for _, kind := range standingKinds {
		t.standing[kind] = map[string]item{}
	}
	crowded := false
	r, err := analyze.Visit(d.ctx, side.FS, analyze.Options{Find: side.Find, Kinds: kinds, Read: d.o.Read}, func(e *analyze.Event) {
		crowded = !t.take(e) || crowded
	})
	if errors.Is(err, analyze.ErrNothing) {
		err = nil
	}
	d.gaps(r.Coverage.Gaps)
	if crowded {
		d.gaps([]openclaw.Gap{{Path: "/", What: fmt.Sprintf("more than %d sessions or records of one sort; the others were not compared", maxTallied)}})
	}
	return t, err
}

// kinds are those of events that are looked at. Log lines are not: logs are compared as files.
var kinds = func() (list []analyze.Kind) {
	for _, k := range analyze.Kinds {
		if k != analyze.KindLog {
			list = append(list, k)
		}
	}
	return list
}()

// take counts an event. It reports false if there were too many to take it.
func (t *tally) take(e *analyze.Event) bool {
	switch {
	case e.Source == nil || e.Source.Form != openclaw.FormLedger:
		return addTo(t.sessions, e.Session, e)
	case openclaw.IsOldCopy(path.Base(e.Source.Path)):
		return true
	}
	kind, id, text := standing(e)
	switch {
	case kind == "":
		return addTo(t.records, e.Tool, e)
	case id == "" || t.standing[kind][id] != (item{}):
		return true // the first is the one in use
	case len(t.standing[kind]) >= maxTallied:
		return false
	}
	t.standing[kind][strings.Clone(id)] = item{strings.Clone(text), e.Source.Path}
	return true
}

func addTo(counts map[string]*count, name string, e *analyze.Event) bool {
	c := counts[name]
	if c == nil {
		if len(counts) >= maxTallied {
			return false
		}
		c = &count{}
		counts[strings.Clone(name)] = c
	}
	if e.Source != nil {
		c.where = e.Source.Path
	}
	c.n, c.last = c.n+1, max(c.last, e.Time)
	return true
}

// standing tells what a ledger's event says is set up, and by what it is known; kind is "" for a record of something that happened,
// and id for what is compared elsewhere or says nothing new. The codes are those of analyze's ledgers.
func standing(e *analyze.Event) (kind Kind, id, text string) {
	switch e.Session {
	case "cronjob", "intent":
		if e.Kind != analyze.KindAutomation || strings.HasPrefix(e.What, "fired last: ") || strings.HasPrefix(e.What, "ran: ") {
			return Automation, "", ""
		}
		return Automation, words(e.Agent, e.Target), words(e.What, strings.Join(without(e.Marks, "time:file"), " "))
	case "allowcmd":
		if e.Kind != analyze.KindApproval {
			return Approval, "", ""
		}
		if detail(e, "State") == "policy" {
			return Approval, words("policy", e.Agent), e.What
		}
		what, _, _ := strings.Cut(e.What, " last=")
		what, _, _ = strings.Cut(what, " path=")
		return Approval, words("allowed", e.Agent, what), ""
	case "plugbind":
		return Approval, e.What, e.Target
	case "plugin":
		name, _, _ := strings.Cut(e.What, " ")
		return Plugin, words(e.Target, name), e.What
	case "chanreq", "chanok", "device", "devreq", "devtoken", "node", "nodereq", "secret":
		return Pairing, "", "" // told by the stores and as credentials
	}
	return "", "", ""
}

func detail(e *analyze.Event, name string) string {
	for _, d := range e.Details {
		if d.Name == name {
			return d.Text
		}
	}
	return ""
}

func without(list []string, word string) (left []string) {
	for _, w := range list {
		if w != word {
			left = append(left, w)
		}
	}
	return left
}

// counts tells what became more, or less.
func (d *differ) counts(kind Kind, older, newer map[string]*count) {
	for _, name := range namesOf(older, newer) {
		was, is := older[name], newer[name]
		c := Change{Kind: kind, Name: name, Was: was.text(), Is: is.text()}
		switch {
		case was == nil:
			c.Status, c.Where = Added, is.where
		case is == nil:
			c.Status, c.Where = Removed, was.where
		case was.n != is.n:
			c.Status, c.Where = Changed, is.where
		default:
			continue
		}
		d.add(c)
	}
}
