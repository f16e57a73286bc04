package posture

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/severity"
	"github.com/clawbook/openclaw-ir/internal/stores"
)

const (
	whyStranger = "Everything the agent is told it may act upon; a stranger who can write to it can try to make it act for them."
	whyNames    = "Names can be changed and taken by anybody; ids can't."
)

var channelChecks = []check{
	{id: "channels.<provider>.dm.open", level: severity.Critical, title: "Anybody may write to the agent", why: whyStranger, fix: `Set dmPolicy to "pairing".`, run: (*state).dmOpen},
	{id: "channels.<provider>.dm.open_invalid", level: severity.Medium, title: "The policy for direct messages contradicts itself", why: `"open" needs "*" in allowFrom; as it stands nobody can say who gets in.`, fix: `Set dmPolicy to "pairing".`, run: (*state).dmOpenInvalid},
	{id: "channels.<provider>.dm.disabled", level: severity.Info, title: "Direct messages are ignored", why: "An overview, no fault.", fix: "Nothing.", run: (*state).dmDisabled},
	{id: "channels.<provider>.dm.locked", since: "2026.8.0", needs: needsFiles, level: severity.Info, title: "Nobody is let in yet by direct message", why: "An overview, no fault.", fix: "Nothing.", run: (*state).dmLocked},
	{id: "channels.<provider>.dm.scope_main_multiuser", needs: needsFiles, level: severity.Medium, title: "Several people share one conversation with the agent", why: "Each of them can read and steer what the others told it.", fix: `Set session.dmScope to "per-channel-peer".`, run: (*state).dmShared},
	{id: "channels.<provider>.groups.open", level: severity.Medium, title: "Any group may use the agent", why: whyStranger, fix: `Set groupPolicy to "allowlist".`, run: (*state).groupsOpen},
	{id: "channels.<provider>.allowFrom.mutable_entries_inert", level: severity.Medium, title: "The list of allowed people has names instead of ids", why: whyNames, fix: "Replace them by ids.", run: (*state).namesInert},
	{id: "channels.<provider>.allowFrom.dangerous_name_matching_enabled", level: severity.Info, title: "People are recognised by names that can change", why: whyNames, fix: "Set dangerouslyAllowNameMatching to false.", run: (*state).nameMatching},
	{id: "channels.<provider>.account.read_only_resolution", level: severity.Medium, title: "A channel's secrets cannot be resolved", why: "Its settings cannot be judged wholly.", fix: "Look at openclaw channels status.", run: undecided("depends on the secrets of the process that OpenClaw runs in")},
	{id: "channels.<provider>.routing.owner_missing.<account>", since: "2026.8.0", level: severity.Medium, title: "No agent is named for a channel", why: "Messages may reach an agent you did not mean.", fix: "Add a binding for the channel.", run: (*state).ownerMissing},
	{id: "channels.<provider>.dm.wildcard_routing_unverified.<account>", level: severity.Medium, title: "Nobody can say whose conversation a stranger gets", why: "A plugin decides it.", fix: "Don't let everybody in on that channel.", run: undecided("a plugin's own code decides it")},
	{id: "channels.<provider>.warning.<n>", level: severity.Medium, title: "A channel's plugin has a warning", why: "See its text.", fix: "See its text.", run: undecided("a plugin's own code decides it")},
	{id: "channels.dm.session_collision.<accounts>.<n>", since: "2026.8.0", needs: needsFiles, level: severity.Medium, title: "People who write directly share a conversation", why: "Each of them can read and steer what the others told the agent.", fix: `Set session.dmScope to "per-channel-peer".`, run: (*state).collision},
	{id: "channels.telegram.allowFrom.invalid_entries", since: "2026.2.13", needs: needsFiles, level: severity.Medium, title: "Telegram's list of allowed people has names instead of ids", why: "Only numbers are matched; the entries protect nothing.", fix: "Replace them by numeric ids.", run: (*state).telegramNames},
	{id: "channels.telegram.groups.allowFrom.missing", needs: needsFiles, level: severity.Critical, title: "Every member of a Telegram group may command the agent", why: whyStranger, fix: "Set channels.telegram.groupAllowFrom.", run: (*state).telegramMissing},
	{id: "channels.telegram.groups.allowFrom.wildcard", needs: needsFiles, level: severity.Critical, title: "Every member of a Telegram group may command the agent", why: whyStranger, fix: `Remove "*" from the list.`, run: (*state).telegramWildcard},
	{id: "channels.discord.allowlisted_groups.broad_members", level: severity.Medium, title: "Every member of a Discord server may use the agent", why: whyStranger, fix: "List users or roles for the servers.", run: (*state).discordBroad},
	{id: "channels.discord.allowFrom.name_based_entries", level: severity.Medium, title: "Discord's list of allowed people has names instead of ids", why: whyNames, fix: "Replace them by ids.", run: (*state).discordNames},
	{id: "channels.discord.commands.native.unrestricted", level: severity.Critical, title: "Every member of a Discord server may use slash commands", why: whyStranger, fix: "Set commands.useAccessGroups to true.", run: (*state).discordUnrestricted},
	{id: "channels.discord.commands.native.no_allowlists", needs: needsFiles, level: severity.Medium, title: "Discord's slash commands have no list of users", why: "They are refused to everybody.", fix: "Add your own id to channels.discord.allowFrom.", run: (*state).discordNoLists},
	{id: "channels.slack.commands.slash.useAccessGroups_off", level: severity.Critical, title: "Everybody in the Slack workspace may use slash commands", why: whyStranger, fix: "Set commands.useAccessGroups to true.", run: (*state).slackUnrestricted},
	{id: "channels.slack.commands.slash.no_allowlists", needs: needsFiles, level: severity.Medium, title: "Slack's slash commands have no list of users", why: "They are refused to everybody.", fix: "Add your own id to channels.slack.allowFrom.", run: (*state).slackNoLists},
	{id: "channels.feishu.doc_owner_open_id", level: severity.Medium, title: "The agent may give away Feishu documents", why: "A document it makes can be shared with whoever asked for it.", fix: "Set channels.feishu.tools.doc to false.", run: (*state).feishuDoc},
	{id: "channels.synology-chat.reply.dangerous_name_matching_enabled", level: severity.Info, title: "Answers go to names that can change", why: whyNames, fix: "Set dangerouslyAllowNameMatching to false.", run: (*state).synologyNames},
	{id: "channels.zalouser.groups.mutable_entries", level: severity.Medium, title: "Zalo groups are listed by names that can change", why: whyNames, fix: "Replace them by group ids.", run: (*state).zaloNames},
}

