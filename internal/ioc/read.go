package ioc

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// A Problem is an entry of a user's list that is not looked for, and why. All strings may hold hostile text.
type Problem struct {
	File  string
	Where string // a line, an object's id
	Value string
	Why   string
	// Minor says that the list itself does not ask for it to be looked for: it is revoked, expired or only there as context.
	Minor bool
}

// String returns "FILE: WHERE: VALUE: why", with the value defanged and shortened.
func (p Problem) String() string {
	s := p.File
	for _, part := range []string{p.Where, Defang(shorten(p.Value))} {
		if part != "" {
			s += ": " + part
		}
	}
	return s + ": " + p.Why
}

// maxShown is how much of a value a problem shows, in bytes.
const maxShown = 120

func shorten(value string) string {
	if len(value) <= maxShown {
		return value
	}
	return strings.ToValidUTF8(value[:maxShown], "") + "…"
}

// Bounds of a user's list: bytes, entries, and problems told one by one.
const (
	maxList     = 64 << 20
	maxEntries  = 1_000_000
	maxProblems = 1000
	maxLine     = 64 << 10
)

var (
	errTooLarge = fmt.Errorf("larger than %d MiB", maxList>>20)
	errBinary   = errors.New("not a text file")
	errUTF16    = errors.New("UTF-16; save it as UTF-8")
)

// Read reads a user's list: one value a line (comments after "#"), CSV with a header (MISP's and ThreatFox's among them), a
// STIX 2.1 bundle or the JSON of MISP events; what it is shows in its content. Values may be defanged. Entries that cannot be
// looked for, or that would be found in what is harmless, are problems, each with its reason. The error says why the file
// cannot be read at all. name is only told.
func Read(name string, r io.Reader) ([]Indicator, []Problem, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxList+1))
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("reading indicators from %q: %w", name, err)
	case len(data) > maxList:
		return nil, nil, fmt.Errorf("reading indicators from %q: %w", name, errTooLarge)
	}
	found, problems, err := read(data)
	if err != nil {
		return nil, nil, fmt.Errorf("reading indicators from %q: %w", name, err)
	}
	for i := range problems {
		problems[i].File = name
	}
	for i := range found {
		found[i].Tier = TierUser
		if found[i].Source == "" {
			found[i].Source = name
		}
	}
	return found, problems, nil
}

func read(data []byte) ([]Indicator, []Problem, error) {
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return nil, nil, errUTF16
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	start := bytes.TrimLeft(data, " \t\r\n")
	switch {
	case bytes.IndexByte(data, 0) >= 0:
		return nil, nil, errBinary
	case len(start) > 0 && (start[0] == '{' || start[0] == '[' && isJSONArray(start)):
		return readJSON(start)
	case csvHeader(data) != nil:
		return readCSV(data, false)
	}
	return readPlain(data)
}

// isJSONArray tells an array from an IPv6 address in brackets.
func isJSONArray(data []byte) bool {
	rest := bytes.TrimLeft(data[1:], " \t\r\n")
	return len(rest) > 0 && (rest[0] == '{' || rest[0] == ']')
}

// A collector gathers what a list holds.
type collector struct {
	found    []Indicator
	problems []Problem
	more     int // problems beyond the bound
	full     bool
}

// add adds an entry, or says why not.
func (c *collector) add(where string, typ Type, value string, fill func(*Indicator)) {
	if len(c.found) == maxEntries {
		if !c.full {
			c.full = true
			c.problem(where, "", fmt.Sprintf("more than %d entries; this one and those after it are not looked for", maxEntries))
		}
		return
	}
	ind, err := newIndicator(typ, value)
	if errors.Is(err, errUnclear) {
		value = "" // a file of keys that was taken for a list must not be quoted
	}
	if err != nil {
		c.problem(where, value, err.Error())
		return
	}
	if fill != nil {
		fill(&ind)
	}
	c.found = append(c.found, ind)
}

func (c *collector) problem(where, value, why string) {
	c.report(Problem{Where: where, Value: shorten(value), Why: why})
}

func (c *collector) minor(where, value, why string) {
	c.report(Problem{Where: where, Value: shorten(value), Why: why, Minor: true})
}

func (c *collector) report(p Problem) {
	if len(c.problems) >= maxProblems {
		c.more++
		return
	}
	c.problems = append(c.problems, p)
}

func (c *collector) end() ([]Indicator, []Problem, error) {
	if c.more > 0 {
		c.problems = append(c.problems, Problem{Why: fmt.Sprintf("and %d more entries that are not looked for", c.more)})
	}
	return c.found, c.problems, nil
}

// readPlain reads one value a line. A hosts file's address before the name does not count.
func readPlain(data []byte) ([]Indicator, []Problem, error) {
	var c collector
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, maxList+2)
	for n := 1; lines.Scan(); n++ {
		where := fmt.Sprintf("line %d", n)
		if len(lines.Bytes()) > maxLine {
			c.problem(where, "", fmt.Sprintf("longer than %d bytes", maxLine))
			continue
		}
		line := strings.TrimSpace(lines.Text())
		if i := strings.Index(line, " #"); i >= 0 {
			line = strings.TrimSpace(line[:i])
		}
		if line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "//") || strings.HasPrefix(line, ";") {
			continue
		}
		if f := strings.Fields(line); len(f) == 2 && (f[0] == "0.0.0.0" || f[0] == "127.0.0.1" || f[0] == "::") {
			line = f[1]
		}
		typ, value := typed(line)
		c.add(where, typ, value, nil)
	}
	return c.end()
}

// typed splits "text:VALUE" and its like.
func typed(line string) (Type, string) {
	for _, typ := range []Type{Text, Path, Skill, Package} {
		if value, ok := strings.CutPrefix(line, string(typ)+":"); ok {
			return typ, value
		}
	}
	return "", strings.Trim(line, `"',`)
}
