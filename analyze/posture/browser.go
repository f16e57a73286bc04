package posture

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/severity"
)

var browserChecks = []check{
	{
		id: "browser.control_invalid_config", level: severity.Medium, title: "The browser's address in the config is broken", why: "Nobody can say which browser the agent would use.",
		fix: "Correct or remove browser.cdpUrl.", run: (*state).browserBroken,
	},
	{
		id: "browser.control_no_auth", level: severity.Critical, title: "The agent's browser can be steered without a password", why: "Every program on this machine can use the pages the browser is logged in to.",
		fix: "Set a gateway token.", run: (*state).browserNoAuth,
	},
	{
		id: "browser.remote_cdp_http", level: severity.Medium, title: "A distant browser is steered over plain HTTP", why: "Whoever listens on the way sees every page and can steer the browser.",
		fix: "Use HTTPS or a tunnel.", run: (*state).cdpHTTP,
	},
	{
		id: "browser.remote_cdp_private_host", level: severity.Medium, title: "A browser on your private network is steered", why: "The agent reaches into your network through it.",
		fix: "Remove the profile, or allow single hosts only.", run: (*state).cdpPrivate,
	},
	{
		id: "browser.extension_relay_legacy_auth", since: "2026.8.0", level: severity.Medium, title: "The browser extension may log in the old way", why: "Old relay clients stay accepted until this is switched off; it is on by default for one release.",
		fix: "Update the extension, then set browser.extensionRelay.allowLegacyAuth to false.", run: (*state).relayLegacy,
	},
}

// browserOn reports that the agent may steer a browser; it is on unless it is switched off.
func (s *state) browserOn() bool {
	return !isFalse(s.root, "browser", "enabled") && !s.pluginOff("browser")
}

// pluginOff reports that the config keeps a bundled plugin from loading.
func (s *state) pluginOff(id string) bool {
	allow := texts(s.root, "plugins", "allow")
	return isFalse(s.root, "plugins", "enabled") || isFalse(s.root, "plugins", "entries", id, "enabled") ||
		slices.Contains(texts(s.root, "plugins", "deny"), id) || len(allow) > 0 && !slices.Contains(allow, id) && s.inForce("2026.3.1")
}

// inForce reports that a rule of a release applies to the installation; to one of unknown release it does.
func (s *state) inForce(release string) bool { return !s.before(release) }

// A cdp is an address from which a browser is steered.
type cdp struct {
	key string
	url *url.URL // nil where it cannot be read
}

func (s *state) cdps() (all []cdp) {
	add := func(key string, v any) {
		if raw, _ := v.(string); raw != "" {
			u, err := url.Parse(raw)
			if err != nil || u.Host == "" {
				u = nil
			}
			all = append(all, cdp{key, u})
		}
	}
	add("browser.cdpUrl", at(s.root, "browser", "cdpUrl"))
	profiles := object(s.root, "browser", "profiles")
	for _, name := range keys(profiles) {
		add(dotted("browser", "profiles", name, "cdpUrl"), at(profiles[name], "cdpUrl"))
	}
	return all
}

// remote reports that the browser is not on this machine.
func (c cdp) remote() bool {
	if c.url == nil {
		return false
	}
	addr, err := netip.ParseAddr(c.url.Hostname())
	return c.url.Hostname() != "localhost" && !(err == nil && addr.IsLoopback())
}

func (s *state) browserBroken(o *outcome) {
	for _, c := range s.cdps() {
		if c.url == nil && s.browserOn() {
			o.add(c.key, c.key+" is no address")
		}
	}
}

func (s *state) browserNoAuth(o *outcome) {
	a := s.auth()
	if !s.browserOn() || a.token.has() && a.mode != "none" || a.mode == "password" && a.password.has() {
		return
	}
	if a.mode == "trusted-proxy" && !s.before("2026.2.13") && a.token.has() {
		return
	}
	f := o.add("gateway.auth", "the browser is on and the gateway has neither token nor password")
	f.Commands = []string{configSet("gateway.auth.mode", `"token"`), newToken}
}

func (s *state) cdpHTTP(o *outcome) {
	for _, c := range s.cdps() {
		if s.browserOn() && c.remote() && c.url.Scheme == "http" && len(o.findings) < maxLines {
			o.add(c.key, fmt.Sprintf("%s leads to %s over http", c.key, short(c.url.Host)))
		}
	}
}

func (s *state) cdpPrivate(o *outcome) {
	if !s.browserOn() || isFalse(s.root, "browser", "ssrfPolicy", "dangerouslyAllowPrivateNetwork") {
		return
	}
	for _, c := range s.cdps() {
		if !c.remote() || len(o.findings) >= maxLines {
			continue
		}
		addr, err := netip.ParseAddr(c.url.Hostname())
		if err == nil && (addr.IsPrivate() || addr.IsLinkLocalUnicast()) || strings.EqualFold(c.url.Hostname(), "metadata.google.internal") {
			o.add(c.key, fmt.Sprintf("%s leads to %s", c.key, short(c.url.Host)))
		}
	}
}

func (s *state) relayLegacy(o *outcome) {
	key := []string{"browser", "extensionRelay", "allowLegacyAuth"}
	if s.browserOn() && at(s.root, "browser") != nil && !isFalse(s.root, key...) {
		f := o.add(dotted(key...), dotted(key...)+" is not false; the default is true")
		f.Commands = []string{configSet(dotted(key...), "false")}
	}
}
