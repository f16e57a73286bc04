package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/clawbook/openclaw-ir/contain"
	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/drill"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/stores"
	"github.com/clawbook/openclaw-ir/rotate"
)

// A played is a line of what would be done to a running host. It is marked so wherever it is shown or noted.
type played struct {
	step
	Simulated bool `json:"simulated"`
}

func (x *drilling) playedLine(l played) string {
	mark := x.console.Paint(console.Info, "simulated")
	if l.Record == "plan" {
		return fmt.Sprintf("  %-10s %s  %s", l.Step, mark, console.Escape(l.Detail))
	}
	return markedLine(l.step, mark)
}

// A play plays one command on the files of the drill's host: it reads them, prints lines and notes them in the case.
type play struct {
	*drilling
	root  *host.Root
	lines *console.Lines[played]
	err   error // the first thing that could not be noted
}

// playing opens the host of the drill and plays a command on it.
func (x *drilling) playing(name string, do func(*play, []*openclaw.Installation) error) int {
	root, err := x.openHost(x.path(drillHost))
	if err != nil {
		sayError(x.env, err)
		return exitFailed
	}
	defer root.Close()
	p := &play{drilling: x, root: root}
	p.lines, err = console.NewLines(x.console, x.c.Bool("json"), map[string]any{"command": name, "simulated": true}, x.playedLine)
	if err == nil {
		installs, gaps := openclaw.Find(root, openclaw.FindOptions{UID: -1})
		for _, g := range gaps {
			x.console.Warningf("%s: %s", g.Path, g.What)
		}
		err = errors.Join(do(p, installs), p.err)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		sayError(x.env, err)
	}
	return exitCode(x.c.Context, err)
}

// say shows a line and notes it.
func (p *play) say(name, what, detail string) {
	p.show(step{"step", name, contain.Check{What: what, OK: true, Detail: detail}})
	command := "contain"
	if name == "replace" || name == "remove" {
		command = "rotate"
	}
	p.note(command+" "+name, what)
}

func (p *play) show(s step) {
	_ = p.lines.Write(played{s, true}) // nobody is left to tell; the custody log has it
	_ = p.lines.Flush()
}

// note notes what was played, so that nobody takes it for done.
func (p *play) note(action, object string) {
	err := p.cs.Append(casefile.Entry{Action: action, Object: object, Result: "simulated", Note: "drill: nothing was done to a running host"})
	p.err = errors.Join(p.err, err)
}

func (x *drilling) playContain(ctx context.Context) int {
	return x.playing("contain", func(p *play, installs []*openclaw.Installation) error {
		p.show(step{"frozen", "frozen", contain.Check{What: strings.Join(gatewaysOf(installs), "; "), OK: true, Detail: `"no" below thaws it`}})
		p.plan(installs)
		if yes, err := agreed(x.c, x.env); err != nil || !yes {
			x.no = err == nil
			p.note("contain thaw", "openclaw")
			x.console.Printf("thawed (simulated); nothing was changed")
			return err
		}
		p.stop(installs)
		x.console.Printf("contained (simulated); openclaw-ir contain undo would take it back")
		return ctx.Err()
	})
}

// plan says what contain would do on the host that the files are of.
func (p *play) plan(installs []*openclaw.Installation) {
	for i, part := range []struct{ name, detail string }{
		{"keep", "what stopping would lose, in a sealed bundle"},
		{"stop", strings.Join(gatewaysOf(installs), "; ")},
		{"close", "the firewall, except for your own way in; ports " + portsOf(installs)},
		{"verify", "ports, processes, units, rules"},
	} {
		p.show(step{"plan", fmt.Sprintf("%d %s", i+1, part.name), contain.Check{What: part.name, OK: true, Detail: part.detail}})
	}
}

func (p *play) stop(installs []*openclaw.Installation) {
	p.say("keep", "what stopping would lose", "sealed")
	for _, gateway := range gatewaysOf(installs) {
		p.say("stop", gateway, "killed")
	}
	p.say("close", "firewall", "closed, but for your own way in")
	p.say("verify", "no process for 10 s", "nothing came back")
	p.say("verify", "ports "+portsOf(installs), "closed")
	p.note("contain", drill.Host)
}

// gatewaysOf names the gateway of each installation, and what starts it as far as the files tell.
func gatewaysOf(installs []*openclaw.Installation) (list []string) {
	for _, in := range installs {
		what := fmt.Sprintf("gateway of user %s, OpenClaw %s", orUnknown(in.User), orUnknown(in.Version))
		for _, u := range in.Units {
			what += ", " + u.Name()
		}
		list = append(list, what)
	}
	return list
}

func portsOf(installs []*openclaw.Installation) string {
	var ports []string
	for _, in := range installs {
		ports = append(ports, fmt.Sprint(in.Port), fmt.Sprint(in.Port+2)) // the browser's control is two above
	}
	return strings.Join(ports, ", ")
}

// playRotate says what rotate would replace and remove: what it finds is real, that it is done is not.
func (x *drilling) playRotate(ctx context.Context) int {
	return x.playing("rotate", func(p *play, installs []*openclaw.Installation) error {
		for _, in := range installs {
			credentials, gaps := rotate.FindCredentials(p.root, in)
			devices, more := stores.Devices(ctx, p.root, in)
			for _, g := range append(gaps, more...) {
				x.console.Warningf("%s: %s", g.Path, g.What)
			}
			for _, c := range credentials {
				p.say("replace", strings.Join(c.Files(), ", "), c.Name+" replaced")
			}
			if len(devices) > 0 {
				p.say("remove", in.StateDir, plural(len(devices), "paired device")+" removed")
			}
		}
		x.console.Printf("as nothing was really replaced, the list below shows all of it as open")
		return ctx.Err()
	})
}
