package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/analyze"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/secret"
	"github.com/clawbook/openclaw-ir/rotate"
	"github.com/urfave/cli/v2"
)

func secretsCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "secrets",
		Usage:     "tell which secrets the agent saw, ran with, wrote or sent, when and where",
		ArgsUsage: "[SOURCE]",
		Description: `Those that the installation holds, in any encoding and also as the mask OpenClaw left of one, and those that only transcripts show
by a well-known format. Each with its kind and fingerprint, never a value, and by way:
   sent      in a message, a URL that was fetched, a command for another host
   run       in a command or its environment, or in another tool's arguments
   written   into a file, an automation or the config
   seen      in a tool's result or a message to the agent
   at rest   in the gateway's log or a file of a workspace
Events are named as in the timeline: openclaw-ir analyze why EVENT says what led to one. What a program read or sent by itself does
not show, and OpenClaw masks some of what it stores: a secret that is not seen may have been.

Example:
   openclaw-ir analyze secrets --since 7d --fail-on sent

` + exitText,
		Flags: append(append(sourceFlags(), readFlags()...),
			&cli.StringFlag{Name: "since", Usage: "begin at `TIME`: 24h, 7d, 2026-11-20, 2026-11-20T10:00:00Z"},
			&cli.StringFlag{Name: "until", Usage: "end before `TIME`"},
			&cli.BoolFlag{Name: "all", Usage: "those that were not seen too"},
			&cli.StringFlag{Name: "fail-on", Usage: "exit code 4 if a secret was used in this `WAY` or a worse one: sent, run, written or seen"},
			&cli.BoolFlag{Name: "json", Usage: "one JSON object a line: a version first, the coverage last"},
		),
		OnUsageError: onUsageError,
		Action:       func(c *cli.Context) error { return runSecrets(c, e) },
	}
}

// A secretRow is one secret, or several that are replaced together, as it is shown. It holds no value.
type secretRow struct {
	ID          string           `json:"id"`
	Kind        rotate.Kind      `json:"kind"`
	Provider    string           `json:"provider"`
	Owner       string           `json:"owner,omitempty"`
	Fingerprint string           `json:"fingerprint,omitempty"`
	Parts       []string         `json:"parts,omitempty"`
	Held        []string         `json:"held,omitempty"`
	Copies      []string         `json:"copies,omitempty"`
	Known       bool             `json:"known"` // the installation holds it
	Sure        bool             `json:"sure"`  // it is a secret for sure, and no example or something else of its form
	Sighting    analyze.Sighting `json:"sighting"`
}

func runSecrets(c *cli.Context, e env) error {
	if c.NArg() > 1 {
		return usageError("openclaw-ir analyze secrets [SOURCE]", "too many arguments: %q", c.Args().Get(1))
	}
	worst, err := failOn(c.String("fail-on"))
	if err != nil {
		return err
	}
	src, err := openEvidence(c, e, c.Args().First())
	if err != nil {
		return err
	}
	defer src.close()
	rows, set, cover, err := findSecrets(c, e, src)
	if err != nil {
		return err
	}
	if err := printSecrets(c, e, set, rows, cover); err != nil {
		return err
	}
	err = sayCoverage(e, &analyze.Renderer{Secrets: set}, cover)
	if n := countWays(rows, worst); n > 0 {
		return &codeError{exitFound, fmt.Errorf("%s used: %s", plural(n, "secret"), waysText(worst)), []string{"sudo openclaw-ir rotate list says where each is replaced"}}
	}
	return err
}

// failOn returns the ways that end the command with exit code 4.
func failOn(name string) ([]analyze.Way, error) {
	if name == "" {
		return nil, nil
	}
	n := slices.Index(analyze.Ways, analyze.Way(name))
	if n < 0 || n > slices.Index(analyze.Ways, analyze.WaySeen) {
		return nil, usageError("ways are sent, run, written and seen", "no such way: %q", name)
	}
	return analyze.Ways[:n+1], nil
}

