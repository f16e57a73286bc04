package contain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/product"
)

// A Container runs the gateway, a node host, or one of the agent's sandboxes.
type Container struct {
	Engine     string      `json:"engine"`          // docker or podman
	Owner      *host.Owner `json:"owner,omitempty"` // of a rootless one
	ID         string      `json:"id"`
	Name       host.Text   `json:"name"`
	What       string      `json:"what"` // gateway, sandbox, browser
	Running    bool        `json:"running"`
	Restart    string      `json:"restart"` // the restart policy, as --restart takes it
	AutoRemove bool        `json:"auto_remove,omitempty"`
	Ports      []int       `json:"ports,omitempty"` // published on the host
	PID        int         `json:"-"`               // its first process, as the host numbers it
}

func (c Container) String() string { return c.What + " container " + c.Engine + ":" + c.ID[:12] }

// command is a command of the container's engine.
func (c Container) command(words ...string) host.Command {
	cmd := host.Command{Argv: append([]string{c.Engine}, words...), Timeout: 20 * time.Second}
	if c.Owner != nil {
		cmd.As = c.Owner
		cmd.Env = []string{fmt.Sprintf("XDG_RUNTIME_DIR=/run/user/%d", c.Owner.UID)}
	}
	return cmd
}

// containers finds OpenClaw's containers: by their labels, names, images and commands, and by the processes in them. An
// engine that is not in use is not asked, for a question would start it.
func (m Machine) containers(ctx context.Context, procs, all []host.Process) (list []Container, gaps []string) {
	if m.Mac {
		return nil, machineGaps(all)
	}
	owners := map[uint32]host.Owner{}
	for _, p := range all {
		if p.Comm == "conmon" && p.UID != 0 {
			owners[p.UID] = host.Owner{UID: p.UID, GID: p.GID}
		}
	}
	asks := []Container{}
	if slices.ContainsFunc(all, func(p host.Process) bool { return p.Comm == "dockerd" }) {
		asks = append(asks, Container{Engine: "docker"})
	}
	if _, err := m.Root.Stat("var/lib/containers/storage"); err == nil {
		asks = append(asks, Container{Engine: "podman"})
	}
	for _, uid := range slices.Sorted(maps.Keys(owners)) {
		owner := owners[uid]
		asks = append(asks, Container{Engine: "podman", Owner: &owner})
	}
	for _, c := range asks {
		found, err := m.inEngine(ctx, c, procs)
		if err != nil {
			gaps = append(gaps, fmt.Sprintf("containers of %s: %v", c.Engine, err))
		}
		list = append(list, found...)
	}
	return list, gaps
}

// maxContainers bounds how many containers are looked at.
const maxContainers = 500

func (m Machine) inEngine(ctx context.Context, engine Container, procs []host.Process) ([]Container, error) {
	ps := m.Run.Run(ctx, engine.command("ps", "--all", "--no-trunc", "--format", `{{.ID}}\t{{.Names}}\t{{.Image}}\t{{.Command}}\t{{.Labels}}`))
	if errors.Is(ps.Err, errNoProgram) {
		return nil, nil
	}
	if !ps.OK() {
		return nil, failure(ps)
	}
	args := []string{"inspect", "--type", "container", "--"}
	for line := range strings.Lines(string(ps.Stdout)) {
		c := engine
		c.ID, _, _ = strings.Cut(line, "\t")
		if isContainerID(c.ID) && (product.Mentions(line) || slices.ContainsFunc(procs, c.holds)) && len(args) < maxContainers {
			args = append(args, c.ID)
		}
	}
	if len(args) == 4 {
		return nil, nil
	}
	res := m.Run.Run(ctx, engine.command(args...))
	if !res.OK() {
		return nil, failure(res)
	}
	return engine.parseInspect(res.Stdout)
}

func isContainerID(id string) bool {
	return len(id) == 64 && strings.Trim(id, "0123456789abcdef") == ""
}

// inspected is what of "docker inspect" and "podman inspect" is needed; both write it alike.
type inspected struct {
	ID    string `json:"Id"`
	Name  string
	State struct {
		Running, Paused bool
		Pid             int
	}
	HostConfig struct {
		AutoRemove    bool
		RestartPolicy struct {
			Name              string
			MaximumRetryCount int
		}
	}
	NetworkSettings struct {
		Ports map[string][]struct{ HostPort string }
	}
	Config struct{ Labels map[string]string }
}

