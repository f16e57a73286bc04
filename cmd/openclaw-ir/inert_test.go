package main

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/clawbook/openclaw-ir/collect/schedule"
	"github.com/clawbook/openclaw-ir/internal/inerttest"
	"github.com/clawbook/openclaw-ir/internal/statetest"
	"github.com/urfave/cli/v2"
)

// inertLines are what is typed on evidence in which an intruder wrote wherever he could: for every command a line at least. Each is run
// in every format that its command has. HOSTILE is a name of a file that is none, DIR one of files full of hostile texts, NEW
// is another name each time, STORE and SFTP are addresses whose servers say hostile things, LISTED one that lists them. What has a ! before it fails, in every format alike.
var inertLines = strings.Split(strings.TrimSpace(`
case open one
collect --root host -R recipients.txt -o NEW
collect --root host --estimate
collect --snapshot --root host -R recipients.txt --case snapshots --full
! collect --root HOSTILE -R recipients.txt
! collect -R HOSTILE
! collect -R DIR/recipients.txt --root host
collect verify B.tar.zst.age -i key.txt
! collect verify DIR/cut.age
collect verify DIR/cut.age -i key.txt --salvage
! collect verify HOSTILE
collect list B.tar.zst.age -i key.txt
collect open B.tar.zst.age -i key.txt NEW
collect open B.tar.zst.age -i key.txt HOSTILE
collect verify DIR/forged.tar.zst.age -i key.txt
collect verify DIR/forged.tar.zst.age -i key.txt --salvage
collect list DIR/forged.tar.zst.age -i key.txt
collect open DIR/forged.tar.zst.age -i key.txt NEW
collect diff before DIR/forged.tar.zst.age -i key.txt
! collect chain verify DIR/chain
! collect chain verify DIR/chain -i key.txt
! collect verify B.tar.zst.age --seal DIR/recipients.txt
analyze DIR/forged.tar.zst.age -i key.txt --kind all
analyze findings DIR/forged.tar.zst.age -i key.txt
analyze posture DIR/forged.tar.zst.age -i key.txt --all
analyze integrity DIR/forged.tar.zst.age -i key.txt
analyze secrets DIR/forged.tar.zst.age -i key.txt
report DIR/forged.tar.zst.age -i key.txt --yes -R recipients.txt
collect --snapshot --root host -R recipients.txt --case snapshots --to STORE --notify HOOK
collect --snapshot --root host -R recipients.txt --case snapshots --to STORE --notify PAGER
collect upload B.tar.zst.age --to STORE
collect upload B.tar.zst.age --to SFTP --ssh-key ssh.key --host-key HOSTKEY
collect upload B.tar.zst.age --to SFTP --ssh-key ssh.key
collect upload
! collect verify STORED
! collect list STORED -i key.txt
! analyze STORED -i key.txt
! collect verify SFTP/B.tar.zst.age --ssh-key ssh.key --host-key HOSTKEY
! collect verify SFTP/B.tar.zst.age --ssh-key ssh.key
! collect chain verify STORE
! collect chain verify LISTED
! collect chain verify SFTP --ssh-key ssh.key --host-key HOSTKEY
! collect verify LEAVER/B.tar.zst.age --ssh-key ssh.key --host-key HOSTKEY
! collect verify CLOSED/B.tar.zst.age --ssh-key ssh.key --host-key CLOSEDKEY
collect upload B.tar.zst.age --to LEAVER --ssh-key ssh.key --host-key HOSTKEY
collect upload B.tar.zst.age --to CLOSED --ssh-key ssh.key --host-key CLOSEDKEY
collect chain verify cases/snapshots/bundles
! collect chain verify HOSTILE
collect diff before B.tar.zst.age -i key.txt
collect diff B.tar.zst.age before -i key.txt
collect schedule install --dry-run -R /etc/passwd
! collect schedule install --dry-run -R recipients.txt --notify HOSTILE
collect schedule remove --dry-run
collect schedule status
contain --dry-run --no-firewall --state-dir STATE
rotate --root host --dry-run --reset-pairing --scrub
! rotate --dry-run --state-dir HOSTILE
! rotate verify --state-dir HOSTILE
rotate list --root host --all
! rotate done HOSTILE
analyze --root host --kind all
analyze B.tar.zst.age -i key.txt --kind exec,message
! analyze host *HOSTILE
! analyze --root HOSTILE
analyze findings --root host --rules DIR/rules --ioc DIR/indicators.csv --suppressions DIR/suppressions.yml
! analyze findings --root host --rules DIR/broken
! analyze findings --root host --suppressions DIR/broken/rule.yml
! analyze findings --root host --ioc HOSTILE
analyze why EVENT host
! analyze why HOSTILE host
analyze posture --root host --all
analyze posture --fix --dry-run --state-dir STATE
analyze posture undo --dry-run
analyze integrity host --against before
analyze secrets host --all
analyze rules list --rules DIR/rules
analyze rules show AT-001 --rules DIR/rules
! analyze rules show HOSTILE
analyze rules test DIR/rules
! analyze rules test DIR/broken
report --root host --yes -R recipients.txt --noticed HOSTILE --at HOSTILE
! report --root host --yes --dry-run --template HOSTILE
run --dry-run
! run --from HOSTILE
! drill HOSTILE
doctor --state-dir STATE
! case verify --head HOSTILE
! case show HOSTILE
man
completion bash
! completion HOSTILE
__complete -- --case HOSTILE
! HOSTILE
! collect HOSTILE
! collect schedule HOSTILE
! collect chain HOSTILE
! analyze rules HOSTILE
! case HOSTILE
! analyze --format HOSTILE
! analyze --HOSTILE
contain status
contain undo --dry-run
contain confirm
collect schedule status
collect schedule remove --dry-run
case show
case list
case verify
case close
`), "\n")

