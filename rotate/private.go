package rotate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

const (
	// privateLimit bounds the life of a private gateway. One starts in 5 to 35 s on two cores.
	privateLimit = 90 * time.Second
	privatePoll  = 300 * time.Millisecond
	// nobody is whom a private gateway runs as where the agent itself was root.
	nobody = 65534
	// maxPackageFiles bounds the search of a package for files that others than root could have written.
	maxPackageFiles = 400_000
)

// VerifyContained shows the same as [Verify] where the gateway is contained and must stay so. First that the installation's
// files give the new value, then that its release of OpenClaw accepts it and refuses the old ones: it runs a gateway of that release,
// as the agent's user, on loopback, from a directory of its own that holds the credential and nothing of the installation: no
// sessions, channels, automations, plugins or keys, so nothing can resume. It has a network and a file tree of its own, in memory,
// in which neither the installation nor its logs can be seen, and which vanish with it when it is killed.
//
// Only a Node.js and a package are run that root alone could have written, and only root on Linux can make such a room. Where
// that is not so the last check says so.
func VerifyContained(ctx context.Context, root *host.Root, in *openclaw.Installation, c Credential, old []string, value string) []Check {
	checks := []Check{inFiles(root, in, c.Name, value)}
	if c.Mode() == "" || !checks[0].OK {
		return checks
	}
	fail := func(why error) []Check {
		return append(checks, Check{
			What:   c.Name + ": asked of a private gateway",
			Detail: why.Error(),
			Hint:   "when the gateway runs again, before anything can reach it: openclaw-ir rotate verify",
		})
	}
	p, err := findProgram(root, in)
	if err != nil {
		return fail(err)
	}
	p.mode, p.value, p.hide = c.Mode(), value, []string{in.Home, in.StateDir}
	if p.owner, err = runner(root, in); err != nil {
		return fail(err)
	}
	ctx, cancel := context.WithTimeout(ctx, privateLimit)
	defer cancel()
	err = p.run(ctx, func(probe Probe) {
		checks = append(checks, Verify(ctx, probe, c, old, value)...)
	})
	if err != nil {
		return fail(err)
	}
	return checks
}

// inFiles reads the installation's files again and looks which value is in force.
func inFiles(root *host.Root, in *openclaw.Installation, name, value string) Check {
	now := *in
	now.Config, _ = openclaw.LoadConfig(root, in.ConfigPath)
	found, _ := FindCredentials(root, &now)
	check := Check{What: name + ": the new value is in force in the files", Hint: "openclaw-ir rotate"}
	i := slices.IndexFunc(found, func(c Credential) bool { return c.Name == name })
	if i < 0 {
		check.Detail = "they hold none"
		return check
	}
	values := found[i].Values()
	switch {
	case found[i].Person != "":
		check.Detail = found[i].Person
	case len(values) == 0 || values[0] != value:
		check.Detail = "another one is"
	case len(values) > 1:
		check.Detail = "but another one lies beside it"
	default:
		check.OK, check.Hint, check.Detail = true, "", strings.Join(found[i].Files(), ", ")
	}
	return check
}

// runner is the agent's user, who owns the state directory; never root.
func runner(root *host.Root, in *openclaw.Installation) (host.Owner, error) {
	fi, err := root.Stat(openclaw.FSName(in.StateDir))
	if err != nil {
		return host.Owner{}, err
	}
	m := host.Meta(fi)
	if m.UID == 0 {
		return host.Owner{UID: nobody, GID: nobody}, nil
	}
	return host.Owner{UID: m.UID, GID: m.GID}, nil
}

// A program is a gateway that can be run.
type program struct {
	node, entry string // absolute paths, links resolved
	mode, value string
	owner       host.Owner
	hide        []string // directories it must not see
}

// CanProve says why [VerifyContained] could not run a private gateway of the installation's release, nil if it could. It runs nothing.
func CanProve(root *host.Root, in *openclaw.Installation) error {
	_, err := findProgram(root, in)
	return err
}

// findProgram returns the Node.js and the script that the installation's service runs, else those where npm puts them for all
// users.
func findProgram(root *host.Root, in *openclaw.Installation) (program, error) {
	var candidates []program
	for _, u := range in.Units {
		if p, ok := fromExec(u.Exec); ok {
			candidates = append(candidates, p)
		}
	}
	for _, prefix := range []string{"/usr", "/usr/local"} {
		p := program{node: "/usr/bin/node", entry: prefix + "/lib/node_modules/openclaw/dist/index.js"}
		candidates = append(candidates, p, program{node: "/usr/local/bin/node", entry: p.entry})
	}
	var first error
	for _, p := range candidates {
		p, err := p.trusted(root)
		if err == nil {
			return p, nil
		}
		if first == nil || openclaw.IsAbsent(first) {
			first = err
		}
	}
	if openclaw.IsAbsent(first) {
		first = errors.New("no OpenClaw was found that root installed")
	}
	return program{}, fmt.Errorf("not run: %w", first)
}

// fromExec reads a service's command: node, its options, the script, "gateway" and its options.
func fromExec(command string) (p program, ok bool) {
	list := words(command, 0, len(command))
	if len(list) == 0 {
		return p, false
	}
	p.node = strings.TrimLeft(list[0].text, "-@:+!|")
	for _, w := range list[1:] {
		if path.IsAbs(w.text) && slices.Contains([]string{".js", ".mjs"}, path.Ext(w.text)) {
			p.entry = path.Clean(w.text)
			break
		}
	}
	return p, path.IsAbs(p.node) && strings.HasPrefix(path.Base(p.node), "node") && p.entry != ""
}

