package stores

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/json5"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// An AllowEntry is somebody who may write to the agent, may command it, or asked to.
type AllowEntry struct {
	Kind    string    `json:"kind"`              // allow, owner or request
	Channel string    `json:"channel,omitempty"` // telegram, whatsapp, …
	Account string    `json:"account,omitempty"` // the channel's account; "" for its only one
	Entry   string    `json:"entry"`             // the sender, as the channel names them; "*" is everybody
	Since   time.Time `json:"since,omitzero"`    // UTC: when it was last written, or asked
	Where   string    `json:"where"`
	Config  bool      `json:"config,omitempty"` // of the config, which [ResetPairing] leaves alone
}

// The endings of the files of 2026.1 to 2026.7 in the directory of credentials. Before the ending stands the channel,
// and since 2026.2.26 its account.
const (
	allowEnding = "-allowFrom.json"
	pairEnding  = "-pairing.json"
)

// credentials returns the directories where the files of pairing lie.
func credentials(in *openclaw.Installation) []string {
	dirs := []string{path.Join(in.StateDir, "credentials")}
	for _, u := range in.Units {
		if dir := inHome(in, strings.TrimSpace(u.Env["OPENCLAW_OAUTH_DIR"])); dir != "" && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// Allowed lists the senders whom the stores and the config let in, those who may command the agent, and those who
// asked to be let in. A pairing code is not told.
func Allowed(ctx context.Context, fsys fs.FS, in *openclaw.Installation) (entries []AllowEntry, gaps []openclaw.Gap) {
	gaps = readDatabase(fsys, in.StateDB(), func(d *openclaw.Database) error {
		for _, q := range allowQueries {
			if !d.Has(q.table, q.columns...) {
				continue
			}
			found, more, err := q.entries(ctx, d)
			entries, gaps = append(entries, found...), append(gaps, more...)
			if err != nil {
				return err
			}
		}
		return nil
	})
	for _, dir := range credentials(in) {
		found, more := allowFiles(fsys, dir)
		entries, gaps = append(entries, found...), append(gaps, more...)
	}
	for _, e := range AllowedBy(in.Config) {
		e.Where = in.ConfigPath
		entries = append(entries, e)
	}
	return entries, gaps
}

// An allowQuery reads one of the two tables of 2026.7 on. Its columns are channel, account, sender and time.
type allowQuery struct {
	kind, table string
	columns     []string
	done        string
}

var allowQueries = []allowQuery{
	{"allow", "channel_pairing_allow_entries", []string{"channel_key", "account_id", "entry", "updated_at"}, "allowed senders removed"},
	{"request", "channel_pairing_requests", []string{"channel_key", "account_id", "request_id", "created_at"}, "senders' requests removed"},
}

func (q allowQuery) entries(ctx context.Context, d *openclaw.Database) (found []AllowEntry, gaps []openclaw.Gap, err error) {
	var columns []string
	for _, c := range q.columns {
		columns = append(columns, fmt.Sprintf("substr(%s, 1, %d)", c, longest))
	}
	sql := fmt.Sprintf("SELECT %s FROM %s NOT INDEXED LIMIT %d", strings.Join(columns, ", "), q.table, shown+1)
	for row, err := range d.Query(ctx, sql) {
		if err != nil {
			return found, gaps, err
		}
		if len(found) == shown {
			return found, append(gaps, tooMany(d.Path, q.table)), nil
		}
		since := millis(float64(row.Int(3)))
		if t, err := time.Parse(time.RFC3339, string(row.Text(3))); err == nil {
			since = t.UTC()
		}
		found = append(found, AllowEntry{Kind: q.kind, Channel: string(row.Text(0)), Account: string(row.Text(1)), Entry: string(row.Text(2)), Since: since, Where: d.Path})
	}
	return found, gaps, nil
}

// allowFiles reads the files of one directory of credentials.
func allowFiles(fsys fs.FS, dir string) (entries []AllowEntry, gaps []openclaw.Gap) {
	for _, ending := range []string{allowEnding, pairEnding} {
		names, more := list(fsys, dir, ending)
		gaps = append(gaps, more...)
		for i, name := range names {
			if i == shown {
				gaps = append(gaps, tooMany(dir, "its files"))
				break
			}
			found, more := allowFile(fsys, path.Join(dir, name), strings.TrimSuffix(name, ending))
			entries, gaps = append(entries, found...), append(gaps, more...)
		}
	}
	return entries, gaps
}

func allowFile(fsys fs.FS, file, stem string) (entries []AllowEntry, gaps []openclaw.Gap) {
	root, gaps := parseFile(fsys, file)
	channel, account, _ := strings.Cut(stem, "-")
	for _, e := range elements(root, "allowFrom") {
		entry := e.Str
		if e.Kind == json5.Number {
			entry = fmt.Sprintf("%.0f", e.Num)
		}
		entries = append(entries, AllowEntry{Kind: "allow", Channel: short(channel), Account: short(account), Entry: short(entry), Where: file})
	}
	for _, e := range elements(root, "requests") {
		since, _ := time.Parse(time.RFC3339, text(e, "createdAt"))
		entries = append(entries, AllowEntry{Kind: "request", Channel: short(stem), Account: short(text(e, "meta", "accountId")), Entry: short(text(e, "id")), Since: since.UTC(), Where: file})
	}
	if len(entries) > shown {
		return entries[:shown], append(gaps, tooMany(file, "its entries"))
	}
	return entries, gaps
}

func elements(root *json5.Value, name string) []*json5.Value {
	if v := root.Get(name); v != nil {
		return v.Elements
	}
	return nil
}

// AllowedBy lists whom one version of the config lets in: who may command the agent, and each channel's and account's allow
// list. Where is empty.
func AllowedBy(c *openclaw.Config) (entries []AllowEntry) {
	add := func(kind, channel, account string, names ...string) {
		values, _ := c.Get(names...).([]any)
		for _, v := range values {
			if n, ok := v.(float64); ok {
				v = fmt.Sprintf("%.0f", n)
			}
			if s, ok := v.(string); ok {
				entries = append(entries, AllowEntry{Kind: kind, Channel: channel, Account: account, Entry: short(s), Config: true})
			}
		}
	}
	add("owner", "", "", "commands", "ownerAllowFrom")
	channels, _ := c.Get("channels").(map[string]any)
	for _, name := range sorted(channels) {
		for _, key := range []string{"allowFrom", "groupAllowFrom"} {
			add("allow", name, "", "channels", name, key)
			accounts, _ := c.Get("channels", name, "accounts").(map[string]any)
			for _, account := range sorted(accounts) {
				add("allow", name, account, "channels", name, "accounts", account, key)
			}
		}
	}
	return entries
}

// ResetPairing removes every sender whom the stores of this machine's installation let in, and every request. The
// gateway must be dead. Lists in the config stay.
func ResetPairing(ctx context.Context, owner host.Owner, in *openclaw.Installation) ([]Done, error) {
	var r results
	r.add(emptyTables(ctx, owner, in.StateDB(), allowQueries, func(q allowQuery) (string, string) { return q.table, q.done }))
	for _, dir := range credentials(in) {
		r.add(resetDirectory(owner, dir))
	}
	return r.all()
}

func resetDirectory(owner host.Owner, dir string) ([]Done, error) {
	var names []string
	err := host.AsAt(owner, path.Join(dir, "*"), func() error {
		entries, err := os.ReadDir(dir)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		if openclaw.IsAbsent(err) {
			return nil
		}
		return err
	})
	r := results{errs: []error{err}}
	for _, name := range names {
		file := path.Join(dir, name)
		if strings.HasSuffix(name, allowEnding) {
			r.add(changeFile(owner, file, "allowed senders removed", emptyList("allowFrom")))
		}
		if strings.HasSuffix(name, pairEnding) {
			r.add(changeFile(owner, file, "senders' requests removed", emptyList("requests")))
		}
	}
	return r.done, errors.Join(r.errs...)
}

// emptyList empties a list in an object. A text that is no such object is replaced by one: whom it lets in is not known.
func emptyList(name string) func([]byte) ([]byte, int, error) {
	return func(b []byte) ([]byte, int, error) {
		root, err := json5.Parse(b)
		if err != nil || root.Kind != json5.Object {
			return []byte(`{"version": 1, "` + name + `": []}` + "\n"), 1, nil
		}
		n := 0
		for _, m := range root.Members {
			if m.Key == name {
				n += max(len(m.Value.Elements), len(m.Value.Members))
			}
		}
		if n == 0 {
			return b, 0, nil
		}
		return splice(b, set(root, name, "[]")), n, nil
	}
}
