package main

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"filippo.io/age"
	"github.com/clawbook/openclaw-ir/internal/statetest"
	"github.com/ncruces/go-sqlite3"
	"github.com/urfave/cli/v2"
	"golang.org/x/crypto/ssh"
)

// A plantation is a host with a secret in every place that can hold one, and a responder who looks at it.
type plantation struct {
	t                 *testing.T
	dir, root         string // of the test; of the host below it
	state, home       string // of the installation, as this machine names them
	sower             sower
	long              bool
	hunter            *hunter
	own               map[string]bool // files of the responder's that are to hold a secret
	cases, work, temp string
	trusted           string   // a directory that nobody else can write to, nor to those above it, as --notify asks
	recipient, store  string   // the responder's public key; the address of a server
	event, said       string   // one of the timeline that lets a secret out; what the last command said
	env               []string // the responder's

	mu  sync.Mutex
	got [][]byte // what the servers were sent
}

// newPlantation plants in a real state; long has every secret get out in every way.
func newPlantation(t *testing.T, version string, long bool) *plantation {
	t.Helper()
	p := &plantation{t: t, dir: t.TempDir(), long: long, own: map[string]bool{}, sower: sower{rnd: rand.New(rand.NewPCG(1, uint64(len(version))))}}
	p.root, p.cases, p.work, p.temp = filepath.Join(p.dir, "host"), filepath.Join(p.dir, "cases"), filepath.Join(p.dir, "work"), filepath.Join(p.dir, "tmp")
	if err := os.Rename(statetest.Root(t, version), p.root); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{filepath.Dir(p.dir), p.dir, p.root} {
		if err := os.Chmod(dir, 0o755); err != nil { // the account gets at its files
			t.Fatal(err)
		}
	}
	homes, err := filepath.Glob(filepath.Join(p.root, "home/*"))
	if err != nil || len(homes) != 1 {
		t.Fatalf("%q, %v", homes, err)
	}
	p.home, p.state = homes[0], filepath.Join(homes[0], ".openclaw")
	if p.hunter, err = newHunter(); err != nil {
		t.Fatal(err)
	}
	p.plant()
	for _, s := range p.sower.planted {
		p.hunts(s)
	}
	for _, dir := range []string{p.work, p.temp, filepath.Join(p.dir, "home")} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	p.equip()
	return p
}

func (p *plantation) hunts(s secretPlanted) {
	for _, random := range s.random {
		p.hunter.hunts(random, s.place)
	}
}

