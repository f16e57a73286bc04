//go:build linux

package main_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

// release is a release of OpenClaw that the tests run, with the major version of Node.js it needs.
type release struct{ version, node string }

var (
	newest = release{"2026.9.6", "26"} // transcripts in SQLite
	older  = release{"2026.7.1", "24"} // the last release with transcripts in JSON lines
)

// TestGateway collects from a real gateway in the middle of a turn and compares what analyze tells with what stock tools
// read from the same bundle, and both with what the scripted model asked for.
func TestGateway(t *testing.T) {
	if os.Getenv("OPENCLAW_IR_GATEWAY_TEST") != "1" {
		t.Skip("runs a real gateway from npm: set OPENCLAW_IR_GATEWAY_TEST=1")
	}
	need(t, "npm", "age", "age-keygen", "zstd", "tar", "sha256sum", "sqlite3", "jq")
	tool := buildTool(t)
	for _, r := range []release{newest, older} {
		t.Run(r.version, func(t *testing.T) { testGateway(t, tool, r) })
	}
}

func testGateway(t *testing.T, tool string, r release) {
	g := startGateway(t, install(t, r), r)
	if got := g.turn(t, "work"); !strings.HasPrefix(got, "Done.") {
		t.Fatalf("first turn answered %q", got)
	}
	answer := g.startTurn(t, "attack")
	g.waitHeld(t)

	key, recipient := newKey(t)
	bundle := filepath.Join(t.TempDir(), "bundle.tar.zst.age")
	start := time.Now()
	runTool(t, exec.Command(tool, "collect", "-r", recipient, "-o", bundle, "--state-dir", g.state(), "--case-dir", filepath.Join(t.TempDir(), "cases")))
	t.Logf("collected in %v", time.Since(start).Round(time.Millisecond))

	select {
	case got := <-answer:
		t.Errorf("the turn ended while it was collected: %q", got)
	default:
	}
	g.release(t)
	if got, want := <-answer, "The mail says all is well."; !strings.HasPrefix(got, want) {
		t.Errorf("after the collection the turn answered %q, want %q", got, want)
	}

	opened := openWithStockTools(t, bundle, key)
	run(t, exec.Command(tool, "collect", "verify", bundle, "-i", key))

	want := recordedCalls(t, r, filepath.Join(opened, "[root]", g.state()))
	asked := scriptedCommands(t, "work", "attack")
	if got := commands(want); !slices.Equal(got, asked) {
		t.Errorf("stock tools find other commands than the model asked for:\n%s", cmp.Diff(asked, got))
	}
	got := analyzed(t, tool, bundle, "-i", key, "--kind", "exec")
	if diff := cmp.Diff(execs(want), got); diff != "" {
		t.Errorf("exec events differ from what stock tools read (-stock +analyze):\n%s", diff)
	}
	all := analyzed(t, tool, bundle, "-i", key, "--kind", "exec,write,edit,read,tool")
	if diff := cmp.Diff(ids(want), ids(all)); diff != "" {
		t.Errorf("tool calls differ from what stock tools read (-stock +analyze):\n%s", diff)
	}
	if diff := cmp.Diff(all, analyzed(t, tool, opened, "--kind", "exec,write,edit,read,tool")); diff != "" {
		t.Errorf("the opened directory tells another story than the bundle (-bundle +directory):\n%s", diff)
	}
	for _, name := range []string{g.state() + "/openclaw.json", g.log(), g.state() + "/workspace/HEARTBEAT.md"} {
		if _, err := os.Stat(filepath.Join(opened, "[root]", name)); err != nil {
			t.Errorf("not in the bundle: %v", err)
		}
	}
}

// A toolCall is one request of the model to run a tool, as a transcript records it. Command is set for exec alone.
type toolCall struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Command string `json:"command"`
}

// callFilter picks the tool calls from a transcript's records.
const callFilter = `select(.type == "message" and .message.role == "assistant") | .message.content[]? |
	select(.type == "toolCall") | {id, name, command: (.arguments.command // "")}`

// recordedCalls reads the tool calls of the main agent from a state directory with sqlite3 and jq, in order.
func recordedCalls(t *testing.T, r release, state string) []toolCall {
	t.Helper()
	var records []byte
	if r == newest {
		records = databaseRecords(t, filepath.Join(state, "agents/main/agent/openclaw-agent.sqlite"))
	} else {
		records = fileRecords(t, filepath.Join(state, "agents/main/sessions"))
	}
	cmd := exec.Command("jq", "-c", callFilter)
	cmd.Stdin = bytes.NewReader(records)
	var calls []toolCall
	decodeLines(t, run(t, cmd), func(c toolCall) { calls = append(calls, c) })
	if len(calls) == 0 {
		t.Fatal("stock tools find no tool calls")
	}
	return calls
}

