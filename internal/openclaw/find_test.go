package openclaw

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/statetest"
)

const passwd = "root:x:0:0:root:/root:/bin/bash\n" +
	"claw:x:1000:1000::/home/claw:/bin/bash\n" +
	"bob:x:1001:1001::/home/bob:/bin/bash\n" +
	"mail:x:8:8::/:/usr/sbin/nologin\n"

// hostFS makes a host of name, content pairs. A content that begins with "-> " is a link.
func hostFS(pairs ...string) fstest.MapFS {
	fsys := fstest.MapFS{"etc/passwd": {Data: []byte(passwd), Mode: 0o644}}
	for i := 0; i < len(pairs); i += 2 {
		f := &fstest.MapFile{Data: []byte(pairs[i+1]), Mode: 0o600}
		if target, ok := strings.CutPrefix(pairs[i+1], "-> "); ok {
			f = &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink | 0o777}
		}
		fsys[pairs[i]] = f
	}
	return fsys
}

const config = `{"meta":{"lastTouchedVersion":"2026.3.31"}}`

// TestLinkedRecords: a link in the place of records is told, and one that leads nowhere is a gap.
func TestLinkedRecords(t *testing.T) {
	for _, place := range []string{"agents/main/sessions", "agents/main/agent", "agents/main", "agents/ops", "agents", "state"} {
		up := strings.Repeat("../", strings.Count(place, "/"))
		for target, gap := range map[string]bool{up + "../else": false, up + "../gone": true} {
			installs, gaps := Find(hostFS("home/claw/.openclaw/openclaw.json", config, "home/claw/.openclaw/"+place, "-> "+target, "home/claw/else/a.jsonl", "{}"), FindOptions{})
			isGap := slices.ContainsFunc(gaps, func(g Gap) bool { return g.Path == "/home/claw/.openclaw/"+place })
			if isNote := strings.Contains(strings.Join(installs[0].Notes, "\n"), target); isGap != gap || isNote == gap {
				t.Errorf("%s to %s: gaps %v, notes %q", place, target, gaps, installs[0].Notes)
			}
		}
	}
}

// TestIsAbsent: an attacker's name for a file that may not be read does not make it one that is not there.
func TestIsAbsent(t *testing.T) {
	if IsAbsent(&fs.PathError{Op: "open", Path: "agents/not a directory", Err: fs.ErrPermission}) {
		t.Error("a file that may not be read passes for absent")
	}
	for _, err := range []error{fs.ErrNotExist, syscall.ENOTDIR} {
		if !IsAbsent(&fs.PathError{Op: "open", Path: "agents", Err: err}) {
			t.Errorf("%v is not absent", err)
		}
	}
}

// wants are what a case expects of the installations, in order.
type wants struct{ dir, config, user, profile, by string }

