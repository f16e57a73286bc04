package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/product"
)

// A Manager is a systemd that can be asked: the system's, or that of a user who has one running.
type Manager struct {
	UID  uint32 // whose it is, if it is a user's
	User bool
	base Command // what every question to it has in common: "systemctl", its options, and who asks
}

// SystemManager is the system's own systemd.
func SystemManager() Manager {
	return Manager{base: Command{Argv: []string{"systemctl", "--no-pager"}}}
}

// UserManagers returns the managers of the users who have one running and whom we may ask: a manager answers its
// user alone, not even root.
func UserManagers(r *Root) []Manager {
	var list []Manager
	for _, uid := range userManagerUIDs(r) {
		if m, why := userManager(r, uid); why == "" {
			list = append(list, m)
		}
	}
	return list
}

// userManager is asked as its user, in a session without a terminal. It says why it cannot be.
func userManager(r *Root, uid uint32) (m Manager, why string) {
	dir := fmt.Sprintf("run/user/%d", uid)
	fi, err := r.Lstat(dir)
	if err != nil {
		return m, err.Error()
	}
	owner := Owner{Meta(fi).UID, Meta(fi).GID}
	_, err = r.Lstat(dir + "/systemd/private")
	switch {
	case owner.UID != uid:
		return m, fmt.Sprintf("belongs to user %d", owner.UID)
	case err != nil:
		return m, "no user manager: " + err.Error()
	case os.Geteuid() != 0 && os.Geteuid() != int(uid):
		return m, "only root can ask another user's manager"
	}
	return Manager{UID: uid, User: true, base: Command{
		Argv:    []string{"systemctl", "--user", "--no-pager"},
		Env:     []string{"XDG_RUNTIME_DIR=/" + dir},
		As:      &owner,
		Timeout: 4 * time.Second,
	}}, ""
}

// String names the manager: "system", "user 1000".
func (m Manager) String() string {
	if m.User {
		return fmt.Sprintf("user %d", m.UID)
	}
	return "system"
}

// Owner is whom a user's manager is asked as; root for the system's.
func (m Manager) Owner() Owner {
	if m.base.As == nil {
		return Owner{}
	}
	return *m.base.As
}

// Systemctl is systemctl with these words, asked of the manager.
func (m Manager) Systemctl(words ...string) Command {
	c := m.base
	c.Argv = append(slices.Clone(c.Argv), words...)
	return c
}

// write lists a manager's units and shows OpenClaw's in full. A manager that doesn't answer is not asked
// again: it may belong to the attacker.
func (m Manager) write(ctx context.Context, run Runner, w io.Writer) error {
	out := newRows(w)
	ask := func(words ...string) Result {
		res := run.Run(ctx, m.Systemctl(words...))
		out.put(res)
		return res
	}
	names := ask("show", "--property=Id,Names,ExecStart,FragmentPath,Description", "--", "*.service", "*.timer", "*.path", "*.socket")
	if errors.Is(names.Err, context.DeadlineExceeded) {
		out.note(strings.Join(m.base.Argv, " "), "not asked further: no answer")
		return errors.Join(names.Err, out.err)
	}
	ask("list-units", "--all", "--full", "--plain", "--no-legend")
	ask("list-timers", "--all", "--full", "--no-legend")
	files := ask("list-unit-files", "--full", "--no-legend")
	ask("show-environment")
	if units := openClawUnits(string(names.Stdout), string(files.Stdout)); len(units) > 0 {
		ask(append([]string{"show", "--all", "--"}, units...)...)
	}
	return errors.Join(out.err, ctx.Err())
}

