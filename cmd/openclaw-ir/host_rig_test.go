//go:build linux

package main_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/clawbook/openclaw-ir/internal/storetest"
	"golang.org/x/sys/unix"
)

// needHost skips a test that boots a host, unless it was asked for.
func needHost(t *testing.T) {
	t.Helper()
	if os.Getenv("OPENCLAW_IR_HOST_TEST") != "1" {
		t.Skip("boots a host with systemd-nspawn: set OPENCLAW_IR_HOST_TEST=1")
	}
	if os.Geteuid() != 0 {
		t.Fatal("booting a host needs root")
	}
	need(t, "tar", "zstd", "debootstrap", "systemd-nspawn", "nsenter", "unshare", "chroot", "ip", "ssh", "ssh-keygen")
}

// host is a booted Debian in namespaces of its own. A wire leads out of it, into a network that holds nothing else.
type host struct {
	root    string
	name    string // the machine's, as systemd-nspawn knows it
	inst    installed
	outside int // a process in the network at the other end of the wire
	leader  int // its systemd, as this machine numbers it
	nspawn  *os.Process
	ended   chan struct{} // closed when nspawn has ended
	keys    string        // a directory with the responder's SSH key and what goes with it
}

const (
	hostUser    = "claw"
	hostUID     = 1000
	servicePort = 18789
	modelPort   = 11999
	releaseDir  = "/opt/openclaw" // where the host sees the cached release

	// Addresses for documentation (RFC 5737, RFC 3849).
	hostV4, hostV6           = "203.0.113.1", "2001:db8::1"
	responderV4, responderV6 = "203.0.113.9", "2001:db8::9"
	attackerV4               = "203.0.113.66"
)

// hostPackages are what a host has beside the essential ones.
const hostPackages = "systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,ufw,nftables,iproute2,cron,openssh-server,procps,ca-certificates,libatomic1,openssl"

// bootHost unpacks a fresh host, puts the tool into it and boots it. It is powered off when the test ends.
func bootHost(t *testing.T, tool string, inst installed) *host {
	t.Helper()
	h := &host{root: filepath.Join(t.TempDir(), "host"), inst: inst, outside: newNetwork(t)}
	h.name = fmt.Sprintf("ir%d", h.outside) // short enough for the name of a network interface
	if err := os.Mkdir(h.root, 0o755); err != nil {
		t.Fatal(err)
	}
	run(t, exec.Command("tar", "--zstd", "--numeric-owner", "-xpf", debian(t), "-C", h.root))
	run(t, exec.Command("chroot", h.root, "useradd", "-m", "-u", fmt.Sprint(hostUID), "-s", "/bin/bash", hostUser))
	h.write(t, "var/lib/systemd/linger/"+hostUser, "", 0o644)
	h.write(t, "etc/hostname", "victim\n", 0o644)
	h.installModel(t)
	h.installKeys(t)
	run(t, exec.Command("install", "-m", "755", tool, filepath.Join(h.root, "usr/local/bin/openclaw-ir")))
	node, err := filepath.Rel(inst.dir, inst.node)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(releaseDir, node), filepath.Join(h.root, "usr/local/bin/node")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			data, _ := os.ReadFile(h.root + ".console")
			t.Logf("console: %s", tail(data))
		}
		h.powerOff()
	})
	h.boot(t)
	return h
}

// newNetwork makes a network namespace and returns a process that lives in it until the test ends. What happens in
// it does not touch this machine's own network.
func newNetwork(t *testing.T) (pid int) {
	t.Helper()
	cmd := exec.Command("unshare", "--net", "sleep", "infinity")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, 10*time.Second, "a network namespace", func() bool {
		ns, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", cmd.Process.Pid))
		return err == nil && ns != own
	})
	return cmd.Process.Pid
}

