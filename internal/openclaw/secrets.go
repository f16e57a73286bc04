package openclaw

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/json5"
	"github.com/clawbook/openclaw-ir/internal/secret"
	"github.com/clawbook/openclaw-ir/internal/sqlite"
)

// A HeldSecret is one secret at one of the places that hold it.
type HeldSecret struct {
	// Value is the secret itself, for a [secret.Set] and nothing else. It is empty where something is known to hold
	// secrets and is not read: a password store, a browser's profile.
	Value string
	SecretPlace
}

// A SecretPlace is where a secret lies. All strings but Agent may hold hostile text.
type SecretPlace struct {
	File   string   // absolute path on the host of the file, the database or the directory
	Table  string   // of a database: table.column
	Row    string   // of a database: the columns that name the row, between slashes
	Path   []string // names that lead to the string within the text; a variable's name
	Agent  string   // the agent whose directory it lies in
	Former bool     // in an old copy: a backup, what a migration left, a row that is marked as deleted
}

// String renders the place as "file table.column[row]: path.to.name".
func (p SecretPlace) String() string {
	s := p.File
	if p.Table != "" {
		s += " " + p.Table
	}
	if p.Row != "" {
		s += "[" + p.Row + "]"
	}
	if len(p.Path) > 0 {
		s += ": " + strings.Join(p.Path, ".")
	}
	return s
}

// A secretFile is a file, or a directory of them, that holds secrets.
type secretFile struct {
	// path is below the state directory, or after ~/ the home, or after workspace/ every agent's workspace, or after / the host's
	// root; USER is the account. One that ends in a slash is a directory without those in it.
	path  string
	read  func(*secretReader, string, []byte)
	names func(string) bool // which files of a directory; nil is all
}

