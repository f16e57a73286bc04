package analyze

import (
	"fmt"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/jsonl"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/sqlite"
)

// maxCell bounds the values that are read of a table, in bytes. OpenClaw's longest are below 1 MB.
const maxCell = 4 << 20

// A tableLedger is a table of a database and how its rows become events. All databases are looked through for
// all of them. Columns that only some schemas have are empty in the others.
type tableLedger struct {
	table string
	code  string // its events' short name, at most 8 bytes: the start of their ids
	kinds []Kind
	need  string // columns that all schemas have
	more  string // columns that some have
	where string // which rows; "" all
	read  func(*ledgerReader, *entry)
}

var (
	approvalKinds   = []Kind{KindApproval, KindExec}
	pairingKinds    = []Kind{KindPairing}
	automationKinds = []Kind{KindAutomation, KindExec}
	intentKinds     = []Kind{KindAutomation}
	configKinds     = []Kind{KindConfig}
	spawnKinds      = []Kind{KindSpawn}
	sessionKinds    = []Kind{KindSession}
	taskKinds       = []Kind{KindExec, KindSpawn, KindAutomation}
)

// tableLedgers lists the tables: definitions of automations before their runs. Columns with tokens,
// keys, secrets and pairing codes are left out on purpose; tokens_json is read for its roles and times only.
var tableLedgers = []tableLedger{
	{"operator_approvals", "approval", approvalKinds, "created_at_ms status presentation_json", "kind source_agent_id source_session_key source_tool_call_id decision terminal_reason resolved_at_ms resolver_kind resolver_id", "", (*ledgerReader).approval},
	{"exec_approvals_config", "allowcmd", approvalKinds, "raw_json", "updated_at_ms", "", (*ledgerReader).execApprovals},
	{"plugin_binding_approvals", "plugbind", approvalKinds, "plugin_root channel plugin_id approved_at", "account_id plugin_name", "", (*ledgerReader).pluginBinding},
	{"channel_pairing_requests", "chanreq", pairingKinds, "channel_key request_id created_at", "account_id last_seen_at meta_json", "", (*ledgerReader).channelRequest},
	{"channel_pairing_allow_entries", "chanok", pairingKinds, "channel_key entry updated_at", "account_id", "", (*ledgerReader).channelAllowed},
	{"device_pairing_paired", "device", pairingKinds, "device_id approved_at_ms", deviceColumns + " approved_scopes_json tokens_json approved_via node_surface_json created_at_ms last_seen_at_ms last_seen_reason", "", (*ledgerReader).paired},
	{"device_pairing_pending", "devreq", pairingKinds, "request_id device_id ts", deviceColumns + " silent is_repair", "", (*ledgerReader).pending},
	{"device_bootstrap_tokens", "devtoken", pairingKinds, "issued_at_ms", "device_id setup_id last_used_at_ms", "", (*ledgerReader).bootstrapToken},
	{"node_pairing_paired", "node", pairingKinds, "node_id approved_at_ms", nodeColumns + " created_at_ms last_connected_at_ms last_seen_at_ms last_seen_reason", "", (*ledgerReader).paired},
	{"node_pairing_pending", "nodereq", pairingKinds, "request_id node_id ts", nodeColumns + " silent", "", (*ledgerReader).pending},
	{"cron_jobs", "cronjob", automationKinds, "job_id name payload_kind job_json", "enabled agent_id state_json updated_at", "", (*ledgerReader).cronJob},
	{"cron_run_receipts", "cronrun", automationKinds, "job_id status started_at_ms", "agent_id finished_at_ms error_text owner_pid", "", (*ledgerReader).cronReceipt},
	{"cron_run_logs", "cronrun", automationKinds, "job_id ts", "status error session_key run_at_ms duration_ms entry_json", "", (*ledgerReader).cronRun},
	{"standing_intents", "intent", intentKinds, "id description trigger_keywords status created_at", "channel_scope sender_scope creator_sender last_fired_at source_session_id", "", (*ledgerReader).standingIntent},
	{"diagnostic_events", "confaud", configKinds, "scope payload_json created_at", "", "scope = 'config-audit'", (*ledgerReader).configAudit},
	{"gateway_boot_lifecycle", "gateway", configKinds, "pid started_at_ms", "completed_at_ms outcome startup_reason reason", "", (*ledgerReader).gatewayBoot},
	{"secret_store_entries", "secret", configKinds, "scope_kind name kind created_at_ms", "scope_id updated_at_ms updated_by deleted_at_ms allowed_hosts", "", (*ledgerReader).storedSecret},
	{"config_machine_state", "plugin", configKinds, "state_key value_json", "updated_at_ms", "state_key = 'plugins.installedIndex'", (*ledgerReader).pluginState},
	{"installed_plugin_index", "plugin", configKinds, "install_records_json plugins_json", "updated_at_ms", "", (*ledgerReader).plugins},
	{"subagent_runs", "subagent", spawnKinds, "run_id child_session_key requester_session_key created_at", "task payload_json", "", (*ledgerReader).subagent},
	{"task_runs", "task", taskKinds, "task_id runtime task status created_at", "task_kind source_id requester_session_key owner_key child_session_key agent_id run_id execution_owner_pid started_at ended_at error detail_json", "", (*ledgerReader).task},
	{"command_log_entries", "command", sessionKinds, "timestamp_ms action session_key", "sender_id source", "", (*ledgerReader).chatCommand},
	{"session_state_events", "sessstat", sessionKinds, "session_key kind actor_type occurred_at", "agent_id actor_id summary", "", (*ledgerReader).sessionState},
}

