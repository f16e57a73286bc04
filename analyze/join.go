package analyze

import (
	"hash/maphash"
	"maps"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/jsonl"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// A joiner puts records together: a session's forms into one sequence, a call with its result, an indirect call
// with the call it made, an action with who asked for it.
type joiner struct {
	want     map[Kind]bool
	whole    bool      // keep the calls' arguments
	home     string    // the installation's state directory
	spent    *spending // sums up what answers took; nil if nobody asks
	askers   askers
	sessions map[string]*openclaw.Session
	states   map[string]*sessionState
	seed     maphash.Seed
	seen     map[uint64]uint64           // event id → its first content
	variants map[[2]uint64]bool          // event id and other contents it has had
	known    map[uint64]*openclaw.Source // where a call, by id and tool, was seen first
	said     map[uint64]bool             // calls by id, tool and what they do
	execs    map[uint64]bool             // commands that have been seen, by hash
	waiting  int64                       // bytes that the calls and results which wait for each other take
	most     int64                       // the most that they may: maxWaiting
	parted   int64                       // how often they were not waited for any longer
	done     func(*Event)                // takes each event that will not change any more
}

// maxWaiting bounds what waits, in bytes: an intruder can leave a million calls that nothing answers.
const maxWaiting = 160 << 20

// weight is what an event takes while it waits, with the maps that hold it; in bytes.
func (e *Event) weight() int64 { return 1500 + int64(len(e.What)+len(e.Args)) }

func (o *orphan) weight() int64 { return o.event.weight() + int64(len(o.outcome.text)) }

// sessionState is what is known of a session while its sources are read.
type sessionState struct {
	info    *openclaw.Session
	source  *openclaw.Source
	asker   *Asker
	cwd     string
	last    int64
	calls   map[string][]*Event // calls of wanted kinds that wait for their results
	orphans map[string][]orphan
}

// addTo adds to what a map has under a key, and makes the map only then: a host may hold a million sessions that need none.
func addTo[V any](m *map[string][]V, key string, v V) {
	if *m == nil {
		*m = map[string][]V{}
	}
	(*m)[key] = append((*m)[key], v)
}

// An orphan is a result whose call has not been seen.
type orphan struct {
	outcome outcome
	event   Event
}

func newJoiner(want map[Kind]bool, sessions map[string]*openclaw.Session, owners []string, done func(*Event)) *joiner {
	return &joiner{
		want: want, askers: askers{owners}, sessions: sessions, states: map[string]*sessionState{},
		seed: maphash.MakeSeed(), seen: map[uint64]uint64{}, variants: map[[2]uint64]bool{}, known: map[uint64]*openclaw.Source{},
		said: map[uint64]bool{}, execs: map[uint64]bool{}, most: maxWaiting, done: done,
	}
}

func (j *joiner) state(src *openclaw.Source, session string) *sessionState {
	st := j.states[session]
	if st == nil {
		info := j.sessions[session]
		if info == nil {
			info = &openclaw.Session{ID: session, Agent: src.Agent}
		}
		st = &sessionState{info: info}
		j.states[session] = st
	}
	if st.source != src {
		st.source, st.asker, st.last = src, bySession(st.info), 0
	}
	return st
}

// add takes one record and reports whether it is a duplicate: the same event with the same content as one that
// came before. One event id with different contents is two events; nothing hides behind the other.
func (j *joiner) add(src *openclaw.Source, it *item) (duplicate bool) {
	st := j.state(src, it.session)
	if len(it.cwd) > 2 {
		st.cwd = jsonl.Unquote(it.cwd)
	}
	if it.prompt != nil {
		asker := j.askers.of(src, st.info, it.prompt)
		if st.asker == nil || *st.asker != *asker {
			st.asker = asker
		}
	}
	if it.time != 0 {
		st.last = it.time
	}
	edited, duplicate := j.meet(it)
	if duplicate || !j.needs(it) {
		return duplicate
	}
	base := st.base(src, it)
	if edited {
		base.mark("differs")
	} else if j.spent != nil && it.usage != (modelUse{}) && !isTrajectory(src) {
		j.spend(&base, it)
	}
	j.calls(st, &base, it, edited)
	j.results(st, &base, it)
	j.others(&base, it)
	if j.waiting > j.most {
		j.part()
	}
	return false
}

// part ends the waiting: of these calls the results, and of these results the calls, count as missing from here on.
func (j *joiner) part() {
	j.flush()
	for _, st := range j.states {
		st.calls, st.orphans = nil, nil
	}
	j.waiting = 0
	j.parted++
}

// spend counts what an answer took.
func (j *joiner) spend(base *Event, it *item) {
	e := *base
	e.Kind, e.Target, e.Call, e.What = KindMessage, "out", len(it.calls), start(it.text, excerptBytes)
	j.spent.add(j.home, &e, it)
}

// meet notes a record and reports whether its id has been seen, with other contents only (edited) or with this one.
func (j *joiner) meet(it *item) (edited, duplicate bool) {
	first, known := j.seen[it.key]
	if !known {
		j.seen[it.key] = it.sum
		return false, false
	}
	variant := [2]uint64{it.key, it.sum}
	if first == it.sum || j.variants[variant] {
		return false, true
	}
	j.variants[variant] = true
	return true, false
}

// needs reports whether a record can become an event of a wanted kind.
func (j *joiner) needs(it *item) bool {
	return len(it.calls) > 0 || len(it.results) > 0 || j.want[KindMessage] || j.want[KindSession]
}

// base is what all events of a record share.
func (st *sessionState) base(src *openclaw.Source, it *item) Event {
	e := Event{
		Time: it.time, Source: src, Line: it.line, Digest: it.digest, Agent: src.Agent, Session: it.session,
		Key: st.info.Key, Asker: st.asker, Cwd: st.cwd,
	}
	if e.Time == 0 {
		e.Time, e.NoTime = st.last, true
	}
	if e.Agent == "" {
		e.Agent = st.info.Agent
	}
	if e.Asker == nil {
		e.Asker = unknownAsker
	}
	if it.invalidUTF8 {
		e.mark("invalid-utf8")
	}
	return e
}

var unknownAsker = &Asker{Kind: "unknown"}

func (j *joiner) calls(st *sessionState, base *Event, it *item, edited bool) {
	for i := range it.calls {
		c := &it.calls[i]
		tool, indirect := unwrap(c.tool, &c.args)
		e := *base
		e.Call, e.Tool, e.CallID = i, tool, c.id
		if c.started > 0 {
			e.Time, e.NoTime = c.started, false
		}
		e.describe(&c.args)
		if j.whole {
			e.Args = string(c.args.raw)
		}
		switch {
		case indirect:
			e.mark("indirect")
		case c.badArgs:
			e.mark("arguments-unreadable")
		}
		if tool == operatorShell {
			e.mark("operator-shell")
		}
		if j.isRepeat(st, &e, c, edited) {
			continue
		}
		if j.wants(e.Kind) {
			e.Parent = firstNonEmpty(e.Parent, jsonl.Unquote(it.parent))
			j.place(st, e, &c.args)
		}
	}
}

// wants reports whether calls of a kind may become events that were asked for: a patch, an edit, may write new files.
func (j *joiner) wants(kind Kind) bool { return j.want[kind] || kind == KindEdit && j.want[KindWrite] }

// describe says what a call does.
func (e *Event) describe(a *arguments) {
	e.Kind = toolKind(e.Tool, a)
	if a.workdir != "" {
		e.Cwd = absolute(a.workdir, e.Cwd)
	}
	e.Bytes = a.contentBytes
	switch e.Kind {
	case KindExec:
		e.What = firstNonEmpty(a.command.value, a.text.value, strings.TrimSpace(a.action+" "+a.session))
	case KindWrite, KindEdit:
		e.setPath(a.path.value)
	case KindRead:
		e.What = firstNonEmpty(a.path.value, a.query, a.command.value, strings.TrimSpace(a.action+" "+a.session))
		if a.path.value != "" {
			e.setPath(a.path.value)
		}
	case KindFetch, KindBrowse:
		e.What = firstNonEmpty(a.url, a.query, a.action)
	case KindMessage:
		e.What, e.Target, e.Bytes = a.text.value, a.target.value, int64(len(a.text.value))
	case KindSpawn:
		e.What = firstNonEmpty(a.task, a.text.value, a.action)
	default:
		e.What = firstNonEmpty(a.patch, string(a.raw))
	}
	if e.Target == "" {
		e.Target = a.action
	}
	e.markArguments(a)
}

func (e *Event) markArguments(a *arguments) {
	if a.elevated {
		e.mark("elevated")
	}
	if a.background {
		e.mark("background")
	}
	if a.node != "" {
		e.mark("node:" + a.node)
	}
	if a.host == "node" || a.host == "sandbox" {
		e.mark("host:" + a.host)
	}
	if isMasked(e.What) {
		e.mark("masked")
	}
}

func (e *Event) setPath(recorded string) {
	e.What = absolute(recorded, e.Cwd)
	if e.What != recorded {
		e.Recorded = recorded
	}
}

func firstNonEmpty(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// callKey is a call id as all records of a session share it: snapshots drop what is neither letter nor digit.
func callKey(id string) string {
	return strings.Map(func(c rune) rune {
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			return c
		}
		return -1
	}, id)
}

// callHash names a call by session, id, tool and, unless that is "", what it does.
func (j *joiner) callHash(session, id, tool, what string) uint64 {
	var h maphash.Hash
	h.SetSeed(j.seed)
	for _, part := range []string{session, callKey(id), tool, what} {
		h.WriteString(part)
		h.WriteByte(0)
	}
	return h.Sum64()
}

// isRepeat reports whether a call is known already: the nested record of an indirect call, a trajectory's copy, or
// the same call in another version of its record. Ids may come again for other calls; those are new.
func (j *joiner) isRepeat(st *sessionState, e *Event, c *call, edited bool) bool {
	if c.nestedIn != "" {
		if !j.wants(e.Kind) {
			return true
		}
		if j.isNested(st, e, c) {
			j.known[j.callHash(e.Session, c.id, e.Tool, "")] = e.Source
			return true
		}
		e.Parent = c.nestedIn
		e.mark("indirect")
	}
	if c.id == "" {
		return false
	}
	id, said := j.callHash(e.Session, c.id, e.Tool, ""), j.callHash(e.Session, c.id, e.Tool, "="+e.What)
	first, known := j.known[id]
	saidBefore := j.said[said]
	j.said[said] = true
	if !known {
		j.known[id] = e.Source
		return false
	}
	return c.repeated || isTrajectory(e.Source) && first != e.Source || edited && saidBefore
}

// isNested joins the nested record of a call to the indirect call that made it, and reports whether that is
// known: only the nested record has the inner call's own result.
func (j *joiner) isNested(st *sessionState, e *Event, c *call) bool {
	for _, outer := range st.calls[callKey(c.nestedIn)] {
		if outer.Tool == e.Tool && (outer.What == e.What || e.isArguments()) {
			key := callKey(c.id)
			addTo(&st.calls, key, outer)
			return true
		}
	}
	return j.said[j.callHash(e.Session, c.nestedIn, e.Tool, "="+e.What)]
}

// isArguments reports the kinds whose What is the arguments as a whole: two records may write them differently.
func (e *Event) isArguments() bool {
	return e.Kind == KindConfig || e.Kind == KindAutomation || e.Kind == KindTool
}

// place keeps a call's event; a patch is an event for each file it touches.
func (j *joiner) place(st *sessionState, e Event, a *arguments) {
	var files []fileChange
	if e.Kind == KindEdit && a.patch != "" {
		files = patchFiles(a.patch)
	}
	if len(files) == 0 {
		j.keep(st, e)
		return
	}
	for i, f := range files {
		each := e
		each.Marks = append([]string(nil), e.Marks...)
		each.Kind, each.Call, each.Recorded = f.kind, e.Call+i, ""
		each.setPath(f.path)
		each.mark(f.verb)
		j.keep(st, each)
	}
}

// keep holds an event of a wanted kind until its result is known.
func (j *joiner) keep(st *sessionState, e Event) {
	if !j.want[e.Kind] {
		return
	}
	if e.Kind == KindExec {
		j.execs[maphash.String(j.seed, e.What)] = true
	}
	e.Result.Status = StatusNone
	key := callKey(e.CallID)
	if i := slices.IndexFunc(st.orphans[key], func(o orphan) bool { return o.answers(&e) }); i >= 0 {
		e.finish(&st.orphans[key][i].outcome)
		j.waiting -= st.orphans[key][i].weight()
		st.orphans[key] = slices.Delete(st.orphans[key], i, i+1)
	}
	if e.Result.Recorded || e.CallID == "" && e.Tool != operatorShell {
		j.done(&e)
		return
	}
	j.waiting += e.weight()
	addTo(&st.calls, key, &e)
}

// answers reports whether a result that was read first is a call's. In one source results follow their calls, but where a part of it
// was appended twice; then the result is dated after the call.
func (o *orphan) answers(e *Event) bool {
	return (o.event.Source != e.Source || o.event.Time > e.Time) && e.answeredBy(&o.outcome, o.event.Time)
}

// hasExec reports whether a transcript holds this very command. It knows only if exec is a kind asked for.
func (j *joiner) hasExec(command string) bool { return j.execs[maphash.String(j.seed, command)] }

func (e *Event) finish(o *outcome) {
	e.Result = o.result
	e.Result.Recorded = true
	if o.cwd != "" && (e.Cwd == "" || e.Kind == KindExec) {
		e.Cwd = o.cwd
	}
}

func (j *joiner) results(st *sessionState, base *Event, it *item) {
	for i := range it.results {
		o := &it.results[i]
		answered := j.finish(st, o, base.Time)
		if answered != nil || o.repeated || o.nested || notRun(o) || j.isKnown(base.Session, o) {
			j.extra(base, it, o, i, answered)
			continue
		}
		e := *base
		e.Call, e.Tool, e.CallID = i, o.tool, o.callID
		waits := orphan{*o, e}
		j.waiting += waits.weight()
		addTo(&st.orphans, callKey(o.callID), waits)
	}
}

// isKnown reports whether a result's call has been seen, of whatever kind.
func (j *joiner) isKnown(session string, o *outcome) bool {
	_, known := j.known[j.callHash(session, o.callID, o.tool, "")]
	return known || o.tool == "tool_call"
}

// extra keeps the record of a result, if such records are asked for. It bears the name of the tool that was really called,
// and what it was called for, if that is known.
func (j *joiner) extra(base *Event, it *item, o *outcome, i int, answered *Event) {
	if !j.want[KindResult] {
		return
	}
	e := *base
	e.Kind, e.Call, e.Tool, e.CallID, e.What = KindResult, len(it.calls)+i, o.tool, o.callID, o.text
	if answered != nil && !answered.isArguments() {
		e.Tool, e.Target = answered.Tool, start(answered.What, maxKept)
	}
	e.finish(o)
	j.done(&e)
}

// notRun reports the answer to a call of a tool that does not exist: nothing ran, though the call is not kept.
func notRun(o *outcome) bool {
	return o.result.Status == StatusError && strings.HasPrefix(o.result.Error, "Tool ") && strings.HasSuffix(o.result.Error, " not found")
}

// finish gives a result to the calls that wait for it: one, or one for each file of a patch. Ids may repeat in a
// session, so tool and time must fit; of several calls the latest is meant. It returns the call, nil if none waits.
func (j *joiner) finish(st *sessionState, o *outcome, at int64) *Event {
	key := callKey(o.callID)
	waiting := st.calls[key]
	for i := len(waiting) - 1; i >= 0; i-- {
		if !waiting[i].answeredBy(o, at) {
			continue
		}
		answered, rest := waiting[i], waiting[:0]
		for _, e := range waiting {
			switch {
			case e.Line != answered.Line || e.Source != answered.Source:
				rest = append(rest, e)
			case !e.Result.Recorded:
				j.waiting -= e.weight()
				e.finish(o)
				j.done(e)
			}
		}
		if st.calls[key] = rest; len(rest) == 0 {
			delete(st.calls, key)
		}
		return answered
	}
	return nil
}

// clockSlack is how much before its call a result may be dated, in milliseconds.
const clockSlack = 60_000

// answeredBy reports whether a result can be this call's.
func (e *Event) answeredBy(o *outcome, at int64) bool {
	sameTool := o.tool == "" || o.tool == e.Tool || o.tool == "tool_call"
	return sameTool && (o.repeated || at >= e.Time-clockSlack)
}

// others keeps what is neither a call nor a result: what was said, and the transcript's own records.
func (j *joiner) others(base *Event, it *item) {
	kind := KindSession
	switch {
	case it.prompt != nil || it.outgoing && it.textBytes > 0:
		kind = KindMessage
	case len(it.calls) > 0 || len(it.results) > 0:
		return
	}
	if !j.want[kind] {
		return
	}
	e := *base
	e.Kind, e.Call, e.Result.Status = kind, len(it.calls), StatusOK
	e.Parent = jsonl.Unquote(it.parent)
	if kind == KindMessage {
		e.What, e.Bytes, e.Target = it.text, it.textBytes, "in"
		if it.outgoing {
			e.Target = "out"
		}
	} else {
		e.What = strings.TrimSuffix(it.typ+"/"+it.custom, "/")
		if it.text != "" {
			e.What += ": " + it.text
		}
	}
	j.done(&e)
}

// flush ends the joining: calls whose results are nowhere in the evidence are events all the same, and so are
// results whose calls are nowhere, for something ran whose record is gone. Its order is the same in every run.
func (j *joiner) flush() {
	for _, session := range slices.Sorted(maps.Keys(j.states)) {
		st := j.states[session]
		for _, key := range slices.Sorted(maps.Keys(st.calls)) {
			for _, e := range st.calls[key] {
				if !e.Result.Recorded {
					j.done(e)
				}
			}
		}
		for _, key := range slices.Sorted(maps.Keys(st.orphans)) {
			for _, o := range st.orphans[key] {
				j.orphan(o)
			}
		}
	}
}

func (j *joiner) orphan(o orphan) {
	e := o.event
	e.Kind = toolKind(e.Tool, &arguments{})
	e.mark("call-missing")
	e.finish(&o.outcome)
	if j.want[e.Kind] || j.want[KindResult] {
		j.done(&e)
	}
}
