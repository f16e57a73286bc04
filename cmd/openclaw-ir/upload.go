package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/collect"
	"github.com/clawbook/openclaw-ir/collect/store"
	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/urfave/cli/v2"
)

// uploadFlags say where a bundle is to be stored besides.
func uploadFlags() []cli.Flag {
	to := &cli.StringFlag{Name: "to", Usage: "store it in `PLACE` too: a directory, s3://bucket/prefix or sftp://user@host/path"}
	return append(append([]cli.Flag{to}, reachFlags()...),
		&cli.IntFlag{Name: "lock-days", Usage: "with s3: the store is to refuse its removal for `N` days (Object Lock)"},
		&cli.StringFlag{Name: "lock-mode", Value: "compliance", Usage: "with s3: `MODE` is compliance, or governance, which some accounts may lift"},
		&cli.StringFlag{Name: "limit-rate", Usage: "send at most `SIZE` a second (as 1M)"})
}

// destination reads the flags and contacts nothing. Its To is empty where nothing is to be uploaded.
func destination(c *cli.Context) (store.Destination, error) {
	d := store.Destination{To: c.String("to"), HostKey: c.String("host-key"), SSHKey: c.String("ssh-key"), LockDays: c.Int("lock-days")}
	if d.To == "" {
		for _, name := range []string{"to", "host-key", "ssh-key", "lock-days", "lock-mode"} {
			if c.IsSet(name) {
				return d, usageError("openclaw-ir collect --to s3://bucket/prefix -R recipients.txt", "--%s goes with --to PLACE", name)
			}
		}
		return d, nil
	}
	if err := store.Check(d.To); err != nil {
		return d, storeError(exitUsage, err)
	}
	if err := checkKinds(c, d.To); err != nil {
		return d, err
	}
	switch mode := c.String("lock-mode"); {
	case mode != "compliance" && mode != "governance" || c.IsSet("lock-mode") && d.LockDays == 0:
		return d, usageError("--lock-days 30 --lock-mode compliance; or governance", "--lock-mode: %q", mode)
	default:
		d.Governance = mode == "governance"
	}
	var err error
	if !store.IsRemote(d.To) {
		d.To, err = filepath.Abs(d.To)
	}
	if err == nil && d.SSHKey != "" {
		d.SSHKey, err = filepath.Abs(d.SSHKey)
	}
	return d, err
}

// checkKinds refuses what does not go with a kind of store.
func checkKinds(c *cli.Context, to string) error {
	for name, scheme := range map[string]string{"host-key": "sftp://", "ssh-key": "sftp://", "lock-days": "s3://", "lock-mode": "s3://"} {
		if c.IsSet(name) && !strings.HasPrefix(to, scheme) {
			return usageError("leave it out, or name a place that begins with "+scheme, "--%s does not go with this --to", name)
		}
	}
	if c.IsSet("lock-days") && (c.Int("lock-days") < 1 || c.Int("lock-days") > 36500) {
		return usageError("--lock-days 30", "--lock-days: %d", c.Int("lock-days"))
	}
	if c.String("output") == "-" {
		return usageError("leave out -o -", "a bundle that goes into a pipe is not kept, and so cannot be uploaded")
	}
	return nil
}

// storeError is an error of a store with what to do about it.
func storeError(code int, err error) error {
	var told *store.Error
	if errors.As(err, &told) {
		return &codeError{code, err, []string{told.Hint}}
	}
	return &codeError{code, err, nil}
}

// thenUpload stores a bundle that lies whole in its place, and then its seal, if that was asked for. What a store does not take stays
// owed. The run ends as badly as what it did before, said, if that did not end well.
func (x *collection) thenUpload(cs *casefile.Case, said error, bundle string, s collect.Ciphertext, seal []byte) error {
	if x.to.To == "" || said != nil && exitCode(x.ctx, said) == exitFailed {
		return said
	}
	err := store.Owe(cs, owedFiles(cs, x.to, bundle, s, seal)...)
	if err == nil {
		err = pay(x.c, x.env, cs)
	}
	if said == nil || exitCode(x.ctx, err) == exitInterrupted {
		return err
	}
	if err != nil && !errors.Is(err, errPartial) {
		sayError(x.env, err)
	}
	return said
}

// owedFiles are a bundle and its seal. Those in the case go by their name there.
func owedFiles(cs *casefile.Case, d store.Destination, bundle string, s collect.Ciphertext, seal []byte) []store.Owed {
	file := bundle
	if rel, err := filepath.Rel(cs.Path(), bundle); err == nil && filepath.IsLocal(rel) {
		file = rel
	} else if abs, err := filepath.Abs(bundle); err == nil {
		file = abs
	}
	name := filepath.Base(bundle)
	return []store.Owed{
		{Destination: d, File: file, Name: name, Size: s.Size, SHA256: s.SHA256},
		{Destination: d, File: file + collect.SealSuffix, Name: name + collect.SealSuffix, Size: int64(len(seal)), SHA256: collect.SealDigest(seal)},
	}
}

// An uploads is what became of the files that were owed.
type uploads struct {
	Stored []uploaded `json:"stored"`
	Lost   []uploaded `json:"lost"` // that cannot be stored any more
	Owed   []uploaded `json:"owed"`
}

type uploaded struct {
	Name   string `json:"name"`
	Where  string `json:"where"`
	SHA256 string `json:"sha256"`
	Error  string `json:"error,omitempty"`
}

