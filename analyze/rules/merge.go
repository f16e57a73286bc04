package rules

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/clawbook/openclaw-ir/internal/sigma"
)

// Merge returns the rules of base and own. A rule of own takes the place of one that has its name or id, so that users
// can replace a rule of the catalogue by a copy that they changed.
func Merge(base, own []*sigma.Rule) []*sigma.Rule {
	merged := slices.Clone(base)
	names, ids := map[string]bool{}, map[string]bool{}
	note := func(r *sigma.Rule) { names[r.Name], ids[r.ID] = r.Name != "", r.ID != "" }
	for _, r := range base {
		note(r)
	}
	for _, r := range own {
		fresh := !names[r.Name] && !ids[r.ID]
		note(r)
		if fresh { // most are, and to look through all others for each takes long
			merged = append(merged, r)
			continue
		}
		same := func(b *sigma.Rule) bool { return b.Name != "" && b.Name == r.Name || b.ID != "" && b.ID == r.ID }
		if i := slices.IndexFunc(merged, same); i >= 0 {
			merged[i] = r
			merged = slices.Concat(merged[:i+1], slices.DeleteFunc(merged[i+1:], same))
			continue
		}
		merged = append(merged, r)
	}
	return merged
}

// logicKeys are the attributes of a rule that say what it matches.
var logicKeys = []string{"logsource", "detection", "correlation", "levels"}

// Logic returns the part of a rule file that says what a rule matches, as YAML. key is the rule's name or, where it has
// none, its id.
func Logic(text []byte, key string) (string, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var doc yaml.Node
		err := decoder.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return "", fmt.Errorf("no rule %q", key)
		}
		if err != nil {
			return "", err
		}
		if len(doc.Content) > 0 && doc.Content[0].Kind == yaml.MappingNode && keyOf(doc.Content[0]) == key {
			return logic(doc.Content[0])
		}
	}
}

func keyOf(rule *yaml.Node) (key string) {
	for i := 0; i+1 < len(rule.Content); i += 2 {
		switch name, value := rule.Content[i].Value, rule.Content[i+1].Value; {
		case name == "name" && value != "":
			return value
		case name == "id":
			key = value
		}
	}
	return key
}

func logic(rule *yaml.Node) (string, error) {
	part := yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i+1 < len(rule.Content); i += 2 {
		if slices.Contains(logicKeys, rule.Content[i].Value) {
			part.Content = append(part.Content, rule.Content[i], rule.Content[i+1])
		}
	}
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(&part); err != nil {
		return "", err
	}
	return b.String(), encoder.Close()
}
