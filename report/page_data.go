package report

import (
	"io"
	"time"
	"unicode/utf8"

	"github.com/clawbook/openclaw-ir/analyze"
	"github.com/clawbook/openclaw-ir/internal/severity"
	"github.com/go-json-experiment/json/jsontext"
)

// heldOfTexts is how much of the events' texts the page may hold, in bytes as they are written: so much opens at once in a
// browser. mostHeld is what it holds of one text, leastHeld what it holds of each even if they are too many.
const (
	heldOfTexts = 32 << 20
	mostHeld    = 256 << 10
	leastHeld   = 256
)

// A timelineData is the events as the page's script reads them: one list of numbers a column, and one table of all texts,
// into which the columns of texts point. A text that comes again is written once.
type timelineData struct {
	events   []*analyze.Record
	levels   []int8 // of the worst finding of each event, from 1; 0 if there is none
	marks    []eventMark
	leftOut  map[analyze.Kind]int64
	unlisted int64 // marks beyond the bound

	texts []string
	known map[string]int64
}

// An eventMark says that a finding speaks of an event.
type eventMark struct {
	event int
	title string
	level severity.Level
	card  int // number of the finding on the page, from 1; 0 if it is not shown there
}

// A column is one property of the events. A column of texts points into the table of texts.
type column struct {
	name string
	text func(e *analyze.Record) string
	num  func(e *analyze.Record) int64
}

var columns = []column{
	{name: "kind", text: func(e *analyze.Record) string { return string(e.Kind) }},
	{name: "id", text: func(e *analyze.Record) string { return e.ID }},
	{name: "agent", text: func(e *analyze.Record) string { return e.Agent }},
	{name: "session", text: func(e *analyze.Record) string { return e.Session }},
	{name: "key", text: func(e *analyze.Record) string { return e.SessionKey }},
	{name: "asker", text: func(e *analyze.Record) string { return e.Asker.String() }},
	{name: "name", text: func(e *analyze.Record) string { return e.Asker.Name }},
	{name: "tool", text: func(e *analyze.Record) string { return e.Tool }},
	{name: "call", text: func(e *analyze.Record) string { return e.CallID }},
	{name: "parent", text: func(e *analyze.Record) string { return e.Parent }},
	{name: "what", text: func(e *analyze.Record) string { return e.What }},
	{name: "recorded", text: func(e *analyze.Record) string { return e.Recorded }},
	{name: "cwd", text: func(e *analyze.Record) string { return e.Cwd }},
	{name: "target", text: func(e *analyze.Record) string { return e.Target }},
	{name: "bytes", num: func(e *analyze.Record) int64 { return e.Bytes }},
	{name: "ending", text: func(e *analyze.Record) string { return ending(e.Result) }},
	{name: "returned", num: func(e *analyze.Record) int64 { return e.Result.Size }},
	{name: "pid", num: func(e *analyze.Record) int64 { return e.Result.PID }},
	{name: "error", text: func(e *analyze.Record) string { return e.Result.Error }},
	{name: "marks", text: func(e *analyze.Record) string { return joinedMarks(e.Marks) }},
	{name: "rule", text: func(e *analyze.Record) string { return e.Rule }},
	{name: "source", text: func(e *analyze.Record) string { return e.Source }},
	{name: "form", text: func(e *analyze.Record) string { return e.Form }},
	{name: "line", num: func(e *analyze.Record) int64 { return e.Line }},
	{name: "digest", text: func(e *analyze.Record) string { return e.Digest }},
}

// text returns the number of a text in the table.
func (t *timelineData) text(s string) int64 {
	n, known := t.known[s]
	if !known {
		n = int64(len(t.texts))
		t.known[s], t.texts = n, append(t.texts, s)
	}
	return n
}

// A dataWriter writes the JSON of the timeline; it keeps its first error.
type dataWriter struct {
	enc *jsontext.Encoder
	err error
}

func (d *dataWriter) put(tokens ...jsontext.Token) {
	for _, t := range tokens {
		if d.err == nil {
			d.err = d.enc.WriteToken(t)
		}
	}
}

