package posture

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/severity"
)

const whyModel = "Older and smaller models do what a web page or a stranger tells them far more often."

var modelChecks = []check{
	{id: "models.legacy", level: severity.Medium, title: "A model of an old generation is configured", why: whyModel, fix: "Use a current top model for every agent that has tools.", run: (*state).legacyModels},
	{id: "models.weak_tier", level: severity.Medium, title: "A model of a lower tier is configured", why: whyModel, fix: "Use a current top model for every agent that has tools.", run: (*state).weakModels},
	{id: "models.small_params", level: severity.Info, title: "A small model is configured", why: whyModel, fix: "Keep small models from the web and the browser, and sandbox them.", run: (*state).smallModels},
}

// A modelRef is a model that an agent may run on.
type modelRef struct {
	id, key string
	scope   scope
	image   bool
}

func (s *state) models() (all []modelRef) {
	add := func(v any, key string, c scope, image bool) {
		if id, _ := v.(string); strings.TrimSpace(id) != "" && len(all) < maxListed {
			all = append(all, modelRef{s.modelName(strings.TrimSpace(id)), key, c, image})
		}
	}
	both := func(v any, key string, c scope, image bool) {
		add(v, key, c, image)
		add(at(v, "primary"), key+".primary", c, image)
		for _, f := range list(v, "fallbacks") {
			add(f, key+".fallbacks", c, image)
		}
	}
	both(at(s.root, "agents", "defaults", "model"), "agents.defaults.model", s.defaults(), false)
	both(at(s.root, "agents", "defaults", "imageModel"), "agents.defaults.imageModel", s.defaults(), true)
	for _, c := range s.agents() {
		both(at(c.conf, "model"), c.key+".model", c, false)
	}
	return all
}

// modelName replaces an alias of agents.defaults.models by the model it stands for.
func (s *state) modelName(id string) string {
	models := object(s.root, "agents", "defaults", "models")
	for _, name := range keys(models) {
		if strings.EqualFold(text(models[name], "alias"), id) {
			return name
		}
	}
	return id
}

// What OpenClaw's audit takes for old, for weak, and for new enough (2026.9.6).
var (
	legacyModel = regexp.MustCompile(`(?i)\bgpt-3\.5\b|\bclaude-(instant|2)\b|\bgpt-4-(0314|0613)\b`)
	haiku       = regexp.MustCompile(`(?i)\bhaiku\b`)
	gpt         = regexp.MustCompile(`(?i)\bgpt-`)
	gpt5        = regexp.MustCompile(`(?i)\bgpt-5(\b|[.-])`)
	claude      = regexp.MustCompile(`(?i)\bclaude-`)
	claude45    = regexp.MustCompile(`(?i)\bclaude-[^\s/]*?(-4-?([5-9]|[1-9]\d)\b|4\.([5-9]|[1-9]\d)\b|-[5-9](\b|[.-]))`)
	parameters  = regexp.MustCompile(`(?:^|[^a-z0-9])[a-z]?(\d+(?:\.\d+)?)b(?:[^a-z0-9]|$)`)
)

func (s *state) legacyModels(o *outcome) {
	var seen []string
	for _, m := range s.models() {
		if legacyModel.MatchString(m.id) {
			seen = append(seen, short(m.id)+" at "+m.key)
		}
	}
	if len(seen) > 0 {
		o.add("agents", lines(seen))
	}
}

func (s *state) weakModels(o *outcome) {
	var seen []string
	for _, m := range s.models() {
		switch {
		case haiku.MatchString(m.id):
			seen = append(seen, short(m.id)+" (small tier) at "+m.key)
		case gpt.MatchString(m.id) && !gpt5.MatchString(m.id):
			seen = append(seen, short(m.id)+" (before GPT-5) at "+m.key)
		case claude.MatchString(m.id) && !claude45.MatchString(m.id):
			seen = append(seen, short(m.id)+" (before Claude 4.5) at "+m.key)
		}
	}
	if len(seen) > 0 {
		o.add("agents", lines(seen))
	}
}

// smallBillions is the number of parameters, in billions, up to which OpenClaw's audit calls a model small.
const smallBillions = 300

// billions reads the number of parameters out of a model's name, 0 if it says none.
func billions(id string) (largest float64) {
	id = strings.ToLower(short(id))
	for len(id) > 0 {
		m := parameters.FindStringSubmatchIndex(id)
		if m == nil {
			break
		}
		if n, err := strconv.ParseFloat(id[m[2]:m[3]], 64); err == nil {
			largest = max(largest, n)
		}
		id = id[m[3]:]
	}
	return largest
}

func (s *state) smallModels(o *outcome) {
	var seen []string
	level := severity.Info
	for _, m := range s.models() {
		b := billions(m.id)
		if b <= 0 || b > smallBillions || m.image {
			continue
		}
		tools := s.webTools(m)
		if len(tools) > 0 {
			level = severity.Critical
		}
		seen = append(seen, fmt.Sprintf("%s (%g billion parameters) at %s; reads untrusted text through: %s", short(m.id), b, m.key, orNone(tools)))
	}
	if len(seen) > 0 {
		o.add("agents", lines(seen)).Level = level
	}
}

func orNone(items []string) string {
	if len(items) == 0 {
		return "nothing"
	}
	return strings.Join(items, ", ")
}

// webTools are the tools through which a model reads what strangers wrote.
func (s *state) webTools(m modelRef) []string {
	policies := m.scope.policies(s.providerPolicy(at(s.root, "tools"), m.id), s.providerPolicy(m.scope.tools(), m.id))
	var tools []string
	search := at(s.root, "tools", "web", "search")
	if isTrue(search, "enabled") || !isFalse(search, "enabled") && s.searchKey(search) {
		tools = append(tools, "web_search")
	}
	if !isFalse(s.root, "tools", "web", "fetch", "enabled") {
		tools = append(tools, "web_fetch")
	}
	if s.browserOn() {
		tools = append(tools, "browser")
	}
	return which(tools, policies)
}

// searchKey reports that a web search has credentials.
func (s *state) searchKey(search any) bool {
	for name, v := range object(search) {
		if text := v; name != "enabled" && text != nil && text != "" {
			return true
		}
	}
	for _, name := range []string{"BRAVE_API_KEY", "PERPLEXITY_API_KEY", "TAVILY_API_KEY", "EXA_API_KEY", "FIRECRAWL_API_KEY"} {
		if s.env()[name] != "" {
			return true
		}
	}
	return false
}

// providerPolicy is the section of tools.byProvider for a model, or nil.
func (s *state) providerPolicy(tools any, model string) any {
	provider, _, _ := strings.Cut(model, "/")
	sections := object(tools, "byProvider")
	for _, key := range []string{model, provider} {
		for _, name := range keys(sections) {
			if strings.EqualFold(name, key) {
				return sections[name]
			}
		}
	}
	return nil
}
