package shell

import (
	"slices"
	"strings"
)

// flags says which options of a program take the next word.
type flags struct {
	short string   // letters
	long  []string // names without dashes
}

// A prefix is a program that runs the command in its operands.
type prefix struct {
	flags
	assigns bool // NAME=value may stand before the command
	skip    int  // operands before the command
	words   []string
}

// prefixes are the programs that only change how the rest of their words runs.
var prefixes = map[string]prefix{
	"sudo":     {flags: flags{"ugprChDRtTU", []string{"user", "group", "prompt", "chdir", "host", "role", "type"}}, assigns: true},
	"doas":     {flags: flags{short: "uC"}},
	"pkexec":   {flags: flags{long: []string{"user"}}},
	"env":      {flags: flags{"uCS", []string{"unset", "chdir", "split-string"}}, assigns: true},
	"nohup":    {},
	"setsid":   {},
	"nice":     {flags: flags{"n", []string{"adjustment"}}},
	"ionice":   {flags: flags{short: "cnp"}},
	"chrt":     {skip: 1},
	"taskset":  {skip: 1},
	"timeout":  {flags: flags{"sk", []string{"signal", "kill-after"}}, skip: 1},
	"gtimeout": {flags: flags{"sk", []string{"signal", "kill-after"}}, skip: 1},
	"time":     {flags: flags{short: "fo"}},
	"stdbuf":   {flags: flags{"ioe", []string{"input", "output", "error"}}},
	"command":  {}, "builtin": {}, "unbuffer": {}, "fakeroot": {}, "torsocks": {}, "torify": {}, "xvfb-run": {},
	"exec":        {flags: flags{short: "a"}},
	"caffeinate":  {flags: flags{short: "tw"}},
	"proxychains": {flags: flags{short: "f"}}, "proxychains4": {flags: flags{short: "f"}},
	"strace": {flags: flags{short: "eopsuEPI"}}, "ltrace": {flags: flags{short: "eopsu"}},
	"unshare": {flags: flags{short: "RSGw"}},
	"nsenter": {flags: flags{"tSGr", []string{"target"}}},
	"chroot":  {flags: flags{long: []string{"userspec", "groups"}}, skip: 1},
	"gosu":    {skip: 1}, "su-exec": {skip: 1}, "setpriv": {}, "firejail": {}, "dbus-run-session": {},
	"systemd-run": {flags: flags{"pugHME", []string{"unit", "property", "on-calendar", "on-active", "on-boot", "on-unit-active", "uid", "gid", "setenv", "slice", "description", "working-directory"}}},
	"busybox":     {}, "toybox": {},
	"sshpass": {flags: flags{short: "pfdP"}},
	"uv":      {words: []string{"run"}}, "poetry": {words: []string{"run"}}, "pipenv": {words: []string{"run"}},
	"bundle": {words: []string{"exec"}}, "conda": {flags: flags{short: "np"}, words: []string{"run"}},
}

// skipOptions returns the index of the first word that is no option, nor the word an option takes.
func skipOptions(args []arg, f flags) int {
	for i := 0; i < len(args); i++ {
		text := args[i].text
		switch {
		case text == "--":
			return i + 1
		case len(text) < 2 || text[0] != '-':
			return i
		case takesNext(text, f):
			i++
		}
	}
	return len(args)
}

// takesNext reports whether an option takes the next word.
func takesNext(option string, f flags) bool {
	if strings.HasPrefix(option, "--") {
		return slices.Contains(f.long, option[2:])
	}
	i := strings.IndexAny(option[1:], f.short)
	return f.short != "" && i >= 0 && i+2 == len(option)
}

// option returns the value of an option: of -x value, -xvalue, --name value, --name=value.
func option(args []arg, short byte, long string) (arg, bool) {
	for i, a := range args {
		switch {
		case long != "" && strings.HasPrefix(a.text, "--"+long+"="):
			a.value = a.part(len(long)+3, len(a.text))
			return a, true
		case a.text == "--"+long, len(a.text) > 1 && a.text[0] == '-' && a.text[1] != '-' && a.text[len(a.text)-1] == short:
			if i+1 < len(args) {
				return args[i+1], true
			}
		case short != 0 && len(a.text) > 2 && a.text[0] == '-' && a.text[1] == short:
			a.value = a.part(2, len(a.text))
			return a, true
		}
	}
	return arg{}, false
}

// runPrefixed follows the command that a prefix runs.
func runPrefixed(s *script, c invocation) value {
	p := prefixes[c.name]
	if c.name == "command" && len(c.args) > 1 && (c.args[1].text == "-v" || c.args[1].text == "-V") {
		return s.lookUp(c)
	}
	args := c.operands()
	i := skipOptions(args, p.flags)
	for ; p.assigns && i < len(args) && isAssignment(args[i].text); i++ {
		use(args[i].value)
	}
	if len(p.words) > 0 {
		if i >= len(args) || !slices.Contains(p.words, args[i].text) {
			s.external(c)
			return value{}
		}
		i++
		i += skipOptions(args[i:], p.flags)
	}
	i = min(i+p.skip, len(args))
	s.useAll(args[:i])
	if line, ok := option(args[:i], 'S', "split-string"); ok && c.name == "env" {
		return s.nested(line.value, "env", c.in, nil)
	}
	return s.exec(c.inner(args[i:], c.name))
}