func (p *plantation) plant() {
	p.t.Helper()
	info, err := os.Stat(p.state)
	if err != nil {
		p.t.Fatal(err)
	}
	names := strings.NewReplacer("STATE", p.state, "HOME", p.home, "WORKSPACE", filepath.Join(p.state, "workspace"), "ACCOUNT", filepath.Base(p.home))
	account := "/home/" + filepath.Base(p.home)
	for _, f := range plantedFiles {
		text := p.sower.sow(f.file, f.text)
		name := names.Replace(f.file)
		if !filepath.IsAbs(name) {
			name = filepath.Join(p.root, name)
		}
		writeBelow(p.t, name, strings.ReplaceAll(text, "User=claw", "User="+filepath.Base(p.home)))
	}
	config := filepath.Join(p.state, "openclaw.json")
	var there, more map[string]any
	text, err := os.ReadFile(config)
	if err == nil {
		err = json.Unmarshal(text, &there)
	}
	if err == nil {
		err = json.Unmarshal([]byte(p.sower.sow("openclaw.json", strings.ReplaceAll(plantedConfig, "HOME", account))), &more)
	}
	if err == nil {
		more["$include"] = "./private.json5"
		text, err = json.MarshalIndent(merged(there, more), "", "  ")
	}
	if err != nil {
		p.t.Fatal(err)
	}
	writeBelow(p.t, config, p.sower.sow("a remark of openclaw.json", "// auth: {token: \"«token»\"},\n")+string(text)+"\n")
	for _, name := range []string{"state/openclaw.sqlite", "agents/main/agent/openclaw-agent.sqlite"} {
		if name = filepath.Join(p.state, name); exists(name) {
			withDatabase(p.t, name, func(c *sqlite3.Conn) {
				for _, r := range plantedRows {
					plantRow(p.t, c, r, func(text string) string { return p.sower.sow(filepath.Base(name)+" "+r.table+"."+r.column, text) })
				}
			})
		}
	}
	var values []string
	for _, s := range p.sower.planted {
		values = append(values, s.value)
	}
	leakInto(p.t, p.root, p.state, values, p.long)
	st := info.Sys().(*syscall.Stat_t)
	give(p.t, p.home, int(st.Uid), int(st.Gid))
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// equip gives the responder keys, and servers to send to that keep what they get.
func (p *plantation) equip() {
	p.t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		p.t.Fatal(err)
	}
	p.recipient = id.Recipient().String()
	p.keep("key.txt", id.String()+"\n", "the responder's age key", strings.TrimPrefix(id.String(), "AGE-SECRET-KEY-1"))
	p.keep("cut-key.txt", id.String()[:60]+"\n", "the responder's age key")
	writeBelow(p.t, filepath.Join(p.work, "recipients.txt"), p.recipient+"\n")
	ssh := p.sower.sow("the responder's SSH key", "«lines»")
	p.keep("ssh.key", ssh, "the responder's SSH key", p.last().random...)
	p.keep("cut-ssh.key", ssh[:len(ssh)-60], "the responder's SSH key")
	for _, kind := range []string{"Bearer «token»", "reporter:«words»", "ApiKey «b64»", "«token»"} {
		p.keep(fmt.Sprintf("bulk-%d.txt", len(p.own)), p.sower.sow("credentials of --bulk", kind)+"\n", "credentials of --bulk", p.last().random...)
	}
	server := httptest.NewTLSServer(http.HandlerFunc(p.serve))
	plain := httptest.NewServer(http.HandlerFunc(p.serve))
	p.t.Cleanup(func() { server.Close(); plain.Close() })
	p.store = plain.Listener.Addr().String()
	certificate := filepath.Join(p.work, "server.pem")
	writeBelow(p.t, certificate, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	p.trusted = trustedDirectory(p.t, p.work)
	p.keep(filepath.Join(p.trusted, "webhook.txt"), p.sower.sow("the address of --notify", server.URL+"/hook/«token»")+"\n", "the address of --notify", p.last().random...)
	p.keep(filepath.Join(p.trusted, "cut-webhook.txt"), p.sower.sow("the address of --notify", "http://user@example.org/«token»")+"\n", "the address of --notify", p.last().random...)
	p.env = []string{
		"HOME=" + filepath.Join(p.dir, "home"), "TMPDIR=" + p.temp, "XDG_STATE_HOME=" + filepath.Join(p.dir, "home/state"), "PATH=/usr/bin:/bin", "SSL_CERT_FILE=" + certificate,
		"AWS_ACCESS_KEY_ID=AKIAABCDEFGHIJKLMNOP", p.sower.sow("the credentials of the store", "AWS_SECRET_ACCESS_KEY=«aws»"), bulkVariable + "=" + p.sower.sow("credentials of --bulk", "me:«words»"),
	}
	for _, s := range p.sower.planted[len(p.sower.planted)-2:] {
		p.hunts(s)
	}
}

// trustedDirectory is one in which, and above which, root alone can write; for another user it is own.
func trustedDirectory(t *testing.T, own string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		return own
	}
	dir, err := os.MkdirTemp("/run", "openclaw-ir-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// serve takes everything, but for what a store answers that does not know who asks. What it is sent is searched: but for a header
// that says who asks, or the address that is the secret, nothing may hold one.
func (p *plantation) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	p.mu.Lock()
	p.got = append(p.got, body)
	p.mu.Unlock()
	switch {
	case strings.HasPrefix(r.URL.Path, "/hook/"):
	case strings.HasSuffix(r.URL.Path, "/_bulk"):
		_, _ = io.WriteString(w, `{"errors":false,"items":[]}`)
	default:
		p.mu.Lock()
		p.got = append(p.got, []byte(r.Method+" "+r.URL.String()+fmt.Sprint(r.Header)))
		p.mu.Unlock()
		w.WriteHeader(http.StatusForbidden)
	}
}

func (p *plantation) last() secretPlanted {
	if len(p.sower.planted) == 0 {
		return secretPlanted{}
	}
	return p.sower.planted[len(p.sower.planted)-1]
}

// keep writes a file of the responder's that is to hold a secret.
func (p *plantation) keep(name, text, place string, random ...string) {
	p.t.Helper()
	if !filepath.IsAbs(name) {
		name = filepath.Join(p.work, name)
	}
	writeBelow(p.t, name, text)
	p.own[name] = true
	p.hunts(secretPlanted{place: place, random: random})
}

// command is the real program with a command line in which names in capitals stand for what is another in every run.
func (p *plantation) command(line string) *exec.Cmd {
	args := strings.Fields(line)
	for i := range args {
		args[i] = strings.NewReplacer("HOST", "../host", "STATE", p.state, "STORE", p.store, "TRUSTED", p.trusted, "EVENT", p.event, "AGAIN", p.dir, "SECRET", p.sower.planted[0].value).Replace(args[i])
	}
	if !slices.Contains(args, "--case-dir") && !regexp.MustCompile("^(man|completion|drill|analyze rules) ?").MatchString(line) {
		args = append(args, "--case-dir", p.cases)
	}
	cmd := exec.CommandContext(p.t.Context(), "openclaw-ir", args...)
	cmd.Dir, cmd.Env = p.work, p.env
	return cmd
}

// run runs a command line, and searches what it prints.
func (p *plantation) run(line string) (code int, stdout string) {
	p.t.Helper()
	cmd := p.command(line)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if cmd.ProcessState == nil {
		p.t.Fatal(err)
	}
	p.search(line+": standard output", out.Bytes())
	p.search(line+": standard error", errs.Bytes())
	p.said = errs.String()
	return cmd.ProcessState.ExitCode(), out.String()
}

func (p *plantation) search(where string, data []byte) {
	p.t.Helper()
	for _, place := range p.hunter.in(data) {
		p.t.Errorf("%s shows what was planted in %s", where, place)
	}
}

// searchFiles searches every file that lies in the test's directory, outside the attacked host, or in memory.
func (p *plantation) searchFiles() {
	p.t.Helper()
	for _, dir := range []string{p.dir, "/dev/shm"} {
		err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			switch {
			case name == p.root:
				return filepath.SkipDir
			case err != nil && dir == "/dev/shm":
				return nil // others use it too
			case err != nil || !d.Type().IsRegular() || p.own[name]:
				return err
			}
			text, err := os.ReadFile(name)
			if err == nil && !bytes.HasPrefix(text, []byte("age-encryption.org/v1\n")) {
				p.search(strings.TrimPrefix(name, p.dir+"/"), text)
			}
			return err
		})
		if err != nil {
			p.t.Fatal(err)
		}
	}
	for _, core := range []string{"core*", "*.core"} {
		if names, _ := filepath.Glob(filepath.Join(p.work, core)); len(names) > 0 {
			p.t.Errorf("core files: %q", names)
		}
	}
}

