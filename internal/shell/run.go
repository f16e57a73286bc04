package shell

import (
	"encoding/base64"
	"slices"
	"strings"
)

// An action follows a program whose effect on its words and its input is known.
type action func(*script, invocation) value

// actionOf returns what follows a program, or nil for one of which no more is known than its words.
func actionOf(name string) action {
	if _, ok := prefixes[name]; ok {
		return runPrefixed
	}
	switch name {
	case "sh", "bash", "dash", "zsh", "ksh", "ash", "fish", "csh", "tcsh", "mksh", "rbash":
		return runShell
	case "eval":
		return runEval
	case "source", ".":
		return runSource
	case "find", "fd":
		return runFind
	case "xargs":
		return runXargs
	case "parallel":
		return runParallel
	case "watch":
		return runJoined
	case "ssh", "autossh":
		return runSSH
	case "su", "script", "runuser", "sg":
		return runSu
	case "flock":
		return runFlock
	case "docker", "podman", "nerdctl", "kubectl", "oc":
		return runContainer
	case "screen":
		return runScreen
	case "tmux":
		return runTmux
	case "cmd":
		return runCmd
	case "trap":
		return runTrap
	case "crontab":
		return runCrontab
	case "at", "batch":
		return runAt
	case "powershell", "pwsh":
		return runPowerShell
	}
	return streamOf(name)
}

// nested follows a text that is run as a shell script, started by parent, with the given input and parameters.
func (s *script) nested(line value, parent string, in value, params []value) value {
	use(line)
	if strings.TrimSpace(line.text) == "" {
		return value{}
	}
	if !line.wholly() {
		line = s.newSpace(line)
	}
	inner := &script{follow: s.follow, src: line, parent: parent, depth: s.depth + 1, params: params}
	if !s.enter(inner) {
		return value{}
	}
	file, err := s.parser.parse(line.text)
	if err != nil {
		inner.out.add(line)
		s.cmd.Broken = true
		s.crude(line.text, parent)
		return value{}
	}
	return inner.feed(file, in)
}

// newSpace makes a value that was computed, such as a decoded one, a text of its own.
func (f *follow) newSpace(v value) value {
	sp := &space{text: v.text}
	if v.decoded {
		f.spaces = append(f.spaces, sp)
	}
	f.all = append(f.all, sp)
	f.spend(len(v.text))
	v.segs = []seg{{0, len(v.text), sp, 0, len(v.text)}}
	return v
}

// runShell follows bash -c LINE, bash FILE and bash reading its input.
func runShell(s *script, c invocation) value {
	args := c.operands()
	for i := 0; i < len(args); i++ {
		text := args[i].text
		switch {
		case text == "-" || text == "--" || text == "-s":
			if text != "-s" && i+1 < len(args) {
				continue
			}
			s.runs(c.in, c.name)
			return s.nested(c.in, c.name, value{}, values(args[i+1:]))
		case strings.HasPrefix(text, "--"):
			if text == "--rcfile" || text == "--init-file" {
				i++
				s.runFile(at(args, i).text, c)
			}
		case strings.HasPrefix(text, "-") || strings.HasPrefix(text, "+"):
			if strings.HasSuffix(text, "c") && text[0] == '-' && i+1 < len(args) {
				s.runs(args[i+1].value, c.name)
				return s.nested(args[i+1].value, c.name+" -c", c.in, values(args[min(i+3, len(args)):]))
			}
			if strings.HasSuffix(text, "o") || strings.HasSuffix(text, "O") {
				i++
			}
		default:
			s.useAll(args)
			return s.runScript(args[i].text, c.name, c.in, values(args[i+1:]))
		}
	}
	s.runs(c.in, c.name)
	return s.nested(c.in, c.name, value{}, nil)
}

func at(args []arg, i int) arg {
	if i < len(args) {
		return args[i]
	}
	return arg{}
}

func values(args []arg) []value {
	var v []value
	for _, a := range args {
		v = append(v, a.value)
	}
	return v
}

// runScript follows a file that a shell runs, if the command itself wrote it.
func (s *script) runScript(path, parent string, in value, params []value) value {
	s.execute(path)
	text := s.content(path)
	if isDevice(path) { // what was saved to a file is another thing, and other rules'
		s.runs(text, parent)
	}
	return s.nested(text, parent+" "+path, in, params)
}

// runFile follows a file that is run by its path.
func (s *script) runFile(path string, c invocation) {
	if isSystemPath(path) {
		return
	}
	s.execute(path)
	text := s.content(path)
	if line, _, _ := strings.Cut(text.text, "\n"); strings.HasPrefix(line, "#!") && !strings.Contains(line, "sh") {
		use(text)
		return
	}
	s.nested(text, path, c.in, values(c.operands()))
}