// fileRecords returns the transcripts in a directory of sessions, a record a line.
func fileRecords(t *testing.T, dir string) []byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var records []byte
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".jsonl") || strings.HasSuffix(e.Name(), ".trajectory.jsonl") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, data...)
	}
	return records
}

// databaseRecords returns the transcript in a copy of an agent's database and its WAL, a record a line.
func databaseRecords(t *testing.T, db string) []byte {
	t.Helper()
	dir := t.TempDir()
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(db + suffix)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "copy.sqlite"+suffix), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	const query = `select coalesce(event_json, '') as json, hex(event_zstd) as zstd from transcript_events order by session_id, seq`
	out := run(t, exec.Command("sqlite3", "-json", filepath.Join(dir, "copy.sqlite"), query))
	var rows []struct{ JSON, Zstd string }
	if err := json.Unmarshal(out, &rows); err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var records []byte
	for _, row := range rows {
		frame, err := hex.DecodeString(row.Zstd)
		if err == nil {
			records, err = z.DecodeAll(frame, append(records, row.JSON...))
		}
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, '\n')
	}
	return records
}

// analyzed returns the tool calls that analyze lists for a source, in its order.
func analyzed(t *testing.T, tool, source string, args ...string) []toolCall {
	t.Helper()
	return toolCalls(t, runTool(t, exec.Command(tool, append([]string{"analyze", source, "--format", "jsonl"}, args...)...)))
}

// toolCalls returns the tool calls in events as analyze prints them in JSON lines.
func toolCalls(t *testing.T, events []byte) []toolCall {
	t.Helper()
	var calls []toolCall
	type event struct {
		Kind, Tool, What string
		CallID           string `json:"call_id"`
	}
	decodeLines(t, events, func(e event) {
		if e.CallID == "" {
			return
		}
		call := toolCall{ID: e.CallID, Name: e.Tool}
		if e.Kind == "exec" {
			call.Command = e.What
		}
		calls = append(calls, call)
	})
	return calls
}

func execs(calls []toolCall) []toolCall {
	return slices.DeleteFunc(slices.Clone(calls), func(c toolCall) bool { return c.Name != "exec" })
}

func commands(calls []toolCall) []string {
	var list []string
	for _, c := range execs(calls) {
		list = append(list, c.Command)
	}
	return list
}

func ids(calls []toolCall) []string {
	var list []string
	for _, c := range calls {
		list = append(list, c.ID)
	}
	slices.Sort(list)
	return list
}

// scriptedCommands returns the commands that the model's scripts ask for.
func scriptedCommands(t *testing.T, names ...string) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(driveDir(t), "scripts.json"))
	if err != nil {
		t.Fatal(err)
	}
	var scripts map[string][]struct {
		Calls []struct {
			Name string
			Args struct{ Command string }
		}
	}
	if err := json.Unmarshal(data, &scripts); err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, name := range names {
		for _, step := range scripts[name] {
			for _, call := range step.Calls {
				if call.Name == "exec" {
					list = append(list, call.Args.Command)
				}
			}
		}
	}
	return list
}

// gateway is a running gateway with its scripted model, under a home directory of its own.
type gateway struct {
	home   string
	url    string
	client http.Client
}

const (
	gatewayToken = "gateway-token-of-the-test-0001"
	modelKey     = "sk-scripted-model-key-000000001"
)

func (g *gateway) state() string    { return filepath.Join(g.home, ".openclaw") }
func (g *gateway) log() string      { return filepath.Join(g.home, "log", "openclaw.log") }
func (g *gateway) released() string { return filepath.Join(g.home, "release") }

func startGateway(t *testing.T, inst installed, r release) *gateway {
	t.Helper()
	home := t.TempDir()
	gatewayPort, modelPort := freePort(t), freePort(t)
	g := &gateway{home: home, url: fmt.Sprintf("http://127.0.0.1:%d", gatewayPort)}
	for _, dir := range []string{g.state(), filepath.Dir(g.log())} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	config := gatewayConfig(r, gatewayPort, modelPort)
	config["logging"] = map[string]any{"file": g.log()}
	writeJSON(t, filepath.Join(g.state(), "openclaw.json"), config)
	t.Cleanup(func() { endProcesses(t, home) })
	inst.start(t, home, "model", filepath.Join(driveDir(t), "model.mjs"), fmt.Sprint(modelPort), filepath.Join(driveDir(t), "scripts.json"), g.released())
	inst.start(t, home, "gateway", inst.openclaw, "gateway", "run")
	g.waitUp(t)
	return g
}

