package openclaw

import (
	"context"
	"fmt"
	"io/fs"
	"iter"
	"path"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/json5"
	"github.com/clawbook/openclaw-ir/internal/secret"
	"github.com/clawbook/openclaw-ir/internal/sqlite"
)

// secretFiles are where an installation keeps secrets in files (FACTS 10), below the state directory unless they
// begin with ~. A directory stands for the files in it, down to three levels.
var secretFiles = []struct {
	path string
	read func(*secretReader, string, []byte)
}{
	{".env", (*secretReader).env},
	{"gateway.systemd.env", (*secretReader).env},
	{"node.systemd.env", (*secretReader).env},
	{"service-env", (*secretReader).env},
	{"~/.config/openclaw", (*secretReader).env},
	{"credentials", (*secretReader).store},
	{"identity", (*secretReader).store},
	{"devices", (*secretReader).store},
	{"nodes", (*secretReader).store},
	{"exec-approvals.json", (*secretReader).store},
	{"rescue.json", (*secretReader).store},
}

// secretColumns are where it keeps them in databases (FACTS 6). JSON is searched by its keys; any other text is
// a secret as a whole.
var secretColumns = []struct{ table, column string }{
	{"device_pairing_paired", "tokens_json"},
	{"device_identities", "private_key_pem"},
	{"device_auth_tokens", "token"},
	{"device_bootstrap_tokens", "token"},
	{"device_pairing_join_codes", "shortcode"},
	{"gateway_origin_device_tokens", "token"},
	{"node_pairing_paired", "token"},
	{"native_hook_relay_bridges", "token"},
	{"secret_store_entries", "value"},
	{"config_machine_state", "value_json"},
	{"mcp_oauth_stores", "store_json"},
	{"exec_approvals_config", "raw_json"},
	{"apns_registrations", "token"},
	{"web_push_vapid_keys", "private_key"},
	{"auth_profile_stores", "store_json"},
	{"auth_profile_store", "store_json"},
	{"auth_profile_state", "state_json"},
	{"node_host_config", "token"},
}

// Secrets adds every secret the installation holds to set: those of its config and all earlier versions of it, of
// environment files, credential stores and databases. What cannot be read is a gap: a secret in it would be
// known by its format only.
func (in *Installation) Secrets(ctx context.Context, fsys fs.FS, set *secret.Set) []Gap {
	r := &secretReader{fsys: fsys, set: set}
	for i, v := range in.Config.Texts {
		set.AddAll(in.Config.Files[i], secret.FromConfig(v))
	}
	r.dir(in.StateDir, 0, func(r *secretReader, file string, text []byte) {
		if isConfigVersion(path.Base(file)) {
			r.store(file, text)
		}
	}, isConfigVersion)
	for _, f := range secretFiles {
		name := tilde(f.path, in.Home)
		if !path.IsAbs(name) {
			name = path.Join(in.StateDir, name)
		}
		r.dir(name, 3, f.read, nil)
	}
	r.database(ctx, in.StateDB())
	for _, a := range in.Agents {
		r.dir(a.Dir, 1, (*secretReader).store, func(name string) bool { return strings.Contains(name, ".json") })
		r.database(ctx, a.Database)
	}
	return r.gaps
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

type secretReader struct {
	fsys fs.FS
	set  *secret.Set
	gaps []Gap
}

// dir reads a file, or the files of a directory that names admits, down to depth levels. Links are not followed.
func (r *secretReader) dir(name string, depth int, read func(*secretReader, string, []byte), names func(string) bool) {
	entries, err := fs.ReadDir(r.fsys, FSName(name))
	if err != nil {
		text, gaps := readSmall(r.fsys, name)
		if r.gaps = append(r.gaps, gaps...); text != nil {
			read(r, name, text)
		}
		return
	}
	for _, e := range entries {
		file := path.Join(name, e.Name())
		switch {
		case e.IsDir() && depth > 0:
			r.dir(file, depth-1, read, names)
		case e.Type().IsRegular() && (names == nil || names(e.Name())):
			text, gaps := readSmall(r.fsys, file)
			r.gaps = append(r.gaps, gaps...)
			read(r, file, text)
		}
	}
}

func (r *secretReader) env(file string, text []byte) {
	r.set.AddAll(file, secret.FromEnv(text))
}

// store reads a JSON file, or a file that is nothing but one secret.
func (r *secretReader) store(file string, text []byte) {
	if path.Ext(file) == ".secret" || path.Ext(file) == ".key" {
		r.set.Add(string(text), file)
		return
	}
	r.text(file, string(text))
}

func (r *secretReader) text(origin, text string) {
	if v, err := json5.Parse([]byte(text)); err == nil && (v.Kind == json5.Object || v.Kind == json5.Array) {
		r.set.AddAll(origin, secret.FromConfig(v))
		return
	}
	r.set.AddAll(origin, secret.FromEnv([]byte(text)))
}

func (r *secretReader) database(ctx context.Context, file string) {
	_, err := OpenDatabaseFunc(r.fsys, file, func(d *Database) error {
		for _, c := range secretColumns {
			if !d.Has(c.table, c.column) {
				continue
			}
			origin := fmt.Sprintf("%s %s.%s", file, c.table, c.column)
			if err := r.column(d.Query(ctx, fmt.Sprintf("SELECT %s FROM %s", c.column, c.table)), origin); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		r.gaps = append(r.gaps, Gap{Path: file, What: "reading its secrets: " + err.Error()})
	}
}

func (r *secretReader) column(rows iter.Seq2[*sqlite.Row, error], origin string) error {
	for row, err := range rows {
		if err != nil {
			return err
		}
		text := string(row.Text(0))
		if strings.HasPrefix(strings.TrimSpace(text), "{") || strings.HasPrefix(text, "-----BEGIN") {
			r.text(origin, text)
		} else {
			r.set.Add(text, origin)
		}
	}
	return nil
}
