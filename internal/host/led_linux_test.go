package host

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestLedByLinks reads as root what the agent's links lead to, as far as the agent could.
func TestLedByLinks(t *testing.T) {
	y := newYard(t)
	y.put(y.root+"/secret", "root's", 0)
	y.put(y.other+"/secret", "theirs", otherUID)
	y.put(y.agent+"/own", "own", agentUID)
	y.must(os.Chmod(y.put(y.root+"/public", "public", 0), 0o644), os.Mkdir(y.root+"/closed", 0o700))
	y.must(os.Chmod(y.put(y.root+"/closed/file", "shut away", 0), 0o644))
	y.must(os.Chmod(y.put(y.root+"/group", "of the group", 0), 0o640), os.Chown(y.root+"/group", 0, agentUID))
	y.must(os.Link(y.root+"/secret", y.agent+"/hard"), os.Link(y.root+"/public", y.agent+"/hard-public"))
	y.must(os.Symlink(y.root+"/secret", y.root+"/link"), os.Link(y.root+"/link", y.agent+"/roots-link"))
	for name, target := range map[string]string{
		"secret": y.root + "/secret", "other": y.other + "/secret", "public": y.root + "/public", "closed": y.root + "/closed/file", "group": y.root + "/group",
		"self": "own", "dir": y.root, "closed-dir": y.root + "/closed", "twice": "secret",
	} {
		y.link(target, filepath.Join(y.agent, name), agentUID)
	}
	root, err := OpenRoot("/")
	y.must(err)
	defer root.Close()
	for name, want := range map[string]string{
		"agent/secret": "", "agent/other": "", "agent/closed": "", "agent/hard": "", "agent/dir/secret": "", "agent/closed-dir/file": "", "agent/twice": "", "agent/roots-link": "",
		"agent/public": "public", "agent/group": "of the group", "agent/self": "own", "agent/own": "own", "agent/dir/public": "public", "agent/hard-public": "public",
		"root/secret": "root's", "root/link": "root's", "other/secret": "theirs",
	} {
		text, err := readAll(root, hostName(filepath.Join(y.dir, name)))
		if text != want || (want == "") != errors.Is(err, ErrNotTrusted) {
			t.Errorf("%s: %q, want %q: %v", name, text, want, err)
		}
	}
	if list, err := fs.ReadDir(root, hostName(y.agent+"/closed-dir")); !errors.Is(err, ErrNotTrusted) {
		t.Errorf("a directory that is closed: %v, %v", list, err)
	}
	if list, err := fs.ReadDir(root, hostName(y.agent+"/dir")); err != nil || len(list) == 0 {
		t.Errorf("a directory that is open: %v, %v", list, err)
	}
}

func readAll(r *Root, name string) (string, error) {
	f, err := r.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	return string(text), err
}
