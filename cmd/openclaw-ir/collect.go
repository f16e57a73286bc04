package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/collect"
	"github.com/clawbook/openclaw-ir/collect/store"
	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/secret"
	"github.com/urfave/cli/v2"
)

func collectCommand(e env) *cli.Command {
	return &cli.Command{
		Name:  "collect",
		Usage: "seal logs, transcripts, config history and live state into one encrypted bundle",
		Description: `Everything an incident responder needs is read, hashed, compressed and encrypted in one stream; nothing is
written to disk in clear and nothing on the host is changed. The bundle lies in the case unless -o says
otherwise, with its signed seal beside it. Run it with sudo to take every account and the host's own state.

Without -r, -R or -p the recipients come from recipients.txt beside this program or from
/etc/openclaw-ir/recipients.txt; without those a passphrase is asked for.

Examples:
   openclaw-ir collect -R recipients.txt
   sudo openclaw-ir collect -r age1… --estimate
   openclaw-ir collect -R recipients.txt -o - | ssh responder 'cat > B.tar.zst.age'
   openclaw-ir collect --snapshot -R recipients.txt
   openclaw-ir collect -R recipients.txt --to s3://evidence/host-1 --lock-days 90

With --to the bundle and then its seal are stored elsewhere too, once they are whole here; what a store does not
take stays owed, and the next run with --to tries again. See openclaw-ir collect upload --help.

With --snapshot it takes only what changed since the last snapshot, and chains it to that. What was sealed before
and is other than it was, such as a transcript whose old lines changed or a log cut short, is an alarm and exit code 4.
--notify tells of alarms, of a snapshot that failed and of one that a store did not take: a program reads a line of JSON
from its standard input, a web address gets it posted. collect schedule has snapshots taken by themselves.

` + exitText,
		Flags: append(slices.Concat(caseFlags(), recipientFlags(), snapshotFlags(), uploadFlags()),
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write the bundle to `FILE`, or to a pipe with -o -"},
			&cli.StringFlag{Name: "root", Value: "/", Usage: "collect from the host whose disk is mounted at `DIR`"},
			&cli.StringSliceFlag{Name: "state-dir", Usage: "take this OpenClaw state `DIR` too (as the host names it)"},
			&cli.BoolFlag{Name: "estimate", Aliases: []string{"dry-run"}, Usage: "say what would be taken, with sizes, and take nothing"},
			&cli.StringFlag{Name: "max-file-size", Usage: "cut files at `SIZE` (as 500M); each cut leaves a row"},
			&cli.StringFlag{Name: "max-size", Usage: "stop taking content after `SIZE` in all; what is left out leaves a row"},
			&cli.StringSliceFlag{Name: "include", Usage: "take the content of these `GROUPS` too, of which only a listing is taken: " + groupNames()},
			&cli.StringFlag{Name: "since", Value: "7d", Usage: "take the journal from `TIME` on: 24h, 7d, 2026-11-20"},
			&cli.StringFlag{Name: "level", Value: "default", Usage: "compress at `LEVEL`: default or better"},
			&cli.BoolFlag{Name: "json", Usage: "one JSON object a line, a version first"},
		),
		Subcommands: []*cli.Command{
			verifyCommand(e), listCommand(e), openCommand(e), uploadCommand(e), chainCommand(e), diffCommand(e), scheduleCommand(e),
		},
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usageError("openclaw-ir collect -R recipients.txt; see openclaw-ir collect --help", "collect takes no arguments: %q%s", c.Args().First(), suggestion(c.Command.Subcommands, c.Args().First()))
			}
			return runCollect(c, e)
		},
	}
}

func groupNames() string {
	var names []string
	for _, g := range collect.Groups() {
		if !slices.Contains(names, g.Name) {
			names = append(names, g.Name)
		}
	}
	return strings.Join(names, ", ")
}

