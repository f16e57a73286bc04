package openclaw

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestIsOldCopy(t *testing.T) {
	for name, want := range map[string]bool{
		"openclaw.json": false, "openclaw.json.bak": true, "openclaw.json.bak.4": true, "openclaw.json.last-good": true,
		"openclaw.json.rejected.1795340892": true, "openclaw.json.clobbered.2026": true, "paired.json.migrated": true,
		"auth-profiles.json.migrated-2026-11-01T00-00-00Z-3f2a": true, "config-audit.jsonl.migrated.raw": true,
		"openclaw.sqlite.pre-startup-migration-1.bak": true, "creds.json~": true, "openclaw.json.1234.tmp": true,
		".backup": false, "bakery.json": false, ".bak": false, "templates.json": false, "my.bakery": false,
	} {
		if IsOldCopy(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

// TestHeld reads the places that no real state has.
func TestHeld(t *testing.T) {
	fsys := fstest.MapFS{"etc/passwd": {Data: []byte("claw:x:1000:1000::/home/claw:/bin/bash\n")}}
	for name, text := range map[string]string{
		"home/claw/.openclaw/openclaw.json": `{"channels":{"telegram":{"tokenFile":"~/tg.token"},"line":{"secretFile":"/etc/shadow"}},
			"secrets":{"providers":{"mine":{"source":"file","path":"secrets/mine.json"}}}}`,
		"home/claw/tg.token":                    "123456789:AAfake-telegram-token-000000000000000\n",
		"etc/shadow":                            "root:$6$fakefakefakefakefake:1::::::\n",
		"home/claw/.openclaw/secrets/mine.json": `{"api":{"token":"fake-file-token-0001"}}`,
		"home/claw/.openclaw/credentials/onepassword/sa-token": "ops_fakefakefakefakefake0001",
		"home/claw/.config/systemd/user/openclaw-gateway.service": "[Service]\nExecStart=/usr/bin/openclaw gateway\n" +
			"Environment=HOME=/home/claw \"OPENCLAW_GATEWAY_TOKEN=fake-unit-token-0001\"\nEnvironmentFile=/home/claw/gw.env\n",
		"home/claw/.config/systemd/user/openclaw-gateway.service.d/a.conf": "[Service]\nEnvironment=OPENAI_API_KEY=sk-fakefakefakefakefake01\n",
		"home/claw/gw.env":                                 "GROQ_API_KEY=gsk_fakefakefakefakefake0001\n",
		"home/claw/.openclaw/workspace/.env":               "export API_TOKEN='fake-workspace-token-1'\n",
		"home/claw/.openclaw/devices/paired.json.migrated": `{"d":{"token":"fake-device-token-0001"}}`,
		"home/claw/.password-store/a.gpg":                  "x",
	} {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	found, _ := Find(fsys, FindOptions{})
	if len(found) != 1 {
		t.Fatalf("%d installations", len(found))
	}
	var got []string
	gaps := found[0].Held(context.Background(), fsys, func(h HeldSecret) {
		former := ""
		if h.Former {
			former = " former"
		}
		got = append(got, fmt.Sprintf("%s = %.12s%s", strings.TrimPrefix(h.SecretPlace.String(), "/home/claw/"), h.Value, former))
	})
	want := []string{
		".config/systemd/user/openclaw-gateway.service.d/a.conf: OPENAI_API_KEY = sk-fakefakef",
		".config/systemd/user/openclaw-gateway.service: OPENCLAW_GATEWAY_TOKEN = fake-unit-to",
		".openclaw/credentials/onepassword/sa-token = ops_fakefake",
		".openclaw/devices/paired.json.migrated: d.token = fake-device- former",
		".openclaw/secrets/mine.json: secrets.providers.mine.path.api.token = fake-file-to",
		".openclaw/workspace/.env: API_TOKEN = fake-workspa",
		".password-store = ",
		"gw.env: GROQ_API_KEY = gsk_fakefake",
		"tg.token: channels.telegram.tokenFile = 123456789:AA",
	}
	slices.Sort(got)
	if got = slices.Compact(got); !cmp.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
	if len(gaps) != 1 || gaps[0].Path != "/etc/shadow" {
		t.Errorf("gaps %v", gaps)
	}
}

func TestHeldIsBounded(t *testing.T) {
	var b strings.Builder
	for n := range maxHeld + 10 {
		fmt.Fprintf(&b, "A%d_TOKEN=fake-token-%d-0001\n", n, n)
	}
	fsys := fstest.MapFS{
		"etc/passwd":                        {Data: []byte("claw:x:1000:1000::/home/claw:/bin/bash\n")},
		"home/claw/.openclaw/openclaw.json": {Data: []byte("{}")},
		"home/claw/.openclaw/.env":          {Data: []byte(b.String())},
	}
	found, _ := Find(fsys, FindOptions{})
	n := 0
	gaps := found[0].Held(context.Background(), fsys, func(HeldSecret) { n++ })
	if n != maxHeld || len(gaps) != 1 {
		t.Errorf("%d told, gaps %v", n, gaps)
	}
}

// TestHeldBehindALink reads a secret where a link leads to it, as OpenClaw does.
func TestHeldBehindALink(t *testing.T) {
	fsys := hostFS("home/claw/.openclaw/openclaw.json", config, "home/claw/.openclaw/credentials/onepassword/sa-token", "-> ../../../vault",
		"home/claw/vault", "ops_fakefakefakefakefake0001")
	found, _ := Find(fsys, FindOptions{})
	var got []string
	found[0].Held(context.Background(), fsys, func(h HeldSecret) { got = append(got, h.Value) })
	if !slices.Contains(got, "ops_fakefakefakefakefake0001") {
		t.Errorf("%q", got)
	}
}
