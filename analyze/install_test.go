package analyze

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const usageTable = `CREATE TABLE skill_usage (skill_file TEXT NOT NULL PRIMARY KEY, skill_key TEXT NOT NULL, skill_name TEXT NOT NULL, skill_source TEXT NOT NULL, first_used_at_ms INTEGER NOT NULL, last_used_at_ms INTEGER NOT NULL, use_count INTEGER NOT NULL, last_agent_id TEXT) STRICT;
CREATE TABLE claw_workspace_files (agent_id TEXT NOT NULL, target_path TEXT NOT NULL, schema_version TEXT NOT NULL, workspace TEXT NOT NULL, source_path TEXT NOT NULL, content_digest TEXT NOT NULL, status TEXT NOT NULL, created_at_ms INTEGER NOT NULL, updated_at_ms INTEGER NOT NULL, PRIMARY KEY (agent_id, target_path)) STRICT;`

// installedHost is a host whose state database is made by SQL.
func installedHost(t *testing.T, files map[string]string, sql string) string {
	t.Helper()
	files[".openclaw/openclaw.json"] = "{}"
	root := hostOf(t, files)
	state := filepath.Join(root, "home/u/.openclaw/state")
	if err := os.MkdirAll(state, 0o700); err != nil {
		t.Fatal(err)
	}
	sqlExec(t, filepath.Join(state, "openclaw.sqlite"), usageTable+sql)
	return root
}

func TestUsedSkills(t *testing.T) {
	row := func(file, key string) string {
		return fmt.Sprintf("INSERT INTO skill_usage VALUES ('%s', '%s', '%s', 'workspace', 1795335000000, 1795335000000, 3, 'main');", file, key, key)
	}
	root := installedHost(t, map[string]string{}, row("/home/u/.openclaw/workspace/skills/auto-updater-161ks/SKILL.md", "updater")+
		row("/home/u/.openclaw/workspace/skills/x/SKILL.md", "hightower6eu/auto-updater-2yq87")+
		row("/home/u/.openclaw/workspace/skills/y/SKILL.md", "somebody/auto-updater-3rk1s")+row("/usr/lib/node_modules/openclaw/skills/summarize-things/SKILL.md", "summarize-things"))
	got := strings.Join(levelsOf(found(t, root), "SUP-002"), "\n")
	for what, want := range map[string]bool{`high skill "auto-updater-161ks" from "workspace" was used 3 times`: true, "hightower6eu/auto-updater-2yq87": true, "3rk1s": false, "summarize": false} {
		if strings.Contains(got, what) != want {
			t.Errorf("%q: want %v in\n%s", what, want, got)
		}
	}
}

func TestChangedAfterInstall(t *testing.T) {
	sum := func(s string) string { b := sha256.Sum256([]byte(s)); return hex.EncodeToString(b[:]) }
	row := func(file, digest string) string {
		return fmt.Sprintf("INSERT INTO claw_workspace_files VALUES ('main', '%s', '1', '/home/u/.openclaw/workspace', 's', '%s', 'x', 1, 1795335000000);", file, digest)
	}
	files := func() map[string]string {
		return map[string]string{".openclaw/workspace/skills/a/SKILL.md": "as it was", ".openclaw/workspace/skills/b/SKILL.md": "other", ".openclaw/workspace/AGENTS.md": "edited"}
	}
	for _, c := range []struct{ name, sql, want string }{
		{"one differs", row("skills/a/SKILL.md", "sha256:"+sum("as it was")) + row("skills/b/SKILL.md", sum("before")), "high installed as sha256 " + sum("before") + ", is now " + sum("other")},
		{"none does", row("skills/a/SKILL.md", sum("as it was")) + row("skills/b/SKILL.md", sum("other")), ""},
		{"instructions are there to be edited", row("skills/a/SKILL.md", sum("as it was")) + row("AGENTS.md", sum("before")), ""},
		{"nothing proves that it is the bytes' digest", row("skills/b/SKILL.md", sum("before")), ""},
		{"another form of digest", row("skills/a/SKILL.md", sum("as it was")) + row("skills/b/SKILL.md", "sha512-abc"), ""},
		{"removed since", row("skills/a/SKILL.md", sum("as it was")) + row("skills/c/SKILL.md", sum("before")), ""},
	} {
		if got := strings.Join(levelsOf(found(t, installedHost(t, files(), c.sql)), "SUP-008"), "\n"); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestRelinkedSessions(t *testing.T) {
	creds := func(id, key string) string {
		return fmt.Sprintf(`{"noiseKey":{"private":{"type":"Buffer","data":"PRIVATE-KEY"},"public":{"type":"Buffer","data":"%s"}},"registrationId":%s}`, key, id)
	}
	for _, c := range []struct {
		name, now, before string
		want              bool
	}{
		{"the same", creds("71", "KEY-ONE"), creds("71", "KEY-ONE"), false},
		{"another registration", creds("72", "KEY-ONE"), creds("71", "KEY-ONE"), true},
		{"another key", creds("71", "KEY-TWO"), creds("71", "KEY-ONE"), true},
		{"no copy", creds("71", "KEY-ONE"), "", false},
		{"half written", creds("72", "KEY-TWO"), `{"registrationId":71`, false},
		{"something else", `{"registrationId":[]}`, `[71]`, false},
	} {
		root := hostOf(t, map[string]string{".openclaw/openclaw.json": "{}", ".openclaw/credentials/whatsapp/default/creds.json": c.now, ".openclaw/credentials/whatsapp/default/creds.json.bak": c.before})
		got := strings.Join(levelsOf(found(t, root), "PAI-005"), "\n")
		if (got != "") != c.want {
			t.Errorf("%s: %q", c.name, got)
		}
		for _, secret := range []string{"KEY", "71", "72"} {
			if strings.Contains(got, secret) {
				t.Errorf("%s: it tells %q: %s", c.name, secret, got)
			}
		}
	}
}