func TestFind(t *testing.T) {
	const plist = `<?xml version="1.0"?><plist><dict><key>Label</key><string>ai.openclaw.gateway</string>
		<key>ProgramArguments</key><array><string>/usr/bin/node</string><string>/opt/a&amp;b/openclaw/dist/index.js</string></array>
		<key>EnvironmentVariables</key><dict><key>HOME</key><string>/home/claw</string>
		<key>OPENCLAW_STATE_DIR</key> <string>/data/a&amp;b</string></dict></dict></plist>`
	cases := []struct {
		name  string
		files []string
		o     FindOptions
		want  []wants
	}{
		{"none", nil, FindOptions{}, nil},
		{
			"home",
			[]string{"home/claw/.openclaw/openclaw.json", config},
			FindOptions{},
			[]wants{{"/home/claw/.openclaw", "/home/claw/.openclaw/openclaw.json", "claw", "", "home"}},
		},
		{
			"root's home",
			[]string{"root/.openclaw/openclaw.json", config},
			FindOptions{},
			[]wants{{"/root/.openclaw", "/root/.openclaw/openclaw.json", "root", "", "home"}},
		},
		{
			"profile",
			[]string{"home/claw/.openclaw-work/openclaw.json", config},
			FindOptions{},
			[]wants{{"/home/claw/.openclaw-work", "/home/claw/.openclaw-work/openclaw.json", "claw", "work", "home"}},
		},
		{
			"former names",
			[]string{"home/claw/.clawdbot/clawdbot.json", config, "home/bob/.moltbot/moltbot.json", config},
			FindOptions{},
			[]wants{{"/home/bob/.moltbot", "/home/bob/.moltbot/moltbot.json", "bob", "", "home"}, {"/home/claw/.clawdbot", "/home/claw/.clawdbot/clawdbot.json", "claw", "", "home"}},
		},
		{
			"no config but agents",
			[]string{"home/claw/.openclaw/agents/main/sessions/a.jsonl", ""},
			FindOptions{},
			[]wants{{"/home/claw/.openclaw", "/home/claw/.openclaw/openclaw.json", "claw", "", "home"}},
		},
		{"not a state directory", []string{"home/claw/.openclaw/notes.txt", "", "home/claw/.openclawx/openclaw.json", config}, FindOptions{}, nil},
		{
			"one account only",
			[]string{"home/claw/.openclaw/openclaw.json", config, "home/bob/.openclaw/openclaw.json", config},
			FindOptions{UID: 1001},
			[]wants{{"/home/bob/.openclaw", "/home/bob/.openclaw/openclaw.json", "bob", "", "home"}},
		},
		{
			"an account that passwd does not list",
			[]string{"home/ldap/.openclaw/openclaw.json", config},
			FindOptions{UID: 70001},
			[]wants{{"/home/ldap/.openclaw", "/home/ldap/.openclaw/openclaw.json", "ldap", "", "home"}},
		},
		{
			"given",
			[]string{"srv/x/openclaw.json", config},
			FindOptions{StateDirs: []string{"/srv/x/"}},
			[]wants{{"/srv/x", "/srv/x/openclaw.json", "", "", "given"}},
		},
		{
			"given in a home",
			[]string{"home/claw/x/openclaw.json", config},
			FindOptions{StateDirs: []string{"/home/claw/x"}},
			[]wants{{"/home/claw/x", "/home/claw/x/openclaw.json", "claw", "", "given"}},
		},
		{
			"user unit",
			[]string{"home/claw/.config/systemd/user/openclaw-gateway.service", "[Service]\nExecStart=/usr/bin/node x\nEnvironment=OPENCLAW_STATE_DIR=%h/st OPENCLAW_CONFIG_PATH=%h/c.json\n", "home/claw/st/x", "", "home/claw/c.json", config},
			FindOptions{},
			[]wants{{"/home/claw/st", "/home/claw/c.json", "claw", "", "unit /home/claw/.config/systemd/user/openclaw-gateway.service"}},
		},
		{
			"unit with a quoted Environment over two lines",
			[]string{"home/claw/.config/systemd/user/agent.service", "[Service]\nExecStart=/opt/openclaw/run\nEnvironment=\"OPENCLAW_STATE_DIR=/srv/my state\" 'X=1' \\\n  OPENCLAW_PROFILE=\"my\"\n", "srv/my state/x", ""},
			FindOptions{},
			[]wants{{"/srv/my state", "/srv/my state/openclaw.json", "claw", "my", "unit /home/claw/.config/systemd/user/agent.service"}},
		},
		{
			"drop-in beside another directory's unit",
			[]string{"usr/lib/systemd/system/agent.service", "[Service]\nUser=claw\nExecStart=/opt/agent\n", "etc/systemd/system/agent.service.d/10.conf", "[Service]\nEnvironment=OPENCLAW_STATE_DIR=/srv/a\n", "srv/a/x", ""},
			FindOptions{},
			[]wants{{"/srv/a", "/srv/a/openclaw.json", "claw", "", "unit /usr/lib/systemd/system/agent.service"}},
		},
		{
			"drop-ins in order, an earlier directory's winning, an empty one clearing",
			[]string{
				"etc/systemd/system/openclaw.service", "[Service]\nEnvironment=OPENCLAW_STATE_DIR=/srv/no OPENCLAW_PROFILE=no\n",
				"etc/systemd/system/openclaw.service.d/20.conf", "[Service]\nEnvironment=\nEnvironment=OPENCLAW_STATE_DIR=/srv/yes\n",
				"run/systemd/system/openclaw.service.d/20.conf", "[Service]\nEnvironment=OPENCLAW_STATE_DIR=/srv/no\n",
				"run/systemd/system/openclaw.service.d/10.conf", "[Service]\nEnvironment=OPENCLAW_STATE_DIR=/srv/no\n", "srv/yes/x", "", "srv/no/x", "",
			},
			FindOptions{},
			[]wants{{"/srv/yes", "/srv/yes/openclaw.json", "root", "", "unit /etc/systemd/system/openclaw.service"}},
		},
		{
			"system unit that runs as an account",
			[]string{"etc/systemd/system/openclaw.service", "[Service]\nUser=claw\nExecStart=/usr/bin/openclaw gateway\n", "home/claw/.openclaw/x", ""},
			FindOptions{},
			[]wants{{"/home/claw/.openclaw", "/home/claw/.openclaw/openclaw.json", "claw", "", "unit /etc/systemd/system/openclaw.service"}},
		},
		{
			"system unit that runs as root",
			[]string{"etc/systemd/system/openclaw.service", "[Service]\nExecStart=/usr/bin/openclaw gateway\n", "root/.openclaw/x", ""},
			FindOptions{},
			[]wants{{"/root/.openclaw", "/root/.openclaw/openclaw.json", "root", "", "unit /etc/systemd/system/openclaw.service"}},
		},
		{"root's unit is not the caller's", []string{"etc/systemd/system/openclaw.service", "[Service]\nExecStart=/usr/bin/openclaw gateway\n", "root/.openclaw/x", ""}, FindOptions{UID: 1000}, nil},
		{
			"unit of all accounts",
			[]string{"etc/systemd/user/openclaw.service", "[Service]\nExecStart=/usr/bin/openclaw gateway\n", "home/bob/.openclaw/x", ""},
			FindOptions{},
			[]wants{{"/home/bob/.openclaw", "/home/bob/.openclaw/openclaw.json", "bob", "", "unit /etc/systemd/user/openclaw.service"}},
		},
		{
			"environment file",
			[]string{"home/claw/.config/systemd/user/openclaw.service", "[Service]\nEnvironment=OPENCLAW_STATE_DIR=/srv/no\nEnvironmentFile=-%h/gw.env\n", "home/claw/gw.env", "# x\nOPENCLAW_STATE_DIR=\"/srv/yes\"\n", "srv/yes/x", ""},
			FindOptions{},
			[]wants{{"/srv/yes", "/srv/yes/openclaw.json", "claw", "", "unit /home/claw/.config/systemd/user/openclaw.service"}},
		},
		{
			"unit falls back on the former name",
			[]string{"home/claw/.config/systemd/user/clawdbot.service", "[Service]\nExecStart=x\n", "home/claw/.clawdbot/x", ""},
			FindOptions{},
			[]wants{{"/home/claw/.clawdbot", "/home/claw/.clawdbot/openclaw.json", "claw", "", "unit /home/claw/.config/systemd/user/clawdbot.service"}},
		},
		{"masked unit", []string{"etc/systemd/system/openclaw.service", "-> /dev/null", "root/.openclaw/x", ""}, FindOptions{}, nil},
		{
			"quadlet",
			[]string{"home/claw/.config/containers/systemd/openclaw.container", "[Container]\nUser=%U:%G\nVolume=%h/oc:/home/node/.openclaw:Z\nVolume=%h/ws:/home/node/.openclaw/workspace:Z\n", "home/claw/oc/x", ""},
			FindOptions{},
			[]wants{{"/home/claw/oc", "/home/claw/oc/openclaw.json", "claw", "", "unit /home/claw/.config/containers/systemd/openclaw.container"}},
		},
		{
			"launchd job",
			[]string{"Library/LaunchDaemons/ai.openclaw.gateway.plist", plist, "data/a&b/x", ""},
			FindOptions{},
			[]wants{{"/data/a&b", "/data/a&b/openclaw.json", "claw", "", "unit /Library/LaunchDaemons/ai.openclaw.gateway.plist"}},
		},
		{
			"process",
			[]string{"proc/41/environ", "HOME=/home/bob\x00OPENCLAW_STATE_DIR=~/st\x00", "home/bob/st/x", "", "proc/self/environ", "OPENCLAW_STATE_DIR=/srv/no"},
			FindOptions{},
			[]wants{{"/home/bob/st", "/home/bob/st/openclaw.json", "bob", "", "process 41"}},
		},
		{
			"process that names only a config",
			[]string{"proc/41/environ", "HOME=/home/bob\x00OPENCLAW_CONFIG_PATH=/srv/c.json\x00OPENCLAW_STATE_DIR=undefined\x00", "home/bob/.openclaw/x", "", "srv/c.json", config},
			FindOptions{},
			[]wants{{"/home/bob/.openclaw", "/srv/c.json", "bob", "", "process 41"}},
		},
		{
			"process with a home of its own",
			[]string{"proc/41/environ", "HOME=/home/bob\x00OPENCLAW_HOME=~/oc\x00OPENCLAW_PROFILE=p", "home/bob/oc/.openclaw-p/x", ""},
			FindOptions{},
			[]wants{{"/home/bob/oc/.openclaw-p", "/home/bob/oc/.openclaw-p/openclaw.json", "bob", "p", "process 41"}},
		},
		{"other processes", []string{"proc/41/environ", "HOME=/home/bob\x00PATH=/openclaw", "home/bob/.openclaw/x", ""}, FindOptions{}, nil},
		{
			"found in several ways",
			[]string{"home/claw/.openclaw/openclaw.json", config, "proc/41/environ", "HOME=/home/claw\x00OPENCLAW_SERVICE_KIND=gateway"},
			FindOptions{StateDirs: []string{"/home/claw/.openclaw"}},
			[]wants{{"/home/claw/.openclaw", "/home/claw/.openclaw/openclaw.json", "claw", "", "home; process 41; given"}},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			installs, gaps := Find(hostFS(c.files...), c.o)
			var got []wants
			for _, in := range installs {
				got = append(got, wants{in.StateDir, in.ConfigPath, in.User, in.Profile, strings.Join(in.FoundBy, "; ")})
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q\ngaps %v", got, c.want, gaps)
			}
		})
	}
}

