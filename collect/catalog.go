package collect

// Rank is the order of volatility: what is lost soonest is taken first (RFC 3227).
//
// What lives for milliseconds comes before all files: the process table, the sockets and the sessions, which take a
// second or two. The rest of the live state (firewall, units, packages, journals) lasts until somebody changes it and
// can take a minute, so it waits for the logs, which the gateway prunes, and a reboot empties /tmp.
type Rank int

// The ranks, in order.
const (
	RankLogs        Rank = iota // rolling logs and locks: deleted after 24 hours, and with /tmp at a reboot
	RankDatabases               // rewritten by every turn; the gateway purges ledger rows at its start and hourly
	RankTranscripts             // pruned by age and size, removed by /new and by the agent itself
	RankConfig                  // overwritten by containing, by rotating and by the gateway
	RankState                   // the rest of the state directory
	RankWorkspaces              // the agents' own files
	RankBackends                // transcripts of other command lines that the agent was run by
	RankHost                    // what lies on the host for months
)

// Place says what the path of an Entry is relative to. One entry is looked for at every such place.
type Place string

// The places.
const (
	AtHost      Place = "host"       // the root directory
	AtHome      Place = "home"       // the home of every account
	AtOwner     Place = "owner"      // the home of each account that an installation belongs to
	AtOperators Place = "operators"  // the same, and root's
	AtState     Place = "state"      // a state directory
	AtStateName Place = "state name" // a state directory's own path: the pattern continues its name
	AtConfig    Place = "config"     // the configuration file and its includes
	AtAgent     Place = "agent"      // an agent's directory, which the config can put anywhere
	AtDatabase  Place = "database"   // an agent's database
	AtSessions  Place = "sessions"   // an agent's sessions directory
	AtWorkspace Place = "workspace"  // an agent's workspace
	AtLogs      Place = "logs"       // a directory of rolling logs
	AtLogFile   Place = "log file"   // logging.file of the config
	AtLogStem   Place = "log stem"   // the same without ".log": the pattern continues its name
	AtLoad      Place = "load"       // where the config has skills, hooks and plugins beside their own directories
	AtUnit      Place = "unit"       // a service definition that runs OpenClaw
)

// An Entry is one line of the catalog: something that is looked for on every host. It leaves at least one row in the
// manifest, also where there is nothing.
type Entry struct {
	Rank   Rank
	Source string // the category that manifest rows bear
	Place  Place
	// Path is relative to Place: a file, or a directory, which is taken with everything in it. "*", "?" and
	// "[…]" match within one component (path.Match).
	Path string
	// Listing takes metadata only, no content.
	Listing bool
	Why     string
}

// Catalog returns everything that is looked for, in the order in which it is taken. Where two entries name the same
// thing, the earlier one takes it: the state directory is named as a whole after its parts.
func Catalog() []Entry { return catalog[:] }

