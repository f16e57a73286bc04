package rules_test

import (
	"testing"
	"time"

	"github.com/clawbook/openclaw-ir/analyze/rules"
)

func TestReadSequences(t *testing.T) {
	found, err := rules.ReadSequences([]byte(`
name: MY-001
sequences:
  positive:
    - - {Time: 60, Auth: ok}
      - {Times: 3, Every: 5, Auth: failed, Remote: [a, b]}
---
name: MY-002
`))
	if err != nil || len(found) != 1 || len(found["MY-001"].Positive) != 1 {
		t.Fatalf("sequences are %v, error %v", found, err)
	}
	row := found["MY-001"].Positive[0]
	if len(row) != 4 || row[2].At != 10*time.Second || row[3].At != time.Minute || len(row[0].Fields) != 2 || len(row[0].Fields["Remote"]) != 2 {
		t.Errorf("row is %v", row)
	}
}

func TestReadSequencesRefuses(t *testing.T) {
	for _, text := range []string{
		"sequences: {positive: [[{Time: x}]]}",
		"sequences: {positive: [[{Time: -1}]]}",
		"sequences: {positive: [[{Time: []}]]}",
		"sequences: {positive: [[{Times: 10001}]]}",
		"sequences: {positive: [[{Auth: {a: b}}]]}",
		"sequences: [",
	} {
		if found, err := rules.ReadSequences([]byte(text)); err == nil {
			t.Errorf("%q gives %v", text, found)
		}
	}
}

func FuzzReadSequences(f *testing.F) {
	f.Add([]byte("name: a\nsequences: {positive: [[{Time: 1, A: b}]]}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		found, err := rules.ReadSequences(text)
		if err != nil {
			return
		}
		for _, s := range found {
			for _, row := range append(s.Positive, s.Negative...) {
				for i := range row {
					if row[i].At < 0 || i > 0 && row[i].At < row[i-1].At {
						t.Fatalf("times are not in order: %v", row)
					}
				}
			}
		}
	})
}
