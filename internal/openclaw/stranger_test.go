package openclaw

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/clawbook/openclaw-ir/internal/host"
)

// auxv is the auxiliary vector of a process that a user started.
func auxv(uid uint64) string {
	var text []byte
	for _, word := range []uint64{6, 4096, 11, uid, 0, 0} {
		text = binary.NativeEndian.AppendUint64(text, word)
	}
	return string(text)
}

// TestStranger: what another user alone names as state is none, whatever that user has it named by.
func TestStranger(t *testing.T) {
	const env, status = "OPENCLAW_STATE_DIR=/srv/app\x00", "Name:\tx\nUid:\t"
	unit := func(more string) string {
		return "[Service]\nExecStart=openclaw\nEnvironment=OPENCLAW_STATE_DIR=/srv/app\n" + more
	}
	for _, c := range []struct {
		name     string
		files    []string
		given    []string
		stranger bool
	}{
		{"a user's process", []string{"proc/7/environ", env, "proc/7/status", status + "1000\t0\t0\t0\n", "proc/7/auxv", auxv(0)}, nil, true},
		{"a process that tells nothing", []string{"proc/7/environ", env}, nil, true},
		{"root's process", []string{"proc/7/environ", env, "proc/7/status", status + "0\t0\t0\t0\n", "proc/7/auxv", auxv(0)}, nil, false},
		{"a program that made itself root", []string{"proc/7/environ", env, "proc/7/status", status + "0\t0\t0\t0\n", "proc/7/auxv", auxv(1000)}, nil, true},
		{"a user's unit", []string{"home/claw/.config/systemd/user/a.service", unit("")}, nil, true},
		{"a user's unit that says root", []string{"home/claw/.config/systemd/user/a.service", unit("User=root\n")}, nil, true},
		{"a user's drop-in", []string{"etc/systemd/user/openclaw.service", "[Service]\n", "home/claw/.config/systemd/user/openclaw.service", unit("")}, nil, true},
		{"root's unit", []string{"etc/systemd/system/a.service", unit("User=claw\n")}, nil, false},
		{"root's unit, a user's file", []string{"etc/systemd/system/a.service", unit("User=claw\nEnvironmentFile=/home/claw/e\n")}, nil, true},
		{"the responder too", []string{"home/claw/.config/systemd/user/a.service", unit("")}, []string{"/srv/app"}, false},
	} {
		fsys := hostFS(c.files...)
		fsys["srv/app"] = &fstest.MapFile{Mode: fs.ModeDir | 0o755, Sys: &syscall.Stat_t{Uid: 0}}
		installs, gaps := Find(fsys, FindOptions{StateDirs: c.given})
		isGap := slices.ContainsFunc(gaps, func(g Gap) bool { return g.Path == "/srv/app" && g.Unknown })
		if (len(installs) == 0) != c.stranger || isGap != c.stranger {
			t.Errorf("%s: %d installations, %+v, gaps %v", c.name, len(installs), installs, gaps)
		}
	}
}

// TestStartedBy asks the kernel.
func TestStartedBy(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("procfs is Linux's")
	}
	root, err := host.OpenRoot("/")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if uid := startedBy(root, fmt.Sprintf("/proc/%d", os.Getpid())); uid != os.Getuid() {
		t.Errorf("we were started by %d, it says %d", os.Getuid(), uid)
	}
}

// TestStrangerMovesNothing: a user who names another's installation does not choose which config is read and changed there.
func TestStrangerMovesNothing(t *testing.T) {
	fsys := hostFS(
		"root/.openclaw/openclaw.json", config, "home/claw/evil.json", "{}",
		"proc/7/environ", "OPENCLAW_STATE_DIR=/root/.openclaw\x00OPENCLAW_CONFIG_PATH=/home/claw/evil.json\x00OPENCLAW_PROFILE=x\x00", "proc/7/status", "Name:\tx\nUid:\t1000\t1000\n",
	)
	fsys["root/.openclaw"] = &fstest.MapFile{Mode: fs.ModeDir | 0o700, Sys: &syscall.Stat_t{Uid: 0}}
	installs, _ := Find(fsys, FindOptions{})
	if in := installs[0]; len(installs) != 1 || in.ConfigPath != "/root/.openclaw/openclaw.json" || in.Profile != "" {
		t.Errorf("%d installations, %+v", len(installs), in)
	}
}

