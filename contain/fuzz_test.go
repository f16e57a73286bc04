package contain

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/json5"
	"github.com/clawbook/openclaw-ir/internal/product"
)

// FuzzCron puts the lines of a crontab out of action that start OpenClaw. Undo gives the very bytes back.
func FuzzCron(f *testing.F) {
	f.Add("# m h\n@reboot claw /usr/bin/openclaw gateway\n*/5 * * * * id\n  #openclaw\n")
	f.Add("* * * * * clawdbot\r\n* * * * * moltbot")
	f.Fuzz(func(t *testing.T, text string) {
		edits := disableCron(text)
		after, err := edits.Apply([]byte(text))
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		for line := range strings.Lines(string(after)) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' && product.Mentions(line) {
				t.Errorf("%q became %q, which starts it still", text, after)
			}
		}
		if before, err := edits.Invert().Apply(after); err != nil || string(before) != text {
			t.Errorf("%q became %q, and that %q, %v", text, after, before, err)
		}
		if len(disableCron(string(after))) > 0 {
			t.Errorf("%q, once changed, is changed again", text)
		}
	})
}

// FuzzLockConfig closes a configuration of two files. What was closed is closed, Undo gives the very bytes back, and a string that was
// replaced meanwhile stays replaced.
func FuzzLockConfig(f *testing.F) {
	const other = `{tools:{exec:{security:"full"}},channels:{telegram:{dmPolicy:"open",allowFrom:["*"]}}}`
	f.Add(`{gateway:{bind:"lan",auth:{token:"FAKE-token"}},$include:"./b.json"}`, other)
	f.Add("{ // c\n  hooks: {enabled: true,},\n  cron: {enabled: true},\n  channels: {whatsapp: {accounts: {a: {groupPolicy: 'open'}}}},\n}", "[]")
	f.Add(`{$include:["./b.json","./b.json"],agents:{defaults:{heartbeat:{every:"30m"},elevatedDefault:"on"}},channels:{discord:{guilds:{"*":{}}}}}`, `{plugins:{entries:{a:{enabled:true}}}}`)
	const file, second = "/s/openclaw.json", "/s/b.json"
	f.Fuzz(func(t *testing.T, a, b string) {
		texts := map[string][]byte{file: []byte(a), second: []byte(b)}
		changes, _, err := LockConfig(file, texts)
		if err != nil {
			if len(changes) > 0 {
				t.Fatalf("changes and %v", err)
			}
			return
		}
		locked := edit(t, texts, changes)
		if again, _, err := LockConfig(file, locked); err != nil || len(again) > 0 {
			t.Errorf("%q and %q, locked again: %v, %v", locked[file], locked[second], again, err)
		}
		for _, c := range changes {
			checkRebase(t, c.Patch, texts[c.File], locked[c.File])
		}
	})
}

// checkRebase replaces the first string behind the edits, as rotate does with a token, and takes the edits back.
func checkRebase(t *testing.T, edits json5.Patch, before, after []byte) {
	root, err := json5.Parse(after)
	if err != nil {
		t.Fatalf("%q: %v", after, err)
	}
	var token *json5.Value
	root.Walk(func(path []string, v *json5.Value) bool {
		if len(path) > 0 && path[len(path)-1] == "token" && v.Kind == json5.String {
			token = v
		}
		return true
	})
	if token == nil {
		return
	}
	rotated := slices.Concat(after[:token.Start], []byte(`"a new one"`), after[token.End:])
	moved, err := rebase(edits, after, rotated)
	if err != nil {
		t.Fatalf("%q became %q: %v", after, rotated, err)
	}
	undone, err := moved.Invert().Apply(rotated)
	if err != nil || len(undone) != len(before)+len(rotated)-len(after) {
		t.Errorf("%q was locked to %q and rotated to %q: undone %q, %v", before, after, rotated, undone, err)
	}
}

// FuzzLaunchd reads what launchctl prints. Only what may stand in an argument is taken.
func FuzzLaunchd(f *testing.F) {
	f.Add("gui/501 = {\n\tservices = {\n\t\t   123     - \tai.openclaw.gateway\n\t\t     0     -9 \tcom.apple.x\n\t}\n}\n")
	f.Add("\tservices = {\n 1 - -openclaw\n 77 0 application.openclaw\n 77 0 other\n}")
	f.Fuzz(func(t *testing.T, text string) {
		for _, label := range loadedJobs(text, []host.Process{{PID: 77}}) {
			if !validLabel(label) || !strings.Contains(text, label) {
				t.Errorf("%q is taken of %q", label, text)
			}
		}
		if found := plistLabel.FindStringSubmatch(text); found != nil && strings.ContainsAny(found[1], "<") {
			t.Errorf("label %q", found[1])
		}
	})
}

