package main

import (
	"errors"
	"fmt"
	"os/user"
	"strconv"
	"strings"

	"github.com/clawbook/openclaw-ir/collect"
	"github.com/clawbook/openclaw-ir/collect/schedule"
	"github.com/clawbook/openclaw-ir/contain"
	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/urfave/cli/v2"
)

func scheduleCommand(e env) *cli.Command {
	return &cli.Command{
		Name: "schedule", Usage: "have snapshots taken by themselves, and look whether they are",
		Description: `On a quiet day: a host that seals its evidence every hour, each seal naming the one before, can later show whether its
record was changed. A timer of systemd takes the snapshots, or cron where there is no systemd.

Examples:
   sudo openclaw-ir collect schedule install --every 1h --keep 24h,30d,12m -R recipients.txt
   sudo openclaw-ir collect schedule status
   sudo openclaw-ir collect schedule remove

` + exitText,
		Subcommands:  []*cli.Command{scheduleInstallCommand(e), scheduleStatusCommand(e), scheduleRemoveCommand(e)},
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			const hint = "openclaw-ir collect schedule install, status or remove"
			return usageError(hint, "what about the schedule? %q%s", c.Args().First(), suggestion(c.Command.Subcommands, c.Args().First()))
		},
	}
}

// scheduleFlags choose the case, and say that nobody is asked.
func scheduleFlags(more ...cli.Flag) []cli.Flag {
	flags := append(caseFlags(), more...)
	flags[0].(*cli.StringFlag).Usage = "the `NAME` of the case that keeps the snapshots (default: " + casefile.SnapshotsCase + ")"
	return append(flags, &cli.BoolFlag{Name: "json", Usage: "one JSON object a line, a version first"})
}

func scheduleInstallCommand(e env) *cli.Command {
	return &cli.Command{
		Name: "install", Usage: "take a snapshot every hour, or as often as you say",
		Description: `Writes a service that may read everything and write to its case alone, with little of the processor and the disk, and
a timer that starts it; or with --user the same for your own account and its own service manager. Shows what it will
do and asks. To install again replaces it. What --notify names is run within the same bounds: a program that must write
to the disk or needs other rights, such as sendmail, will not work, one that talks over the network or to the journal will.

Examples:
   sudo openclaw-ir collect schedule install --every 1h --keep 24h,30d,12m -R recipients.txt --dry-run
   sudo openclaw-ir collect schedule install -R recipients.txt --to s3://evidence/host-1 --lock-days 90
   sudo openclaw-ir collect schedule install -R recipients.txt --notify @/etc/openclaw-ir/webhook
   openclaw-ir collect schedule install --user -R recipients.txt

` + exitText,
		Flags: scheduleFlags(append(append(recipientFlags()[:2], uploadFlags()...),
			&cli.StringFlag{Name: "every", Value: "1h", Usage: "take one every `SPAN`: 5m to 30m, 1h to 12h, 1d"},
			&cli.StringFlag{Name: "keep", Usage: "remove old bundles, but for one an hour, day and month as `SPANS` say (as 24h,30d,12m; default: keep all)"},
			&cli.IntFlag{Name: "every-full", Value: collect.DefaultEveryFull, Usage: "take everything every `N` snapshots"},
			notifyFlag("tell"),
			&cli.StringSliceFlag{Name: "state-dir", Usage: "take this OpenClaw state `DIR` too"},
			&cli.BoolFlag{Name: "user", Usage: "for your own account, without root"},
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do it without asking"},
			&cli.BoolFlag{Name: "dry-run", Usage: "show the files and what would be done, and change nothing"},
		)...),
		OnUsageError: onUsageError,
		Action:       func(c *cli.Context) error { return installSchedule(c, e) },
	}
}

func scheduleStatusCommand(e env) *cli.Command {
	return &cli.Command{
		Name: "status", Usage: "say whether snapshots are taken, and what the last one found",
		Description: `Changes nothing, and leaves no line in the custody log, so that a monitor may run it often. Exit code 3 if the last
snapshot failed, if none was taken for two periods, or if a store is still to get one; 4 if the last one had alarms,
or if what was installed was changed.

Example:
   sudo openclaw-ir collect schedule status --json

` + exitText,
		Flags:        scheduleFlags(),
		OnUsageError: onUsageError,
		Action:       func(c *cli.Context) error { return scheduleStatus(c, e) },
	}
}

