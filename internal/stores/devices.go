package stores

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/json5"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/sqlite"
)

// A Device is something that may connect to the gateway, or asked to. It never holds the token.
type Device struct {
	Kind     string    `json:"kind"` // device, node, request, node-request, bootstrap-token, join-code or setup
	ID       string    `json:"id"`   // "" where the id is the secret
	Name     string    `json:"name,omitempty"`
	Platform string    `json:"platform,omitempty"`
	Role     string    `json:"role,omitempty"` // operator, node
	Approved string    `json:"approved_via,omitempty"`
	RemoteIP string    `json:"remote_ip,omitempty"`
	Since    time.Time `json:"since,omitzero"`     // UTC: approved, asked or issued
	LastSeen time.Time `json:"last_seen,omitzero"` // UTC
	Where    string    `json:"where"`
}

// A deviceTable is a table of the shared database whose every row lets something in. The strings are SQL, of columns
// that need not be there.
type deviceTable struct {
	kind, table, id                                     string
	name, platform, role, approved, ip, since, lastSeen string
	done                                                string
}

// deviceTables are those of 2026.6 on. The tokens of this host's own client at other gateways (device_auth_tokens,
// gateway_origin_device_tokens) are not among them.
var deviceTables = []deviceTable{
	{
		kind: "device", table: "device_pairing_paired", id: "device_id", name: "display_name", platform: "platform", role: "role",
		approved: "approved_via", ip: "remote_ip", since: "approved_at_ms", lastSeen: "last_seen_at_ms", done: "paired devices removed",
	},
	{
		kind: "request", table: "device_pairing_pending", id: "request_id", name: "display_name", platform: "platform", role: "role",
		ip: "remote_ip", since: "ts", done: "pairing requests removed",
	},
	{kind: "bootstrap-token", table: "device_bootstrap_tokens", id: "device_id", since: "issued_at_ms", lastSeen: "last_used_at_ms", done: "bootstrap tokens removed"},
	{kind: "join-code", table: "device_pairing_join_codes", since: "created_at_ms", done: "join codes removed"},
	{kind: "setup", table: "device_pair_setup_completions", id: "device_id", name: "device_name", role: "access", since: "completed_at_ms", done: "finished pairing setups removed"},
	{
		kind: "node", table: "node_pairing_paired", id: "node_id", name: "display_name", platform: "platform",
		ip: "remote_ip", since: "approved_at_ms", lastSeen: "last_connected_at_ms", done: "paired nodes removed",
	},
	{kind: "node-request", table: "node_pairing_pending", id: "request_id", name: "display_name", platform: "platform", ip: "remote_ip", since: "ts", done: "node pairing requests removed"},
}

// A deviceFile is one of the JSON files of 2026.1 to 2026.6: an object whose every member lets something in.
type deviceFile struct {
	kind, file string
	secretID   bool // the member's name is the token
	done       string
}

func deviceFiles(in *openclaw.Installation) []deviceFile {
	devices, nodes := path.Join(in.StateDir, "devices"), path.Join(in.StateDir, "nodes")
	return []deviceFile{
		{kind: "device", file: path.Join(devices, "paired.json"), done: "paired devices removed"},
		{kind: "request", file: path.Join(devices, "pending.json"), done: "pairing requests removed"},
		{kind: "bootstrap-token", file: path.Join(devices, "bootstrap.json"), secretID: true, done: "bootstrap tokens removed"},
		{kind: "node", file: path.Join(nodes, "paired.json"), done: "paired nodes removed"},
		{kind: "node-request", file: path.Join(nodes, "pending.json"), done: "node pairing requests removed"},
	}
}

// Devices lists the paired devices and nodes, what asked to be paired, and what could still be used to pair.
func Devices(ctx context.Context, fsys fs.FS, in *openclaw.Installation) (devices []Device, gaps []openclaw.Gap) {
	gaps = readDatabase(fsys, in.StateDB(), func(d *openclaw.Database) error {
		for _, t := range deviceTables {
			found, more, err := t.devices(ctx, d)
			devices, gaps = append(devices, found...), append(gaps, more...)
			if err != nil {
				return err
			}
		}
		return nil
	})
	for _, f := range deviceFiles(in) {
		found, more := f.devices(fsys)
		devices, gaps = append(devices, found...), append(gaps, more...)
	}
	return devices, gaps
}