// notTyped are the commands that no line is for, and why.
var notTyped = map[string]string{"contain dead-man": "waits, and is run by contain; what it prints contain undo does too"}

// An inertRun is one round: hostile texts in other places than in the rounds before, and every command.
type inertRun struct {
	*responder
	*planting
	event  string
	places []string // what names in capitals stand for, one after the other
	made   int
	seen   strings.Builder // all that was printed or written
	elsewhere
}

func newInertRun(t *testing.T, scenario string, round int) *inertRun {
	x := &inertRun{planting: &planting{t: t, round: round}, elsewhere: newElsewhere()}
	before := statetest.Scenario(t, scenario)
	x.responder = newResponderOn(t, x.host(scenario))
	x.must(os.Rename(before, filepath.Join(x.dir, "before")))
	x.files()
	x.forge()
	x.servers()
	if code, _, stderr := x.run("collect", "--root", "host", "-R", "recipients.txt", "-o", "B.tar.zst.age", "--case", "one", "--case-dir", x.cases); code == exitFailed || code == exitUsage {
		t.Fatal(stderr)
	}
	return x
}

// files makes what a person may have been given by others: rules, indicators, recipients, a bundle that was cut.
func (x *inertRun) files() {
	dir := x.dir + "/DIR"
	q := func(place string) string { return yamlText(x.shown(place)) }
	rule := "title: " + q("rule title") + "\nname: AT-001\nid: 5f0a9c77-d1e2-4b68-a3c1-000000000001\ndescription: " + q("rule description") + "\nauthor: " + yamlText(x.text("rule author")) + "\nreferences: [" + q("rule reference") +
		"]\nfalsepositives: [" + q("rule false positive") + "]\nlogsource: {product: openclaw, category: process_creation}\ndetection: {a: {CommandLine|contains: [curl, e]}, condition: a}\nlevel: critical\nsamples:\n  positive: [{CommandLine: " +
		q("rule sample") + "}]\n  negative: [{CommandLine: " + yamlText("curl "+x.shown("rule counterexample")) + "}]\n"
	x.planting.write(filepath.Join(dir, "rules", strings.ToValidUTF8(x.name("rule file"), "?")+".yml"), rule) // Go's fs knows no other names
	x.planting.write(filepath.Join(dir, "broken/rule.yml"), "title: "+yamlText(x.text("broken rule"))+"\nname: "+yamlText(x.text("broken rule name"))+"\ndetection: {condition: "+yamlText(x.text("broken condition"))+"}\n")
	x.planting.write(dir+"/indicators.csv", "type,value,comment\ndomain,evil.example,"+cell(x.text("indicator"))+"\nnonsense "+cell(x.text("indicator type"))+",x,y\n")
	x.planting.write(dir+"/suppressions.yml", "- {rule: AT-001, scope: {agent: main}, expires: 2036-01-01, reason: "+q("suppression")+"}\n- {rule: "+yamlText(x.text("suppressed rule"))+", scope: {path: "+yamlText(x.text("suppressed path"))+"}, expires: 2036-01-01, reason: x}\n")
	x.planting.write(dir+"/recipients.txt", "# "+x.text("recipients comment")+"\nage1"+x.text("recipient")+"\n")
	x.planting.write(dir+"/cut.age", "age-encryption.org/v1\n-> "+x.text("stanza")+"\n")
	x.must(os.MkdirAll(filepath.Join(x.cases, x.name("case directory")), 0o700))
}