// secretFiles are where an installation keeps secrets in files (FACTS 10), and where programs of the account it runs as
// keep theirs: the agent could read those as well. A directory stands for the files in it, down to three levels. The agent writes
// down what it is told in its notes, and runs with what the shell's history shows.
var secretFiles = []secretFile{
	{".env", (*secretReader).env, nil},
	{"gateway.systemd.env", (*secretReader).env, nil},
	{"node.systemd.env", (*secretReader).env, nil},
	{"service-env", (*secretReader).env, nil},
	{"~/.config/openclaw", (*secretReader).env, nil},
	{"./", (*secretReader).store, func(name string) bool { return isJSONName(name) && !isConfigVersion(name) }},
	{"credentials", (*secretReader).store, nil},
	{"identity", (*secretReader).store, nil},
	{"devices", (*secretReader).store, nil},
	{"nodes", (*secretReader).store, nil},
	{"push", (*secretReader).store, isJSONName},
	{"settings", (*secretReader).store, isJSONName},
	{"mcp-oauth", (*secretReader).store, isJSONName},
	{"matrix", (*secretReader).store, isJSONName},
	{"agent", (*secretReader).store, isJSONName},
	{"cron/", (*secretReader).store, func(name string) bool { return strings.HasPrefix(name, "jobs.json") }},
	{"skills", (*secretReader).settings, isSettings},
	{"extensions", (*secretReader).settings, isSettings},
	{"hooks", (*secretReader).settings, isSettings},
	{"cache/shell-snapshots", (*secretReader).script, nil},
	{"browser", nil, nil},
	{"workspace/", (*secretReader).settings, isSettings},
	{"workspace/", (*secretReader).notes, isNotes},
	{"workspace/memory", (*secretReader).notes, isNotes},
	{"workspace/skills", (*secretReader).settings, isSettings},
	{"workspace/.git/config", (*secretReader).script, nil},
	{"workspace/config/mcporter.json", (*secretReader).store, nil},

	{"~/.ssh", (*secretReader).privateKey, nil},
	{"~/.aws", (*secretReader).sections, nil},
	{"~/.config/gcloud", (*secretReader).store, isJSONName},
	{"~/.config/gcloud/credentials.db", nil, nil},
	{"~/.azure", (*secretReader).store, isJSONName},
	{"~/.kube/config", (*secretReader).yaml, nil},
	{"~/.docker/config.json", (*secretReader).docker, nil},
	{"~/.config/gh/hosts.yml", (*secretReader).yaml, nil},
	{"~/.config/glab-cli/config.yml", (*secretReader).yaml, nil},
	{"~/.config/doctl/config.yaml", (*secretReader).yaml, nil},
	{"~/.fly/config.yml", (*secretReader).yaml, nil},
	{"~/.config/hcloud/cli.toml", (*secretReader).sections, nil},
	{"~/.config/.wrangler/config/default.toml", (*secretReader).sections, nil},
	{"~/.wrangler/config/default.toml", (*secretReader).sections, nil},
	{"~/.terraform.d/credentials.tfrc.json", (*secretReader).store, nil},
	{"~/.config/rclone/rclone.conf", (*secretReader).sections, nil},
	{"~/.netrc", (*secretReader).netrc, nil},
	{"~/.git-credentials", (*secretReader).urls, nil},
	{"~/.config/git/credentials", (*secretReader).urls, nil},
	{"~/.npmrc", (*secretReader).env, nil},
	{"~/.yarnrc.yml", (*secretReader).yaml, nil},
	{"~/.gitconfig", (*secretReader).script, nil},
	{"~/.config/git/config", (*secretReader).script, nil},
	{"~/.curlrc", (*secretReader).curlrc, nil},
	{"~/.wgetrc", (*secretReader).script, nil},
	{"~/.msmtprc", (*secretReader).spaced, nil},
	{"~/.s3cfg", (*secretReader).sections, nil},
	{"~/.cloudflared", (*secretReader).settings, nil},
	{"~/.config/hub", (*secretReader).yaml, nil},
	{"~/.config/ngrok/ngrok.yml", (*secretReader).yaml, nil},
	{"~/.ngrok2/ngrok.yml", (*secretReader).yaml, nil},
	{"~/.pypirc", (*secretReader).sections, nil},
	{"~/.cargo/credentials.toml", (*secretReader).sections, nil},
	{"~/.cargo/credentials", (*secretReader).sections, nil},
	{"~/.gem/credentials", (*secretReader).yaml, nil},
	{"~/.pgpass", (*secretReader).pgpass, nil},
	{"~/.my.cnf", (*secretReader).sections, nil},
	{"~/.vault-token", (*secretReader).whole, nil},
	{"~/.cache/huggingface/token", (*secretReader).whole, nil},
	{"~/.claude.json", (*secretReader).store, nil},
	{"~/.claude/.credentials.json", (*secretReader).store, nil},
	{"~/.claude/", (*secretReader).store, func(name string) bool { return strings.HasPrefix(name, "settings") && isJSONName(name) }},
	{"~/.codex/auth.json", (*secretReader).store, nil},
	{"~/.codex/config.toml", (*secretReader).sections, nil},
	{"~/.gemini/", (*secretReader).settings, isSettings},
	{"~/.cursor/mcp.json", (*secretReader).store, nil},
	{"~/.config/opencode/", (*secretReader).store, isJSONName},
	{"~/.gemini/oauth_creds.json", (*secretReader).store, nil},
	{"~/.qwen/oauth_creds.json", (*secretReader).store, nil},
	{"~/.config/github-copilot", (*secretReader).store, isJSONName},
	{"~/.local/share/opencode/auth.json", (*secretReader).store, nil},
	{"~/.mcporter", (*secretReader).store, isJSONName},
	{"~/.config/moltbook", (*secretReader).store, isJSONName},
	{"~/.config/clawhub/config.json", (*secretReader).store, nil},
	{"~/.config/environment.d", (*secretReader).env, nil},
	{"~/.bashrc", (*secretReader).script, nil},
	{"~/.bash_profile", (*secretReader).script, nil},
	{"~/.profile", (*secretReader).script, nil},
	{"~/.zshrc", (*secretReader).script, nil},
	{"~/.zshenv", (*secretReader).script, nil},
	{"~/.zprofile", (*secretReader).script, nil},
	{"~/.bash_history", (*secretReader).script, nil},
	{"~/.zsh_history", (*secretReader).script, nil},
	{"~/.local/share/fish/fish_history", (*secretReader).script, nil},
	{"~/", (*secretReader).env, func(name string) bool { return strings.HasPrefix(name, ".env") }},
	{"/etc/environment", (*secretReader).env, nil},
	{"/etc/openclaw", (*secretReader).settings, nil},
	{"/etc/default/", (*secretReader).env, func(name string) bool { return strings.HasPrefix(name, "openclaw") }},
	{"/etc/crontab", (*secretReader).script, nil},
	{"/etc/cron.d/", (*secretReader).script, nil},
	{"/var/spool/cron/crontabs/USER", (*secretReader).script, nil},
	{"/var/spool/cron/USER", (*secretReader).script, nil},
	{"~/.gnupg/private-keys-v1.d", nil, nil},
	{"~/.password-store", nil, nil},
	{"~/.local/share/keyrings", nil, nil},
	{"~/.config/op", nil, nil},
	{"~/.config/Bitwarden CLI", nil, nil},
	{"~/.config/gogcli", nil, nil},
	{"~/.local/share/signal-cli/data", nil, nil},
	{"~/.mozilla/firefox", nil, nil},
	{"~/.config/google-chrome", nil, nil},
	{"~/.config/chromium", nil, nil},
	{"~/.config/BraveSoftware", nil, nil},
	{"~/Library/Keychains", nil, nil},
}