// caseFlags choose the case.
func caseFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "case", Usage: "the `NAME` of the case (default: the newest open one; the first command opens one)"},
		&cli.StringFlag{Name: "case-dir", Usage: "the `DIR` that holds the cases (default: /var/lib/openclaw-ir for root)"},
	}
}

// readFlags choose the case for a command that only reads.
func readFlags() []cli.Flag {
	flags := caseFlags()
	flags[0].(*cli.StringFlag).Usage = "note in the case `NAME` what was read (default: in the newest open one, if there is one)"
	return flags
}

// casesDir is the directory that holds the cases.
func casesDir(c *cli.Context, e env) string {
	dir := c.String("case-dir")
	if dir == "" {
		dir = casefile.DefaultDir(e.uid, e.getenv("XDG_STATE_HOME"), e.getenv("HOME"))
	}
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir
}

// openCase opens the case that a command works on, and makes one where there is none.
func openCase(c *cli.Context, e env) (*casefile.Case, error) {
	dir := casesDir(c, e)
	cs, err := casefile.Open(dir, c.String("case"), true)
	if err != nil {
		return nil, caseError(err)
	}
	e.take(dir, cs)
	if cs.Made() {
		e.console.Printf("opened case %q in %q", cs.Name(), dir)
		sayUnusable(e, dir)
	}
	return cs, nil
}

// sayUnusable tells what lies beside a case that was just made and cannot be used: it may be the one that was meant.
func sayUnusable(e env, dir string) {
	list, _ := casefile.List(dir)
	for _, info := range list {
		if info.Problem != "" {
			e.console.Warningf("%q beside it cannot be used: %s", info.Name, info.Problem)
		}
	}
}

// existingCase opens the case that a command works on, and makes none.
func existingCase(c *cli.Context, e env) (*casefile.Case, error) {
	dir := casesDir(c, e)
	cs, err := casefile.Open(dir, c.String("case"), false)
	if err == nil {
		e.take(dir, cs)
	}
	return cs, caseError(err)
}

// caseError says of a case that cannot be opened what to type.
func caseError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, casefile.ErrName):
		return usageError("letters, digits, '.', '_' and '-' make a name, which begins with a letter or a digit", "%v", err)
	case errors.Is(err, casefile.ErrNoCase):
		return &codeError{exitFailed, err, []string{"openclaw-ir case list shows what there is; --case-dir DIR names another place"}}
	case errors.Is(err, casefile.ErrUnsafe):
		return &codeError{exitFailed, err, []string{"look at its owner and mode; then run this as its owner, or name another directory with --case-dir"}}
	case errors.Is(err, fs.ErrPermission):
		return &codeError{exitFailed, err, []string{"run it as who owns the case: with sudo, if root does"}}
	}
	return err
}

// take notes who acts in a case, and that this run belongs to it.
func (e env) take(dir string, cs *casefile.Case) {
	cs.Operator.SudoUser = e.getenv("SUDO_USER")
	e.record.belongs(dir, cs.Name())
}

// collectGC keeps the heap close to what is in use: a host in trouble may have little memory, and the compressor's
// buffers come and go. Percent.
const collectGC = 10

// A collection is one run of collect.
type collection struct {
	env
	c        *cli.Context
	ctx      context.Context
	root     *host.Root
	runner   host.Runner
	installs []*openclaw.Installation
	gaps     []openclaw.Gap
	options  collect.Options
	host     string // whose evidence it is
	name     string // the bundle's file name
	to       store.Destination
	salt     []byte            // of the case
	made     *collect.Snapshot // nil until there is one
	owed     int               // files that no store has yet
}