func (t deviceTable) devices(ctx context.Context, d *openclaw.Database) (found []Device, gaps []openclaw.Gap, err error) {
	if !d.Has(t.table) {
		return nil, nil, nil
	}
	var columns []string
	for _, c := range []string{t.id, t.name, t.platform, t.role, t.approved, t.ip} {
		columns = append(columns, fmt.Sprintf("substr(%s, 1, %d)", d.Column(t.table, c, "NULL"), longest))
	}
	for _, c := range []string{t.since, t.lastSeen} {
		columns = append(columns, d.Column(t.table, c, "NULL"))
	}
	q := fmt.Sprintf("SELECT %s FROM %s NOT INDEXED LIMIT %d", strings.Join(columns, ", "), t.table, shown+1)
	for row, err := range d.Query(ctx, q) {
		if err != nil {
			return found, gaps, err
		}
		if len(found) == shown {
			return found, append(gaps, tooMany(d.Path, t.table)), nil
		}
		s := func(i int) string { return string(row.Text(i)) }
		found = append(found, Device{t.kind, s(0), s(1), s(2), s(3), s(4), s(5), millis(float64(row.Int(6))), millis(float64(row.Int(7))), d.Path})
	}
	return found, gaps, nil
}

func (f deviceFile) devices(fsys fs.FS) (found []Device, gaps []openclaw.Gap) {
	root, gaps := parseFile(fsys, f.file)
	if root == nil {
		return nil, gaps
	}
	for i, m := range root.Members {
		if i == shown {
			return found, append(gaps, tooMany(f.file, "its entries"))
		}
		s := func(name string) string { return short(text(m.Value, name)) }
		d := Device{
			Kind: f.kind, ID: short(m.Key), Name: s("displayName"), Platform: s("platform"), Role: s("role"), Approved: s("approvedVia"), RemoteIP: s("remoteIp"),
			Since: firstTime(m.Value, "approvedAtMs", "issuedAtMs", "ts"), LastSeen: firstTime(m.Value, "lastSeenAtMs", "lastConnectedAtMs", "lastUsedAtMs"), Where: f.file,
		}
		if f.secretID {
			d.ID = s("deviceId")
		}
		found = append(found, d)
	}
	return found, gaps
}

// parseFile reads a JSON store; nil is one that isn't there, or a gap.
func parseFile(fsys fs.FS, file string) (*json5.Value, []openclaw.Gap) {
	b, gaps := readText(fsys, file)
	if len(strings.TrimSpace(string(b))) == 0 {
		return nil, gaps
	}
	root, err := json5.Parse(b)
	if err != nil {
		return nil, append(gaps, openclaw.Gap{Path: file, What: "not JSON: " + err.Error()})
	}
	return root, gaps
}

func firstTime(v *json5.Value, names ...string) time.Time {
	for _, n := range names {
		if t := v.Get(n); t != nil && t.Kind == json5.Number {
			return millis(t.Num)
		}
	}
	return time.Time{}
}

// millis turns a store's milliseconds since 1970 into a time; what no clock could have shown is none.
func millis(ms float64) time.Time {
	if !(ms > 0 && ms < 1e14) {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}

// EvictDevices removes every paired device and node of this machine's installation, and what could be used to pair
// again. The gateway must be dead, and its token should be replaced first: with the old one a client on this host pairs
// again without being asked for.
func EvictDevices(ctx context.Context, owner host.Owner, in *openclaw.Installation) ([]Done, error) {
	var r results
	r.add(emptyTables(ctx, owner, in.StateDB(), deviceTables, func(t deviceTable) (string, string) { return t.table, t.done }))
	for _, f := range deviceFiles(in) {
		r.add(changeFile(owner, f.file, f.done, emptyObject))
	}
	return r.all()
}

// emptyTables deletes every row of those tables that are there. of names a table and says what is done by that.
func emptyTables[T any](ctx context.Context, owner host.Owner, file string, tables []T, of func(T) (table, what string)) ([]Done, error) {
	return changeDatabase(ctx, owner, file, func(tx *sqlite.Tx) ([]Done, error) {
		var all []Done
		for _, t := range tables {
			table, what := of(t)
			done := Done{What: what}
			ok, err := tx.Has(table)
			if ok {
				done.Count, err = tx.Exec("DELETE FROM " + table)
			}
			if err != nil {
				return nil, err
			}
			all = append(all, done)
		}
		return all, nil
	})
}

// emptyObject makes an object without members of a text that is one, or that can't be read: what it lets in is not
// known then.
func emptyObject(b []byte) ([]byte, int, error) {
	root, err := json5.Parse(b)
	if err != nil || root.Kind != json5.Object {
		return []byte("{}\n"), 1, nil
	}
	return []byte("{}\n"), len(root.Members), nil
}
