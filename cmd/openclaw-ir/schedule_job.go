package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/clawbook/openclaw-ir/collect/schedule"
	"github.com/clawbook/openclaw-ir/collect/store"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/notify"
	"github.com/urfave/cli/v2"
)

// notifyName is the file of the case that holds the web address to notify, which may be a secret: unit files are for all to read.
const notifyName = "notify-address"

// job is what is to be run, and the web address that goes into the case, if one was given.
func (x *scheduling) job() (j schedule.Job, address string, err error) {
	c := x.c
	j.Name, j.Case = schedule.JobName(c.String("case")), filepath.Join(casesDir(c, x.env), c.String("case"))
	if j.Every, err = schedule.ParseEvery(c.String("every")); err != nil {
		return j, "", usageError("--every 1h", "--every: %v", err)
	}
	program, err := x.program()
	if err != nil {
		return j, "", err
	}
	d, err := destination(c)
	if err != nil {
		return j, "", err
	}
	t, err := notifyTarget(c, x.env)
	if err != nil {
		return j, "", err
	}
	whom := c.String("notify")
	if t.Web() && whom[0] != '@' {
		address, whom = whom, "@"+filepath.Join(j.Case, notifyName)
	}
	if err := x.checkProgram(t); err != nil {
		return j, "", err
	}
	j.Argv = append([]string{program, "collect", "--snapshot", "--case-dir", casesDir(c, x.env), "--case", c.String("case")}, passOn(c, d, whom)...)
	who, err := x.recipients()
	j.Argv = append(j.Argv, who...)
	j.Network = store.IsRemote(d.To) || !t.IsZero()
	if !store.IsRemote(d.To) {
		j.Store = d.To
	}
	return j, address, err
}

// program is the path of this program, which others than root must not be able to replace.
func (x *scheduling) program() (string, error) {
	name, err := os.Executable()
	if err == nil {
		name, err = host.RootOnly(x.root, name)
	}
	if err != nil {
		return "", &codeError{exitFailed, fmt.Errorf("a schedule runs this program again and again, and it is not safe: %w", err), []string{
			"sudo install -m 755 openclaw-ir /usr/local/bin/openclaw-ir, from the release whose SHA256SUMS you checked; then run that one",
		}}
	}
	return name, nil
}

func (x *scheduling) checkProgram(t notify.Target) error {
	if t.Program() == "" {
		return nil
	}
	if _, _, err := x.run.Find(t.Program()); err != nil {
		return usageError("only a program that root alone can write is run, such as logger, or /usr/local/sbin/page-me", "--notify: %v", err)
	}
	return nil
}

// passOn are the flags that the snapshot gets.
func passOn(c *cli.Context, d store.Destination, whom string) (argv []string) {
	add := func(name, value string) {
		if value != "" && (c.IsSet(name) || name == "to") {
			argv = append(argv, "--"+name, value)
		}
	}
	add("keep", c.String("keep"))
	add("every-full", strconv.Itoa(c.Int("every-full")))
	add("to", d.To)
	add("host-key", d.HostKey)
	add("ssh-key", d.SSHKey)
	add("lock-days", strconv.Itoa(d.LockDays))
	add("lock-mode", c.String("lock-mode"))
	add("limit-rate", c.String("limit-rate"))
	add("notify", whom)
	for _, dir := range c.StringSlice("state-dir") {
		if abs, err := filepath.Abs(dir); err == nil {
			add("state-dir", abs)
		}
	}
	return argv
}

// recipients are the flags that say who can open the snapshots. A file of them is read each time, so that others than root must not be
// able to write it.
func (x *scheduling) recipients() (argv []string, err error) {
	if _, err := keepFlag(x.c); err != nil {
		return nil, err
	}
	if x.c.Int("every-full") < 1 {
		return nil, usageError("--every-full 168", "--every-full: %d is not a number of snapshots", x.c.Int("every-full"))
	}
	if _, err := snapshotRecipients(x.c, x.env); err != nil {
		return nil, err
	}
	for _, r := range x.c.StringSlice("recipient") {
		argv = append(argv, "--recipient", r)
	}
	for _, file := range x.c.StringSlice("recipients-file") {
		file, err := filepath.Abs(file)
		if err == nil {
			err = x.rootsOwn(file)
		}
		if err != nil {
			return nil, usageError("sudo install -D -m 644 recipients.txt /etc/openclaw-ir/recipients.txt, and name that one",
				"-R: it is read each time, and says who reads the evidence: %v", err)
		}
		argv = append(argv, "--recipients-file", file)
	}
	return argv, nil
}
