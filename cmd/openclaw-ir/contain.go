package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/collect"
	"github.com/clawbook/openclaw-ir/contain"
	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/urfave/cli/v2"
)

func containCommand(e env) *cli.Command {
	return &cli.Command{
		Name:  "contain",
		Usage: "stop the agent and close the host, without destroying evidence or locking you out",
		Description: `Freezes the gateway and everything it started at once, says what it is going to do and asks; a "no" thaws them. Then it
seals what stopping would lose, stops the agent for good (also after a reboot), closes the firewall but for your own
way in, and looks whether it worked. "openclaw-ir contain undo" takes it back.

Without root it does what your account can, and says what it could not.

Examples:
   sudo openclaw-ir contain
   sudo openclaw-ir contain --dry-run                        # what it would do; freezes nothing
   sudo openclaw-ir contain --yes --confirm-within 2m        # puts the firewall back unless you confirm in time
   sudo openclaw-ir contain --egress --lock-config -R recipients.txt

` + exitText,
		Flags: append(append(caseFlags(), recipientFlags()...),
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do it without asking"},
			&cli.BoolFlag{Name: "dry-run", Usage: "say what it would do, and freeze and change nothing"},
			&cli.BoolFlag{Name: "now", Usage: "do not seal anything first: what only the running agent holds is lost"},
			&cli.BoolFlag{Name: "no-firewall", Usage: "leave the firewall alone"},
			&cli.BoolFlag{Name: "egress", Usage: "close the way out too, but for DNS, time and your own connection"},
			&cli.StringSliceFlag{Name: "allow-from", Usage: "let SSH from this `ADDRESS` in too"},
			&cli.DurationFlag{Name: "confirm-within", Usage: "put the firewall back after `TIME` (as 2m) unless \"contain confirm\" is run by then"},
			&cli.BoolFlag{Name: "lock-config", Usage: "close the configuration too: loopback, no messages, no exec, no automations"},
			&cli.StringSliceFlag{Name: "state-dir", Usage: "look at this OpenClaw state `DIR` too"},
			&cli.BoolFlag{Name: "json", Usage: "one JSON object a line, a version first"},
		),
		Subcommands:  []*cli.Command{containStatusCommand(e), containUndoCommand(e), containConfirmCommand(e), deadManCommand(e)},
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usageError("openclaw-ir contain --help", "contain takes no arguments: %q%s", c.Args().First(), suggestion(c.Command.Subcommands, c.Args().First()))
			}
			return runContain(c, e)
		},
	}
}

// A step is one line of what contain says: a part of the plan, something done, something looked at.
type step struct {
	Record string `json:"record"` // frozen, plan, step, end
	Step   string `json:"step,omitempty"`
	contain.Check
}

func (e env) stepLine(s step) string {
	if s.Record == "plan" {
		return fmt.Sprintf("  %-10s %s", s.Step, console.Escape(s.Detail))
	}
	return markedLine(s, e.mark(s.OK))
}

func markedLine(s step, mark string) string {
	line := fmt.Sprintf("%-8s %s  %s", s.Step, mark, console.Escape(s.What))
	if s.Detail != "" {
		line += ": " + console.Escape(s.Detail)
	}
	if !s.OK && s.Hint != "" {
		line += "\n             → " + console.EscapeCommand(s.Hint)
	}
	return line
}

// mark says at the beginning of a line whether something is as it should be.
func (e env) mark(ok bool) string {
	if ok {
		return e.console.Paint(console.Good, "ok")
	}
	return e.console.Paint(console.Bad, "NO")
}

// A containing is one run of contain.
type containing struct {
	env
	c        *cli.Context
	machine  contain.Machine
	frozen   *contain.Frozen
	con      *contain.Containment // nil in a dry run
	installs []*openclaw.Installation
	gaps     []openclaw.Gap
	plan     *contain.Plan
	way      string // how the person who runs this came in
	lines    *console.Lines[step]
	failed   int // checks that are not as they should be
}

func runContain(c *cli.Context, e env) error {
	x := &containing{env: e, c: c, frozen: &contain.Frozen{}}
	begun := time.Now()
	var err error
	if x.machine, err = newMachine(e); err != nil {
		return err
	}
	defer x.machine.Root.Close()
	if _, err := contain.ParsePrefixes(c.StringSlice("allow-from")); err != nil {
		return usageError("--allow-from 203.0.113.9", "--allow-from: %v", err)
	}
	if !c.Bool("dry-run") { // before anything else: every millisecond the agent may act
		if x.frozen, err = x.machine.Freeze(c.Context); err != nil {
			return fmt.Errorf("freezing: %w", err)
		}
	}
	took := cmp.Or(host.Running(), time.Since(begun)) // macOS does not tell how long we run
	if x.lines, err = console.NewLines(e.console, c.Bool("json"), map[string]any{"command": "contain"}, e.stepLine); err != nil {
		return err
	}
	return x.run(took)
}

