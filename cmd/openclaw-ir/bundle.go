package main

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/collect"
	"github.com/clawbook/openclaw-ir/collect/store"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/urfave/cli/v2"
)

// bundleFlags choose a bundle's key.
func bundleFlags(more ...cli.Flag) []cli.Flag {
	return slices.Concat(readFlags(), []cli.Flag{
		&cli.StringSliceFlag{Name: "identity", Aliases: []string{"i"}, Usage: "the private key in `FILE` (age or SSH)"},
		&cli.BoolFlag{Name: "json", Usage: "one JSON object a line, a version first"},
	}, reachFlags(), more)
}

func verifyCommand(e env) *cli.Command {
	return &cli.Command{
		Name: "verify", Usage: "check that a bundle is whole, unchanged and signed; with a key, every file too", ArgsUsage: "BUNDLE",
		Description: `Without a key the ciphertext is compared with the seal beside it (BUNDLE.seal), and the seal's signature is
checked. With -i or -p every file is compared with the manifest too. --salvage reads a bundle that was cut short.
BUNDLE may lie in a store: only what is needed of it is read.

Examples:
   openclaw-ir collect verify B.tar.zst.age
   openclaw-ir collect verify -i key.txt s3://evidence/host-1/B.tar.zst.age
   openclaw-ir collect verify -i key.txt --signer SHA256:… B.tar.zst.age
   openclaw-ir collect verify --salvage -i key.txt B.tar.zst.age

` + exitText,
		Flags: bundleFlags(
			&cli.StringFlag{Name: "seal", Usage: "the seal is in `FILE` (default: BUNDLE.seal)"},
			&cli.BoolFlag{Name: "passphrase", Aliases: []string{"p"}, Usage: "ask for the bundle's passphrase and check every file too"},
			&cli.StringFlag{Name: "signer", Usage: "require that the key with this `FINGERPRINT` signed it"},
			&cli.BoolFlag{Name: "salvage", Usage: "read a bundle that is cut short as far as it goes"}),
		OnUsageError: onUsageError,
		Action:       func(c *cli.Context) error { return runVerify(c, e) },
	}
}

func oneBundle(c *cli.Context, most int) (string, error) {
	if n := c.Args().Len(); n < 1 || n > most {
		return "", usageError("openclaw-ir "+commandPath(c)+" --help", "name one bundle")
	}
	return c.Args().First(), nil
}

func runVerify(c *cli.Context, e env) error {
	name, err := oneBundle(c, 1)
	if err != nil {
		return err
	}
	if c.Bool("salvage") {
		return runSalvage(c, e, name)
	}
	f, err := openFile(c, e, name)
	if err != nil {
		return err
	}
	defer f.Close()
	e.record.reads(name)
	seal, err := readSeal(c, e, name)
	if err != nil {
		return err
	}
	o := collect.VerifyOptions{Signer: c.String("signer")}
	if len(c.StringSlice("identity")) > 0 || c.Bool("passphrase") {
		if o.Identities, err = identities(c, e, f); err != nil {
			return err
		}
	}
	progress := e.console.Progress(console.Bytes)
	progress.Start("verifying", f.Size())
	o.Progress = progress.Add
	report, err := collect.Verify(c.Context, f, f.Size(), seal, o)
	progress.Done()
	switch wrongKey := errors.Is(err, collect.ErrWrongKey); {
	case err == nil:
	case wrongKey && !report.OK():
		e.console.Warningf("the files were not checked: %v", err)
	case wrongKey:
		e.console.Printf("the ciphertext is what was sealed, and the seal holds; the files were not checked")
		fallthrough
	default:
		return bundleError(name, err)
	}
	return sayVerified(c, e, name, report)
}

// readSeal reads the seal beside a bundle; nil if there is none, which verification reports.
func readSeal(c *cli.Context, e env, name string) ([]byte, error) {
	sealName := c.String("seal")
	if sealName == "" {
		sealName = sealBeside(name)
	}
	read := collect.ReadSeal
	if store.IsRemote(sealName) {
		read = func(address string) ([]byte, error) { return readStored(c, e, address) }
	}
	seal, err := read(sealName)
	if errors.Is(err, os.ErrNotExist) && c.String("seal") == "" {
		return nil, nil
	}
	return seal, err
}

// sealBeside is where a bundle's seal lies. What an address asks for stands after the name.
func sealBeside(name string) string {
	bundle, query := name, ""
	if at := strings.IndexByte(name, '?'); at >= 0 && store.IsRemote(name) {
		bundle, query = name[:at], name[at:]
	}
	return bundle + collect.SealSuffix + query
}

