package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/collect"
	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/urfave/cli/v2"
	"golang.org/x/crypto/ssh"
)

func chainCommand(e env) *cli.Command {
	return &cli.Command{
		Name:  "chain",
		Usage: "check the chain that snapshots make",
		Description: `Each snapshot's seal names the one before, so that none can be changed, removed or put in unseen.

Example:
   openclaw-ir collect chain verify

` + exitText,
		Subcommands:  []*cli.Command{chainVerifyCommand(e)},
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			if name := c.Args().First(); name != "" {
				return usageError("openclaw-ir collect chain --help", "no such command: %q%s", name, suggestion(c.Command.Subcommands, name))
			}
			return usageError("openclaw-ir collect chain --help", "which command? there is one: verify")
		},
	}
}

func chainVerifyCommand(e env) *cli.Command {
	flags := caseFlags()
	flags[0].(*cli.StringFlag).Usage = "verify the snapshots of the case `NAME` (default: " + casefile.SnapshotsCase + ")"
	return &cli.Command{
		Name: "verify", Usage: "check that no snapshot was changed, removed or put in; needs no key", ArgsUsage: "[PLACE]",
		Description: `PLACE holds the bundles and their seals: a directory, s3://bucket/prefix or sftp://user@host/path. Without it, those of the case
"snapshots" are checked. One key must have signed every seal, each must name the one before, no number may be missing or there
twice, and every bundle that is there must be what was sealed. Bundles that retention removed are told; it is wrong if what is left
needs one of them. With -i every file is checked too, and that the state after each link is the one that its seal stands for.

Whoever holds the signing key can write the whole chain anew, and whoever can delete can cut its end. Only a head that was kept
elsewhere shows that: the last line of the output is the one to keep, and --head gives it.

Examples:
   openclaw-ir collect chain verify
   openclaw-ir collect chain verify /mnt/backup/bakery --signer SHA256:… --head 4d1f…:168
   openclaw-ir collect chain verify sftp://ir@backup.example.org/bakery --quick
   openclaw-ir collect chain verify /mnt/backup/bakery -i key.txt

` + exitText,
		Flags: append(append(flags, reachFlags()...),
			&cli.StringSliceFlag{Name: "identity", Aliases: []string{"i"}, Usage: "open the bundles with the private key in `FILE` and check every file too"},
			&cli.StringFlag{Name: "signer", Usage: "it is the chain of the key with this `FINGERPRINT` (default: the case's own; elsewhere the only one there)"},
			&cli.StringFlag{Name: "head", Usage: "the link `SEAL:NUMBER`, which was kept elsewhere, must be part of the chain"},
			&cli.BoolFlag{Name: "quick", Usage: "check the seals and the sizes only"},
			&cli.BoolFlag{Name: "json", Usage: "one JSON object a line, a version first"}),
		OnUsageError: onUsageError,
		Action:       func(c *cli.Context) error { return verifyChain(c, e) },
	}
}

func verifyChain(c *cli.Context, e env) error {
	if c.NArg() > 1 {
		return usageError("openclaw-ir "+commandPath(c)+" --help", "name one place, not %q", c.Args().Slice())
	}
	o, err := chainOptions(c, e)
	if err != nil {
		return err
	}
	place, err := chainPlace(c, e, &o)
	if err != nil {
		return err
	}
	shelf, closer, err := openShelf(c, e, place)
	if err != nil {
		return err
	}
	defer closer.Close()
	progress := e.console.Progress(console.Bytes)
	defer progress.Done()
	o.Total = func(bytes int64) { progress.Start("verifying", bytes) }
	o.Progress = progress.Add
	report, err := collect.VerifyChain(c.Context, shelf, o)
	progress.Done()
	switch {
	case errors.Is(err, collect.ErrNoChain):
		return &codeError{exitFailed, fmt.Errorf("verifying %q: %w", place, err), []string{"name the directory that holds the bundles of the snapshots and their seals"}}
	case errors.Is(err, collect.ErrWrongKey) && report.OK():
		return bundleError(place, err)
	case errors.Is(err, collect.ErrWrongKey): // what does not hold comes first
	case err != nil:
		return fmt.Errorf("verifying %q: %w", place, err)
	}
	return sayChain(c, e, place, report)
}

func chainOptions(c *cli.Context, e env) (o collect.ChainOptions, err error) {
	o = collect.ChainOptions{Signer: c.String("signer"), Quick: c.Bool("quick")}
	if s := c.String("head"); s != "" {
		h, err := parseHead(s)
		if err != nil {
			return o, err
		}
		o.Head, o.HeadFrom = collect.ChainHead{Seal: h.Hash, Number: h.Lines}, "--head"
	}
	if len(c.StringSlice("identity")) > 0 {
		if o.Quick {
			return o, usageError("leave out one of them", "--quick opens no bundle, and -i asks for it")
		}
		o.Identities, err = identities(c, e, nil)
	}
	return o, err
}

// chainPlace is the directory that is verified. What a case knows of its own snapshots is checked too.
func chainPlace(c *cli.Context, e env, o *collect.ChainOptions) (string, error) {
	if c.Args().Present() {
		return c.Args().First(), nil
	}
	name := c.String("case")
	if name == "" {
		name = casefile.SnapshotsCase
	}
	dir := casesDir(c, e)
	cs, err := casefile.Open(dir, name, false)
	if err != nil {
		return "", caseError(err)
	}
	defer cs.Close()
	e.take(dir, cs)
	if o.Signer == "" {
		key, err := cs.PublicKey()
		if err != nil {
			return "", err
		}
		o.Signer = ssh.FingerprintSHA256(key)
	}
	known, err := recorded(cs)
	o.Recorded = func(bundle string) bool { return known.removed[bundle] }
	if o.Head.Seal == "" {
		o.Head, o.HeadFrom = collect.ChainHead{Seal: known.head}, "the custody log"
	}
	return cs.Path(casefile.BundlesDir), err
}

