package analyze

import "github.com/clawbook/openclaw-ir/internal/openclaw"

// maxUnparsedGaps is how many unparsable records of one source are told one by one; the rest are counted.
const maxUnparsedGaps = 20

// A SourceCoverage says what became of one source.
type SourceCoverage struct {
	Path       string `json:"path"`
	Form       string `json:"form"`
	Agent      string `json:"agent,omitempty"`
	Records    int64  `json:"records"`
	Bytes      int64  `json:"bytes"`
	Duplicates int64  `json:"duplicates,omitempty"` // records that another source holds too, byte for byte
	Unparsed   int64  `json:"unparsed,omitempty"`
	Lost       int64  `json:"unparsed_bytes,omitempty"`
	Unreadable bool   `json:"unreadable,omitempty"`
}

// A Coverage says what an analysis read, what it could not read and what it found there. It is the answer to
// "how do you know": no result is worth more than its coverage.
type Coverage struct {
	Installations int              `json:"installations"`
	Sources       []SourceCoverage `json:"sources"`
	Records       int64            `json:"records"`
	Bytes         int64            `json:"bytes"`
	Duplicates    int64            `json:"duplicates"`
	Unparsed      int64            `json:"unparsed"`
	UnparsedBytes int64            `json:"unparsed_bytes"`
	Events        int64            `json:"events"` // of every kind that was asked for, before the filters
	Shown         int64            `json:"shown"`
	Gaps          []openclaw.Gap   `json:"gaps"`
	Notes         []string         `json:"notes,omitempty"`

	told map[openclaw.Gap]bool // Gaps, so that none comes twice
}

// Files returns how many distinct files and databases were found, read and not readable.
func (c *Coverage) Files() (found, read, unreadable int) {
	bad := map[string]bool{}
	for _, s := range c.Sources {
		bad[s.Path] = bad[s.Path] || s.Unreadable
	}
	for _, b := range bad {
		if b {
			unreadable++
		}
	}
	return len(bad), len(bad) - unreadable, unreadable
}

// Complete reports whether everything that was found could be read and parsed.
func (c *Coverage) Complete() bool { return len(c.Gaps) == 0 && c.Unparsed == 0 }

func (c *Coverage) gap(g ...openclaw.Gap) {
	if c.told == nil {
		c.told = map[openclaw.Gap]bool{}
	}
	for _, v := range g {
		if !c.told[v] {
			c.told[v] = true
			c.Gaps = append(c.Gaps, v)
		}
	}
}

// pass counts a line that was too long to be parsed. Zero bytes are no line.
func (s *SourceCoverage) pass(bytes int64) {
	if bytes > 0 {
		s.Records, s.Unparsed, s.Bytes, s.Lost = s.Records+1, s.Unparsed+1, s.Bytes+bytes, s.Lost+bytes
	}
}

// sum adds up the sources.
func (c *Coverage) sum() {
	for i := range c.Sources {
		s := &c.Sources[i]
		c.Records += s.Records
		c.Bytes += s.Bytes
		c.Duplicates += s.Duplicates
		c.Unparsed += s.Unparsed
		c.UnparsedBytes += s.Lost
	}
}
