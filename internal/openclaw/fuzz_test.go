package openclaw

import (
	"strings"
	"testing"
)

// FuzzFind puts any text where the config, a unit, an environment and the index of sessions are. Whatever they
// say, Find ends, and nothing it names lies outside the places they may name.
func FuzzFind(f *testing.F) {
	f.Add(config, "[Service]\nEnvironment=\"OPENCLAW_STATE_DIR=/home/claw/.openclaw\"\n", "OPENCLAW_HOME=~\x00HOME=/home/claw", `{"agent:main:main":{"sessionId":"x"}}`)
	f.Add(`{$include:['openclaw.json','../x','a.json'],agents:{entries:{'../x':{workspace:7}}},logging:{file:'~'}}`, "Environment=OPENCLAW_GATEWAY_PORT=99999\n[Container]\nVolume=/:/\nVolume=a:b:c\nEnvironment='", "OPENCLAW_PROFILE=../..\x00HOME=/home/claw", "[")
	f.Add("{a:{$include:'\\u0000'}}", "<key>HOME</key><string>&#x2f;</string><key>UserName</key><string>claw</string>", "OPENCLAW_CONFIG_PATH=/\x00HOME=/home/claw", "{}")
	f.Fuzz(func(t *testing.T, config, unit, environ, index string) {
		fsys := hostFS(
			"home/claw/.openclaw/openclaw.json", config, "home/claw/.openclaw/a.json", config, "home/claw/.openclaw/agents/main/sessions/sessions.json", index,
			"home/claw/.config/systemd/user/openclaw.service", unit, "Library/LaunchAgents/openclaw.plist", unit, "etc/containers/systemd/openclaw.container", unit,
			"proc/7/environ", environ)
		installs, _ := Find(fsys, FindOptions{})
		for _, in := range installs {
			for _, file := range in.Config.Files {
				if dir := in.ConfigPath[:strings.LastIndexByte(in.ConfigPath, '/')+1]; !strings.HasPrefix(file, dir) {
					t.Errorf("config %q includes %q", in.ConfigPath, file)
				}
			}
			for _, a := range in.Agents {
				if !strings.HasPrefix(a.Sessions, in.StateDir+"/agents") {
					t.Errorf("agent %q has its sessions in %q", a.ID, a.Sessions)
				}
			}
			if in.Port < 0 || in.Port > 65535 {
				t.Errorf("port %d", in.Port)
			}
			in.Transcripts(fsys)
			in.Logs(fsys)
			in.Sessions(t.Context(), fsys)
		}
	})
}