func newMachine(e env) (contain.Machine, error) {
	root, err := e.openHost("/")
	if err != nil {
		return contain.Machine{}, err
	}
	runner, err := host.NewTrusted()
	if err != nil {
		return contain.Machine{}, fmt.Errorf("looking for trusted commands: %w", err)
	}
	return contain.Machine{Root: root, Run: runner, UID: e.uid, Mac: runtime.GOOS == "darwin"}, nil
}

func (x *containing) run(took time.Duration) error {
	if !x.c.Bool("dry-run") {
		cs, err := x.openCase()
		if err != nil {
			return x.thawed(err)
		}
		defer cs.Close()
		if x.con, err = contain.Begin(x.c.Context, x.machine, cs, x.frozen, "openclaw-ir "+version()); err != nil {
			return x.busy(err)
		}
		defer x.con.Done()
	}
	x.sayFrozen(took)
	if err := x.look(); err != nil {
		return x.thawed(err)
	}
	x.sayPlan()
	if x.c.Bool("dry-run") {
		return x.end("nothing was frozen or changed")
	}
	release := x.machine.Guard(context.WithoutCancel(x.c.Context), x.frozen)
	yes, err := agreed(x.c, x.env)
	release()
	if !yes || err != nil {
		return x.thawed(err)
	}
	return x.contain()
}

// memoryCases holds root's cases where the disk takes none, until the next boot.
const memoryCases = "/run/openclaw-ir"

// openCase opens the case in memory if the disk is full or broken: that is no reason to let the agent go on.
func (x *containing) openCase() (*casefile.Case, error) {
	cs, err := openCase(x.c, x.env)
	if err == nil || x.uid != 0 || errors.Is(err, casefile.ErrUnsafe) || x.c.IsSet("case-dir") {
		return cs, err
	}
	mem, merr := casefile.Open(memoryCases, x.c.String("case"), true)
	if merr != nil {
		return nil, err
	}
	x.take(memoryCases, mem)
	x.failed++
	x.console.Warningf("%v; the case %q lies in memory until the next boot: free some room, or name another disk with --case-dir; undo with --case-dir %s", err, mem.Name(), memoryCases)
	return mem, nil
}

// look finds the installations and makes the plan.
func (x *containing) look() error {
	dirs, err := absoluteAll(x.c.StringSlice("state-dir"))
	if err != nil {
		return err
	}
	x.installs, x.gaps = openclaw.Find(x.machine.Root, openclaw.FindOptions{UID: x.uid, StateDirs: dirs})
	options := contain.Options{LockConfig: x.c.Bool("lock-config")}
	var gaps []string
	if !x.c.Bool("no-firewall") && !x.machine.Mac {
		options.Firewall, err = x.ways()
		if err != nil { // no reason not to stop the agent
			gaps = append(gaps, "closing the firewall: "+err.Error())
		}
	}
	if x.plan, err = x.machine.Plan(x.c.Context, x.frozen, x.installs, options); err != nil {
		return fmt.Errorf("looking at the host: %w", err)
	}
	x.plan.Gaps = append(x.plan.Gaps, gaps...)
	return nil
}

// ways finds the ways in that are to stay open.
func (x *containing) ways() (*contain.FirewallOptions, error) {
	all, err := contain.Responder(x.c.Context, x.machine, x.getenv("SSH_CONNECTION"), x.c.StringSlice("allow-from"))
	if err != nil {
		return nil, err
	}
	own, others := contain.OwnWays(all)
	for _, w := range others {
		x.console.Warningf("another %s is open from %s: new ones from there are not let in; --allow-from keeps it", w.By, w.From)
	}
	for _, w := range own {
		if w.Peer.IsValid() && x.way == "" {
			x.way = fmt.Sprintf(" (you are on SSH from %s, port %d: kept open)", w.From.Addr(), w.Port)
		}
	}
	return &contain.FirewallOptions{Responder: own, Egress: x.c.Bool("egress")}, nil
}

// thawed lets everything go on as if nothing had been, because of a "no", an interrupt or wrong use. An error is no "no", nor is a
// connection that drops: then what is frozen stays so.
func (x *containing) thawed(err error) error {
	if len(x.frozen.Processes) == 0 && x.con == nil {
		return err
	}
	if !x.isNo(err) {
		x.console.Warningf("what is frozen stays frozen: openclaw-ir contain goes on, and a \"no\" there thaws it")
		return err
	}
	ctx := context.WithoutCancel(x.c.Context)
	var terr error
	if x.con != nil {
		terr = x.con.Release(ctx)
	} else {
		terr = x.machine.Thaw(ctx, x.frozen)
	}
	if terr == nil && len(x.frozen.Processes) > 0 {
		x.console.Printf("thawed; nothing was changed")
	}
	return errors.Join(err, terr)
}