// A plantedLine is one that a responder types. The code is what it must end with, or anyCode.
type plantedLine struct {
	line string
	code int
	long bool // only where there is time
}

// plantedLines are run in this order. They have each command, and each of its ways to print; and what goes wrong where a secret is.
var plantedLines = []plantedLine{
	{"case open one --json", exitDone, false},
	{"collect --root HOST -R recipients.txt -o B.age", anyCode, false},
	{"collect --root HOST -R recipients.txt --json", anyCode, true},
	{"collect --root HOST --estimate", exitDone, true},
	{"collect --root HOST --dry-run --json", exitDone, true},
	{"collect --root HOST --snapshot --case-dir ../cases --case snaps -R recipients.txt --notify @TRUSTED/webhook.txt --to s3://evidence?endpoint=http://STORE", exitPartial, false},
	{"collect --root HOST --snapshot --case-dir ../cases --case snaps -R recipients.txt --to away --to sftp://ir@127.0.0.1:1/in", exitPartial, true},
	{"collect --root HOST -R recipients.txt --to sftp://ir@127.0.0.1:1/in --ssh-key cut-ssh.key --host-key SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", anyCode, true},
	{"collect --root HOST -R key.txt", exitUsage, false},
	{"collect --root HOST -R recipients.txt --notify @TRUSTED/cut-webhook.txt --snapshot", exitUsage, false},
	{"collect verify B.age -i key.txt --json", exitDone, false},
	{"collect verify B.age -i cut-key.txt", exitFailed, false},
	{"collect verify key.txt", anyCode, true},
	{"collect list B.age -i key.txt", exitDone, false},
	{"collect list B.age -i key.txt --json", exitDone, true},
	{"collect list B.age -i TRUSTED/webhook.txt", exitFailed, true},
	{"collect open B.age opened -i key.txt --json", exitDone, false},
	{"collect upload --to away B.age --json", exitPartial, false},
	{"collect chain verify --case-dir ../cases --case snaps -i key.txt --json", anyCode, true},
	{"collect schedule install --dry-run --case one -R recipients.txt --notify @TRUSTED/webhook.txt --json", anyCode, false},
	{"collect schedule remove --dry-run --case one --json", anyCode, false},
	{"collect schedule status --json", anyCode, false},
	{"contain --dry-run --no-firewall --state-dir STATE --json", anyCode, false},
	{"contain --dry-run --state-dir STATE", anyCode, true},
	{"contain status --json", exitFailed, false},
	{"contain undo --dry-run --json", exitFailed, false},
	{"contain confirm --json", exitFailed, false},
	{"analyze --root HOST --kind all", exitDone, false},
	{"analyze --root HOST --kind all --json", exitDone, true},
	{"analyze --root HOST --kind all --format jsonl", exitDone, true},
	{"analyze --root HOST --kind all --format csv", exitDone, true},
	{"analyze --root HOST --kind all --format timesketch", exitDone, true},
	{"analyze --root HOST --kind all --format ecs", exitDone, true},
	{"analyze --root HOST --kind all --format ocsf", exitDone, true},
	{"analyze --root HOST --kind exec --format ecs --bulk http://STORE/claw", anyCode, false},
	{"analyze --root HOST --kind exec --format ecs --bulk http://STORE/claw --dry-run", anyCode, true},
	{"analyze --root HOST --kind exec --format ecs --bulk http://STORE/claw --bulk-credentials bulk-4.txt", anyCode, true},
	{"analyze --root HOST --kind exec --format ecs --bulk http://STORE/claw --bulk-credentials bulk-7.txt", exitUsage, false},
	{"analyze findings --root HOST --json", anyCode, false},
	{"analyze findings --root HOST --ioc key.txt", anyCode, true},
	{"analyze findings --root HOST --rules key.txt", exitUsage, true},
	{"analyze findings --root HOST --suppressions key.txt", exitUsage, true},
	{"analyze findings --root HOST --format ecs", anyCode, true},
	{"analyze findings --root HOST --format ocsf --bulk http://STORE/claw", anyCode, true},
	{"analyze findings --root HOST --format ocsf --bulk http://STORE/claw --dry-run", anyCode, true},
	{"analyze findings --root HOST --format text", anyCode, true},
	{"analyze why EVENT HOST --json", exitDone, true},
	{"analyze why EVENT HOST", exitDone, true},
	{"analyze posture --root HOST --all --json", anyCode, false},
	{"analyze posture --root HOST", anyCode, true},
	{"analyze posture --fix --dry-run --state-dir STATE", anyCode, false},
	{"analyze posture --deep --state-dir STATE", anyCode, true},
	{"analyze posture undo --dry-run --json", anyCode, false},
	{"analyze integrity HOST --against B.age -i key.txt --json", anyCode, true},
	{"analyze integrity HOST", anyCode, true},
	{"analyze secrets HOST --all --json", anyCode, false},
	{"analyze secrets HOST", anyCode, true},
	{"analyze rules list --json", exitDone, true},
	{"analyze rules show DLX-001 --json", exitDone, true},
	{"analyze rules test key.txt --json", exitUsage, true},
	{"report --root HOST --yes -R recipients.txt --noticed SECRET", anyCode, false},
	{"report --root HOST --dry-run", anyCode, true},
	{"report --root HOST --yes --json --template abuse", anyCode, true},
	{"rotate --dry-run --state-dir STATE --json", anyCode, false},
	{"rotate list --state-dir STATE --json", exitPartial, false},
	{"rotate list --state-dir STATE --all", exitPartial, true},
	{"rotate done nothing --json", exitFailed, false},
	{"rotate --yes --state-dir STATE --without-evidence --out new.txt --scrub", anyCode, false},
	{"rotate verify --state-dir STATE --json", anyCode, false},
	{"collect diff B.age HOST -i key.txt --json", anyCode, false},
	{"collect diff B.age HOST -i key.txt", anyCode, true},
	{"run --dry-run --json", exitDone, false},
	{"run --yes --from analyze --state-dir STATE", exitUsage, true},
	{"drill --yes --dir AGAIN/drill --json", exitDone, true},
	{"doctor --json", anyCode, false},
	{"man", exitDone, true},
	{"completion bash", exitDone, true},
	{"case --json", exitDone, true},
	{"case list --json", exitDone, false},
	{"case show one --json", anyCode, false},
	{"case show one", anyCode, true},
	{"case verify one --json", anyCode, false},
	{"case close one --json", anyCode, false},
}