// TestFindLinks finds one installation under its real name, and says which other names it has. Loops are none.
func TestFindLinks(t *testing.T) {
	dir := t.TempDir()
	state := filepath.Join(dir, "home/claw/.openclaw")
	mkdir(t, state)
	write(t, filepath.Join(state, "openclaw.json"), config)
	for name, target := range map[string]string{".clawdbot": ".openclaw", ".moltbot": "/home/claw/.clawdbot", ".openclaw-a": ".openclaw-b", ".openclaw-b": ".openclaw-a"} {
		if err := os.Symlink(target, filepath.Join(dir, "home/claw", name)); err != nil {
			t.Fatal(err)
		}
	}
	installs, gaps := Find(open(t, dir), FindOptions{})
	if len(installs) != 1 || len(gaps) > 0 || installs[0].StateDir != "/home/claw/.openclaw" {
		t.Fatalf("%d installations, gaps %v", len(installs), gaps)
	}
	for _, name := range []string{"/home/claw/.clawdbot is another name", "/home/claw/.moltbot is another name"} {
		if !strings.Contains(strings.Join(installs[0].Notes, "\n"), name) {
			t.Errorf("no note %q in %q", name, installs[0].Notes)
		}
	}
}

func TestFindSaysWhatIsInTheWay(t *testing.T) {
	_, gaps := Find(hostFS(), FindOptions{StateDirs: []string{"/nowhere"}})
	if !hasGap(gaps, "/nowhere", "not there") || len(gaps) != 1 {
		t.Errorf("gaps %v", gaps)
	}
	_, gaps = Find(hostFS("Library/LaunchAgents/openclaw.plist", "bplist00"), FindOptions{})
	if !hasGap(gaps, "/Library/LaunchAgents/openclaw.plist", "binary") {
		t.Errorf("gaps %v", gaps)
	}
}

