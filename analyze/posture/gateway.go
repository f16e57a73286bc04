package posture

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/severity"
)

const (
	whyReach = "Whoever reaches the gateway and gets past its authentication can run commands as the account it runs under."
	fixBind  = "Let the gateway listen on this machine only and reach it through an SSH tunnel."
)

var gatewayChecks = []check{
	{
		id: "gateway.bind_no_auth", level: severity.Critical, title: "The gateway is open to the network without any password", why: whyReach + " Here nothing asks for a secret.",
		fix: "Bind the gateway to loopback at once, then set a token.", run: (*state).bindNoAuth,
	},
	{
		id: "gateway.loopback_no_auth", level: severity.Critical, title: "The gateway asks nobody for a password",
		why: "Every program on this machine, and every web page where a proxy forwards to it, can command the agent.", fix: "Set a long random gateway token.", run: (*state).loopbackNoAuth,
	},
	{
		id: "gateway.http.no_auth", level: severity.Medium, title: "The gateway's HTTP interface answers without a password",
		why: "Its endpoints can call tools of the agent.", fix: "Set gateway.auth.mode to token and set a token.", run: (*state).httpNoAuth,
	},
	{
		id: "gateway.trusted_proxies_missing", level: severity.Medium, title: "No reverse proxy is trusted",
		why: "If the gateway's page is put behind a reverse proxy, callers from outside look like local ones unless the proxy's address is listed. Without a proxy this is harmless: a fresh installation has it.",
		fix: "Keep the gateway local, or list your proxy's addresses in gateway.trustedProxies.", run: (*state).noTrustedProxies,
	},
	{
		id: "gateway.http.session_key_override_enabled", level: severity.Info, title: "HTTP callers may choose the session they speak in",
		why: "Who holds the gateway's token can write into any conversation of the agent through these endpoints.", fix: "Disable the endpoints if nothing of yours uses them.", run: (*state).sessionKeyOverride,
	},
	{
		id: "gateway.tools_invoke_http.dangerous_allow", level: severity.Medium, title: "Dangerous tools are callable over HTTP",
		why: "OpenClaw keeps these tools from its HTTP interface; the config gives them back.", fix: "Take the tools out of gateway.tools.allow.", run: (*state).toolsInvoke,
	},
	{
		id: "gateway.nodes.allow_commands_dangerous", level: severity.Medium, title: "Paired devices may be told to use camera, screen, messages or contacts",
		why: "A tricked agent can then spy on you through your own devices.", fix: "Take the commands out of the list.", run: (*state).nodeAllow,
	},
	{
		id: "gateway.nodes.deny_commands_ineffective", level: severity.Medium, title: "Some forbidden device commands are not forbidden",
		why: "The list takes exact command names. Patterns and shell text in it match nothing, so that it protects less than it seems to.", fix: "Replace them by exact names such as system.run.", run: (*state).nodeDeny,
	},
	{
		id: "gateway.tailscale_funnel", level: severity.Critical, title: "The gateway is published to the whole internet", why: whyReach + " Tailscale Funnel lets anybody try.",
		fix: "Switch the funnel off, or use serve, which stays inside your tailnet.", run: (*state).funnel,
	},
	{
		id: "gateway.tailscale_serve", level: severity.Info, title: "The gateway is published to your tailnet", why: "Every device of your tailnet can reach it.",
		fix: "Keep it only if all of the tailnet is yours.", run: (*state).serve,
	},
	{
		id: "gateway.control_ui.allowed_origins_required", level: severity.Critical, title: "The control page has no list of allowed web addresses",
		why: "The gateway is reachable from the network and does not know which pages may speak to it.", fix: "List the exact addresses in gateway.controlUi.allowedOrigins, or bind to loopback.", run: (*state).originsRequired,
	},
	{
		id: "gateway.control_ui.allowed_origins_wildcard", level: severity.Medium, title: "Any web page may speak to the gateway",
		why: "A page you visit can use your browser to command the agent.", fix: "Replace * by the exact addresses you use.", run: (*state).originsWildcard,
	},
	{
		id: "gateway.control_ui.host_header_origin_fallback", level: severity.Medium, title: "The gateway believes the address a caller claims",
		why: "This switches off the protection against web pages that pretend to be local (DNS rebinding).", fix: "Set it to false.", run: dangerousFlag(false, "gateway", "controlUi", "dangerouslyAllowHostHeaderOriginFallback"),
	},
	{
		id: "gateway.control_ui.insecure_auth", level: severity.Medium, title: "The control page accepts logins over plain HTTP",
		why: "The token can be read on the way, and on releases before 2026.3 the device's identity is not asked for.", fix: "Set it to false.", run: (*state).insecureAuth,
	},
	{
		id: "gateway.control_ui.device_auth_disabled", level: severity.Critical, title: "The control page does not ask which device it talks to",
		why: "Who has the token needs no approved device any more.", fix: "Set it to false.", run: dangerousFlag(true, "gateway", "controlUi", "dangerouslyDisableDeviceAuth"),
	},
	{
		id: "gateway.real_ip_fallback_enabled", level: severity.Medium, title: "Callers may claim another address",
		why: "X-Real-IP is believed where a proxy sends nothing better, so that a caller can pass for a local one.", fix: "Set it to false.", run: (*state).realIP,
	},
	{
		id: "gateway.token_placeholder_value", level: severity.Critical, title: "The gateway token is not a secret", why: "It is blank or a word every attacker tries first.",
		fix: "Set a long random token.", run: placeholder("token"),
	},
	{
		id: "gateway.password_placeholder_value", level: severity.Critical, title: "The gateway password is not a secret", why: "It is blank or a word every attacker tries first.",
		fix: "Set a long random password.", run: placeholder("password"),
	},
	{
		id: "gateway.token_too_short", level: severity.Medium, title: "The gateway token is short", why: "A short token can be guessed.",
		fix: "Set a token of at least 24 random characters.", run: tooShort("token"),
	},
	{
		id: "gateway.password_too_short", level: severity.Medium, title: "The gateway password is short", why: "A short password can be guessed.",
		fix: "Set a password of at least 24 random characters.", run: tooShort("password"),
	},
	{
		id: "gateway.auth_no_rate_limit", since: "2026.2.13", level: severity.Medium, title: "Passwords may be tried without limit",
		why: "The gateway is reachable from the network and lets anybody guess as often as they like.", fix: "Set gateway.auth.rateLimit.", run: (*state).noRateLimit,
	},
	{
		id: "gateway.trusted_proxy_auth", level: severity.Critical, title: "A proxy decides who may command the agent",
		why: "If anybody reaches the gateway past the proxy, or the proxy passes on headers of its callers, nothing else protects it.", fix: "Make sure that only the proxy can reach the port and that it overwrites the identity headers; else use a token.", run: (*state).proxyAuth,
	},
	{
		id: "gateway.trusted_proxy_no_proxies", level: severity.Critical, title: "Proxy authentication without a list of proxies", why: "Every request is refused, or the list was emptied.",
		fix: "List the proxy's addresses in gateway.trustedProxies.", run: (*state).proxyNoProxies,
	},
	{
		id: "gateway.trusted_proxy_no_user_header", level: severity.Critical, title: "Proxy authentication without a user header", why: "The gateway cannot tell who is there.",
		fix: "Set gateway.auth.trustedProxy.userHeader.", run: (*state).proxyNoHeader,
	},
	{
		id: "gateway.trusted_proxy_no_allowlist", level: severity.Medium, title: "Everybody the proxy knows may command the agent", why: "No user is named.",
		fix: "List the users in gateway.auth.trustedProxy.allowUsers.", run: (*state).proxyNoUsers,
	},
	{
		id: "gateway.trusted_proxy_allow_loopback", level: severity.Medium, title: "Local programs may pass for the proxy", why: "Any program on this machine can claim to be any user.",
		fix: "Set it to false unless the proxy runs on this machine.", run: proxyFlag("allowLoopback"),
	},
	{
		id: "gateway.trusted_proxy_device_auto_approve", level: severity.Medium, title: "New devices are approved without asking you", why: "Whoever the proxy lets in can add a device that stays.",
		fix: "Set it to false and approve devices by hand.", run: proxyFlag("deviceAutoApprove", "enabled"),
	},
	{
		id: "gateway.trusted_proxy_device_auto_approve_admin", level: severity.Critical, title: "New devices become administrators without asking you", why: "Whoever the proxy lets in gets full control.",
		fix: "Take operator.admin out of the scopes.", run: (*state).proxyAdmin,
	},
	{
		id: "gateway.env_token_overrides_config", level: severity.Medium, title: "Two different gateway tokens are set", why: "Rotating one leaves the other in force for some callers.",
		fix: "Remove OPENCLAW_GATEWAY_TOKEN from the environment files.", run: (*state).twoTokens,
	},
	{
		id: "gateway.probe_failed", needs: needsLive, level: severity.Medium, title: "The gateway did not answer", why: "Its state could not be compared with its config.",
		fix: "Look at openclaw gateway status.", run: (*state).deepProbe,
	},
	{
		id: "gateway.probe_auth_secretref_unavailable", needs: needsLive, level: severity.Medium, title: "The gateway's secret could not be read for the test", why: "It lies in a place that is not part of the evidence.",
		fix: "None: the test was skipped.", run: (*state).deepSecret,
	},
	{
		id: "discovery.mdns_full_mode", since: "2026.2.13", level: severity.Medium, title: "The gateway announces itself with details on the local network",
		why: "It tells everybody on the network where the program lies and on which port SSH listens.", fix: "Set discovery.mdns.mode to minimal or off.", run: (*state).mdns,
	},
}

