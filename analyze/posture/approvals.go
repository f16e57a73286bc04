package posture

import (
	"maps"
	"path"
	"slices"

	"github.com/clawbook/openclaw-ir/internal/json5"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// An approval is what commands may run without asking, for one agent or by default.
type approval struct {
	agent      string // "" for the defaults, "*" for every agent
	where      string
	security   string // deny, allowlist, full; "" if it says nothing
	ask        string // off, on-miss, always
	askOff     string // askFallback: what counts where nobody can be asked
	autoSkills bool
	patterns   []string
}

func (a approval) name() string {
	if a.agent == "" || a.agent == "*" {
		return "every agent"
	}
	return "agent " + short(a.agent)
}

// approvals reads exec-approvals.json and its successor in the state database (2026.8 on).
func (s *state) approvals() (all []approval) {
	if s.approved != nil {
		return s.approved
	}
	s.approved = []approval{}
	file := path.Join(s.in.StateDir, "exec-approvals.json")
	if v, ok := s.json(file); ok {
		s.approved = append(s.approved, approvalsOf(v, file)...)
	}
	s.database(s.in.StateDB(), func(d *openclaw.Database) error {
		if !d.Has("exec_approvals_config", "raw_json") {
			return nil
		}
		for row, err := range d.Query(s.ctx, "SELECT raw_json FROM exec_approvals_config LIMIT 100") {
			if err != nil {
				return err
			}
			if v, ok := parseJSON(row.Text(0)); ok {
				s.approved = append(s.approved, approvalsOf(v, s.in.StateDB())...)
			}
		}
		return nil
	})
	return s.approved
}

func approvalsOf(v any, where string) (all []approval) {
	all = append(all, approvalOf(at(v, "defaults"), "", where))
	agents := object(v, "agents")
	for _, id := range keys(agents) {
		all = append(all, approvalOf(agents[id], id, where))
	}
	return all
}

func approvalOf(v any, agent, where string) approval {
	a := approval{
		agent: agent, where: where, security: text(v, "security"), ask: text(v, "ask"), askOff: text(v, "askFallback"), autoSkills: isTrue(v, "autoAllowSkills"),
	}
	for _, e := range list(v, "allowlist") {
		if p, isText := e.(string); isText {
			a.patterns = append(a.patterns, p)
		} else if p := text(e, "pattern"); p != "" {
			a.patterns = append(a.patterns, p)
		}
	}
	return a
}

// json reads a JSON file of the evidence. It reports false where there is none or it is broken; broken is a gap too.
func (s *state) json(hostPath string) (any, bool) {
	data := s.small(hostPath)
	if data == "" {
		return nil, false
	}
	v, ok := parseJSON([]byte(data))
	if !ok {
		s.gap(hostPath, "is no JSON; not used for the checks")
	}
	return v, ok
}

func parseJSON(data []byte) (any, bool) {
	v, err := json5.Parse(data)
	if err != nil {
		return nil, false
	}
	return v.Plain(), true
}

// database reads a database of the evidence, if it is there. What is wrong with it is a gap.
func (s *state) database(hostPath string, read func(*openclaw.Database) error) {
	if _, err := openclaw.OpenDatabaseFunc(s.o.FS, hostPath, read); err != nil && !openclaw.IsAbsent(err) {
		s.gap(hostPath, "reading the database: "+err.Error())
	}
}

// sortedUnique sorts names and drops what is there twice.
func sortedUnique(names []string) []string {
	set := map[string]bool{}
	for _, n := range names {
		set[n] = true
	}
	return slices.Sorted(maps.Keys(set))
}