func TestFindUnreadableHome(t *testing.T) {
	fsys := deny{hostFS("home/claw/.openclaw/openclaw.json", config), "home/claw"}
	if _, gaps := Find(fsys, FindOptions{}); !hasGap(gaps, "/home/claw", "permission denied") {
		t.Errorf("gaps %v", gaps)
	}
}

// TestConflictingConfigs keeps a process, which anyone can start, from replacing the config that is read in silence.
func TestConflictingConfigs(t *testing.T) {
	installs, _ := Find(hostFS("home/claw/.openclaw/openclaw.json", config,
		"proc/1/environ", "HOME=/home/claw\x00OPENCLAW_CONFIG_PATH=/srv/a.json", "proc/2/environ", "HOME=/home/claw\x00OPENCLAW_CONFIG_PATH=/srv/b.json"), FindOptions{})
	if len(installs) != 1 || installs[0].ConfigPath != "/srv/a.json" || !strings.Contains(strings.Join(installs[0].Notes, "\n"), "/srv/b.json") {
		t.Errorf("%+v", installs)
	}
}

func TestVersionAndPort(t *testing.T) {
	const unit = "home/claw/.config/systemd/user/openclaw-gateway.service"
	cases := []struct {
		name    string
		files   []string
		version string
		port    int
		note    string
	}{
		{"config", []string{"home/claw/.openclaw/openclaw.json", `{"meta":{"lastTouchedVersion":"2026.2.12"},"gateway":{"port":4000}}`}, "2026.2.12", 4000, ""},
		{"wizard", []string{"home/claw/.openclaw/openclaw.json", `{wizard:{lastRunVersion:'2026.1.30'}}`}, "2026.1.30", 18789, ""},
		{"package of the unit", []string{
			"home/claw/.openclaw/openclaw.json", config, unit, "[Service]\nExecStart=/usr/bin/node \"/opt/n m/openclaw/dist/index.js\" gateway\nEnvironment=OPENCLAW_GATEWAY_PORT=4001\n",
			"opt/n m/openclaw/package.json", `{"name":"openclaw","version":"2026.9.6"}`,
		}, "2026.9.6", 4001, ""},
		{"launchd job with many arguments", []string{
			"data/s/openclaw.json", config, "opt/openclaw/package.json", `{"name":"openclaw","version":"2026.9.6"}`,
			"Library/LaunchDaemons/ai.openclaw.gateway.plist", "<key>ProgramArguments</key><array><string>/usr/bin/node</string><string>/opt/openclaw/dist/index.js</string>" +
				strings.Repeat("<string>--option</string>", 100) + "</array><key>OPENCLAW_STATE_DIR</key><string>/data/s</string>",
		}, "2026.9.6", 18789, ""},
		{"newer", []string{"home/claw/.openclaw/openclaw.json", `{"meta":{"lastTouchedVersion":"2026.10.1-beta.2"}}`}, "2026.10.1-beta.2", 18789, "newer than " + NewestKnown},
		{"newest known", []string{"home/claw/.openclaw/openclaw.json", `{"meta":{"lastTouchedVersion":"2026.9.6-1"}}`}, "2026.9.6-1", 18789, ""},
		{"unknown", []string{"home/claw/.openclaw/openclaw.json", `{}`}, "", 18789, "could not be told"},
		{"profile", []string{"home/claw/.openclaw-x/openclaw.json", config}, "2026.3.31", 0, ""},
		{"hostile", []string{"home/claw/.openclaw/openclaw.json", `{"meta":{"lastTouchedVersion":{}},"gateway":{"port":-1},"agents":[],"logging":7}`}, "", 18789, "could not be told"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			installs, _ := Find(hostFS(c.files...), FindOptions{})
			if len(installs) != 1 {
				t.Fatalf("%d installations", len(installs))
			}
			in := installs[0]
			if in.Version != c.version || in.Port != c.port || (c.note == "") != (len(in.Notes) == 0) || !strings.Contains(strings.Join(in.Notes, "\n"), c.note) {
				t.Errorf("version %q, port %d, notes %q", in.Version, in.Port, in.Notes)
			}
		})
	}
}