// dangerousFlag makes a check of a boolean that should not be true. Where the finding is graver from outside it says so.
func dangerousFlag(always bool, names ...string) func(*state, *outcome) {
	return func(s *state, o *outcome) {
		if !isTrue(s.root, names...) {
			return
		}
		f := o.add(dotted(names...), dotted(names...)+" is true")
		if !always && s.bind() != "loopback" {
			f.Level = severity.Critical
		}
		f.set(names, "false")
	}
}

// proxyFlag makes a check of a boolean under gateway.auth.trustedProxy that counts in that mode only.
func proxyFlag(names ...string) func(*state, *outcome) {
	full := append([]string{"gateway", "auth", "trustedProxy"}, names...)
	return func(s *state, o *outcome) {
		if s.auth().mode == "trusted-proxy" && isTrue(s.root, full...) {
			o.add(dotted(full...), dotted(full...)+" is true").set(full, "false")
		}
	}
}

func (s *state) controlUI() bool { return !isFalse(s.root, "gateway", "controlUi", "enabled") }

// newToken is the command that sets a token nobody can guess, without showing it.
const newToken = `openclaw config set gateway.auth.token "$(openssl rand -hex 32)"`

func (s *state) bindNoAuth(o *outcome) {
	a := s.auth()
	if s.bind() == "loopback" || a.shared() {
		return
	}
	f := o.add("gateway.bind", fmt.Sprintf("gateway.bind is %q and auth mode %q has no secret", short(s.bind()), short(a.mode)))
	f.set([]string{"gateway", "bind"}, `"loopback"`)
	f.Commands = append(f.Commands, configSet("gateway.auth.mode", `"token"`), newToken)
}

