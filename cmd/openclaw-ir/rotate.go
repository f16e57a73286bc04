package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/contain"
	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/secret"
	"github.com/clawbook/openclaw-ir/internal/stores"
	"github.com/clawbook/openclaw-ir/rotate"
	"github.com/urfave/cli/v2"
)

func rotateCommand(e env) *cli.Command {
	return &cli.Command{
		Name:  "rotate",
		Usage: "replace the secrets the agent held; say, in order, which ones only you can replace",
		Description: `Replaces the gateway's token or password and the hooks' token where they really lie, removes every paired device, pending
request and join code, takes WhatsApp's credentials away, and proves that the old token is refused and the new one
accepted. Then it lists everything else the installation held, in the order in which to replace it. Run "contain"
first: it seals what this changes, and a gateway that runs would pair its devices again.

The new values are shown once on the terminal, or written to a file of yours with --out. Exit code 3 while anything
on the list is open.

Examples:
   sudo openclaw-ir rotate
   sudo openclaw-ir rotate --dry-run
   sudo openclaw-ir rotate --yes --out /root/new-tokens --scrub
   openclaw-ir rotate list
   openclaw-ir rotate done whatsapp-link

` + exitText,
		Flags: append(rotateFlags(), rootFlag(),
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do it without asking"},
			&cli.BoolFlag{Name: "dry-run", Usage: "say what it would do, and change nothing"},
			&cli.StringFlag{Name: "out", Usage: "write the new values to the new `FILE` (0600) instead of showing them"},
			&cli.BoolFlag{Name: "reset-pairing", Usage: "forget every sender who was allowed too"},
			&cli.BoolFlag{Name: "scrub", Usage: "remove the old copies in which replaced secrets lie on"},
			&cli.BoolFlag{Name: "without-evidence", Usage: "change files that no sealed bundle of the case holds, on the record"},
		),
		Subcommands:  []*cli.Command{rotateVerifyCommand(e), rotateListCommand(e), rotateDoneCommand(e)},
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usageError("openclaw-ir rotate --help", "rotate takes no arguments: %q%s", c.Args().First(), suggestion(c.Command.Subcommands, c.Args().First()))
			}
			if c.IsSet("root") && !c.Bool("dry-run") {
				return usageError("openclaw-ir rotate --root DIR --dry-run, or rotate list --root DIR", "a mounted disk is evidence: nothing is replaced on it")
			}
			return withRotation(c, e, "rotate", (*rotation).rotate)
		},
	}
}

// rootFlag chooses a mounted disk, for what only looks.
func rootFlag() cli.Flag {
	return &cli.StringFlag{Name: "root", Usage: "look at the host whose disk is mounted at `DIR`; nothing is ever replaced there"}
}

func rotateFlags() []cli.Flag {
	return append(caseFlags(),
		&cli.StringSliceFlag{Name: "state-dir", Usage: "only this OpenClaw state `DIR` (default: every one that is found)"},
		&cli.BoolFlag{Name: "json", Usage: "one JSON object a line, a version first"},
	)
}

// A rotation is one run of rotate.
type rotation struct {
	env
	c        *cli.Context
	machine  contain.Machine
	root     *host.Root // the machine's
	cs       *casefile.Case
	print    secret.Fingerprinter
	installs []*held
	lines    *console.Lines[any]
	failed   int
}

// held is an installation and what of it is replaced here.
type held struct {
	*openclaw.Installation
	owner       host.Owner
	running     bool // a gateway of its user runs
	credentials []rotate.Credential
	devices     []stores.Device
	allowed     []stores.AllowEntry
	links       []rotate.Linked
	residue     []rotate.Residue
	fresh       map[string]string // new values, by the credential's name
	old         map[string][]string
}

// withRotation opens the case, finds the installations and runs one of rotate's commands.
func withRotation(c *cli.Context, e env, name string, do func(*rotation) error) error {
	cs, err := openCase(c, e)
	if err != nil {
		return err
	}
	defer cs.Close()
	salt, err := cs.Salt()
	if err != nil {
		return err
	}
	x := &rotation{env: e, c: c, cs: cs, print: secret.NewFingerprinter(salt)}
	if err := x.openRoot(); err != nil {
		return err
	}
	defer x.root.Close()
	if x.lines, err = console.NewLines(e.console, c.Bool("json"), map[string]any{"command": name}, e.rotateLine); err != nil {
		return err
	}
	if err := x.find(); err != nil {
		return err
	}
	return do(x)
}