func waysText(list []analyze.Way) string {
	words := make([]string, len(list))
	for i, w := range list {
		words[i] = string(w)
	}
	return strings.Join(words, " or ")
}

func countWays(rows []secretRow, list []analyze.Way) (n int) {
	for i := range rows {
		if slices.ContainsFunc(rows[i].Sighting.Uses, func(u analyze.Use) bool { return slices.Contains(list, u.Way) }) {
			n++
		}
	}
	return n
}

// findSecrets reads the evidence. The rows are in the order in which they are shown.
func findSecrets(c *cli.Context, e env, src *source) ([]secretRow, *secret.Set, *analyze.Coverage, error) {
	o := analyze.SightingOptions{Unknown: true, Rest: true}
	var err error
	if o.Since, err = parseTime(c.String("since"), src.now); err != nil {
		return nil, nil, nil, err
	}
	if o.Until, err = parseTime(c.String("until"), src.now); err != nil {
		return nil, nil, nil, err
	}
	installs, gaps := openclaw.Find(src.fsys, src.find)
	if len(installs) == 0 {
		return nil, nil, nil, nothingFound(&analyze.Coverage{Gaps: gaps}, e)
	}
	salt, err := fingerprintSalt(c, e)
	if err != nil {
		return nil, nil, nil, err
	}
	print := secret.NewFingerprinter(salt)
	set := secret.NewSet(print)
	var items [][]rotate.Item
	for _, in := range installs {
		found, more := rotate.Inventory(c.Context, src.fsys, in, print)
		items, gaps = append(items, found), append(gaps, more...)
		in.Secrets(c.Context, src.fsys, set) // what is lacking is a gap of the inventory already
	}
	progress := e.console.Progress(console.Bytes)
	progress.Start("reading the evidence", 0)
	o.Read = progress.Add
	seen, cover, err := analyze.Sightings(c.Context, src.fsys, installs, set, o)
	progress.Done()
	if err != nil {
		return nil, nil, nil, err
	}
	cover.Gaps = append(cover.Gaps, gaps...)
	cover.Notes = append(cover.Notes, "OpenClaw masks secrets where it stores what was said and done, from 2026.7 on nearly all: what is not seen here may have been seen, used or sent")
	return secretRows(rotate.Join(items...), seen), set, cover, nil
}

// secretRows puts together what is held and what was seen.
func secretRows(items []rotate.Item, seen map[string]analyze.Sighting) (rows []secretRow) {
	for i := range items {
		row := rowOf(&items[i])
		row.Known, row.Sure = true, true
		for _, p := range append([]string{items[i].Fingerprint}, items[i].Parts...) {
			if s, ok := seen[p]; ok {
				row.Sighting.Join(&s)
			}
		}
		rows = append(rows, row)
	}
	unknown := map[string]secret.Unknown{}
	for p, s := range seen {
		if s.Unknown != nil {
			unknown[p] = *s.Unknown
		}
	}
	for _, it := range rotate.NamedItems(unknown) {
		row := rowOf(&it)
		row.Sure, row.Sighting = unknown[it.Fingerprint].Sure, seen[it.Fingerprint]
		rows = append(rows, row)
	}
	slices.SortStableFunc(rows, func(a, b secretRow) int {
		return cmp.Or(cmp.Compare(worstWay(&a), worstWay(&b)), strings.Compare(a.ID, b.ID))
	})
	return rows
}

func rowOf(it *rotate.Item) secretRow {
	return secretRow{
		ID: it.ID, Kind: it.Kind, Provider: it.Provider, Owner: it.Owner, Fingerprint: it.Fingerprint, Parts: it.Parts, Held: it.Where, Copies: it.Residue,
	}
}

// worstWay returns the place in analyze.Ways of the worst way in which a secret was used; the last of all if it was in none.
func worstWay(r *secretRow) int {
	if len(r.Sighting.Uses) == 0 {
		return len(analyze.Ways)
	}
	return slices.Index(analyze.Ways, r.Sighting.Uses[0].Way)
}

