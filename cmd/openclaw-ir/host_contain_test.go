//go:build linux

package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
)

// TestHostContain boots hosts whose real gateway runs away, one for each era of storage, and contains them over SSH from
// outside; and hosts with a stand-in for the gateway, on which something goes wrong meanwhile. More than four at once
// (go test -parallel 4) may use up what one user may have of inotify, and then a host hangs as it boots.
func TestHostContain(t *testing.T) {
	needHost(t)
	need(t, "npm", "age-keygen")
	tool := buildTool(t)
	debian(t)
	inst := install(t, newest)
	olderInst := install(t, older)
	t.Parallel()
	for _, c := range []struct {
		name string
		test func(*testing.T)
	}{
		{newest.version, func(t *testing.T) { testContain(t, tool, newest, inst) }},
		{older.version, func(t *testing.T) { testContain(t, tool, older, olderInst) }},
		{"ufw", func(t *testing.T) { testUFW(t, standInHost(t, tool, inst)) }},
		{"options", func(t *testing.T) { testOptions(t, standInHost(t, tool, inst)) }},
		{"killed early", func(t *testing.T) { testKilledEarly(t, standInHost(t, tool, inst)) }},
		{"killed late", func(t *testing.T) { testKilledLate(t, standInHost(t, tool, inst)) }},
		{"full disk", func(t *testing.T) { testFullDisk(t, standInHost(t, tool, inst)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t)
		})
	}
}

const (
	casesDir       = "/var/lib/openclaw-ir"
	recipientsFile = "/etc/recipients.txt"
	publishedPort  = 28789
	hooksToken     = "hooks-token-of-the-test-00000001"
	dotenvKey      = "planted-crm-key-of-the-test-00000001"
	configComment  = "// Ana: ask me before you change this"
	userConfig     = "home/" + hostUser + "/.openclaw/openclaw.json"
)

// testContain is an incident from its first minute to its end: the agent acts while it is contained, the host reboots, all is put
// back, the gateway starts again without going on, and its token is replaced.
func testContain(t *testing.T, tool string, r release, inst installed) {
	v := newVictim(bootHost(t, tool, inst))
	v.weaken(t, r)
	v.publish(t)
	v.openSession(t)
	gateway := v.attack(t, servicePort)
	published := v.attack(t, publishedPort)
	if _, err := fmt.Fprintf(gateway, "GET / HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", hostV4); err != nil {
		t.Fatal(err)
	}
	if !echoes(published) {
		t.Fatal("the published port does not answer before it is closed")
	}
	stop := serveEcho(t, processNetwork(v.leader), "tcp6", fmt.Sprintf("[%s]:%d", hostV6, servicePort))
	for _, from := range []string{responderV4, responderV6} {
		if !v.reaches(from, servicePort) {
			t.Fatalf("the gateway's port does not answer %s before it is closed", from)
		}
	}
	stop()
	v.runAway(t)
	before := v.snapshot(t)

	t.Run("contain", func(t *testing.T) {
		start := time.Now()
		rows := v.tool(t, 0, v.inSession("openclaw-ir", "contain", "--yes", "-R", recipientsFile, "--json"))
		t.Logf("contained in %v", time.Since(start).Round(time.Millisecond))
		v.checkFrozen(t, rows)
		v.checkClosed(t)
		if echoes(published) {
			t.Error("the attacker's connection to the published port lives on")
		}
		v.checkDead(t, gateway)
	})
	acted := v.counters()
	time.Sleep(15 * time.Second)
	t.Run("status", func(t *testing.T) {
		v.checkIdle(t)
		v.tool(t, 0, v.inSession("openclaw-ir", "contain", "status", "--json"))
	})
	v.reboot(t)
	v.publish(t)
	v.openSession(t)
	t.Run("reboot", func(t *testing.T) {
		run(t, v.newSession(responderV4, hostUser, "true"))
		time.Sleep(10 * time.Second)
		v.checkClosed(t)
		v.tool(t, 0, v.inSession("openclaw-ir", "contain", "status", "--json"))
	})
	token := gatewayToken
	if r == newest { // while it is contained; of the other release, while its gateway runs again
		t.Run("rotate", func(t *testing.T) { token = v.rotate(t, r == newest) })
	}
	t.Run("undo", func(t *testing.T) {
		v.tool(t, 0, v.inSession("openclaw-ir", "contain", "undo", "--yes", "--json"))
		if token != gatewayToken {
			before["/"+userConfig] = describe(t, filepath.Join(v.root, userConfig))
		}
		v.checkSame(t, before)
		v.checkIdle(t)
	})
	started := t.Run("start", func(t *testing.T) {
		v.tool(t, 0, v.inSession("openclaw-ir", "contain", "undo", "--start", "--yes", "--json"))
		if t.Failed() {
			return // the gateway does not run
		}
		t.Cleanup(func() {
			if t.Failed() {
				out, _ := v.command("journalctl", "--no-pager", "-n", "60", "-o", "cat", "_SYSTEMD_USER_UNIT=openclaw-gateway.service").CombinedOutput()
				t.Logf("the gateway's journal: %s", out)
			}
		})
		v.g.waitUp(t)
		time.Sleep(20 * time.Second) // an interrupted turn goes on 10 to 15 s after the start
		if diff := cmp.Diff(acted, v.counters()); diff != "" {
			t.Errorf("the agent went on after a start (-contained +now):\n%s", diff)
		}
	})
	if r != newest && started {
		t.Run("rotate", func(t *testing.T) { token = v.rotate(t, r == newest) })
	}
	if started {
		t.Run("token", func(t *testing.T) { v.checkToken(t, token) })
	}
	t.Run("secrets", func(t *testing.T) { v.checkSecrets(t) })
}

