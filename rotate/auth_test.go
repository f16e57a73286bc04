package rotate_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/statetest"
	"github.com/clawbook/openclaw-ir/rotate"
)

// The tree of a host, by absolute path.
type files map[string]string

func (f files) fs() fstest.MapFS {
	m := fstest.MapFS{}
	for name, text := range f {
		m[strings.TrimPrefix(name, "/")] = &fstest.MapFile{Data: []byte(text), Mode: 0o600}
	}
	return m
}

const state = "/home/claw/.openclaw"

// installation is that of the account claw, with its service.
func installation(t *testing.T, fsys fs.FS) *openclaw.Installation {
	t.Helper()
	c, gaps := openclaw.LoadConfig(fsys, state+"/openclaw.json")
	if len(gaps) > 0 {
		t.Fatal(gaps)
	}
	return &openclaw.Installation{User: "claw", Home: "/home/claw", StateDir: state, ConfigPath: c.Path, Config: c}
}

// place renders what a test compares: the file's last two names, the syntax and the name, with a mark for what is in force.
func place(p rotate.Place) string {
	mark := ""
	if p.InForce {
		mark = " *"
	}
	return fmt.Sprintf("%s %s %s%s", strings.TrimPrefix(p.File, "/home/claw/"), p.Syntax, p.Name, mark)
}

