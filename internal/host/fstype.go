package host

import (
	"bufio"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
)

// FSType names the file system that holds name (statfs(2)), "" if this package doesn't know its number. Asking a dead
// network server blocks: look at [Root.Mounts] before, which asks nobody.
func (r *Root) FSType(name string) (string, error) {
	p, err := r.find("statfs", name, true)
	if err != nil {
		return "", err
	}
	defer p.close()
	kind, err := p.fsType()
	if err != nil {
		return "", &fs.PathError{Op: "statfs", Path: name, Err: err}
	}
	return kind, nil
}

// IsNetworkFS says whether a file system of this type is answered by another machine or by a process: it may be huge
// or never answer.
func IsNetworkFS(fstype string) bool {
	switch fstype {
	case "nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "ceph", "coda", "afs", "afpfs", "webdav", "9p", "ocfs2", "gfs2", "lustre",
		"glusterfs", "beegfs", "fuse":
		return true
	}
	return strings.HasPrefix(fstype, "fuse.")
}

// IsPseudoFS says whether a file system of this type holds the kernel's state instead of files. tmpfs and devtmpfs are
// not among them: people hide files there.
func IsPseudoFS(fstype string) bool {
	switch fstype {
	case "proc", "sysfs", "cgroup", "cgroup2", "securityfs", "debugfs", "tracefs", "pstore", "bpf", "configfs", "fusectl",
		"mqueue", "hugetlbfs", "devpts", "binfmt_misc", "autofs", "efivarfs", "nsfs", "rpc_pipefs", "selinuxfs", "devfs":
		return true
	}
	return false
}

// Mount is one line of the mount table.
type Mount struct {
	Point  string // a name in the Root
	Type   string // as in mountinfo: "ext4", "nfs4", "fuse.sshfs"
	Source string
	User   bool // who is not root serves it: a [Root] does not enter it, and its error says why
}

// Skip says why a walk should not enter the mount, "" if it should.
func (m Mount) Skip() string {
	switch {
	case m.User:
		return "" // it is not left out by design: whoever enters it is told why not
	case IsNetworkFS(m.Type):
		return "network file system " + m.Type
	case IsPseudoFS(m.Type):
		return "pseudo file system " + m.Type
	}
	return ""
}

// Mounts lists what this machine has mounted at or beneath the Root, from /proc/self/mountinfo, so that no file
// system is touched. The last mount on a point is the one that is seen.
func (r *Root) Mounts() ([]Mount, error) {
	live, err := OpenRoot("/")
	if err != nil {
		return nil, err
	}
	defer live.Close()
	f, err := live.Open("proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	dir := r.dir
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	var list []Mount
	s := bufio.NewScanner(f)
	for s.Buffer(nil, 1<<20); ; {
		if !s.Scan() {
			return list, s.Err()
		}
		if m, ok := parseMount(s.Text(), dir); ok {
			list = append(list, m)
		}
	}
}

// parseMount reads a line of proc_pid_mountinfo(5) and places it beneath dir.
func parseMount(line, dir string) (Mount, bool) {
	before, after, ok := strings.Cut(line, " - ")
	head, tail := strings.Fields(before), strings.Fields(after)
	if !ok || len(head) < 6 || len(tail) < 2 {
		return Mount{}, false
	}
	rel, err := filepath.Rel(dir, unescapeOctal(head[4]))
	if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
		return Mount{}, false
	}
	return Mount{Point: rel, Type: tail[0], Source: unescapeOctal(tail[1]), User: served(line, false) != nil}, true
}

// served says who else than root answers for a mount, from its line in proc_pid_mountinfo(5). Users mount FUSE wherever they can
// write.
func served(line string, foreign bool) error {
	_, after, _ := strings.Cut(line, " - ")
	kind, rest, _ := strings.Cut(after, " ")
	if name, _, _ := strings.Cut(kind, "."); name != "fuse" && name != "fuseblk" {
		return nil
	}
	who := "somebody"
	_, options, _ := strings.Cut(rest, " ")
	for o := range strings.SplitSeq(options, ",") {
		if uid, ok := strings.CutPrefix(o, "user_id="); ok {
			who = "user " + uid
		}
	}
	switch {
	case who == "user 0" && foreign:
		who = "somebody"
	case who == "user 0":
		return nil
	}
	return fmt.Errorf("%w: %s serves what is mounted here (%s) and can keep whoever asks waiting for ever; "+
		"copy it with a program that may hang, and read the copy with --root", ErrNotTrusted, who, kind)
}

// unescapeOctal undoes the \040 of mountinfo.
func unescapeOctal(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
