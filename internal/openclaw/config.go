package openclaw

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/json5"
)

// maxIncludes bounds how many files one config may pull in, maxIncludeDepth how deep they nest, and maxValues what all of them hold: a
// value takes a hundred times its own size until it is merged.
const (
	maxIncludes     = 256
	maxIncludeDepth = 16
	maxValues       = 1 << 18
)

// A Config is an openclaw.json with its includes merged. Values stay as written: ${VAR} and SecretRefs are not
// resolved, and nothing in it is run.
type Config struct {
	Path  string
	Files []string       // the file and every include that was read, absolute paths
	Texts []*json5.Value // the parsed text of each of Files
	Tree  map[string]any // merged members; numbers are float64
}

// LoadConfig reads the config at hostPath. Includes are read only below the config's own directory, as
// OpenClaw does by default; others are gaps.
func LoadConfig(fsys fs.FS, hostPath string) (*Config, []Gap) {
	l := configLoader{fsys: fsys, base: path.Dir(hostPath), config: &Config{Path: hostPath}}
	tree, _ := l.load(hostPath, 0).(map[string]any)
	l.config.Tree = tree
	return l.config, l.gaps
}

type configLoader struct {
	fsys   fs.FS
	base   string
	config *Config
	gaps   []Gap
	values int // at most so many are in the files that were read
}

func (l *configLoader) gap(file, what string) { l.gaps = append(l.gaps, Gap{Path: file, What: what}) }

func (l *configLoader) load(file string, depth int) any {
	if len(l.config.Files) >= maxIncludes || depth > maxIncludeDepth {
		l.gap(file, "too many includes; not read")
		return nil
	}
	text, gaps := readSmall(l.fsys, file)
	l.gaps = append(l.gaps, gaps...)
	if text == nil {
		if depth > 0 && len(gaps) == 0 {
			l.gap(file, "included, but not there")
		}
		return nil
	}
	// Each value has a comma or an opening bracket before it, but the first.
	l.values += 1 + bytes.Count(text, []byte(",")) + bytes.Count(text, []byte("{")) + bytes.Count(text, []byte("["))
	if l.values > maxValues {
		l.gap(file, fmt.Sprintf("the configuration has more than %d values with this file; not read", maxValues))
		return nil
	}
	v, err := json5.Parse(text)
	if err != nil {
		l.gap(file, "not JSON5: "+err.Error())
		return nil
	}
	l.config.Files = append(l.config.Files, file)
	l.config.Texts = append(l.config.Texts, v)
	return l.merge(v, file, depth)
}

// merge turns a parsed value into maps and slices. Members beside an $include win over what it brings.
func (l *configLoader) merge(v *json5.Value, file string, depth int) any {
	switch v.Kind {
	case json5.Object:
		tree := map[string]any{}
		for _, m := range v.Members {
			if m.Key == "$include" {
				for _, inc := range l.includes(m.Value, file) {
					overlay(tree, l.load(inc, depth+1))
				}
			}
		}
		for _, m := range v.Members {
			if m.Key != "$include" {
				overlay(tree, map[string]any{m.Key: l.merge(m.Value, file, depth)})
			}
		}
		return tree
	case json5.Array:
		list := make([]any, 0, len(v.Elements))
		for _, e := range v.Elements {
			list = append(list, l.merge(e, file, depth))
		}
		return list
	}
	return v.Plain()
}

// includes returns the files an $include names, relative to the including file and inside the config's directory.
func (l *configLoader) includes(v *json5.Value, from string) (files []string) {
	names := v.Elements
	if v.Kind == json5.String {
		names = []*json5.Value{v}
	}
	for _, n := range names {
		if n.Kind != json5.String {
			continue
		}
		file := n.Str
		if !path.IsAbs(file) {
			file = path.Join(path.Dir(from), file)
		}
		file = path.Clean(file)
		if !strings.HasPrefix(file, strings.TrimSuffix(l.base, "/")+"/") {
			l.gap(file, "included from outside the config's directory; not read")
			continue
		}
		if !slices.Contains(l.config.Files, file) {
			files = append(files, file)
		}
	}
	return files
}

// overlay merges src into dst, objects member by member, anything else by replacing.
func overlay(dst map[string]any, src any) {
	m, _ := src.(map[string]any)
	for k, v := range m {
		old, isMap := dst[k].(map[string]any)
		if _, both := v.(map[string]any); isMap && both {
			overlay(old, v)
			continue
		}
		dst[k] = v
	}
}

// Get returns the value at a path of member names, or nil.
func (c *Config) Get(names ...string) any {
	if c == nil {
		return nil
	}
	var v any = c.Tree
	for _, n := range names {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[n]
	}
	return v
}

// String returns the string at a path of member names, or "".
func (c *Config) String(names ...string) string {
	s, _ := c.Get(names...).(string)
	return s
}

// Strings returns the strings of the array at a path of member names.
func (c *Config) Strings(names ...string) (list []string) {
	values, _ := c.Get(names...).([]any)
	for _, v := range values {
		if s, ok := v.(string); ok {
			list = append(list, s)
		}
	}
	return list
}

// agents returns the agents a config defines: agents.entries.<id> (2026.8 on) and agents.list[] (before).
func (c *Config) agents() map[string]map[string]any {
	found := map[string]map[string]any{}
	entries, _ := c.Get("agents", "entries").(map[string]any)
	for id, v := range entries {
		m, _ := v.(map[string]any)
		found[id] = m
	}
	list, _ := c.Get("agents", "list").([]any)
	for _, v := range list {
		m, _ := v.(map[string]any)
		if id, _ := m["id"].(string); id != "" {
			found[id] = m
		}
	}
	return found
}