// FuzzUnits reads what systemctl shows of units: blocks of lines, each of which a unit could have written a part of.
func FuzzUnits(f *testing.F) {
	f.Add("Id=openclaw-gateway.service\nMainPID=77\nDropInPaths=/a/b.conf /c\n\nId=x.timer\nMainPID=-1\n\n\n")
	f.Fuzz(func(t *testing.T, show string) {
		n := 0
		for b := range blocks(show) {
			n++
			id := b.get("Id")
			if strings.ContainsAny(id, "\n") || !strings.Contains(show, id) {
				t.Errorf("id %q", id)
			}
			if validUnit(id) && (id[0] == '-' || strings.ContainsAny(id, "/ \n\x00")) {
				t.Errorf("%q may stand in a path", id)
			}
		}
		if n > strings.Count(show, "\n\n")+1 {
			t.Errorf("%d blocks", n)
		}
	})
}

// FuzzPrefixes reads the addresses of --allow-from. What is taken reads the same again, and opens no more than was said.
func FuzzPrefixes(f *testing.F) {
	f.Add("203.0.113.9")
	f.Add("203.0.113.77/24")
	f.Add("fe80::1%eth0")
	f.Add("::ffff:203.0.113.9/128")
	f.Add("::/0")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := ParsePrefixes([]string{text})
		if err != nil {
			return
		}
		source := Way{From: list[0], Port: 22}.source()
		if list[0] == (netip.Prefix{}) {
			if p, err := netip.ParsePrefix(text); err != nil || p.Bits() != 0 {
				t.Fatalf("%q is taken for anywhere", text)
			}
			return
		}
		again, err := ParsePrefixes([]string{source})
		if err != nil || again[0] != list[0] || strings.ContainsAny(source, " \n%") {
			t.Errorf("%q is %v, which is told as %q: %v", text, list[0], source, err)
		}
	})
}

// FuzzHardening reads what docker inspect prints: a container is hardened if it says so, and one alone.
func FuzzHardening(f *testing.F) {
	f.Add([]byte(`[{"HostConfig":{"CapDrop":["ALL"],"SecurityOpt":["no-new-privileges"],"Binds":["/a:/b"],"ReadonlyRootfs":true},"NetworkSettings":{"Ports":{"1/tcp":[{"HostIp":"","HostPort":"1"}]}},"Config":{"Labels":{"openclaw.sandbox":"1","x":"y"}}}]`))
	f.Add([]byte(`[{},{}]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		h, err := parseHardening(Container{Engine: "docker"}, text)
		var rows []any
		if err == nil && (json.Unmarshal(text, &rows) != nil || len(rows) != 1) {
			t.Fatalf("%q is %+v", text, h)
		}
		for name := range h.Labels {
			if !strings.HasPrefix(name, "openclaw.") {
				t.Errorf("label %q", name)
			}
		}
	})
}

// FuzzJournal reads contain.json, which somebody else could have put into the case. What is read is written so that it reads the same.
func FuzzJournal(f *testing.F) {
	f.Add([]byte(`{"version":1,"state":"contained","files":[{"path":"/etc/crontab","edits":[{"start":-1,"old":"x","new":"y"}]}],"links":[{"path":"../x","target":"/etc/passwd"}],"frozen":{}}`))
	f.Add([]byte(`{"version":2}`))
	f.Add([]byte("{\"version\":1,\"links\":[{\"path\":\"x\",\"target\":\"/etc/\x7f\u202e\"}]}")) // which a terminal does not show
	cs, err := casefile.Open(filepath.Join(f.TempDir(), "cases"), "", true)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { cs.Close() })
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(cs.Path(journalName), text, 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := LoadJournal(cs)
		if (err == nil) == (j == nil) {
			t.Fatalf("%+v and %v", j, err)
		}
		if err != nil {
			return
		}
		if err := j.save(cs); err != nil {
			t.Fatal(err)
		}
		want, err := cs.ReadFile(journalName, journalLimit)
		if err != nil {
			t.Fatal(err)
		}
		again, err := LoadJournal(cs)
		if err != nil {
			t.Fatalf("%q was written and is not read: %v", want, err)
		}
		if got, err := console.JSON(again, " "); err != nil || string(got) != string(want) {
			t.Errorf("%s became %s, %v", want, got, err)
		}
	})
}