// openRoot opens this machine, or the disk of another, of which there are files alone.
func (x *rotation) openRoot() (err error) {
	if dir := x.c.String("root"); dir != "" {
		x.root, err = x.openHost(dir)
		return err
	}
	x.machine, err = newMachine(x.env)
	x.root = x.machine.Root
	return err
}

// find looks for the installations and reads what may be replaced in each.
func (x *rotation) find() error {
	dirs, err := absoluteAll(x.c.StringSlice("state-dir"))
	if err != nil {
		return err
	}
	find := openclaw.FindOptions{UID: -1, StateDirs: dirs}
	if x.root.Live() {
		find.UID = x.uid
	}
	installs, gaps := openclaw.Find(x.root, find)
	if len(dirs) > 0 { // what was not named stays as it is
		installs = slices.DeleteFunc(installs, func(in *openclaw.Installation) bool { return !slices.Contains(in.FoundBy, "given") })
	}
	x.gaps(gaps)
	if len(installs) == 0 {
		return &codeError{exitFailed, errors.New("no installation of OpenClaw found"), []string{"sudo openclaw-ir rotate looks into every account; --state-dir names another place"}}
	}
	var table host.ProcessTable
	if x.root.Live() {
		if table, err = x.machine.Processes(x.c.Context); err != nil {
			return err
		}
	}
	for _, in := range installs {
		h := &held{Installation: in, fresh: map[string]string{}, old: map[string][]string{}}
		if h.owner, err = host.OwnerOf(x.root, in.StateDir); err != nil {
			x.gaps([]openclaw.Gap{{Path: in.StateDir, What: "left alone: " + err.Error()}})
			continue
		}
		h.running = slices.ContainsFunc(table.Processes, func(p host.Process) bool {
			return p.UID == h.owner.UID && p.Role == host.RoleGateway && p.State != "Z"
		})
		for _, other := range in.Others {
			x.gaps([]openclaw.Gap{{Path: other, What: "may be the config as well as " + in.ConfigPath + ": no secret of it is replaced; look which one a gateway starts with, replace them there by hand, or take the other away and rotate again"}})
		}
		x.installs = append(x.installs, h)
		x.read(h)
	}
	return x.c.Context.Err()
}

func (x *rotation) read(h *held) {
	var gaps []openclaw.Gap
	h.credentials, gaps = rotate.FindCredentials(x.root, h.Installation)
	x.gaps(gaps)
	for _, c := range h.credentials {
		h.old[c.Name] = c.Values()
	}
	h.devices, gaps = stores.Devices(x.c.Context, x.root, h.Installation)
	x.gaps(gaps)
	h.allowed, gaps = stores.Allowed(x.c.Context, x.root, h.Installation)
	x.gaps(gaps)
	h.links, gaps = rotate.WhatsAppLinks(x.root, h.Installation)
	x.gaps(gaps)
	if x.c.Bool("scrub") {
		set := secret.NewSet(x.print)
		x.gaps(h.Secrets(x.c.Context, x.root, set))
		h.residue, gaps = rotate.FindResidue(x.c.Context, x.root, h.Installation, set)
		x.gaps(gaps)
	}
}

func (x *rotation) gaps(gaps []openclaw.Gap) {
	for _, g := range gaps {
		x.failed++
		x.console.Warningf("%s: %s", g.Path, g.What)
	}
}

// rotate plans, asks, replaces, proves and lists.
func (x *rotation) rotate() error {
	x.plan()
	if x.c.Bool("dry-run") {
		return x.end("nothing was changed", 0)
	}
	if err := requireHeld(x.cs, x.root, x.files(), x.c.Bool("without-evidence")); err != nil {
		return err
	}
	if err := x.checkOut(); err != nil {
		return err
	}
	if yes, err := agreed(x.c, x.env); err != nil || !yes {
		return err
	}
	ctx := context.WithoutCancel(x.c.Context)
	if _, err := x.ledger(ctx); err != nil { // what is held before it changes
		return err
	}
	err := changing(x.cs, x.root, x.files(), func() {
		for _, h := range x.installs {
			x.tidy(h)
			x.replace(h)
			x.evict(ctx, h)
			x.unlink(h)
			x.scrub(ctx, h)
		}
		x.tell(ctx)
	})
	if err != nil {
		return err
	}
	for _, h := range x.installs {
		x.prove(ctx, h)
	}
	for _, h := range x.installs {
		h.Config, _ = openclaw.LoadConfig(x.root, h.ConfigPath) // as it is now; its gaps have been told
	}
	list, err := x.ledger(ctx)
	if err != nil {
		return err
	}
	return x.list(list)
}