// plantedPhrase is a passphrase that is typed.
const plantedPhrase = "nebelkrähe plötzlich quarzuhrwerk"

// No command, in no format, shows a secret that is planted where an installation or its responder has one: not on the terminal, not in
// the case outside what is sealed, not in a file for a moment, not to a program or a server.
func TestPlantedSecrets(t *testing.T) {
	if testing.Short() || statetest.Raced() {
		t.Skip("runs every command")
	}
	long := isLong()
	versions := []string{"2026.9.6/stopped"}
	if long {
		versions = []string{"2026.1.30", "2026.7.1", "2026.9.6/stopped"} // each era's; a state takes two minutes
	}
	for _, version := range versions {
		t.Run(strings.ReplaceAll(version, "/", "-"), func(t *testing.T) {
			p := newPlantation(t, version, long)
			for _, l := range plantedLines {
				if l.long && !long {
					continue
				}
				if long && strings.HasPrefix(l.line, "rotate --yes") { // a passphrase takes its time
					p.terminal()
				}
				code, out := p.run(l.line)
				if l.code != anyCode && code != l.code && !strings.HasSuffix(version, "node-host") || code == exitUsage && l.code != exitUsage {
					t.Errorf("%s: exit code %d, want %d: %s", l.line, code, l.code, p.said)
				}
				p.learn(l.line, out)
			}
			p.trap()
			if long {
				p.children()
			}
			p.searchFiles()
			for i, text := range p.got {
				p.search(fmt.Sprintf("what was sent, number %d", i+1), text)
			}
			if len(p.got) < 3 {
				t.Errorf("only %d things were sent", len(p.got))
			}
		})
	}
}