// trusted resolves the program if root alone could have written all of it.
func (p program) trusted(root *host.Root) (program, error) {
	var err error
	if p.node, err = host.RootOnly(root, p.node); err != nil {
		return p, err
	}
	if p.entry, err = host.RootOnly(root, p.entry); err != nil {
		return p, err
	}
	return p, rootOnlyTree(root, packageRoot(p.entry))
}

// packageRoot is where a script and what it imports lie: the outermost node_modules, else the package.
func packageRoot(entry string) string {
	if i := strings.Index(entry, "/node_modules/"); i >= 0 {
		return entry[:i+len("/node_modules")]
	}
	return path.Dir(path.Dir(entry))
}

// rootOnlyTree returns an error that wraps [host.ErrNotTrusted] if there is anything below dir that others than root could
// have written.
func rootOnlyTree(root *host.Root, dir string) error {
	left := maxPackageFiles
	return fs.WalkDir(root, openclaw.FSName(dir), func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if left--; left < 0 {
			return fmt.Errorf("%q holds more than %d files", dir, maxPackageFiles)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		m := host.Meta(info)
		if d.Type()&fs.ModeSymlink != 0 {
			if _, err := host.RootOnly(root, "/"+name); err != nil && !openclaw.IsAbsent(err) {
				return err
			}
			m.Mode = 0 // a link's own mode means nothing
		}
		if m.UID != 0 || m.Mode&0o022 != 0 {
			return fmt.Errorf("%q: %w: others than root can write it", "/"+name, host.ErrNotTrusted)
		}
		return nil
	})
}

// run starts the gateway, calls use once it answers, and kills it.
func (p program) run(ctx context.Context, use func(Probe)) (err error) {
	onThread(func() {
		r, rerr := p.room()
		if rerr != nil {
			err = fmt.Errorf("making room for a private gateway: %w", rerr)
			return
		}
		defer r.close()
		err = p.runIn(ctx, r, use)
	})
	return err
}

// A room is where a private gateway runs: a file tree and a network that no one else sees.
type room struct {
	dir   string // of its own, in memory
	dial  func(ctx context.Context, network, addr string) (net.Conn, error)
	close func()
}

// privatePort is free in a network where nothing else is.
const privatePort = 18789

func (p program) runIn(ctx context.Context, r room, use func(Probe)) error {
	if err := p.fill(r); err != nil {
		return fmt.Errorf("writing the private gateway's config: %w", err)
	}
	cmd := exec.Command(p.node, p.entry, "gateway", "--port", strconv.Itoa(privatePort))
	cmd.Dir, cmd.Env = r.dir, environmentOf(r.dir)
	cmd.SysProcAttr = attributes()
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: p.owner.UID, Gid: p.owner.GID}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting a private gateway: %w", err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	defer func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // it leads a group
		<-ended
	}()
	probe := Probe{Addr: fmt.Sprintf("127.0.0.1:%d", privatePort), Dial: r.dial}
	if err := p.wait(ctx, probe, ended); errors.Is(err, errEnded) {
		return fmt.Errorf("%w: %v", err, cmd.ProcessState)
	} else if err != nil {
		return err
	}
	use(probe)
	return nil
}

var errEnded = errors.New("a private gateway ended before it answered")

// wait waits until the gateway answers a credential over both protocols, whatever it says.
func (p program) wait(ctx context.Context, probe Probe, ended <-chan struct{}) error {
	for _, proto := range probe.protocols() {
		for proto.ask(ctx, p.value).Answer == NoAnswer {
			select {
			case <-ended:
				return errEnded
			default:
			}
			if !pause(ctx, privatePoll) {
				return fmt.Errorf("a private gateway did not answer over %s within %v", proto.name, privateLimit)
			}
		}
	}
	return nil
}

// fill writes the config: the credential, and a log beside it.
func (p program) fill(r room) error {
	type object = map[string]any
	config, err := json.Marshal(object{
		"gateway": object{
			"mode": "local", "bind": "loopback", "port": privatePort,
			"auth": object{"mode": p.mode, p.mode: p.value},
		},
		"logging": object{"file": filepath.Join(r.dir, "log")},
	})
	if err != nil {
		return err
	}
	state, temp := filepath.Join(r.dir, "state"), filepath.Join(r.dir, "tmp")
	file := filepath.Join(state, "openclaw.json")
	err = errors.Join(os.Mkdir(state, 0o700), os.Mkdir(temp, 0o700), os.WriteFile(file, config, 0o600))
	for _, name := range []string{file, state, temp, r.dir} {
		err = errors.Join(err, os.Lchown(name, int(p.owner.UID), int(p.owner.GID)))
	}
	return err
}

// environmentOf is all that a private gateway gets: its places, and every switch that keeps it from doing anything (FACTS 15).
func environmentOf(dir string) []string {
	env := []string{
		"HOME=" + dir, "OPENCLAW_HOME=" + dir, "TMPDIR=" + filepath.Join(dir, "tmp"), "PATH=/usr/bin:/bin", "LANG=C.UTF-8",
		"OPENCLAW_STATE_DIR=" + filepath.Join(dir, "state"), "OPENCLAW_CONFIG_PATH=" + filepath.Join(dir, "state", "openclaw.json"),
	}
	for _, name := range []string{
		"SKIP_CHANNELS", "SKIP_PROVIDERS", "SKIP_CRON", "SKIP_GMAIL_WATCHER", "SKIP_BROWSER_CONTROL_SERVER", "SKIP_CANVAS_HOST",
		"DISABLE_BONJOUR", "NO_AUTO_UPDATE", "NO_RESPAWN", "OFFLINE",
	} {
		env = append(env, "OPENCLAW_"+name+"=1")
	}
	return env
}
