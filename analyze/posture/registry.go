package posture

import (
	"context"
	"encoding/json"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/severity"
	"github.com/clawbook/openclaw-ir/internal/stores"
)

// needs says what a check looks at.
type needs uint8

const (
	needsConfig needs = iota // the config and the environment files beside it, nothing else
	needsFiles               // files, directories and databases
	needsLive                // the running machine
)

// A check is one row of the table. Its texts are the finding's unless the function says otherwise.
type check struct {
	id    string // guide.… and ir.… are not OpenClaw's; "<…>" stands for a name
	since string // the release that brought the setting, where older ones have none
	needs needs
	level severity.Level
	title string
	why   string
	fix   string
	run   func(*state, *outcome)
}

// source tells from the id who asks for a check.
func (c check) source() Source {
	switch {
	case strings.HasPrefix(c.id, "guide."):
		return Guide
	case strings.HasPrefix(c.id, "ir.") || strings.HasPrefix(c.id, "deep."):
		return Own
	}
	return OpenClaw
}

// checks returns the table of every check.
func checks() []check {
	return slices.Concat(gatewayChecks, configChecks, hookChecks, browserChecks, sandboxChecks, execChecks, exposureChecks,
		channelChecks, pluginChecks, modelChecks, fileChecks, guideChecks, ownChecks, deepChecks)
}

// An outcome collects what a check finds.
type outcome struct {
	check     check
	findings  []*Finding
	undecided string
}

// add adds a finding with the row's texts and returns it for more.
func (o *outcome) add(where, seen string) *Finding {
	c := o.check
	f := &Finding{ID: c.id, Level: c.level, Title: c.title, Seen: seen, Why: c.why, Fix: c.fix, Where: where, Source: c.source()}
	o.findings = append(o.findings, f)
	return f
}

// named adds a finding of a family of checks: name takes the place of the id's <…>.
func (o *outcome) named(name, where, seen string) *Finding {
	f := o.add(where, seen)
	head, rest, _ := strings.Cut(f.ID, "<")
	_, tail, _ := strings.Cut(rest, ">")
	f.Family, f.ID = f.ID, head+short(name)+tail
	return f
}

// set makes a config value the fix of a finding: as a command, and as what may be done by itself.
func (f *Finding) set(names []string, value string) {
	f.Commands = append(f.Commands, configSet(dotted(names...), value))
	if f.Repair == nil {
		f.Repair = &Repair{}
	}
	f.Repair.Set = append(f.Repair.Set, ConfigSet{Path: slices.Clone(names), Value: value})
}

// mode makes narrower permissions the fix of a finding.
func (f *Finding) mode(hostPath string, want uint32) {
	f.Commands = append(f.Commands, "chmod "+strconv.FormatUint(uint64(want), 8)+" "+console.ShellWord(hostPath))
	f.Repair = &Repair{Mode: &ModeRepair{Path: hostPath, Want: want}}
}

// listWithout returns the list at a path without the strings that drop names, as JSON text.
func listWithout(root any, names []string, drop func(string) bool) string {
	kept := []any{}
	for _, e := range list(root, names...) {
		if text, ok := e.(string); !ok || !drop(strings.TrimSpace(text)) {
			kept = append(kept, e)
		}
	}
	data, err := json.Marshal(kept)
	if err != nil {
		return "[]" // what a config holds beside JSON, NaN, has no place in a list of names
	}
	return string(data)
}

// state is what the checks share: the evidence and what was worked out from it.
type state struct {
	ctx       context.Context
	in        *openclaw.Installation
	o         Options
	root      any    // the config's tree
	noConfig  string // why the config cannot be judged; "" if it can
	variables map[string]string
	roster    []scope
	tree      *tree
	approved  []approval
	allow     []stores.AllowEntry
	allowRead bool
	scans     map[string]scanResult
	shut      map[string]bool

	skillsRead bool
	skillFiles []skillFile
	skillsCut  []string
	gaps       []openclaw.Gap
}

func newState(ctx context.Context, in *openclaw.Installation, o Options) *state {
	s := &state{ctx: ctx, in: in, o: o, root: map[string]any{}, scans: map[string]scanResult{}, shut: map[string]bool{}}
	switch {
	case in.Config != nil && in.Config.Tree != nil:
		s.root = in.Config.Tree
	case in.ConfigPath != "":
		if _, there := s.lstat(in.ConfigPath); there || len(s.gaps) > 0 {
			s.noConfig = "the config " + in.ConfigPath + " cannot be read as JSON5"
		}
	}
	return s
}

// run decides one check.
func (s *state) run(c check) outcome {
	o := outcome{check: c}
	switch {
	case c.needs == needsConfig && s.noConfig != "":
		o.undecided = s.noConfig
	case c.since != "" && s.before(c.since):
		o.undecided = "release " + s.in.Version + " has no such setting"
	default:
		c.run(s, &o)
	}
	return o
}

// before reports that the installation is older than a release. An unknown release is not.
func (s *state) before(release string) bool {
	have, want := numbers(s.in.Version), numbers(release)
	return have != nil && slices.Compare(have, want) < 0
}

// numbers reads a release such as 2026.9.6, nil if it is none.
func numbers(release string) (n []int) {
	for part := range strings.SplitSeq(release, ".") {
		digits := len(part) - len(strings.TrimLeft(part, "0123456789"))
		i, err := strconv.Atoi(part[:digits])
		if err != nil || len(n) == 3 {
			return nil
		}
		n = append(n, i)
	}
	if len(n) != 3 {
		return nil
	}
	return n
}

// byTheLiveLook is the check of what only --deep can see, where it was not looked.
func (s *state) byTheLiveLook(o *outcome) {
	o.undecided = "only the running machine can tell; it was not looked at"
}

// nothing is a file system without files.
type nothing struct{}

// Open finds nothing.
func (nothing) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}