func (s *script) useAll(args []arg) {
	for _, a := range args {
		use(a.value)
	}
}

func isAssignment(text string) bool {
	name, _, ok := strings.Cut(text, "=")
	return ok && isName(name)
}

// lookUp marks the words of a command that only asks about others, as which and man do.
func (s *script) lookUp(c invocation) value {
	for i := range c.operands() {
		s.inert(&c.args[i+1])
	}
	return value{}
}

// runFind follows what find runs on each file.
func runFind(s *script, c invocation) value {
	args := c.operands()
	for i := 0; i < len(args); i++ {
		switch args[i].text {
		case "-exec", "-execdir", "-ok", "-okdir":
			end := i + 1
			for end < len(args) && args[end].text != ";" && args[end].text != "+" {
				end++
			}
			s.exec(c.inner(args[i+1:end], "find "+args[i].text))
			s.foundRead(args, args[min(i+1, end):end])
			i = end
		case "-delete":
			for _, dir := range args[:skipPaths(args)] {
				s.write(dir.text, write{Write: Write{Delete: true}})
			}
		default:
			use(args[i].value)
		}
	}
	return value{}
}

// foundRead notes the directories whose files a program that find starts reads.
func (s *script) foundRead(args, command []arg) {
	if len(command) == 0 || !slices.Contains([]string{"cat", "head", "tail", "cp", "base64", "grep", "tar", "curl", "strings", "xxd"}, baseName(command[0].text)) {
		return
	}
	for _, dir := range args[:skipPaths(args)] {
		s.read(dir.text)
	}
}

// skipPaths returns how many of find's words are the directories it starts in.
func skipPaths(args []arg) int {
	return max(0, slices.IndexFunc(args, func(a arg) bool { return strings.HasPrefix(a.text, "-") || a.text == "(" || a.text == "!" }))
}

// maxItems is how many words xargs appends.
const maxItems = 16

// runXargs follows the command that xargs runs, with the words that it reads if they are known.
func runXargs(s *script, c invocation) value {
	args := c.operands()
	i := skipOptions(args, flags{"InPdELsa", []string{"replace", "max-args", "max-procs", "delimiter", "max-lines", "arg-file"}})
	s.useAll(args[:i])
	inner := slices.Clone(args[i:])
	items := itemsOf(c.in)
	mark, replaces := option(args[:i], 'I', "replace")
	if !replaces || len(items) == 0 {
		return s.exec(c.inner(append(inner, items...), c.name))
	}
	for k := range inner {
		inner[k] = substituted(inner[k], mark.text, items[0])
	}
	return s.exec(c.inner(inner, c.name))
}

// itemsOf returns the words of a stream.
func itemsOf(in value) []arg {
	var items []arg
	for _, f := range split(in) {
		if f.text != "" && len(items) < maxItems {
			items = append(items, arg{value: f})
		}
	}
	return items
}

func substituted(a arg, mark string, item arg) arg {
	if mark == "" || !strings.Contains(a.text, mark) {
		return a
	}
	text := strings.ReplaceAll(a.text, mark, item.text)
	if len(text) > maxValue {
		return a
	}
	a.value = value{text: text, data: append(slices.Clone(a.data), item.data...), exact: a.exact, decoded: item.decoded}
	a.word = nil
	return a
}

// runParallel follows GNU parallel's command with the first of its arguments.
func runParallel(s *script, c invocation) value {
	args := c.operands()
	i := skipOptions(args, flags{"jaINSn", []string{"jobs", "arg-file", "delay", "timeout", "retries", "joblog", "colsep"}})
	s.useAll(args[:i])
	inner, items := args[i:], itemsOf(c.in)
	if k := slices.IndexFunc(inner, func(a arg) bool { return strings.HasPrefix(a.text, ":::") }); k >= 0 {
		inner, items = inner[:k], inner[k+1:]
	}
	if len(inner) == 0 {
		for _, item := range items {
			s.nested(item.value, c.name, value{}, nil)
		}
		return value{}
	}
	line := joined(inner, " ")
	if len(items) > 0 {
		line = joined(append(slices.Clone(inner), items[0]), " ")
	}
	return s.nested(line, c.name, c.in, nil)
}

// runJoined follows programs that hand their operands to a shell as one line: watch.
func runJoined(s *script, c invocation) value {
	args := c.operands()
	i := skipOptions(args, flags{"nq", []string{"interval"}})
	s.useAll(args[:i])
	return s.nested(joined(args[i:], " "), c.name, c.in, nil)
}