func (s *state) loopbackNoAuth(o *outcome) {
	a := s.auth()
	if s.bind() != "loopback" || !s.controlUI() || a.shared() || a.tailscale {
		return
	}
	f := o.add("gateway.auth", fmt.Sprintf("gateway.auth mode %q has no secret, in the config or in an environment file", short(a.mode)))
	f.Commands = []string{configSet("gateway.auth.mode", `"token"`), newToken}
}

func (s *state) httpNoAuth(o *outcome) {
	a := s.auth()
	if a.shared() {
		return
	}
	f := o.add("gateway.auth.mode", "callable without a secret: "+strings.Join(append([]string{"/tools/invoke"}, s.httpEndpoints()...), ", "))
	if s.exposed() {
		f.Level = severity.Critical
	}
	f.Commands = []string{configSet("gateway.auth.mode", `"token"`), newToken}
}

// httpEndpoints are the optional HTTP interfaces that are on.
func (s *state) httpEndpoints() (on []string) {
	for _, e := range [][2]string{{"chatCompletions", "/v1/chat/completions"}, {"responses", "/v1/responses"}} {
		if isTrue(s.root, "gateway", "http", "endpoints", e[0], "enabled") {
			on = append(on, e[1])
		}
	}
	return on
}

func (s *state) sessionKeyOverride(o *outcome) {
	if on := s.httpEndpoints(); len(on) > 0 {
		f := o.add("gateway.http.endpoints", strings.Join(on, ", ")+" take the session from the caller")
		f.Commands = []string{configSet("gateway.http.endpoints.chatCompletions.enabled", "false"), configSet("gateway.http.endpoints.responses.enabled", "false")}
	}
}