func isJSONName(name string) bool { return strings.Contains(name, ".json") }

// isSettings reports the names under which skills, plugins, hooks and projects keep secrets.
func isSettings(name string) bool {
	return strings.HasPrefix(name, ".env") || slices.Contains(settingsNames, name)
}

var settingsNames = strings.Fields("config.json secrets.json credentials.json settings.json .mcp.json .npmrc .netrc config.toml config.yaml config.yml")

func isNotes(name string) bool {
	return strings.HasSuffix(name, ".md") || strings.HasSuffix(name, ".txt")
}

// A secretColumn is where an installation keeps secrets in databases (FACTS 6). JSON is searched by its keys; any other
// text is a secret as a whole.
type secretColumn struct {
	table, column string
	row           []string // the columns that name the row
	where         string   // of a table that holds other things too
}

var secretColumns = []secretColumn{
	{"device_pairing_paired", "tokens_json", []string{"device_id"}, ""},
	{"device_identities", "private_key_pem", []string{"identity_key"}, ""},
	{"device_auth_tokens", "token", []string{"device_id", "role"}, ""},
	{"device_bootstrap_tokens", "token", nil, ""},
	{"device_pairing_join_codes", "shortcode", nil, ""},
	{"gateway_origin_device_tokens", "token", []string{"device_id", "role"}, ""},
	{"node_pairing_paired", "token", []string{"node_id"}, ""},
	{"native_hook_relay_bridges", "token", []string{"relay_id"}, ""},
	{"secret_store_entries", "value", []string{"scope_kind", "scope_id", "name"}, ""},
	{"config_machine_state", "value_json", []string{"state_key"}, "value_json LIKE '{%'"},
	{"mcp_oauth_stores", "store_json", []string{"store_key"}, ""},
	{"exec_approvals_config", "raw_json", nil, ""},
	{"apns_registrations", "token", []string{"node_id"}, ""},
	{"web_push_vapid_keys", "private_key", []string{"key_id"}, ""},
	{"web_push_subscriptions", "auth", nil, ""},
	{"auth_profile_stores", "store_json", nil, ""},
	{"auth_profile_store", "store_json", nil, ""},
	{"auth_profile_state", "state_json", nil, ""},
	{"node_host_config", "token", nil, ""},
	// Plugins keep all sorts of things here; what people wrote in a chat is not the installation's secret.
	{
		"plugin_state_entries", "value_json",
		[]string{"plugin_id", "namespace", "entry_key"},
		"namespace LIKE '%credential%' OR namespace LIKE '%recovery-key%' OR namespace LIKE '%auth%' OR namespace LIKE '%token%'",
	},
}