// cell is what of a text can stand in a cell: a list that is no text is refused as a whole.
func cell(text string) string {
	return strings.ToValidUTF8(strings.NewReplacer("\n", " ", "\r", " ", ",", " ", "\"", " ", "\x00", " ").Replace(text), "?")
}

// spoil makes a case in which an intruder wrote: its log, its record of a containment, files beside its own.
func (x *inertRun) spoil() {
	log := filepath.Join(x.cases, "one/custody.jsonl")
	text, err := os.ReadFile(log)
	x.must(err)
	q := func(place string) string { return quotedText(x.shown(place)) }
	line := `{"seq":99,"time":"2026-11-29T10:00:00Z","operator":{"user":` + q("operator") + `},"host":` + q("log host") + `,"pid":7,"action":` + q("action") + `,"object":` + q("object") + `,"result":` + q("result") +
		`,"note":` + q("note") + `,"digests":[{"name":` + quotedText("report/"+x.shown("digest name")) + `,"sha256":"00"}],"prev":"` + strings.Repeat("0", 64) + `"}` + "\n"
	x.planting.write(log, string(text)+line+x.text("no line")+"\n")
	x.planting.write(filepath.Join(x.cases, "one/bundles", x.name("bundle")+".tar.zst.age"), "x")
	x.planting.write(filepath.Join(x.cases, "one/report", x.name("report file")), "x")
	x.planting.write(filepath.Join(x.cases, "one/contain.json"), `{"version":1,"tool":"x","host":"x","state":"contained","kept":`+q("kept")+`,"begun":"2026-11-29T10:00:00Z","units":[{"name":`+
		quotedText(x.shown("contained unit")+".service")+`,"uid":4242,"user":true,"running":true}],"files":[{"path":`+quotedText("/nonexistent/"+x.shown("contained file"))+`,"why":`+q("contained why")+
		`}],"links":[{"path":`+quotedText("/nonexistent/"+x.shown("contained link"))+`,"target":`+quotedText(x.text("contained target"))+`}]}`)
	x.scheduled()
}

// scheduled makes the snapshots' case say that they are taken by themselves.
func (x *inertRun) scheduled() {
	var r schedule.Record
	inerttest.Fill(&r, "schedule", x.text)
	r.Version, r.Every, r.Kind = 1, schedule.Every(time.Hour), schedule.Cron
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		r.Kind = schedule.System
	}
	text, err := json.Marshal(r)
	x.must(err)
	x.planting.write(filepath.Join(x.cases, "snapshots/schedule.json"), string(text))
}

// words are the arguments of a line, and again others each time they are asked for.
func (x *inertRun) words(line string, c *cli.Command) (args []string) {
	for word := range strings.FieldsSeq(line) {
		switch {
		case word == "NEW":
			x.made++
			word = "new" + strconv.Itoa(x.made)
		case word == "EVENT":
			word = x.event
		case strings.Contains(word, "HOSTILE"):
			word = strings.ReplaceAll(word, "HOSTILE", x.name("argument"))
		}
		args = append(args, strings.NewReplacer(append(x.places, "STATE", x.state)...).Replace(word))
	}
	if c != nil && takesValue(c.Flags, "case-dir") {
		args = append(args, "--case-dir", x.cases)
	}
	return args
}

// commandOf is the command of a line, nil if it names none.
func commandOf(app *cli.App, line string) (path string, c *cli.Command) {
	commands := app.Commands
	for word := range strings.FieldsSeq(line) {
		i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.Name == word })
		if i < 0 {
			break
		}
		path, c, commands = strings.TrimSpace(path+" "+word), commands[i], commands[i].Subcommands
	}
	return path, c
}

// formats are the options for what a command can print in; none are for its text, and nothing else is for what fails.
func formats(c *cli.Command, fails bool) (list [][]string) {
	list = [][]string{nil}
	if c == nil || fails {
		return list
	}
	for _, f := range c.Flags {
		switch f := f.(type) {
		case *cli.BoolFlag:
			if f.Name == "json" {
				list = append(list, []string{"--json"})
			}
		case *cli.StringFlag:
			if f.Name == "format" {
				for _, name := range choices(f.Usage) {
					if name != f.Value {
						list = append(list, []string{"--format", name})
					}
				}
			}
		}
	}
	return list
}