func runCollect(c *cli.Context, e env) error {
	debug.SetGCPercent(collectGC)
	if err := checkSnapshot(c, e); err != nil {
		return err
	}
	to, err := destination(c)
	if err != nil {
		return err
	}
	x, err := newCollection(c, e)
	if err != nil {
		return err
	}
	defer x.root.Close()
	x.to = to
	if c.Bool("snapshot") {
		debug.SetGCPercent(snapshotGC)
		return x.thenNotify(x.snapshot())
	}
	if c.Bool("estimate") {
		return x.estimate()
	}
	readers, err := recipients(c, e)
	if err != nil {
		return err
	}
	cs, err := openCase(c, e)
	if err != nil {
		return err
	}
	defer cs.Close()
	b, err := x.seal(cs, readers)
	if err != nil {
		return err
	}
	return x.thenUpload(cs, x.say(b), b.out.name, b.summary.Ciphertext, b.seal)
}

func newCollection(c *cli.Context, e env) (*collection, error) {
	x := &collection{env: e, c: c, ctx: c.Context}
	var err error
	if x.options, err = collectOptions(c); err != nil {
		return nil, err
	}
	if x.root, err = e.openHost(c.String("root")); err != nil {
		return nil, err
	}
	e.record.reads(c.String("root"))
	if x.runner, err = host.NewTrusted(); err != nil {
		return nil, fmt.Errorf("looking for trusted commands: %w", err)
	}
	find := openclaw.FindOptions{UID: -1}
	if x.root.Live() {
		find.UID = e.uid
	}
	if find.StateDirs, err = absoluteAll(c.StringSlice("state-dir")); err != nil {
		return nil, err
	}
	x.installs, x.gaps = openclaw.Find(x.root, find)
	if len(x.installs) == 0 {
		e.console.Warningf("no installation of OpenClaw found; the host's own state is taken all the same")
	}
	for _, in := range x.installs {
		e.console.Printf("found OpenClaw %s of %s in %q (%s)", orUnknown(in.Version), orUnknown(in.User), in.StateDir, in.Era)
	}
	return x, nil
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

func collectOptions(c *cli.Context) (o collect.Options, err error) {
	if o.MaxFileSize, err = parseSize(c.String("max-file-size")); err != nil {
		return o, err
	}
	if o.MaxSize, err = parseSize(c.String("max-size")); err != nil {
		return o, err
	}
	o.Include = c.StringSlice("include")
	for _, name := range o.Include {
		if !slices.ContainsFunc(collect.Groups(), func(g collect.Group) bool { return g.Name == name }) {
			return o, usageError("the groups are "+groupNames(), "--include: no group %q", name)
		}
	}
	o.Since, err = parseTime(c.String("since"), time.Now())
	return o, err
}

// parseSize reads a size in bytes, with k, M, G or T for powers of 1024; "" is no limit.
func parseSize(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	unit := int64(1)
	digits := strings.TrimRight(strings.TrimSuffix(strings.TrimSuffix(s, "iB"), "B"), " ")
	if digits != "" {
		if i := strings.IndexByte("kmgt", digits[len(digits)-1]|0x20); i >= 0 {
			unit, digits = 1<<(10*(i+1)), digits[:len(digits)-1]
		}
	}
	var n int64
	if _, err := fmt.Sscanf(digits+"\n", "%d\n", &n); err != nil || n <= 0 || n > 1<<62/unit {
		return 0, usageError("sizes read 500M, 2G or 1048576", "not a size: %q", s)
	}
	return n * unit, nil
}

// A sealed is a bundle that is closed, signed and in its place.
type sealed struct {
	out      *output
	sealName string
	seal     []byte
	summary  collect.Summary
	outcome  collect.Outcome
}

// seal writes the bundle and its seal, and tells the custody log about both.
func (x *collection) seal(cs *casefile.Case, to []collect.Recipient) (*sealed, error) {
	x.sayReach()
	x.host = x.hostname(cs)
	x.name = freeName(cs, x.host, time.Now())
	out, err := x.openOutput(cs)
	if err != nil {
		return nil, err
	}
	defer out.discard()
	argv := []string{"openclaw-ir"}
	argv = append(argv, os.Args[1:]...)
	if err := cs.Append(casefile.Entry{Action: "collect", Object: out.name, Result: "begun", Note: "recipients: " + strings.Join(collect.Descriptions(to), ", ")}); err != nil {
		return nil, err
	}
	w, err := collect.NewWriter(out, collect.AgeRecipients(to), collect.Header{
		Tool: "openclaw-ir " + version(), Host: x.host, Case: cs.Name(), Started: time.Now().UTC(), Argv: argv, States: stateDirs(x.installs), Level: x.c.String("level"),
	})
	if err != nil {
		return nil, err
	}
	defer w.Abort()
	progress := x.console.Progress(console.Bytes)
	progress.Start("collecting", x.expected())
	x.options.Progress = func(_ string, n int64) { progress.Add(n) }
	salt, err := cs.Salt()
	if err != nil {
		return nil, err
	}
	x.options.Set = secret.NewSet(secret.NewFingerprinter(salt))
	x.options.Live, x.options.Exclude = x.root.Live(), append(out.paths(), filepath.Dir(cs.Path()))
	outcome, err := collect.Run(x.ctx, x.root, x.runner, x.installs, x.gaps, w, x.options)
	if err != nil {
		progress.Done()
		return nil, x.failed(cs, out, err)
	}
	summary, err := w.Close(func() []byte {
		log, err := custody(cs)
		if err != nil {
			outcome.Count(collect.Row{Meta: collect.Meta{Path: "custody.jsonl"}, Status: collect.Unreadable, Reason: err.Error()})
		}
		return log
	})
	progress.Done()
	if err != nil {
		return nil, x.failed(cs, out, err)
	}
	b := &sealed{out: out, summary: summary, outcome: outcome}
	return b, x.finish(cs, b, w, to)
}

// sayReach tells that the agent can reach what is sealed: whoever runs this is the user whom it runs as.
func (x *collection) sayReach() {
	for _, in := range x.installs {
		fi, err := x.root.Stat(openclaw.FSName(in.StateDir))
		if err == nil && x.uid != 0 && x.root.Live() && int(host.Meta(fi).UID) == x.uid {
			x.console.Warningf("the agent of %q runs as your own user: it can change or remove the case and what is sealed in it", in.StateDir)
			x.console.Hintf("sudo openclaw-ir keeps them out of its reach; without root, copy the bundle and its seal to another machine at once, or seal with -o - or --to")
			return
		}
	}
}

// expected is how many bytes are to be taken, so that a bar can tell how long it will be; 0, unknown, where none is shown.
func (x *collection) expected() int64 {
	if !x.console.Facts().ErrTerminal || x.options.Profile == collect.Volatile {
		return 0
	}
	sizes, _ := collect.Estimate(x.ctx, x.root, x.installs, x.options)
	return total(sizes).Bytes
}

// unnamedHost stands for the name of a host that its evidence does not tell.
const unnamedHost = "unnamed"

// hostname is the name of the host whose evidence is taken: of a mounted disk, the one it holds.
func (x *collection) hostname(cs *casefile.Case) string {
	if x.root.Live() {
		return cs.Info().Host
	}
	if name := hostnameIn(x.root); name != "" {
		return name
	}
	return unnamedHost
}

func stateDirs(installs []*openclaw.Installation) (dirs []string) {
	for _, in := range installs {
		dirs = append(dirs, in.StateDir)
	}
	return dirs
}

// maxCustody is how much of the custody log goes into the bundle: all of it, within reason.
const maxCustody = 64 << 20

// custody is the log as it is now, or a line that says why it cannot be read.
func custody(cs *casefile.Case) ([]byte, error) {
	log, err := cs.ReadFile("custody.jsonl", maxCustody)
	if err != nil {
		log = []byte("the custody log could not be read: " + err.Error() + "\n")
	}
	return log, err
}

// failed records a bundle that could not be written. What there is of it stays: it can be salvaged.
func (x *collection) failed(cs *casefile.Case, out *output, err error) error {
	cause := fmt.Errorf("writing the bundle: %w", err)
	if aerr := cs.Append(casefile.Entry{Action: "collect", Object: out.name, Result: "failed", Note: cause.Error()}); aerr != nil {
		x.console.Warningf("the custody log could not be written: %v", aerr)
	}
	kept := out.keep()
	hint := ""
	if kept != "" {
		hint = fmt.Sprintf("free some room or name another place with -o; what there is: openclaw-ir collect verify --salvage -i KEY %s", console.ShellWord(kept))
	}
	return &codeError{exitFailed, cause, []string{hint}}
}

// finish puts bundle and seal in place and records where they are.
func (x *collection) finish(cs *casefile.Case, b *sealed, w *collect.Writer, to []collect.Recipient) error {
	var err error
	if b.seal, err = x.sign(cs, b.summary, to); err == nil {
		b.sealName, err = b.out.commit(b.seal)
	}
	if err != nil {
		return x.failed(cs, b.out, err)
	}
	if err := cs.WriteFile(collect.LastSeal, []byte(collect.SealDigest(b.seal)+"\n")); err != nil {
		return err
	}
	return x.record(cs, b, w)
}

// sign makes the seal of a bundle that is closed.
func (x *collection) sign(cs *casefile.Case, bundle collect.Summary, to []collect.Recipient) ([]byte, error) {
	signer, err := cs.Signer()
	if err != nil {
		return nil, err
	}
	head, _, err := cs.Head()
	if err != nil {
		return nil, err
	}
	previous, err := lastSeal(cs)
	if err != nil {
		return nil, err
	}
	return collect.Seal{
		Bundle: x.name, Ciphertext: bundle.Ciphertext, ManifestSHA256: bundle.ManifestSHA256, Recipients: collect.Descriptions(to), Created: time.Now(),
		Host: x.host, Case: cs.Name(), CustodyHead: head, PrevSeal: previous, Tool: "openclaw-ir " + version(),
	}.Sign(signer)
}

// record leaves in the case the bundle's index and the line about it in the custody log.
func (x *collection) record(cs *casefile.Case, b *sealed, w *collect.Writer) error {
	bundle, seal := x.name, x.name+".seal"
	inCase := b.out.name == cs.Path(casefile.BundlesDir, x.name)
	if inCase {
		bundle = casefile.BundlesDir + "/" + bundle
	}
	if b.sealName == cs.Path(casefile.BundlesDir, x.name+".seal") { // of a bundle that went into a pipe too
		seal = casefile.BundlesDir + "/" + seal
	}
	digests := []casefile.Digest{{Name: bundle, SHA256: b.summary.SHA256}, {Name: seal, SHA256: collect.SealDigest(b.seal)}}
	if inCase {
		sum, err := writeHeld(cs, x.name, w)
		if err != nil {
			return err
		}
		digests = append(digests, casefile.Digest{Name: bundle + heldSuffix, SHA256: sum})
	}
	result := "sealed"
	if b.outcome.Partial() {
		result = "sealed in part"
	}
	return cs.Append(casefile.Entry{Action: "collect", Object: b.out.name, Result: result, Note: countRows(b.outcome), Digests: digests})
}

// lastSeal is the digest of the case's last seal: the next one names it, which makes the chain.
func lastSeal(cs *casefile.Case) (string, error) {
	text, err := cs.ReadFile(collect.LastSeal, 100)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading the digest of the seal before: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

func (x *collection) say(b *sealed) error {
	out, s, o := b.out, b.summary, b.outcome
	signed, err := collect.ParseSeal(b.seal)
	if err != nil {
		return err
	}
	x.warn(o)
	if x.c.Bool("json") && out.file != nil {
		err = printJSON(x.env, "collect", map[string]any{
			"bundle": out.name, "seal": b.sealName, "size": s.Size, "sha256": s.SHA256, "signer": signed.Signer(), "rows": s.Rows, "content_bytes": s.Bytes, "partial": o.Partial(),
		})
	} else {
		w := x.console.Out()
		if out.file == nil {
			w = io.Discard
		}
		fmt.Fprintf(w, "%s\n", console.Escape(out.name))
		x.console.Printf("sealed %s (%s): %s", console.Size(s.Size), console.Size(s.Bytes)+" of evidence", countRows(o))
		x.console.Printf("sha256 %s, signed by %s", s.SHA256, signed.Signer())
		x.console.Printf("seal %q", b.sealName)
		if out.file == nil {
			x.console.Printf("copy the seal beside the bundle, under the bundle's name with .seal at its end")
		}
	}
	if err != nil {
		return err
	}
	if o.Partial() {
		return errPartial
	}
	return nil
}

// countRows says what became of everything that was looked for.
func countRows(o collect.Outcome) string {
	var words []string
	for _, st := range []collect.Status{collect.Collected, collect.Changed, collect.Truncated, collect.Unreadable, collect.Skipped, collect.Missing, collect.Gone} {
		if n := o.Rows[st]; n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, st))
		}
	}
	return strings.Join(words, ", ")
}