func TestAgents(t *testing.T) {
	installs, _ := Find(hostFS("home/claw/.openclaw/openclaw.json", `{agents:{entries:{ops:{agentDir:'~/ops-agent',workspace:'/srv/ws'},'../../../etc':{}},list:[{id:'old'},{id:7},9]}}`,
		"home/claw/.openclaw/agents/main/sessions/x.jsonl", "", "home/claw/ops-agent/x", "", "srv/ws/x", "", "home/claw/.openclaw/agents/note.txt", ""), FindOptions{})
	if len(installs) != 1 {
		t.Fatal(installs)
	}
	for _, want := range []Agent{
		{ID: "main", Dir: "/home/claw/.openclaw/agents/main/agent", Sessions: "/home/claw/.openclaw/agents/main/sessions", Workspace: "/home/claw/.openclaw/workspace"},
		{ID: "old", Dir: "/home/claw/.openclaw/agents/old/agent", Sessions: "/home/claw/.openclaw/agents/old/sessions", Workspace: "/home/claw/.openclaw/workspace-old"},
		{ID: "ops", Dir: "/home/claw/ops-agent", Sessions: "/home/claw/.openclaw/agents/ops/sessions", Workspace: "/srv/ws"},
		{ID: "../../../etc", Dir: "/home/claw/.openclaw/agents/etc/agent", Sessions: "/home/claw/.openclaw/agents/etc/sessions"},
	} {
		i := slices.IndexFunc(installs[0].Agents, func(a Agent) bool { return a.ID == want.ID })
		if i < 0 {
			t.Errorf("no agent %q", want.ID)
			continue
		}
		got := installs[0].Agents[i]
		if got.Dir != want.Dir || got.Sessions != want.Sessions || got.Database != want.Dir+"/openclaw-agent.sqlite" || want.Workspace != "" && got.Workspace != want.Workspace {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if !strings.HasPrefix(got.Sessions, "/home/claw/.openclaw/agents/") {
			t.Errorf("agent %q leads to %q", got.ID, got.Sessions)
		}
	}
	if len(installs[0].Agents) != 4 {
		t.Errorf("%d agents: %+v", len(installs[0].Agents), installs[0].Agents)
	}
}

func TestIncludes(t *testing.T) {
	const dir = "home/claw/.openclaw/"
	cases := []struct {
		name  string
		files []string
		get   []string
		want  any
		gap   string
	}{
		{
			"nested, the includer winning",
			[]string{dir + "openclaw.json", `{$include:'a.json5', x:{own:1}}`, dir + "a.json5", `{$include:['sub/b.json5'], x:{own:0, a:2}}`, dir + "sub/b.json5", `{$include:'./c.json5', x:{b:3,a:0}}`, dir + "sub/c.json5", `{x:{c:4}}`},
			[]string{"x"},
			map[string]any{"own": 1.0, "a": 2.0, "b": 3.0, "c": 4.0},
			"",
		},
		{"inside a member", []string{dir + "openclaw.json", `{x:{$include:'a.json5'}}`, dir + "a.json5", `{y:1}`}, []string{"x", "y"}, 1.0, ""},
		{"loop", []string{dir + "openclaw.json", `{$include:'a.json5',x:1}`, dir + "a.json5", `{$include:'openclaw.json',y:2}`}, []string{"y"}, 2.0, ""},
		{"itself", []string{dir + "openclaw.json", `{$include:'openclaw.json',x:1}`}, []string{"x"}, 1.0, ""},
		{"outside", []string{dir + "openclaw.json", `{$include:'../../bob/secret.json',x:1}`, "home/bob/secret.json", `{x:2,y:3}`}, []string{"x"}, 1.0, "outside the config's directory"},
		{"absolute outside", []string{dir + "openclaw.json", `{$include:'/etc/shadow',x:1}`}, []string{"x"}, 1.0, "outside the config's directory"},
		{"a directory whose name begins alike", []string{dir + "openclaw.json", `{$include:'../.openclaw-x/a.json',x:1}`, "home/claw/.openclaw-x/a.json", `{x:2}`}, []string{"x"}, 1.0, "outside the config's directory"},
		{"missing", []string{dir + "openclaw.json", `{$include:'none.json',x:1}`}, []string{"x"}, 1.0, "not there"},
		{"not JSON5", []string{dir + "openclaw.json", `{$include:'a.json',x:1}`, dir + "a.json", `{`}, []string{"x"}, 1.0, "not JSON5"},
		{"odd values", []string{dir + "openclaw.json", `{$include:{a:1},x:{$include:[7,null,'a.json']}}`, dir + "a.json", `{y:1}`}, []string{"x", "y"}, 1.0, ""},
		{"an array", []string{dir + "openclaw.json", `[1]`}, []string{"x"}, nil, ""},
		{"never expanded", []string{dir + "openclaw.json", `{x:'${HOME} $(id)'}`}, []string{"x"}, "${HOME} $(id)", ""},
		{"__proto__ and duplicates", []string{dir + "openclaw.json", `{x:1,__proto__:{x:9},x:2}`}, []string{"x"}, 2.0, ""},
		{"empty", []string{dir + "openclaw.json", ``}, []string{"x"}, nil, "not JSON5"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			conf, gaps := LoadConfig(hostFS(c.files...), "/"+dir+"openclaw.json")
			got := conf.Get(c.get...)
			if m, ok := c.want.(map[string]any); ok {
				for k, v := range m {
					if conf.Get(append(c.get, k)...) != v {
						t.Errorf("%s: got %v", k, got)
					}
				}
			} else if got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if (c.gap == "") != (len(gaps) == 0) || c.gap != "" && !strings.Contains(gaps[0].What, c.gap) {
				t.Errorf("gaps %v, want %q", gaps, c.gap)
			}
		})
	}
}

