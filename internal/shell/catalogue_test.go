package shell

import (
	"bufio"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestCatalogue checks that the layers keep what the detection catalogue must find: an entry's expression matches at least
// one layer of each positive sample and no layer of a negative one.
func TestCatalogue(t *testing.T) {
	f, err := os.Open("testdata/catalogue.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var expr *regexp.Regexp
	p := NewParser()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		id, rest, ok := strings.Cut(lines.Text(), "\t")
		kind, quoted, _ := strings.Cut(rest, "\t")
		if !ok || strings.HasPrefix(id, "#") {
			continue
		}
		var text string
		if err := json.Unmarshal([]byte(quoted), &text); err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		if kind == "re" {
			expr = regexp.MustCompile(text)
			continue
		}
		if layer, found := matching(expr, p.Parse(text)); found != (kind == "positive") {
			t.Errorf("%s: %s %q: matched is %t %+v, layers %+v", id, kind, text, found, layer, p.Parse(text).Layers)
		}
	}
}

func matching(expr *regexp.Regexp, c *Command) (Layer, bool) {
	for _, l := range c.Layers {
		if expr.MatchString(l.Text) {
			return l, true
		}
	}
	return Layer{}, false
}
