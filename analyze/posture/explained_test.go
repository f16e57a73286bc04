package posture

// Why the two may differ.
const (
	pluginsNotLoaded = "the command runs without a gateway and loads no channel plugin, so that no check of a channel runs, though the code has it (FACTS 12.1: channels.telegram.dm.open was not emitted with dmPolicy open)"
	browserNotLoaded = "the check is in the browser plugin, which the command loads with --deep only, and then only where the plugin starts"
)

// explained are all differences between the real command and this package over the cases of testdata/audit.
var explained = []difference{
	{"2026.9.6", "*", "+channels.*", pluginsNotLoaded},
	{"2026.3.31", "*", "+channels.*", pluginsNotLoaded},
	{"2026.9.6", "*", "+browser.*", browserNotLoaded},
	{"2026.7.1", "*", "+browser.*", browserNotLoaded},
	{"2026.3.31", "sandbox-bad", "+config.insecure_or_dangerous_flags", "2026.3.31 does not count dangerouslyAllowReservedContainerTargets among its dangerous flags yet"},
	{"2026.3.31", "hooks-lax", "+config.insecure_or_dangerous_flags", "2026.3.31 does not count hooks.allowRequestSessionKey among its dangerous flags yet; it has the same as hooks.request_session_key_enabled"},

	{"2026.*", "*", "-channels.telegram.warning.*", "the plugin's own text about open groups, which 2026.9.6 has as channels.<provider>.groups.open; we have it under that id in every release"},

	{"2026.9.6", "state.*", "-fs.auth_profiles.perms_readable", "the permissions were put back before the state was archived"},
	{"2026.9.6", "state.2026.9.6-stopped", "-fs.state_dir.perms_world_writable", "the permissions were put back before the state was archived"},
	{"2026.3.31", "state.*", "+tools.exec.security_full_configured", "the config was changed after the recording: openclaw.json.bak.1 still has security=allowlist"},
}