var catalog = [...]Entry{
	// Logs and locks. /tmp/openclaw also holds deleted transcripts that were unpacked to be read.
	{RankLogs, "log", AtLogs, "", false, "gateway log, read cache of deleted sessions"},
	{RankLogs, "log", AtHost, "tmp/openclaw*", false, "the same of other accounts, and lock files"},
	{RankLogs, "log", AtLogFile, "", false, "gateway log, where the config moved it"},
	{RankLogs, "log", AtLogStem, "*.log*", false, "its rotated files"},
	{RankLogs, "log", AtLogStem, ".[1-9]*", false, "the same, where its name ends otherwise"},
	{RankLogs, "lock", AtState, "tmp", false, "which process owns the state; the shim that every exec runs first"},
	{RankLogs, "log", AtOwner, "Library/Logs/openclaw", false, "gateway log on macOS"},

	// Databases, each with its -wal, -shm and -journal.
	{RankDatabases, "database", AtState, "state/openclaw.sqlite", false, "audit ledger, pairing, automations, approvals, config journal"},
	{RankDatabases, "database", AtDatabase, "", false, "an agent's transcripts, plain, compressed and deleted"},
	{RankDatabases, "database", AtState, "state", false, "quarantine and what else lies beside the state database"},
	{RankDatabases, "database", AtAgent, "*.sqlite*", false, "coordination databases and copies made by migrations"},
	{RankDatabases, "database", AtState, "tasks", false, "task runs before 2026.7"},
	{RankDatabases, "database", AtState, "flows", false, "flows before 2026.7"},
	{RankDatabases, "database", AtState, "plugin-state", false, "plugins' state before 2026.7"},
	{RankDatabases, "database", AtState, "memory", false, "memory index before 2026.7"},

	// Transcripts in files.
	{RankTranscripts, "transcript", AtSessions, "", false, "JSONL, cold archives, deleted, reset and backup copies, trajectories, the index"},
	{RankTranscripts, "transcript", AtSessions, "*.json*", false, "the same where the config keeps them in a directory that is not taken as a whole"},
	{RankTranscripts, "transcript", AtState, "agents/*/sessions", false, "the same of agents that the config no longer names"},
	{RankTranscripts, "transcript", AtState, "agents/*/session-sqlite-import-archive", false, "originals of what was moved into SQLite"},
	{RankTranscripts, "transcript", AtState, "session-sqlite-migration-runs", false, "digests of those originals"},
	{RankTranscripts, "transcript", AtState, "subagents", false, "who started whom before 2026.7"},
	{RankTranscripts, "transcript", AtStateName, ".update-captures", false, "what the updater kept"},

	// Configuration and what it lets in.
	{RankConfig, "config", AtConfig, "", false, "configuration and includes"},
	{RankConfig, "config", AtConfig, ".*", false, "backups, last-good, rejected and clobbered versions"},
	{RankConfig, "config", AtState, "config-journal-fingerprint.key", false, "key of the fingerprints in the config journal"},
	{RankConfig, "config", AtState, ".env", false, "secrets that the gateway loads"},
	{RankConfig, "config", AtState, "*.env", false, "environment of the services"},
	{RankConfig, "config", AtState, "service-env", false, "environment of the services"},
	{RankConfig, "config", AtOwner, ".config/openclaw", false, "gateway.env"},
	{RankConfig, "config", AtHost, "etc/openclaw*", false, "a hand-made service's environment"},
	{RankConfig, "config", AtHost, "etc/default/openclaw*", false, "a hand-made service's environment"},
	{RankConfig, "credential", AtState, "credentials", false, "channel logins, pairing and allow lists"},
	{RankConfig, "credential", AtState, "identity", false, "this device's key"},
	{RankConfig, "credential", AtState, "devices", false, "paired devices and their tokens before 2026.7"},
	{RankConfig, "credential", AtAgent, "auth*.json*", false, "model keys, with copies left by migrations"},
	{RankConfig, "approval", AtState, "exec-approvals.json*", false, "which commands run unasked, before 2026.9"},
	{RankConfig, "automation", AtState, "cron", false, "jobs before 2026.7 and their runs"},
	{RankConfig, "extension", AtState, "hooks", false, "code that runs on events"},
	{RankConfig, "extension", AtState, "extensions", false, "plugins"},
	{RankConfig, "extension", AtState, "skills", false, "instructions and scripts that the agent follows"},
	{RankConfig, "extension", AtState, "cache/shell-snapshots", false, "sourced by every exec"},
	{RankConfig, "extension", AtLoad, "", false, "skills, hooks and plugins from where the config says"},
	{RankConfig, "extension", AtOwner, ".agents/skills", false, "the account's skills for every assistant"},

	// A file of a release that this table does not know is evidence too.
	{RankState, "log", AtState, "logs", false, "restarts, config audit, commands, stability bundles, raw model streams"},
	{RankState, "agent", AtAgent, "", false, "the rest of an agent's directory"},
	{RankState, "state", AtState, "", false, "the rest of the state directory"},
	{RankState, "package", AtHost, "usr/lib/node_modules/openclaw/package.json", false, "installed release"},
	{RankState, "package", AtHost, "usr/local/lib/node_modules/openclaw/package.json", false, "installed release"},
	{RankState, "package", AtHost, "opt/homebrew/lib/node_modules/openclaw/package.json", false, "installed release"},
	{RankState, "package", AtOwner, ".npm-global/lib/node_modules/openclaw/package.json", false, "installed release"},
	{RankState, "package", AtOwner, ".nvm/versions/node/*/lib/node_modules/openclaw/package.json", false, "installed release"},

	// Workspaces. The named files come first: where the workspace is a whole home, only they are taken.
	{RankWorkspaces, "memory", AtWorkspace, "*.md", false, "standing instructions and memory: AGENTS, SOUL, MEMORY, HEARTBEAT …"},
	{RankWorkspaces, "memory", AtWorkspace, "memory", false, "memory by day"},
	{RankWorkspaces, "extension", AtWorkspace, "skills", false, "skills that the agent or an intruder wrote"},
	{RankWorkspaces, "extension", AtWorkspace, "hooks", false, "code that runs on events"},
	{RankWorkspaces, "extension", AtWorkspace, ".openclaw", false, "plugins and setup state of the workspace"},
	{RankWorkspaces, "memory", AtWorkspace, ".git", false, "earlier versions of all of these"},
	{RankWorkspaces, "workspace", AtWorkspace, "", false, "what the agent worked on"},

	// Other command lines that ran turns: OpenClaw's own transcript of such a turn shows no tool.
	{RankBackends, "token", AtOwner, ".claude/.credentials.json", true, "login: to be revoked, not taken"},
	{RankBackends, "token", AtOwner, ".codex/auth.json", true, "login: to be revoked, not taken"},
	{RankBackends, "token", AtOwner, ".gemini/oauth_creds.json", true, "login: to be revoked, not taken"},
	{RankBackends, "backend", AtOwner, ".claude", false, "transcripts, settings, hooks"},
	{RankBackends, "backend", AtOwner, ".claude.json", false, "projects, MCP servers"},
	{RankBackends, "backend", AtOwner, ".codex", false, "transcripts, settings"},
	{RankBackends, "backend", AtOwner, ".gemini", false, "transcripts, settings"},

	// Persistence: where an intruder leaves what starts again.
	{RankHost, "persistence", AtUnit, "", false, "service that runs OpenClaw"},
	{RankHost, "persistence", AtUnit, ".d", false, "its drop-ins"},
	{RankHost, "persistence", AtUnit, ".bak", false, "its former version"},
	{RankHost, "persistence", AtHost, "etc/crontab", false, "cron"},
	{RankHost, "persistence", AtHost, "etc/cron.*", false, "cron"},
	{RankHost, "persistence", AtHost, "etc/anacrontab", false, "cron"},
	{RankHost, "persistence", AtHost, "var/spool/cron", false, "crontabs of accounts, and at jobs of some systems"},
	{RankHost, "persistence", AtHost, "var/spool/at", false, "at jobs"},
	{RankHost, "persistence", AtHost, "var/at", false, "at jobs and crontabs on macOS"},
	// Of a unit that is a link, what it stands for is taken as well: "systemctl link" runs a file from anywhere.
	{RankHost, "persistence", AtHost, "etc/systemd/system/*", false, "units and timers that no package brought"},
	{RankHost, "persistence", AtHost, "etc/systemd/system/*.wants/*", false, "what is enabled"},
	{RankHost, "persistence", AtHost, "etc/systemd/user/*", false, "units and timers of every user"},
	{RankHost, "persistence", AtHost, "etc/systemd", false, "units and timers that no package brought"},
	{RankHost, "persistence", AtHost, "run/systemd/system", false, "units until the next boot"},
	{RankHost, "persistence", AtHost, "run/systemd/transient", false, "units of systemd-run"},
	{RankHost, "persistence", AtHost, "usr/local/lib/systemd", false, "units that no package brought"},
	{RankHost, "persistence", AtHost, "usr/lib/systemd/system", true, "packages' units: when one was changed"},
	{RankHost, "persistence", AtHost, "usr/lib/systemd/user", true, "packages' units: when one was changed"},
	{RankHost, "persistence", AtHost, "var/lib/systemd/linger", false, "accounts whose services run without a login"},
	{RankHost, "persistence", AtHost, "etc/containers/systemd", false, "quadlets"},
	{RankHost, "persistence", AtHome, ".config/systemd/user/*", false, "user units and timers"},
	{RankHost, "persistence", AtHome, ".config/systemd/user/*.wants/*", false, "what is enabled"},
	{RankHost, "persistence", AtHome, ".config/systemd", false, "user units and timers"},
	{RankHost, "persistence", AtHome, ".local/share/systemd", false, "user units and timers"},
	{RankHost, "persistence", AtHome, ".config/containers/systemd", false, "quadlets"},
	{RankHost, "persistence", AtHome, ".config/autostart", false, "starts with the desktop"},
	{RankHost, "persistence", AtHome, ".config/environment.d", false, "environment of user services"},
	{RankHost, "persistence", AtHost, "Library/LaunchDaemons", false, "launchd"},
	{RankHost, "persistence", AtHost, "Library/LaunchAgents", false, "launchd"},
	{RankHost, "persistence", AtHome, "Library/LaunchAgents", false, "launchd"},
	{RankHost, "persistence", AtHost, "etc/ld.so.preload", false, "library loaded into every program"},
	{RankHost, "persistence", AtHost, "etc/ld.so.conf*", false, "where libraries come from"},
	{RankHost, "persistence", AtHost, "etc/rc.local", false, "runs at boot"},
	{RankHost, "persistence", AtHost, "etc/init.d", false, "runs at boot"},
	{RankHost, "persistence", AtHost, "etc/pam.d", false, "who is let in"},
	{RankHost, "persistence", AtHost, "etc/modules-load.d", false, "kernel modules"},
	{RankHost, "persistence", AtHost, "etc/udev/rules.d", false, "runs with devices"},
	{RankHost, "persistence", AtHost, "etc/update-motd.d", false, "runs at login"},
	{RankHost, "persistence", AtHost, "etc/apt/apt.conf.d", false, "runs with apt"},
	{RankHost, "persistence", AtHost, "etc/sudoers", false, "who may become root"},
	{RankHost, "persistence", AtHost, "etc/sudoers.d", false, "who may become root"},
	{RankHost, "persistence", AtHost, "etc/polkit-1", false, "who may become root"},

	// Shells.
	{RankHost, "shell", AtHost, "etc/profile", false, "runs at login"},
	{RankHost, "shell", AtHost, "etc/profile.d", false, "runs at login"},
	{RankHost, "shell", AtHost, "etc/bash.bashrc", false, "runs with every shell"},
	{RankHost, "shell", AtHost, "etc/bashrc", false, "runs with every shell"},
	{RankHost, "shell", AtHost, "etc/zsh*", false, "runs with every shell"},
	{RankHost, "shell", AtHost, "etc/environment", false, "environment of every session"},
	{RankHost, "shell", AtHome, ".profile", false, "runs at login"},
	{RankHost, "shell", AtHome, ".bash_profile", false, "runs at login"},
	{RankHost, "shell", AtHome, ".bash_login", false, "runs at login"},
	{RankHost, "shell", AtHome, ".bash_logout", false, "runs at logout"},
	{RankHost, "shell", AtHome, ".bash_aliases", false, "runs with every shell"},
	{RankHost, "shell", AtHome, ".bashrc", false, "runs with every shell"},
	{RankHost, "shell", AtHome, ".zshrc", false, "runs with every shell"},
	{RankHost, "shell", AtHome, ".zshenv", false, "runs with every shell"},
	{RankHost, "shell", AtHome, ".zprofile", false, "runs at login"},
	{RankHost, "shell", AtHome, ".zlogin", false, "runs at login"},
	{RankHost, "shell", AtHome, ".config/fish", false, "runs with every shell"},
	{RankHost, "shell", AtHome, ".pam_environment", false, "environment of every session"},
	{RankHost, "shell", AtHome, ".gitconfig", false, "hooks and pagers that git runs"},
	{RankHost, "history", AtOperators, ".bash_history", false, "what was typed"},
	{RankHost, "history", AtOperators, ".zsh_history", false, "what was typed"},
	{RankHost, "history", AtOperators, ".zsh_sessions", false, "what was typed"},
	{RankHost, "history", AtOperators, ".local/share/fish/fish_history", false, "what was typed"},
	{RankHost, "history", AtOperators, ".python_history", false, "what was typed"},
	{RankHost, "history", AtOperators, ".node_repl_history", false, "what was typed"},

	// SSH. Private keys are not OpenClaw's: that they are there, and when they were last read, is enough.
	{RankHost, "ssh", AtHost, "etc/ssh/sshd_config", false, "who is let in"},
	{RankHost, "ssh", AtHost, "etc/ssh/sshd_config.d", false, "who is let in"},
	{RankHost, "ssh", AtHost, "etc/ssh/ssh_config", false, "commands that ssh runs"},
	{RankHost, "ssh", AtHost, "etc/ssh/ssh_config.d", false, "commands that ssh runs"},
	{RankHost, "ssh", AtHost, "etc/ssh/authorized_keys*", false, "who is let in"},
	{RankHost, "ssh", AtHost, "etc/ssh/*.pub", false, "the host's public keys"},
	{RankHost, "ssh", AtHost, "etc/ssh", true, "the host's private keys: not taken"},
	{RankHost, "ssh", AtHome, ".ssh/authorized_keys*", false, "who is let in"},
	{RankHost, "ssh", AtHome, ".ssh/config*", false, "commands that ssh runs"},
	{RankHost, "ssh", AtHome, ".ssh/known_hosts*", false, "where to an intruder may have gone on"},
	{RankHost, "ssh", AtHome, ".ssh/rc", false, "runs at login"},
	{RankHost, "ssh", AtHome, ".ssh/environment", false, "environment at login"},
	{RankHost, "ssh", AtHome, ".ssh/*.pub", false, "public keys"},
	{RankHost, "ssh", AtHome, ".ssh", true, "private keys: not taken"},

	// Tokens of others within the agent's reach: the list of what to revoke.
	{RankHost, "token", AtHome, ".npmrc", true, "to be revoked, not taken"},
	{RankHost, "token", AtHome, ".netrc", true, "to be revoked, not taken"},
	{RankHost, "token", AtHome, ".pypirc", true, "to be revoked, not taken"},
	{RankHost, "token", AtHome, ".git-credentials", true, "to be revoked, not taken"},
	{RankHost, "token", AtHome, ".aws", true, "to be revoked, not taken"},
	{RankHost, "token", AtHome, ".azure", true, "to be revoked, not taken"},
	{RankHost, "token", AtHome, ".config/gcloud", true, "to be revoked, not taken"},
	{RankHost, "token", AtHome, ".config/gh", true, "to be revoked, not taken"},
	{RankHost, "token", AtHome, ".kube", true, "to be revoked, not taken"},
	{RankHost, "token", AtHome, ".docker/config.json", true, "to be revoked, not taken"},
	{RankHost, "token", AtHome, ".gnupg", true, "private keys: not taken"},

	// The machine: who is on it, what filters, what it recorded.
	{RankHost, "account", AtHost, "etc/passwd", false, "accounts"},
	{RankHost, "account", AtHost, "etc/group", false, "groups"},
	{RankHost, "account", AtHost, "etc/shadow", true, "password hashes: not taken; its time says when one changed"},
	{RankHost, "account", AtHost, "etc/hostname", false, "name"},
	{RankHost, "account", AtHost, "etc/machine-id", false, "name"},
	{RankHost, "account", AtHost, "etc/os-release", false, "release"},
	{RankHost, "account", AtHost, "etc/localtime", false, "time zone"},
	{RankHost, "account", AtHost, "etc/timezone", false, "time zone"},
	{RankHost, "network", AtHost, "etc/hosts", false, "names that lead elsewhere"},
	{RankHost, "network", AtHost, "etc/resolv.conf", false, "who answers for names"},
	{RankHost, "network", AtHost, "etc/nsswitch.conf", false, "who answers for names"},
	{RankHost, "network", AtHost, "etc/ufw", false, "firewall"},
	{RankHost, "network", AtHost, "etc/nftables.conf", false, "firewall"},
	{RankHost, "network", AtHost, "etc/nftables.d", false, "firewall"},
	{RankHost, "network", AtHost, "etc/iptables", false, "firewall"},
	{RankHost, "network", AtHost, "etc/docker/daemon.json", false, "containers"},
	{RankHost, "login", AtHost, "var/run/utmp", false, "who is logged in"},
	{RankHost, "login", AtHost, "var/log/wtmp*", false, "who was logged in"},
	{RankHost, "login", AtHost, "var/log/btmp*", false, "who failed to log in"},
	{RankHost, "login", AtHost, "var/log/lastlog", false, "last login of each account"},
	{RankHost, "login", AtHost, "var/lib/wtmpdb", false, "who was logged in"},
	{RankHost, "syslog", AtHost, "var/log/auth.log*", false, "logins, sudo, cron"},
	{RankHost, "syslog", AtHost, "var/log/secure*", false, "logins, sudo, cron"},
	{RankHost, "syslog", AtHost, "var/log/audit", false, "what the kernel recorded"},
	{RankHost, "syslog", AtHost, "etc/audit", false, "what the kernel was told to record"},
	{RankHost, "syslog", AtHost, "var/log/ufw.log*", false, "packets that the firewall refused"},
	{RankHost, "syslog", AtHost, "var/log/cron*", false, "cron"},
	{RankHost, "syslog", AtHost, "var/log/syslog*", false, "services"},
	{RankHost, "syslog", AtHost, "var/log/messages*", false, "services"},
	{RankHost, "syslog", AtHost, "var/log/kern.log*", false, "kernel"},
	{RankHost, "syslog", AtHost, "var/log/dpkg.log*", false, "packages installed"},
	{RankHost, "syslog", AtHost, "var/log/apt/history.log*", false, "packages installed"},
}

// A Group is a kind of directory of which only a listing is taken, because it is large, can be had again, or
// is other people's property. Its files have a row with their metadata. Options.Include takes their content too.
type Group struct {
	Name string
	// Path is relative to every state directory; after "**/" it is the end of any path.
	Path string
	// Limit is how many bytes of content are taken all the same, from each such directory.
	Limit int64
	Why   string
}

// Groups returns what is listed instead of taken.
func Groups() []Group { return groups[:] }

var groups = [...]Group{
	{"media", "media", 0, "what people sent"},
	{"media", "delivery-queue-media", 0, "what people were sent"},
	{"sandboxes", "sandboxes", 0, "work directories of containers"},
	{"browser", "browser/*/user-data", 0, "a browser profile"},
	{"packages", "cache/control-ui-assets", 0, "part of the release"},
	{"packages", "npm", 0, "packages of a registry"},
	{"packages", "tools", 0, "downloaded programs"},
	{"packages", "**/node_modules", 0, "packages of a registry"},
	// Deleted versions of MEMORY.md and its like lie here, so the first part is worth its space.
	{"git-objects", "**/.git/objects", 64 << 20, "a repository's content"},
}
