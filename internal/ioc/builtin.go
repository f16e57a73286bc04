package ioc

import (
	_ "embed"
	"fmt"
	"strings"
)

// builtinCSV is made from what vendors and researchers published on attacks on OpenClaw up to November 2026, and from the
// archive of ClawHub of 2026-02-14. What could not be verified at all, and what others list and is no indicator (documentation
// addresses, invented hashes, the hash of an empty file), is left out: see the test.
//
//go:embed builtin.csv
var builtinCSV []byte

// skillsTSV are 688 malicious skills in the archive of ClawHub of 2026-02-14, with the SHA-256 of their SKILL.md.
//
//go:embed skills.tsv
var skillsTSV string

// Builtin returns the indicators that come with this release: a new slice each time.
func Builtin() ([]Indicator, error) {
	all, problems, err := readCSV(builtinCSV, true)
	if err != nil {
		return nil, fmt.Errorf("reading the built-in indicators: %w", err)
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("reading the built-in indicators: %s", problems[0])
	}
	skills, err := builtinSkills(skillsTSV)
	return append(all, skills...), err
}

func builtinSkills(table string) (all []Indicator, err error) {
	_, rows, _ := strings.Cut(table, "\n")
	for row := range strings.Lines(rows) {
		f := strings.Split(strings.TrimSuffix(row, "\n"), "\t")
		if len(f) != 5 || len(f[2]) != 64 {
			return nil, fmt.Errorf("reading the built-in skills: %q", row)
		}
		ind, err := newIndicator(Skill, f[0]+"/"+f[1])
		if err != nil {
			return nil, fmt.Errorf("reading the built-in skills: %q: %w", row, err)
		}
		ind.Hash, ind.Tier, ind.Name = f[2], f[3], f[4]
		ind.Source = "ClawHub archive xldeveloper/openclaw-skills@72c4b99"
		all = append(all, ind)
	}
	return all, nil
}