func TestFindCredentials(t *testing.T) {
	const unit = "/home/claw/.config/systemd/user/openclaw-gateway.service"
	tests := []struct {
		name   string
		files  files
		want   string // credential: place, place; credential: …
		values string // of the first credential
		person string // of the first credential
	}{
		{
			"literal",
			files{state + "/openclaw.json": `{gateway: {auth: {token: "t1"}}, hooks: {token: "h1"}}`},
			"gateway.auth.token: .openclaw/openclaw.json config gateway.auth.token *; hooks.token: .openclaw/openclaw.json config hooks.token *", "t1", "",
		},
		{
			"none", files{state + "/openclaw.json": `{gateway: {auth: {mode: "none"}}}`}, "", "", "",
		},
		{
			"copies in the environment change too",
			files{
				state + "/openclaw.json": `{gateway: {auth: {token: "t1"}}}`,
				state + "/.env":          "OPENCLAW_GATEWAY_TOKEN=old\n",
				unit:                     "[Service]\nEnvironment=OPENCLAW_GATEWAY_TOKEN=t1\n",
			},
			"gateway.auth.token: .config/systemd/user/openclaw-gateway.service unit OPENCLAW_GATEWAY_TOKEN, .openclaw/.env dotenv OPENCLAW_GATEWAY_TOKEN, .openclaw/openclaw.json config gateway.auth.token *", "t1 old", "",
		},
		{
			"variable, unit before .env",
			files{
				state + "/openclaw.json": `{gateway: {auth: {token: "${OPENCLAW_GATEWAY_TOKEN}"}}}`,
				state + "/.env":          "OPENCLAW_GATEWAY_TOKEN=old\n",
				unit:                     "[Service]\nEnvironment=OPENCLAW_GATEWAY_TOKEN=u1\n",
				unit + ".d/x.conf":       "[Service]\nEnvironment=\"OPENCLAW_GATEWAY_TOKEN=u2\"\n",
			},
			"gateway.auth.token: .config/systemd/user/openclaw-gateway.service unit OPENCLAW_GATEWAY_TOKEN, .openclaw/.env dotenv OPENCLAW_GATEWAY_TOKEN, .config/systemd/user/openclaw-gateway.service.d/x.conf unit OPENCLAW_GATEWAY_TOKEN *", "u2 u1 old", "",
		},
		{
			"environment file over Environment",
			files{
				state + "/openclaw.json":        `{gateway: {auth: {mode: "password"}}}`,
				state + "/gateway.systemd.env":  "OPENCLAW_GATEWAY_PASSWORD=p#1\n",
				unit:                            "[Service]\nEnvironmentFile=-%h/.openclaw/gateway.systemd.env\nEnvironment=OPENCLAW_GATEWAY_PASSWORD=p2\n",
				"/home/claw/.config/unrelated":  "OPENCLAW_GATEWAY_PASSWORD=no\n",
				"/home/claw/.bashrc":            "export OPENCLAW_GATEWAY_PASSWORD='p3'; alias x=y\n",
				"/home/other/.openclaw/.env":    "OPENCLAW_GATEWAY_PASSWORD=no\n",
				"/etc/systemd/system/x.service": "[Service]\nEnvironment=OPENCLAW_GATEWAY_PASSWORD=no\n",
			},
			"gateway.auth.password: .config/systemd/user/openclaw-gateway.service unit OPENCLAW_GATEWAY_PASSWORD, .bashrc shell OPENCLAW_GATEWAY_PASSWORD, .openclaw/gateway.systemd.env systemd OPENCLAW_GATEWAY_PASSWORD *", "p#1 p2 p3", "",
		},
		{
			"option of the service over the config",
			files{
				state + "/openclaw.json": `{gateway: {auth: {token: "t1"}}}`,
				unit:                     "[Service]\nExecStart=/usr/bin/node /x/dist/index.js gateway --token 'o1' --port 1\n",
			},
			"gateway.auth.token: .openclaw/openclaw.json config gateway.auth.token, .config/systemd/user/openclaw-gateway.service unit --token *", "o1 t1", "",
		},
		{
			"include",
			files{
				state + "/openclaw.json": `{$include: ["a.json5", "b.json5"], gateway: {port: 1}}`,
				state + "/a.json5":       `{gateway: {auth: {token: "a"}}}`,
				state + "/b.json5":       `{gateway: {$include: "c.json5"}}`,
				state + "/c.json5":       `{auth: {token: "c"}} // winner`,
			},
			"gateway.auth.token: .openclaw/a.json5 config gateway.auth.token, .openclaw/c.json5 config auth.token *", "c a", "",
		},
		{
			"member beside an include wins",
			files{
				state + "/openclaw.json": `{gateway: {auth: {token: "own"}, $include: "a.json5"}}`,
				state + "/a.json5":       `{auth: {token: "a"}}`,
			},
			"gateway.auth.token: .openclaw/a.json5 config auth.token, .openclaw/openclaw.json config gateway.auth.token *", "own a", "",
		},
		{
			"reference to a file",
			files{
				state + "/openclaw.json": `{gateway: {auth: {token: {source: "file", provider: "f", id: "/a~1b/x"}}},
					secrets: {providers: {f: {source: "file", path: "~/openclaw-s.json"}}}}`,
				"/home/claw/openclaw-s.json": `{"a/b": {"x": "f1"}}`,
			},
			"gateway.auth.token: openclaw-s.json secret /a~1b/x *", "f1", "",
		},
		{
			"reference to a whole file",
			files{
				state + "/openclaw.json": `{gateway: {auth: {token: {source: "file", provider: "f", id: "value"}}},
					secrets: {providers: {f: {source: "file", path: "/home/claw/openclaw-s.txt", mode: "singleValue"}}}}`,
				"/home/claw/openclaw-s.txt": "f1\n",
			},
			"gateway.auth.token: openclaw-s.txt whole value *", "f1", "",
		},
		{
			"reference to a program",
			files{state + "/openclaw.json": `{gateway: {auth: {token: {source: "exec", provider: "vault", id: "x"}}}}`},
			"gateway.auth.token: ", "", "\"vault\" hands it out",
		},
		{
			"reference to the store",
			files{state + "/openclaw.json": `{gateway: {auth: {token: {source: "store", provider: "default", id: "GW"}}}}`},
			"gateway.auth.token: ", "", "openclaw secrets store set GW",
		},
		{
			"a variable that nothing sets",
			files{state + "/openclaw.json": `{gateway: {auth: {token: "$MY_TOKEN"}}}`},
			"gateway.auth.token: ", "", "the variable MY_TOKEN",
		},
		{
			"a variable that a shell computes",
			files{state + "/openclaw.json": `{}`, "/home/claw/.profile": "export OPENCLAW_GATEWAY_TOKEN=$(cat ~/t)\n"},
			"gateway.auth.token: ", "", "not a plain value",
		},
		{
			"variable in the config's env",
			files{state + "/openclaw.json": `{env: {vars: {T: "v1"}}, gateway: {auth: {token: {source: "env", provider: "default", id: "T"}}}}`},
			"gateway.auth.token: .openclaw/openclaw.json config env.vars.T *", "v1", "",
		},
		{
			"the own token for remote use",
			files{state + "/openclaw.json": `{gateway: {auth: {token: "t1"}, remote: {url: "ws://127.0.0.1:18789", token: "t1"}}}`},
			"gateway.auth.token: .openclaw/openclaw.json config gateway.remote.token, .openclaw/openclaw.json config gateway.auth.token *", "t1", "",
		},
		{
			"another gateway's token",
			files{
				state + "/openclaw.json": `{gateway: {mode: "remote", remote: {url: "wss://gw.example", token: "r1"}}}`,
				state + "/.env":          "OPENCLAW_GATEWAY_TOKEN=r2\n",
			},
			"gateway.remote.token: .openclaw/.env dotenv OPENCLAW_GATEWAY_TOKEN, .openclaw/openclaw.json config gateway.remote.token *", "r1 r2", "gw.example",
		},
		{
			"hooks that borrow the gateway's variable get their own",
			files{
				state + "/openclaw.json": `{gateway: {auth: {token: "${OPENCLAW_GATEWAY_TOKEN}"}}, hooks: {token: "${OPENCLAW_GATEWAY_TOKEN}"}}`,
				state + "/.env":          "OPENCLAW_GATEWAY_TOKEN=t1\n",
			},
			"gateway.auth.token: .openclaw/.env dotenv OPENCLAW_GATEWAY_TOKEN *; hooks.token: .openclaw/openclaw.json config hooks.token *", "t1", "",
		},
		{
			"a node host's token for another gateway",
			files{
				state + "/openclaw.json":                                `{gateway: {auth: {token: "t1"}}}`,
				state + "/gateway.systemd.env":                          "OPENCLAW_GATEWAY_TOKEN=t1\n",
				"/home/claw/.config/systemd/user/openclaw-node.service": "[Service]\nEnvironment=OPENCLAW_GATEWAY_TOKEN=other\n",
			},
			"gateway.auth.token: .openclaw/gateway.systemd.env systemd OPENCLAW_GATEWAY_TOKEN, .openclaw/openclaw.json config gateway.auth.token *", "t1", "",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			fsys := test.files.fs()
			in := installation(t, fsys)
			for name := range test.files {
				if strings.HasSuffix(name, "openclaw-node.service") {
					in.Units = append(in.Units, openclaw.Unit{Path: name})
				}
			}
			found, _ := rotate.FindCredentials(fsys, in)
			var got []string
			for _, c := range found {
				var places []string
				for _, p := range c.Places {
					places = append(places, place(p))
				}
				got = append(got, c.Name+": "+strings.Join(places, ", "))
				if text, err := json.Marshal(c); err != nil || hidesNot(fmt.Sprintf("%s %v %+v %#v", text, c, c, c.Places), c.Values()) {
					t.Errorf("the credential shows its value: %s %v", text, err)
				}
			}
			if s := strings.Join(got, "; "); s != test.want {
				t.Errorf("found\n%s\nwant\n%s", s, test.want)
			}
			if len(found) == 0 {
				return
			}
			if s := strings.Join(found[0].Values(), " "); s != test.values {
				t.Errorf("values %q, want %q", s, test.values)
			}
			if p := found[0].Person; !strings.Contains(p, test.person) || test.person == "" && p != "" {
				t.Errorf("a person is needed because %q, want %q", p, test.person)
			}
		})
	}
}

