package statetest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestBenignShapes checks that no record of the generated work has members that the real gateway's lack.
func TestBenignShapes(t *testing.T) {
	if Raced() {
		t.Skip("one goroutine generates")
	}
	for _, version := range BenignVersions() {
		t.Run(version, func(t *testing.T) {
			real := map[string]bool{}
			for _, r := range realRecords(t, version) {
				real[shape(r)] = true
			}
			seen := map[string]bool{}
			for _, r := range recordsIn(t, Benign(t, version, 3)) {
				s := shape(r)
				if picture := strings.HasSuffix(s, "text,image"); !real[s] && !seen[s] && !picture { // no real state shows one yet
					seen[s] = true
					t.Errorf("no real record is like %s", s)
				}
			}
			t.Logf("%d real shapes", len(real))
		})
	}
}

func realRecords(t *testing.T, version string) []record {
	if version == "2026.9.6" {
		return recordsIn(t, Scenario(t, "benign"))
	}
	return recordsIn(t, Root(t, version))
}

// recordsIn reads every record of a host's transcripts.
func recordsIn(t *testing.T, dir string) (list []record) {
	t.Helper()
	state := filepath.Join(dir, "home/claw/.openclaw")
	names, _ := filepath.Glob(filepath.Join(state, "agents/*/sessions/*.jsonl"))
	var lines []string
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(name, ".trajectory.jsonl") {
			lines = append(lines, strings.Split(strings.TrimSpace(string(data)), "\n")...)
		}
	}
	if db := filepath.Join(state, "agents/main/agent/openclaw-agent.sqlite"); len(names) == 0 {
		w := &rows{tb: t, agent: openWritable(t, db)}
		lines = w.texts(w.agent, "select event_json from transcript_events where event_json is not null")
		if err := w.agent.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range lines {
		if r, err := parseRecord([]byte(line)); err == nil {
			list = append(list, r)
		}
	}
	return list
}

// shape names a record's kind and its members, those of its message, its parts' kinds and how a command ended.
func shape(r record) string {
	s := r.text("type") + " " + r.text("customType") + " " + names(r)
	message, ok := r.at("message").(record)
	if !ok {
		return s
	}
	s += " | " + message.text("role") + " " + names(message)
	parts, _ := message.at("content").([]any)
	var kinds []string
	for _, part := range parts {
		if p, ok := part.(record); ok {
			kinds = append(kinds, p.text("type"))
		}
	}
	s += " | " + strings.Join(slices.Compact(kinds), ",")
	if message.text("toolName") == "exec" {
		details, _ := message.at("details").(record)
		s += " | " + names(details)
	}
	return s
}

func names(r record) string {
	var list []string
	for _, m := range r {
		list = append(list, m.name)
	}
	return strings.Join(list, ",")
}
