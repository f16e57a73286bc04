package posture

import (
	"regexp"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/json5"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/secret"
)

// masked stands for a secret, as OpenClaw's own journal writes it.
const masked = "***"

// A mask knows the secrets of all versions of a configuration.
type mask struct {
	values map[string]bool // those that are a whole value
	set    *secret.Set     // and wherever they stand within a text
}

func newMask() *mask {
	return &mask{values: map[string]bool{}, set: secret.NewSet(secret.NewFingerprinter(nil))}
}

// learn adds the secrets of a configuration.
func (m *mask) learn(c *openclaw.Config) {
	if c == nil {
		return
	}
	for _, text := range c.Texts {
		m.learnValue(text)
	}
}

func (m *mask) learnValue(v *json5.Value) {
	for path, value := range secret.FromConfig(v) {
		m.values[value] = true
		m.set.Add(value, strings.Join(path, "."))
	}
}

// learnCommand adds what a command line sets a secret to: releases before 2026.9 recorded it as it was typed.
func (m *mask) learnCommand(words []string) {
	if key, value, ok := setCommand(words); ok {
		for _, name := range slices.Backward(key) {
			m.learnValue(&json5.Value{Kind: json5.Object, Members: []json5.Member{{Key: name, Value: typed(value)}}})
			break
		}
	}
	for i, word := range words {
		if i+1 < len(words) && strings.HasPrefix(word, "--") {
			m.learnValue(&json5.Value{Kind: json5.Object, Members: []json5.Member{
				{Key: strings.TrimLeft(word, "-"), Value: &json5.Value{Kind: json5.String, Str: words[i+1]}},
			}})
		}
	}
}

// setCommand reads "config set KEY VALUE": the key's names and the value as it was typed.
func setCommand(words []string) (key []string, value string, ok bool) {
	if len(words) < 4 || words[0] != "config" || words[1] != "set" {
		return nil, "", false
	}
	rest := slices.DeleteFunc(slices.Clone(words[2:]), func(w string) bool { return strings.HasPrefix(w, "--") })
	if len(rest) != 2 {
		return nil, "", false
	}
	return splitKey(rest[0]), rest[1], true
}

// unsetCommand reads "config unset KEY".
func unsetCommand(words []string) (key []string, ok bool) {
	if len(words) < 3 || words[0] != "config" || words[1] != "unset" {
		return nil, false
	}
	return splitKey(words[2]), true
}

// splitKey splits a key as OpenClaw's "config set" takes it: by dots, with indexes in brackets.
func splitKey(key string) []string {
	return strings.FieldsFunc(key, func(r rune) bool { return r == '.' || r == '[' || r == ']' })
}

// typed reads a value as "config set" does: JSON5 if it is that, else a text.
func typed(value string) *json5.Value {
	if v, err := json5.Parse([]byte(value)); err == nil {
		return v
	}
	return &json5.Value{Kind: json5.String, Str: value}
}

var (
	maskToken   = regexp.MustCompile(`<secret:[0-9a-f]{12}>`)
	pairingCode = regexp.MustCompile(`^[A-Z0-9]{6,10}$`)
)

// text returns a text with its secrets masked.
func (m *mask) text(s string) string { return maskToken.ReplaceAllString(m.set.Redact(s), masked) }

// command joins a command's words, its secrets and pairing codes masked.
func (m *mask) command(words []string) string {
	shown := slices.Clone(words)
	pairing := slices.Contains(words, "pairing") || slices.Contains(words, "devices")
	for i, w := range shown {
		if m.values[w] || pairing && pairingCode.MatchString(w) {
			shown[i] = masked
		}
	}
	return m.text(strings.Join(shown, " "))
}