// debian returns a tarball of a minimal Debian 12 with systemd, made once and kept in the cache under a name that
// tells what is in it.
func debian(t *testing.T) string {
	t.Helper()
	sum := sha256.Sum256([]byte(hostPackages))
	name := filepath.Join(cacheDir(t), fmt.Sprintf("debian-12-%x.tar.zst", sum[:4]))
	if _, err := os.Stat(name); err == nil {
		return name
	}
	root := filepath.Join(t.TempDir(), "debian")
	run(t, exec.Command("debootstrap", "--variant=minbase", "--include="+hostPackages, "bookworm", root))
	temp := fmt.Sprintf("%s.%d", name, os.Getpid())
	defer os.Remove(temp)
	run(t, exec.Command("tar", "--zstd", "--numeric-owner", "-cpf", temp, "-C", root, "."))
	if err := os.Rename(temp, name); err != nil {
		t.Fatal(err)
	}
	return name
}

// installModel has the scripted model run as a service of its own, also after a reboot. It is no part of OpenClaw.
func (h *host) installModel(t *testing.T) {
	t.Helper()
	const unit = "etc/systemd/system/scripted-model.service"
	h.write(t, unit, fmt.Sprintf("[Service]\nUser=%s\nExecStart=/usr/local/bin/node /opt/gateway/model.mjs %d /opt/gateway/scripts.json /home/%s/release\n",
		hostUser, modelPort, hostUser), 0o644)
	wants := filepath.Join(h.root, "etc/systemd/system/multi-user.target.wants")
	if err := os.Symlink("/"+unit, filepath.Join(wants, filepath.Base(unit))); err != nil {
		t.Fatal(err)
	}
}

// installKeys lets the responder in over SSH, as root and as the user, and has the host known by its key.
func (h *host) installKeys(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("", "ir") // short: it will hold a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	h.keys = dir
	run(t, exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, "key")))
	public, err := os.ReadFile(filepath.Join(dir, "key.pub"))
	if err != nil {
		t.Fatal(err)
	}
	hostKey, err := os.ReadFile(filepath.Join(h.root, "etc/ssh/ssh_host_ed25519_key.pub"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "known_hosts"), fmt.Appendf(nil, "%s %s", hostV4, hostKey), 0o600); err != nil {
		t.Fatal(err)
	}
	h.write(t, "root/.ssh/authorized_keys", string(public), 0o600)
	h.write(t, "home/"+hostUser+"/.ssh/authorized_keys", string(public), 0o600)
	h.chown(t, "home/"+hostUser+"/.ssh")
}