// pay uploads what a case owes and says what became of it.
func pay(c *cli.Context, e env, cs *casefile.Case) error {
	o, err := storeOptions(c, e)
	if err != nil {
		return err
	}
	owed, err := store.ListOwed(cs)
	if err != nil {
		return err
	}
	progress := e.console.Progress(console.Bytes)
	progress.Start("uploading", totalSize(owed))
	o.Progress = progress.Add
	u := uploads{[]uploaded{}, []uploaded{}, []uploaded{}}
	err = store.Pay(c.Context, cs, o, func(r store.Result) { u.tell(c, e, r) })
	progress.Done()
	if errors.Is(err, store.ErrBusy) {
		e.console.Warningf("%v: it takes what is owed now, or the next run does", err)
		return errPartial
	}
	if err != nil {
		return err
	}
	return u.say(c, e)
}

func totalSize(files []store.Owed) (n int64) {
	for _, f := range files {
		n += f.Size
	}
	return n
}

func storeOptions(c *cli.Context, e env) (o store.Options, err error) {
	if e.drill != "" {
		return o, errors.New("reaching a store: a drill touches nothing outside its own directory")
	}
	if o.Rate, err = parseSize(c.String("limit-rate")); err != nil {
		return o, err
	}
	o.Getenv = e.getenv
	if e.haste {
		o.Patience = time.Millisecond
	}
	o.Passphrase = func(file string) ([]byte, error) {
		p, err := e.console.Passphrase(c.Context, fmt.Sprintf("the SSH key in %q", file))
		return []byte(p), err
	}
	return o, nil
}

// tell says what became of a file. Of a store that takes no more, it says why once.
func (u *uploads) tell(c *cli.Context, e env, r store.Result) {
	line := uploaded{Name: r.Name, Where: r.Where, SHA256: r.SHA256}
	if r.Err != nil {
		line.Error = r.Err.Error()
	}
	switch {
	case r.Err == nil:
		u.Stored = append(u.Stored, line)
		if !c.Bool("json") {
			e.console.Printf("stored %q", r.Where)
		}
		return
	case r.Final:
		u.Lost = append(u.Lost, line)
		e.console.Warningf("not stored, and owed no longer: %v", r.Err)
	default:
		u.Owed = append(u.Owed, line)
		if n := len(u.Owed); n > 1 && u.Owed[n-2].Error == line.Error {
			return
		}
		e.console.Warningf("not stored: %v", r.Err)
	}
	var told *store.Error
	if errors.As(r.Err, &told) {
		e.console.Hintf("%s", told.Hint)
	}
}

func (u *uploads) say(c *cli.Context, e env) error {
	if c.Bool("json") {
		if err := printJSON(e, "collect upload", u); err != nil {
			return err
		}
	}
	if len(u.Owed) > 0 {
		e.console.Printf("%s still owed, and kept here: openclaw-ir collect upload tries again, as does the next run with --to", plural(len(u.Owed), "file"))
	}
	if len(u.Owed)+len(u.Lost) > 0 {
		return errPartial
	}
	return nil
}

func uploadCommand(e env) *cli.Command {
	return &cli.Command{
		Name: "upload", Usage: "store bundles elsewhere: those that are still owed, or these", ArgsUsage: "[BUNDLE…]",
		Description: `A bundle and then its seal are stored where they outlive this host. Nothing is ever replaced there, and what a
store does not take stays here, and owed: without a BUNDLE, that is what is tried again.

Credentials are never an argument. For s3 they come from ~/.aws/credentials, from AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY or from the cloud host's role, and the right to put is enough; ?endpoint=https://… in the
place names a store other than Amazon's. For sftp a key logs in, and the server's key must be known.

Examples:
   openclaw-ir collect upload
   openclaw-ir collect upload --to /mnt/usb B.tar.zst.age
   openclaw-ir collect upload --to s3://bucket/host-1 --lock-days 90 B.tar.zst.age
   openclaw-ir collect upload --to 's3://bucket/h1?endpoint=https://s3.eu' B.tar.zst.age
   openclaw-ir collect upload --to sftp://ir@backup.example.org/in --host-key SHA256:… B.tar.zst.age

` + exitText,
		Flags:        append(append(caseFlags(), uploadFlags()...), &cli.BoolFlag{Name: "json", Usage: "one JSON object a line, a version first"}),
		OnUsageError: onUsageError,
		Action:       func(c *cli.Context) error { return runUpload(c, e) },
	}
}

func runUpload(c *cli.Context, e env) error {
	d, err := destination(c)
	if err != nil {
		return err
	}
	if c.Args().Present() != (d.To != "") {
		return usageError("openclaw-ir collect upload --to PLACE BUNDLE…; or without both, for what is owed", "a bundle goes with --to, and --to with a bundle")
	}
	open := existingCase
	if c.Args().Present() {
		open = openCase // which notes where the bundles went
	}
	cs, err := open(c, e)
	if err != nil {
		return err
	}
	defer cs.Close()
	for _, name := range c.Args().Slice() {
		e.record.reads(name)
		if err := owe(cs, d, name); err != nil {
			return err
		}
	}
	if owed, err := store.ListOwed(cs); err == nil && len(owed) == 0 {
		e.console.Printf("nothing is owed to a store")
	}
	return pay(c, e, cs)
}

// owe notes that a bundle with a seal beside it is to be stored.
func owe(cs *casefile.Case, d store.Destination, name string) error {
	abs, err := filepath.Abs(name)
	if err != nil {
		return fmt.Errorf("finding the bundle: %w", err)
	}
	seal, err := collect.ReadSeal(abs + collect.SealSuffix)
	if err != nil {
		return &codeError{exitFailed, err, []string{"only a bundle with its seal beside it is stored"}}
	}
	signed, err := collect.ParseSeal(seal)
	if err != nil {
		return err
	}
	return store.Owe(cs, owedFiles(cs, d, abs, signed.Ciphertext, seal)...)
}