// learn takes from what a command did what later ones are to be searched for, and proves that the secrets were there.
func (p *plantation) learn(line, out string) {
	p.t.Helper()
	switch {
	case strings.HasPrefix(line, "case open"):
		p.learnCase()
	case strings.HasPrefix(line, "collect open"):
		p.sealed(filepath.Join(p.work, "opened"))
	case line == "analyze --root HOST --kind all":
		if m := regexp.MustCompile(`exec .*#([0-9a-zA-Z.-]+)  deploy --with`).FindStringSubmatch(out); m != nil {
			p.event = m[1]
		}
		p.event = cmp.Or(p.event, "none")
		prints := map[string]bool{}
		for _, print := range regexp.MustCompile(`<secret:[0-9a-f]{12}>`).FindAllString(out, -1) {
			prints[print] = true
		}
		if n := len(p.sower.planted); len(prints) < n*3/4 {
			p.t.Errorf("the timeline tells of %d secrets, and %d were let out", len(prints), n)
		}
	case strings.Contains(line, "--out new.txt"):
		name := filepath.Join(p.work, "new.txt")
		text, err := os.ReadFile(name)
		info, serr := os.Stat(name)
		if err != nil || serr != nil || info.Mode().Perm() != 0o600 {
			p.t.Errorf("the new values: %v, %v", err, serr)
			return
		}
		p.own[name] = true
		for line := range strings.Lines(string(text)) {
			p.hunts(secretPlanted{place: "the new values", random: []string{line[strings.LastIndex(line, " ")+1:]}})
		}
	}
}

