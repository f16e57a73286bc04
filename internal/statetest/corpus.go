package statetest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A turn is what somebody says and what the agent does about it until it answers.
type turn struct {
	kind  string // main, direct, group, cron or subagent: the session it belongs to
	name  string // of the automation or the subagent
	ask   string
	calls []call
	reply string
}

// A call is one use of a tool. The arguments keep the order of the model's.
type call struct {
	tool   string
	args   record
	result string
	code   int // the exit code of exec
}

// duration is how long a command took, in milliseconds: something, but the same each time.
func (c call) duration() int {
	return 6 + (len(c.args.text("command"))*37+len(c.result)*11)%1900
}

func exec(command, output string) call {
	return call{tool: "exec", args: record{{"command", command}}, result: output}
}

// A corpus is what testdata/benign holds, by kind.
type corpus struct {
	commands, chats, pages, mails, documents, memories, reminders []turn
}

// BenignCommand is a command of the benign corpus, as testdata/benign/commands.txt has it, before anything is filled in.
type BenignCommand struct {
	Ask     string // what the owner said before it
	Command string
	Tricky  bool // a naive rule would flag it
}

// BenignCommands returns every command of the benign corpus.
func BenignCommands(tb testing.TB) []BenignCommand {
	tb.Helper()
	var list []BenignCommand
	ask := ""
	for _, line := range benignLines(tb, "commands.txt") {
		switch mark, rest := line[0], strings.TrimPrefix(line[1:], " "); mark {
		case '?':
			ask = rest
		case '!':
			list = append(list, BenignCommand{ask, rest, true})
		case '|':
			list[len(list)-1].Command += "\n" + rest
		case '<':
		default:
			list = append(list, BenignCommand{ask, line, false})
		}
	}
	return list
}

func readCorpus(tb testing.TB, rnd *rand.Rand) corpus {
	tb.Helper()
	return corpus{
		commands:  commandTurns(tb),
		chats:     chatTurns(tb),
		pages:     pageTurns(tb),
		mails:     sectionTurns(tb, "mails.txt", mailTurn),
		documents: sectionTurns(tb, "documents.txt", documentTurn),
		memories:  memoryTurns(tb, rnd),
		reminders: reminderTurns(tb),
	}
}

// callsInTurn is how many commands an owner's one request leads to here; the rest of a longer list is asked for by name.
const callsInTurn = 5

func commandTurns(tb testing.TB) []turn {
	tb.Helper()
	var turns []turn
	var last *turn
	commands := 0 // under the present request
	for _, line := range benignLines(tb, "commands.txt") {
		switch mark, rest := line[0], strings.TrimPrefix(line[1:], " "); mark {
		case '?':
			turns = append(turns, turn{kind: "main", ask: rest})
			last, commands = &turns[len(turns)-1], 0
		case '|':
			c := &last.calls[len(last.calls)-1]
			c.args[0].value = c.args[0].value.(string) + "\n" + rest
		case '<':
			c := &last.calls[len(last.calls)-1]
			c.result = strings.TrimPrefix(c.result+"\n"+rest, "\n")
		default:
			command := strings.TrimPrefix(line, "! ")
			if commands++; commands > callsInTurn && (commands%3 == 0 || strings.HasPrefix(line, "! ")) {
				turns = append(turns, turn{kind: "main", ask: "Next, please: `" + command + "`"})
				last = &turns[len(turns)-1]
			}
			last.calls = append(last.calls, exec(command, ""))
		}
	}
	return turns
}

func chatTurns(tb testing.TB) []turn {
	tb.Helper()
	var turns []turn
	for _, line := range benignLines(tb, "chats.txt") {
		switch line[0] {
		case '>':
			turns = append(turns, turn{kind: "direct", ask: line[2:]})
		case '<':
			turns[len(turns)-1].reply = line[2:]
		}
	}
	return turns
}

func pageTurns(tb testing.TB) []turn {
	tb.Helper()
	return sectionTurns(tb, "pages.txt", func(url, _, body string) turn {
		fetch := call{tool: "web_fetch", args: record{{"url", url}}, result: body}
		return turn{kind: "direct", ask: "What does " + url + " say? In two sentences.", calls: []call{fetch}, reply: firstSentence(body)}
	})
}