// undecided is the check of what evidence cannot tell.
func undecided(why string) func(*state, *outcome) {
	return func(_ *state, o *outcome) { o.undecided = why }
}

// accounts returns each account of each channel that is on: those listed, else the channel's own section.
func (s *state) accounts() (all []channelSection) {
	for _, c := range s.channelSections() {
		if c.enabled() && (c.account != "" || len(object(c.conf, "accounts")) == 0) {
			all = append(all, c)
		}
	}
	return all
}

// dm is the policy for direct messages with the key it stands at; pairing is the default.
func (c channelSection) dm() (policy, key string) {
	if p, set := c.setting("dmPolicy").(string); set {
		return p, c.key + ".dmPolicy"
	}
	if p := text(c.setting("dm"), "policy"); p != "" {
		return p, c.key + ".dm.policy"
	}
	return "pairing", c.key + ".dmPolicy"
}

// allowFrom lists who may write directly, as the config says.
func (c channelSection) allowFrom() []string {
	if c.setting("allowFrom") != nil {
		return texts(c.setting("allowFrom"))
	}
	return texts(c.setting("dm"), "allowFrom")
}

// stored returns the senders that the stores let in on a channel.
func (s *state) stored(c channelSection) (senders []string) {
	if !s.allowRead {
		entries, gaps := stores.Allowed(s.ctx, s.o.FS, s.in)
		s.allow, s.allowRead = entries, true
		s.gaps = append(s.gaps, gaps...)
	}
	for _, e := range s.allow {
		mine := e.Account == "" || e.Account == c.account || c.account == "" && e.Account == "default"
		if e.Kind == "allow" && !e.Config && e.Channel == c.channel && mine {
			senders = append(senders, e.Entry)
		}
	}
	return senders
}

// admitted returns everybody who may write directly. With the policy allowlist the stores don't count.
func (s *state) admitted(c channelSection) []string {
	all := slices.Clone(c.allowFrom())
	if policy, _ := c.dm(); policy != "allowlist" {
		all = append(all, s.stored(c)...)
	}
	for i, e := range all {
		all[i] = strings.TrimPrefix(strings.TrimPrefix(e, c.channel+":"), "tg:")
	}
	return sortedUnique(all)
}

func (s *state) dmOpen(o *outcome) {
	for _, c := range s.accounts() {
		if policy, key := c.dm(); policy == "open" {
			s.setPolicy(o.named(c.channel, key, key+` is "open"`), c, key)
		}
	}
}

