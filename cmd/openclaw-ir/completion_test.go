package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
)

// completed runs __complete and returns the words it offers and what else the shell is to offer.
func completed(t *testing.T, state string, words ...string) (list []string, also string) {
	t.Helper()
	out, errs := new(bytes.Buffer), new(bytes.Buffer)
	c := console.New(console.Streams{In: strings.NewReader(""), Out: out, Err: errs}, console.Facts{})
	getenv := func(name string) string { return map[string]string{"XDG_STATE_HOME": state}[name] }
	code := run(context.Background(), append([]string{"openclaw-ir", completeName, "--"}, words...), env{console: c, getenv: getenv, uid: 1})
	if code != exitDone || errs.Len() > 0 {
		t.Errorf("%q: exit code %d: %s", words, code, errs)
	}
	for line := range strings.Lines(out.String()) {
		value, _, _ := strings.Cut(strings.TrimRight(line, "\n"), "\t")
		if strings.HasPrefix(value, ":") {
			also = value
		} else {
			list = append(list, value)
		}
	}
	return list, also
}

// stateWithCases is an XDG_STATE_HOME with two cases, and with directories that are none and whose names attack the terminal and the shell.
func stateWithCases(t *testing.T) string {
	t.Helper()
	state := t.TempDir()
	dir := filepath.Join(state, "openclaw-ir")
	for _, name := range []string{"first-case", "second-case"} {
		cs, err := casefile.Open(dir, name, true)
		if err != nil {
			t.Fatal(err)
		}
		cs.Close()
	}
	for _, name := range []string{"first\x1b]0;owned\a", "first$(touch owned)", "first\nsecond", "first`id`", ":files"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return state
}

func TestComplete(t *testing.T) {
	state := stateWithCases(t)
	for _, test := range []struct {
		line string // words apart by spaces; the last may be empty
		want string // among what is offered, and all of it if it ends in a full stop
		also string
	}{
		{"", "contain rotate collect analyze doctor", noneToo},
		{"con", "contain.", noneToo},
		{"--v", "--version.", noneToo},
		{"contain ", "status undo confirm.", noneToo},
		{"contain --dry", "--dry-run.", noneToo},
		{"contain undo --for", "--force.", noneToo},
		{"contain --case ", "first-case second-case.", noneToo},
		{"contain --case s", "second-case.", noneToo},
		{"contain --case=s", "--case=second-case.", noneToo},
		{"contain --case = s", "second-case.", noneToo}, // as bash parts it
		{"contain --case =", "first-case second-case.", noneToo},
		{"contain --case first-case --ye", "--yes.", noneToo},
		{"contain --case first-case undo --st", "--start.", noneToo},
		{"contain --case-dir " + filepath.Join(state, "openclaw-ir") + " --case f", "first-case.", noneToo},
		{"contain --case-dir /no/such/place --case f", ".", noneToo},
		{"contain --case-dir ", ".", dirsToo},
		{"collect -R ", ".", filesToo},
		{"collect verify ", ".", filesToo},
		{"collect --include pack", "packages.", noneToo},
		{"analyze ", "findings why posture", filesToo},
		{"analyze findings --level h", "high.", noneToo},
		{"analyze findings --fail-on ", "info low medium high critical.", noneToo},
		{"analyze --kind au", "automation.", noneToo},
		{"analyze --format j", "jsonl.", noneToo},
		{"analyze --since ", ".", noneToo},
		{"collect --level ", "default better.", noneToo},
		{"run --from ", "contain collect rotate analyze report.", noneToo},
		{"case show s", "second-case.", noneToo},
		{"report --template s", "support security.", noneToo},
		{"analyze -- --", ".", filesToo},
		{"completion ", "bash zsh fish.", noneToo},
		{"completion bash ", ".", noneToo},
		{"nonsense ", ".", noneToo},
		{"contain --nonsense ", "status", noneToo},
	} {
		list, also := completed(t, state, strings.Split(test.line, " ")...)
		want, all := strings.CutSuffix(test.want, ".")
		for _, word := range strings.Fields(want) {
			if !slices.Contains(list, word) {
				t.Errorf("%q: %q is not among %q", test.line, word, list)
			}
		}
		if all && len(list) != len(strings.Fields(want)) || also != test.also {
			t.Errorf("%q: %q and %q, want %q and %q", test.line, list, also, test.want, test.also)
		}
	}
}

// FuzzComplete: no line ends in an error, and nothing that is offered could move the cursor or run in a shell.
func FuzzComplete(f *testing.F) {
	f.Add("contain --case ")
	f.Add("analyze --kind=")
	f.Add("-- -- --")
	f.Add("collect --level \x00 = = =")
	f.Fuzz(func(t *testing.T, line string) {
		list, also := completed(t, "", strings.Split(line, " ")...)
		if !slices.Contains([]string{noneToo, filesToo, dirsToo}, also) {
			t.Errorf("ends in %q", also)
		}
		for _, word := range list {
			if strings.ContainsAny(word, "\x1b\a$`;&|<>(){}'\"\\ ") {
				t.Errorf("offers %q", word)
			}
		}
	})
}

// TestCompletionInShells asks the real shells, each with its own script.
func TestCompletionInShells(t *testing.T) {
	oneAfterTheOther(t)
	dir := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(exe, filepath.Join(dir, "openclaw-ir")); err != nil { // the test binary is the program by this name
		t.Fatal(err)
	}
	state := stateWithCases(t)
	for _, shell := range []struct {
		name   string
		script func(words ...string) string // prints what is offered for a line, one a line
	}{
		{"bash", bashScript},
		{"zsh", zshScript},
		{"fish", fishScript},
	} {
		t.Run(shell.name, func(t *testing.T) {
			if _, err := exec.LookPath(shell.name); err != nil {
				t.Skipf("no %s", shell.name)
			}
			for _, test := range []struct {
				words []string
				want  string
			}{
				{[]string{"doc"}, "doctor"},
				{[]string{"contain", "und"}, "undo"},
				{[]string{"contain", "--dry"}, "--dry-run"},
				{[]string{"contain", "--case-dir", "CASES", "--case", "sec"}, "second-case"},
				{[]string{"analyze", "findings", "--fail-on", "crit"}, "critical"},
				{[]string{"analyze", "evid"}, "evidence.tar.zst.age"},
			} {
				words := slices.Clone(test.words)
				if i := slices.Index(words, "CASES"); i >= 0 {
					words[i] = filepath.Join(state, "openclaw-ir")
				}
				cmd := exec.Command(shell.name, "-c", shell.script(words...))
				cmd.Dir = t.TempDir()
				if err := os.WriteFile(filepath.Join(cmd.Dir, "evidence.tar.zst.age"), nil, 0o600); err != nil {
					t.Fatal(err)
				}
				cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "HOME="+cmd.Dir, "TERM=dumb")
				out, err := cmd.CombinedOutput()
				if err != nil || !slices.Contains(strings.Fields(string(out)), test.want) {
					t.Errorf("%q: %v, %q is not among:\n%s", test.words, err, test.want, out)
				}
			}
		})
	}
}

// bashScript calls the function as readline would. Files are readline's own to complete: it is looked whether it is told so.
func bashScript(words ...string) string {
	return `source <(openclaw-ir completion bash)
compopt() { [ "$*" != '-o default' ] || printf '%s\n' *; }
complete -p openclaw-ir | grep -q -- '-o default' || exit
COMP_WORDS=(openclaw-ir ` + strings.Join(words, " ") + `)
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_openclaw_ir
printf '%s\n' "${COMPREPLY[@]}"`
}

// zshScript calls the function as zsh's completion would, and prints what the function hands to it.
func zshScript(words ...string) string {
	return `compdef() { :; }
_describe() { local -a list=("${(@P)4}"); print -l -- "${(@)list%%:*}"; }
_files() { print -l -- *; }
source <(openclaw-ir completion zsh)
words=(openclaw-ir ` + strings.Join(words, " ") + `)
CURRENT=$#words
_openclaw-ir`
}

// fishScript has fish itself complete the line.
func fishScript(words ...string) string {
	return `openclaw-ir completion fish | source; complete -C 'openclaw-ir ` + strings.Join(words, " ") + `'`
}
