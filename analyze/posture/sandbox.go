package posture

import (
	"fmt"
	"path"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/severity"
)

const whyEscape = "The sandbox keeps a tricked agent from this machine; this opens a way out of it."

var sandboxChecks = []check{
	{
		id: "sandbox.docker_config_mode_off", level: severity.Medium, title: "The sandbox is configured but switched off", why: "The container settings look like protection and do nothing.",
		fix: `Set agents.defaults.sandbox.mode to "all".`, run: (*state).dockerOff,
	},
	{
		id: "sandbox.bind_mount_non_absolute", level: severity.Medium, title: "A directory given to the sandbox has no absolute path", why: "Where it leads depends on where the program is started.",
		fix: "Write the absolute path.", run: (*state).relativeBinds,
	},
	{
		id: "sandbox.dangerous_bind_mount", level: severity.Critical, title: "The sandbox is given a part of the system", why: whyEscape + " The Docker socket alone gives command of the whole machine.",
		fix: "Take it out of the list.", run: (*state).dangerousBinds,
	},
	{
		id: "sandbox.dangerous_network_mode", level: severity.Critical, title: "The sandbox shares the machine's network", why: whyEscape,
		fix: `Use "none" or "bridge".`, run: (*state).dockerNetwork,
	},
	{
		id: "sandbox.dangerous_seccomp_profile", level: severity.Critical, title: "The sandbox may make every system call", why: whyEscape,
		fix: "Remove seccompProfile.", run: unconfined("seccompProfile"),
	},
	{
		id: "sandbox.dangerous_apparmor_profile", level: severity.Critical, title: "The sandbox runs without AppArmor", why: whyEscape,
		fix: "Remove apparmorProfile.", run: unconfined("apparmorProfile"),
	},
	{
		id: "sandbox.browser_cdp_bridge_unrestricted", level: severity.Medium, title: "Every container can steer the sandbox's browser", why: "Any container on Docker's bridge reaches its control port.",
		fix: "Set sandbox.browser.cdpSourceRange, or a network of its own.", run: (*state).cdpBridge,
	},
	{id: "sandbox.browser_container.hash_label_missing", needs: needsLive, level: severity.Medium, title: "A browser container is of an old build", why: "It may lack protections that newer ones have.", fix: "openclaw sandbox recreate --browser --all", run: (*state).deepBrowserLabel},
	{id: "sandbox.browser_container.hash_epoch_stale", needs: needsLive, level: severity.Medium, title: "A browser container is of an old build", why: "It may lack protections that newer ones have.", fix: "openclaw sandbox recreate --browser --all", run: (*state).deepBrowserEpoch},
	{id: "sandbox.browser_container.non_loopback_publish", needs: needsLive, level: severity.Critical, title: "A browser container is reachable from the network", why: "Whoever reaches it steers the browser.", fix: "openclaw sandbox recreate --browser --all", run: (*state).deepBrowserPublish},
	{id: "sandbox.browser_container.docker_probe_timeout", needs: needsLive, level: severity.Medium, title: "Docker did not answer", why: "Its containers could not be looked at.", fix: "Look at the Docker service.", run: (*state).deepDocker},
}

// A dockerSection is a sandbox.docker section with its key.
type dockerSection struct {
	key  string
	conf map[string]any
	mode string
}

func (s *state) dockerSections() (all []dockerSection) {
	for _, c := range s.scopes() {
		section := object(c.conf, "sandbox", "docker")
		if c.id == "" {
			section = object(s.root, "agents", "defaults", "sandbox", "docker")
		}
		if section != nil {
			all = append(all, dockerSection{c.key + ".sandbox.docker", section, c.sandboxMode()})
		}
	}
	return all
}

func (s *state) dockerOff(o *outcome) {
	anyOn := false
	for _, c := range s.agents() {
		anyOn = anyOn || c.sandboxMode() != "off"
	}
	var off []string
	for _, d := range s.dockerSections() {
		isDefaults := strings.HasPrefix(d.key, "agents.defaults.")
		if len(d.conf) > 0 && d.mode == "off" && !(isDefaults && anyOn) {
			off = append(off, d.key)
		}
	}
	if len(off) > 0 {
		f := o.add("agents.defaults.sandbox.mode", "the mode is off and set is: "+named(off))
		f.Commands = []string{configSet("agents.defaults.sandbox.mode", `"all"`)}
	}
}

// eachBind calls fn for every directory of the host that a container is given.
func (s *state) eachBind(fn func(key, bind, source string)) {
	for _, d := range s.dockerSections() {
		for _, b := range texts(d.conf, "binds") {
			source, _, _ := strings.Cut(b, ":")
			fn(d.key+".binds", b, source)
		}
	}
}

func (s *state) relativeBinds(o *outcome) {
	s.eachBind(func(key, bind, source string) {
		if !path.IsAbs(source) && len(o.findings) < maxLines {
			o.add(key, fmt.Sprintf("%q is not absolute", short(bind)))
		}
	})
}

// blockedPaths are what OpenClaw refuses to give a container, and blockedInHome what of a home (2026.9.6).
var (
	blockedPaths  = []string{"/etc", "/private/etc", "/proc", "/sys", "/dev", "/root", "/boot", "/run", "/var/run", "/private/var/run"}
	blockedInHome = []string{".aws", ".cargo", ".config", ".docker", ".gnupg", ".netrc", ".npm", ".ssh"}
)

// blocked tells which protected path a directory of the host is in, or holds.
func (s *state) blocked(source string) (what string, bad bool) {
	all := blockedPaths
	if home := s.in.Home; path.IsAbs(home) && home != "/" {
		for _, name := range blockedInHome {
			all = append(all[:len(all):len(all)], path.Join(home, name))
		}
	}
	source = path.Clean(source)
	for _, b := range all {
		if openclaw.Within(source, b) {
			return "is in " + b, true
		}
		if openclaw.Within(b, source) {
			return "holds " + b, true
		}
	}
	return "", false
}

func (s *state) dangerousBinds(o *outcome) {
	s.eachBind(func(key, bind, source string) {
		if what, bad := s.blocked(source); bad && path.IsAbs(source) && len(o.findings) < maxLines {
			f := o.add(key, fmt.Sprintf("%q %s", short(bind), what))
			names := strings.Split(key, ".")
			if strings.HasPrefix(key, "agents.defaults.") {
				f.set(names, listWithout(s.root, names, func(t string) bool { return t == bind }))
			}
		}
	})
}

func (s *state) dockerNetwork(o *outcome) {
	for _, d := range s.dockerSections() {
		if n := strings.ToLower(text(d.conf, "network")); n == "host" || strings.HasPrefix(n, "container:") {
			o.add(d.key+".network", fmt.Sprintf("the network is %q", short(n)))
		}
	}
}

func unconfined(name string) func(*state, *outcome) {
	return func(s *state, o *outcome) {
		for _, d := range s.dockerSections() {
			if strings.EqualFold(text(d.conf, name), "unconfined") {
				o.add(d.key+"."+name, name+" is unconfined")
			}
		}
	}
}

func (s *state) cdpBridge(o *outcome) {
	for _, c := range s.scopes() {
		if c.sandboxMode() == "off" || c.setting("sandbox", "browser", "enabled") != true || c.setting("sandbox", "browser", "cdpSourceRange") != nil {
			continue
		}
		if network, _ := c.setting("sandbox", "browser", "network").(string); strings.EqualFold(network, "bridge") {
			o.add(c.key+".sandbox.browser.network", `the browser's network is "bridge" and no range of callers is set`)
		}
	}
}