func (s *state) noTrustedProxies(o *outcome) {
	if s.bind() == "loopback" && s.controlUI() && len(list(s.root, "gateway", "trustedProxies")) == 0 {
		o.add("gateway.trustedProxies", "gateway.bind is loopback and no proxy is listed")
	}
}

// httpDenied are the tools that the gateway keeps from HTTP by itself (2026.9.6; cron is the name before automations).
var httpDenied = []string{
	"exec", "spawn", "shell", "fs_write", "fs_delete", "fs_move", "apply_patch", "terminal", "portal", "sessions_spawn", "sessions_send",
	"conversations_list", "conversations_send", "conversations_turn", "automations", "cron", "gateway", "plugins", "nodes", "computer", "mobile_ui", "openclaw",
	"whatsapp_login",
}

func (s *state) toolsInvoke(o *outcome) {
	var given []string
	for _, t := range texts(s.root, "gateway", "tools", "allow") {
		if t = strings.ToLower(t); slices.Contains(httpDenied, t) && !slices.Contains(given, t) {
			given = append(given, t)
		}
	}
	if len(given) == 0 {
		return
	}
	f := o.add("gateway.tools.allow", "allowed over HTTP: "+named(given))
	if s.bind() != "loopback" || s.tailscale() == "funnel" {
		f.Level = severity.Critical
	}
	f.set([]string{"gateway", "tools", "allow"}, listWithout(s.root, []string{"gateway", "tools", "allow"}, func(t string) bool { return slices.Contains(given, strings.ToLower(t)) }))
}

func (s *state) funnel(o *outcome) {
	if s.tailscale() == "funnel" {
		f := o.add("gateway.tailscale.mode", `gateway.tailscale.mode is "funnel"`)
		f.Commands = []string{configSet("gateway.tailscale.mode", `"off"`), "tailscale funnel reset"}
	}
}

func (s *state) serve(o *outcome) {
	if s.tailscale() == "serve" {
		o.add("gateway.tailscale.mode", `gateway.tailscale.mode is "serve"`)
	}
}

func (s *state) origins() []string { return texts(s.root, "gateway", "controlUi", "allowedOrigins") }

func (s *state) originsRequired(o *outcome) {
	if s.bind() != "loopback" && s.controlUI() && len(s.origins()) == 0 && !isTrue(s.root, "gateway", "controlUi", "dangerouslyAllowHostHeaderOriginFallback") {
		o.add("gateway.controlUi.allowedOrigins", fmt.Sprintf("gateway.bind is %q and no origin is listed", short(s.bind())))
	}
}

func (s *state) originsWildcard(o *outcome) {
	if !slices.Contains(s.origins(), "*") {
		return
	}
	f := o.add("gateway.controlUi.allowedOrigins", `gateway.controlUi.allowedOrigins has "*"`)
	if s.bind() != "loopback" {
		f.Level = severity.Critical
	}
	key := []string{"gateway", "controlUi", "allowedOrigins"}
	f.set(key, listWithout(s.root, key, func(t string) bool { return t == "*" }))
}

func (s *state) insecureAuth(o *outcome) {
	key := []string{"gateway", "controlUi", "allowInsecureAuth"}
	if !isTrue(s.root, key...) {
		return
	}
	f := o.add(dotted(key...), dotted(key...)+" is true")
	if s.before("2026.2.13") { // there it also skips the device's identity
		f.Level = severity.Critical
	}
	f.set(key, "false")
}

func (s *state) realIP(o *outcome) {
	key := []string{"gateway", "allowRealIpFallback"}
	if !isTrue(s.root, key...) {
		return
	}
	f := o.add(dotted(key...), dotted(key...)+" is true")
	farProxy := slices.ContainsFunc(texts(s.root, "gateway", "trustedProxies"), func(p string) bool { return !loopbackOnly(p) })
	if s.bind() != "loopback" || s.auth().mode == "trusted-proxy" && farProxy {
		f.Level = severity.Critical
	}
	f.set(key, "false")
}