// tellingColumns hold settings and messages of all sorts, and in them now and then a secret. Each is read by its keys.
var tellingColumns = []secretColumn{
	{"cron_jobs", "job_json", []string{"job_id"}, ""},
	{"delivery_queue_entries", "entry_json", []string{"id"}, ""},
	{"worker_environments", "profile_snapshot_json", []string{"environment_id"}, ""},
	{"sandbox_registry_entries", "entry_json", []string{"container_name"}, ""},
	{"claw_mcp_server_refs", "server_json", nil, ""},
}

// HoldsSecrets reports the tables that are made to hold secrets: the others hold one only because it was told.
func HoldsSecrets(table string) bool {
	return slices.ContainsFunc(secretColumns, func(c secretColumn) bool { return c.table == table })
}

// deletedColumn marks a row that is only hidden until it is purged 30 days later (FACTS 10).
const deletedColumn = "deleted_at_ms"

// Secrets adds every secret the installation holds to set: see [Installation.Held]. What cannot be read is a gap: a
// secret in it would be known by its format only.
func (in *Installation) Secrets(ctx context.Context, fsys fs.FS, set *secret.Set) []Gap {
	return in.Held(ctx, fsys, func(h HeldSecret) { set.Add(h.Value, h.String()) })
}

// Held hands every secret within the reach of the installation to yield, once for each place: those of its config and
// all earlier versions of it, of the service's definition, of environment files, credential stores and databases, and
// what other programs of the same account keep in its home. The order is the same in every run. What cannot be read is a gap.
func (in *Installation) Held(ctx context.Context, fsys fs.FS, yield func(HeldSecret)) []Gap {
	r := &secretReader{fsys: fsys, yield: yield, left: maxSecretFiles}
	r.config(in)
	for i := range in.Units {
		r.unit(&in.Units[i])
	}
	for _, f := range secretFiles {
		for _, place := range f.places(in) {
			r.at = SecretPlace{Agent: place.agent}
			r.path(place.path, f)
		}
	}
	r.named(in)
	r.at = SecretPlace{}
	r.database(ctx, in.StateDB())
	for _, a := range in.Agents {
		r.at = SecretPlace{Agent: a.ID}
		r.dir(a.Dir, 1, (*secretReader).settings, func(name string) bool { return isJSONName(name) || isSettings(name) })
		r.database(ctx, a.Database)
	}
	return r.gaps
}

// An agentPlace is a place and the agent it belongs to; "" if none.
type agentPlace struct{ path, agent string }

// places returns where the file lies: for the workspace's, in each agent's.
func (f *secretFile) places(in *Installation) (found []agentPlace) {
	if rest, ok := strings.CutPrefix(f.path, "workspace/"); ok {
		for _, a := range in.Agents {
			found = append(found, agentPlace{path.Join(a.Workspace, rest), a.ID})
		}
		return found
	}
	if strings.HasPrefix(f.path, "/") {
		if strings.Contains(f.path, "USER") && (in.User == "" || strings.Contains(in.User, "/")) {
			return nil
		}
		return []agentPlace{{path: path.Clean(strings.ReplaceAll(f.path, "USER", in.User))}}
	}
	if !strings.HasPrefix(f.path, "~") {
		return []agentPlace{{path: path.Join(in.StateDir, f.path)}}
	}
	if !path.IsAbs(in.Home) || in.Home == "/" {
		return nil
	}
	return []agentPlace{{path: tilde(f.path, in.Home)}}
}

// copyMarks are what OpenClaw, its doctor and people put behind the name of a file that is an earlier version
// (FACTS 2 and 11).
var copyMarks = strings.Fields(".bak .last-good .rejected .clobbered .migrated .doctor-importing .pre-startup-migration .imported .old .orig .save .tmp")

// IsOldCopy reports the names of files and directories that are an earlier version of another:
// openclaw.json.bak.1, auth-profiles.json.migrated-<time>, creds.json.bak.
func IsOldCopy(name string) bool {
	if strings.HasSuffix(name, "~") {
		return true
	}
	for _, mark := range copyMarks {
		if i := strings.LastIndex(name, mark); i > 0 {
			if rest := name[i+len(mark):]; rest == "" || rest[0] == '.' || rest[0] == '-' {
				return true
			}
		}
	}
	return false
}

