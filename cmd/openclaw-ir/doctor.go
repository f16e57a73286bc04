package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/clawbook/openclaw-ir/contain"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/urfave/cli/v2"
)

func doctorCommand(e env) *cli.Command {
	return &cli.Command{
		Name:  "doctor",
		Usage: "say what of this host's tools, rights and disk the other commands would miss",
		Description: `Changes nothing and contacts nothing. Run it on a quiet day, and as the account that will act: what it says NO to
is missing in an incident too, and each such line tells what to type.

   ok   is as it should be
   NO   is missing, and what that costs
   --   is not needed on this host, or only good to know

Examples:
   sudo openclaw-ir doctor
   sudo openclaw-ir doctor --json | jq 'select(.state == "missing")'

` + exitText,
		Flags: append(caseFlags(),
			&cli.StringSliceFlag{Name: "state-dir", Usage: "look at this OpenClaw state `DIR` too"},
			&cli.BoolFlag{Name: "json", Usage: "one JSON object a line, a version first"},
		),
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usageError("openclaw-ir doctor --help", "doctor takes no arguments: %q", c.Args().First())
			}
			return runDoctor(c, e)
		},
	}
}

// A condition says how something stands.
type condition string

// The conditions, and the mark of each in text.
const (
	fine    condition = "ok"
	missing condition = "missing"
	unasked condition = "not needed"
)

// A symptom is one line of what the doctor says.
type symptom struct {
	Record string    `json:"record"` // "check"
	Part   string    `json:"part"`   // what it belongs to: rights, tools, firewall, …
	State  condition `json:"state"`
	What   string    `json:"what"`
	Detail string    `json:"detail,omitempty"` // what was seen, and what it costs
	Hint   string    `json:"hint,omitempty"`   // what to type
}

// A doctor is one look at the host.
type doctor struct {
	env
	c        *cli.Context
	ctx      context.Context
	machine  contain.Machine
	find     func(program string) error // says why a program would not be run
	installs []*openclaw.Installation
	gaps     []openclaw.Gap
	lines    *console.Lines[symptom]
	counts   map[condition]int
	part     string
	told     []string // programs that are named already
	err      error    // of writing
}

func runDoctor(c *cli.Context, e env) error {
	d, err := newDoctor(c, e)
	if err != nil {
		return err
	}
	defer d.machine.Root.Close()
	for _, part := range []struct {
		name string
		look func()
	}{
		{"rights", d.rights},
		{"program", d.program},
		{"tools", d.tools},
		{"firewall", d.firewall},
		{"way in", d.wayIn},
		{"freeze", d.freezer},
		{"openclaw", d.openclaw},
		{"case", d.caseDir},
		{"room", d.room},
		{"keys", d.keys},
		{"clock", d.clock},
	} {
		if err := c.Context.Err(); err != nil {
			return err
		}
		d.part = part.name
		part.look()
	}
	return d.end()
}

func newDoctor(c *cli.Context, e env) (*doctor, error) {
	dirs, err := absoluteAll(c.StringSlice("state-dir"))
	if err != nil {
		return nil, err
	}
	machine, err := newMachine(e)
	if err != nil {
		return nil, err
	}
	trusted, err := host.NewTrusted()
	if err != nil {
		return nil, err
	}
	d := &doctor{env: e, c: c, ctx: c.Context, machine: machine, counts: map[condition]int{}}
	d.find = func(program string) error { _, _, err := trusted.Find(program); return err }
	d.installs, d.gaps = openclaw.Find(machine.Root, openclaw.FindOptions{UID: e.uid, StateDirs: dirs})
	d.lines, err = console.NewLines(e.console, c.Bool("json"), map[string]any{"command": "doctor", "tool": version()}, d.line)
	return d, err
}

func (d *doctor) line(s symptom) string {
	mark := d.mark(s.State == fine)
	if s.State == unasked {
		mark = d.console.Paint(console.Dim, "--")
	}
	line := fmt.Sprintf("%-8s  %s  %s", s.Part, mark, console.Escape(s.What))
	if s.Detail != "" {
		line += ": " + console.Escape(s.Detail)
	}
	if s.Hint != "" && s.State != fine {
		line += "\n              → " + console.EscapeCommand(s.Hint)
	}
	return line
}

func (d *doctor) say(state condition, what, detail, hint string) {
	d.counts[state]++
	if err := d.lines.Write(symptom{"check", d.part, state, what, detail, hint}); err != nil && d.err == nil {
		d.err = err
	}
}

// check says ok, or NO with the error.
func (d *doctor) check(err error, what, detail, hint string) {
	if err != nil {
		d.say(missing, what, err.Error(), hint)
		return
	}
	d.say(fine, what, detail, "")
}

// asRoot is what to type to have more rights, "" for root.
func (d *doctor) asRoot() string {
	if d.uid == 0 {
		return ""
	}
	return "sudo openclaw-ir doctor"
}

