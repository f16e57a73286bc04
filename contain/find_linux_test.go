package contain

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/google/go-cmp/cmp"
)

const (
	gatewayUnit = "Id=openclaw-gateway.service\nLoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\nRestart=always\nMainPID=77\nExecStart={ path=/usr/bin/node }\n"
	pm2Unit     = "Id=pm2-claw.service\nLoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\nRestart=on-failure\nMainPID=50\nExecStart={ path=/usr/bin/pm2 }\n"
	timerUnit   = "Id=update.timer\nLoadState=loaded\nActiveState=active\nSubState=waiting\nUnitFileState=enabled\nDescription=openclaw update\n"
	sshUnit     = "Id=ssh.service\nLoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\nMainPID=60\n"
	webUnit     = "Id=web.service\nLoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\nMainPID=61\n"
	toolUnit    = "Id=openclaw-ir-contain.service\nLoadState=loaded\nActiveState=active\nUnitFileState=enabled\nMainPID=0\n"
)

// TestUnits finds OpenClaw's by what they say, and the others by their main process. A user's unit that is called like one of the system's is not that.
func TestUnits(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "run/systemd/system"), 0o755); err != nil {
		t.Fatal(err)
	}
	root, err := host.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	units := map[string]string{
		"openclaw-gateway.service": gatewayUnit, "pm2-claw.service": pm2Unit, "update.timer": timerUnit, "ssh.service": sshUnit,
		"web.service": webUnit, "openclaw-ir-contain.service": toolUnit, "openclaw-node.service": "Id=openclaw-node.service\nLoadState=loaded\nActiveState=inactive\nUnitFileState=disabled\n",
	}
	run := &scripted{say: func(argv []string) string {
		last := argv[len(argv)-1]
		switch {
		case last == "*.socket":
			return strings.Join([]string{gatewayUnit, pm2Unit, timerUnit, sshUnit, toolUnit, webUnit}, "\n")
		case argv[2] == "list-unit-files":
			return "openclaw-node.service disabled enabled\nopenclaw@.service static -\nssh.service enabled enabled\n"
		}
		return units[last]
	}}
	m := Machine{Root: root, Run: run}
	defined := []*openclaw.Installation{{Units: []openclaw.Unit{{Path: "/etc/containers/systemd/openclaw.container"}, {Path: "/etc/systemd/system/--evil.service"}}}}
	namesake := host.Process{PID: 80, Cgroup: "0::/user.slice/user-1000.slice/user@1000.service/app.slice/web.service"}
	list, gaps := m.units(t.Context(), defined, []host.Process{{PID: 77}, {PID: 50}, namesake})
	var got []string
	for _, u := range list {
		got = append(got, u.Name)
	}
	want := []string{"openclaw-gateway.service", "pm2-claw.service", "update.timer", "openclaw-node.service", "openclaw.service"} // what runs comes first
	if diff := cmp.Diff(want, got); diff != "" || len(gaps) > 0 {
		t.Errorf("units (-want +got):\n%s gaps %q", diff, gaps)
	}
	if g := list[0]; !g.Running || g.Enabled != "enabled" || g.MainPID != 77 || !g.Answers {
		t.Errorf("read %+v", g)
	}
}

const inspect = `[
 {"Id":"ID1","Name":"/openclaw","State":{"Running":true,"Pid":9},"HostConfig":{"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":3}},
  "NetworkSettings":{"Ports":{"18789/tcp":[{"HostIp":"0.0.0.0","HostPort":"28789"},{"HostIp":"::","HostPort":"28789"}],"9/tcp":null}},"Config":{"Labels":{}}},
 {"Id":"ID2","Name":"/openclaw-sbx-main","State":{"Running":true},"HostConfig":{"AutoRemove":true,"RestartPolicy":{"Name":""}},"Config":{"Labels":{"openclaw.sandbox":"1"}}},
 {"Id":"../../etc","Name":"/openclaw-evil"}
]`

func id(c string) string { return strings.Repeat(c, 64) }