// A recordedChain is what the custody log says of a case's snapshots.
type recordedChain struct {
	removed map[string]bool // bundles that retention removed
	head    string          // the digest of the seal that was made last
}

func recorded(cs *casefile.Case) (r recordedChain, err error) {
	r.removed = map[string]bool{}
	for line, err := range cs.Lines() {
		if err != nil {
			return r, err
		}
		switch e := line.Entry; {
		case e == nil:
		case e.Action == collect.RetentionAction:
			r.removed[strings.TrimPrefix(e.Object, casefile.BundlesDir+"/")] = true
		case e.Action == "snapshot":
			for _, d := range e.Digests {
				if strings.HasSuffix(d.Name, collect.SealSuffix) {
					r.head = d.SHA256
				}
			}
		}
	}
	return r, nil
}

func sayChain(c *cli.Context, e env, place string, r *collect.ChainReport) error {
	var err error
	if c.Bool("json") {
		err = printJSON(e, "collect chain verify", map[string]any{"place": place, "report": r, "holds": r.OK()})
	} else {
		_, err = e.console.Out().Write([]byte(chainText(e, place, r)))
	}
	switch {
	case err != nil:
		return err
	case !r.OK():
		n := len(r.Problems) + int(r.Dropped)
		return &codeError{exitFound, fmt.Errorf("the chain in %q does not hold: %s", place, plural(n, "problem")), []string{chainHint(r)}}
	case len(r.Unread) > 0:
		return errPartial
	}
	return nil
}

func chainHint(r *collect.ChainReport) string {
	for _, p := range r.Problems {
		if p.Kind == "signer" {
			return "name the key whose chain it is with --signer FINGERPRINT; the host's own: openclaw-ir case show snapshots"
		}
	}
	return "copy the directory as it is before anything else is done in it, and compare it with what was kept elsewhere"
}

// chainText says what was checked and what does not hold, and last what to keep elsewhere.
func chainText(e env, place string, r *collect.ChainReport) string {
	var b strings.Builder
	tellChain(&b, e, r.Problems, func(kind string) string { return e.console.Paint(console.Bad, "does not hold: "+kind) })
	tellChain(&b, e, r.Unread, func(string) string { return e.console.Paint(console.Bad, "not read") })
	tellChain(&b, e, r.Remarks, func(kind string) string { return "remark: " + kind })
	say := func(name, format string, args ...any) {
		labelled(&b, e.console.Facts().Width, name, fmt.Sprintf(format, args...))
	}
	if r.Others > 0 {
		place += "; passed over: " + plural(int(r.Others), "other file")
	}
	say("place", "%s", place)
	for i := range r.Chains {
		sayPart(say, &r.Chains[i], r)
	}
	verdict := "holds"
	switch {
	case !r.OK():
		verdict = "does not hold"
	case len(r.Unread) > 0:
		verdict = "holds, as far as it could be read"
	}
	say("verdict", "%s", verdict)
	for i := 0; r.OK() && i < len(r.Chains); i++ {
		say("head", "%s", r.Chains[i].Head)
	}
	return b.String()
}

// tellChain writes a line for each thing that is told of a chain.
func tellChain(b *strings.Builder, e env, list []collect.ChainProblem, head func(kind string) string) {
	for i, p := range list {
		if i == maxGapsShown {
			fmt.Fprintf(b, "and %d more; --json lists them\n", len(list)-i)
			break
		}
		b.WriteString(e.console.FoldOut(head(p.Kind) + "  " + console.Escape(strings.Join(chainWhere(p), "  ")) + "\n"))
	}
}

func chainWhere(p collect.ChainProblem) (where []string) {
	if p.Link > 0 {
		where = append(where, fmt.Sprintf("link %d", p.Link))
	}
	if p.File != "" {
		where = append(where, p.File)
	}
	return append(where, p.Detail)
}

func sayPart(say func(name, format string, args ...any), p *collect.ChainPart, r *collect.ChainReport) {
	say("chain", "%s of host %s", p.Chain, p.Host)
	say("signer", "%s", p.Signer)
	say("links", "%d to %d, %s, %d of them full, from %s to %s", p.First, p.Last, plural(p.Links, "seal"), p.Full,
		p.From.Format(time.RFC3339), p.To.Format(time.RFC3339))
	how := "compared with the seals in size; what is in them was not read"
	switch {
	case r.Opened > 0:
		how = fmt.Sprintf("compared with the seals, every file with its manifest, and the state after %s", plural(p.States, "link"))
	case r.Digests:
		how = "compared with the seals; -i KEY checks every file too"
	}
	whole := "each with all that it builds on"
	if p.Whole < p.Here {
		whole = fmt.Sprintf("%d of them with all that they build on", p.Whole)
	}
	say("bundles", "%d here, %s, %s: %s", p.Here, console.Size(p.Bytes), whole, how)
	switch {
	case p.Vouched == p.Last:
		say("known", "the last link is the head that %s has", p.VouchedBy)
	case p.Vouched > 0:
		say("known", "link %d is the head that %s has; what came after it rests on the signatures alone", p.Vouched, p.VouchedBy)
	default:
		say("note", "no head kept elsewhere was given: that the end was cut off, or all of it written anew, would not show")
	}
}