// waitUp waits until the gateway answers.
func (g *gateway) waitUp(t *testing.T) {
	t.Helper()
	waitFor(t, 2*time.Minute, "the gateway", func() bool {
		resp, err := g.client.Get(g.url + "/healthz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// gatewayConfig lets the agent run everything and points it at the scripted model.
func gatewayConfig(r release, gatewayPort, modelPort int) map[string]any {
	type object = map[string]any
	execPolicy := object{"host": "gateway", "mode": "full"}
	if r != newest {
		execPolicy = object{"host": "gateway", "security": "full", "ask": "off"}
	}
	return object{
		"gateway": object{
			"mode": "local", "port": gatewayPort, "bind": "loopback",
			"auth": object{"mode": "token", "token": gatewayToken},
			"http": object{"endpoints": object{"chatCompletions": object{"enabled": true}}},
		},
		"agents": object{"defaults": object{"model": object{"primary": "scripted/one"}}},
		"models": object{"mode": "merge", "providers": object{"scripted": object{
			"baseUrl": fmt.Sprintf("http://127.0.0.1:%d/v1", modelPort), "api": "openai-completions", "apiKey": modelKey,
			"models": []object{{"id": "one", "name": "one", "contextWindow": 128000, "maxTokens": 4096}},
		}}},
		"tools":     object{"profile": "full", "exec": execPolicy},
		"discovery": object{"mdns": object{"mode": "off"}},
		"update":    object{"checkOnStart": false},
	}
}

// turn asks the agent to follow a script and returns its answer.
func (g *gateway) turn(t *testing.T, script string) string {
	t.Helper()
	return <-g.startTurn(t, script)
}

// startTurn is turn in the background. An answer that is no answer is its error's text.
func (g *gateway) startTurn(t *testing.T, script string) <-chan string {
	t.Helper()
	answer := make(chan string, 1)
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	go func() {
		text, err := g.ask(ctx, "[["+script+"]] please")
		if err != nil {
			text = "error: " + err.Error()
		}
		answer <- text
	}()
	return answer
}

func (g *gateway) ask(ctx context.Context, message string) (string, error) {
	body, err := json.Marshal(map[string]any{
		"model": "openclaw", "user": "test",
		"messages": []map[string]string{{"role": "user", "content": message}},
	})
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url+"/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+gatewayToken)
	req.Header.Set("Content-Type", "application/json")
	resp, err := g.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	var reply struct {
		Choices []struct{ Message struct{ Content string } }
	}
	if err := json.Unmarshal(data, &reply); err != nil || len(reply.Choices) == 0 {
		return "", fmt.Errorf("%s: %q", resp.Status, data)
	}
	return reply.Choices[0].Message.Content, nil
}

// waitHeld waits until the model holds a turn open, after all its tools ran.
func (g *gateway) waitHeld(t *testing.T) {
	t.Helper()
	waitFor(t, 3*time.Minute, "the held turn", func() bool {
		_, err := os.Stat(g.released() + ".held")
		return err == nil
	})
}

// release lets the held turn end.
func (g *gateway) release(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(g.released(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// installed is a release in the cache: its Node.js and its command.
type installed struct{ dir, node, openclaw string }

// install returns a release from npm, kept under the user's cache directory between runs. No package's scripts
// are run, but for OpenClaw's own, which its first start completes.
func install(t *testing.T, r release) installed {
	t.Helper()
	arch := map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
	if arch == "" {
		t.Skipf("no Node.js on npm for %s", runtime.GOARCH)
	}
	node := "node-linux-" + arch
	dir := filepath.Join(cacheDir(t), r.version)
	if _, err := os.Stat(dir); err != nil {
		temp, err := os.MkdirTemp(cacheDir(t), r.version+".tmp")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(temp)
		writeJSON(t, filepath.Join(temp, "package.json"), map[string]bool{"private": true})
		npm := exec.Command("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "openclaw@"+r.version, node+"@"+r.node)
		npm.Dir = temp
		run(t, npm)
		if err := os.Chmod(temp, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(temp, dir); err != nil {
			t.Fatal(err)
		}
	}
	modules := filepath.Join(dir, "node_modules")
	inst := installed{dir, filepath.Join(modules, node, "bin/node"), filepath.Join(modules, "openclaw/openclaw.mjs")}
	version := inst.command(t.TempDir(), inst.openclaw, "--version")
	if out := run(t, version); !bytes.Contains(out, []byte(r.version)) {
		t.Fatalf("the installed gateway is %q, want %q", out, r.version)
	}
	return inst
}

func (i installed) command(home string, args ...string) *exec.Cmd {
	cmd := exec.Command(i.node, args...)
	cmd.Dir = home
	cmd.Env = []string{"HOME=" + home, "TMPDIR=" + home, "PATH=" + filepath.Dir(i.node) + ":/usr/bin:/bin", "LANG=C.UTF-8"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// start runs a command in the background until the test ends, its output shown if the test fails.
func (i installed) start(t *testing.T, home, name string, args ...string) {
	t.Helper()
	logName := filepath.Join(home, name+".out")
	out, err := os.Create(logName)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := i.command(home, args...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			data, _ := os.ReadFile(logName)
			t.Logf("%s: %s", name, data)
		}
	})
}

// endProcesses kills every process whose home is the test's own: the gateway's helpers and what the agent started.
// It runs last, so that nothing writes to the directory while it is removed.
func endProcesses(t *testing.T, home string) {
	mark := []byte("HOME=" + home + "\x00")
	waitFor(t, 20*time.Second, "the end of the gateway's processes", func() bool {
		left := 0
		environs, _ := filepath.Glob("/proc/[0-9]*/environ")
		for _, name := range environs {
			if data, err := os.ReadFile(name); err != nil || !bytes.Contains(data, mark) {
				continue
			}
			var pid int
			if _, err := fmt.Sscanf(name, "/proc/%d/", &pid); err == nil {
				left++
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		return left == 0
	})
}

// newKey makes an age key with stock age and returns the identity file and the recipient.
func newKey(t *testing.T) (file, recipient string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "key.txt")
	run(t, exec.Command("age-keygen", "-o", file))
	return file, strings.TrimSpace(string(run(t, exec.Command("age-keygen", "-y", file))))
}

// openWithStockTools unpacks a bundle as its README.txt says and checks the digests; it returns the directory.
func openWithStockTools(t *testing.T, bundle, key string) string {
	t.Helper()
	dir := t.TempDir()
	pipe := exec.Command("bash", "-c", `set -o pipefail; age -d -i "$1" "$2" | zstd -dcq | tar -x --no-same-owner -C "$3"`, "bash", key, bundle, dir)
	run(t, pipe)
	sums := exec.Command("sha256sum", "-c", "--quiet", "SHA256SUMS")
	sums.Dir = dir
	run(t, sums)
	return dir
}

// buildTool builds the command as it is released and returns its path.
func buildTool(t *testing.T) string {
	t.Helper()
	tool := filepath.Join(t.TempDir(), "openclaw-ir")
	build := exec.Command("go", "build", "-trimpath", "-o", tool, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	run(t, build)
	return tool
}

// runTool runs the tool and returns its standard output. It may have done its work in part, as on any living
// host, but must not show a secret.
func runTool(t *testing.T, cmd *exec.Cmd) []byte {
	t.Helper()
	stdout, stderr := runCodes(t, cmd, 0, 3)
	for _, secret := range []string{gatewayToken, modelKey} {
		if bytes.Contains(stdout, []byte(secret)) || bytes.Contains(stderr, []byte(secret)) {
			t.Errorf("%q shows the secret %q", cmd.Args, secret)
		}
	}
	return stdout
}

// run runs a program that must succeed and returns its standard output.
func run(t *testing.T, cmd *exec.Cmd) []byte {
	t.Helper()
	stdout, _ := runCodes(t, cmd, 0)
	return stdout
}

func runCodes(t *testing.T, cmd *exec.Cmd, codes ...int) (stdout, stderr []byte) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if cmd.ProcessState == nil || !slices.Contains(codes, cmd.ProcessState.ExitCode()) {
		t.Fatalf("%q: %v\n%s%s", cmd.Args, err, tail(errs.Bytes()), tail(out.Bytes()))
	}
	if err != nil {
		t.Logf("%q: %v\n%s", cmd.Args, err, tail(errs.Bytes()))
	}
	return out.Bytes(), errs.Bytes()
}

// tail is the end of an output, enough to tell what went wrong.
func tail(b []byte) []byte { return b[max(0, len(b)-2000):] }

func decodeLines[T any](t *testing.T, lines []byte, use func(T)) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(lines))
	for {
		var v T
		err := d.Decode(&v)
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		use(v)
	}
}

func writeJSON(t *testing.T, name string, v any) {
	t.Helper()
	data, err := json.MarshalIndent(v, "", "  ")
	if err == nil {
		err = os.WriteFile(name, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func waitFor(t *testing.T, limit time.Duration, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !done(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v for %s", limit, what)
		}
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// need fails the test if a program is missing: whoever asked for it wants it to run.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			t.Fatal(err)
		}
	}
}

func cacheDir(t *testing.T) string {
	t.Helper()
	base, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(base, "openclaw-ir-test")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func driveDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../testdata/gateway")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