// maxWarnings is how many things that are lacking are told one by one; the manifest has them all.
const maxWarnings = 20

func (x *collection) warn(o collect.Outcome) {
	told, closed := 0, 0
	for _, r := range o.Lacking {
		if x.uid != 0 && strings.HasSuffix(r.Reason, "permission denied") {
			closed++
			continue
		}
		if told == maxWarnings {
			x.console.Warningf("and more: openclaw-ir collect list --gaps has them all")
			break
		}
		told++
		x.console.Warningf("%s: %q: %s", r.Status, r.Path, r.Reason)
	}
	if closed > 0 {
		x.console.Warningf("%s closed to your account: sudo openclaw-ir collect takes them; openclaw-ir collect list --gaps names them", plural(closed, "place"))
	}
	if o.Interrupted {
		x.console.Warningf("interrupted: what had not been taken by then is listed in the manifest")
	}
}

func (x *collection) estimate() error {
	sizes, outcome := collect.Estimate(x.c.Context, x.root, x.installs, x.options)
	lines, err := console.NewLines(x.console, x.c.Bool("json"), map[string]any{"command": "collect --estimate"}, estimateLine)
	if err != nil {
		return err
	}
	for _, row := range sizes {
		if err := lines.Write(row); err != nil {
			return err
		}
	}
	if err := lines.Flush(); err != nil {
		return err
	}
	x.warn(outcome)
	all := total(sizes)
	x.console.Printf("%d files, %s before compression, and the live state of the machine; sealed, transcripts shrink to about a third", all.Files, console.Size(all.Bytes))
	if outcome.Partial() {
		return errPartial
	}
	return nil
}

func total(sizes []collect.SourceSize) (all collect.SourceSize) {
	for _, row := range sizes {
		all.Files += row.Files
		all.Bytes += row.Bytes
	}
	return all
}

func estimateLine(r collect.SourceSize) string {
	return fmt.Sprintf("%-24s %8d files  %10s", console.Escape(r.Source), r.Files, console.Size(r.Bytes))
}

// freeName is a bundle's name that the case does not hold yet: two snapshots may fall into one second.
func freeName(cs *casefile.Case, hostname string, now time.Time) string {
	taken := func(name string) bool {
		return slices.ContainsFunc([]string{"", partial, ".seal"}, func(suffix string) bool {
			_, err := os.Lstat(cs.Path(casefile.BundlesDir, name+suffix))
			return err == nil
		})
	}
	stem := collect.BundleStem(hostname, now)
	name := stem + collect.BundleSuffix
	for n := 2; taken(name); n++ {
		name = fmt.Sprintf("%s-%d%s", stem, n, collect.BundleSuffix)
	}
	return name
}
