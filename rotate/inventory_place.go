package rotate

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// meaning says what lies at a place: by the rules, else by the name of the variable, else by the value's own form.
func (v *inventory) meaning(h *openclaw.HeldSecret) meaning {
	m := v.byPlace(h)
	m.who = cmp.Or(m.who, WhoYou)
	if m.who == WhoTool {
		m.how, m.provider = cmp.Or(m.how, "replaced by rotate"), "OpenClaw"
	}
	fromIssuer(h, &m)
	m.kind = cmp.Or(m.kind, KindOther)
	m.owner = cmp.Or(m.owner, h.Agent)
	if m.owner == m.provider {
		m.owner = ""
	}
	m.group = groupOf(h, m.group)
	return m
}

// byPlace takes the first rule that fits.
func (v *inventory) byPlace(h *openclaw.HeldSecret) meaning {
	place := v.place(h)
	if m, ok := credential(place); ok {
		return m
	}
	if h.Table == "plugin_state_entries.value_json" {
		plugin, _, _ := strings.Cut(h.Row, "/")
		return meaning{kind: KindSession, issuer: plugin, group: "row"}
	}
	if m, ok := byRule(place, h); ok {
		return m
	}
	if h.Table == "" {
		if m, ok := byRule(anyConfig, h); ok {
			return m
		}
	}
	return byName(h)
}

func byRule(place string, h *openclaw.HeldSecret) (meaning, bool) {
	row := place + "[" + h.Row + "]"
	for _, r := range placeRules {
		if !matchFile(r.file, place) && r.file != row {
			continue
		}
		kept, ok := matchNames(r.path, h.Path)
		if !ok {
			continue
		}
		m := r.is
		m.issuer = cmp.Or(m.issuer, kept["issuer"], kept["channel"])
		m.owner = cmp.Or(m.owner, shortID(cmp.Or(kept["owner"], ownerRow(&m, h))))
		if profile := kept["profile"]; profile != "" {
			m.issuer, _, _ = strings.Cut(profile, ":")
			m.owner = profile
		}
		if len(h.Path) > 0 && isOAuthName(h.Path[len(h.Path)-1]) && m.kind == KindModel {
			m.kind, m.group = KindOAuth, "section"
		}
		return m, true
	}
	return meaning{}, false
}

// ownerRow names the device or the server of a row.
func ownerRow(m *meaning, h *openclaw.HeldSecret) string {
	if m.kind == KindDevice || m.kind == KindMCP {
		return h.Row
	}
	return ""
}

// shortID cuts the ids of devices, which are digests, to what a person compares.
func shortID(id string) string {
	if id, _, _ = strings.Cut(id, "/"); len(id) == 64 {
		return id[:12]
	}
	return id
}

// gatewayVariables hold the gateway's token or password (FACTS 1); the former names are ignored by new releases.
var gatewayVariables = strings.Fields("OPENCLAW_GATEWAY_TOKEN OPENCLAW_GATEWAY_PASSWORD CLAWDBOT_GATEWAY_TOKEN CLAWDBOT_GATEWAY_PASSWORD MOLTBOT_GATEWAY_TOKEN MOLTBOT_GATEWAY_PASSWORD")

// byName judges by the name of the variable, or of the row in the secret store.
func byName(h *openclaw.HeldSecret) meaning {
	name := ""
	if len(h.Path) > 0 {
		name = h.Path[len(h.Path)-1]
	}
	if h.Table == "secret_store_entries.value" {
		name = path.Base(h.Row)
	}
	if slices.Contains(gatewayVariables, name) {
		return meaning{kind: KindGateway, who: WhoTool}
	}
	m := meaning{issuer: cmp.Or(ofVariable(name), ofValue(h.Value))}
	if name == strings.ToUpper(name) { // a variable's name tells keys of one provider apart
		m.owner = name
	}
	return m
}

