package contain

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/host"
)

// TestStarts: what the agent's user has had start by itself without naming OpenClaw is told, and what is kept down, the system's or
// somebody else's is not.
func TestStarts(t *testing.T) {
	uid := os.Geteuid()
	if uid == 0 {
		uid = 1000
	}
	const units = "home/claw/.config/systemd/user/"
	for _, tc := range []struct{ name, file, text, link, told string }{
		{name: "nothing"},
		{"a crontab", "var/spool/cron/crontabs/claw", "# x\nA = b\n" + cronMark + "@reboot openclaw\n\n* * * * * /home/claw/x\n", "", "/var/spool/cron/crontabs/claw (1)"},
		{"a crontab without a line", "var/spool/cron/crontabs/claw", "# x\nMAILTO=\n", "", ""},
		{"a crontab that cannot be read", "var/spool/cron/crontabs/claw/x", "", "", "/var/spool/cron/crontabs/claw (read: not a regular file"},
		{"another's crontab", "var/spool/cron/crontabs/root", "* * * * * x\n", "", ""},
		{"a job of at", "var/spool/cron/atjobs/a0001", "x", "", "/var/spool/cron/atjobs/a0001"},
		{"a unit", units + "foo.service", "", units + "default.target.wants/foo.service", "foo.service"},
		{"a unit that is kept down", units + "openclaw-gateway.service", "", units + "default.target.wants/openclaw-gateway.service", ""},
		{"a unit of the system's", "usr/lib/systemd/user/foo.service", "", units + "default.target.wants/foo.service", ""},
		{"one that the user changed", units + "foo.service.d/x.conf", "", units + "default.target.wants/foo.service", "foo.service"},
		{"one that the user put in the place of the system's", units + "foo.service", "x", units + "default.target.wants/foo.service -> /usr/lib/systemd/user/foo.service", "foo.service"},
		{"one that starts for every user and is changed", units + "foo.service.d/x.conf", "x", "etc/systemd/user/default.target.wants/foo.service", "foo.service"},
		{"one that starts for every user", "usr/lib/systemd/user/foo.service", "x", "etc/systemd/user/default.target.wants/foo.service", ""},
		{"what is no unit", "usr/lib/x", "x", units + "default.target.wants/foo", ""},
		{"one of another directory of the user's", "home/claw/.local/share/systemd/user/foo.service", "x", "home/claw/.local/share/systemd/user/default.target.wants/foo.service", "foo.service"},
		{"one that is changed in another directory", "home/claw/.local/share/systemd/user/foo-.service.d/x.conf", "x", units + "default.target.wants/foo-a.service", "foo-a.service"},
		{"a timer", "run/user/" + fmt.Sprint(uid) + "/systemd/private", "", "", "foo.timer"},
	} {
		dir := t.TempDir()
		put := func(name, text string) {
			name = filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chown(name, uid, -1); err != nil {
				t.Fatal(err)
			}
		}
		put("etc/passwd", fmt.Sprintf("claw:x:%d:1::/home/claw:/bin/sh\n", uid))
		put("proc/stat", "btime 1\n")
		if tc.file != "" {
			put(tc.file, tc.text)
		}
		if tc.link != "" {
			target := "/" + tc.file
			if link, to, ok := strings.Cut(tc.link, " -> "); ok {
				tc.link, target = link, to
			}
			if strings.HasSuffix(tc.file, ".conf") {
				target = "/usr/lib/systemd/user/foo.service"
			}
			put(tc.link+".d/../x", "")
			if err := os.Symlink(target, filepath.Join(dir, tc.link)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chown(filepath.Join(dir, "run/user", fmt.Sprint(uid)), uid, -1); tc.name == "a timer" && err != nil {
			t.Fatal(err)
		}
		c := newContainment(t, &scripted{say: func([]string) string {
			return "Id=gpg.socket\nActiveState=active\nFragmentPath=/usr/lib/systemd/user/gpg.socket\n\nId=foo.timer\nActiveState=active\nFragmentPath=/home/claw/x/foo.timer\n\nId=off.timer\nActiveState=inactive\n"
		}})
		root, err := host.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		c.Root, c.Journal.Units = root, []Unit{{Name: "openclaw-gateway.service", User: true, UID: uint32(uid)}}
		checks := c.verifyStarts(t.Context())
		if len(checks) != 1 || checks[0].OK != (tc.told == "") || !strings.Contains(checks[0].Detail, tc.told) {
			t.Errorf("%s: %+v", tc.name, checks)
		}
	}
}