func scheduleRemoveCommand(e env) *cli.Command {
	return &cli.Command{
		Name: "remove", Usage: "take no more snapshots by itself, and put back what was there before",
		Description: `The case and its snapshots stay. A file that somebody changed since it was installed is left alone unless --force.

Examples:
   sudo openclaw-ir collect schedule remove --dry-run
   sudo openclaw-ir collect schedule remove

` + exitText,
		Flags: scheduleFlags(
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do it without asking"},
			&cli.BoolFlag{Name: "dry-run", Usage: "say what it would do, and change nothing"},
			&cli.BoolFlag{Name: "force", Usage: "also put back what somebody changed since"},
		),
		OnUsageError: onUsageError,
		Action:       func(c *cli.Context) error { return removeSchedule(c, e) },
	}
}

// A scheduling is one run of collect schedule.
type scheduling struct {
	env
	c      *cli.Context
	root   *host.Root
	run    *host.Trusted
	user   bool
	lines  *console.Lines[step]
	failed int
}

func newScheduling(c *cli.Context, e env, user bool) (*scheduling, error) {
	if c.Args().Present() {
		return nil, usageError("openclaw-ir "+commandPath(c)+" --help", "%s takes no arguments: %q", commandPath(c), c.Args().First())
	}
	if err := snapshotsCase(c); err != nil {
		return nil, err
	}
	x := &scheduling{env: e, c: c, user: user}
	var err error
	if x.run, err = host.NewTrusted(); err != nil {
		return nil, fmt.Errorf("looking for trusted commands: %w", err)
	}
	if x.root, err = e.openHost("/"); err != nil {
		return nil, err
	}
	x.lines, err = console.NewLines(e.console, c.Bool("json"), map[string]any{"command": commandPath(c)}, e.stepLine)
	return x, err
}

// scheduler finds what starts things for the account.
func (x *scheduling) scheduler(cs *casefile.Case) (*schedule.Scheduler, error) {
	s, err := schedule.New(cs, x.root, x.run, schedule.Account{
		UID: x.uid, User: x.user, Home: x.getenv("HOME"), ConfigHome: x.getenv("XDG_CONFIG_HOME"),
	})
	switch {
	case errors.Is(err, schedule.ErrNoManager):
		return nil, &codeError{exitFailed, err, []string{
			"log in as this user, or sudo loginctl enable-linger " + strconv.Itoa(x.uid),
			"without systemd: crontab -e, and openclaw-ir collect --snapshot there",
		}}
	case err != nil:
		return nil, &codeError{exitFailed, err, []string{"have whatever starts things here run openclaw-ir collect --snapshot -R recipients.txt"}}
	}
	return s, nil
}

func (x *scheduling) write(s step) {
	if !s.OK && s.Record == "step" {
		x.failed++
	}
	if err := x.lines.Write(s); err != nil {
		x.console.Warningf("writing the output: %v", err)
	}
}

func (x *scheduling) plan(what string) {
	x.write(step{"plan", "schedule", contain.Check{What: what, OK: true, Detail: what}})
}

func (x *scheduling) tell(s schedule.Step) {
	check := contain.Check{What: s.What, OK: s.Err == nil}
	if s.Err != nil {
		check.Detail = s.Err.Error()
	}
	x.write(step{"step", "schedule", check})
}

func (x *scheduling) end(text string) error {
	if err := x.lines.Flush(); err != nil {
		return err
	}
	x.console.Printf("%s", text)
	if x.failed > 0 {
		err := fmt.Errorf("done in part: %d of the lines above say NO", x.failed)
		return &codeError{exitPartial, err, []string{"openclaw-ir collect schedule remove takes back what was done"}}
	}
	return nil
}

// installSchedule plans, asks and installs.
func installSchedule(c *cli.Context, e env) error {
	if user := c.Bool("user"); user == (e.uid == 0) {
		const hint = "sudo openclaw-ir collect schedule install for the host, or as yourself with --user for your account alone"
		return usageError(hint, "the host's schedule is root's, and a user's is not")
	}
	x, err := newScheduling(c, e, c.Bool("user"))
	if err != nil {
		return err
	}
	defer x.root.Close()
	j, address, err := x.job()
	if err != nil {
		return err
	}
	s, err := x.scheduler(nil)
	if err != nil {
		return err
	}
	plan, err := s.Plan(j)
	if err != nil {
		return err
	}
	for _, line := range plan {
		x.plan(line)
	}
	if c.Bool("dry-run") {
		e.record.silence() // there may be no case yet
		return x.showFiles(s, j)
	}
	if yes, err := agreed(c, e); err != nil || !yes {
		return err
	}
	return x.install(j, address)
}

