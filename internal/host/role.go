package host

import (
	"bytes"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/product"
)

// What a process is to OpenClaw.
const (
	RoleGateway    = "gateway"
	RoleNodeHost   = "node-host"
	RoleAgent      = "agent"        // a CLI that runs an agent
	RoleCLI        = "cli"          // any other openclaw command
	RoleApp        = "app"          // the app for macOS, or a program in its bundle
	RoleBroker     = "spawn-broker" // the parent of every exec child
	RoleWorker     = "worker"
	RoleExec       = "exec"       // run by an agent's exec tool, told from its environment
	RoleService    = "service"    // carries the environment of OpenClaw's service
	RoleUnit       = "unit"       // in the cgroup of one of OpenClaw's units
	RoleDescendant = "descendant" // a child of one of the above
)

// publicMarks are the variables whose values hold no secret, without the prefix.
var publicMarks = []string{"STATE_DIR", "CONFIG_PATH", "HOME", "PROFILE", "SHELL", "CLI", "SYSTEMD_UNIT", "GATEWAY_PORT"}

// envMarks picks OpenClaw's variables from /proc/PID/environ.
func envMarks(environ []byte) []EnvMark {
	var marks []EnvMark
	for kv := range bytes.SplitSeq(environ, []byte{0}) {
		name, value, ok := strings.Cut(string(kv), "=")
		prefix, suffix, cut := strings.Cut(name, "_")
		if !ok || !cut || !slices.Contains(product.Names, strings.ToLower(prefix)) || len(marks) == 64 {
			continue
		}
		m := EnvMark{Name: Text(name[:min(len(name), 128)])}
		if slices.Contains(publicMarks, suffix) || strings.HasPrefix(suffix, "SERVICE_") && !soundsSecret(suffix) {
			m.Value = Text(value[:min(len(value), 4096)])
		}
		marks = append(marks, m)
	}
	return marks
}

func soundsSecret(name string) bool {
	return slices.ContainsFunc([]string{"TOKEN", "PASSWORD", "SECRET", "KEY"}, func(s string) bool {
		return strings.Contains(strings.ToUpper(name), s)
	})
}

// assignRoles tells which processes belong to OpenClaw.
func assignRoles(r *Root, list []Process) {
	children := make(map[int][]*Process)
	var queue []*Process
	for i := range list {
		p := &list[i]
		children[p.PPID] = append(children[p.PPID], p)
		if p.Role, p.Why = role(r, p); p.Role != "" {
			queue = append(queue, p)
		}
	}
	for len(queue) > 0 {
		parent := queue[0]
		queue = queue[1:]
		for _, c := range children[parent.PID] {
			if c.Role == "" {
				c.Role, c.Why = RoleDescendant, Text("parent: "+strconv.Itoa(parent.PID))
				queue = append(queue, c)
			}
		}
	}
}

// role reads one process's own signs, the surest first (seen on OpenClaw 2026.9.6).
func role(r *Root, p *Process) (string, Text) {
	if role, why := roleByTitle(p); role != "" {
		return role, why
	}
	if role, why := roleByScript(r, p); role != "" {
		return role, why
	}
	if role, why := roleByEnv(p); role != "" {
		return role, why
	}
	for part := range strings.FieldsFuncSeq(string(p.Cgroup), func(c rune) bool { return c == '/' || c == '\n' }) {
		if ext := path.Ext(part); (ext == ".service" || ext == ".scope") && product.Mentions(part) {
			return RoleUnit, Text("cgroup: " + part)
		}
	}
	return "", ""
}

// roleByTitle knows the names that the CLI gives itself, and the app's place, which is /Applications or that of a home.
func roleByTitle(p *Process) (string, Text) {
	titles := []string{string(p.Comm)}
	if len(p.Argv) > 0 {
		program := strings.ToLower(string(p.Argv[0]))
		if slices.ContainsFunc(product.Names, func(n string) bool { return strings.Contains(program, "/"+n+".app/contents/") }) {
			return RoleApp, "program: " + p.Argv[0]
		}
		titles = append(titles, path.Base(strings.TrimSpace(string(p.Argv[0]))))
	}
	for _, title := range titles {
		name, what, _ := strings.Cut(title, "-")
		if !slices.Contains(product.Names, name) {
			continue
		}
		switch {
		case len(what) >= 6 && strings.HasPrefix("gateway", what): // comm holds 15 bytes: "openclaw-gatewa"
			return RoleGateway, Text("title: " + title)
		case what == "node":
			return RoleNodeHost, Text("title: " + title)
		case what == "agent":
			return RoleAgent, Text("title: " + title)
		case what == "":
			return RoleCLI, Text("title: " + title)
		}
	}
	return "", ""
}

// roleByScript looks for a script of OpenClaw that Node runs. A script's name that other projects use as well needs a
// second sign.
func roleByScript(r *Root, p *Process) (string, Text) {
	for i, a := range p.Argv {
		script := string(a)
		name := path.Base(script)
		entry := name == "index.js" || name == "entry.js"
		entry = entry && path.Base(path.Dir(script)) == "dist"
		why := Text("script: " + script)
		switch {
		case strings.HasSuffix(script, "/dist/process/spawn-broker/worker.js") && (product.Mentions(script) || len(p.Env) > 0):
			return RoleBroker, why
		case strings.HasSuffix(script, "/dist/infra/sqlite-readonly-location.worker.js"):
			return RoleWorker, why
		case i > 0 && isNode(string(p.Argv[0])) && slices.Contains(product.Names, strings.TrimSuffix(name, ".mjs")):
		case entry && (product.Mentions(script) || len(p.Env) > 0 || holdsState(r, p.PID)):
		default:
			continue
		}
		return roleByArgs(p.Argv[i+1:]), why
	}
	return "", ""
}

func isNode(argv0 string) bool {
	return slices.Contains([]string{"node", "nodejs", "bun"}, path.Base(argv0))
}

// roleByArgs tells the gateway from the commands about it, such as "gateway stop".
func roleByArgs(args []Text) string {
	for i, a := range args {
		switch a {
		case "gateway":
			if i+1 == len(args) || args[i+1] == "run" || strings.HasPrefix(string(args[i+1]), "-") {
				return RoleGateway
			}
			return RoleCLI
		case "node":
			return RoleNodeHost
		case "agent":
			return RoleAgent
		}
	}
	return RoleCLI
}

// holdsState says whether a process has OpenClaw's state database or lock open.
func holdsState(r *Root, pid int) bool {
	for f, err := range openFiles(r, pid) {
		target := string(f.Target)
		if err == nil && (strings.HasSuffix(target, "/state/openclaw.sqlite") || strings.HasSuffix(target, "/gateway.state.lock")) {
			return true
		}
	}
	return false
}

// roleByEnv finds what the gateway started, also after it left the process tree. Variables that a user may have set for
// every shell, such as OPENCLAW_STATE_DIR, don't count.
func roleByEnv(p *Process) (string, Text) {
	service := Text("")
	for _, m := range p.Env {
		switch _, suffix, _ := strings.Cut(string(m.Name), "_"); suffix {
		case "SHELL": // set by the exec tool; what it starts has the service's variables as well
			return RoleExec, "environment: " + m.Name + "=" + m.Value
		case "SERVICE_MARKER", "SYSTEMD_UNIT":
			service = "environment: " + m.Name
		}
	}
	if service != "" {
		return RoleService, service
	}
	return "", ""
}