// setPolicy makes pairing the fix of a policy that lets everybody in. "*" goes too: with pairing it would still let
// everybody in.
func (s *state) setPolicy(f *Finding, c channelSection, key string) {
	names := append(c.path(), strings.Split(strings.TrimPrefix(key, c.key+"."), ".")...)
	f.set(names, `"pairing"`)
	if slices.Contains(texts(c.conf["allowFrom"]), "*") {
		list := append(c.path(), "allowFrom")
		f.set(list, listWithout(s.root, list, func(t string) bool { return t == "*" }))
	}
}

// path is the path of member names that leads to the section.
func (c channelSection) path() []string {
	if c.account == "" {
		return []string{"channels", c.channel}
	}
	return []string{"channels", c.channel, "accounts", c.account}
}

func (s *state) dmOpenInvalid(o *outcome) {
	for _, c := range s.accounts() {
		if policy, key := c.dm(); policy == "open" && !slices.Contains(c.allowFrom(), "*") {
			o.named(c.channel, key, key+` is "open" and allowFrom has no "*"`)
		}
	}
}

func (s *state) dmDisabled(o *outcome) {
	for _, c := range s.accounts() {
		if policy, key := c.dm(); policy == "disabled" {
			o.named(c.channel, key, key+` is "disabled"`)
		}
	}
}

func (s *state) dmLocked(o *outcome) {
	for _, c := range s.accounts() {
		policy, key := c.dm()
		if policy != "open" && policy != "disabled" && len(s.admitted(c)) == 0 {
			o.named(c.channel, key, fmt.Sprintf("%s is %q and nobody is let in", key, short(policy)))
		}
	}
}

// dmScope says whose conversation a direct message belongs to; the default is the owner's own.
func (s *state) dmScope() string {
	if scope := text(s.root, "session", "dmScope"); scope != "" {
		return scope
	}
	return "main"
}

// dmShared is the check of the releases before channels.dm.session_collision took its place.
func (s *state) dmShared(o *outcome) {
	if !s.before("2026.8.0") {
		return
	}
	for _, c := range s.accounts() {
		policy, _ := c.dm()
		people := s.admitted(c)
		if s.dmScope() != "main" || policy == "disabled" || len(people) < 2 && !slices.Contains(people, "*") {
			continue
		}
		f := o.named(c.channel, "session.dmScope", fmt.Sprintf("session.dmScope is main and %s lets in %s", c.key, howMany(people)))
		f.set([]string{"session", "dmScope"}, `"per-channel-peer"`)
	}
}

func howMany(people []string) string {
	if slices.Contains(people, "*") {
		return "everybody"
	}
	return fmt.Sprintf("%d people", len(people))
}

func (s *state) collision(o *outcome) {
	var where, accounts []string
	total := 0
	for _, c := range s.accounts() {
		people := s.admitted(c)
		if policy, _ := c.dm(); policy == "disabled" || len(people) == 0 {
			continue
		}
		total += len(people)
		if slices.Contains(people, "*") {
			total++
		}
		account := c.account
		if account == "" {
			account = "default"
		}
		where, accounts = append(where, c.key), append(accounts, c.channel+"-"+account)
	}
	if s.dmScope() == "main" && total > 1 {
		f := o.named(strings.Join(sortedUnique(accounts), "_"), "session.dmScope", fmt.Sprintf("session.dmScope is main and %d people are let in at %s", total, named(where)))
		f.ID = strings.TrimSuffix(f.ID, "<n>") + "1"
		f.set([]string{"session", "dmScope"}, `"per-channel-peer"`)
	}
}

// groupPolicy is the policy for groups: the section's, else that of channels.defaults.
func (s *state) groupPolicy(c channelSection) string {
	policy, _ := either(c.setting("groupPolicy"), at(s.root, "channels", "defaults", "groupPolicy")).(string)
	return policy
}

func (s *state) groupsOpen(o *outcome) {
	for _, c := range s.accounts() {
		if s.groupPolicy(c) == "open" {
			key := c.key + ".groupPolicy"
			o.named(c.channel, key, key+` is "open"`).set(append(c.path(), "groupPolicy"), `"allowlist"`)
		}
	}
}

// stableID matches what identifies a sender for good, by channel.
var stableID = map[string]*regexp.Regexp{
	"discord":  regexp.MustCompile(`^(<@!?\d+>|\d+|(discord|user|pk):\S+)$`),
	"slack":    regexp.MustCompile(`(?i)^((slack|user):)?(<@[A-Z0-9]{8,}>|[UWBCGDT][A-Z0-9]{2,})$`),
	"telegram": regexp.MustCompile(`(?i)^((telegram|tg):)?-?\d+$`),
}