func (x *scheduling) install(j schedule.Job, address string) error {
	cs, err := openCase(x.c, x.env)
	if err != nil {
		return err
	}
	defer cs.Close()
	if address != "" {
		if err := cs.WriteFile(notifyName, []byte(address+"\n")); err != nil {
			return err
		}
	}
	s, err := x.scheduler(cs)
	if err != nil {
		return err
	}
	if err := s.Install(x.c.Context, j, "openclaw-ir "+version(), x.tell); err != nil && x.failed == 0 {
		return err
	}
	if x.failed > 0 {
		return x.end("not installed")
	}
	x.hints(s, j)
	return x.end("installed: the first snapshot takes everything, and later ones what changed")
}

func (x *scheduling) hints(s *schedule.Scheduler, j schedule.Job) {
	switch s.Kind {
	case schedule.System:
		x.console.Hintf("to take the first one now: sudo systemctl start %s.service", j.Name)
	case schedule.User:
		x.console.Hintf("to take the first one now: systemctl --user start %s.service", j.Name)
	case schedule.Cron:
	}
	if u, err := user.LookupId(strconv.Itoa(x.uid)); err == nil && !s.Lingers(u.Username) {
		x.console.Warningf("it runs only while you are logged in")
		x.console.Hintf("sudo loginctl enable-linger %s has it run always", u.Username)
	}
}

// showFiles ends a dry run.
func (x *scheduling) showFiles(s *schedule.Scheduler, j schedule.Job) error {
	files, err := s.Files(j)
	if err != nil {
		return err
	}
	for _, f := range files {
		if x.c.Bool("json") {
			x.write(step{"plan", "file", contain.Check{What: f.Path, OK: true, Detail: f.Text}})
			continue
		}
		if err := x.lines.Flush(); err != nil {
			return err
		}
		fmt.Fprintf(x.console.Out(), "\n%s:\n", console.Escape(f.Path))
		for line := range strings.Lines(f.Text) {
			fmt.Fprintln(x.console.Out(), console.Escape(strings.TrimSuffix(line, "\n")))
		}
	}
	return x.end("nothing was changed")
}

// installed opens the case and its schedule. The caller closes both.
func installed(c *cli.Context, e env) (x *scheduling, cs *casefile.Case, r *schedule.Record, s *schedule.Scheduler, err error) {
	if x, err = newScheduling(c, e, e.uid != 0); err != nil {
		return nil, nil, nil, nil, err
	}
	if cs, err = existingCase(c, e); err == nil {
		if r, err = schedule.Load(cs); err == nil {
			s, err = x.scheduler(cs)
		}
	}
	if errors.Is(err, schedule.ErrNone) || errors.Is(err, casefile.ErrNoCase) {
		err = &codeError{exitFailed, err, []string{"openclaw-ir collect schedule install -R recipients.txt installs one; --case NAME names another case"}}
	}
	if err == nil && s.Kind != r.Kind {
		err = fmt.Errorf("the schedule is one of %s, which is not here", r.Kind)
	}
	if err != nil {
		x.root.Close()
		if cs != nil {
			cs.Close()
		}
	}
	return x, cs, r, s, err
}

// removeSchedule plans, asks and takes back.
func removeSchedule(c *cli.Context, e env) error {
	x, cs, r, s, err := installed(c, e)
	if err != nil {
		return err
	}
	defer x.root.Close()
	defer cs.Close()
	for _, f := range r.Files {
		what := "remove " + f.Path
		if f.Was.Exists {
			what = "put back " + f.Path + " as it was"
		}
		x.plan(what)
	}
	if c.Bool("dry-run") {
		return x.end("nothing was changed")
	}
	if yes, err := agreed(c, e); err != nil || !yes {
		return err
	}
	if err := s.Remove(c.Context, r, c.Bool("force"), x.tell); err != nil && x.failed == 0 {
		return err
	}
	if x.failed > 0 {
		if err := x.lines.Flush(); err != nil {
			return err
		}
		err := fmt.Errorf("done in part: %d of the lines above say NO", x.failed)
		return &codeError{exitPartial, err, []string{"look at what changed, then openclaw-ir collect schedule remove --force"}}
	}
	return x.end("removed; the snapshots stay in case " + cs.Name())
}
