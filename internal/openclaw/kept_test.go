package openclaw

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clawbook/openclaw-ir/internal/statetest"
)

// TestLinkedDatabase: the log of a database that a link leads to lies beside it, and not beside the link.
func TestLinkedDatabase(t *testing.T) {
	dir := statetest.Root(t, "2026.9.6/running")
	const name = "/home/alice/.openclaw/agents/main/agent/openclaw-agent.sqlite"
	count := func() (n int64) {
		_, err := OpenDatabaseFunc(open(t, dir), name, func(d *Database) error {
			for row, err := range d.Query(t.Context(), "SELECT count(*) FROM transcript_events") {
				if err != nil {
					return err
				}
				n = row.Int(0)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	want := count()
	for _, suffix := range []string{"", "-wal"} {
		if err := os.Rename(filepath.Join(dir, name+suffix), filepath.Join(dir, "home/alice/x"+suffix)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/home/alice/x", filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
	if got := count(); got != want {
		t.Errorf("%d events by the link, want %d", got, want)
	}
}

// TestKeptElsewhere: sessions are found where session.store or an index of sessions puts them, under whatever name, and where it cannot be
// told is a gap.
func TestKeptElsewhere(t *testing.T) {
	const home, usual = "home/claw/", "home/claw/.openclaw/agents/main/sessions/"
	for name, c := range map[string]struct {
		store string
		files []string // and what they hold
		want  string   // form and path of what is found besides
		gap   string
	}{
		"a template":        {"~/k/{agentId}/s.json", []string{"k/main/a.jsonl", ""}, "jsonl /home/claw/k/main/a.jsonl", ""},
		"a home":            {"/home/claw/sessions.json", []string{"a.jsonl", ""}, "jsonl /home/claw/a.jsonl", ""},
		"a database":        {"~/k/{agentId}.sqlite", []string{"k/main.sqlite", "x"}, "sqlite /home/claw/k/main.sqlite", ""},
		"named for a store": {"~/k/s.json", []string{"k/s.main.2.sqlite", "x", "k/s.sqlite.lock.sqlite", ""}, "sqlite /home/claw/k/s.main.2.sqlite", ""},
		"another index":     {"~/k/s.json", []string{"k/s.json", `{"agent:main:x":{"sessionId":"a","sessionFile":"notes.txt"}}`, "k/notes.txt", ""}, "jsonl /home/claw/k/notes.txt", ""},
		"a store for each":  {"~/k/{agentId}.json", []string{".openclaw/agents/ops/x", "", "k/main.json", `{"x":{"sessionId":"a","sessionFile":"notes.txt"}}`, "k/notes.txt", "", "k/ops.json", "{}"}, "jsonl /home/claw/k/notes.txt", ""},
		"an index's file":   {"", []string{".openclaw/agents/main/sessions/sessions.json", `{"x":{"sessionId":"a","sessionFile":"d/1/2/3/x"}}`, ".openclaw/agents/main/sessions/d/1/2/3/x", ""}, "jsonl /" + usual + "d/1/2/3/x", ""},
		"an index's place":  {"", []string{".openclaw/agents/main/sessions/sessions.json", `{"x":{"sessionId":"a","sessionFile":"/home/claw/k/agents/main/sessions/x"}}`, "k/agents/main/sessions/x", ""}, "jsonl /home/claw/k/agents/main/sessions/x", ""},
		"no such place":     {"", []string{".openclaw/agents/main/sessions/sessions.json", `{"x":{"sessionId":"a","sessionFile":"/home/claw/k/x.jsonl"}}`, "k/x.jsonl", ""}, "", ""},
		"a relative path":   {"k/sessions.json", nil, "", "of which it cannot be told where it leads"},
		"a variable":        {"/${K}/sessions.json", nil, "", "of which it cannot be told where it leads"},
		"nothing there":     {"/srv/sessions.json", nil, "", "where nothing is"},
	} {
		t.Run(name, func(t *testing.T) {
			pairs := []string{usual + "b.jsonl", "", home + ".openclaw/openclaw.json", fmt.Sprintf(`{session:{store:%q}}`, c.store)}
			for i := 0; i < len(c.files); i += 2 {
				pairs = append(pairs, home+c.files[i], c.files[i+1])
			}
			fsys := hostFS(pairs...)
			installs, gaps := Find(fsys, FindOptions{})
			if !hasGap(gaps, "/home/claw/.openclaw/openclaw.json", c.gap) && c.gap != "" {
				t.Errorf("gaps %v, want %q", gaps, c.gap)
			}
			var found []string
			sources, _ := installs[0].Transcripts(fsys)
			for _, s := range sources {
				found = append(found, s.Form.String()+" "+s.Path)
			}
			if c.want != "" && !slices.Contains(found, c.want) || !slices.Contains(found, "jsonl /"+usual+"b.jsonl") {
				t.Errorf("found %q, want %q", found, c.want)
			}
			if c.want == "" && len(found) != 1 || strings.Contains(strings.Join(found, "\n"), "lock.sqlite") {
				t.Errorf("found %q", found)
			}
		})
	}
}

// TestManyPlaces: places that an index names are looked up, and not compared with each other.
func TestManyPlaces(t *testing.T) {
	const n = 20_000
	entries := make([]string, n)
	files := []string{"home/claw/.openclaw/openclaw.json", config}
	for i := range n {
		file := fmt.Sprintf("t/agents/%d/sessions/x", i)
		files = append(files, file, "")
		entries[i] = fmt.Sprintf(`"%d":{"sessionId":"a","sessionFile":"/%s"}`, i, file)
	}
	fsys := hostFS(append(files, "home/claw/.openclaw/agents/main/sessions/sessions.json", "{"+strings.Join(entries, ",")+"}")...)
	start := time.Now()
	in := &Installation{StateDir: "/home/claw/.openclaw", Config: &Config{}, Agents: []Agent{{ID: "main", Sessions: "/home/claw/.openclaw/agents/main/sessions"}}}
	in.keptElsewhere(fsys)
	if took := time.Since(start); len(in.Agents) != n+1 || took > 10*time.Second {
		t.Errorf("%d places in %s", len(in.Agents), took)
	}
}

// TestManyShare: a directory that many agents share is listed once.
func TestManyShare(t *testing.T) {
	const n = 50
	files := []string{"home/claw/.openclaw/openclaw.json", `{session:{store:"/t/{agentId}.json"}}`}
	for i := range n {
		files = append(files, fmt.Sprintf("home/claw/.openclaw/agents/%d/x", i), "", fmt.Sprintf("t/%d.json", i), "{}")
	}
	fsys := &listings{FS: hostFS(files...), of: map[string]int{}}
	installs, _ := Find(fsys, FindOptions{})
	installs[0].Transcripts(fsys)
	if len(installs[0].Agents) != 2*n || fsys.of["t"] > 3 {
		t.Errorf("%d agents, the directory was listed %d times", len(installs[0].Agents), fsys.of["t"])
	}
}

// listings counts how often each directory is listed.
type listings struct {
	fs.FS
	of map[string]int
}

func (l *listings) ReadDir(name string) ([]fs.DirEntry, error) {
	l.of[name]++
	return fs.ReadDir(l.FS, name)
}
