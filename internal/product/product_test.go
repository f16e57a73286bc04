package product

import "testing"

func TestMentions(t *testing.T) {
	for text, want := range map[string]bool{
		"openclaw-gateway.service": true, "ClawdBot": true, "/opt/moltbot/dist": true,
		"openclaw-ir collect": false, "OPENCLAW-IR": false, "openclaw-ir contain openclaw": true, "claw": false, "": false,
	} {
		if got := Mentions(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