// openClawUnits picks the units that mention OpenClaw from the blocks of "show" and the lines of "list-unit-files".
func openClawUnits(show, unitFiles string) []string {
	var units []string
	add := func(unit string) {
		if unit != "" && len(units) < 200 && !slices.Contains(units, unit) {
			units = append(units, unit)
		}
	}
	for block := range strings.SplitSeq(show, "\n\n") {
		if !product.Mentions(block) {
			continue
		}
		for line := range strings.Lines(block) {
			if id, ok := strings.CutPrefix(line, "Id="); ok {
				add(strings.TrimSpace(id))
			}
		}
	}
	for line := range strings.Lines(unitFiles) {
		if f := strings.Fields(line); len(f) > 0 && product.Mentions(f[0]) && !strings.Contains(f[0], "@.") { // a template can't be shown
			add(f[0])
		}
	}
	return units
}

func systemUnits(run Runner) writeFunc {
	return func(ctx context.Context, w io.Writer) error { return SystemManager().write(ctx, run, w) }
}

// userManagers asks the manager of every user who has one running. It is asked as that user, in a
// session without a terminal, because it answers nobody else, root included.
func userManagers(r *Root, run Runner) []Artifact {
	var list []Artifact
	for _, uid := range userManagerUIDs(r) {
		name := fmt.Sprintf("live/systemd-user-%d.jsonl", uid)
		what := fmt.Sprintf("units of user %d", uid)
		list = append(list, Artifact{name, "service", what, userUnits(r, run, uid), 15 * time.Second})
	}
	return list
}

// userManagerUIDs lists the users with a runtime directory.
func userManagerUIDs(r *Root) []uint32 {
	var uids []uint32
	for e, err := range r.ReadDirIter("run/user") {
		if err != nil {
			break // no systemd, or nobody is logged in
		}
		if n, err := strconv.ParseUint(e.Name(), 10, 32); err == nil {
			uids = append(uids, uint32(n))
		}
	}
	slices.Sort(uids)
	return uids
}

func userUnits(r *Root, run Runner, uid uint32) writeFunc {
	return func(ctx context.Context, w io.Writer) error {
		m, why := userManager(r, uid)
		if why != "" {
			out := newRows(w)
			out.note(fmt.Sprintf("/run/user/%d", uid), why)
			return out.err
		}
		return m.write(ctx, run, w)
	}
}

// containerID is what an engine calls a container: nothing else becomes an argument.
var containerID = regexp.MustCompile(`^[0-9a-f]{12,64}$`)

// containers lists containers and inspects OpenClaw's. An engine that isn't in use is not asked: a question would start
// it or make it create its storage. Users' rootless podman is not asked for the same reason.
func containers(r *Root, run Runner, processes []Process) writeFunc {
	return func(ctx context.Context, w io.Writer) error {
		out := newRows(w)
		if slices.ContainsFunc(processes, func(p Process) bool { return p.Comm == "dockerd" }) {
			engine(ctx, out, run, "docker")
		} else {
			out.note("docker", "not asked: dockerd does not run")
		}
		if _, err := r.Stat("var/lib/containers/storage"); err == nil {
			engine(ctx, out, run, "podman")
		} else {
			out.note("podman", "not asked: root has no containers")
		}
		return errors.Join(out.err, ctx.Err())
	}
}

func engine(ctx context.Context, out *rows, run Runner, name string) {
	const format = `{{.ID}}\t{{.Names}}\t{{.Image}}\t{{.Command}}\t{{.CreatedAt}}\t{{.Status}}\t{{.Ports}}\t{{.Mounts}}\t{{.Labels}}`
	ps := run.Run(ctx, Command{Argv: []string{name, "ps", "--all", "--no-trunc", "--format", format}})
	out.put(ps)
	var ids []string
	for line := range strings.Lines(string(ps.Stdout)) {
		id, _, _ := strings.Cut(line, "\t")
		if product.Mentions(line) && containerID.MatchString(id) && len(ids) < 200 {
			ids = append(ids, id)
		}
	}
	if len(ids) > 0 {
		out.put(run.Run(ctx, Command{Argv: append([]string{name, "inspect"}, ids...)}))
	}
}