// rotate replaces what can be replaced on the host, and returns the gateway's new token. While a gateway runs its devices stay.
func (v *victim) rotate(t *testing.T, contained bool) (token string) {
	const out = "root/new-tokens"
	v.tool(t, -1, v.inSession("openclaw-ir", "collect", "-R", recipientsFile, "--json"))
	args := []string{"openclaw-ir", "rotate", "--yes", "--out", "/" + out, "--json"}
	if contained {
		args = append(args, "--scrub")
	}
	rows := v.tool(t, 3, v.inSession(args...)) // the model's keys are open
	for _, r := range rows {
		if r.Record == "step" && !r.OK && (contained || r.Step != "remove") {
			t.Errorf("%s: %s: %s", r.Step, r.What, r.Detail)
		}
	}
	values := v.newValues(t, filepath.Join(v.root, out))
	token = values["gateway.auth.token"]
	for name, value := range values {
		v.secrets = append(v.secrets, value)
		if len(value) != 44 { // 32 bytes in base64
			t.Errorf("the new %s has %d letters", name, len(value))
		}
	}
	if len(values) != 2 || token == "" {
		t.Fatalf("%d new values", len(values))
	}
	v.checkConfig(t, values)
	if contained {
		v.checkGone(t)
	}
	v.tool(t, 0, v.inSession("openclaw-ir", "rotate", "verify", "--json"))
	v.checkList(t)
	return token
}

// newValues reads the file that rotate leaves, a line "NAME of PLACE: VALUE" each.
func (v *victim) newValues(t *testing.T, name string) map[string]string {
	t.Helper()
	text := describe(t, name)
	content, ok := strings.CutPrefix(text, "-rw------- 0 0 ")
	if !ok {
		t.Errorf("the file of new values is %.16q", text)
	}
	values := map[string]string{}
	for line := range strings.Lines(content) {
		what, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		what, _, _ = strings.Cut(what, " ")
		values[what] = value
	}
	return values
}

