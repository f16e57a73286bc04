package posture

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/console"
)

// maxListed bounds how many entries of a list or an object are looked at, and maxLines how many a finding names.
const (
	maxListed = 5000
	maxLines  = 12
)

// at returns the value at a path of member names, or nil. Values of a config may be of any type: nothing here
// believes the schema.
func at(v any, names ...string) any {
	for _, n := range names {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[n]
	}
	return v
}

// text returns the string at a path, without white space around it.
func text(v any, names ...string) string {
	s, _ := at(v, names...).(string)
	return strings.TrimSpace(s)
}

// isTrue and isFalse report a boolean that is set; what is no boolean is neither.
func isTrue(v any, names ...string) bool  { return at(v, names...) == true }
func isFalse(v any, names ...string) bool { return at(v, names...) == false }

// object returns the members at a path.
func object(v any, names ...string) map[string]any {
	m, _ := at(v, names...).(map[string]any)
	return m
}

// list returns the elements at a path, at most maxListed.
func list(v any, names ...string) []any {
	l, _ := at(v, names...).([]any)
	return l[:min(len(l), maxListed)]
}

// texts returns the strings and numbers of the list at a path, as OpenClaw turns them into entries.
func texts(v any, names ...string) (all []string) {
	for _, e := range list(v, names...) {
		switch e := e.(type) {
		case string:
			if e = strings.TrimSpace(e); e != "" {
				all = append(all, e)
			}
		case float64:
			all = append(all, fmt.Sprintf("%.0f", e))
		}
	}
	return all
}

// keys returns the names of the members, sorted, at most maxListed.
func keys(m map[string]any) []string {
	names := slices.Sorted(maps.Keys(m))
	return names[:min(len(names), maxListed)]
}

// either returns the first value that is set.
func either(values ...any) any {
	for _, v := range values {
		if v != nil {
			return v
		}
	}
	return nil
}

// lines joins what was seen, one a line, and says how many more there are.
func lines(items []string) string {
	if len(items) > maxLines {
		items = append(slices.Clone(items[:maxLines]), fmt.Sprintf("and %d more", len(items)-maxLines))
	}
	return strings.Join(items, "\n")
}

// named joins names in one line, bounded as lines is.
func named(items []string) string { return strings.ReplaceAll(lines(items), "\n", ", ") }

// short cuts a text from the config at a length a line can hold.
func short(s string) string {
	const longest = 200
	if r := []rune(s); len(r) > longest {
		return string(r[:longest]) + "…"
	}
	return s
}

// dotted renders a path of member names as the config command takes it.
func dotted(names ...string) string { return strings.Join(names, ".") }

// configSet returns the command that sets a config value. The value is JSON text.
func configSet(key, value string) string {
	return "openclaw config set " + console.ShellWord(key) + " " + console.ShellWord(value)
}

// configUnset returns the command that takes a config value out.
func configUnset(key string) string { return "openclaw config unset " + console.ShellWord(key) }