// nameEntries returns the entries that are names, no ids.
func (c channelSection) nameEntries() (found []string) {
	stable := stableID[c.channel]
	for _, e := range c.allowFrom() {
		if stable != nil && e != "*" && !strings.HasPrefix(e, "accessGroup:") && !stable.MatchString(e) {
			found = append(found, short(e))
		}
	}
	return found
}

func (c channelSection) matchesNames() bool { return c.setting("dangerouslyAllowNameMatching") == true }

func (s *state) namesInert(o *outcome) {
	for _, c := range s.accounts() {
		if entries := c.nameEntries(); len(entries) > 0 && c.channel != "telegram" && !c.matchesNames() {
			o.named(c.channel, c.key+".allowFrom", named(entries))
		}
	}
}

func (s *state) nameMatching(o *outcome) {
	for _, c := range s.accounts() {
		if c.matchesNames() {
			key := c.key + ".dangerouslyAllowNameMatching"
			o.named(c.channel, key, key+" is true").set(append(c.path(), "dangerouslyAllowNameMatching"), "false")
		}
	}
}

func (s *state) ownerMissing(o *outcome) {
	agents := s.agents()
	if len(agents) < 2 || text(s.root, "agents", "ownership") != "explicit" && len(names(agents, func(c scope) bool { return isTrue(c.conf, "default") })) == 1 {
		return
	}
	for _, c := range s.accounts() {
		bound := slices.ContainsFunc(list(s.root, "bindings"), func(b any) bool {
			account := text(b, "match", "accountId")
			return text(b, "match", "channel") == c.channel && (account == "" || account == "*" || account == c.account || account == "default" && c.account == "")
		})
		if policy, _ := c.dm(); !bound && policy != "disabled" {
			account := c.account
			if account == "" {
				account = "default"
			}
			f := o.named(c.channel, c.key, "no binding names an agent for "+c.key)
			f.ID = strings.TrimSuffix(f.ID, "<account>") + short(account)
		}
	}
}

// telegram returns the sections of Telegram whose groups may reach the agent, with all lists of senders.
func (s *state) telegram(fn func(c channelSection, groups bool, lists []string)) {
	for _, c := range s.accounts() {
		if c.channel != "telegram" {
			continue
		}
		groups := object(c.setting("groups"))
		policy := s.groupPolicy(c)
		reach := (policy == "open" || (policy == "allowlist" || policy == "") && len(groups) > 0) && !isFalse(s.root, "commands", "text")
		lists := append(texts(c.setting("groupAllowFrom")), s.stored(c)...)
		for _, name := range keys(groups) {
			lists = append(lists, texts(groups[name], "allowFrom")...)
			topics := object(groups[name], "topics")
			for _, topic := range keys(topics) {
				lists = append(lists, texts(topics[topic], "allowFrom")...)
			}
		}
		fn(c, reach, lists)
	}
}

func (s *state) telegramNames(o *outcome) {
	s.telegram(func(c channelSection, groups bool, lists []string) {
		entries := texts(c.setting("allowFrom"))
		if groups {
			entries = append(entries, lists...)
		}
		var bad []string
		for _, e := range entries {
			if e != "*" && !stableID["telegram"].MatchString(e) {
				bad = append(bad, short(e))
			}
		}
		if len(bad) > 0 {
			o.add(c.key+".allowFrom", named(sortedUnique(bad)))
		}
	})
}

func (s *state) telegramMissing(o *outcome) {
	s.telegram(func(c channelSection, groups bool, lists []string) {
		if groups && len(lists) == 0 {
			o.add(c.key+".groupAllowFrom", "groups reach the agent and no list of senders is set")
		}
	})
}

func (s *state) telegramWildcard(o *outcome) {
	s.telegram(func(c channelSection, groups bool, _ []string) {
		if groups && slices.Contains(append(texts(c.setting("groupAllowFrom")), s.stored(c)...), "*") {
			o.add(c.key+".groupAllowFrom", `the list of senders has "*"`)
		}
	})
}

// guilds returns the servers of a Discord section and whether any of them, or of their channels, lists users or roles.
func (c channelSection) guilds() (some, limited bool) {
	guilds := object(c.setting("guilds"))
	has := func(v any) bool { return len(list(v, "users"))+len(list(v, "roles")) > 0 }
	for _, g := range keys(guilds) {
		limited = limited || has(guilds[g])
		channels := object(guilds[g], "channels")
		for _, ch := range keys(channels) {
			limited = limited || has(channels[ch])
		}
	}
	return len(guilds) > 0, limited
}

