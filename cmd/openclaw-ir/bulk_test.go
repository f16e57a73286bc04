package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/statetest"
	"github.com/clawbook/openclaw-ir/internal/storetest"
)

// runBulk runs analyze with its output apart, and wants its exit code.
func runBulk(t *testing.T, getenv func(string) string, want int, args ...string) (out, said string) {
	t.Helper()
	args = append([]string{"openclaw-ir", "analyze"}, args...)
	var o, e bytes.Buffer
	c := console.New(console.Streams{In: strings.NewReader(""), Out: &o, Err: &e}, console.Facts{Width: 200})
	code := run(context.Background(), args, env{console: c, getenv: getenv, uid: os.Getuid(), haste: true})
	if code != want {
		t.Fatalf("%q: exit code %d, want %d\n%s", args, code, want, e.String())
	}
	return o.String(), e.String()
}

func nothingSet(string) string { return "" }

func credentialsFile(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestBulkReally sends the events and findings of a played incident, and of a real state, to a real store of logs, and asks it for them.
func TestBulkReally(t *testing.T) {
	oneAfterTheOther(t)
	store := storetest.StartLogs(t)
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	to := "http://" + store.Addr + "/insert/elasticsearch/claw?_time_field=@timestamp&_msg_field=message&_stream_fields=event.dataset"
	who := credentialsFile(t, storetest.LogsUser+":"+storetest.LogsPassword+"\n", 0o600)
	root := statetest.Scenario(t, "clawhavoc-skill")
	events := []string{"--root", root, "--kind", "all", "--format", "ecs"}
	printed, _ := runBulk(t, nothingSet, 0, events...)
	want := strings.Count(printed, "\n")

	if _, said := runBulk(t, nothingSet, exitFailed, append(events, "--bulk", to)...); !strings.Contains(said, "401") || !strings.Contains(said, "--bulk-credentials") {
		t.Errorf("without credentials: %s", said)
	}
	out, said := runBulk(t, nothingSet, 0, append(events, "--bulk", to, "--bulk-credentials", who)...)
	if out != "" || strings.Contains(said, storetest.LogsPassword) {
		t.Errorf("%q, %q", out, said)
	}
	got := map[string]map[string]string{}
	for _, log := range store.Query(t, "event.module:openclaw") {
		got[log["event.id"]] = log
	}
	if len(got) != want {
		t.Fatalf("%d events in the store, %d printed", len(got), want)
	}
	for line := range strings.Lines(printed) {
		var doc struct {
			Time    string `json:"@timestamp"`
			Message string
			Event   struct{ ID, Action string }
			Process struct {
				Command string `json:"command_line"`
			}
		}
		if err := json.Unmarshal([]byte(line), &doc); err != nil {
			t.Fatal(err)
		}
		log := got[doc.Event.ID]
		if log["_msg"] != doc.Message || log["event.action"] != doc.Event.Action || log["process.command_line"] != doc.Process.Command || log["_time"] != doc.Time {
			t.Errorf("sent %+v, the store has %v", doc, log)
		}
	}

	found := []string{"findings", "--root", root, "--level", "critical", "--format", "ecs", "--bulk", to}
	set := func(name string) string {
		return map[string]string{bulkVariable: storetest.LogsUser + ":" + storetest.LogsPassword}[name]
	}
	runBulk(t, set, 0, found...)
	if alerts := store.Query(t, "event.kind:alert rule.id:SUP-006"); len(alerts) == 0 {
		t.Error("no alert in the store")
	}
	state := []string{"--root", statetest.Root(t, "2026.7.1"), "--kind", "all", "--format", "ocsf", "--bulk", strings.NewReplacer("@timestamp", "time").Replace(to), "--bulk-credentials", who, "--json"}
	out, _ = runBulk(t, nothingSet, 0, state...)
	if launched := store.Query(t, "class_uid:1007 | limit 5"); len(launched) == 0 || !strings.Contains(out, `"refused":0`) {
		t.Errorf("%d launches, %s", len(launched), out)
	}
	for _, log := range store.Query(t, "*") {
		for name, text := range log {
			for _, secret := range statetest.Secrets(t) {
				if strings.Contains(text, secret) {
					t.Fatalf("the store has a secret in %q", name)
				}
			}
		}
	}
}

// TestBulkInPart lets a store refuse a document of three: the rest is kept, and the exit code says that it is not all.
func TestBulkInPart(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	var mu sync.Mutex
	kept := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		zip, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		text, err := io.ReadAll(zip)
		if err != nil {
			t.Error(err)
		}
		var items []string
		for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
			switch {
			case i%2 == 1:
			case i%6 == 4:
				items = append(items, `{"create":{"status":400,"error":{"type":"mapper_parsing_exception","reason":"no \u001b[2J"}}}`)
			case kept[line]:
				items = append(items, `{"create":{"status":409}}`)
			default:
				kept[line] = true
				items = append(items, `{"create":{"status":201}}`)
			}
		}
		_, _ = io.WriteString(w, `{"errors":true,"items":[`+strings.Join(items, ",")+`]}`)
	}))
	defer server.Close()
	args := []string{"--root", statetest.Scenario(t, "clawhavoc-skill"), "--kind", "all", "--format", "ecs", "--bulk", server.URL + "/claw"}
	_, said := runBulk(t, nothingSet, exitPartial, args...)
	if !strings.Contains(said, "19 new, 0 there already, 9 refused") || !strings.Contains(said, "9 refused: 400") || strings.Contains(said, "\x1b") || !strings.Contains(said, "coverage:") {
		t.Error(said)
	}
	if _, said := runBulk(t, nothingSet, exitPartial, args...); !strings.Contains(said, "0 new, 19 there already, 9 refused") {
		t.Error(said)
	}
	u := newUploader(t) // opens a case, whose log is to say that something left the host
	u.collect(t, 0)
	u.command(t, exitPartial, append([]string{"analyze"}, args...)...)
	if log, err := os.ReadFile(filepath.Join(u.cases, "one", "custody.jsonl")); err != nil || !strings.Contains(string(log), "analyze --bulk") {
		t.Errorf("%v: the custody log does not tell of it:\n%s", err, log)
	}
	server.Close()
	if _, said := runBulk(t, nothingSet, exitFailed, args...); !strings.Contains(said, "refused") || !strings.Contains(said, "tried") {
		t.Error(said)
	}
	if _, said := runBulk(t, nothingSet, 0, append(args, "--dry-run")...); !strings.Contains(said, "would send 28 documents") {
		t.Error(said)
	}
}

// TestBulkIsCheckedFirst refuses what cannot be meant before anything is read or contacted, and never shows a password.
func TestBulkIsCheckedFirst(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	open := credentialsFile(t, "me:hunter2", 0o644)
	wrong := credentialsFile(t, "hunter2", 0o600)
	to := "https://127.0.0.1:1/claw"
	for _, args := range [][]string{
		{"--bulk", to},
		{"--format", "ecs", "--bulk", to, "--count"},
		{"--format", "ecs", "--bulk", "http://search.example.org/claw"},
		{"--format", "ecs", "--bulk", "https://me:hunter2@search.example.org/claw"},
		{"--format", "ecs", "--bulk", to, "--bulk-credentials", open},
		{"--format", "ecs", "--bulk", to, "--bulk-credentials", wrong},
		{"--format", "ecs", "--dry-run"},
		{"--format", "ecs", "--bulk-credentials", wrong},
		{"findings", "--format", "text", "--bulk", to},
	} {
		if _, said := runBulk(t, nothingSet, exitUsage, args...); strings.Contains(said, "hunter2") || !strings.Contains(said, "hint:") {
			t.Errorf("%q: %s", args, said)
		}
	}
}
