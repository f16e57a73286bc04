package posture

import (
	"io"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// A credential is a secret of the config. Its value is compared and measured, never shown.
type credential struct {
	value string
	ref   bool   // it is a reference to a place that is not part of the evidence
	where string // config key or variable it comes from
}

// has reports that there is one, whatever its value.
func (c credential) has() bool { return c.value != "" || c.ref }

// An auth is how the gateway asks who is there (resolveGatewayAuthForConfig of 2026.9.6).
type auth struct {
	mode            string // none, token, password, trusted-proxy
	token, password credential
	tailscale       bool // requests of the tailnet count as authenticated
}

// secretInput reads a secret of the config: a text, a ${VARIABLE} or a reference.
func (s *state) secretInput(names ...string) credential {
	where := dotted(names...)
	switch v := at(s.root, names...).(type) {
	case string:
		v = strings.TrimSpace(v)
		name, isVariable := strings.CutPrefix(v, "${")
		if !isVariable || !strings.HasSuffix(name, "}") {
			return credential{value: v, where: where}
		}
		return s.variable(strings.TrimSuffix(name, "}"), where)
	case map[string]any:
		if text(v, "source") == "env" {
			return s.variable(text(v, "id"), where)
		}
		return credential{ref: len(v) > 0, where: where}
	}
	return credential{}
}

func (s *state) variable(name, where string) credential {
	if v := s.env()[name]; v != "" {
		return credential{value: v, where: where}
	}
	return credential{ref: true, where: where}
}

// first returns the first credential that there is.
func first(all ...credential) credential {
	for _, c := range all {
		if c.has() {
			return c
		}
	}
	return credential{}
}

func (s *state) auth() auth {
	env := func(name string) credential { return credential{value: s.env()[name], where: name} }
	a := auth{
		mode:     text(s.root, "gateway", "auth", "mode"),
		token:    first(s.secretInput("gateway", "auth", "token"), env("OPENCLAW_GATEWAY_TOKEN"), s.secretInput("gateway", "remote", "token")),
		password: first(s.secretInput("gateway", "auth", "password"), env("OPENCLAW_GATEWAY_PASSWORD")),
	}
	if a.mode == "" {
		a.mode = "token"
		if a.password.has() && !a.token.has() {
			a.mode = "password"
		}
	}
	serve := s.tailscale() == "serve" && a.mode != "password" && a.mode != "trusted-proxy"
	a.tailscale = serve && !isFalse(s.root, "gateway", "auth", "allowTailscale")
	return a
}

// shared reports that a secret, or a proxy, stands before the gateway.
func (a auth) shared() bool {
	switch a.mode {
	case "token":
		return a.token.has()
	case "password":
		return a.password.has()
	}
	return a.mode == "trusted-proxy"
}

// active is the secret that lets callers in, the zero credential where there is none.
func (a auth) active() credential {
	switch a.mode {
	case "token":
		return a.token
	case "password", "trusted-proxy":
		return a.password
	}
	return credential{}
}

// bind is gateway.bind; the default is loopback.
func (s *state) bind() string {
	if bind, _ := at(s.root, "gateway", "bind").(string); bind != "" {
		return bind
	}
	return "loopback"
}

// tailscale is off, serve or funnel.
func (s *state) tailscale() string {
	if mode := text(s.root, "gateway", "tailscale", "mode"); mode != "" {
		return mode
	}
	return "off"
}

// exposed reports that more than this machine can reach the gateway.
func (s *state) exposed() bool {
	return s.bind() != "loopback" || s.tailscale() == "serve" || s.tailscale() == "funnel"
}

// assignment finds the gateway's secrets in a unit file or an environment file.
var assignment = regexp.MustCompile(`(?m)^\s*(?:export\s+|Environment=)?["']?([A-Z][A-Z0-9_]*)=["']?([^"'\s]+)`)

// env returns the variables the gateway is started with as far as files say: <state>/.env, the environment files of
// its service, and its unit (FACTS 1). A variable set by hand in a shell is not among them.
func (s *state) env() map[string]string {
	if s.variables != nil {
		return s.variables
	}
	s.variables = map[string]string{}
	files := []string{path.Join(s.in.StateDir, ".env"), path.Join(s.in.StateDir, "gateway.systemd.env"), path.Join(s.in.Home, ".config/openclaw/gateway.env")}
	for _, u := range s.in.Units {
		files = append(files, u.Path)
	}
	for _, file := range files {
		for _, m := range assignment.FindAllStringSubmatch(s.small(file), -1) {
			if _, set := s.variables[m[1]]; !set {
				s.variables[m[1]] = m[2]
			}
		}
	}
	return s.variables
}

// maxFile bounds a file that is read whole, in bytes.
const maxFile = 4 << 20

// small reads a file of the evidence. One that is absent is empty; one that cannot be read is a gap too.
func (s *state) small(hostPath string) string {
	f, err := s.o.FS.Open(openclaw.FSName(hostPath))
	if err != nil {
		s.fail(hostPath, err)
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		s.fail(hostPath, err)
	}
	if len(data) > maxFile {
		s.gap(hostPath, "longer than 4 MiB; not read for the checks")
		return ""
	}
	return string(data)
}

// fail notes what could not be read. What is not there is no gap.
func (s *state) fail(hostPath string, err error) {
	if !openclaw.IsAbsent(err) {
		s.gap(hostPath, openclaw.Cause(err))
	}
}

func (s *state) gap(hostPath, what string) {
	if len(s.gaps) < maxListed {
		s.gaps = append(s.gaps, openclaw.Gap{Path: hostPath, What: what})
	}
}

// lstat describes a file, or the link itself.
func (s *state) lstat(hostPath string) (fs.FileInfo, bool) {
	info, err := fs.Lstat(s.o.FS, openclaw.FSName(hostPath))
	if err != nil {
		s.fail(hostPath, err)
		return nil, false
	}
	return info, true
}
