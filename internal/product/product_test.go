package product

import "testing"

func TestMentions(t *testing.T) {
	for text, want := range map[string]bool{
		"openclaw-gateway.service": true, "ClawdBot": true, "/opt/moltbot/dist": true,
		"ExecStart={ path=/usr/local/bin/openclaw-ir ; argv[]=/usr/local/bin/openclaw-ir collect --snapshot --state-dir /srv/openclaw ; pid=0 }": false,
		"7 * * * * root /usr/bin/openclaw-ir collect --snapshot --to /srv/openclaw":                                                              false,
		"ExecStart=/usr/bin/openclaw-ir collect --snapshot -R x\nExecStart=/opt/openclaw/run":                                                    true,
		"7 * * * * root openclaw-ir collect --snapshot -R x; openclaw gateway":                                                                   true,
		"openclaw-ir collect": false, "OPENCLAW-IR": false, "openclaw-ir contain openclaw": true, "claw": false, "": false,
	} {
		if got := Mentions(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
