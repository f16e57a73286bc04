package shell

import (
	"path"
	"slices"
	"strings"
)

// A fetched is a text from elsewhere that a shell or an interpreter runs, however it came there: through groups, variables,
// here-strings or other descriptors than a pipe's.
type fetched struct {
	by      process // what printed it
	program string  // what runs it
}

// maxFetched is how many such texts are kept; a command of more is one of a loop.
const maxFetched = 16

// fetches returns what a program prints that it gets from elsewhere; of any other that it is not known.
func fetches(c invocation) value {
	switch c.name {
	case "curl", "wget", "http", "https", "fetch", "lwp-request", "GET", "aria2c", "nc", "ncat", "netcat", "dig", "nslookup":
		return value{data: []*datum{{fetch: &process{name: c.name, args: c.args, redirs: c.redirs, parent: c.parent}}}}
	}
	return value{}
}

// runs notes that a program runs a text as code, in case the text was fetched.
func (s *script) runs(v value, program string) {
	program = baseName(program)
	if actionOf(program) == nil || program == "eval" || program == "source" || program == "." {
		program = "sh"
	}
	for _, d := range v.data {
		s.runsDatum(d, program)
	}
}

func (s *script) runsDatum(d *datum, program string) {
	if d.fetch != nil && len(s.ran) < maxFetched {
		s.ran = append(s.ran, fetched{*d.fetch, program})
	}
	for _, inner := range d.of {
		if len(s.ran) < maxFetched {
			s.runsDatum(inner, program)
		}
	}
}

// pipelines adds, for what was fetched and run, the pipeline that does the same, unless it was written like that.
func (f *follow) pipelines() {
	for _, r := range f.ran {
		text := r.by.finished().Text + " | " + r.program
		if !slices.ContainsFunc(f.cmd.Layers, func(l Layer) bool { return strings.Contains(l.Text, text) }) {
			f.layer(LayerWords, text)
		}
	}
}

// globbed are the programs that a pattern in the place of a program is tried on, what is worth disguising first.
var globbed = []string{
	"curl", "wget", "bash", "sh", "python3", "python", "perl", "ruby", "php", "node", "nc", "ncat", "netcat", "socat", "ssh", "scp", "sftp", "base64", "xxd",
	"openssl", "cat", "rm", "dd", "chmod", "chown", "crontab", "systemctl", "useradd", "usermod", "passwd", "sudo", "su", "find", "tar", "cp", "mv", "tee", "env",
	"nohup", "setsid", "whoami", "id", "uname", "ps", "kill", "pkill", "iptables", "nft", "ufw", "docker", "git", "npm", "npx", "pip", "pip3", "apt", "apt-get",
}

// globbedName replaces a pattern that the shell would match with a program of the system, as in /bin/c?rl, by the first that it
// matches: which one the machine has is not known, and a program's name is no place for a pattern.
func globbedName(a arg) arg {
	if a.quoted || !strings.ContainsAny(a.text, "?*[") || !strings.HasPrefix(a.text, "/") {
		return a
	}
	for _, dir := range []string{"/usr/bin/", "/bin/", "/usr/local/bin/", "/usr/sbin/", "/sbin/"} {
		for _, name := range globbed {
			if ok, err := path.Match(a.text, dir+name); err == nil && ok {
				a.value = a.computed(dir + name)
				return a
			}
		}
	}
	return a
}