// execute notes a path that is run.
func (s *script) execute(path string) {
	if path != "" && !strings.HasPrefix(path, "<(") {
		s.cmd.Executes = once(s.cmd.Executes, path)
	}
}

// isSystemPath reports whether a program is where the system keeps its own.
func isSystemPath(path string) bool {
	for _, dir := range []string{"/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/", "/usr/local/bin/", "/opt/homebrew/bin/"} {
		if strings.HasPrefix(path, dir) {
			return true
		}
	}
	return false
}

func runEval(s *script, c invocation) value {
	line := joined(c.operands(), " ")
	s.runs(line, c.name)
	return s.nested(line, c.name, c.in, nil)
}

func runSource(s *script, c invocation) value {
	s.useArgs(c)
	path := at(c.args, 1).text
	if path == "/dev/stdin" || path == "-" {
		s.runs(c.in, c.name)
		return s.nested(c.in, c.name, value{}, nil)
	}
	return s.runScript(path, "source", c.in, nil)
}

func runTrap(s *script, c invocation) value {
	if len(c.args) > 2 {
		s.nested(c.args[1].value, c.name, value{}, nil)
	}
	return value{}
}

// runCrontab follows the lines of a table of jobs that crontab reads.
func runCrontab(s *script, c invocation) value {
	s.useArgs(c)
	args := c.operands()
	i := skipOptions(args, flags{short: "u"})
	table := c.in
	if i < len(args) && args[i].text != "-" {
		path := args[i].text
		s.cmd.Reads = once(s.cmd.Reads, path)
		table = s.content(path)
	}
	use(table)
	for start := 0; start < len(table.text); {
		end := start + len(line(table.text[start:]))
		if job := cronJob(table.text[start:end]); job > 0 {
			s.nested(table.part(start+job, end), "cron", value{}, nil)
		}
		start = end + 1
	}
	return value{}
}

func line(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	return text
}

// cronJob returns where the command begins in a line of a crontab, or 0.
func cronJob(line string) int {
	fields := 5
	if strings.HasPrefix(line, "@") {
		fields = 1
	} else if line == "" || strings.IndexByte("*0123456789", line[0]) < 0 {
		return 0
	}
	i := 0
	for ; fields > 0; fields-- {
		n := strings.IndexAny(line[i:], " \t")
		if n < 0 {
			return 0
		}
		i += n
		for i < len(line) && (line[i] == ' ' || line[i] == '\t') {
			i++
		}
	}
	return i
}

func runAt(s *script, c invocation) value {
	s.useArgs(c)
	if file, ok := option(c.operands(), 'f', ""); ok {
		return s.runScript(file.text, c.name, value{}, nil)
	}
	return s.nested(c.in, c.name, value{}, nil)
}

// runPowerShell decodes the argument of -EncodedCommand, which may be shortened to -e.
func runPowerShell(s *script, c invocation) value {
	s.useArgs(c)
	use(c.in)
	args := c.operands()
	for i, a := range args {
		name := strings.ToLower(strings.TrimLeft(a.text, "-/"))
		if i+1 < len(args) && a.text != name && name != "" && (strings.HasPrefix("encodedcommand", name) || name == "ec") {
			s.encodedCommand(args[i+1].text)
		}
	}
	return value{}
}

func (s *script) encodedCommand(text string) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		b, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	}
	if plain, _ := asText(b, "", maxValue); err == nil && plain != "" {
		s.newSpace(value{text: plain, decoded: true})
		s.crude(plain, "powershell -enc")
	}
}

// runsInput reports whether a program runs what it reads, or changes something by its word.
func runsInput(c invocation) bool {
	switch c.name {
	case "openclaw", "clawdbot", "moltbot":
		verb := at(c.args, 1).text
		return verb != "message" && verb != "agent" && verb != "system"
	case "kubectl", "oc":
		return true
	}
	return slices.Contains([]string{
		"psql", "mysql", "mariadb", "sqlite3", "mongo", "mongosh", "redis-cli", "cqlsh", "clickhouse-client",
		"tclsh", "expect", "gdb", "ed", "ex", "sftp", "lftp", "ftp", "terraform", "ansible-playbook",
		"cmd", "wsl", "ssh-agent", "visudo", "chpasswd", "newusers", "passwd",
	}, c.name) || isInterpreter(c.name)
}

// isInterpreter reports whether a program runs code of a language other than the shell's.
func isInterpreter(name string) bool {
	for _, known := range []string{"python", "perl", "ruby", "php", "node", "lua"} {
		if rest, ok := strings.CutPrefix(name, known); ok && strings.Trim(rest, "0123456789.") == "" {
			return true
		}
	}
	switch name {
	case "osascript", "nodejs", "deno", "bun", "tsx", "ts-node", "Rscript", "luajit", "groovy", "jshell", "pypy", "pypy3", "ipython":
		return true
	}
	return false
}