// isNo reports that the person who runs this does not want to go on.
func (x *containing) isNo(err error) bool {
	if cause := context.Cause(x.c.Context); cause != nil {
		return !strings.Contains(cause.Error(), "hangup")
	}
	var ce *codeError
	return err == nil || errors.Is(err, context.Canceled) || errors.As(err, &ce) && ce.code == exitUsage
}

// busy leaves everything frozen if another run is at work: it will kill what is frozen, or thaw it.
func (x *containing) busy(err error) error {
	if errors.Is(err, contain.ErrBusy) {
		return &codeError{exitFailed, err, []string{"wait for it, then openclaw-ir contain status; what is frozen stays frozen until then"}}
	}
	return x.thawed(err)
}

// agreed asks whether to go on, unless --yes has said so.
func agreed(c *cli.Context, e env) (bool, error) {
	if c.Bool("yes") {
		return true, nil
	}
	yes, err := e.console.Confirm(c.Context, "go on?")
	if errors.Is(err, console.ErrNoTerminal) {
		return false, usageError("openclaw-ir "+commandPath(c)+" --yes", "there is no terminal to ask on")
	}
	return yes, err
}

// contain does what the plan says. From here on an interrupt no longer stops it half way.
func (x *containing) contain() error {
	ctx, con := context.WithoutCancel(x.c.Context), x.con
	x.keep()
	x.say("stop", con.Stop(ctx, x.plan)...)
	if x.plan.Firewall != nil {
		if within := x.c.Duration("confirm-within"); within > 0 {
			x.say("close", con.Arm([]string{"contain", deadManName, "--case-dir", casesDir(x.c, x.env), "--case", con.Case.Name()}, time.Now().Add(within)))
		}
		x.say("close", con.Close(ctx, x.plan))
	}
	if x.c.Bool("lock-config") {
		if err := changing(con.Case, x.machine.Root, x.plan.LockedFiles(), func() { x.say("lock", con.Lock(x.plan)...) }); err != nil {
			x.say("lock", contain.Check{What: "index of what is sealed", Detail: err.Error(), Hint: "openclaw-ir collect before rotate"})
		}
	}
	bar := x.console.Progress(console.Items)
	bar.Start("watching that it stays dead", contain.WatchLooks)
	watched := con.Watch(ctx, x.plan, func() { bar.Add(1) })
	bar.Done()
	x.say("verify", watched)
	x.say("verify", con.Verify(ctx)...)
	x.say("verify", x.machine.VerifyPorts(ctx, x.plan.Ports))
	x.say("by hand", x.machine.ByHand(!x.c.Bool("no-firewall"))...)
	for _, gap := range x.plan.Gaps {
		x.say("verify", contain.Check{What: "not looked at", Detail: gap, Hint: rootHint(x.uid)})
	}
	if err := con.Finish(x.failed); err != nil {
		x.say("verify", contain.Check{What: "record of the containment", Detail: err.Error(), Hint: "free some room for the case, then openclaw-ir contain again"})
	}
	return x.end(fmt.Sprintf("contained; to take it back: openclaw-ir contain undo --case %s", con.Case.Name()))
}

func rootHint(uid int) string {
	if uid != 0 {
		return "sudo openclaw-ir contain"
	}
	return ""
}

// keep seals what stopping and rotating would lose, with collect's own code. It is no reason not to stop.
func (x *containing) keep() {
	if x.c.Bool("now") {
		check := x.con.Note("keep", "nothing, as asked with --now", nil)
		check.Detail = ""
		x.say("keep", check)
		return
	}
	bundle, err := x.seal(x.con.Case)
	check := contain.Check{What: "sealed bundle", OK: err == nil, Detail: bundle}
	if err != nil {
		check.Detail = fmt.Sprintf("NOT SEALED (%v): what only the running agent held, such as its open connections and memory, is lost", err)
		check.Hint = "openclaw-ir collect -R recipients.txt takes what is on the disk, before rotate changes it"
	}
	if lerr := x.con.Kept(bundle, err); lerr != nil {
		check.OK, check.Detail = false, lerr.Error()
	}
	x.say("keep", check)
}