// TestIncludeBombs bounds what a config can make this tool read.
// TestTooManyValues: what a config holds is bounded, in all its files together, and what is not read is told.
func TestTooManyValues(t *testing.T) {
	many := `{"a": [` + strings.Repeat("0,", maxValues/2) + `0]}`
	fsys := fstest.MapFS{
		"s/openclaw.json": {Data: []byte(`{"$include": ["a.json", "b.json"], "gateway": {"port": 1}}`)},
		"s/a.json":        {Data: []byte(many)}, "s/b.json": {Data: []byte(many)},
	}
	conf, gaps := LoadConfig(fsys, "/s/openclaw.json")
	if conf.Get("gateway", "port") != 1.0 || len(conf.Files) != 2 || !hasGap(gaps, "/s/b.json", "more than 262144 values") {
		t.Errorf("read %q, gaps %.300v", conf.Files, gaps)
	}
}

func TestIncludeBombs(t *testing.T) {
	deep := []string{}
	for i := range 40 {
		deep = append(deep, "s/"+string(rune('a'+i%26))+strings.Repeat("x", i)+".json", `{$include:'`+string(rune('a'+(i+1)%26))+strings.Repeat("x", i+1)+`.json'}`)
	}
	conf, gaps := LoadConfig(hostFS(deep...), "/s/a.json")
	if len(conf.Files) > maxIncludeDepth+1 || !hasGap(gaps, "", "too many includes") {
		t.Errorf("%d files, gaps %v", len(conf.Files), gaps)
	}
	wide := []string{"s/a.json", "{$include:[" + strings.Repeat("'b.json',", 100_000) + "]}", "s/b.json", "{$include:['a.json','b.json']}"}
	began := time.Now()
	LoadConfig(hostFS(wide...), "/s/a.json")
	if d := time.Since(began); d > 3*time.Second {
		t.Errorf("took %v", d)
	}
}

func TestEraOfStates(t *testing.T) {
	want := map[string]Era{
		"2026.1.30": EraJSONL, "2026.2.12": EraJSONL, "2026.3.31": EraJSONL, "2026.7.1": EraJSONL, "2026.7.1-live": EraJSONL,
		"2026.9.6/stopped": EraSQLite, "2026.9.6/running": EraSQLite, "2026.9.6/node-host": EraUnknown,
	}
	for _, version := range statetest.Versions() {
		dir := statetest.Root(t, version)
		before := statetest.Snapshot(t, dir)
		installs, gaps := Find(open(t, dir), FindOptions{})
		if len(installs) != 1 || len(gaps) > 0 {
			t.Fatalf("%s: %d installations, gaps %v", version, len(installs), gaps)
		}
		release, _, _ := strings.Cut(version, "/")
		release, _, _ = strings.Cut(release, "-")
		if in := installs[0]; in.Era != want[version] || in.Era != EraUnknown && in.Version != release {
			t.Errorf("%s: era %q, release %q", version, in.Era, in.Version)
		}
		if after := statetest.Snapshot(t, dir); !equal(before, after) {
			t.Errorf("%s: finding it changed the directory", version)
		}
	}
}

func TestTranscriptNames(t *testing.T) {
	const id = "188f229a-5fbd-49f7-9282-160ef5744051"
	for name, want := range map[string]struct {
		session string
		form    Form
		ok      bool
	}{
		id + ".jsonl": {id, FormJSONL, true},
		id + ".jsonl.deleted.2026-11-22T08-08-50.916Z":    {id, FormDeleted, true},
		id + ".jsonl.deleted.2026-11-22T08-32.241dd9.zst": {id, FormDeleted, true},
		id + ".jsonl.reset.2026-11-22T09-03-06.396Z":      {id, FormReset, true},
		id + ".jsonl.bak-123":                             {id, FormBackup, true},
		id + ".jsonl.doctor-importing.7":                  {id, FormBackup, true},
		"agent_main_main." + id + ".jsonl.imported-179":   {id, FormImport, true},
		"0f1e.jsonl.zst":                                  {"0f1e", FormCold, true},
		id + ".trajectory.jsonl":                          {id, FormTrajectory, true},
		id + ".trajectory.jsonl.deleted.2026":             {id, FormTrajectory, true},
		id + ".jsonl.lock":                                {},
		"sessions.json":                                   {},
		"skills-prompts":                                  {},
	} {
		session, form, ok := transcriptName(name)
		if ok != want.ok || ok && (session != want.session || form != want.form) {
			t.Errorf("%q: session %q, form %v, %v", name, session, form, ok)
		}
	}
}

func TestSessionKinds(t *testing.T) {
	for key, want := range map[string]SessionKind{
		"agent:main:main": SessionChat, "": SessionChat, "main": SessionChat, "agent:": SessionChat, "agent:main:telegram:direct:cron": SessionChat,
		"agent:ops:cron:9ce0": SessionCron, "cron:9ce0": SessionCron, "agent:ops:subagent:1": SessionSubagent, "agent:main:subagent:1:subagent:2": SessionSubagent,
		"agent:main:hook:x": SessionHook, "hook:x": SessionHook, "agent:main:openai:u": SessionHTTP, "agent:main:openresponses:u": SessionHTTP,
		"agent:main:openai-user:bob": SessionHTTP, "agent:main:acp:1": SessionACP,
	} {
		if got, _ := (&Session{Key: key}).Kind(); got != want {
			t.Errorf("%q: %v, want %v", key, got, want)
		}
	}
}