// learnCase takes the case's own secrets: the key that signs and the salt of the fingerprints.
func (p *plantation) learnCase() {
	p.t.Helper()
	dir := filepath.Join(p.cases, "one")
	key, err := os.ReadFile(filepath.Join(dir, "seal.key"))
	if err != nil {
		p.t.Fatal(err)
	}
	private, err := ssh.ParseRawPrivateKey(key)
	if err != nil {
		p.t.Fatal(err)
	}
	salt, err := os.ReadFile(filepath.Join(dir, "salt"))
	if err != nil {
		p.t.Fatal(err)
	}
	for place, secret := range map[string][]byte{"the key that signs": private.(*ed25519.PrivateKey).Seed(), "the salt": salt} {
		p.hunts(secretPlanted{place: place, random: []string{hex.EncodeToString(secret), base64.RawStdEncoding.EncodeToString(secret), base64.RawStdEncoding.EncodeToString(append([]byte{0}, secret...))[2:]}})
	}
	p.own[filepath.Join(dir, "seal.key")] = true
}

// sealed proves that the bundle holds every secret, as it does by what the agent let out; then what was opened is taken away.
func (p *plantation) sealed(dir string) {
	p.t.Helper()
	found := map[string]bool{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(name)
		maps.Copy(found, p.hunter.places(text))
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	for _, s := range p.sower.planted {
		if !found[s.place] && !strings.Contains(s.place, "--") && !strings.HasPrefix(s.place, "the ") {
			p.t.Errorf("the sealed bundle does not hold what was planted in %s", s.place)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		p.t.Fatal(err)
	}
}

// terminal runs what asks on a terminal, and shows progress there.
func (p *plantation) terminal() {
	p.t.Helper()
	for _, part := range strings.Fields(plantedPhrase) {
		p.hunts(secretPlanted{place: "the passphrase", random: []string{part}})
	}
	for _, a := range []struct {
		line   string
		script []string
	}{
		{"collect --root HOST -p -o P.age", []string{"autogenerate", plantedPhrase + "\n", "confirm", plantedPhrase + "\n"}},
		{"collect list P.age", []string{"enter passphrase", plantedPhrase + "\n"}},
	} {
		screen := statetest.NewTerminal(p.t)
		tty, err := screen.Open()
		if err != nil {
			p.t.Fatal(err)
		}
		cmd := p.command(a.line)
		cmd.Env = append(cmd.Env, "TERM=xterm-256color")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
		screen.Typed(p.t, a.script, func() { err = cmd.Run() })
		tty.Close()
		if code := cmd.ProcessState.ExitCode(); code != exitDone && code != exitPartial && code != exitFound {
			p.t.Errorf("%s: %v: %s", a.line, err, screen.Shown())
		}
		p.search(a.line+" on a terminal", []byte(screen.Shown()))
	}
}

// trap has the program tell what it is doing, as one that crashes does.
func (p *plantation) trap() {
	p.t.Helper()
	cmd := p.command("analyze --root HOST --kind all --format csv")
	cmd.Env = append(cmd.Env, "GOTRACEBACK=system")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		_, err = io.ReadFull(out, make([]byte, 1<<10)) // then it waits, in the middle of it
	}
	if err == nil {
		err = cmd.Process.Signal(syscall.SIGQUIT)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, out)
	_ = cmd.Wait()
	if !strings.Contains(errs.String(), "goroutine") {
		p.t.Errorf("no trace: %s", errs.String())
	}
	p.search("the trace of a crash", errs.Bytes())
}

// passed is what the programs that are run may find in their environment. A shell that one of them runs sets PWD itself.
var passed = []string{"PATH", "LC_ALL", "HOME", "TZ", "XDG_RUNTIME_DIR", "PYTHONDONTWRITEBYTECODE", "PYTHONNOUSERSITE", "PWD"}

// children looks at the arguments and the environment of every program that is run, while a gateway has secrets in its own.
func (p *plantation) children() {
	p.t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		p.t.Log("no strace: what programs are given is not looked at")
		return
	}
	gateway := exec.Command("/bin/sh", "-c", "sleep 600 & wait", "openclaw-gateway", "--token", p.sower.sow("a process's arguments", "«token»"))
	gateway.Args[0], gateway.Env = "openclaw-gateway", []string{"OPENCLAW_STATE_DIR=" + p.state, "OPENCLAW_GATEWAY_TOKEN=" + p.sower.sow("a process's environment", "«token»")}
	gateway.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	for _, s := range p.sower.planted[len(p.sower.planted)-2:] {
		p.hunts(s)
	}
	if err := gateway.Start(); err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(-gateway.Process.Pid, syscall.SIGKILL); _ = gateway.Wait() }()
	ran := 0
	for _, line := range []string{
		"contain --dry-run --state-dir STATE", "contain --dry-run --no-firewall --state-dir STATE --json", "doctor", "analyze posture --deep --state-dir STATE",
		"collect --state-dir STATE -R recipients.txt -o live.age", "collect --snapshot --live --state-dir STATE --case-dir ../cases --case live -R recipients.txt --notify /bin/false",
		"rotate --dry-run --state-dir STATE", "collect schedule status",
	} {
		trace := filepath.Join(p.dir, "trace")
		cmd := p.command(line)
		cmd.Args = append([]string{"strace", "-f", "-e", "trace=execve,execveat", "-e", "signal=none", "-v", "-s", "65535", "-o", trace}, cmd.Args...)
		strace, err := exec.LookPath("strace")
		if err != nil {
			p.t.Fatal(err)
		}
		cmd.Args[slices.Index(cmd.Args, "openclaw-ir")], cmd.Path = cmd.Path, strace
		said, _ := cmd.CombinedOutput()
		p.search(line+", traced", said)
		text, err := os.ReadFile(trace)
		if err != nil {
			p.t.Fatal(err)
		}
		_, calls, _ := strings.Cut(string(text), "\n") // after our own
		p.search("the programs of "+line, []byte(calls))
		ran += strings.Count(calls, "execve")
		for call := range strings.Lines(calls) {
			environment := call[strings.LastIndex(call, "[")+1:]
			for _, m := range regexp.MustCompile(`"([A-Za-z_0-9]+)=`).FindAllStringSubmatch(environment, -1) {
				if strings.Contains(call, "execve") && !slices.Contains(passed, m[1]) {
					p.t.Errorf("%s: a program is given %s: %.200s", line, m[1], call)
				}
			}
		}
		if err := os.Remove(trace); err != nil {
			p.t.Fatal(err)
		}
	}
	if ran < 5 {
		p.t.Errorf("only %d programs were run", ran)
	}
}