// tidy takes away what a run that was killed left beside the files that it changed: it holds what they held.
func (x *rotation) tidy(h *held) {
	for _, dir := range []string{h.StateDir, path.Dir(h.ConfigPath), path.Join(h.StateDir, "devices"), path.Join(h.StateDir, "credentials")} {
		if err := host.RemoveTemporary(h.owner, dir); err != nil && !openclaw.IsAbsent(err) {
			x.say("tidy", x.done("tidy", dir, err, ""))
		}
	}
}

// files are all that will change: each must be in a sealed bundle.
func (x *rotation) files() (files []string) {
	for _, h := range x.installs {
		for _, c := range h.credentials {
			files = append(files, c.Files()...)
		}
		kinds := []string{stores.KindDevices}
		if x.c.Bool("reset-pairing") {
			kinds = append(kinds, stores.KindPairing)
		}
		files = append(files, stores.FilesToChange(x.root, h.Installation, kinds...)...)
		for _, l := range h.links {
			for _, f := range l.Files {
				files = append(files, f.Path)
			}
		}
		files = append(files, rotate.ScrubFiles(h.residue)...)
	}
	slices.Sort(files)
	return slices.Compact(files)
}

func (x *rotation) plan() {
	part := func(name, format string, args ...any) {
		detail := fmt.Sprintf(format, args...)
		x.write(step{"plan", name, contain.Check{What: name, OK: true, Detail: detail}})
	}
	for _, h := range x.installs {
		part("of", "OpenClaw %s of user %s in %s", orUnknown(h.Version), orUnknown(h.User), h.StateDir)
		if h.running {
			part("note", "its gateway runs: devices and stores can only be changed when it is stopped, and some releases start again when their token changes, and go on with what was interrupted; openclaw-ir contain comes first")
		}
		for _, c := range h.credentials {
			if c.Person != "" {
				part("you", "%s: %s", c.Name, c.Person)
			} else {
				part("replace", "%s in %s", c.Name, strings.Join(c.Files(), ", "))
			}
		}
		for _, d := range h.devices {
			part("remove", "%s %s %s %s (%s)", d.Kind, d.Name, d.Platform, d.RemoteIP, d.Where)
		}
		for _, a := range h.allowed {
			verb := "review"
			if x.c.Bool("reset-pairing") && !a.Config {
				verb = "forget"
			}
			part(verb, "%s %s:%s (%s)", a.Kind, a.Channel, a.Entry, a.Where)
		}
		for _, l := range h.links {
			part("remove", "WhatsApp credentials of account %s, %s", l.Account, plural(len(l.Files), "file"))
		}
		for _, r := range h.residue {
			part("scrub", "%s %s: %s", r.Action, r.Path, r.Why)
		}
	}
}

// checkOut makes sure that there is a place for the new values before they are made.
func (x *rotation) checkOut() error {
	if name := x.c.String("out"); name != "" {
		if _, err := os.Lstat(name); err == nil {
			return usageError("name another file with --out", "%q exists, and nothing is overwritten", name)
		}
		return nil
	}
	err := x.console.Tell(x.c.Context)
	if errors.Is(err, console.ErrNoTerminal) {
		return usageError("openclaw-ir rotate --out FILE", "there is no terminal to show the new values on")
	}
	return err
}

// replace gives every credential a value of its own.
func (x *rotation) replace(h *held) {
	con, done, err := x.containment()
	if err != nil {
		x.say("replace", x.done("note in", "the case's containment", err, ""))
	} else {
		defer done()
	}
	for _, c := range h.credentials {
		if c.Person != "" {
			x.say("replace", contain.Check{What: c.Name, Detail: "only you can: " + c.Person})
			continue
		}
		value := rotate.NewValue()
		if own, ok := remoteOf(c.Name, h.fresh); ok {
			value = own
		}
		before := edited(con, h.owner)
		changes, err := c.Replace(x.root, value)
		if len(changes) > 0 {
			h.fresh[c.Name] = value
		}
		for _, ch := range changes {
			x.say("replace", x.done("replace "+c.Name, ch.File, rebase(con, h.owner, ch, before), ch.After.SHA256))
		}
		if err != nil {
			x.say("replace", x.done("replace "+c.Name, h.ConfigPath, err, ""))
		}
	}
}