// boot starts the host and lays the wire.
func (h *host) boot(t *testing.T) {
	t.Helper()
	console, err := os.OpenFile(h.root+".console", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer console.Close()
	cmd := h.outsideCommand("systemd-nspawn", "-D", h.root, "--machine="+h.name, "--boot", "--register=no", "--keep-unit", "--network-veth",
		"--console=passive", "--bind-ro="+h.inst.dir+":"+releaseDir, "--bind-ro="+driveDir(t)+":/opt/gateway")
	cmd.Stdout, cmd.Stderr = console, console
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	h.nspawn, h.ended, h.leader = cmd.Process, make(chan struct{}), 0 // of an earlier boot nothing is left
	go func(ended chan struct{}) { _ = cmd.Wait(); close(ended) }(h.ended)
	waitFor(t, time.Minute, "the host's first process", func() bool { h.leader = h.firstProcess(); return h.leader != 0 })
	h.layWire(t)
	waitFor(t, 2*time.Minute, "the user's service manager", func() bool {
		_, err := h.stat(fmt.Sprintf("run/user/%d/systemd/private", hostUID))
		return err == nil
	})
}

// firstProcess finds the one child of systemd-nspawn that is the first process of a process namespace, 0 if it is not there yet.
func (h *host) firstProcess() int {
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", h.nspawn.Pid, h.nspawn.Pid))
	for _, pid := range strings.Fields(string(children)) {
		status, _ := os.ReadFile("/proc/" + pid + "/status")
		if !bytes.Contains(status, []byte("\nNSpid:\t"+pid+"\t1\n")) {
			continue
		}
		n, _ := strconv.Atoi(pid)
		return n
	}
	return 0
}

// layWire gives both ends of the wire their addresses.
func (h *host) layWire(t *testing.T) {
	t.Helper()
	waitFor(t, 20*time.Second, "the host's end of the wire", func() bool {
		return h.command("ip", "link", "set", "host0", "up").Run() == nil
	})
	for _, a := range []string{hostV4 + "/24", hostV6 + "/64"} {
		run(t, h.command("ip", "addr", "add", a, "dev", "host0", "nodad"))
	}
	for _, a := range []string{responderV4 + "/24", attackerV4 + "/24", responderV6 + "/64"} {
		run(t, h.outsideCommand("ip", "addr", "add", a, "dev", h.wire(), "nodad"))
	}
	run(t, h.outsideCommand("ip", "link", "set", h.wire(), "up"))
}

// wire is the end outside, as systemd-nspawn names it.
func (h *host) wire() string { return "ve-" + h.name }

// reboot powers the host off as its owner would, and boots it again.
func (h *host) reboot(t *testing.T) {
	t.Helper()
	run(t, h.command("systemctl", "poweroff"))
	select {
	case <-h.ended:
	case <-time.After(5 * time.Minute): // systemd alone gives a user's manager two before it kills it
		jobs, _ := h.command("systemctl", "list-jobs", "--no-pager").CombinedOutput()
		journal, _ := h.command("journalctl", "--no-pager", "-b", "-n", "80", "-o", "short-monotonic").CombinedOutput()
		t.Fatalf("the host does not power off; its jobs: %s\nits journal: %s", jobs, journal)
	}
	h.boot(t)
}

// powerOff ends the host at once, as if its plug were pulled: a busy gateway would take five minutes to stop.
func (h *host) powerOff() {
	if h.nspawn == nil {
		return
	}
	if h.leader != 0 {
		_ = syscall.Kill(h.leader, syscall.SIGKILL) // and with it all its processes
	} else {
		_ = h.nspawn.Kill()
	}
	<-h.ended
}

// stat looks at a file as the host sees it, in file systems it mounted too.
func (h *host) stat(name string) (fs.FileInfo, error) {
	return os.Lstat(fmt.Sprintf("/proc/%d/root/%s", h.leader, name))
}

func (h *host) write(t *testing.T, name, content string, mode fs.FileMode) {
	t.Helper()
	name = filepath.Join(h.root, name)
	err := os.MkdirAll(filepath.Dir(name), 0o755)
	if err == nil {
		err = os.WriteFile(name, []byte(content), mode)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// chown gives a tree to the user.
func (h *host) chown(t *testing.T, name string) {
	t.Helper()
	run(t, exec.Command("chown", "-R", fmt.Sprintf("%d:%d", hostUID, hostUID), filepath.Join(h.root, name)))
}

// command runs a program in the host as root.
func (h *host) command(args ...string) *exec.Cmd {
	cmd := exec.Command("nsenter", append([]string{"-t", fmt.Sprint(h.leader), "-a", "--"}, args...)...)
	cmd.Env = []string{"HOME=/root", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}
	return cmd
}

// asUser runs a program in the host as the user, with its service manager at hand.
func (h *host) asUser(args ...string) *exec.Cmd {
	env := []string{"/usr/sbin/runuser", "-u", hostUser, "--", "env", "HOME=/home/" + hostUser, fmt.Sprintf("XDG_RUNTIME_DIR=/run/user/%d", hostUID)}
	return h.command(append(env, args...)...)
}

// outsideCommand runs a program of this machine in the network outside the host.
func (h *host) outsideCommand(args ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"-t", fmt.Sprint(h.outside), "-n", "--"}, args...)...)
}