// discord calls fn for each Discord account whose servers reach the agent.
func (s *state) discord(fn func(c channelSection, limited bool)) {
	for _, c := range s.accounts() {
		if c.channel != "discord" || s.groupPolicy(c) == "disabled" {
			continue
		}
		if some, limited := c.guilds(); some {
			fn(c, limited)
		}
	}
}

func (s *state) discordBroad(o *outcome) {
	s.discord(func(c channelSection, limited bool) {
		if !limited {
			o.add(c.key+".guilds", "servers are listed without users or roles")
		}
	})
}

func (s *state) discordNames(o *outcome) {
	for _, c := range s.accounts() {
		if entries := c.nameEntries(); c.channel == "discord" && len(entries) > 0 {
			f := o.add(c.key+".allowFrom", named(entries))
			if c.matchesNames() {
				f.Level = severity.Info
			}
		}
	}
}

// nativeCommands reports that the channel offers slash commands.
func (s *state) nativeCommands(c channelSection) bool {
	off := func(name string) bool {
		return either(at(c.setting("commands"), name), at(s.root, "commands", name)) == false
	}
	return !off("native") || !off("nativeSkills")
}

func (s *state) accessGroups() bool { return !isFalse(s.root, "commands", "useAccessGroups") }

func (s *state) discordUnrestricted(o *outcome) {
	s.discord(func(c channelSection, limited bool) {
		if !limited && s.nativeCommands(c) && !s.accessGroups() {
			o.add("commands.useAccessGroups", "commands.useAccessGroups is false and no user is listed").set([]string{"commands", "useAccessGroups"}, "true")
		}
	})
}

func (s *state) discordNoLists(o *outcome) {
	s.discord(func(c channelSection, limited bool) {
		owners := append(texts(c.setting("dm"), "allowFrom"), s.stored(c)...)
		if !limited && s.nativeCommands(c) && s.accessGroups() && len(owners) == 0 {
			o.add(c.key+".guilds", "neither an owner nor a user is listed")
		}
	})
}

func (s *state) slack(fn func(c channelSection)) {
	for _, c := range s.accounts() {
		on := isTrue(c.setting("slashCommand"), "enabled") || at(c.setting("commands"), "native") == true || at(s.root, "commands", "native") == true ||
			at(c.setting("commands"), "nativeSkills") == true || at(s.root, "commands", "nativeSkills") == true
		if c.channel == "slack" && on {
			fn(c)
		}
	}
}

func (s *state) slackUnrestricted(o *outcome) {
	s.slack(func(c channelSection) {
		if !s.accessGroups() {
			o.add("commands.useAccessGroups", "commands.useAccessGroups is false").set([]string{"commands", "useAccessGroups"}, "true")
		}
	})
}

func (s *state) slackNoLists(o *outcome) {
	s.slack(func(c channelSection) {
		users := append(c.allowFrom(), s.stored(c)...)
		channels := object(c.setting("channels"))
		for _, name := range keys(channels) {
			users = append(users, texts(channels[name], "users")...)
		}
		if s.accessGroups() && len(users) == 0 {
			o.add(c.key+".allowFrom", "neither an owner nor a user is listed")
		}
	})
}

func (s *state) feishuDoc(o *outcome) {
	for _, c := range s.accounts() {
		if c.channel == "feishu" && !isFalse(c.setting("tools"), "doc") && c.setting("appId") != nil {
			o.add(c.key+".tools.doc", c.key+".tools.doc is not false").set(append(c.path(), "tools", "doc"), "false")
		}
	}
}

func (s *state) synologyNames(o *outcome) {
	for _, c := range s.accounts() {
		if c.channel == "synology-chat" && c.matchesNames() {
			o.add(c.key+".dangerouslyAllowNameMatching", c.key+".dangerouslyAllowNameMatching is true")
		}
	}
}

var zaloGroup = regexp.MustCompile(`(?i)^((zalouser|zlu):)?(group:)?(\d+|g-\S+|\*)$`)

func (s *state) zaloNames(o *outcome) {
	for _, c := range s.accounts() {
		var bad []string
		groups := object(c.setting("groups"))
		for _, name := range keys(groups) {
			if c.channel == "zalouser" && !zaloGroup.MatchString(name) {
				bad = append(bad, short(name))
			}
		}
		if len(bad) > 0 {
			f := o.add(c.key+".groups", named(bad))
			if c.matchesNames() {
				f.Level = severity.Info
			}
		}
	}
}