// list writes one list of numbers under a name.
func (d *dataWriter) list(name string, n int, number func(i int) int64) {
	d.put(jsontext.String(name), jsontext.BeginArray)
	for i := range n {
		d.put(jsontext.Int(number(i)))
	}
	d.put(jsontext.EndArray)
}

// writeElement writes the data as an element of the page. A template cannot hold it: it would have to be one value.
func (t *timelineData) writeElement(w io.Writer) error {
	if _, err := io.WriteString(w, `<script type="application/json" id="data">`); err != nil {
		return err
	}
	if err := t.write(w); err != nil {
		return err
	}
	_, err := io.WriteString(w, "</script>\n")
	return err
}

// write writes the data as a JSON object that may stand in a script element: no text of it can end the element.
func (t *timelineData) write(w io.Writer) error {
	d := &dataWriter{enc: jsontext.NewEncoder(w, jsontext.EscapeForHTML(true), jsontext.EscapeForJS(true), jsontext.AllowDuplicateNames(true))}
	t.texts, t.known = []string{""}, map[string]int64{"": 0}
	d.put(jsontext.BeginObject, jsontext.String("columns"), jsontext.BeginObject)
	t.writeTimes(d)
	for _, c := range columns {
		d.list(c.name, len(t.events), func(i int) int64 {
			if c.num != nil {
				return c.num(t.events[i])
			}
			return t.text(c.text(t.events[i]))
		})
	}
	d.list("level", len(t.events), func(i int) int64 { return int64(t.levels[i]) })
	d.put(jsontext.EndObject, jsontext.String("findings"), jsontext.BeginObject)
	d.list("event", len(t.marks), func(i int) int64 { return int64(t.marks[i].event) })
	d.list("title", len(t.marks), func(i int) int64 { return t.text(t.marks[i].title) })
	d.list("level", len(t.marks), func(i int) int64 { return int64(t.marks[i].level) + 1 })
	d.list("card", len(t.marks), func(i int) int64 { return int64(t.marks[i].card) })
	d.put(jsontext.EndObject)
	t.writeTexts(d)
	d.put(jsontext.EndObject)
	return d.err
}

// writeTimes writes each time as the milliseconds since the one before, and whether the record bears one of its own.
func (t *timelineData) writeTimes(d *dataWriter) {
	untimed := make([]bool, len(t.events))
	last := int64(0)
	d.list("time", len(t.events), func(i int) int64 {
		at, err := time.Parse(time.RFC3339Nano, t.events[i].Time)
		untimed[i] = err != nil || t.events[i].TimeFrom != ""
		if err != nil {
			return 0
		}
		step := at.UnixMilli() - last
		last += step
		return step
	})
	d.list("untimed", len(t.events), func(i int) int64 {
		if untimed[i] {
			return 1
		}
		return 0
	})
}

// writeTexts writes the table, and of each text that is cut how many bytes it has.
func (t *timelineData) writeTexts(d *dataWriter) {
	held := t.held()
	d.put(jsontext.String("texts"), jsontext.BeginArray)
	for _, s := range t.texts {
		d.put(jsontext.String(lines(head(s, held))))
	}
	d.put(jsontext.EndArray, jsontext.String("held"), jsontext.Int(int64(held)), jsontext.String("cut"), jsontext.BeginArray)
	for i, s := range t.texts {
		if len(s) > held {
			d.put(jsontext.Int(int64(i)), jsontext.Int(int64(len(s))))
		}
	}
	d.put(jsontext.EndArray)
}

// written is about how long a text becomes by escaping, at most six times as long.
func written(s string) (n int) {
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ', c == 0x7f, c == '<', c == '>', c == '&':
			n += 6
		case c == '\\':
			n += 4
		case c == '"', c >= utf8.RuneSelf:
			n += 2
		default:
			n++
		}
	}
	return n
}

// held is how much of each text is held, so that all of them stay within the bound.
func (t *timelineData) held() int {
	held := mostHeld
	for ; held > leastHeld; held /= 2 {
		sum := 0
		for _, s := range t.texts {
			sum += written(head(s, held))
		}
		if sum <= heldOfTexts {
			break
		}
	}
	return held
}
