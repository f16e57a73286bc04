package integrity

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/clawbook/openclaw-ir/internal/jsonl"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// blackout is how long, in ms, a gateway that works may go without a line in its log.
const blackout = 15 * 60_000

// margin is how far inside a gap of the log something must have happened to show that the gateway worked, in ms.
const margin = 60_000

// A gap of the log, and what happened in it.
type logGap struct {
	from, until int64
	path        string
	line        int64
}

// logs looks for times when the gateway worked and wrote no log, and for log files that are missing.
func (c *checker) logs() {
	sources, gaps := c.in.Logs(c.fsys)
	c.gap(gaps...)
	sources = slices.DeleteFunc(sources, func(s openclaw.Source) bool { return c.brought(s) })
	if len(sources) == 0 {
		c.rep.undecided("INT-008", "no log file is there (OpenClaw removes them after 24 hours)")
		return
	}
	l := logReader{c: c}
	openclaw.ReadSources(c.ctx, c.fsys, sources, l.batch)
	l.gaps()
	c.logFiles(sources)
}

type logReader struct {
	c      *checker
	times  []logLine
	source *openclaw.Source
	last   int64
}

// A logLine is the first or last line of a stretch of the log.
type logLine struct {
	time int64
	path string
	line int64
}

func (l *logReader) batch(b openclaw.Batch) bool {
	l.c.gap(b.Gaps...)
	if b.Source != l.source {
		l.source, l.last = b.Source, 0
	}
	line := b.Line
	for text := range bytes.Lines(b.Text) {
		if text = bytes.TrimSpace(text); len(text) > 0 {
			l.line(text, line)
		}
		line++
	}
	l.c.read(int64(len(b.Text)))
	b.Free()
	return true
}

func (l *logReader) line(text []byte, line int64) {
	l.c.count("INT-008", 1)
	var p jsonl.Parser
	t := int64(0)
	p.Reset(text)
	for name := range p.Members() {
		if string(name) == "time" {
			t = moment(&p)
		}
	}
	if p.End() != nil || t == 0 {
		return // the log holds lines of other programs; their absence of a time says nothing
	}
	if l.last-t > backwards && l.last-t < 12*3600_000 {
		l.c.add(Finding{
			Check: "INT-002", Level: low, Title: "times of the log run backwards", Path: l.source.Path, Line: line, Time: ms(t), Detail: "by " + seconds(l.last-t),
			Benign: "several processes write the same file, or a clock was set",
		})
	}
	l.last = max(l.last, t)
	// One line a minute tells where the log was silent.
	if n := len(l.times); n == 0 || t-l.times[n-1].time > margin || t < l.times[n-1].time {
		l.times = append(l.times, logLine{t, l.source.Path, line})
	}
}

// gaps tells the stretches without a line in which the gateway worked.
func (l *logReader) gaps() {
	slices.SortStableFunc(l.times, func(a, b logLine) int { return int(min(max(a.time-b.time, -1), 1)) })
	for i := 1; i < len(l.times); i++ {
		a, b := l.times[i-1], l.times[i]
		if b.time-a.time > blackout {
			l.c.blackout(logGap{a.time, b.time, b.path, b.line})
		}
	}
	if n := len(l.times); n > 0 {
		last := l.times[n-1]
		if end := l.c.lastBusy(); end-last.time > blackout {
			l.c.blackout(logGap{last.time, end + 2*margin, last.path, last.line})
		}
	}
}

func (c *checker) lastBusy() (t int64) {
	for m := range c.busy {
		t = max(t, m*minute)
	}
	return t
}

func (c *checker) blackout(g logGap) {
	events := 0
	for m := range c.busy {
		if t := m * minute; t > g.from+margin && t < g.until-margin {
			events++
		}
	}
	alive := slices.ContainsFunc(c.boots, func(b boot) bool { return b.begin < g.from && (b.end > g.until || b.end == 0 && b.outcome == "") })
	f := Finding{Check: "INT-008", Path: g.path, Line: g.line, Time: ms(g.from), Until: ms(g.until)}
	f.Detail = fmt.Sprintf("no line for %d minutes", (g.until-g.from)/60_000)
	switch {
	case events > 0:
		f.Level, f.Title = high, "the log is silent while the agent worked"
		f.Detail += fmt.Sprintf("; transcripts have events in %d of them", events)
		f.Benign = "turns that ran without the gateway (agent --local), or a log that was full (500 MB in older releases)"
	case alive:
		f.Level, f.Title, f.Benign = low, "the log is silent while the gateway ran", "an idle gateway has little to say"
	default:
		return
	}
	c.add(f)
}

var logName = regexp.MustCompile(`^(openclaw.*?)-(\d{4}-\d{2}-\d{2})(?:\.(\d+))?\.log$`)

// logFiles tells the files that are missing from a row of numbered or dated ones.
func (c *checker) logFiles(sources []openclaw.Source) {
	numbers, days := map[string][]int{}, map[string][]time.Time{}
	for _, s := range sources {
		m := logName.FindStringSubmatch(path.Base(s.Path))
		if m == nil {
			continue
		}
		family := path.Join(path.Dir(s.Path), m[1])
		day, err := time.Parse("2006-01-02", m[2])
		if err != nil {
			continue
		}
		n, _ := strconv.Atoi(m[3])
		numbers[family+"-"+m[2]] = append(numbers[family+"-"+m[2]], n)
		if !slices.Contains(days[family], day) {
			days[family] = append(days[family], day)
		}
	}
	for name, have := range numbers {
		c.rotation(name, have)
	}
	for family, have := range days {
		c.missingDays(family, have)
	}
}

// rotation finds holes in name.log, name.1.log, … name.5.log.
func (c *checker) rotation(name string, have []int) {
	for n := range slices.Max(have) {
		if !slices.Contains(have, n) {
			file := name + ".log"
			if n > 0 {
				file = fmt.Sprintf("%s.%d.log", name, n)
			}
			c.add(Finding{Check: "INT-008", Level: high, Title: "a log file is missing from its rotation", Path: file, Detail: "files with higher numbers are there"})
		}
	}
}

// missingDays finds days without a log on which the agent worked.
func (c *checker) missingDays(family string, have []time.Time) {
	first := slices.MinFunc(have, time.Time.Compare)
	for _, m := range slices.Sorted(maps.Keys(c.busy)) {
		day := ms(m * minute).Truncate(24 * time.Hour)
		if day.Before(first) || slices.Contains(have, day) || slices.Contains(have, day.AddDate(0, 0, -1)) || slices.Contains(have, day.AddDate(0, 0, 1)) {
			continue // the name is of the local day, and lines of a day may stand in the file of the day before
		}
		have = append(have, day)
		c.add(Finding{
			Check: "INT-008", Level: high, Title: "the log of a day is missing", Path: fmt.Sprintf("%s-%s.log", family, day.Format("2006-01-02")), Time: day,
			Detail: "the agent worked on that day, and older logs are there", Benign: "OpenClaw removes logs that are 24 hours old",
		})
	}
}