// fromIssuer fills in what is known of who issued the secret. A name that is not known stays the provider's name, and
// the value's form tells the page.
func fromIssuer(h *openclaw.HeldSecret, m *meaning) {
	if c, ok := channels[m.issuer]; ok {
		m.kind = cmp.Or(m.kind, c.kind, KindChannel)
		m.provider, m.how = cmp.Or(m.provider, c.name), cmp.Or(m.how, c.how, howKey)
		return
	}
	id := findIssuer(m.issuer)
	if id == "" {
		m.owner = cmp.Or(m.owner, m.issuer)
		id = ofValue(h.Value)
	}
	if c, ok := channels[id]; ok && issuers[id].name == "" {
		m.issuer = id
		m.kind = cmp.Or(m.kind, c.kind, KindChannel)
		m.provider, m.how = cmp.Or(m.provider, c.name), cmp.Or(m.how, c.how)
		return
	}
	if id == "" {
		m.provider = cmp.Or(m.provider, m.issuer)
		m.how = cmp.Or(m.how, howUnknown)
		return
	}
	m.issuer = id
	m.kind = cmp.Or(m.kind, kindOfIssuer[id], KindModel)
	m.provider = cmp.Or(m.provider, issuers[id].name)
	m.how = cmp.Or(m.how, issuers[id].how, howKey)
	if issuers[id].page == "" && m.how == howKey {
		m.how = howUnknown
	}
}

func pageOf(issuer string) string {
	return cmp.Or(channels[issuer].page, issuers[issuer].page)
}

// groupOf names the thing that a value is a part of.
func groupOf(h *openclaw.HeldSecret, by string) string {
	names := h.Path[:max(0, len(h.Path)-1)]
	switch by {
	case "file":
		return "file " + h.File
	case "row":
		return "row " + h.File + " " + h.Table + " " + h.Row
	case "section":
		return "section " + h.File + " " + h.Table + " " + h.Row + " " + strings.Join(names, "\x00")
	}
	return by
}

// place returns where the secret lies as the rules name it.
func (v *inventory) place(h *openclaw.HeldSecret) string {
	switch {
	case h.Table != "":
		return h.Table
	case v.isConfig(h.File):
		return anyConfig
	}
	for _, a := range v.in.Agents {
		if rest, ok := strings.CutPrefix(h.File, a.Dir+"/"); ok {
			return "agents/" + a.ID + "/agent/" + rest
		}
	}
	if rest, ok := strings.CutPrefix(h.File, v.in.StateDir+"/"); ok {
		return rest
	}
	if rest, ok := strings.CutPrefix(h.File, v.in.Home+"/"); ok {
		return "~/" + rest
	}
	return h.File
}

// isConfig reports the config, its includes, and the copies that lie beside it.
func (v *inventory) isConfig(file string) bool {
	if slices.Contains(v.in.Config.Files, file) {
		return true
	}
	dir, name := path.Dir(file), path.Base(file)
	if dir != v.in.StateDir && dir != path.Dir(v.in.ConfigPath) {
		return false
	}
	for _, base := range []string{path.Base(v.in.ConfigPath), "openclaw.json", "clawdbot.json", "moltbot.json"} {
		if strings.HasPrefix(name, base) {
			return true
		}
	}
	return false
}

// whatsAppFile are the names that begin a WhatsApp session's files, which early releases kept in credentials itself
// (the plugin's clearLegacyBaileysAuthState).
var whatsAppFile = strings.Fields("creds.json app-state-sync- session- sender-key- pre-key-")

// credential tells what a file below credentials is: sessions lie in credentials/<channel>/<account>.
func credential(place string) (meaning, bool) {
	rest, ok := strings.CutPrefix(place, "credentials/")
	if !ok {
		return meaning{}, false
	}
	parts := strings.Split(rest, "/")
	if len(parts) == 1 {
		if slices.ContainsFunc(whatsAppFile, func(s string) bool { return strings.HasPrefix(parts[0], s) }) {
			return meaning{issuer: "whatsapp", owner: "default", group: "session credentials (WhatsApp, as early releases kept it)"}, true
		}
		return meaning{}, false
	}
	channel := strings.TrimSuffix(parts[0], "-calls")
	if _, known := channels[channel]; !known || len(parts) < 3 {
		return meaning{}, false
	}
	account, _, _ := strings.Cut(parts[1], ".bak")
	return meaning{issuer: channel, owner: account, group: "session credentials/" + parts[0] + "/" + account}, true
}