// isConfigVersion reports the names of the config and of every copy OpenClaw leaves beside it.
func isConfigVersion(name string) bool {
	for _, base := range configNames {
		if strings.HasPrefix(name, base) {
			return true
		}
	}
	return false
}

// maxSecretFiles bounds how many files are searched for secrets. A WhatsApp session has some thousands.
const maxSecretFiles = 50_000

// maxHeld bounds how many places of secrets are told. A Set needs some kilobytes for each.
const maxHeld = 50_000

type secretReader struct {
	fsys  fs.FS
	yield func(HeldSecret)
	at    SecretPlace // of what is being read
	left  int         // files that may still be read
	held  int         // places that were told
	gaps  []Gap
}

func (r *secretReader) gap(file, what string) { r.gaps = append(r.gaps, Gap{Path: file, What: what}) }

// config reads the config with its includes, as parsed, and the versions that lie beside it.
func (r *secretReader) config(in *Installation) {
	for i, v := range in.Config.Texts {
		r.at = SecretPlace{File: in.Config.Files[i]}
		r.found(secret.FromConfig(v))
		r.file(in.Config.Files[i], (*secretReader).remarks)
	}
	r.at = SecretPlace{}
	read := func(r *secretReader, file string, text []byte) {
		if !slices.Contains(in.Config.Files, file) {
			r.store(file, text)
		}
	}
	r.dir(in.StateDir, 0, read, isConfigVersion)
	if dir, base := path.Split(in.ConfigPath); path.Clean(dir) != in.StateDir {
		r.dir(path.Clean(dir), 0, read, func(name string) bool { return strings.HasPrefix(name, base) })
	}
}

// path reads one of secretFiles. What has no reader is only told to be there.
func (r *secretReader) path(name string, f secretFile) {
	if f.read != nil {
		depth := 3
		if strings.HasSuffix(f.path, "/") {
			depth = 0
		}
		r.dir(name, depth, f.read, f.names)
		return
	}
	_, err := fs.Stat(r.fsys, FSName(name))
	if r.gaps = append(r.gaps, readGap(name, err)...); err == nil {
		r.at.File = name
		r.yield(HeldSecret{SecretPlace: r.at})
	}
}

// dir reads a file, or the files of a directory that names admits, down to depth levels. A link to a file is read as the file; what is
// neither a file nor leads to one is a gap.
func (r *secretReader) dir(name string, depth int, read func(*secretReader, string, []byte), names func(string) bool) {
	entries, err := fs.ReadDir(r.fsys, FSName(name))
	if err != nil {
		r.file(name, read)
		return
	}
	former := r.at.Former
	for _, e := range entries {
		file := path.Join(name, e.Name())
		r.at.Former = former || IsOldCopy(e.Name())
		switch {
		case e.IsDir() && depth > 0 && e.Name() != "node_modules":
			r.dir(file, depth-1, read, names)
		case !e.IsDir() && (names == nil || names(e.Name())):
			r.file(file, read)
		}
	}
	r.at.Former = former
}

func (r *secretReader) file(name string, read func(*secretReader, string, []byte)) {
	if r.left--; r.left < 0 {
		if r.left == -1 {
			r.gap(name, fmt.Sprintf("more than %d files may hold secrets; this one and those after it were not read", maxSecretFiles))
		}
		return
	}
	text, gaps := readSmall(r.fsys, name)
	if r.gaps = append(r.gaps, gaps...); text != nil {
		r.at.File = name
		read(r, name, text)
	}
}

// fileKeys are the config's names for a file that holds a secret.
var fileKeys = strings.Fields("tokenFile botTokenFile secretFile passwordFile serviceAccountFile credentialsFile keyFile apiKeyFile webhookSecretFile " +
	"keyPath privateKeyPath identityFile tokenPath secretPath passwordPath")

