package main

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/analyze"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/secret"
	"github.com/clawbook/openclaw-ir/internal/severity"
	"github.com/urfave/cli/v2"
)

func analyzeCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "analyze",
		Usage:     "tell what the agent executed and wrote, when, and who asked",
		ArgsUsage: "[SOURCE] [PATTERN]",
		Description: `SOURCE is a sealed bundle, a directory (an extracted bundle, a copied home or state directory), or absent for
this host. PATTERN selects lines as grep does. By default the timeline shows what was executed, written and
edited; --kind shows more. Secrets are replaced by fingerprints. Nothing is changed on the host.

-i FILE names a private key if FILE holds one; any other -i is grep's. --identity and --ignore-case are
never in doubt.

Examples:
   openclaw-ir analyze
   openclaw-ir analyze --root /mnt/image 'curl|wget'
   openclaw-ir analyze B.tar.zst.age -i key.txt --kind exec --since 24h --format jsonl
   openclaw-ir analyze --kind message,log -i password -C 2
   openclaw-ir analyze --kind all --format ecs > events.ndjson
   openclaw-ir analyze B.tar.zst.age -i key.txt --kind all --format ecs --bulk https://search.example.org:9200/openclaw --bulk-credentials c.txt
   openclaw-ir analyze --level high                      # each with the worst finding that speaks of it

` + exitText,
		Flags: append(append(append(sourceFlags(), readFlags()...), bulkFlags()...),
			&cli.StringSliceFlag{Name: "kind", Usage: "show only `KINDS`: " + kindNames() + ", or all"},
			&cli.StringFlag{Name: "agent", Usage: "show only this `AGENT`"},
			&cli.StringFlag{Name: "session", Usage: "show only sessions whose id or key holds `TEXT`"},
			&cli.StringFlag{Name: "since", Usage: "begin at `TIME`: 24h, 7d, 2026-11-20, 2026-11-20T10:00:00Z"},
			&cli.StringFlag{Name: "until", Usage: "end before `TIME`"},
			&cli.StringFlag{Name: "level", Usage: "look for findings too, and show only events with one at `LEVEL` or above: " + strings.Join(severity.Names(), ", ")},
			&cli.StringFlag{Name: "format", Value: "text", Usage: "print as `FORMAT`: " + formatNames},
			&cli.BoolFlag{Name: "json", Usage: "one JSON object a line: a version first, the events, the coverage last"},
			&cli.BoolFlag{Name: "ignore-case", Usage: "grep's -i: match without regard to case"},
			&cli.BoolFlag{Name: "invert-match", Aliases: []string{"v"}, Usage: "select lines that do not match"},
			&cli.BoolFlag{Name: "fixed-strings", Aliases: []string{"F"}, Usage: "PATTERN is plain text, not an expression"},
			&cli.BoolFlag{Name: "word-regexp", Aliases: []string{"w"}, Usage: "match whole words"},
			&cli.BoolFlag{Name: "count", Aliases: []string{"c"}, Usage: "print only how many lines match"},
			&cli.IntFlag{Name: "max-count", Aliases: []string{"m"}, Usage: "stop after `N` lines"},
			&cli.IntFlag{Name: "after-context", Aliases: []string{"A"}, Usage: "show `N` lines after each match"},
			&cli.IntFlag{Name: "before-context", Aliases: []string{"B"}, Usage: "show `N` lines before each match"},
			&cli.IntFlag{Name: "context", Aliases: []string{"C"}, Usage: "show `N` lines around each match"},
		),
		Subcommands:  []*cli.Command{findingsCommand(e), whyCommand(e), postureCommand(e), integrityCommand(e), secretsCommand(e), rulesCommand(e)},
		OnUsageError: onUsageError,
		Action:       func(c *cli.Context) error { return runAnalyze(c, e) },
	}
}