func (engine Container) parseInspect(text []byte) ([]Container, error) {
	var rows []inspected
	if err := json.Unmarshal(text, &rows); err != nil {
		return nil, fmt.Errorf("reading what %s inspect printed: %w", engine.Engine, err)
	}
	var list []Container
	for _, r := range rows {
		if !isContainerID(r.ID) {
			continue
		}
		c := engine
		c.ID, c.Name, c.Running, c.AutoRemove, c.PID = r.ID, host.Text(strings.TrimPrefix(r.Name, "/")), r.State.Running, r.HostConfig.AutoRemove, r.State.Pid
		c.What = "gateway"
		switch {
		case r.Config.Labels["openclaw.sandboxBrowser"] != "" || strings.Contains(r.Name, "-sbx-browser-"):
			c.What = "browser"
		case r.Config.Labels["openclaw.sandbox"] != "" || strings.Contains(r.Name, "-sbx-"):
			c.What = "sandbox"
		}
		c.Restart = r.HostConfig.RestartPolicy.Name
		if n := r.HostConfig.RestartPolicy.MaximumRetryCount; c.Restart == "on-failure" && n > 0 {
			c.Restart += ":" + strconv.Itoa(n)
		}
		if c.Restart == "" {
			c.Restart = "no"
		}
		for _, published := range r.NetworkSettings.Ports {
			for _, p := range published {
				if n, err := strconv.Atoi(p.HostPort); err == nil && n > 0 && n < 65536 {
					c.Ports = append(c.Ports, n)
				}
			}
		}
		c.Ports = unique(c.Ports)
		list = append(list, c)
	}
	return list, nil
}

// within are the processes in a container, as the host sees them.
func (c Container) within(all []host.Process) []host.Process {
	return slices.DeleteFunc(slices.Clone(all), func(p host.Process) bool { return !c.holds(p) })
}

// holds says whether a process is in the container, which its cgroup tells. Below a service, such as a user's manager, its user gives a
// cgroup any name, and what a user's engine calls a container is that user's as well: neither reaches a container of root's.
func (c Container) holds(p host.Process) bool {
	if id, ok := containerOf(p); !ok || id != c.ID {
		return false
	}
	if c.Owner == nil {
		return !strings.Contains(string(p.Cgroup), ".service/")
	}
	return p.UID == c.Owner.UID || strings.Contains(string(p.Cgroup), fmt.Sprintf("/user@%d.service/", c.Owner.UID))
}

// down stops a container for good: its engine is told not to restart it, and its processes, which are frozen, are
// killed. One that its engine would then remove, files and all, is only paused: what it wrote is evidence.
func (m Machine) down(ctx context.Context, c Container) error {
	steps := [][]string{{"update", "--restart=no", c.ID}, {"kill", c.ID}}
	switch {
	case !c.Running:
		steps = steps[:1]
	case c.AutoRemove:
		steps = [][]string{{"pause", c.ID}}
	}
	var errs []error
	for _, words := range steps {
		if res := m.Run.Run(ctx, c.command(words...)); !res.OK() {
			errs = append(errs, failure(res))
		}
	}
	return errors.Join(errs...)
}

// isDown says whether a container is stopped, and stays so, or is paused.
func (m Machine) isDown(ctx context.Context, c Container) (bool, string) {
	res := m.Run.Run(ctx, c.command("inspect", "--type", "container", "--", c.ID))
	if !res.OK() {
		return false, failure(res).Error()
	}
	var rows []inspected
	if err := json.Unmarshal(res.Stdout, &rows); err != nil || len(rows) != 1 {
		return false, "its engine does not tell"
	}
	r := rows[0]
	policy := r.HostConfig.RestartPolicy.Name
	switch {
	case r.State.Paused && c.AutoRemove:
		return true, "paused: stopping it would remove its files"
	case r.State.Running:
		return false, "running"
	case policy != "" && policy != "no":
		return false, "stopped, but its engine restarts it: " + policy
	}
	return true, "stopped"
}

// errNoProgram says that a program is not installed.
var errNoProgram = exec.ErrNotFound

// failure says how a command failed, with the first line of what it said.
func failure(res host.Result) error {
	if res.Err != nil {
		return res.Err
	}
	said := strings.TrimSpace(string(res.Stderr))
	if said == "" {
		said = strings.TrimSpace(string(res.Stdout))
	}
	said, _, _ = strings.Cut(said, "\n")
	return fmt.Errorf("%q exits with %d: %.200q", strings.Join(res.Argv, " "), res.ExitCode, said)
}
