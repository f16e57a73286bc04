package host

import (
	"context"
	"io"
	"io/fs"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// HostInfo names a machine in manifests and reports. A field is empty where the tree doesn't tell.
type HostInfo struct {
	Hostname  Text          `json:"hostname"`
	OS        Text          `json:"os"`         // PRETTY_NAME of os-release(5)
	OSVersion Text          `json:"os_version"` // VERSION_ID
	Kernel    Text          `json:"kernel"`     // of a live host: a mounted image has none running
	Arch      string        `json:"arch"`       // as uname -m names it, of a live host
	BootID    Text          `json:"boot_id"`
	MachineID Text          `json:"machine_id"`
	Timezone  Text          `json:"timezone"`
	Uptime    time.Duration `json:"uptime_ns"`
}

// Describe reads who the machine of r is. Only macOS is asked through run.
func Describe(ctx context.Context, r *Root, run Runner) HostInfo {
	h := DescribeTree(r)
	if r.Live() {
		h.live(ctx, run)
	}
	return h
}

// DescribeTree reads who a machine is from its files alone: those of a bundle, or of a disk.
func DescribeTree(fsys fs.FS) HostInfo {
	h := HostInfo{
		Hostname:  firstLine(fsys, "proc/sys/kernel/hostname", "etc/hostname"),
		Kernel:    firstLine(fsys, "proc/sys/kernel/osrelease"),
		BootID:    firstLine(fsys, "proc/sys/kernel/random/boot_id"),
		MachineID: firstLine(fsys, "etc/machine-id", "var/lib/dbus/machine-id"),
		Timezone:  Text(timezone(fsys)),
	}
	rel := osRelease(fsys)
	h.OS, h.OSVersion = Text(rel["PRETTY_NAME"]), Text(rel["VERSION_ID"])
	up, _, _ := strings.Cut(string(firstLine(fsys, "proc/uptime")), " ")
	if s, err := strconv.ParseFloat(up, 64); err == nil && s >= 0 && s < 1e9 {
		h.Uptime = time.Duration(s * float64(time.Second))
	}
	return h
}

// live adds what only a running machine tells.
func (h *HostInfo) live(ctx context.Context, run Runner) {
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		h.Arch = unix.ByteSliceToString(u.Machine[:])
		h.Hostname = Text(unix.ByteSliceToString(u.Nodename[:]))
		h.Kernel = Text(unix.ByteSliceToString(u.Release[:]))
	}
	if runtime.GOOS != "darwin" {
		return
	}
	h.OS = "macOS"
	if res := run.Run(ctx, Command{Argv: []string{"sw_vers", "-productVersion"}}); res.OK() {
		h.OSVersion = Text(strings.TrimSpace(string(res.Stdout)))
		h.OS += " " + h.OSVersion
	}
}

// firstLine is the first line of the first of the files that has one.
func firstLine(fsys fs.FS, names ...string) Text {
	for _, name := range names {
		b, _ := readStart(fsys, name, 4096)
		line, _, _ := strings.Cut(string(b), "\n")
		if line = strings.TrimSpace(line); line != "" {
			return Text(line)
		}
	}
	return ""
}

// readStart reads the first bytes of a file.
func readStart(fsys fs.FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

// timezone is a name of the tz database, such as "Europe/Vienna".
func timezone(fsys fs.FS) string {
	if target, err := fs.ReadLink(fsys, "etc/localtime"); err == nil {
		if _, zone, ok := strings.Cut(target, "zoneinfo/"); ok {
			return zone
		}
	}
	return string(firstLine(fsys, "etc/timezone"))
}

// osRelease reads os-release(5): shell assignments without anything a shell would expand.
func osRelease(fsys fs.FS) map[string]string {
	b, err := readStart(fsys, "etc/os-release", 64<<10)
	if err != nil {
		b, _ = readStart(fsys, "usr/lib/os-release", 64<<10)
	}
	m := make(map[string]string)
	unquote := strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\$`, `$`, "\\`", "`")
	for line := range strings.Lines(string(b)) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || strings.HasPrefix(key, "#") {
			continue
		}
		if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
			value = value[1 : n-1]
		}
		m[key] = unquote.Replace(value)
	}
	return m
}