// loopbackOnly reports that an entry of trustedProxies is this machine and nothing else.
func loopbackOnly(entry string) bool {
	if prefix, err := netip.ParsePrefix(entry); err == nil {
		return prefix.IsSingleIP() && loopbackOnly(prefix.Addr().String())
	}
	return entry == "127.0.0.1" || strings.EqualFold(entry, "::1")
}

func (s *state) mdns(o *outcome) {
	if text(s.root, "discovery", "mdns", "mode") != "full" {
		return
	}
	f := o.add("discovery.mdns.mode", `discovery.mdns.mode is "full"`)
	if s.bind() != "loopback" {
		f.Level = severity.Critical
	}
	f.set([]string{"discovery", "mdns", "mode"}, `"minimal"`)
}

// notSecret are values that OpenClaw itself refuses as secrets.
var notSecret = []string{"", "undefined", "null"}

// secretOf returns what is configured as the gateway's token or password, when the mode uses it. Blank counts.
func (s *state) secretOf(kind string) (c credential, raw string, isText bool) {
	a := s.auth()
	if a.mode != kind {
		return c, "", false
	}
	c = a.token
	if kind == "password" {
		c = a.password
	}
	raw, isText = at(s.root, "gateway", "auth", kind).(string)
	return c, raw, isText
}

func placeholder(kind string) func(*state, *outcome) {
	return func(s *state, o *outcome) {
		c, raw, isText := s.secretOf(kind)
		if !c.has() && isText || slices.Contains(notSecret[1:], c.value) {
			where := c.where
			if where == "" {
				where = "gateway.auth." + kind
			}
			f := o.add(where, fmt.Sprintf("the %s is blank or says undefined or null (%d characters)", kind, len(raw)))
			f.Commands = []string{strings.Replace(newToken, "token", kind, 1)}
		}
	}
}

// shortSecret is the length below which OpenClaw's audit calls a secret short, in characters.
const shortSecret = 24

func tooShort(kind string) func(*state, *outcome) {
	return func(s *state, o *outcome) {
		c, _, _ := s.secretOf(kind)
		if n := len([]rune(c.value)); n > 0 && n < shortSecret && !slices.Contains(notSecret, c.value) {
			f := o.add(c.where, fmt.Sprintf("the %s has %d characters", kind, n))
			f.Commands = []string{strings.Replace(newToken, "token", kind, 1)}
		}
	}
}

func (s *state) noRateLimit(o *outcome) {
	if s.bind() == "loopback" || s.auth().mode == "trusted-proxy" || at(s.root, "gateway", "auth", "rateLimit") != nil {
		return
	}
	f := o.add("gateway.auth.rateLimit", fmt.Sprintf("gateway.bind is %q and gateway.auth.rateLimit is not set", short(s.bind())))
	f.set([]string{"gateway", "auth", "rateLimit"}, `{"maxAttempts":10,"windowMs":60000,"lockoutMs":300000}`)
}

func (s *state) proxyAuth(o *outcome) {
	if s.auth().mode == "trusted-proxy" {
		o.add("gateway.auth.mode", `gateway.auth.mode is "trusted-proxy"`)
	}
}

func (s *state) proxyNoProxies(o *outcome) {
	if s.auth().mode == "trusted-proxy" && len(list(s.root, "gateway", "trustedProxies")) == 0 {
		o.add("gateway.trustedProxies", "gateway.trustedProxies is empty")
	}
}

func (s *state) proxyNoHeader(o *outcome) {
	if s.auth().mode == "trusted-proxy" && text(s.root, "gateway", "auth", "trustedProxy", "userHeader") == "" {
		o.add("gateway.auth.trustedProxy.userHeader", "no header is named")
	}
}

func (s *state) proxyNoUsers(o *outcome) {
	if s.auth().mode == "trusted-proxy" && len(list(s.root, "gateway", "auth", "trustedProxy", "allowUsers")) == 0 {
		o.add("gateway.auth.trustedProxy.allowUsers", "no user is listed")
	}
}