func sayVerified(c *cli.Context, e env, name string, r *collect.VerifyReport) error {
	if c.Bool("json") {
		if err := printJSON(e, "collect verify", r); err != nil {
			return err
		}
	} else {
		out := e.console.Out()
		fmt.Fprintf(out, "%s: %s\n", console.Escape(name), console.Size(r.Size))
		if r.Signed {
			fmt.Fprintf(out, "signed by %s; %d of %d chunks of ciphertext hold\n", r.Signer, r.Chunks-len(r.BadAt), r.Chunks)
		}
		if r.Opened {
			fmt.Fprintf(out, "opened: %d files (%s) hold what the manifest's %d rows say\n", r.Members, console.Size(r.Bytes), r.Rows)
		} else if r.OK() {
			fmt.Fprintln(out, "not opened: name a key with -i FILE, or -p for a passphrase, to check every file too")
		}
		for _, p := range r.Problems {
			fmt.Fprintf(out, "%s  %s  %s\n", e.console.Paint(console.Bad, "does not hold: "+p.Kind), console.Escape(p.Path), console.Escape(p.Detail))
		}
	}
	if !r.OK() {
		return &codeError{exitFound, fmt.Errorf("%q does not hold: %s", name, plural(len(r.Problems)+int(r.Dropped), "problem")), []string{salvageHint(r, name)}}
	}
	if !c.Bool("json") {
		fmt.Fprintln(e.console.Out(), "holds")
	}
	return nil
}

func salvageHint(r *collect.VerifyReport, name string) string {
	for _, p := range r.Problems {
		if p.Kind == "cut" || p.Kind == "size" || p.Kind == "open" {
			return fmt.Sprintf("openclaw-ir collect verify --salvage -i KEY %s says how far it goes", console.ShellWord(name))
		}
	}
	return ""
}

func runSalvage(c *cli.Context, e env, name string) error {
	f, ids, err := openSealed(c, e, name)
	if err != nil {
		return err
	}
	defer f.Close()
	lines, err := console.NewLines(e.console, c.Bool("json"), map[string]any{"command": "collect verify --salvage"}, memberLine)
	if err != nil {
		return err
	}
	count := 0
	for m, err := range collect.Salvage(c.Context, io.NewSectionReader(f, 0, f.Size()), ids...) {
		var cut *collect.CutError
		if errors.As(err, &cut) {
			lines.Flush()
			return &codeError{exitFound, fmt.Errorf("%s whole, then: %w", plural(count, "member"), err), []string{fmt.Sprintf("openclaw-ir collect open --salvage -i KEY %s DIR writes them", console.ShellWord(name))}}
		}
		if err != nil {
			lines.Flush()
			return bundleError(name, err)
		}
		count++
		if err := lines.Write(listed(m)); err != nil {
			return err
		}
	}
	if err := lines.Flush(); err != nil {
		return err
	}
	e.console.Printf("not cut: %s; collect verify checks what is in them", plural(count, "member"))
	return nil
}

// A listedMember is a member as it is listed.
type listedMember struct {
	Name  string       `json:"name"`
	Type  collect.Type `json:"type"`
	Size  int64        `json:"size"`
	Link  string       `json:"link,omitempty"`
	Mtime time.Time    `json:"mtime"`
}

func listed(m collect.Member) listedMember {
	return listedMember{console.Escape(m.Name), m.Type, m.Size, console.Escape(m.Link), m.Mtime.UTC()}
}

func memberLine(m listedMember) string {
	line := fmt.Sprintf("%-8s %12d  %s  %s", m.Type, m.Size, m.Mtime.Format(time.RFC3339), m.Name)
	if m.Link != "" {
		line += " -> " + m.Link
	}
	return line
}

func listCommand(e env) *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "list what a bundle holds, and what was looked for in vain", ArgsUsage: "BUNDLE",
		Description: `One line for each thing that was looked for: what became of it, its size and its path. Only the manifest is
decrypted.

Examples:
   openclaw-ir collect list B.tar.zst.age -i key.txt
   openclaw-ir collect list B.tar.zst.age -i key.txt --json | jq 'select(.status != "collected")'

` + exitText,
		Flags:        bundleFlags(&cli.BoolFlag{Name: "gaps", Usage: "only what is not there or not whole"}),
		OnUsageError: onUsageError,
		Action:       func(c *cli.Context) error { return runList(c, e) },
	}
}

