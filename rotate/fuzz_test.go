package rotate

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// FuzzCredentials finds the secrets of a gateway in files that its agent could have written, and replaces each where it was found: what is
// found then is the new value alone, wherever the old one lay.
func FuzzCredentials(f *testing.F) {
	f.Add(`{gateway:{auth:{token:"FAKE-old-token-1",password:"p"}},hooks:{enabled:true,token:"FAKE-hook"}}`, "OPENCLAW_GATEWAY_TOKEN=FAKE-old-token-1\n", "[Service]\nEnvironment=OPENCLAW_GATEWAY_TOKEN=FAKE-old-token-1\nExecStart=/x gateway --token FAKE-old-token-1\n")
	f.Add(`{gateway:{auth:{token:{source:"env",provider:"default",id:"OPENCLAW_GATEWAY_TOKEN"},token:"x"}}}`, "export OPENCLAW_GATEWAY_TOKEN='a b' # c\nOPENCLAW_GATEWAY_TOKEN=\"c\"\n", "Environment=\"OPENCLAW_GATEWAY_PASSWORD=a\\\n b\"")
	f.Add(`{gateway:{mode:"remote",remote:{token:"${OPENCLAW_GATEWAY_TOKEN}"}}}`, "CLAWDBOT_GATEWAY_TOKEN=\n", "")
	const state, value = "home/claw/.openclaw/", "NEW-0123456789abcdef"
	f.Fuzz(func(t *testing.T, config, env, unit string) {
		files := fstest.MapFS{
			"etc/passwd":            {Data: []byte("claw:x:0:0::/home/claw:/bin/sh\n"), Mode: 0o644},
			state + "openclaw.json": {Data: []byte(config), Mode: 0o600},
			state + ".env":          {Data: []byte(env), Mode: 0o600},
			state + "agents/main/x": {Mode: 0o600},
			"home/claw/.config/systemd/user/openclaw-gateway.service": {Data: []byte(unit), Mode: 0o600},
		}
		find := func() []Credential {
			installs, _ := openclaw.Find(files, openclaw.FindOptions{})
			for _, in := range installs {
				if in.StateDir == "/"+strings.TrimSuffix(state, "/") {
					list, _ := FindCredentials(files, in)
					return list
				}
			}
			return nil
		}
		for _, c := range find() {
			if c.Person != "" || len(c.Places) == 0 || !replaceAll(files, c, value) {
				continue
			}
			after := find()
			i := slices.IndexFunc(after, func(d Credential) bool { return d.Name == c.Name })
			if i < 0 {
				t.Fatalf("%s is found no more in %q, %q, %q", c.Name, files[state+"openclaw.json"].Data, files[state+".env"].Data, unit)
			}
			if got := after[i].Values(); after[i].Person == "" && (len(got) != 1 || got[0] != value) {
				t.Fatalf("%s is %q in %+v of %q, %q, %q", c.Name, got, after[i].Places, files[state+"openclaw.json"].Data, files[state+".env"].Data,
					files["home/claw/.config/systemd/user/openclaw-gateway.service"].Data)
			}
		}
	})
}

// replaceAll replaces a credential in all its places, or in none.
func replaceAll(files fstest.MapFS, c Credential, value string) bool {
	texts := map[string][]byte{}
	for _, p := range c.Places {
		name := openclaw.FSName(p.File)
		if texts[name] == nil {
			texts[name] = files[name].Data
		}
		after, err := p.replace(texts[name], value)
		if err != nil {
			return false
		}
		texts[name] = after
	}
	for name, text := range texts {
		files[name].Data = text
	}
	return true
}

// FuzzVerdict takes what a gateway answers to a handshake. Only one that says so has accepted, and nothing but a code of it is told.
func FuzzVerdict(f *testing.F) {
	f.Add([]byte(`{"type":"res","id":"1","ok":true,"payload":{"type":"hello-ok"}}`))
	f.Add([]byte(`{"type":"res","id":"1","ok":false,"error":{"code":"INVALID_REQUEST","message":"unauthorized: gateway token mismatch","details":{"code":"AUTH_TOKEN_MISMATCH"}}}`))
	f.Add([]byte(`{"ok":true,"error":{"details":{"code":"\u001b[2J"}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var r frame
		if json.Unmarshal(text, &r) != nil {
			return
		}
		v := r.verdict()
		if (v.Answer == Accepted) != (r.OK && r.Payload.Type == "hello-ok") || len(v.Code) > maxCodeLength || strings.ContainsFunc(v.Code+v.Why, func(c rune) bool { return c < ' ' || c > '~' }) {
			t.Errorf("%q is %+v", text, v)
		}
	})
}