func kindNames() string {
	names := make([]string, len(analyze.Kinds))
	for i, k := range analyze.Kinds {
		names[i] = string(k)
	}
	return strings.Join(names, ", ")
}

func runAnalyze(c *cli.Context, e env) error {
	sink, err := newDocumentSink(c, e)
	if err != nil {
		return err
	}
	src, pattern, err := openSource(c, e)
	if err != nil {
		return err
	}
	defer src.close()
	o, err := analyzeOptions(c, src)
	if err != nil {
		return err
	}
	grep := grepOptions(c, pattern)
	if err := grep.Check(); err != nil {
		return usageError("use -F for plain text", "%v", err)
	}
	progress := e.console.Progress(console.Bytes)
	progress.Start("reading transcripts", 0)
	o.Read = progress.Add
	report, err := analyze.Timeline(c.Context, src.fsys, o)
	progress.Done()
	if errors.Is(err, analyze.ErrNothing) {
		return nothingFound(&report.Coverage, e)
	}
	if err != nil {
		return err
	}
	renderer, gaps, err := newRenderer(c, e, src, report.Installations)
	if err != nil {
		return err
	}
	report.Coverage.Gaps = append(report.Coverage.Gaps, gaps...)
	if renderer.Findings, err = judged(c, e, src, o); err != nil {
		return err
	}
	printed := printTimeline(c, e, src, sink, report, renderer, grep)
	if printed != nil && !errors.Is(printed, errPartial) {
		return printed
	}
	err = cmp.Or(sayCoverage(e, renderer, &report.Coverage), printed)
	if f := renderer.Findings; err == nil && f != nil && !f.Complete() {
		e.console.Warningf("not everything could be matched with the rules; openclaw-ir analyze findings says what")
		return errPartial
	}
	return err
}

// judged looks for the findings that mark a timeline, if --level asks for it.
func judged(c *cli.Context, e env, src *source, t analyze.Options) (*analyze.FindingsReport, error) {
	if c.String("level") == "" {
		return nil, nil
	}
	o := analyze.FindingsOptions{Find: t.Find, Agent: t.Agent, Session: t.Session, Since: t.Since, Until: t.Until, Now: src.now}
	var err error
	if o.Rules, err = loadRules(c); err != nil {
		return nil, err
	}
	if o.Indicators, err = loadIndicators(c, e); err != nil {
		return nil, err
	}
	return investigate(c, e, src, o)
}

func nothingFound(cover *analyze.Coverage, e env) error {
	for _, g := range cover.Gaps {
		e.console.Warningf("%s: %s", g.Path, g.What)
	}
	hint := "name it with --state-dir DIR, a mounted disk with --root DIR"
	if e.uid != 0 {
		hint += ", or search every account with sudo"
	}
	return &codeError{exitFailed, analyze.ErrNothing, []string{hint}}
}

func analyzeOptions(c *cli.Context, src *source) (analyze.Options, error) {
	o := analyze.Options{Find: src.find, Agent: c.String("agent"), Session: c.String("session")}
	o.Digest = c.String("format") != "text" || c.Bool("json")
	var err error
	if o.Kinds, err = parseKinds(c.StringSlice("kind")); err != nil {
		return o, err
	}
	if name := c.String("level"); name != "" {
		if _, err := parseLevel(name); err != nil {
			return o, err
		}
		if len(o.Kinds) == 0 { // a finding may speak of anything
			o.Kinds = analyze.Kinds
		}
	}
	if o.Since, err = parseTime(c.String("since"), src.now); err != nil {
		return o, err
	}
	o.Until, err = parseTime(c.String("until"), src.now)
	return o, err
}

func parseKinds(names []string) ([]analyze.Kind, error) {
	var kinds []analyze.Kind
	for _, list := range names {
		for name := range strings.SplitSeq(list, ",") {
			k := analyze.Kind(strings.TrimSpace(name))
			switch {
			case k == "all":
				kinds = append(kinds, analyze.Kinds...)
			case slices.Contains(analyze.Kinds, k):
				kinds = append(kinds, k)
			default:
				return nil, usageError("kinds are "+kindNames()+", or all", "no such kind: %q", name)
			}
		}
	}
	return kinds, nil
}