func (s *state) proxyAdmin(o *outcome) {
	key := []string{"gateway", "auth", "trustedProxy", "deviceAutoApprove"}
	if s.auth().mode == "trusted-proxy" && isTrue(s.root, append(key, "enabled")...) && slices.Contains(texts(s.root, append(key, "scopes")...), "operator.admin") {
		o.add(dotted(key...)+".scopes", "the scopes have operator.admin").set(append(key, "enabled"), "false")
	}
}

func (s *state) twoTokens(o *outcome) {
	c, env := s.secretInput("gateway", "auth", "token"), s.env()["OPENCLAW_GATEWAY_TOKEN"]
	mode := text(s.root, "gateway", "auth", "mode")
	if env == "" || c.value == "" || c.value == env || mode != "" && mode != "token" || text(s.root, "gateway", "mode") == "remote" {
		return
	}
	o.add("OPENCLAW_GATEWAY_TOKEN", "OPENCLAW_GATEWAY_TOKEN in an environment file is another secret than gateway.auth.token")
}

// dangerousNodeCommands need an explicit permission (DEFAULT_DANGEROUS_NODE_COMMANDS of 2026.9.6).
var dangerousNodeCommands = []string{
	"camera.snap", "camera.clip", "camera.ptz.control", "screen.record", "contacts.add", "calendar.add", "reminders.add", "sms.send", "sms.search", "health.summary",
}

// nodeLists returns the allowed and the denied device commands with the path of each list; 2026.8 moved them.
func (s *state) nodeLists() (allow, deny, allowKey, denyKey []string) {
	allowKey, denyKey = []string{"gateway", "nodes", "commands", "allow"}, []string{"gateway", "nodes", "commands", "deny"}
	if at(s.root, "gateway", "nodes", "commands") == nil {
		allowKey, denyKey = []string{"gateway", "nodes", "allowCommands"}, []string{"gateway", "nodes", "denyCommands"}
	}
	return texts(s.root, allowKey...), texts(s.root, denyKey...), allowKey, denyKey
}

func (s *state) nodeAllow(o *outcome) {
	allow, deny, names, _ := s.nodeLists()
	var given []string
	for _, c := range dangerousNodeCommands {
		if slices.Contains(allow, c) && !slices.Contains(deny, c) {
			given = append(given, c)
		}
	}
	if len(given) == 0 {
		return
	}
	f := o.add(dotted(names...), "allowed: "+named(given))
	if s.exposed() {
		f.Level = severity.Critical
	}
	f.set(names, listWithout(s.root, names, func(t string) bool { return slices.Contains(given, t) }))
}

// knownNodeCommands are the exact names the deny list can hold (the platforms' defaults of 2026.9.6).
var knownNodeCommands = strings.Fields(`camera.list camera.ptz.status screen.snapshot desktop.stream computer.act mobile.ui.observe mobile.ui.act
	location.get notifications.list notifications.actions device.info device.status device.permissions device.health device.apps contacts.search
	calendar.events callLog.search reminders.list photos.latest motion.activity motion.pedometer talk.ptt.start talk.ptt.stop talk.ptt.cancel
	talk.ptt.once watch.status watch.notify system.notify system.run system.run.prepare system.which system.execApprovals.get system.execApprovals.set
	browser.proxy browser.proxy.upload.v1 mcp.tools.call.v1 agent.cli.claude.run.v1 fs.listDir terminal.upload
	canvas.present canvas.hide canvas.navigate canvas.eval canvas.snapshot canvas.a2ui.push canvas.a2ui.pushJSONL canvas.a2ui.reset`)

func (s *state) nodeDeny(o *outcome) {
	allow, deny, _, key := s.nodeLists()
	var idle []string
	for _, c := range deny {
		if strings.ContainsAny(c, "?*[]{}(),| \t^$/") || strings.Contains(c, "group:") {
			idle = append(idle, fmt.Sprintf("%q is a pattern", short(c)))
		} else if !slices.Contains(knownNodeCommands, c) && !slices.Contains(dangerousNodeCommands, c) && !slices.Contains(allow, c) {
			idle = append(idle, fmt.Sprintf("%q is no known command", short(c)))
		}
	}
	if len(idle) > 0 {
		o.add(dotted(key...), lines(idle))
	}
}