// TestContainers reads what docker says, and stops one container and pauses another that docker would remove.
func TestContainers(t *testing.T) {
	text := strings.NewReplacer("ID1", id("a"), "ID2", id("b")).Replace(inspect)
	run := &scripted{say: func(argv []string) string {
		switch argv[1] {
		case "ps":
			return id("a") + "\topenclaw\timage\tcmd\t\n" + id("b") + "\topenclaw-sbx-main\ti\tc\topenclaw.sandbox=1\n" + id("c") + "\tpostgres\ti\tc\t\n--all\topenclaw\t\t\t\n"
		case "inspect":
			return text
		}
		return ""
	}}
	root, err := host.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	m := Machine{Root: root, Run: run}
	list, gaps := m.containers(t.Context(), nil, []host.Process{{Comm: "dockerd"}})
	want := []Container{
		{Engine: "docker", ID: id("a"), Name: "openclaw", What: "gateway", Running: true, Restart: "on-failure:3", Ports: []int{28789}, PID: 9},
		{Engine: "docker", ID: id("b"), Name: "openclaw-sbx-main", What: "sandbox", Running: true, Restart: "no", AutoRemove: true},
	}
	if diff := cmp.Diff(want, list); diff != "" || len(gaps) > 0 {
		t.Fatalf("containers (-want +got):\n%s gaps %q", diff, gaps)
	}
	run.asked = nil
	for _, c := range list {
		if err := m.down(t.Context(), c); err != nil {
			t.Error(err)
		}
	}
	asked := []string{"docker update --restart=no " + id("a"), "docker kill " + id("a"), "docker pause " + id("b")}
	if diff := cmp.Diff(asked, run.asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

// TestForgedContainer: a user who calls a cgroup, or a container of an engine of the user's own, as a container of root's is called has
// neither that one stopped nor what is in it killed, and keeps nothing from being killed that does not rest.
func TestForgedContainer(t *testing.T) {
	const of1000 = "0::/user.slice/user-1000.slice/user@1000.service/"
	of := func(cgroup host.Text) host.Process {
		return host.Process{PID: 5, UID: 999, Cgroup: cgroup + host.Text(id("c"))}
	}
	forged := of(of1000 + "app.slice/docker-")
	forged.UID, forged.Role = 1000, host.RoleGateway
	run := &scripted{say: func([]string) string { return id("c") + "\tdatabase\tpostgres\tpostgres\t\n" }}
	root, err := host.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	m := Machine{Root: root, Run: run}
	if _, gaps := m.containers(t.Context(), []host.Process{forged}, []host.Process{{Comm: "dockerd"}}); len(run.asked) != 1 || len(gaps) > 0 {
		t.Errorf("asked %q, gaps %q", run.asked, gaps)
	}
	docker, users := Container{ID: id("c")}, Container{ID: id("c"), Owner: &host.Owner{UID: 1000}, Running: true, AutoRemove: true}
	for _, c := range []struct {
		p                host.Process
		inRoots, inUsers bool
	}{
		{of("0::/system.slice/docker-"), true, false},
		{of("12:pids:/docker/"), true, false},
		{of("0::/machine.slice/libpod-"), true, false},
		{of(of1000 + "user.slice/libpod-"), false, true},
		{of("0::/system.slice/bot.service/docker-"), false, false},
		{forged, false, true},
	} {
		if docker.holds(c.p) != c.inRoots || users.holds(c.p) != c.inUsers {
			t.Errorf("%q: in root's %v, in the user's %v", c.p.Cgroup, docker.holds(c.p), users.holds(c.p))
		}
	}
	stopped := forged
	stopped.State = "T"
	if m.isPaused([]Container{users}, forged) || !m.isPaused([]Container{users}, stopped) {
		t.Error("a process counts as paused because a user's engine says so, or does not although it is stopped")
	}
}

// TestSeats: a shell that the responder came in by is none of OpenClaw's, whatever its name; a gateway that started us is, and so is a shell
// that did not.
func TestSeats(t *testing.T) {
	const far = 1 << 23 // beyond any process of this machine
	found := actors([]host.Process{
		{PID: os.Getpid(), PPID: far},
		{PID: far, PPID: far + 1, Exe: "/usr/bin/bash", Role: host.RoleGateway},
		{PID: far + 1, PPID: far + 2, Exe: "/usr/bin/node", Role: host.RoleGateway},
		{PID: far + 2, PPID: 1, Exe: "/usr/bin/tmux (deleted)", Role: host.RoleCLI},
		{PID: far + 3, PPID: far, Exe: "/usr/bin/bash", Role: host.RoleGateway},
	}, nil)
	var pids []int
	for _, p := range found {
		pids = append(pids, p.PID-far)
	}
	if diff := cmp.Diff([]int{1, 3}, pids); diff != "" {
		t.Errorf("actors (-want +got):\n%s", diff)
	}
}

// TestKeepers tells what starts the gateway again from what a person sits at.
func TestKeepers(t *testing.T) {
	argv := func(words ...host.Text) []host.Text { return words }
	all := []host.Process{
		{PID: 10, PPID: 1, Comm: "PM2 v5.3.0: God", Argv: argv("PM2 v5.3.0: God Daemon (/home/claw/.pm2)")},
		{PID: 11, PPID: 10, Role: host.RoleGateway},
		{PID: 20, PPID: 1, Comm: "supervisord", Argv: argv("/usr/bin/python3", "/usr/bin/supervisord", "-n")},
		{PID: 21, PPID: 20, Role: host.RoleGateway},
		{PID: 22, PPID: 20, Comm: "nginx"},
		{PID: 30, PPID: 1, Comm: "bash", Argv: argv("-bash")},
		{PID: 31, PPID: 30, Role: host.RoleGateway},
		{PID: 40, PPID: 1, Comm: "bash", Argv: argv("/bin/bash", "/home/claw/loop.sh")},
		{PID: 41, PPID: 40, Role: host.RoleGateway},
		{PID: 50, PPID: 1, Comm: "tmux: server", Argv: argv("tmux")},
		{PID: 51, PPID: 50, Comm: "bash", Argv: argv("bash")},
		{PID: 52, PPID: 51, Role: host.RoleGateway},
	}
	alone, shared := keepers(all, actors(all, nil))
	if got := names(refsOf(alone)); got != "supervisor 10, supervisor 40" {
		t.Errorf("alone: %s", got)
	}
	if got := names(refsOf(shared)); got != "supervisor 20" {
		t.Errorf("shared: %s", got)
	}
}

// TestLandlords: a daemon of root's in whose unit a user had something run is neither killed nor kept down for it; what runs one thing for
// one user is.
func TestLandlords(t *testing.T) {
	const mail, bot, own = "0::/system.slice/mail.service", "0::/system.slice/bot.service", "0::/system.slice/own.service"
	all := []host.Process{
		{PID: 10, PPID: 1, Comm: "maild", Argv: []host.Text{"/usr/sbin/maild"}, Cgroup: mail},
		{PID: 11, PPID: 10, UID: 1000, Role: host.RoleGateway, Cgroup: mail},
		{PID: 20, PPID: 1, Comm: "runuser", Argv: []host.Text{"/usr/sbin/runuser", "-u", "claw"}, Cgroup: bot},
		{PID: 21, PPID: 20, UID: 1000, Role: host.RoleGateway, Cgroup: bot},
		{PID: 22, PPID: 1, Comm: "x", Exe: "/usr/bin/sudo", Cgroup: bot}, // started by a link of that name, and waiting for a password
		{PID: 40, PPID: 1, Comm: "conmon", Exe: "/usr/bin/conmon", Cgroup: "0::/system.slice/box.service/runtime"},
		{PID: 41, PPID: 40, UID: 1000, Role: host.RoleGateway, Cgroup: host.Text("0::/system.slice/box.service/libpod-payload-" + id("c"))},
		{PID: 30, PPID: 1, Comm: "bot", Argv: []host.Text{"/opt/bot"}, Cgroup: own},
		{PID: 31, PPID: 30, Role: host.RoleGateway, Cgroup: own},
	}
	procs := actors(all, nil)
	alone, shared := keepers(all, procs)
	if got := names(refsOf(alone)); got != "supervisor 20, supervisor 40, supervisor 30" || len(shared) > 0 {
		t.Errorf("killed: %s, held: %s", got, names(refsOf(shared)))
	}
	members, gaps := atHome(all, procs)
	var units []string
	for _, p := range members {
		units = append(units, unitOf(p).name)
	}
	if want := []string{"", "bot.service", "box.service", "own.service"}; !cmp.Equal(want, units) || len(gaps) != 1 || !strings.Contains(gaps[0], "mail.service") {
		t.Errorf("units %q, gaps %q", units, gaps)
	}
}

// TestContainerOf tells the container from the cgroup.
func TestContainerOf(t *testing.T) {
	for cgroup, want := range map[string]string{
		"0::/system.slice/docker-" + id("a") + ".scope":                                                      id("a"),
		"12:pids:/docker/" + id("b") + "\n0::/":                                                              id("b"),
		"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + id("c") + ".scope/container": id("c"),
		"0::/user.slice/user-1000.slice/session-3.scope":                                                     "",
		"0::/docker-" + id("z") + ".scope":                                                                   "",
	} {
		if got, _ := containerOf(host.Process{Cgroup: host.Text(cgroup)}); got != want {
			t.Errorf("%q: %q, want %q", cgroup, got, want)
		}
	}
}

// FuzzContainers feeds what an engine prints.
func FuzzContainers(f *testing.F) {
	f.Add([]byte(strings.NewReplacer("ID1", id("a"), "ID2", id("b")).Replace(inspect)))
	f.Add([]byte(`[{"Id":1}]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, _ := Container{Engine: "docker"}.parseInspect(text)
		for _, c := range list {
			if !isContainerID(c.ID) {
				t.Errorf("id %q", c.ID)
			}
			for _, p := range c.Ports {
				if p < 1 || p > 65535 {
					t.Errorf("port %d", p)
				}
			}
		}
	})
}

// TestPublishedPorts reads which ports the packet filter leads to the gateway's.
func TestPublishedPorts(t *testing.T) {
	run := &scripted{say: func(argv []string) string {
		switch argv[0] {
		case "iptables-save":
			return "*nat\n-A DOCKER ! -i br-1 -p tcp -m tcp --dport 28789 -j DNAT --to-destination 172.18.0.2:18789\n" +
				"-A DOCKER ! -i br-1 -p tcp -m tcp --dport 443 -j DNAT --to-destination 172.18.0.3:8443\n" +
				"-A PREROUTING -p tcp -m tcp --dport 8080 -j REDIRECT --to-ports 18789\n"
		case "ip6tables-save":
			return "-A DOCKER -p tcp -m tcp --dport 38789 -j DNAT --to-destination [fd00::2]:18789\n-A X --dport 99999 -j DNAT --to-destination 1.2.3.4:18789\n"
		}
		return "table ip nat {\n  iifname \"host0\" tcp dport 48789 dnat to 10.9.0.2:18789\n  tcp dport 58789 dnat ip to 10.9.0.2:18789\n  tcp dport 7 redirect to :18789\n"
	}}
	got := unique(Machine{Run: run}.publishedPorts(t.Context(), []int{18789, 18791}))
	if want := []int{7, 8080, 28789, 38789, 48789, 58789}; !cmp.Equal(want, got) {
		t.Errorf("ports %v, want %v", got, want)
	}
}

// TestUnitOf tells a service of the user's own from what people and the system start, and from one of the system's that is called the same.
func TestUnitOf(t *testing.T) {
	const of1000 = "0::/user.slice/user-1000.slice/user@1000.service/"
	for cgroup, want := range map[string]service{
		of1000 + "app.slice/foo.service":                                           {"foo.service", "user 1000"},
		of1000 + "app.slice/foo.service/payload":                                   {"foo.service", "user 1000"},
		of1000 + "app.slice/tailscaled.service":                                    {"tailscaled.service", "user 1000"},
		of1000 + "app.slice/foo.service/system.slice/nginx.service":                {"foo.service", "user 1000"},
		of1000 + "user@1001.service/nginx.service":                                 {},
		of1000 + "init.scope":                                                      {},
		"0::/system.slice/bot.service\n":                                           {"bot.service", "system"},
		"0::/system.slice/bot.service/nginx.service":                               {"bot.service", "system"},
		"0::/system.slice/system-bot.slice/bot@1.service":                          {"bot@1.service", "system"},
		"0::/system.slice/ssh.service":                                             {},
		"0::/system.slice/docker-" + id("a") + ".scope/system.slice/nginx.service": {},
		"0::/docker/" + id("a") + "/system.slice/nginx.service":                    {},
		"0::/user.slice/user-1000.slice/session-3.scope":                           {},
		"1:name=systemd:/system.slice/cron.service\n0::/\n":                        {},
	} {
		if got := unitOf(host.Process{Cgroup: host.Text(cgroup)}); got != want {
			t.Errorf("%q: %q, want %q", cgroup, got, want)
		}
	}
}
