package main

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/host"
)

// A tool is a program of the host that the other commands run.
type tool struct {
	name    string
	purpose string             // what is not done without it
	pack    string             // the Debian package that brings it
	needed  func(*doctor) bool // nil: only good to have
}

// linuxTools are the programs that contain, rotate and collect run on Linux, but those of the firewall. TestDoctorKnowsTheTools
// holds this list against the code.
var linuxTools = []tool{
	{"systemctl", "units are neither found, stopped nor kept down", "systemd", (*doctor).systemd},
	{"journalctl", "the journal is not collected", "systemd", (*doctor).systemd},
	{"loginctl", "the list of sessions is not collected", "systemd", (*doctor).systemd},
	{"ss", "connections that are open to the gateway are not cut", "iproute2", always},
	{"ip", "addresses, routes and neighbours are not collected", "iproute2", always},
	{"docker", "its containers are neither stopped nor collected", "docker.io", (*doctor).docker},
	{"podman", "its containers are neither stopped nor collected", "podman", (*doctor).podman},
	{"who", "who is logged in is collected from files alone", "coreutils", nil},
	{"w", "what people run is not collected", "procps", nil},
	{"last", "who was logged in is collected from files alone", "util-linux-extra", nil},
	{"lastb", "who failed to log in is collected from files alone", "util-linux-extra", nil},
	{"atq", "at jobs are collected from files alone", "at", nil},
	{"dpkg-query", "the packages of Debian are not listed", "dpkg", nil},
	{"rpm", "the packages of Red Hat are not listed", "rpm", nil},
	{"apk", "the packages of Alpine are not listed", "apk-tools", nil},
}

// macTools are those of macOS, which has them all.
var macTools = []tool{
	{"launchctl", "jobs are neither found nor kept down", "", always},
	{"ps", "processes are not seen", "", always},
	{"lsof", "open files and sockets are not collected", "", always},
	{"netstat", "connections are not collected", "", always},
	{"sw_vers", "the version of macOS is not told", "", always},
	{"date", "the time is not collected", "", nil},
	{"sysctl", "the time of the last start is not collected", "", nil},
	{"arp", "neighbours are not collected", "", nil},
	{"ifconfig", "addresses are not collected", "", nil},
	{"who", "who is logged in is not collected", "", nil},
	{"w", "what people run is not collected", "", nil},
	{"last", "who was logged in is not collected", "", nil},
	{"mount", "the list of disks is not collected", "", nil},
	{"pfctl", "the firewall's rules are not collected", "", nil},
	{"uname", "the kernel's version is not collected", "", nil},
	{"kmutil", "kernel extensions are not collected", "", nil},
}

// filters are the packet filters that contain can close the host with, the one it prefers first, with the programs of each.
var filters = []struct {
	name     string
	programs []string
}{
	{"ufw", []string{"ufw", "iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore", "sysctl"}},
	{"nftables", []string{"nft"}},
	{"iptables", []string{"iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"}},
}

// otherFilters are asked what they filter, and never changed.
var otherFilters = []string{"firewall-cmd", "iptables-legacy-save", "ip6tables-legacy-save"}

func always(*doctor) bool { return true }

func (d *doctor) exists(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { _, err := d.machine.Root.Stat(name); return err == nil })
}

func (d *doctor) systemd() bool { return d.exists("run/systemd/system") }
func (d *doctor) docker() bool  { return d.exists("run/docker.sock") }
func (d *doctor) podman() bool  { return d.exists("var/lib/containers/storage") }

// tools says which programs there are and would be run.
func (d *doctor) tools() {
	list := linuxTools
	if d.machine.Mac {
		list = macTools
	}
	var good, absent []string
	for _, t := range list {
		err := d.find(t.name)
		needed := t.needed != nil && t.needed(d)
		switch {
		case err == nil:
			good = append(good, t.name)
		case !isAbsentProgram(err):
			d.say(missing, t.name, unwrapped(err)+"; it is not run, so "+t.purpose, mend(t.pack))
		case needed:
			d.say(missing, t.name, "not here: "+t.purpose, d.install(t.pack))
		default:
			absent = append(absent, t.name)
		}
	}
	if len(good) > 0 {
		d.say(fine, strings.Join(good, ", "), "root alone can write them", "")
	}
	if len(absent) > 0 {
		d.say(unasked, strings.Join(absent, ", "), "not here", "")
	}
}

func isAbsentProgram(err error) bool { return errors.Is(err, exec.ErrNotFound) }

// unwrapped says why, without the name that stands before it.
func unwrapped(err error) string {
	if inner := errors.Unwrap(err); inner != nil {
		return inner.Error()
	}
	return err.Error()
}

func mend(pack string) string {
	if pack == "" {
		return "look at its owner and mode, and at who changed it"
	}
	return "look at its owner and mode and at who changed it, then sudo apt-get install --reinstall " + pack
}

// install is the command that brings a package on this host.
func (d *doctor) install(pack string) string {
	switch {
	case pack == "":
		return ""
	case d.exists("usr/bin/dnf"):
		return "before an incident, not in one: install " + pack + " or what your system calls it, with dnf"
	case d.exists("sbin/apk"):
		return "before an incident, not in one: sudo apk add " + pack
	}
	return "before an incident, not in one: sudo apt-get install " + pack
}

// firewall says what contain would close the host with, and what filters now.
func (d *doctor) firewall() {
	if d.machine.Mac {
		d.say(unasked, "firewall", "contain leaves the firewall of macOS to you, and says how", "")
		return
	}
	usable := ""
	for _, f := range filters {
		gone := d.unusable(f.programs)
		if len(gone) == 0 && usable == "" {
			usable = f.name
		}
		d.sayUntrusted(f.programs)
	}
	if usable == "" {
		d.say(missing, "a packet filter", "neither ufw, nft nor iptables: contain stops the agent and leaves the network open", d.install("ufw"))
		return
	}
	f := host.ReadFilter(d.ctx, d.machine.Root, d.machine.Run)
	detail := "contain closes the host with it; UFW is " + f.UFW
	if f.Incoming != "" {
		detail += ", incoming " + f.Incoming
	}
	if f.Drops != "" {
		detail += "; " + f.Drops + " drops what is not allowed"
	}
	if f.Why != "" && d.uid != 0 {
		detail += "; " + f.Why
	}
	d.say(fine, usable, detail, "")
}

// unusable returns the programs that would not be run.
func (d *doctor) unusable(programs []string) (gone []string) {
	for _, name := range programs {
		if d.find(name) != nil {
			gone = append(gone, name)
		}
	}
	return gone
}

// sayUntrusted names each program once that is there and is not run.
func (d *doctor) sayUntrusted(programs []string) {
	for _, name := range programs {
		if err := d.find(name); err != nil && !isAbsentProgram(err) && !slices.Contains(d.told, name) {
			d.told = append(d.told, name)
			d.say(missing, name, fmt.Sprintf("%s; it is not run", unwrapped(err)), mend(""))
		}
	}
}