// containment takes up the case's, if there is one: what changes in the files it edited is not to be in the way of its undoing. done
// gives it back.
func (x *rotation) containment() (con *contain.Containment, done func(), err error) {
	con, err = contain.Open(x.machine, x.cs)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, func() {}, nil
	}
	if err == nil {
		err = con.Take()
	}
	if err != nil {
		return nil, nil, err
	}
	return con, con.Done, nil
}

// edited are the texts of the files that the containment edited.
func edited(con *contain.Containment, owner host.Owner) map[string][]byte {
	texts := map[string][]byte{}
	if con == nil {
		return texts
	}
	for _, file := range con.Edited() {
		if text, _, err := host.ReadFile(owner, file); err == nil {
			texts[file] = text
		}
	}
	return texts
}

// rebase tells the containment what a change made of a file that it edited.
func rebase(con *contain.Containment, owner host.Owner, ch rotate.Change, before map[string][]byte) error {
	text, isEdited := before[ch.File]
	if !isEdited {
		return nil
	}
	after, _, err := host.ReadFile(owner, ch.File)
	if err != nil {
		return err
	}
	return con.Rebase(ch.File, text, after, ch.After)
}

// remoteOf is the value for a credential by which this host's own client opens this host's own gateway.
func remoteOf(name string, fresh map[string]string) (string, bool) {
	for remote, own := range map[string]string{rotate.RemoteToken: rotate.GatewayToken, rotate.RemotePassword: rotate.GatewayPassword} {
		if value, ok := fresh[own]; name == remote && ok {
			return value, true
		}
	}
	return "", false
}

// evict removes devices, and with --reset-pairing whoever was let in, from the stores of a gateway that does not run.
func (x *rotation) evict(ctx context.Context, h *held) {
	if h.running {
		x.say("remove", contain.Check{What: "devices of " + h.StateDir, Detail: "the gateway runs and would write them again", Hint: "sudo openclaw-ir contain, then rotate again"})
		return
	}
	steps := []func(context.Context, host.Owner, *openclaw.Installation) ([]stores.Done, error){stores.EvictDevices}
	if x.c.Bool("reset-pairing") {
		steps = append(steps, stores.ResetPairing)
	}
	for _, do := range steps {
		rows, err := do(ctx, h.owner, h.Installation)
		for _, r := range rows {
			x.say("remove", x.noted(fmt.Sprintf("%s: %d %s", r.Where, r.Count, r.What)))
		}
		if err != nil {
			x.say("remove", x.done("remove", h.StateDir, err, ""))
		}
	}
}

func (x *rotation) unlink(h *held) {
	for _, l := range h.links {
		if h.running {
			x.say("remove", contain.Check{What: "WhatsApp credentials", Detail: "the gateway runs", Hint: "sudo openclaw-ir contain, then rotate again"})
			continue
		}
		removed, err := rotate.RemoveLinked(h.owner, h.Installation, l)
		check := x.done("remove", fmt.Sprintf("WhatsApp credentials in %s (%s)", l.Dir, plural(len(removed), "file")), err, "")
		if check.OK {
			check.Detail = "the device stays linked until you remove it on the phone: Settings, Linked devices"
		}
		x.say("remove", check)
	}
}

func (x *rotation) scrub(ctx context.Context, h *held) {
	if len(h.residue) == 0 || h.running {
		return
	}
	rows, _ := rotate.Scrub(ctx, h.owner, h.Installation, h.residue)
	for _, r := range rows {
		var err error
		if r.Error != "" {
			err = errors.New(r.Error)
		}
		x.say("scrub", x.done(string(r.Action), r.Path, err, ""))
	}
}

// tell hands the new values over: to the terminal, once, or to the file.
func (x *rotation) tell(ctx context.Context) {
	var lines []string
	for _, h := range x.installs {
		for _, c := range h.credentials {
			if value, ok := h.fresh[c.Name]; ok {
				lines = append(lines, fmt.Sprintf("%s of %s: %s", c.Name, console.Escape(h.StateDir), value))
			}
		}
	}
	if len(lines) == 0 {
		return
	}
	name := x.c.String("out")
	var err error
	if name == "" {
		name = "terminal"
		err = x.console.Tell(ctx, append([]string{"the new values; they are shown once:"}, lines...)...)
	} else {
		err = writeNew(name, []byte(strings.Join(lines, "\n")+"\n"))
	}
	x.say("tell", x.done("tell", "new values to "+name, err, ""))
}