func mkdir(t testing.TB, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, dir string) *host.Root {
	t.Helper()
	root, err := host.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

func equal(a, b map[string]string) bool {
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return len(a) == len(b)
}

func hasGap(gaps []Gap, file, what string) bool {
	return slices.ContainsFunc(gaps, func(g Gap) bool { return (file == "" || g.Path == file) && strings.Contains(g.What, what) })
}

// deny is a file system that refuses one name and what is below it.
type deny struct {
	fs.FS
	name string
}

func (d deny) Open(name string) (fs.File, error) {
	if name == d.name || strings.HasPrefix(name, d.name+"/") {
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EACCES}
	}
	return d.FS.Open(name)
}

// TestLogsOfFormerNames: a gateway that was called clawdbot wrote its log under that name.
func TestLogsOfFormerNames(t *testing.T) {
	fsys := fstest.MapFS{
		"tmp/clawdbot/clawdbot-2026-01-26.log":   {Data: []byte("{}\n")},
		"tmp/openclaw/openclaw-2026-02-01.log.1": {Data: []byte("{}\n")},
		"tmp/openclaw/other.log":                 {Data: []byte("{}\n")},
	}
	in := &Installation{LogDirs: []string{"/tmp/clawdbot", "/tmp/openclaw"}}
	logs, gaps := in.Logs(fsys)
	var names []string
	for _, l := range logs {
		names = append(names, l.Path)
	}
	if want := []string{"/tmp/clawdbot/clawdbot-2026-01-26.log", "/tmp/openclaw/openclaw-2026-02-01.log.1"}; !slices.Equal(names, want) || len(gaps) > 0 {
		t.Errorf("logs %q, %v; want %q", names, gaps, want)
	}
}

// TestDefaultWorkspace: the workspace of the defaults is that of the agent that uses it, whatever that is called.
func TestDefaultWorkspace(t *testing.T) {
	const defaults = `defaults:{workspace:"~/ws"}`
	for _, c := range []struct{ agents, id, want string }{
		{defaults, "main", "ws"},
		{defaults + `,list:[{id:"bob"}]`, "bob", "ws"},
		{defaults + `,entries:{Bob:{}}`, "Bob", "ws"},
		{defaults + `,list:[{id:"bob"},{id:"eve",default:true}]`, "eve", "ws"},
		{defaults + `,list:[{id:"bob"},{id:"eve",default:true}]`, "bob", ".openclaw/workspace-bob"},
		{defaults + `,list:[{id:"bob"},{id:"eve"}]`, "bob", "ws"},
		{defaults + `,entries:{bob:{},eve:{}}`, "eve", "ws/eve"},
		{`list:[{id:"bob"}]`, "bob", ".openclaw/workspace"},
		{defaults + `,list:[{id:"bob",workspace:"~/own"}]`, "bob", "own"},
	} {
		installs, _ := Find(hostFS("home/claw/.openclaw/openclaw.json", "{agents:{"+c.agents+"}}", "home/claw/ws/eve/x", "", "home/claw/own/x", "",
			"home/claw/.openclaw/agents/main/x", ""), FindOptions{})
		i := slices.IndexFunc(installs[0].Agents, func(a Agent) bool { return a.ID == c.id })
		if i < 0 || installs[0].Agents[i].Workspace != "/home/claw/"+c.want {
			t.Errorf("%s: %+v, want %s for %s", c.agents, installs[0].Agents, c.want, c.id)
		}
	}
	const unit = "[Service]\nUser=claw\nExecStart=/usr/bin/openclaw gateway\nEnvironment=OPENCLAW_WORKSPACE_DIR=/srv/w\n"
	installs, _ := Find(hostFS("home/claw/.openclaw/openclaw.json", config, "etc/systemd/system/openclaw.service", unit, "srv/w/x", ""), FindOptions{})
	if got := installs[0].Agents[0].Workspace; got != "/srv/w" {
		t.Errorf("by the environment: %s", got)
	}
}

// TestConfiguredLogs: logging.file leads to the numbered logs beside it too, and where it has the form of the default log to one for each day.
func TestConfiguredLogs(t *testing.T) {
	names := strings.Fields("gw.log gw.1.log gw.log.1 gw.x.log openclaw-2026-11-22.log openclaw-2026-11-22.1.log openclaw-x openclaw-2026-01-01.log gw.txt gw.2.txt gw gw.3")
	pairs := []string{"home/claw/.openclaw/openclaw.json", config}
	for _, name := range names {
		pairs = append(pairs, "srv/"+name, "{}")
	}
	for file, want := range map[string]string{
		"gw.log": "gw.log gw.1.log", "gw.txt": "gw.txt gw.2.txt", "gw": "gw gw.3",
		"openclaw-YYYY-MM-DD.log": "openclaw-2026-01-01.log openclaw-2026-11-22.1.log openclaw-2026-11-22.log",
		"openclaw-2026-01-01.log": "openclaw-2026-01-01.log openclaw-2026-11-22.1.log openclaw-2026-11-22.log",
	} {
		pairs[1] = fmt.Sprintf(`{logging:{file:"/srv/%s"}}`, file)
		installs, gaps := Find(hostFS(pairs...), FindOptions{})
		logs, more := installs[0].Logs(hostFS(pairs...))
		var found []string
		for _, l := range logs {
			found = append(found, path.Base(l.Path))
		}
		if got := strings.Join(found, " "); got != want || len(gaps)+len(more) > 0 {
			t.Errorf("%s: %q, want %q; gaps %v %v", file, got, want, gaps, more)
		}
	}
	pairs[1] = `{logging:{file:"gw.log"}}`
	if _, gaps := Find(hostFS(pairs...), FindOptions{}); !hasGap(gaps, "/home/claw/.openclaw/openclaw.json", "where it leads") {
		t.Errorf("gaps %v", gaps)
	}
}