// joined returns words as one text, as eval and ssh read theirs.
func joined(args []arg, between string) value {
	var b builder
	for i, a := range args {
		if i > 0 {
			b.write(between)
		}
		b.add(a.value)
	}
	return b.value()
}

// sshFlags are the options of ssh that take a word.
var sshFlags = flags{short: "bcDEeFIiJLlmOopQRSWw"}

// runSSH follows the command that ssh runs on another host.
func runSSH(s *script, c invocation) value {
	args := c.operands()
	i := skipOptions(args, sshFlags)
	s.useAll(args[:min(i+1, len(args))])
	s.reach(c)
	if i >= len(args) {
		return value{}
	}
	parent := c.name + " " + args[i].text
	rest := args[i+1:]
	rest = rest[skipOptions(rest, sshFlags):]
	if len(rest) == 0 {
		return s.nested(c.in, parent, value{}, nil)
	}
	return s.nested(joined(rest, " "), parent, c.in, nil)
}

// runSu follows the command line that su and script take with -c.
func runSu(s *script, c invocation) value {
	args := c.operands()
	if line, ok := option(args, 'c', "command"); ok {
		return s.nested(line.value, c.name+" -c", c.in, nil)
	}
	s.useAll(args)
	if c.name == "runuser" {
		if i := skipOptions(args, flags{"ugG", []string{"user", "group"}}); i < len(args) {
			return s.exec(c.inner(args[i:], c.name))
		}
	}
	return s.nested(c.in, c.name, value{}, nil)
}

// runFlock follows flock FILE COMMAND and flock FILE -c LINE.
func runFlock(s *script, c invocation) value {
	args := c.operands()
	if line, ok := option(args, 'c', "command"); ok {
		return s.nested(line.value, c.name+" -c", c.in, nil)
	}
	i := min(len(args), skipOptions(args, flags{"wE", []string{"timeout", "wait", "conflict-exit-code"}})+1)
	s.useAll(args[:i])
	return s.exec(c.inner(args[i:], c.name))
}

// runScreen follows the command that screen starts.
func runScreen(s *script, c invocation) value {
	args := c.operands()
	i := skipOptions(args, flags{short: "SXpcsteTh"})
	s.useAll(args[:i])
	return s.exec(c.inner(args[i:], c.name))
}

// runTmux follows the command line of a new window, or what is typed into one.
func runTmux(s *script, c invocation) value {
	args := c.operands()
	i := skipOptions(args, flags{short: "LSf"})
	if i < len(args) && slices.Contains([]string{"new", "new-session", "neww", "new-window", "splitw", "split-window", "send", "send-keys", "respawn-pane"}, args[i].text) {
		i++
		i += skipOptions(args[i:], flags{short: "sntcxyFelp"})
	} else {
		i = len(args)
	}
	s.useAll(args[:i])
	keys := slices.DeleteFunc(slices.Clone(args[i:]), func(a arg) bool { return a.text == "Enter" || a.text == "C-m" })
	return s.nested(joined(keys, " "), c.name, value{}, nil)
}

// runCmd follows what the shell of Windows runs with /c.
func runCmd(s *script, c invocation) value {
	for i, a := range c.args {
		if strings.EqualFold(a.text, "/c") || strings.EqualFold(a.text, "/k") {
			s.useAll(c.args[:i])
			return s.exec(c.inner(c.args[i+1:], "cmd /c"))
		}
	}
	s.external(c)
	return value{}
}

// containerFlags are the options of docker run and exec and of kubectl exec that take a word.
var containerFlags = flags{"vepuwhlmcnHf", []string{
	"volume", "env", "publish", "user", "workdir", "hostname", "label", "memory", "name", "network", "net", "mount", "entrypoint",
	"env-file", "pid", "cap-add", "cap-drop", "security-opt", "namespace", "container", "host", "context", "platform", "restart",
	"add-host", "device", "gpus", "cpus", "shm-size", "ulimit", "userns", "ipc", "runtime", "log-driver", "filename", "kubeconfig",
}}

// runContainer follows the command that docker or kubectl runs in a container.
func runContainer(s *script, c invocation) value {
	args := c.operands()
	i := skipOptions(args, containerFlags)
	if i < len(args) && (args[i].text == "container" || args[i].text == "compose") {
		i++
		i += skipOptions(args[i:], containerFlags)
	}
	if i >= len(args) || args[i].text != "exec" && args[i].text != "run" && args[i].text != "create" {
		s.external(c)
		return value{}
	}
	verb := args[i].text
	i++
	i = min(len(args), i+skipOptions(args[i:], containerFlags)+1)
	for i < len(args) && strings.HasPrefix(args[i].text, "-") {
		i++
		if args[i-1].text == "--" {
			break
		}
	}
	s.useAll(args[:i])
	return s.exec(c.inner(args[i:], c.name+" "+verb))
}
