package collect

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Committed versions of a config are told apart and dated, without running git.
func TestGitHistory(t *testing.T) {
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("git is not installed")
	}
	for _, format := range []string{"sha1", "sha256"} {
		dir := newHost(t, nil)
		run := func(date string, args ...string) {
			t.Helper()
			cmd := exec.Command(git, args...)
			cmd.Dir = dir + state
			cmd.Env = []string{
				"HOME=/nonexistent", "GIT_AUTHOR_DATE=" + date, "GIT_COMMITTER_DATE=" + date, "PATH=/usr/bin:/bin",
				"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b",
			}
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
		run("", "init", "-q", "--object-format="+format)
		for i, token := range []string{"first-secret-1234567", "second-secret-7654321", "third-secret-1111111"} {
			put(t, dir+state+"/openclaw.json", `{"gateway":{"auth":{"token":"`+token+`"}}}`+"\n")
			date := fmt.Sprintf("2026-01-0%dT00:00:00Z", i+1)
			run(date, "add", "openclaw.json")
			args := []string{"commit", "-q", "-m", "config"}
			if i == 1 {
				args = append(args, "--amend") // the first is only in the log of HEAD now
			}
			run(date, args...)
		}
		got := runOn(t, context.Background(), dir, Options{})
		const folder = "config-diffs/1-home-claw-.openclaw/"
		list := string(got.content(t, folder+"history.jsonl"))
		if n := strings.Count(list, `"git blob"`); n != 3 || strings.Count(list, "\n") != 4 {
			t.Errorf("%s: %d committed versions, want 3: %s", format, n, list)
		}
		for i := range 3 {
			if !strings.Contains(list, fmt.Sprintf(`{"time":"2026-01-0%dT00:00:00Z","time_from":"commit"`, i+1)) {
				t.Errorf("commit %d is not dated: %s", i, list)
			}
		}
		for p := range got.rows {
			if strings.HasPrefix(p, folder) && strings.Contains(string(got.content(t, p)), "-secret-") {
				t.Errorf("%q holds a secret", p)
			}
		}
		run("", "gc", "-q", "--prune=now")
		got = runOn(t, context.Background(), dir, Options{})
		if list := string(got.content(t, folder+"history.jsonl")); !strings.Contains(list, "are packed, missing or damaged") {
			t.Errorf("packed objects are not reported: %s", list)
		}
	}
}

// Versions come in the order in which they were: by the journal, the ring and the file's time, in this order.
func TestVersionsInOrder(t *testing.T) {
	make := func(name string, ring int, at int64) version {
		v := version{ConfigVersion: ConfigVersion{Name: name, Time: time.Unix(at, 0), Data: []byte(name)}, ring: ring, from: "mtime"}
		v.sum = name
		return v
	}
	h := history{
		versions: []version{
			make("current", 1, 500), make("bak", 2, 900), make("bak.1", 3, 400), make("bak.2", 4, 450),
			make("last-good", 0, 460), make("rejected", 0, 100), make("journaled", 0, 999),
		},
		journal: []journaled{{Next: "journaled", at: time.Unix(200, 0)}, {Next: "journaled", at: time.Unix(2000, 0)}},
	}
	h.date()
	var names []string
	for _, v := range h.versions {
		names = append(names, v.Name)
	}
	// .bak was touched after the current file was written, and .bak.2 after .bak.1.
	want := "rejected journaled bak.2 bak.1 last-good bak current"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func FuzzGit(f *testing.F) {
	f.Add([]byte("tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nparent x\ncommitter a <b> 1700000000 +0000\n\nmessage"))
	f.Add([]byte("100644 openclaw.json\x00aaaaaaaaaaaaaaaaaaaa40000 d\x00bbbbbbbbbbbbbbbbbbbb"))
	f.Fuzz(func(t *testing.T, body []byte) {
		parseCommit(string(body))
		if _, id, err := treeEntry(body, 20, "openclaw.json"); err == nil && id != "" && !isObjectID(id) {
			t.Errorf("id %q", id)
		}
	})
}