// A secretLine is one line of the output with --json.
type secretLine struct {
	Secret   *secretRow        `json:"secret,omitempty"`
	Coverage *analyze.Coverage `json:"coverage,omitempty"`
}

func printSecrets(c *cli.Context, e env, set *secret.Set, rows []secretRow, cover *analyze.Coverage) error {
	out, err := console.NewLines(e.console, c.Bool("json"), map[string]any{"command": "analyze secrets"}, func(l secretLine) string { return secretText(l.Secret) })
	if err != nil {
		return err
	}
	hidden := 0
	for i := range rows {
		r := &rows[i]
		cover.Events += int64(r.Sighting.Count)
		if len(r.Sighting.Uses) == 0 && !c.Bool("all") {
			hidden++
			continue
		}
		cover.Shown += int64(r.Sighting.Count)
		r.redact(set)
		if err := out.Write(secretLine{Secret: r}); err != nil {
			return err
		}
	}
	if hidden > 0 {
		cover.Notes = append(cover.Notes, plural(hidden, "secret")+" that the installation holds not seen; --all shows them")
	}
	if c.Bool("json") {
		if err := out.Write(secretLine{Coverage: cover}); err != nil {
			return err
		}
	}
	return out.Flush()
}

// redact takes secrets out of names that come from the evidence: of files, accounts and sessions.
func (r *secretRow) redact(set *secret.Set) {
	r.Provider, r.Owner = set.Redact(r.Provider), set.Redact(r.Owner)
	lists := [][]string{r.Held, r.Copies, r.Sighting.Sessions}
	for _, u := range r.Sighting.Uses {
		lists = append(lists, u.Sessions, u.Events)
	}
	for _, list := range lists {
		for i := range list {
			list[i] = set.Redact(list[i])
		}
	}
}

// secretText renders a secret: what it is, where it is held, and a line for each way in which it was used.
func secretText(r *secretRow) string {
	way := "not seen"
	if len(r.Sighting.Uses) > 0 {
		way = string(r.Sighting.Uses[0].Way)
	}
	name := string(r.Kind)
	if r.Provider != "" {
		name = r.Provider + " " + name
	}
	first := fmt.Sprintf("%-8s  %s  %s", way, console.Escape(r.ID), console.Escape(name))
	if r.Owner != "" {
		first += " of " + console.Escape(r.Owner)
	}
	if r.Fingerprint != "" {
		first += "  <secret:" + r.Fingerprint + ">"
	}
	lines := []string{first}
	add := func(label, text string) {
		if text != "" {
			lines = append(lines, fmt.Sprintf("    %-8s %s", label, console.Escape(text)))
		}
	}
	add("held", strings.Join(shorten(r.Held, 3), ", "))
	add("copies", strings.Join(shorten(r.Copies, 3), ", "))
	switch {
	case r.Known:
	case r.Sure:
		add("held", "nowhere in the installation: only the evidence below shows it")
	default:
		add("held", "nowhere in the installation; of this form it can be an example, or have expired")
	}
	for _, u := range r.Sighting.Uses {
		add(string(u.Way), useText(&u))
	}
	return strings.Join(lines, "\n")
}

func useText(u *analyze.Use) string {
	what := "record"
	if u.Way == analyze.WayRest {
		what = "place"
	}
	text := plural(u.Count, what)
	if u.Masked > 0 {
		text += fmt.Sprintf(" (%d only as its mask)", u.Masked)
	}
	if !u.First.IsZero() {
		first, last := u.First.Format(time.RFC3339), u.Last.Format(time.RFC3339)
		if text += ", " + first; last != first {
			text += " to " + last
		}
	}
	if n := len(u.Sessions); n > 1 {
		text += ", in " + plural(n, "session")
	}
	text += ": " + strings.Join(u.Events, " ")
	if u.Count > len(u.Events) {
		text += fmt.Sprintf(" and %d more", u.Count-len(u.Events))
	}
	return text
}