// prove asks a gateway: the one that runs, or where there is none a private one that holds nothing.
func (x *rotation) prove(ctx context.Context, h *held) {
	active, ok := rotate.Active(h.credentials)
	for _, c := range h.credentials {
		value, replaced := h.fresh[c.Name]
		if !replaced {
			continue
		}
		old := slices.DeleteFunc(slices.Clone(h.old[c.Name]), func(v string) bool { return v == value })
		var checks []rotate.Check
		bar := x.console.Progress(console.Items)
		if h.running && ok && c.Name == active.Name {
			bar.Start("asking the gateway, which may start anew", 0)
			checks = rotate.Verify(ctx, probe(h), c, old, value)
		} else {
			bar.Start("asking a private gateway", 0)
			checks = rotate.VerifyContained(ctx, x.root, h.Installation, c, old, value)
		}
		bar.Done()
		for _, ch := range checks {
			x.say("verify", contain.Check(ch))
		}
	}
}

func probe(h *held) rotate.Probe {
	tls, _ := h.Config.Get("gateway", "tls", "enabled").(bool)
	return rotate.Probe{Addr: fmt.Sprintf("127.0.0.1:%d", max(h.Port, 1)), TLS: tls}
}

// done notes an action in the custody log and turns it into a check.
func (x *rotation) done(action, object string, err error, digest string) contain.Check {
	verb, rest, _ := strings.Cut(action, " ")
	check := contain.Check{What: object, OK: err == nil, Detail: strings.TrimSpace(rest + " " + contain.Past(verb))}
	entry := casefile.Entry{Action: "rotate " + action, Object: object, Result: "done"}
	if digest != "" {
		entry.Digests = []casefile.Digest{{Name: path.Base(object), SHA256: digest}}
	}
	if err != nil {
		entry.Result, entry.Note = "failed", err.Error()
		check.Detail += ": " + err.Error()
	}
	if lerr := x.cs.Append(entry); lerr != nil {
		check.OK, check.Detail = false, check.Detail+"; and the custody log could not be written: "+lerr.Error()
	}
	return check
}

// noted is done for an action that its object says already.
func (x *rotation) noted(object string) contain.Check {
	check := x.done("remove", object, nil, "")
	if check.OK {
		check.Detail = ""
	}
	return check
}

func (x *rotation) say(name string, check contain.Check) {
	if !check.OK {
		x.failed++
	}
	x.write(step{"step", name, check})
}

func (x *rotation) write(v any) {
	_ = x.lines.Write(v) // nobody is left to tell; the custody log has it
	_ = x.lines.Flush()
}

// end says how it went, and how much is still open.
func (x *rotation) end(text string, open int) error {
	if err := x.lines.Flush(); err != nil {
		return err
	}
	if text != "" {
		x.console.Printf("%s", text)
	}
	switch {
	case x.failed > 0 && open > 0:
		return &codeError{exitPartial, fmt.Errorf("done in part: %s above, and %s still open", plural(x.failed, "problem"), plural(open, "item")), nil}
	case x.failed > 0:
		return &codeError{exitPartial, fmt.Errorf("done in part: %s above", plural(x.failed, "problem")), nil}
	case open > 0:
		return &codeError{exitPartial, fmt.Errorf("%s still open, and only you can close them", plural(open, "item")), []string{"openclaw-ir rotate done ITEM, when it is done"}}
	}
	return nil
}

// formerValues are the values that a credential had in the versions of the config that lie beside it. They are asked of the gateway, so those
// that lie in files of somebody else's, to which such a version may lead, are none.
func (x *rotation) formerValues(h *held, c rotate.Credential, now string) (old []string) {
	names, err := filepath.Glob(h.ConfigPath + ".*")
	if err != nil {
		return nil
	}
	known := c.Values()
	for _, name := range names {
		former := *h.Installation
		former.ConfigPath = name
		former.Config, _ = openclaw.LoadConfig(x.root, name)
		found, _ := rotate.FindCredentials(x.root, &former)
		for _, f := range found {
			for _, v := range f.Values() {
				if f.Name == c.Name && v != now && !slices.Contains(known, v) {
					old, known = append(old, v), append(known, v)
				}
			}
		}
	}
	return old
}
