package stores

import (
	"bytes"
	"testing"
	"testing/fstest"

	"github.com/clawbook/openclaw-ir/internal/json5"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// FuzzDefuse changes a JSON store as contain undo does. What comes out can be read, holds nothing more that would act at the next start
// but what stays, and is not changed again.
func FuzzDefuse(f *testing.F) {
	for _, s := range []string{
		`{"agent:main:main":{"sessionId":"x","status":"running","abortedLastRun":true},"b":{"pendingFinalDelivery":true,"restartRecoveryX":{}}}`,
		`{"version":1,"jobs":[{"id":"a","enabled":true,"payload":{"kind":"heartbeat"}},{"id":"b","name":"n"},{"id":"c","enabled":false,"declarationKey":"heartbeat:x"},7]}`,
		`[{"id":"a","enabled":1,"enabled":false}]`, `{"runs":{"r":{"cleanupCompletedAt":1},"s":{},"t":{"cleanupCompletedAt":1,"requesterSettleWake":{}}}}`,
		`{"commitments":[{"id":"c","status":"pending"},{"status":"snoozed","status":"done"}]}`, `{a:{status:'running',},/*x*/}`,
	} {
		f.Add([]byte(s))
	}
	list := jsonStores(&openclaw.Installation{StateDir: "/s", Home: "/h", Config: &openclaw.Config{}, Agents: []openclaw.Agent{{ID: "main", Sessions: "/s/agents/main/sessions"}}})
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, s := range list {
			after, n, err := s.defuse(bytes.Clone(text))
			if err != nil {
				continue
			}
			if n == 0 {
				if !bytes.Equal(after, text) {
					t.Errorf("%s: nothing was changed, and %q became %q", s.file, text, after)
				}
				continue
			}
			root, err := json5.Parse(after)
			if err != nil {
				t.Fatalf("%s: %q became %q: %v", s.file, text, after, err)
			}
			for _, x := range s.scan(root) {
				if !x.Stays || x.edits != nil {
					t.Errorf("%s: of %q, now %q, this is left: %+v", s.file, text, after, x)
				}
			}
			if _, again, err := s.defuse(after); err != nil || again > 0 {
				t.Errorf("%s: %q is changed again: %d, %v", s.file, after, again, err)
			}
		}
	})
}

// FuzzStores lists what any text in the files of pairing lets in. The lists are bounded, and their names short.
func FuzzStores(f *testing.F) {
	f.Add([]byte(`{"d1":{"displayName":"phone","role":"operator","approvedAtMs":1795334400000,"remoteIp":"203.0.113.9","deviceId":"x"}}`))
	f.Add([]byte(`{"version":1,"allowFrom":["telegram:1","*",7],"requests":[{"id":"x","code":"ABCD","createdAt":"2026-11-22T08:00:00Z"}]}`))
	f.Add([]byte(`["a","b"]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		in := &openclaw.Installation{StateDir: "/s", Home: "/h", Config: &openclaw.Config{}}
		files := fstest.MapFS{}
		for _, d := range deviceFiles(in) {
			files[openclaw.FSName(d.file)] = &fstest.MapFile{Data: text, Mode: 0o600}
		}
		for _, name := range []string{"telegram" + allowEnding, "whatsapp-work" + allowEnding, "telegram" + pairEnding} {
			files["s/credentials/"+name] = &fstest.MapFile{Data: text, Mode: 0o600}
		}
		devices, gaps := Devices(t.Context(), files, in)
		allowed, more := Allowed(t.Context(), files, in)
		if _, err := json5.Parse(text); err != nil && len(bytes.TrimSpace(text)) > 0 && len(gaps) != len(deviceFiles(in)) {
			t.Errorf("%q is no JSON, and %d gaps tell of it: %v", text, len(gaps), err)
		}
		if len(devices) > shown*len(deviceFiles(in)) || len(allowed) > 3*shown {
			t.Errorf("%d devices, %d senders, %v", len(devices), len(allowed), more)
		}
		for _, d := range devices {
			for _, s := range []string{d.ID, d.Name, d.Platform, d.Role, d.Approved, d.RemoteIP} {
				if len(s) > longest+len("…") {
					t.Errorf("a name of %d bytes: %+v", len(s), d)
				}
			}
		}
		if after, _, err := emptyObject(text); err != nil || string(after) != "{}\n" {
			t.Errorf("%q becomes %q, %v", text, after, err)
		}
	})
}
