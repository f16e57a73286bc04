package contain

import (
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Arm starts a process of our own program that puts the firewall back at the deadline, unless Confirm comes first. It
// lives on when we end and when the connection drops. args are its command line; it is armed before the firewall is closed.
func (c *Containment) Arm(args []string, deadline time.Time) Check {
	err := c.arm(args, deadline)
	check := c.done("arm", "dead man", err, "openclaw-ir contain undo puts the firewall back by hand")
	if check.OK {
		check.Detail = fmt.Sprintf("the firewall goes back at %s unless you type: openclaw-ir contain confirm", deadline.UTC().Format(time.TimeOnly+"Z"))
	}
	return check
}

func (c *Containment) arm(args []string, deadline time.Time) error {
	cmd := exec.Command("/proc/self/exe") // the file that runs now, whatever lies at its path by then
	cmd.Args = append([]string{"openclaw-ir"}, args...)
	cmd.Dir, cmd.Env = "/", []string{"HOME=/", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	start, _, err := c.alive(cmd.Process.Pid)
	if err != nil {
		return err
	}
	c.Journal.DeadMan = &DeadMan{Deadline: deadline, PID: cmd.Process.Pid, Start: start}
	_ = cmd.Process.Release()
	return c.save()
}

// Confirm calls the dead man off. The error says so if it has acted already.
func (c *Containment) Confirm() error {
	d := c.Journal.DeadMan
	if d == nil {
		return errors.New("there is nothing to confirm: no firewall change waits for it")
	}
	err := c.signal(Ref{PID: d.PID, Start: d.Start}, unix.SIGKILL)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("it is too late: the firewall was put back at %s", d.Deadline.UTC().Format(time.RFC3339))
	}
	if err != nil {
		return err
	}
	c.Journal.DeadMan = nil
	return errors.Join(c.save(), c.note("contain confirm", "firewall", "done", ""))
}