// openSession opens the responder's SSH session, which stays open until the test ends.
func (h *host) openSession(t *testing.T) {
	t.Helper()
	_ = os.Remove(h.sessionSocket()) // of the session before a reboot
	cmd := h.outsideCommand(h.sshArgs("-M", "-N", "-S", h.sessionSocket(), "-b", responderV4, "root@"+hostV4)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	waitFor(t, 20*time.Second, "an SSH session", func() bool { return h.inSession("true").Run() == nil })
}

func (h *host) sessionSocket() string { return filepath.Join(h.keys, "session") }

// inSession runs a program in the host over the session that is open: the proxy keeps ssh from opening another.
func (h *host) inSession(args ...string) *exec.Cmd {
	return h.outsideCommand(append(h.sshArgs("-S", h.sessionSocket(), "-o", "ProxyCommand=false", "root@"+hostV4), args...)...)
}

// newSession runs a program in the host over a new connection from an address outside.
func (h *host) newSession(from, user string, args ...string) *exec.Cmd {
	return h.outsideCommand(append(h.sshArgs("-S", "none", "-b", from, user+"@"+hostV4), args...)...)
}

func (h *host) sshArgs(args ...string) []string {
	return append([]string{
		"ssh", "-F", "none", "-T", "-i", filepath.Join(h.keys, "key"), "-o", "UserKnownHostsFile=" + filepath.Join(h.keys, "known_hosts"),
		"-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=5", "-o", "LogLevel=ERROR",
	}, args...)
}

// startService installs the gateway as the user's service, as its owner would, with a scripted model for its agent.
func (h *host) startService(t *testing.T, config map[string]any) *gateway {
	t.Helper()
	home := filepath.Join(h.root, "home", hostUser)
	state := filepath.Join(home, ".openclaw")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	writeJSON(t, filepath.Join(state, "openclaw.json"), config)
	h.chown(t, "home/"+hostUser+"/.openclaw")
	openclaw, err := filepath.Rel(h.inst.dir, h.inst.openclaw)
	if err != nil {
		t.Fatal(err)
	}
	run(t, h.asUser("/usr/local/bin/node", filepath.Join(releaseDir, openclaw), "gateway", "install"))
	g := &gateway{home: home, url: fmt.Sprintf("http://127.0.0.1:%d", servicePort)}
	g.client.Transport = &http.Transport{DialContext: h.dial}
	g.waitUp(t)
	return g
}

// dial connects within the host's network.
func (h *host) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return inNetwork(processNetwork(h.leader), func() (net.Conn, error) { return new(net.Dialer).DialContext(ctx, network, addr) })
}

// dialOutside connects from an address in the network outside the host.
func (h *host) dialOutside(from, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: 2 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	return inNetwork(processNetwork(h.outside), func() (net.Conn, error) { return d.Dial("tcp", addr) })
}

// serveEcho answers in a network namespace with whatever it is sent, until the test ends or stop is called.
func serveEcho(t *testing.T, namespace, network, addr string) (stop func()) {
	t.Helper()
	l, err := inNetwork(namespace, func() (net.Listener, error) { return net.Listen(network, addr) })
	if err != nil {
		t.Fatal(err)
	}
	storetest.Accept(t, l, func(conn net.Conn) { _, _ = io.Copy(conn, conn) })
	return func() { l.Close() }
}

// echoes says whether what is sent on a connection comes back within a second.
func echoes(conn net.Conn) bool {
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write([]byte("x")); err != nil {
		return false
	}
	_, err := io.ReadFull(conn, make([]byte, 1))
	return err == nil
}

func processNetwork(pid int) string { return fmt.Sprintf("/proc/%d/ns/net", pid) }

// inNetwork calls open in a network namespace. A socket belongs to the network of the thread that made it, so a thread
// is moved there for it; locked and never unlocked, it ends with its goroutine.
func inNetwork[T any](namespace string, open func() (T, error)) (T, error) {
	type result struct {
		made T
		err  error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		defer func() { done <- r }()
		runtime.LockOSThread()
		file, err := os.Open(namespace)
		if err != nil {
			r.err = err
			return
		}
		defer file.Close()
		if r.err = unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); r.err == nil {
			r.made, r.err = open()
		}
	}()
	r := <-done
	return r.made, r.err
}
