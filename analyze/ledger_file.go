package analyze

import (
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/jsonl"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// maxLedgerFile bounds a JSON file that is read whole, in bytes.
const maxLedgerFile = 32 << 20

// How a file holds its records: one JSON value a line, lines of text, one JSON document, or the elements or members
// of a container in a document.
const (
	inLines    = "lines"
	inText     = "text"
	inDocument = "document"
	inRoot     = ""          // the document itself is the container; any other word is the name of the member that is
	ofTexts    = "allowFrom" // a member whose elements are texts instead of objects
)

// A fileLedger is a file below the state directory, as releases before SQLite kept them and upgrades left them,
// and how its records become events.
type fileLedger struct {
	name  string
	code  string
	kinds []Kind
	form  string
	read  func(*ledgerReader, *entry)
}

// fileLedgers lists the files. Those with the code of a table hold what that table holds.
var fileLedgers = []fileLedger{
	{"exec-approvals.json", "allowcmd", approvalKinds, inDocument, (*ledgerReader).execApprovals},
	{"credentials/*-pairing.json", "chanreq", pairingKinds, "requests", (*ledgerReader).channelRequest},
	{"credentials/*-allowFrom.json", "chanok", pairingKinds, ofTexts, (*ledgerReader).channelAllowed},
	{"devices/paired.json", "device", pairingKinds, inRoot, (*ledgerReader).paired},
	{"devices/pending.json", "devreq", pairingKinds, inRoot, (*ledgerReader).pending},
	{"nodes/paired.json", "node", pairingKinds, inRoot, (*ledgerReader).paired},
	{"nodes/pending.json", "nodereq", pairingKinds, inRoot, (*ledgerReader).pending},
	{"cron/jobs.json", "cronjob", automationKinds, "jobs", (*ledgerReader).cronJob},
	{"cron/runs/*.jsonl", "cronrun", automationKinds, inLines, (*ledgerReader).cronRun},
	{"cron/jobs-state.json", "cronstat", automationKinds, "jobs", (*ledgerReader).cronState},
	{"logs/config-audit.jsonl", "confaud", configKinds, inLines, (*ledgerReader).configAudit},
	{"logs/gateway-restart.log", "restart", configKinds, inText, (*ledgerReader).restartLine},
	{"logs/commands.log", "command", sessionKinds, inLines, (*ledgerReader).chatCommand},
	{"subagents/runs.json", "subagent", spawnKinds, "runs", (*ledgerReader).subagent},
}

// file reads the file that is being read.
func (l *ledgerReader) file(f *fileLedger) {
	base := entry{source: l.source, modified: l.modified, code: f.code, tool: path.Base(l.source.Path), name: starred(path.Base(f.name), path.Base(l.source.Path))}
	if f.form == inLines || f.form == inText {
		l.lines(func(line int64, text []byte) {
			e := base
			e.line, e.doc = line, value{raw: text}
			if f.form == inLines && !l.isObject(text, ordinal("line", line)) {
				return
			}
			l.take(f.read, &e)
		})
		return
	}
	text, err := l.whole()
	if err != nil {
		l.unreadable(l.source.Path, err)
	}
	l.row.Bytes += int64(len(text))
	if f.form == inDocument {
		l.row.Records++
		base.line, base.doc = 1, value{raw: text}
		if l.isObject(text, "the document") {
			l.take(f.read, &base)
		}
		return
	}
	l.elements(f, text, base)
}

// whole returns the file's text, of one that is too long or breaks off the beginning.
func (l *ledgerReader) whole() ([]byte, error) {
	f, err := l.fsys.Open(openclaw.FSName(l.source.Path))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxLedgerFile+1))
	if len(text) > maxLedgerFile {
		return text[:maxLedgerFile], fmt.Errorf("longer than %d MiB; the rest was not read", maxLedgerFile>>20)
	}
	return text, err
}

// elements reads the container's elements as they come, so that a torn file gives what is before the tear. Should
// the container be there twice, OpenClaw sees the last; both are shown.
func (l *ledgerReader) elements(f *fileLedger, text []byte, base entry) {
	var p jsonl.Parser
	p.Reset(text)
	n, found := int64(0), false
	take := func(name string, v value) bool {
		e := base
		n++
		l.row.Records++
		e.line, e.doc = n, v
		if e.name == "" {
			e.name = name
		}
		switch where := ordinal("element", n); {
		case f.form != ofTexts && l.isObject(v.raw, where), f.form == ofTexts && v.text() != "":
			l.take(f.read, &e)
		case f.form == ofTexts:
			l.unparsed(where, "not a text", int64(len(v.raw)))
		}
		return l.ctx.Err() == nil
	}
	if f.form == inRoot {
		found = eachOf(&p, take)
	} else {
		for name := range p.Members() {
			if string(name) == f.form {
				found = eachOf(&p, take)
			}
		}
	}
	if l.ctx.Err() != nil {
		return
	}
	switch err := p.End(); {
	case err != nil:
		l.unparsed("the document", err.Error(), 0)
	case !found:
		l.unparsed("the document", fmt.Sprintf("no list of records %q in it", f.form), int64(len(text)))
	}
}

// isObject reports whether a text is a JSON object, and counts it if not.
func (l *ledgerReader) isObject(text []byte, where string) bool {
	err := isJSON(text)
	if err == nil && (value{raw: text}).kind() != '{' {
		err = errors.New("not a JSON object")
	}
	if err != nil {
		l.unparsed(where, err.Error(), int64(len(text)))
	}
	return err == nil
}

// starred returns what the star of a pattern stands for in a name.
func starred(pattern, name string) string {
	before, after, star := strings.Cut(pattern, "*")
	if !star {
		return ""
	}
	name, _, _ = strings.Cut(strings.TrimPrefix(name, before), after)
	return name
}