// TestOutputIsInert runs every command in every format on evidence that is hostile wherever it can be.
func TestOutputIsInert(t *testing.T) {
	if testing.Short() || statetest.Raced() {
		t.Skip("runs every command")
	}
	app, typed := testApp(80), map[string]bool{}
	for _, line := range inertLines {
		path, _ := commandOf(app, strings.TrimPrefix(line, "! "))
		typed[path] = true
	}
	everyCommand(app, func(path string, _ *cli.Command) {
		if path = strings.TrimPrefix(path, "openclaw-ir "); !typed[path] && notTyped[path] == "" {
			t.Errorf("no line types openclaw-ir %s: add one", path)
		}
	})
	rounds, scenarios := 1, []string{"clawjacked"}
	if isLong() {
		rounds, scenarios = inerttest.Rounds, []string{"clawjacked", "automation"}
	}
	for round := range rounds {
		scenario := scenarios[round%len(scenarios)]
		t.Run(scenario+" "+strconv.Itoa(round), func(t *testing.T) { newInertRun(t, scenario, round).all(app) })
	}
}

func (x *inertRun) all(app *cli.App) {
	spoilt := slices.Index(inertLines, "contain status")
	x.enter(app, inertLines[:spoilt])
	x.planting.t.Run("written", x.written)
	x.spoil()
	x.enter(app, inertLines[spoilt:])
	x.planting.t.Run("elsewhere", x.readElsewhere)
	x.complete()
}

// enter runs each line in every format.
func (x *inertRun) enter(app *cli.App, lines []string) {
	for _, line := range lines {
		line, fails := strings.CutPrefix(line, "! ")
		path, c := commandOf(app, line)
		for _, format := range formats(c, fails) {
			name := strings.TrimSpace(line + " " + strings.Join(format, " "))
			x.planting.t.Run(name, func(t *testing.T) { x.check(t, x.words(line, c), path, format, fails) })
		}
	}
}

// complete fails for what was planted and no command has shown.
func (x *inertRun) complete() {
	for _, mark := range x.marks {
		if !strings.Contains(x.seen.String(), mark) {
			x.planting.t.Errorf("nothing showed what was planted at %s", mark)
		}
	}
}

// check runs one command in one format.
func (x *inertRun) check(t *testing.T, args []string, path string, format []string, fails bool) {
	code, stdout, stderr := x.run(append(args, format...)...)
	debug.SetGCPercent(100) // collect wants another
	if bad := code == exitFailed || code == exitUsage || code == exitFound; fails != bad && (fails || code == exitUsage) {
		t.Errorf("exit code %d", code)
	}
	t.Logf("%q\n%.300s\n%.600s", args, stdout, stderr)
	x.seen.WriteString(stdout + stderr)
	inerttest.Lines(t, "stderr", stderr)
	switch {
	case len(format) == 0 && path == "report":
		inerttest.Letter(t, "stdout", strings.Replace(stdout, "To: support@clawbook.io\n", "", 1))
	case len(format) == 0, path == "run", path == "drill":
		inerttest.Lines(t, "stdout", stdout)
	case format[len(format)-1] == "csv":
		inerttest.CSV(t, "stdout", stdout)
		x.tables[strings.Join(args, " ")] = stdout
	default:
		lines := inerttest.JSONLines(t, "stdout", stdout)
		x.lines = append(x.lines, lines...)
		if path == "analyze" && format[len(format)-1] == "jsonl" {
			x.events[strings.Join(args, " ")] = lines
		}
		if path == "analyze" && len(lines) > 0 && x.event == "" && format[len(format)-1] == "jsonl" {
			var e struct{ ID string }
			x.must(json.Unmarshal([]byte(lines[len(lines)/2]), &e))
			x.event = e.ID
		}
	}
}

// written checks every file in the cases.
func (x *inertRun) written(t *testing.T) {
	x.must(filepath.WalkDir(x.cases, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(name)
		switch filepath.Ext(name) {
		case ".eml":
			inerttest.Mail(t, name, data)
		case ".md":
			inerttest.Markdown(t, name, data)
		case ".html":
			inerttest.Page(t, name, data)
		case ".jsonl", ".held", ".seal":
			x.lines = append(x.lines, inerttest.JSONLines(t, name, string(data))...)
		case ".json":
			inerttest.Lines(t, name, string(data))
			if !json.Valid(data) {
				t.Errorf("%s: no JSON", name)
			}
		}
		x.seen.Write(data)
		return err
	}))
}