func (x *containing) seal(cs *casefile.Case) (bundle string, err error) {
	to, err := recipients(x.c, x.env)
	if err != nil {
		return "", err
	}
	release, err := x.con.Reserve()
	if err != nil {
		return "", err
	}
	defer release()
	col := &collection{
		env: x.env, c: x.c, ctx: x.c.Context, root: x.machine.Root, runner: x.machine.Run, installs: x.installs, gaps: x.gaps,
		options: collect.Options{Profile: collect.Volatile, Since: time.Now().AddDate(0, 0, -1)},
	}
	b, err := col.seal(cs, to)
	if err != nil {
		return "", err
	}
	col.warn(b.outcome)
	bundle = fmt.Sprintf("%s (%s)", b.out.name, console.Size(b.summary.Size))
	if b.outcome.Partial() {
		x.failed++
		bundle += ", with gaps: " + countRows(b.outcome)
	}
	return bundle, nil
}

// say prints checks and counts those that are not as they should be.
func (x *containing) say(name string, checks ...contain.Check) {
	for _, ch := range checks {
		if !ch.OK {
			x.failed++
		}
		x.write(step{"step", name, ch})
	}
}

func (x *containing) write(s step) {
	_ = x.lines.Write(s) // nobody is left to tell; the custody log has it
	_ = x.lines.Flush()
}

func (x *containing) sayFrozen(took time.Duration) {
	if x.c.Bool("dry-run") {
		return
	}
	f := x.frozen
	detail := fmt.Sprintf("%s, %d ms; nothing is lost, \"no\" below thaws them", whatFroze(f), took.Milliseconds())
	if len(f.Processes) == 0 {
		detail = "nothing of OpenClaw runs"
	}
	x.write(step{"frozen", "frozen", contain.Check{What: detail, OK: len(f.Gaps) == 0, Detail: strings.Join(f.Gaps, "; "), Hint: rootHint(x.uid)}})
}

// whatFroze says "the gateway and 7 processes".
func whatFroze(f *contain.Frozen) string {
	gateways := 0
	for _, r := range f.Processes {
		if r.Role == host.RoleGateway {
			gateways++
		}
	}
	rest := plural(len(f.Processes)-gateways, "process")
	switch {
	case gateways == 0:
		return rest
	case gateways == 1:
		return "the gateway and " + rest
	}
	return plural(gateways, "gateway") + " and " + rest
}

func (x *containing) sayPlan() {
	who := "no installation of OpenClaw found"
	for i, in := range x.installs {
		if i == 0 {
			who = ""
		}
		who += fmt.Sprintf(", OpenClaw %s of user %s", orUnknown(in.Version), orUnknown(in.User))
	}
	info := host.Describe(x.c.Context, x.machine.Root, x.machine.Run)
	if !x.c.Bool("json") {
		fmt.Fprintf(x.console.Out(), "plan for host %s: %s%s\n", console.Escape(string(info.Hostname)), console.Escape(strings.TrimPrefix(who, ", ")), x.way)
	}
	n := 0
	part := func(name, detail string) {
		n++
		x.write(step{"plan", fmt.Sprintf("%d %s", n, name), contain.Check{What: name, OK: true, Detail: detail}})
	}
	if x.c.Bool("now") {
		part("keep", "NOTHING, as asked: what only the running agent holds will be lost")
	} else {
		part("keep", "volatile state, and what stopping would lose, in a sealed bundle of this case")
	}
	part("stop", x.plan.Stops())
	if x.plan.Firewall != nil {
		for i, line := range x.plan.Firewall.Lines() {
			if i == 0 {
				part("close", line)
			} else {
				x.write(step{"plan", "", contain.Check{What: "close", OK: true, Detail: line}})
			}
		}
	}
	for _, ch := range x.machine.ByHand(!x.c.Bool("no-firewall")) {
		part("by hand", ch.What+": "+ch.Hint)
	}
	for _, l := range x.plan.Locks {
		part("lock", l.Path+": "+strings.Join(l.What, ", "))
	}
	for _, note := range x.plan.Unlocked {
		x.console.Warningf("stays open: %s", note)
	}
	part("verify", "ports, processes, units, rules")
	for _, gap := range x.plan.Gaps {
		x.console.Warningf("not looked at: %s", gap)
	}
	for _, g := range x.gaps {
		x.console.Warningf("%s: %s", g.Path, g.What)
	}
}

// end says how it went.
func (x *containing) end(text string) error {
	if err := x.lines.Flush(); err != nil {
		return err
	}
	if x.c.Bool("json") {
		x.write(step{Record: "end", Check: contain.Check{What: text, OK: x.failed == 0}})
	} else {
		x.console.Printf("%s", text)
	}
	if x.failed > 0 {
		return &codeError{exitPartial, fmt.Errorf("done in part: %d of the lines above say NO", x.failed), nil}
	}
	return nil
}
