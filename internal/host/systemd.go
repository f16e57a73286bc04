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
)

// manager is a systemd: the system's or a user's.
type manager struct {
	run  Runner
	base Command // what every question to it has in common, Argv "systemctl" and its options
}

func (m manager) ask(ctx context.Context, out *rows, words ...string) Result {
	c := m.base
	c.Argv = append(slices.Clone(c.Argv), words...)
	res := m.run.Run(ctx, c)
	out.put(res)
	return res
}

// write lists a manager's units and shows OpenClaw's in full. A manager that doesn't answer is not asked
// again: it may belong to the attacker.
func (m manager) write(ctx context.Context, w io.Writer) error {
	out := newRows(w)
	names := m.ask(ctx, out, "show", "--property=Id,Names,ExecStart,FragmentPath,Description", "--", "*.service", "*.timer", "*.path", "*.socket")
	if errors.Is(names.Err, context.DeadlineExceeded) {
		out.note(strings.Join(m.base.Argv, " "), "not asked further: no answer")
		return errors.Join(names.Err, out.err)
	}
	m.ask(ctx, out, "list-units", "--all", "--full", "--plain", "--no-legend")
	m.ask(ctx, out, "list-timers", "--all", "--full", "--no-legend")
	files := m.ask(ctx, out, "list-unit-files", "--full", "--no-legend")
	m.ask(ctx, out, "show-environment")
	if units := openClawUnits(string(names.Stdout), string(files.Stdout)); len(units) > 0 {
		m.ask(ctx, out, append([]string{"show", "--all", "--"}, units...)...)
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
		if !mentionsProduct(block) {
			continue
		}
		for line := range strings.Lines(block) {
			if id, ok := strings.CutPrefix(line, "Id="); ok {
				add(strings.TrimSpace(id))
			}
		}
	}
	for line := range strings.Lines(unitFiles) {
		if f := strings.Fields(line); len(f) > 0 && mentionsProduct(f[0]) && !strings.Contains(f[0], "@.") { // a template can't be shown
			add(f[0])
		}
	}
	return units
}

func systemUnits(run Runner) writeFunc {
	m := manager{run, Command{Argv: []string{"systemctl", "--no-pager"}}}
	return m.write
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
		dir := fmt.Sprintf("run/user/%d", uid)
		refuse := func(why string) error {
			out := newRows(w)
			out.note("/"+dir, why)
			return out.err
		}
		fi, err := r.Lstat(dir)
		if err != nil {
			return refuse(err.Error())
		}
		owner := Owner{Meta(fi).UID, Meta(fi).GID}
		_, err = r.Lstat(dir + "/systemd/private")
		switch {
		case owner.UID != uid:
			return refuse(fmt.Sprintf("belongs to user %d", owner.UID))
		case err != nil:
			return refuse("no user manager: " + err.Error())
		case os.Geteuid() != 0 && os.Geteuid() != int(uid):
			return refuse("only root can ask another user's manager")
		}
		m := manager{run, Command{
			Argv:    []string{"systemctl", "--user", "--no-pager"},
			Env:     []string{"XDG_RUNTIME_DIR=/" + dir},
			As:      &owner,
			Timeout: 4 * time.Second,
		}}
		return m.write(ctx, w)
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
		if mentionsProduct(line) && containerID.MatchString(id) && len(ids) < 200 {
			ids = append(ids, id)
		}
	}
	if len(ids) > 0 {
		out.put(run.Run(ctx, Command{Argv: append([]string{name, "inspect"}, ids...)}))
	}
}