// checkGone looks for the old values in all of the installation's files.
func (v *victim) checkGone(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(v.root, "home", hostUser, ".openclaw"), func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(name)
		for _, old := range []string{gatewayToken, hooksToken} {
			if bytes.Contains(text, []byte(old)) {
				t.Errorf("%q holds an old token", strings.TrimPrefix(name, v.root))
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// checkList looks for the keys that only a person can replace on the list, and takes one off it.
func (v *victim) checkList(t *testing.T) {
	t.Helper()
	item := func(kind string) string {
		rows := v.tool(t, 3, v.inSession("openclaw-ir", "rotate", "list", "--json"))
		i := slices.IndexFunc(rows, func(r row) bool { return r.Record == "item" && r.Kind == kind })
		if i < 0 {
			return ""
		}
		return rows[i].ID
	}
	first := item("model key")
	if first == "" {
		t.Error("the model's key is not on the list")
		return
	}
	v.tool(t, -1, v.inSession("openclaw-ir", "rotate", "done", first, "--json"))
	if again := item("model key"); again == first {
		t.Errorf("%q is still on the list", first)
	}
}

// checkToken asks the running gateway what it thinks of its old token and of its new one.
func (v *victim) checkToken(t *testing.T, token string) {
	got := map[string]string{}
	for name, value := range map[string]string{"old": gatewayToken, "new": token} {
		got[name] = v.askHTTP(t, value) + " " + v.askWebSocket(t, value)
	}
	want := map[string]string{"old": "refused refused", "new": "accepted accepted"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the gateway (-want +got):\n%s", diff)
	}
}

// checkConfig looks whether the configuration holds the new values, and is otherwise as its owner wrote it.
func (v *victim) checkConfig(t *testing.T, values map[string]string) {
	t.Helper()
	name := filepath.Join(v.root, userConfig)
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, old := range []string{gatewayToken, hooksToken} {
		if bytes.Contains(text, []byte(old)) {
			t.Error("the configuration holds an old token")
		}
	}
	for name, value := range values {
		if !bytes.Contains(text, []byte(`"`+value+`"`)) {
			t.Errorf("the configuration does not hold the new %s", name)
		}
	}
	if n := bytes.Count(text, []byte(configComment)); n != 2 {
		t.Errorf("%d of 2 comments are left in the configuration", n)
	}
	if got := describe(t, name); !strings.HasPrefix(got, "-rw------- 1000 1000 ") {
		t.Errorf("the configuration is %.20q", got)
	}
}

// askHTTP asks the gateway with a token to invoke no tool: no matter what comes of it, nothing is done.
func (v *victim) askHTTP(t *testing.T, token string) string {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, v.g.url+"/tools/invoke", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := v.g.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		return "refused"
	case http.StatusBadRequest:
		return "accepted"
	}
	return resp.Status
}

// askWebSocket greets the gateway with a token as a client does.
func (v *victim) askWebSocket(t *testing.T, token string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, v.g.url, &websocket.DialOptions{HTTPClient: &v.g.client})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	conn.SetReadLimit(8 << 20)
	hello := map[string]any{"type": "req", "id": "hello", "method": "connect", "params": map[string]any{
		"minProtocol": 3, "maxProtocol": 4, "role": "operator", "scopes": []string{}, "caps": []string{},
		"client": map[string]string{"id": "gateway-client", "mode": "backend", "version": "test", "platform": "linux"},
		"auth":   map[string]string{"token": token},
	}}
	text, err := json.Marshal(hello)
	if err == nil {
		err = conn.Write(ctx, websocket.MessageText, text)
	}
	for err == nil {
		_, text, err = conn.Read(ctx)
		var answer struct {
			ID      string
			OK      bool
			Payload struct{ Type string }
		}
		if err == nil && json.Unmarshal(text, &answer) == nil && answer.ID == "hello" && answer.OK {
			return "accepted"
		}
	}
	if websocket.CloseStatus(err) == websocket.StatusPolicyViolation {
		return "refused"
	}
	return err.Error()
}
