package analyze

import (
	"strings"

	"github.com/clawbook/openclaw-ir/internal/jsonl"
)

// attachmentNames are the arguments by which tools name a file that leaves the host.
var attachmentNames = map[string]bool{"media": true, "mediaUrl": true, "path": true, "filePath": true, "file": true, "attachment": true, "buffer": true, "paths": true, "files": true, "attachments": true}

// attachments lists the files that a message or a form takes along.
func attachments(e *Event) (files []string) {
	if len(e.Args) > maxArguments {
		return nil
	}
	var p jsonl.Parser
	p.Reset([]byte(e.Args))
	for name := range p.Members() {
		if !attachmentNames[string(name)] {
			p.Skip()
			continue
		}
		switch p.Kind() {
		case '"':
			files = append(files, p.Text())
		case '[':
			for range p.Elements() {
				if p.Kind() == '"' {
					files = append(files, p.Text())
				} else {
					p.Skip()
				}
			}
		default:
			p.Skip()
		}
	}
	return files
}

// maxArguments bounds the arguments that are parsed, in bytes; longer ones are matched as they are.
const maxArguments = 8 << 20

// written is the text that a call put into the event's file.
func written(e *Event) string {
	if len(e.Args) > maxArguments {
		return e.Args
	}
	if strings.Contains(e.Args, "*** Begin Patch") {
		return patched(e)
	}
	var b strings.Builder
	var p jsonl.Parser
	p.Reset([]byte(e.Args))
	newTexts(&p, &b, 3)
	return strings.TrimSuffix(b.String(), "\n")
}

// newTexts collects what the arguments of writing tools put into a file; edits hold it in a list.
func newTexts(p *jsonl.Parser, b *strings.Builder, depth int) {
	for name := range p.Members() {
		switch string(name) {
		case "content", "newText", "new_string", "newString", "new_source", "file_text":
			b.WriteString(p.Text())
			b.WriteByte('\n')
		case "edits":
			if depth == 0 {
				p.Skip()
				continue
			}
			for range p.Elements() {
				newTexts(p, b, depth-1)
			}
		default:
			p.Skip()
		}
	}
}

// patched is the text that a patch adds to the event's file.
func patched(e *Event) string {
	var p jsonl.Parser
	p.Reset([]byte(e.Args))
	patch := ""
	for name := range p.Members() {
		if n := string(name); (n == "input" || n == "patch") && p.Kind() == '"' {
			patch = p.Text()
		} else {
			p.Skip()
		}
	}
	want := firstNonEmpty(e.Recorded, e.What)
	var b strings.Builder
	in := false
	for line := range strings.Lines(patch) {
		if head, isHead := strings.CutPrefix(line, "*** "); isHead {
			verb, name, _ := strings.Cut(strings.TrimSpace(head), ": ")
			if name != "" {
				in = name == want || verb == "Move to" && in
			}
			continue
		}
		if in && strings.HasPrefix(line, "+") {
			b.WriteString(line[1:])
		}
	}
	return b.String()
}