func mailTurn(name, _, body string) turn {
	read := call{tool: "read", args: record{{"path", name}}, result: body}
	return turn{kind: "direct", ask: "Read " + name + " to me, please.", calls: []call{read}, reply: firstSentence(body)}
}

func documentTurn(name, ask, body string) turn {
	write := call{tool: "write", args: record{{"path", name}, {"content", body}}, result: fmt.Sprintf("Successfully wrote %d bytes to %s", len(body), name)}
	return turn{kind: "main", ask: ask + " (" + name + ")", calls: []call{write, exec("wc -c "+name, fmt.Sprintf("%d %s", len(body), name))}, reply: "It is in " + name + "."}
}

func memoryTurns(tb testing.TB, rnd *rand.Rand) []turn {
	tb.Helper()
	var turns []turn
	last := "" // line of MEMORY.md
	for i, note := range benignLines(tb, "notes.txt") {
		day := fmt.Sprintf("memory/2026-11-%02d.md", 20+i%7)
		keep := call{tool: "write", args: record{{"path", day}, {"content", "# " + day[7:17] + "\n- " + note + "\n"}}, result: "Successfully wrote 80 bytes to " + day}
		switch {
		case last == "":
			last = "- " + note
			keep.args = record{{"path", "MEMORY.md"}, {"content", "# Memory\n" + last + "\n"}}
		case rnd.IntN(2) == 0:
			edit := record{{"oldText", last}, {"newText", last + "\n- " + note}}
			keep = call{tool: "edit", args: record{{"path", "MEMORY.md"}, {"edits", []any{edit}}}, result: "Successfully replaced 1 block(s) in MEMORY.md."}
			last = "- " + note
		}
		turns = append(turns, turn{kind: "direct", ask: "Remember: " + note, calls: []call{keep}, reply: "Noted."})
	}
	return turns
}

func reminderTurns(tb testing.TB) []turn {
	tb.Helper()
	var turns []turn
	for _, line := range benignLines(tb, "reminders.txt") {
		part := strings.Split(line, " | ")
		if len(part) != 4 {
			tb.Fatalf("reminders.txt: %q has %d parts", line, len(part))
		}
		job := record{
			{"name", part[1]},
			{"schedule", record{{"kind", "cron"}, {"expr", part[2]}, {"tz", "Europe/Zurich"}}},
			{"sessionTarget", "isolated"},
			{"payload", record{{"kind", "agentTurn"}, {"message", part[3]}}},
		}
		add := call{tool: "cron", args: record{{"action", "add"}, {"job", job}}, result: job.line()}
		turns = append(turns,
			turn{kind: "main", ask: part[0], calls: []call{add}, reply: "Done: " + part[1] + "."},
			turn{kind: "cron", name: part[1], ask: part[3], reply: "NO_REPLY"})
	}
	return turns
}

// sectionTurns makes a turn of each section of a file: its head, what the owner asked for (may be ""), its body.
func sectionTurns(tb testing.TB, name string, make func(head, ask, body string) turn) []turn {
	tb.Helper()
	var turns []turn
	for _, section := range strings.Split("\n"+benignFile(tb, name), "\n%% ")[1:] {
		head, body, _ := strings.Cut(section, "\n")
		ask := ""
		if strings.HasPrefix(body, "? ") {
			ask, body, _ = strings.Cut(body[2:], "\n")
		}
		turns = append(turns, make(head, ask, strings.TrimRight(body, "\n")+"\n"))
	}
	return turns
}

func benignFile(tb testing.TB, name string) string {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join(testdata(tb), "benign", name))
	if err != nil {
		tb.Fatal(err)
	}
	return string(data)
}

// benignLines returns a file's lines but for those that are empty or a comment.
func benignLines(tb testing.TB, name string) []string {
	tb.Helper()
	var lines []string
	for line := range strings.Lines(benignFile(tb, name)) {
		if line = strings.TrimRight(line, "\n"); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines
}

func firstSentence(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if i := strings.Index(text, ". "); i > 0 {
		text = text[:i+1]
	}
	return strings.ToValidUTF8(text[:min(len(text), 200)], "")
}