// named reads the files that the config says hold secrets: channels' tokenFile and its like, and the paths of
// secrets.providers. Who can write the config could name any file, so only those below the account's home and the
// state directory are read.
func (r *secretReader) named(in *Installation) {
	seen := map[string]bool{}
	for i, v := range in.Config.Texts {
		v.Walk(func(at []string, v *json5.Value) bool {
			n := len(at)
			isPath := n > 0 && (slices.Contains(fileKeys, at[n-1]) || n == 4 && at[0] == "secrets" && at[1] == "providers" && at[3] == "path")
			if !isPath || v.Kind != json5.String || v.Str == "" {
				return true
			}
			file := tilde(v.Str, in.Home)
			if !path.IsAbs(file) {
				file = path.Join(path.Dir(in.Config.Files[i]), file)
			}
			if file = path.Clean(file); !seen[file] {
				seen[file] = true
				r.namedFile(in, file, strings.Join(at, "."))
			}
			return true
		})
	}
}

func (r *secretReader) namedFile(in *Installation, file, by string) {
	if !below(file, in.Home) && !below(file, in.StateDir) {
		r.gap(file, fmt.Sprintf("the config says at %q that it holds a secret, but it lies outside the account's home; not read", by))
		return
	}
	r.at = SecretPlace{}
	r.file(file, func(r *secretReader, file string, text []byte) {
		r.at.Path = strings.Split(by, ".")
		if one := strings.TrimSpace(string(text)); isOneWord(one) {
			r.value(one)
		} else if v, err := json5.Parse(text); err == nil && strings.HasPrefix(by, "secrets.") {
			r.found(secret.FromVault(v))
		} else {
			r.store(file, text)
		}
		r.at.Path = nil
	})
}

// below reports whether a path lies in dir, which may be "".
func below(name, dir string) bool { return dir != "" && dir != "/" && strings.HasPrefix(name, dir+"/") }

func (r *secretReader) database(ctx context.Context, file string) {
	at := r.at
	_, err := OpenDatabaseFunc(r.fsys, file, func(d *Database) error {
		for _, c := range slices.Concat(secretColumns, tellingColumns) {
			r.at = at
			if err := r.column(ctx, d, &c); err != nil {
				return err
			}
		}
		return nil
	})
	r.at = at
	if err != nil {
		r.gap(file, "reading its secrets: "+err.Error())
	}
}

// column reads one column: of each row the secret, when it was deleted and what names it.
func (r *secretReader) column(ctx context.Context, d *Database, c *secretColumn) error {
	if !d.Has(c.table, c.column) {
		return nil
	}
	query := fmt.Sprintf("SELECT %s, %s, %s", c.column, d.Column(c.table, deletedColumn, "NULL"), d.Column(c.table, "kind", "NULL"))
	for _, name := range c.row {
		query += ", " + d.Column(c.table, name, "NULL")
	}
	query += " FROM " + c.table + " NOT INDEXED"
	if c.where != "" {
		query += " WHERE " + c.where
	}
	r.at.File, r.at.Table = d.Path, c.table+"."+c.column
	for row, err := range d.Query(ctx, query) {
		if err != nil {
			return err
		}
		r.at.Former = !row.Null(1)
		r.at.Row = rowName(row, 3, len(c.row))
		r.cell(c, string(row.Text(2)), string(row.Text(0)))
	}
	return nil
}

// cell reads a row's text. A row of the secret store of the kind "env" is a variable, which may be harmless.
func (r *secretReader) cell(c *secretColumn, kind, text string) {
	trimmed := strings.TrimSpace(text)
	switch {
	case strings.HasPrefix(trimmed, "{"), strings.HasPrefix(trimmed, "-----BEGIN"):
		r.text(text)
	case kind == "env" && c.table == "secret_store_entries":
		r.found(secret.FromEnv([]byte(path.Base(r.at.Row) + "=" + trimmed)))
	default:
		r.value(trimmed)
	}
}

// maxRowName bounds the name of a row, in bytes.
const maxRowName = 256

func rowName(row *sqlite.Row, first, n int) string {
	var parts []string
	for i := range n {
		if text := row.Text(first + i); len(text) > 0 && len(text) <= maxRowName {
			parts = append(parts, string(text))
		}
	}
	return strings.Join(parts, "/")
}