const (
	deviceColumns = "display_name platform client_id client_mode browser_origin role roles_json scopes_json remote_ip"
	nodeColumns   = "display_name platform client_id client_mode commands_json remote_ip"
)

// database reads every ledger of the database that is being read.
func (l *ledgerReader) database() {
	_, err := openclaw.OpenDatabaseFunc(l.fsys, l.source.Path, func(d *openclaw.Database) error {
		views, err := l.views(d)
		if err != nil {
			return err
		}
		for i := range tableLedgers {
			t := &tableLedgers[i]
			if l.wanted(t.kinds) {
				l.table(d, t, views)
			}
		}
		return l.ctx.Err()
	})
	if err != nil && l.ctx.Err() == nil {
		l.unreadable(l.source.Path, fmt.Errorf("reading the ledgers: %w", err))
	}
}

// views returns the names of the database's views: one that bears a ledger's name is no ledger.
func (l *ledgerReader) views(d *openclaw.Database) (names []string, err error) {
	for row, err := range d.Query(l.ctx, "SELECT name FROM sqlite_schema WHERE type = 'view'") {
		if err != nil {
			return nil, err
		}
		names = append(names, string(row.Text(0)))
	}
	return names, nil
}

func (l *ledgerReader) tableGap(t *tableLedger, what string) {
	l.row.Unreadable = true
	l.report.Coverage.gap(openclaw.Gap{Path: l.source.Path, What: "table " + t.table + ": " + what})
}

// table reads one ledger. Names compare without case, as SQLite does.
func (l *ledgerReader) table(d *openclaw.Database, t *tableLedger, views []string) {
	same := func(name string) func(string) bool {
		return func(s string) bool { return strings.EqualFold(s, name) }
	}
	if slices.ContainsFunc(views, same(t.table)) {
		l.tableGap(t, "is a view; not read")
		return
	}
	var have []string
	found := false
	for name, columns := range d.Columns {
		if same(t.table)(name) {
			have, found = columns, true
		}
	}
	if !found {
		return
	}
	var names, cells []string
	size := "0"
	for i, list := range []string{t.need, t.more} {
		for _, name := range strings.Fields(list) {
			if !slices.ContainsFunc(have, same(name)) {
				if i == 0 {
					l.tableGap(t, fmt.Sprintf("has no column %q; not read", name))
					return
				}
				continue
			}
			names = append(names, name)
			cells = append(cells, fmt.Sprintf("CASE WHEN octet_length(%s) <= %d THEN %s END", name, maxCell, name))
			size += "+coalesce(octet_length(" + name + "), 0)"
		}
	}
	// An index may be made to lie about its table, so none is used.
	query := fmt.Sprintf("SELECT rowid, %s, %s FROM %s NOT INDEXED", size, strings.Join(cells, ", "), t.table)
	if t.where != "" {
		query += " WHERE " + t.where
	}
	for row, err := range d.Query(l.ctx, query) {
		if err != nil {
			if l.ctx.Err() == nil {
				l.tableGap(t, err.Error())
			}
			return
		}
		l.take(t.read, l.rowEntry(t, row, names))
	}
}

// rowEntry makes an entry of a row of rowid, size and the named columns. It is valid until the next row.
func (l *ledgerReader) rowEntry(t *tableLedger, row *sqlite.Row, names []string) *entry {
	e := &entry{source: l.source, modified: l.modified, code: t.code, tool: t.table, line: row.Int(0), columns: map[string]value{}}
	where := func() string { return ordinal("table "+t.table+": row", e.line) }
	var size int64
	for i, name := range names {
		if row.Null(i + 2) {
			continue
		}
		v := value{raw: row.Text(i + 2), column: true}
		size += int64(len(v.raw))
		if strings.HasSuffix(name, "_json") {
			if err := isJSON(v.raw); err != nil {
				e.damaged = true
				l.unparsed(where(), name+": "+err.Error(), int64(len(v.raw)))
			}
		}
		e.columns[member(name)] = v
	}
	if stored := row.Int(1); stored > size {
		e.damaged = true
		l.unparsed(where(), fmt.Sprintf("a value is longer than %d MiB; not read", maxCell>>20), stored-size)
	}
	l.row.Records++
	l.row.Bytes += size
	return e
}

func isJSON(text []byte) error {
	var p jsonl.Parser
	p.Reset(text)
	p.Skip()
	return p.End()
}

// member is a column's name as a member of a JSON object would be called.
func member(column string) string {
	parts := strings.Split(strings.TrimSuffix(column, "_json"), "_")
	for i, p := range parts[1:] {
		parts[i+1] = strings.ToUpper(p[:1]) + p[1:]
	}
	return strings.Join(parts, "")
}
