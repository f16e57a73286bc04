package sigma

import (
	"iter"

	"go.yaml.in/yaml/v3"
)

// entries yields the keys and values of a map; of anything else, none.
func entries(n *yaml.Node) iter.Seq2[string, *yaml.Node] {
	return func(yield func(string, *yaml.Node) bool) {
		if n.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i].Value, n.Content[i+1]) {
				return
			}
		}
	}
}

// child returns the value for a key of a map, nil if there is none.
func child(n *yaml.Node, key string) *yaml.Node {
	for k, v := range entries(n) {
		if k == key {
			return v
		}
	}
	return nil
}

// scalars returns a list's texts, or one text as a list. It is false where anything else stands in the list.
func scalars(n *yaml.Node) ([]string, bool) {
	if n.Kind == yaml.ScalarNode {
		return []string{n.Value}, true
	}
	var texts []string
	for _, c := range n.Content {
		if c.Kind != yaml.ScalarNode {
			return nil, false
		}
		texts = append(texts, c.Value)
	}
	return texts, n.Kind == yaml.SequenceNode
}