// parseTime reads a moment, or how long before now it was.
func parseTime(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil {
		return now.Add(-d.Abs()), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, usageError("times read 24h, 7d, 2026-11-20 or 2026-11-20T10:00:00Z (UTC)", "not a time: %q", s)
}

func grepOptions(c *cli.Context, pattern string) analyze.Grep {
	around := c.Int("context")
	return analyze.Grep{
		Pattern: pattern, Fixed: c.Bool("fixed-strings"), IgnoreCase: c.Bool("ignore-case"), Invert: c.Bool("invert-match"), Words: c.Bool("word-regexp"),
		Before: max(around, c.Int("before-context"), 0), After: max(around, c.Int("after-context"), 0), Max: max(c.Int("max-count"), 0),
	}
}

// newRenderer knows every secret of the installations, so that none is shown.
func newRenderer(c *cli.Context, e env, src *source, installs []*openclaw.Installation) (*analyze.Renderer, []openclaw.Gap, error) {
	salt, err := fingerprintSalt(c, e)
	if err != nil {
		return nil, nil, err
	}
	set := secret.NewSet(secret.NewFingerprinter(salt))
	var gaps []openclaw.Gap
	for _, in := range installs {
		gaps = append(gaps, in.Secrets(c.Context, src.fsys, set)...)
	}
	return &analyze.Renderer{Secrets: set}, gaps, nil
}

// fingerprintSalt keys fingerprints: by the case, so that they are the same wherever it shows them, or, without a case
// that can be used, by a salt of this run.
func fingerprintSalt(c *cli.Context, e env) ([]byte, error) {
	cs, err := existingCase(c, e)
	if err != nil && c.String("case") == "" {
		salt := make([]byte, 32)
		_, err := rand.Read(salt)
		return salt, err
	}
	if err != nil {
		return nil, err
	}
	defer cs.Close()
	return cs.Salt()
}

// An eventWriter writes events in one format.
type eventWriter interface {
	Write(*analyze.Event) error
	Flush() error
	Shortened() int64 // how many texts were
}

func printTimeline(c *cli.Context, e env, src *source, sink documentSink, report *analyze.Report, r *analyze.Renderer, g analyze.Grep) error {
	events := report.Events()
	if name := c.String("level"); name != "" {
		least, err := parseLevel(name)
		if err != nil {
			return err
		}
		events = atLevel(events, r.Findings, least)
	}
	hits, err := g.Select(events, r.Line)
	if err != nil {
		return err
	}
	w, err := newEventWriter(c, e, src, sink, r, report)
	if err != nil {
		return err
	}
	for hit, err := range hits {
		if err != nil {
			return err
		}
		if err := c.Context.Err(); err != nil {
			return err
		}
		if !hit.Context {
			report.Coverage.Shown++
		}
		if !c.Bool("count") {
			if err := w.hit(hit); err != nil {
				return fmt.Errorf("writing the timeline: %w", err)
			}
		}
	}
	if c.Bool("count") {
		_, err := fmt.Fprintln(e.console.Out(), report.Coverage.Shown)
		return err
	}
	return w.end(&report.Coverage)
}

// atLevel leaves out the events of which no finding at a level or above speaks.
func atLevel(events iter.Seq2[*analyze.Event, error], found *analyze.FindingsReport, least severity.Level) iter.Seq2[*analyze.Event, error] {
	return func(yield func(*analyze.Event, error) bool) {
		for e, err := range events {
			if err == nil {
				if f := found.Of(e); f == nil || f.Level < least {
					continue
				}
			}
			if !yield(e, err) {
				return
			}
		}
	}
}