// hidesNot reports whether a text shows one of the values, which are short, as a word.
func hidesNot(text string, values []string) bool {
	return slices.ContainsFunc(values, func(v string) bool { return strings.Contains(text, `"`+v+`"`) || strings.Contains(text, " "+v+" ") })
}

func TestActive(t *testing.T) {
	for _, test := range []struct{ config, want string }{
		{`{gateway: {auth: {token: "t"}}}`, rotate.GatewayToken},
		{`{gateway: {auth: {token: "t", password: "p"}}}`, rotate.GatewayPassword},
		{`{gateway: {auth: {mode: "token", token: "t", password: "p"}}}`, rotate.GatewayToken},
		{`{gateway: {auth: {mode: "none", token: "t"}}}`, ""},
		{`{hooks: {token: "h"}}`, ""},
		{`{}`, ""},
	} {
		fsys := files{state + "/openclaw.json": test.config}.fs()
		found, _ := rotate.FindCredentials(fsys, installation(t, fsys))
		c, ok := rotate.Active(found)
		if c.Name != test.want || ok != (test.want != "") {
			t.Errorf("%s: %q, want %q", test.config, c.Name, test.want)
		}
	}
}

// TestFindInStates finds the token in the states of real installations of all releases.
func TestFindInStates(t *testing.T) {
	for _, version := range statetest.Versions() {
		t.Run(version, func(t *testing.T) {
			r, err := host.OpenRoot(statetest.Root(t, version))
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			installs, _ := openclaw.Find(r, openclaw.FindOptions{UID: -1})
			for _, in := range installs {
				token, _ := in.Config.Get("gateway", "auth", "token").(string)
				found, _ := rotate.FindCredentials(r, in)
				c, ok := rotate.Active(found)
				switch {
				case token == "" && ok:
					t.Errorf("%s: found %s in %q, which has none", in.StateDir, c.Name, c.Files())
				case token != "" && (!ok || c.Values()[0] != token || !slices.Contains(c.Files(), in.ConfigPath)):
					t.Errorf("%s: the token was not found: %+v", in.StateDir, found)
				}
				hooks := slices.IndexFunc(found, func(c rotate.Credential) bool { return c.Name == rotate.HooksToken })
				if want := in.Config.String("hooks", "token"); want != "" && (hooks < 0 || found[hooks].Values()[0] != want) {
					t.Errorf("%s: the hooks' token was not found", in.StateDir)
				}
				for _, f := range c.Files() {
					if !strings.HasPrefix(f, filepath.Dir(in.StateDir)) {
						t.Errorf("%q is not of the account", f)
					}
				}
			}
		})
	}
}
