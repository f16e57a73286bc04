package schedule

import (
	"fmt"
	"hash/fnv"
	"os"
	"strings"
	"time"

	"mvdan.cc/sh/v3/syntax"
)

// The service reads everything and writes to its case alone. What its options are, systemd.exec(5) says; of those that it cannot have,
// here is why. PrivateTmp: OpenClaw's logs lie in /tmp, and are evidence. ProtectHome=yes and ProtectProc: homes and processes are
// evidence too. A user's service has none that need a mount or user namespace: in one, all that belongs to others would seem to be
// nobody's, in the evidence and to the checks of whom to trust.
const (
	always = `NoNewPrivileges=yes
UMask=0077
Nice=10
CPUWeight=20
IOWeight=20
IOSchedulingClass=idle
MemoryMax=512M
Environment=GOMEMLIMIT=400MiB
TasksMax=128
TimeoutStartSec=12h
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
`
	systemOnly = `ProtectSystem=strict
ProtectHome=read-only
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
Environment=HOME=/root
`
)

// service is the unit that takes one snapshot. Type=oneshot: systemd starts no second one while it runs.
func (j Job) service(kind Kind) string {
	var u strings.Builder
	u.WriteString("# Written by openclaw-ir collect schedule install; openclaw-ir collect schedule remove takes it away.\n")
	u.WriteString("[Unit]\nDescription=Sealed snapshot of the evidence on this host\nDocumentation=man:openclaw-ir(1)\n")
	if j.Network && kind == System {
		u.WriteString("Wants=network-online.target\nAfter=network-online.target\n")
	}
	u.WriteString("\n[Service]\nType=oneshot\n")
	u.WriteString("ExecStart=" + strings.Join(quoted(j.Argv), " ") + "\n")
	u.WriteString("# 3: done in part, as the journal says. An alarm is 4, and a failure, so that systemctl --failed shows it.\nSuccessExitStatus=3\n")
	u.WriteString(always)
	if kind == System {
		u.WriteString(systemOnly)
		fmt.Fprintf(&u, "ReadWritePaths=%s\n", pathWord(j.Case))
		// Reading what is closed to others, and leaving its access times alone, is all that root is needed for.
		capabilities := "CAP_DAC_READ_SEARCH CAP_FOWNER"
		if j.Store != "" {
			fmt.Fprintf(&u, "ReadWritePaths=-%s\n", pathWord(j.Store)) // a disk that is not there is told by the upload
			capabilities += " CAP_DAC_OVERRIDE"
		}
		fmt.Fprintf(&u, "CapabilityBoundingSet=%s\n", capabilities)
	}
	u.WriteString(j.network(kind))
	return u.String()
}

// network lets a job that talks to other machines do that, and no other.
func (j Job) network(kind Kind) string {
	switch {
	case j.Network:
		return "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6\n"
	case kind == System:
		return "RestrictAddressFamilies=AF_UNIX\nIPAddressDeny=any\nPrivateNetwork=yes\n"
	}
	return "RestrictAddressFamilies=AF_UNIX\n"
}

// maxDelay is how much later than others a host begins at most, so that not all of them do at once.
const maxDelay = 15 * time.Minute

// timer is the unit that starts the service. Persistent: what was missed while the host was off is made up for.
func (j Job) timer() string {
	delay := min(time.Duration(j.Every)/10, maxDelay)
	return fmt.Sprintf(`# Written by openclaw-ir collect schedule install; openclaw-ir collect schedule remove takes it away.
[Unit]
Description=Sealed snapshots of the evidence on this host, every %s

[Timer]
OnCalendar=%s
RandomizedDelaySec=%d
FixedRandomDelay=yes
AccuracySec=%d
Persistent=yes

[Install]
WantedBy=timers.target
`, j.Every, j.Every.calendar(), int(delay.Seconds()), int(min(delay, time.Minute).Seconds()))
}

// calendar is how systemd.time(7) writes it.
func (e Every) calendar() string {
	switch d := time.Duration(e); {
	case d < time.Hour:
		return fmt.Sprintf("*-*-* *:0/%d:00", d/time.Minute)
	case d < 24*time.Hour:
		return fmt.Sprintf("*-*-* 0/%d:00:00", d/time.Hour)
	}
	return "*-*-* 00:00:00"
}

// crontab is the file for cron. A shell reads it, whatever one does, so the words are quoted for one; cron itself reads "%". What is said
// goes to the system's log: cron would send a letter every hour.
func (j Job) crontab() string {
	words := make([]string, len(j.Argv))
	for i, w := range j.Argv {
		q, err := syntax.Quote(w, syntax.LangPOSIX)
		if err != nil {
			q = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		words[i] = strings.ReplaceAll(q, "%", `\%`)
	}
	return "# Written by openclaw-ir collect schedule install; openclaw-ir collect schedule remove takes it away.\n" +
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin\n" +
		j.Every.cron(minuteOf()) + " root " + strings.Join(words, " ") + " 2>&1 | logger -t openclaw-ir\n"
}

// minuteOf is the minute of the hour at which this host begins: not all at once.
func minuteOf() int {
	name, _ := os.Hostname()
	h := fnv.New32a()
	h.Write([]byte(name))
	return int(h.Sum32() % 60)
}

func (e Every) cron(minute int) string {
	switch d := time.Duration(e); {
	case d < time.Hour:
		return fmt.Sprintf("*/%d * * * *", d/time.Minute)
	case d < 24*time.Hour:
		return fmt.Sprintf("%d */%d * * *", minute, d/time.Hour)
	}
	return fmt.Sprintf("%d 0 * * *", minute)
}

// quoted writes words as ExecStart= takes them: see systemd.syntax(7) and systemd.service(5), command lines.
func quoted(argv []string) []string {
	words := make([]string, len(argv))
	for i, w := range argv {
		words[i] = strings.ReplaceAll(pathWord(w), "$", "$$")
	}
	return words
}

// pathWord writes a word as lists of paths take it: quoted where needed, without specifiers.
func pathWord(w string) string {
	w = strings.ReplaceAll(w, "%", "%%")
	if w != "" && !strings.ContainsAny(w, " \t\"'\\;") {
		return w
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(w) + `"`
}
