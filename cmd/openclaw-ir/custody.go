package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/clawbook/openclaw-ir/collect/store"
	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/durable"
	"github.com/clawbook/openclaw-ir/internal/secret"
	"github.com/urfave/cli/v2"
)

// Every command leaves one line in the custody log of the case when it ends: what was run on what evidence, how it ended, and the
// digest of what it printed. What a command changes on the way it notes by itself, before it says so. A command that only reads
// makes no case for that: where there is none, nothing is noted.

// unnoted are the commands that leave no line: they look at no evidence and at no one case. A drill has a case of its own, in which
// the commands that it runs are noted.
var unnoted = []string{"analyze rules", "analyze rules list", "analyze rules show", "analyze rules test", "case", "case list", "collect chain", "collect schedule", "collect schedule status", "doctor", "drill", "man", "completion"}

// A record is what one run of a command leaves in the custody log.
type record struct {
	dir, name string   // where the case lies; empty until one is taken
	objects   []string // the evidence that was opened
	silent    bool
	lacks     bool // a part of the evidence is missing, and it was told
	printed   printed
}

// belongs says which case the run works on.
func (r *record) belongs(dir, name string) {
	if r != nil {
		r.dir, r.name = dir, name
	}
}

// reads says which evidence is read: a path, and never what is looked for in it.
func (r *record) reads(path string) {
	if r == nil {
		return
	}
	if abs, err := filepath.Abs(path); err == nil && !store.IsRemote(path) {
		path = abs
	}
	if !slices.Contains(r.objects, path) {
		r.objects = append(r.objects, path)
	}
}

// silence keeps the run out of the log.
func (r *record) silence() {
	if r != nil {
		r.silent = true
	}
}

// noteAll has every one of these commands leave its line. Hidden ones are run by others, which leave theirs.
func noteAll(e env, above string, commands []*cli.Command) {
	for _, c := range commands {
		path := strings.TrimSpace(above + " " + c.Name)
		if c.Action != nil && !c.Hidden && !slices.Contains(unnoted, path) {
			c.Action = noted(e, path, c.Action)
		}
		noteAll(e, path, c.Subcommands)
	}
}

// noted runs a command and then notes how it ended. A command may run others.
func noted(e env, path string, run cli.ActionFunc) cli.ActionFunc {
	return func(c *cli.Context) error {
		outer := *e.record
		*e.record = record{printed: printed{sum: sha256.New()}}
		stop := e.console.Copy(&e.record.printed)
		err := run(c)
		if err == nil && e.record.lacks {
			err = errPartial
		}
		stop()
		if !e.record.note(c, e, path+mode(c), exitCode(c.Context, err)) && err == nil {
			err = errPartial
		}
		if outer.name == "" {
			outer.dir, outer.name = e.record.dir, e.record.name
		}
		*e.record = outer
		return err
	}
}

// mode is what makes a command do something else than its name says.
func mode(c *cli.Context) (flags string) {
	for _, name := range []string{"fix", "dry-run", "snapshot"} {
		if c.Bool(name) {
			flags += " --" + name
		}
	}
	if c.String("bulk") != "" { // it left the host
		flags += " --bulk"
	}
	return flags
}

// note appends the line, and reports whether what should be in the log is there. A command whose line is not was done in part.
func (r *record) note(c *cli.Context, e env, path string, code int) bool {
	if r.silent || code == exitUsage {
		return true
	}
	cs, err := r.open(c, e)
	if err != nil {
		// A command that failed has said what is wrong with the case, if that was it.
		named := c.IsSet("case") || c.IsSet("case-dir")
		if code == exitFailed || !named && errors.Is(err, casefile.ErrNoCase) {
			return true
		}
		e.console.Warningf("not noted in a custody log: %v", err)
		return !durable.DiskFailed(err) // a case that cannot be used is no reason not to read
	}
	defer cs.Close()
	cs.Operator.SudoUser = e.getenv("SUDO_USER")
	entry, err := r.entry(cs, path, code)
	if err == nil {
		err = cs.Append(entry)
	}
	switch {
	case err == nil:
	case errors.Is(err, syscall.EROFS):
		e.console.Warningf("not noted in the custody log: the disk that the case lies on takes no writing")
	default:
		e.console.Warningf("not noted in a custody log: %v", err)
		if errors.Is(err, casefile.ErrFull) {
			e.console.Hintf("openclaw-ir case open begins another case; keep this one as it is")
		}
		return false
	}
	return true
}

// open opens the case that the command worked on, or else the one that it would have.
func (r *record) open(c *cli.Context, e env) (*casefile.Case, error) {
	if r.name != "" {
		return casefile.Open(r.dir, r.name, false)
	}
	return casefile.Open(casesDir(c, e), c.String("case"), false)
}

// results are the exit codes in a word.
var results = map[int]string{
	exitDone: "done", exitFailed: "failed", exitPartial: "done in part", exitFound: "found", exitInterrupted: "interrupted", exitUnread: "not read to the end",
}

func (r *record) entry(cs *casefile.Case, path string, code int) (casefile.Entry, error) {
	object, err := r.object(cs)
	entry := casefile.Entry{Action: path, Object: object, Result: results[code], Exit: &code}
	if p := &r.printed; p.size > 0 {
		entry.Note = fmt.Sprintf("printed %s, %s", plural(p.lines, "line"), console.Size(p.size))
		entry.Digests = []casefile.Digest{{Name: "stdout", SHA256: hex.EncodeToString(p.sum.Sum(nil))}}
	}
	return entry, err
}

// object names the evidence. A path is somebody's text: what looks like a secret in it is replaced.
func (r *record) object(cs *casefile.Case) (string, error) {
	salt, err := cs.Salt()
	if err != nil {
		return "", err
	}
	return secret.NewSet(secret.NewFingerprinter(salt)).Redact(strings.Join(r.objects, ", ")), nil
}

// printed takes the measure of what a command prints.
type printed struct {
	sum   hash.Hash
	size  int64
	lines int
}

// Write never fails.
func (p *printed) Write(text []byte) (int, error) {
	p.size += int64(len(text))
	p.lines += bytes.Count(text, []byte("\n"))
	return p.sum.Write(text)
}