func (d *doctor) end() error {
	if err := d.lines.Flush(); err != nil || d.err != nil {
		return cmp.Or(err, d.err)
	}
	if n := d.counts[missing]; n > 0 {
		return &codeError{exitPartial, fmt.Errorf("%s missing: the lines that say NO tell what it costs and what to type", areMissing(n)), nil}
	}
	d.console.Printf("nothing is missing; nothing was changed")
	return nil
}

func areMissing(n int) string {
	if n == 1 {
		return "1 thing is"
	}
	return fmt.Sprintf("%d things are", n)
}

// rights says what the account may do.
func (d *doctor) rights() {
	if d.uid == 0 {
		d.say(fine, "root", "every account can be contained, rotated and collected", "")
		return
	}
	d.say(missing, "root", fmt.Sprintf("you are user %d: contain reaches your own account's agent alone and leaves the firewall open; "+
		"other accounts, the journal and the host's logs are not collected", d.uid), d.asRoot())
}

// program says whether somebody could change the program that runs.
func (d *doctor) program() {
	name, err := os.Executable()
	if err == nil {
		_, err = host.RootOnly(d.machine.Root, name)
	}
	d.check(err, "this program", fmt.Sprintf("%s %s; root alone can write it", name, version()),
		"sudo install -m 755 openclaw-ir /usr/local/bin/openclaw-ir, from the release whose SHA256SUMS you checked")
}

// freezer says how the agent will be held.
func (d *doctor) freezer() {
	switch mount := contain.CgroupMount(d.machine.Root); {
	case d.machine.Mac:
		d.say(unasked, "cgroup freezer", "macOS has none: processes are stopped one by one", "")
	case mount == "":
		d.say(unasked, "cgroup freezer", "no cgroups of version 2 here: processes are stopped one by one (SIGSTOP), which takes some milliseconds longer", "")
	case d.uid != 0:
		d.say(unasked, "cgroup freezer", "root alone may use it: your own processes are stopped one by one (SIGSTOP)", "")
	default:
		d.say(fine, "cgroup freezer", mount, "")
	}
}

// wayIn says how the person who asks came in, and whether contain keeps that open.
func (d *doctor) wayIn() {
	if d.machine.Mac {
		d.say(unasked, "your connection", "contain leaves the firewall of macOS to you", "")
		return
	}
	all, err := contain.Responder(d.ctx, d.machine, d.getenv("SSH_CONNECTION"), nil)
	if err != nil {
		d.say(missing, "your connection", err.Error(), "openclaw-ir contain --no-firewall, or --allow-from your address")
		return
	}
	own, others := contain.OwnWays(all)
	if len(own) == 0 {
		d.say(unasked, "your connection", "not over SSH, as far as can be seen: closing the firewall does not cut you off",
			"openclaw-ir contain --allow-from ADDRESS keeps SSH from there")
	}
	for _, w := range own {
		d.say(fine, "your connection", fmt.Sprintf("%s (%s): contain keeps it open", w, w.By), "")
	}
	for _, w := range others {
		d.say(unasked, "another "+w.By, fmt.Sprintf("%s: contain lets no new ones in from there", w),
			"openclaw-ir contain --allow-from "+w.From.Addr().String()+", if you know who it is")
	}
}

// openclaw says what there is to contain, and whether all of it can be read.
func (d *doctor) openclaw() {
	if len(d.installs) == 0 {
		d.say(unasked, "installation", "no OpenClaw found", "openclaw-ir doctor --state-dir DIR, if it lies in an unusual place")
	}
	for _, in := range d.installs {
		d.say(fine, "installation", fmt.Sprintf("OpenClaw %s of %s in %s (%s)", orUnknown(in.Version), orUnknown(in.User), in.StateDir, in.Era), "")
		d.proof(in)
	}
	for i, g := range d.gaps {
		if i == maxWarnings {
			d.say(missing, "more that cannot be read", plural(len(d.gaps)-i, "place"), "openclaw-ir doctor --json")
			break
		}
		d.say(missing, "can be read", g.Path+": "+g.What, d.asRoot())
	}
	d.gateways()
}

// gateways says what runs.
func (d *doctor) gateways() {
	table, err := d.machine.Processes(d.ctx)
	if err != nil {
		d.say(missing, "processes", err.Error(), d.asRoot())
		return
	}
	var pids []string
	for _, p := range table.Processes {
		if p.Role == host.RoleGateway {
			pids = append(pids, fmt.Sprintf("%d of user %d", p.PID, p.UID))
		}
	}
	if len(pids) == 0 {
		d.say(unasked, "gateway", "none runs", "")
		return
	}
	d.say(fine, "gateway", "runs as process "+strings.Join(pids, ", ")+"; to stop it: openclaw-ir contain", "")
}
