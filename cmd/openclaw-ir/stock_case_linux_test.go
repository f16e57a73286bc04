package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// readmeBlock returns the command lines of README.md that begin with a line.
func readmeBlock(t *testing.T, first string) string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "\n    "+first)
	if !ok {
		t.Fatalf("no line %q in README.md", first)
	}
	block, _, _ := strings.Cut(first+rest, "\n\n")
	return block
}

// caseTampering are changes of a case, as a line of a shell in its directory.
var caseTampering = map[string]string{
	"a changed line":       `sed -i '2s/"host":"/&x/' custody.jsonl`,
	"a line removed":       `sed -i 2d custody.jsonl`,
	"two lines swapped":    `sed -i '2{h;d};3G' custody.jsonl`,
	"a line twice":         `sed -i 2p custody.jsonl`,
	"no beginning":         `sed -i 1d custody.jsonl`,
	"no last newline":      `truncate -s -1 custody.jsonl`,
	"another last line":    `sed -i '$s/"result":"/&x/' custody.jsonl`,
	"a cut end":            `sed -i '$d' custody.jsonl`,
	"a byte of a bundle":   `printf X | dd status=none of="$(ls bundles/*.age)" bs=1 seek=100 conv=notrunc`,
	"a seal removed":       `rm bundles/*.seal`,
	"another key of seals": `sed -i 's/$/ x/' seal.pub`,
}

// TestStockToolsVerifyCase has sha256sum and jq verify a case as README.md says, and find what was done to it, as we do.
func TestStockToolsVerifyCase(t *testing.T) {
	if _, err := exec.LookPath("jq"); err != nil {
		t.Skip(err)
	}
	lines := readmeBlock(t, "while IFS= read -r line")
	s := newStock(t)
	s.must("collect", "--root", "host", "-R", "recipients.txt", "--case", "one")
	hostile := "host\n\u202e\xff \\n'\""
	if err := os.Rename("host", hostile); err != nil {
		t.Fatal(err)
	}
	s.must("analyze", hostile, "--case", "one")
	head, holds := s.verifiedBy(lines, s.cases)
	if !holds {
		t.Fatalf("what is whole does not hold: %s", head)
	}
	number := strings.TrimSpace(s.shell(`wc -l <"$1"/one/custody.jsonl`, s.cases))
	for what, line := range caseTampering {
		s.shell(`rm -rf spoiled && cp -a "$1" spoiled && cd spoiled/one && `+line, s.cases)
		if said, holds := s.verifiedBy(lines, "spoiled"); holds && said == head {
			t.Errorf("%s: stock tools find nothing", what)
		}
		if code, stdout, _ := s.run("case", "verify", "one", "--case-dir", "spoiled", "--head", head+":"+number); code != exitFound {
			t.Errorf("%s: case verify ends with %d: %s", what, code, stdout)
		}
	}
	if code, _, stderr := s.run("case", "verify", "one", "--case-dir", s.cases, "--head", head+":"+number); code != exitDone {
		t.Errorf("the head that stock tools print is none to us: %s", stderr)
	}
	// What a crash cut short differs, and nothing after it.
	s.shell(`printf '{"seq":' >>"$1"/one/custody.jsonl`, s.cases)
	s.must("analyze", hostile, "--case", "one")
	said, _ := s.verifiedBy(lines, s.cases)
	if strings.Count(said, "\n> ") != 1 || !strings.HasSuffix(said, "\n> cut short") {
		t.Errorf("a line that a crash cut short: %s", said)
	}
}

// verifiedBy runs command lines in a copy of case one, and returns what they print: the head, if everything holds.
func (s *stock) verifiedBy(lines, cases string) (said string, holds bool) {
	s.t.Helper()
	cmd := exec.Command("bash", "-o", "pipefail", "-ec", "rm -rf copy && cp -a \"$1\"/one copy && cd copy\n"+lines, "bash", cases)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err == nil
}