// TestLogsInTmpDir: where /tmp/openclaw is not safe, OpenClaw logs into the directory for temporary files that was set for it.
func TestLogsInTmpDir(t *testing.T) {
	const unit = "[Service]\nUser=claw\nExecStart=/usr/bin/openclaw gateway\nEnvironment=TMPDIR=/srv/t\n"
	for _, c := range [][]string{
		{"home/claw/.openclaw/openclaw.json", `{env:{vars:{TMPDIR:"/srv/t"}}}`},
		{"home/claw/.openclaw/openclaw.json", config, "home/claw/.openclaw/.env", "A=b\nexport TMPDIR='/srv/t'\n"},
		{"home/claw/.openclaw/openclaw.json", config, "etc/systemd/system/openclaw.service", unit},
		{"home/claw/.openclaw/openclaw.json", config, "proc/7/environ", "HOME=/home/claw\x00OPENCLAW_PROFILE=\x00TMPDIR=/srv/t\x00"},
	} {
		fsys := hostFS(append(c, "srv/t/openclaw-1000/openclaw-2026-11-22.log", "{}", "proc/8/environ", "HOME=/home/claw\x00TMPDIR=/srv/u\x00", "srv/u/openclaw-1/x", "")...)
		installs, _ := Find(fsys, FindOptions{})
		if len(installs) != 1 || !slices.Equal(installs[0].LogDirs, []string{"/srv/t/openclaw-1000", "/tmp/openclaw"}) {
			t.Errorf("%q: logs in %q", c, installs[0].LogDirs)
		}
	}
}

// TestFindNamesWhatIsNoDirectory: what has a state directory's name and is something else is no place where nothing was to be found.
func TestFindNamesWhatIsNoDirectory(t *testing.T) {
	for _, c := range []struct{ name, content string }{
		{"home/claw/.openclaw", "a file"}, {"home/claw/.openclaw", "-> nowhere"}, {"home/claw/.moltbot", "a file"},
	} {
		installs, gaps := Find(hostFS(c.name, c.content, "home/claw/.openclaw-work/openclaw.json", config), FindOptions{})
		if len(installs) != 1 || !slices.ContainsFunc(gaps, func(g Gap) bool { return g.Path == "/"+c.name && g.Unknown }) {
			t.Errorf("%s, %s: %d installations, %+v", c.name, c.content, len(installs), gaps)
		}
	}
	if _, gaps := Find(hostFS("home/claw/.openclaw-notes", "a file", "home/claw/.openclaw/openclaw.json", config), FindOptions{}); len(gaps) > 0 {
		t.Error(gaps)
	}
}

// TestFindAccountWithoutHome: /dev/null in passwd is no home that could not be read.
func TestFindAccountWithoutHome(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"etc", "dev"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "etc/passwd"), []byte("svc:x:9:9::/dev/null:/bin/false\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mknod(filepath.Join(dir, "dev/null"), syscall.S_IFCHR|0o666, 1<<8|3); err != nil {
		t.Skip(err)
	}
	root, err := host.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if _, gaps := Find(root, FindOptions{}); len(gaps) > 0 {
		t.Error(gaps)
	}
}

// TestLoadDirs: skills, hooks and plugins that the config has loaded from elsewhere are the agent's as well.
func TestLoadDirs(t *testing.T) {
	installs, gaps := Find(hostFS("home/claw/.openclaw/openclaw.json", `{skills: {load: {extraDirs: ["~/mine", "/gone", "here", 7]}}, plugins: {load: {paths: ["/opt/p.js"]}}, hooks: {internal: {load: {extraDirs: ["/opt/hooks/"]}}}}`,
		"home/claw/mine/x/SKILL.md", "x", "opt/p.js", "x", "opt/hooks/h/HOOK.md", "x", "home/claw/.agents/skills/y/SKILL.md", "x"), FindOptions{})
	want := []LoadDir{{"/home/claw/mine", "skill"}, {"/opt/hooks", "hook"}, {"/opt/p.js", "plugin"}, {"/home/claw/.agents/skills", "skill"}}
	if len(installs) != 1 || !slices.Equal(installs[0].LoadDirs, want) || len(gaps) != 1 || !strings.Contains(gaps[0].What, `"here"`) {
		t.Errorf("%+v, gaps %v", installs, gaps)
	}
}
