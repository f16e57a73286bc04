package analyze

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"github.com/clawbook/openclaw-ir/internal/jsonl"
)

// details are the members of a result's details that tell how it ended.
type details struct {
	status, signal, cwd, toolName  string
	err, parentCall, callID, input []byte
	exit                           *int
	millis, pid, started           int64
	isError, timedOut              bool
	inner                          *details
}

func (d *decoder) details(p *jsonl.Parser, out *details, depth int) {
	for name := range p.Members() {
		switch string(name) {
		case "status":
			out.status = d.intern(p.RawText())
		case "error":
			out.err = p.RawText()
		case "exitCode":
			if n, ok := p.Int(); ok {
				code := int(n)
				out.exit = &code
			}
		case "exitSignal":
			out.signal = d.intern(p.RawText())
		case "durationMs", "tookMs":
			out.millis, _ = p.Int()
		case "pid":
			out.pid, _ = p.Int()
		case "cwd":
			out.cwd = d.intern(p.RawText())
		case "timedOut":
			out.timedOut, _ = p.Bool()
		case "parentToolCallId":
			out.parentCall = p.RawText()
		case "toolCallId":
			out.callID = p.RawText()
		case "toolName":
			out.toolName = d.intern(p.RawText())
		case "isError":
			out.isError, _ = p.Bool()
		case "startedAt":
			if n, _ := p.Int(); isMillis(n) {
				out.started = n
			}
		case "input":
			out.input = p.Raw()
		case "result", "details":
			if depth == 0 {
				p.Skip()
				continue
			}
			if out.inner == nil {
				out.inner = &details{}
			}
			d.details(p, out.inner, depth-1)
		}
	}
}

// errorStart is how much of an error is kept, in bytes: more than a line shows, so that a secret in it is still whole
// when it is replaced.
const errorStart = 2 << 10

// start cuts a text to n bytes or a little less.
func start(s string, n int) string {
	n = min(len(s), n)
	for n > 0 && n < len(s) && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// result tells how a call ended, from the details, the error flag and the raw text.
// A non-zero exit is not an error of the tool; older releases say it only in the text.
func (d *details) result(isError bool, text []byte) Result {
	r := Result{Exit: d.exit, Signal: d.signal, Millis: d.millis, PID: d.pid, Recorded: true}
	message := d.err
	if len(message) == 0 {
		message = text
	}
	if r.Exit == nil && (isError || d.status != "completed") {
		r.Exit = exitIn(message)
	}
	switch {
	case isDenial(message):
		r.Status, r.Exit = StatusDenied, nil
	case d.timedOut, bytes.HasPrefix(message, []byte(`"Command timed out`)):
		r.Status = StatusTimeout
	case d.status == "approval-unavailable": // nobody was there to ask
		r.Status, r.Exit = StatusDenied, nil
	case d.status == "approval-pending", d.status == "approval_pending":
		r.Status = StatusPending
	case d.status == "running":
		r.Status = StatusRunning
	case r.Exit != nil:
		r.Status = statusOfExit(r.Exit)
	case isError, d.isError, d.status == "error", d.status == "failed":
		r.Status = StatusError
	default:
		r.Status = StatusOK
	}
	if r.Status != StatusOK && len(message) > 2 {
		r.Error = start(jsonl.UnquoteStart(message, errorStart), errorStart)
	}
	return r
}

func isDenial(raw []byte) bool {
	return bytes.HasPrefix(raw, []byte(`"Exec denied`)) || bytes.HasPrefix(raw, []byte(`"exec denied`))
}

func statusOfExit(exit *int) Status {
	if exit != nil && *exit != 0 {
		return StatusError
	}
	return StatusOK
}

// exitIn finds "exited with code N" at the end of a raw text; nil if it says no such thing.
func exitIn(raw []byte) *int {
	return numberAfter(raw[max(0, len(raw)-resultEnd):], "exited with code ")
}

// codexExit finds the exit code in what codex stores of a command's output, as JSON or as text.
func codexExit(raw []byte) *int {
	if n := numberAfter(raw, `\"exit_code\":`); n != nil {
		return n
	}
	return numberAfter(raw[:min(len(raw), promptStart)], "Exit code: ")
}

func numberAfter(text []byte, phrase string) *int {
	i := bytes.LastIndex(text, []byte(phrase))
	if i < 0 {
		return nil
	}
	digits := text[i+len(phrase):]
	n := 0
	for n < len(digits) && n < 9 && digits[n] >= '0' && digits[n] <= '9' {
		n++
	}
	code, err := strconv.Atoi(string(digits[:n]))
	if err != nil {
		return nil
	}
	return &code
}
