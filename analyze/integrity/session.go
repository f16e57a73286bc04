package integrity

import (
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// A session is what the evidence holds of one session, from all places.
type session struct {
	id, agent, key string
	forms          []openclaw.Form // in which its transcript is there
	paths          []string
	events         int64
	first, last    int64            // ms, of its events
	calls          map[uint64]*done // by callKey
	trajectory     bool
	namedBy        []naming
	frozen         map[int64][]uint64 // digests of results by the time of their message
	sums           map[int64][]uint64 // what the results there have
	background     []string           // names of background commands
	unplaced       int                // background commands whose name is not known
	windowUpdated  int64
	said           map[uint64]uint64 // role and time of a message → its text
	archivedAt     int64             // ms
	reason         string
	coldCount      int64           // events that a cold archive is said to hold
	coldEvents     int64           // those that it holds
	missing        map[string]bool // tools that do not exist
}

// A naming is a record outside the transcripts that names a session.
type naming struct {
	where string
	used  bool // it says that the session had content
	time  int64
}

// A done is a call and what became of it.
type done struct {
	tool         string
	line, time   int64
	path         string
	args         uint64 // hash; 0 if masked
	command, cwd uint64
	said         string // the command, kept only while approvals may ask for it
	results      int
	resultTime   int64
	ok           bool // a result says that it ran
	last         bool // nothing of the session follows but the end of its turn
	broken       string
	next         *done // another call of the same id: ids of some providers are not unique
}

func (c *checker) session(id, agent string) *session {
	s := c.sessions[id]
	if s == nil {
		s = &session{id: id, agent: agent, calls: map[uint64]*done{}, missing: map[string]bool{}, said: map[uint64]uint64{}}
		c.sessions[id] = s
	}
	if s.agent == "" {
		s.agent = agent
	}
	return s
}

// in notes that a source holds events of the session.
func (s *session) in(src *openclaw.Source) {
	if !slices.Contains(s.forms, src.Form) {
		s.forms = append(s.forms, src.Form)
	}
	if !slices.Contains(s.paths, src.Path) && len(s.paths) < maxListed {
		s.paths = append(s.paths, src.Path)
	}
}

func (s *session) has(forms ...openclaw.Form) bool {
	return slices.ContainsFunc(forms, func(f openclaw.Form) bool { return slices.Contains(s.forms, f) })
}

// live reports whether the session's own transcript is there, and not only an archive of it.
func (s *session) live() bool {
	return s.has(openclaw.FormSQLite, openclaw.FormJSONL, openclaw.FormCold)
}

// gone reports whether an archive says that the session was deleted or reset.
func (s *session) gone() bool {
	return s.has(openclaw.FormArchive, openclaw.FormDeleted, openclaw.FormReset)
}

func (s *session) name(where string, used bool, time int64) {
	for i := range s.namedBy {
		if n := &s.namedBy[i]; n.where == where {
			n.used, n.time = n.used || used, max(n.time, time)
			return
		}
	}
	s.namedBy = append(s.namedBy, naming{where, used, time})
}

// say keeps the text of a message; of two that cannot be told apart, none.
func (s *session) say(key, text uint64) {
	if was, again := s.said[key]; again && was != text {
		text = 0
	}
	s.said[key] = text
}

func (s *session) span(t int64) {
	if t == 0 {
		return
	}
	if s.first == 0 || t < s.first {
		s.first = t
	}
	s.last = max(s.last, t)
}

// backgroundName reads the name of a command that goes on, from the tool's answer.
func backgroundName(start string) (name string, running bool) {
	_, rest, ok := strings.Cut(start, "still running (session ")
	if !ok {
		return "", false
	}
	name, _, _ = strings.Cut(rest, ",")
	return name, true
}