func runList(c *cli.Context, e env) error {
	name, err := oneBundle(c, 1)
	if err != nil {
		return err
	}
	b, f, err := readBundle(c, e, name)
	if err != nil {
		return err
	}
	defer f.Close()
	lines, err := console.NewLines(e.console, c.Bool("json"), map[string]any{"command": "collect list", "header": b.Header()}, rowLine)
	if err != nil {
		return err
	}
	for row, err := range b.Rows() {
		if err != nil {
			lines.Flush()
			return bundleError(name, err)
		}
		if c.Bool("gaps") && row.Status == collect.Collected {
			continue
		}
		if err := lines.Write(row); err != nil {
			return err
		}
	}
	return lines.Flush()
}

func rowLine(r collect.Row) string {
	line := fmt.Sprintf("%-10s %12d  %-14s  %s", console.Escape(string(r.Status)), r.Size, console.Escape(r.Source), console.Escape(r.Path))
	if r.Link != "" {
		line += " -> " + console.Escape(r.Link)
	}
	if r.Delta != nil {
		line += fmt.Sprintf("  (%s changed of %s)", plural(len(r.Delta.Ranges), "range"), console.Size(r.Delta.Size))
	}
	if r.Reason != "" {
		line += "  (" + console.Escape(r.Reason) + ")"
	}
	return line
}

func openCommand(e env) *cli.Command {
	return &cli.Command{
		Name: "open", Usage: "extract a bundle into a new directory, safely", ArgsUsage: "BUNDLE DIR",
		Description: `DIR must be new or empty. Whatever the bundle holds, nothing is written outside DIR or through a link, and
nothing becomes executable. Standard tools do it too: age -d -i key.txt B | zstd -d | tar x

Examples:
   openclaw-ir collect open B.tar.zst.age -i key.txt evidence/
   openclaw-ir collect open --salvage -i key.txt B.tar.zst.age.partial evidence/

` + exitText,
		Flags: bundleFlags(
			&cli.BoolFlag{Name: "salvage", Usage: "extract a bundle that is cut short as far as it goes"},
			&cli.Int64Flag{Name: "max-size", Usage: "write at most `BYTES` (default 64 GiB)"}),
		OnUsageError: onUsageError,
		Action:       func(c *cli.Context) error { return runOpen(c, e) },
	}
}

func runOpen(c *cli.Context, e env) error {
	name, err := oneBundle(c, 2)
	if err != nil || c.Args().Len() != 2 {
		return usageError("openclaw-ir collect open BUNDLE -i KEY DIR", "name the bundle and a new directory")
	}
	var members iter.Seq2[collect.Member, error]
	if c.Bool("salvage") {
		f, ids, err := openSealed(c, e, name)
		if err != nil {
			return err
		}
		defer f.Close()
		members = collect.Salvage(c.Context, io.NewSectionReader(f, 0, f.Size()), ids...)
	} else {
		b, f, err := readBundle(c, e, name)
		if err != nil {
			return err
		}
		defer f.Close()
		members = b.Members(c.Context)
	}
	dir := strings.TrimSuffix(c.Args().Get(1), "/")
	report, err := collect.Extract(c.Context, counted(e, members), dir, collect.Limits{Bytes: c.Int64("max-size")})
	if err != nil {
		return bundleError(name, err)
	}
	return sayExtracted(c, e, dir, report)
}

// counted shows how far the extraction is.
func counted(e env, members iter.Seq2[collect.Member, error]) iter.Seq2[collect.Member, error] {
	return func(yield func(collect.Member, error) bool) {
		progress := e.console.Progress(console.Bytes)
		progress.Start("extracting", 0)
		defer progress.Done()
		for m, err := range members {
			if !yield(m, err) {
				return
			}
			progress.Add(m.Size)
		}
	}
}

func sayExtracted(c *cli.Context, e env, dir string, r *collect.ExtractReport) error {
	if c.Bool("json") {
		if err := printJSON(e, "collect open", r); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(e.console.Out(), "%s: %d files (%s), %d directories, %d links\n", console.Escape(dir), r.Files, console.Size(r.Bytes), r.Dirs, r.Links)
		if r.Notes > 0 {
			fmt.Fprintf(e.console.Out(), "%d links that could lead out were written as NAME.symlink, a text file with the target\n", r.Notes)
		}
	}
	lost := r.Dropped > 0
	for _, p := range r.Problems {
		if p.Kind != "link" { // written as a text file, and counted above
			lost = true
			e.console.Warningf("%s: %q: %s", p.Kind, p.Path, p.Detail)
		}
	}
	if lost {
		return errPartial
	}
	return nil
}

// printJSON writes a command's one result.
func printJSON(e env, command string, v any) error {
	lines, err := console.NewJSONLines(e.console.Out(), map[string]any{"command": command})
	if err != nil {
		return err
	}
	return lines.Write(v)
}