// Every command is among those lines, with --json and --dry-run where it has them, and in every format.
func TestEveryCommandIsSearched(t *testing.T) {
	lines := map[string][]string{} // by command
	for _, l := range plantedLines {
		command := notedLine{args: l.line}.command()
		lines[command] = append(lines[command], l.line)
	}
	has := func(path, option string) bool {
		return slices.ContainsFunc(lines[path], func(line string) bool { return strings.Contains(line, option) })
	}
	groups := []string{"analyze rules", "collect chain", "collect schedule"}
	everyCommand(testApp(80), func(path string, c *cli.Command) {
		path = strings.TrimPrefix(path, "openclaw-ir ")
		if c.Hidden || slices.Contains(groups, path) {
			return
		}
		if !has(path, "") {
			t.Errorf("openclaw-ir %s is not run: add it to plantedLines", path)
		}
		for _, f := range c.Flags {
			switch name := f.Names()[0]; name {
			case "json", "dry-run":
				if !has(path, "--"+name) {
					t.Errorf("openclaw-ir %s --%s is not run: add it to plantedLines", path, name)
				}
			case "format":
				usage := f.(cli.DocGenerationFlag).GetUsage()
				_, list, _ := strings.Cut(usage, ": ")
				for _, format := range strings.Fields(strings.NewReplacer(",", " ", " or ", " ").Replace(list)) {
					if format != "text" && !has(path, "--format "+format) {
						t.Errorf("openclaw-ir %s --format %s is not run: add it to plantedLines", path, format)
					}
				}
			}
		}
	})
}
