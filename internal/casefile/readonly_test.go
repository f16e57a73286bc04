package casefile

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// readOnly reads a case on a disk that takes no writing.
func readOnly(dir string) int {
	err := func() error {
		c, err := Open(dir, "", false)
		if err != nil {
			return err
		}
		defer c.Close()
		report, err := c.Verify()
		if err != nil || !report.OK() || report.Lines != 2 {
			return fmt.Errorf("report %+v, %v", report, err)
		}
		n := 0
		for line, err := range c.Lines() {
			if err != nil || line.Entry == nil {
				return fmt.Errorf("line %+v, %v", line, err)
			}
			n++
		}
		if hash, lines, err := c.Head(); err != nil || hash != report.Head || lines != n {
			return fmt.Errorf("head %s, %d, %v", hash, lines, err)
		}
		if err := c.Append(Entry{Action: "test"}); !errors.Is(err, syscall.EROFS) {
			return fmt.Errorf("appending: %v", err)
		}
		return nil
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func TestReadOnlyDisk(t *testing.T) {
	if err := exec.Command("unshare", "-rm", "true").Run(); err != nil {
		t.Skip("no mounts of one's own here: ", err)
	}
	c, dir := openNew(t)
	mustAppend(t, c, "a")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"with its lock", "without"} {
		cmd := exec.Command("unshare", "-rm", "sh", "-c", `mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && exec "$2"`, "sh", dir, self)
		cmd.Env = append(os.Environ(), "CASEFILE_TEST=readonly", "CASEFILE_DIR="+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", what, err, out)
		}
		if err := os.RemoveAll(filepath.Join(c.Path(), custodyLock)); err != nil {
			t.Fatal(err)
		}
	}
}