// TestOtherConfigs: a config that a process names does not hide the one that a gateway starts with by itself.
func TestOtherConfigs(t *testing.T) {
	const state, process = "home/claw/.openclaw/", "OPENCLAW_STATE_DIR=/home/claw/.openclaw\x00OPENCLAW_CONFIG_PATH="
	for name, tc := range map[string]struct{ files, want []string }{
		"its own alone":            {[]string{state + "openclaw.json", config}, nil},
		"another":                  {[]string{state + "openclaw.json", config, "proc/7/environ", process + "/tmp/decoy.json"}, []string{"/home/claw/.openclaw/openclaw.json"}},
		"another, none of its own": {[]string{state + "logs/x", "", "proc/7/environ", process + "/tmp/decoy.json"}, nil},
		"another, an older own":    {[]string{state + "clawdbot.json", config, "proc/7/environ", process + "/tmp/decoy.json"}, []string{"/home/claw/.openclaw/clawdbot.json"}},
		"its own, by a link":       {[]string{state + "openclaw.json", config, "home/claw/.clawdbot", "-> .openclaw", "proc/7/environ", process + "/home/claw/.clawdbot/openclaw.json"}, nil},
		"its own, by name":         {[]string{state + "openclaw.json", config, "proc/7/environ", process + "/home/claw/.openclaw/openclaw.json"}, nil},
		"two":                      {[]string{state + "logs/x", "", "proc/7/environ", process + "/tmp/a.json", "proc/8/environ", process + "/tmp/b.json"}, []string{"/tmp/b.json"}},
	} {
		installs, _ := Find(hostFS(tc.files...), FindOptions{})
		if len(installs) != 1 || !slices.Equal(installs[0].Others, tc.want) {
			t.Errorf("%s: %d installations, %+v", name, len(installs), installs)
		}
	}
}

// TestShutPlaces: what the config and the database call the agent's own, and its user may not read, is a gap and is not read.
func TestShutPlaces(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("to be two users needs root")
	}
	const uid = 4321
	dir := t.TempDir()
	put := func(name, text string, owner int, mode fs.FileMode) {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.WriteFile(name, []byte(text), mode), os.Chown(name, owner, owner)); err != nil {
			t.Fatal(err)
		}
	}
	put("etc/passwd", fmt.Sprintf("claw:x:%d:%d::/home/claw:/bin/sh\n", uid, uid), 0, 0o644)
	put("etc/group", "team:x:77:bob,claw\n", 0, 0o644)
	put("home/claw/.openclaw/openclaw.json", `{logging: {file: "/root/x.log"}, agents: {list: [{id: "main", workspace: "/root/deep/down"}, {id: "a", workspace: "/srv/team"}, {id: "b", agentDir: "/srv/open"}]}}`, uid, 0o600)
	put("home/claw/.openclaw/.env", "TMPDIR=/srv\n", uid, 0o600)
	put("srv/openclaw-open/x.log", "x", 0, 0o644)
	put("srv/openclaw-roots/x.log", "x", 0, 0o644)
	put("root/x.log", "x", 0, 0o600)
	put("root/deep/down/x", "x", 0, 0o644)
	put("srv/team/x", "x", 0, 0o644)
	put("srv/open/x", "x", 0, 0o644)
	if err := errors.Join(os.Chown(filepath.Join(dir, "home/claw/.openclaw"), uid, uid), os.Chmod(filepath.Join(dir, "root"), 0o700), os.Chmod(filepath.Join(dir, "srv/openclaw-roots"), 0o700),
		os.Chmod(filepath.Join(dir, "srv/team"), 0o750), os.Chown(filepath.Join(dir, "srv/team"), 0, 77)); err != nil {
		t.Fatal(err)
	}
	root, err := host.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	installs, gaps := Find(root, FindOptions{})
	if len(installs) != 1 {
		t.Fatal(installs, gaps)
	}
	var shut, workspaces []string
	for _, g := range gaps {
		shut = append(shut, g.Path)
	}
	for _, a := range installs[0].Agents {
		workspaces = append(workspaces, a.Workspace, a.Dir)
	}
	const state = "/home/claw/.openclaw/"
	want := []string{"/srv/team", state + "agents/a/agent", state + "workspace-b", "/srv/open", state + "workspace", state + "agents/main/agent"}
	if logs := installs[0].LogDirs; !slices.Equal(logs, []string{"/srv/openclaw-open", "/tmp/openclaw"}) {
		t.Errorf("logs in %q", logs)
	}
	if !slices.Equal(shut, []string{"/root/deep/down", "/root/x.log", "/srv/openclaw-roots"}) || installs[0].LogFile != "" || !slices.Equal(workspaces, want) {
		t.Errorf("gaps %q, log %q, places %q", shut, installs[0].LogFile, workspaces)
	}
}

// TestManyRelativeLoads: however many places the config names that cannot be told, those that can are looked at.
func TestManyRelativeLoads(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"etc/passwd":                        "claw:x:4321:4321::/home/claw:/bin/sh\n",
		"home/claw/.openclaw/openclaw.json": `{skills: {load: {extraDirs: [` + strings.Repeat(`"x",`, maxShut+1) + `]}}, plugins: {load: {paths: ["/srv/plugin"]}}}`,
		"srv/plugin/index.js":               "x",
	} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755), os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	installs, _ := Find(open(t, dir), FindOptions{})
	if len(installs) != 1 || !slices.Contains(installs[0].LoadDirs, LoadDir{"/srv/plugin", "plugin"}) {
		t.Errorf("%d installations, %+v", len(installs), installs[0].LoadDirs)
	}
}
