package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/statetest"
	"github.com/google/go-cmp/cmp"
)

// stockWork is where the host of these tests has the files that archivers get wrong.
const stockWork = "home/claw/.openclaw/workspace/"

// stockNames are names of files: options, quotes, members that archives have themselves, bytes that are no text, and lengths at which the
// fields of tar end.
var stockNames = []string{
	"with space", "new\nline", "back\\slash", "\\n no line", "cr\rreturn", "esc\x1b[31mred", "bad\xff\xfeutf8", "-rf", "--checkpoint-action=exec=touch pwned",
	"[root]", "x=y", "*", " lead", "tail ", "%s", "._fork", "@LongLink", "GNUSparseFile.0", "é", strings.Repeat("l", 255), "-dir/-f",
	strings.Repeat("d", 100), strings.Repeat("d", 155) + "/" + strings.Repeat("n", 145), strings.Repeat("bad\xff", 60) + "/x",
}

// stockLinks are targets of links by name.
var stockLinks = map[string]string{
	"inside": "with space", "outside": "/etc/passwd", "bad target": "bad\xff\xfeutf8", "lines": "a\nb", "long": strings.Repeat("x/", 1500) + "y", "up": "../../../../../../etc/passwd",
}

// stockTimes are seconds and nanoseconds after 1970, by the name of the file that was changed then.
var stockTimes = map[string]syscall.Timespec{
	"epoch": {}, "nanoseconds": {Sec: 1, Nsec: 1}, "1938": {Sec: -1e9}, halfBefore1970: {Sec: -2, Nsec: 5e8}, year2400: {Sec: 13.6e9, Nsec: 5},
}

const halfBefore1970, year2400 = "half a second before 1970", "2400"

func stockHost(t *testing.T) (root string) {
	root = t.TempDir()
	put := func(name, text string) {
		t.Helper()
		name = filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	put("etc/passwd", "claw:x:1000:1000::/home/claw:/bin/sh\n")
	put("home/claw/.openclaw/openclaw.json", "{}")
	for i, name := range stockNames {
		put(stockWork+name, fmt.Sprint("content ", i))
	}
	for name, at := range stockTimes {
		put(stockWork+name, "")
		if err := syscall.UtimesNano(filepath.Join(root, stockWork, name), []syscall.Timespec{at, at}); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range stockLinks {
		if err := os.Symlink(target, filepath.Join(root, stockWork, name)); err != nil {
			t.Fatal(err)
		}
	}
	put(stockWork+"sparse", "")
	if err := os.Truncate(filepath.Join(root, stockWork, "sparse"), 1<<20); err != nil {
		t.Fatal(err)
	}
	return root
}

// treeOf says of each path in a directory what it is: content and time of a file, target of a link.
func treeOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	tree := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == dir {
			return err
		}
		rel := strings.TrimPrefix(name, dir+"/")
		switch {
		case d.IsDir():
			tree[rel] = "directory"
		case d.Type() == fs.ModeSymlink:
			target, err := os.Readlink(name)
			tree[rel] = "-> " + target
			return err
		default:
			data, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			tree[rel] = fmt.Sprintf("%d bytes, %x, %v", len(data), sha256.Sum256(data), info.ModTime().UTC())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// A stock is the responder of these tests, who has stock tools too.
type stock struct {
	*responder
	made int // directories
}

func newStock(t *testing.T) *stock {
	t.Helper()
	if statetest.Raced() {
		t.Skip("what is compared does not depend on who else runs")
	}
	for _, tool := range []string{"age", "zstd", "tar", "sha256sum"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	return &stock{responder: newResponderOn(t, stockHost(t))}
}

// must runs a command line of ours.
func (s *stock) must(args ...string) {
	s.t.Helper()
	code, _, stderr := s.run(append(args, "--case-dir", s.cases)...)
	if code != exitDone && code != exitPartial {
		s.t.Fatalf("%q: exit code %d\n%s", args, code, stderr)
	}
}

// shell runs a line of a shell, as a stranger types it.
func (s *stock) shell(line string, args ...string) (stdout string) {
	s.t.Helper()
	cmd := exec.Command("bash", append([]string{"-o", "pipefail", "-ec", line, "bash"}, args...)...)
	var errs bytes.Buffer
	cmd.Stderr, cmd.Env = &errs, append(os.Environ(), "LC_ALL=C.UTF-8")
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("%s: %v\n%s", line, err, &errs)
	}
	return string(out)
}

// opens has a bundle opened by stock tools and by ours: they are to give the same files. It returns the directory of GNU tar's.
func (s *stock) opens(key, bundle string) (dir string) {
	s.t.Helper()
	dir = s.next()
	s.shell(`age -d -i "$1" "$2" | zstd -dq >"$3.tar"`, key, bundle, dir)
	s.must("collect", "open", "-i", key, bundle, dir+"-ours")
	if diff := cmp.Diff(s.ours(dir+"-ours"), without(s.unpacked(dir), year2400)); diff != "" {
		s.t.Errorf("collect open and GNU tar differ: %s", diff)
	}
	return dir
}

func (s *stock) next() (dir string) {
	s.made++
	return fmt.Sprint("stock", s.made)
}

// unpacked unpacks DIR.tar by two programs that must agree, in content with SHA256SUMS too.
func (s *stock) unpacked(dir string) (tree map[string]string) {
	s.t.Helper()
	s.shell(`mkdir "$1" && tar -C "$1" --no-same-owner -xf "$1.tar" && cd "$1" && sha256sum --quiet --strict -c SHA256SUMS`, dir)
	tree = treeOf(s.t, dir)
	if _, err := exec.LookPath("bsdtar"); err != nil {
		s.t.Log("not compared with bsdtar: ", err)
		return tree
	}
	s.shell(`mkdir "$1" && bsdtar -C "$1" --no-same-owner -xf "$2.tar"`, dir+"-bsd", dir)
	// libarchive takes -1.5 for half a second after -1.
	if diff := cmp.Diff(without(tree, halfBefore1970), without(treeOf(s.t, dir+"-bsd"), halfBefore1970)); diff != "" {
		s.t.Errorf("GNU tar and bsdtar differ: %s", diff)
	}
	return tree
}

// without leaves out a file of the workspace.
func without(tree map[string]string, name string) map[string]string {
	tree = maps.Clone(tree)
	delete(tree, "[root]/"+stockWork+name)
	return tree
}

// ours is the tree that collect open wrote, with a link where it wrote a note of one, and without the file whose time Go cannot set.
func (s *stock) ours(dir string) map[string]string {
	s.t.Helper()
	tree := treeOf(s.t, dir)
	for name, target := range stockLinks {
		name = "[root]/" + stockWork + name
		note, err := os.ReadFile(filepath.Join(dir, name+".symlink"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil || string(note) != target+"\n" {
			s.t.Errorf("the note of link %q is %q, %v", name, note, err)
		}
		delete(tree, name+".symlink")
		tree[name] = "-> " + target
	}
	return without(tree, year2400)
}

// asOnHost wants what was unpacked of the workspace to be what the host has there.
func (s *stock) asOnHost(dir string) {
	s.t.Helper()
	if diff := cmp.Diff(treeOf(s.t, filepath.Join("host", stockWork)), treeOf(s.t, filepath.Join(dir, "[root]", stockWork))); diff != "" {
		s.t.Errorf("the host and what was unpacked differ: %s", diff)
	}
}

// TestStockToolsOpenEveryKey seals to a key of every kind, and to all of them.
func TestStockToolsOpenEveryKey(t *testing.T) {
	s := newStock(t)
	kinds := map[string][]string{"age": {"key.txt"}, "several": {"key.txt"}}
	if _, err := exec.LookPath("ssh-keygen"); err == nil {
		for _, kind := range []string{"ed25519", "rsa"} {
			s.shell(`ssh-keygen -q -t "$1" -N "" -f "$1"`, kind)
			kinds[kind], kinds["several"] = []string{kind}, append(kinds["several"], kind)
		}
	}
	for kind, keys := range kinds {
		args := []string{"collect", "--root", "host", "-o", kind + ".age"}
		for _, key := range keys {
			args = append(args, "-R", strings.Replace(key+".pub", "key.txt.pub", "recipients.txt", 1))
		}
		s.must(args...)
		dir := s.opens(keys[0], kind+".age")
		s.asOnHost(dir)
		for _, key := range keys[1:] {
			s.shell(`age -d -i "$1" "$2" | zstd -dq | cmp - "$3.tar"`, key, kind+".age", dir)
		}
	}
}

// TestStockToolsOpenPassphrase has age ask for the passphrase, which it does at a terminal only.
func TestStockToolsOpenPassphrase(t *testing.T) {
	s := newStock(t)
	tty := statetest.NewTerminal(t)
	var out, errs bytes.Buffer
	e := s.env(&out, &errs)
	e.console = console.New(console.Streams{In: strings.NewReader(""), Out: &out, Err: &errs, OpenTTY: tty.Open}, console.Facts{})
	tty.Typed(t, []string{"secure one): ", "correct horse\r", "confirm", "correct horse\r"}, func() {
		if code := run(t.Context(), []string{"openclaw-ir", "collect", "--root", "host", "-p", "-o", "B.age", "--case-dir", s.cases}, e); code != exitDone {
			t.Fatalf("exit code %d\n%s", code, &errs)
		}
	})
	tty = statetest.NewTerminal(t)
	keyboard, err := tty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer keyboard.Close()
	dir := s.next()
	cmd := exec.Command("sh", "-c", `age -d -o B.zst B.age && zstd -dq B.zst -o "$1"`, "sh", dir+".tar")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = keyboard, keyboard, keyboard
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	tty.Typed(t, []string{"passphrase", "correct horse\r"}, func() { err = cmd.Run() })
	if err != nil {
		t.Fatalf("%v\n%s", err, tty.Shown())
	}
	s.unpacked(dir)
	s.asOnHost(dir)
}

// rebuild makes a file anew, and has jq and dd do it: the one that an earlier snapshot holds whole, with the ranges that changed since.
const rebuild = `
row=$(jq -c --arg path "/$4" 'select(.path == $path)' "$2/manifest.jsonl")
cp "$1/[root]/$4" "$3"
truncate -s "$(jq .delta.size <<<"$row")" "$3"
from=0
while read -r at size; do
	dd status=none if="$2/delta/$4" of="$3" conv=notrunc iflag=skip_bytes,count_bytes,fullblock oflag=seek_bytes skip=$from count="$size" seek="$at"
	from=$((from + size))
done < <(jq -r '.delta.ranges[] | "\(.[0]) \(.[1])"' <<<"$row")
echo "$(jq -r .delta.sha256 <<<"$row")  $3" | sha256sum --quiet --strict -c`

// TestStockToolsOpenSnapshots opens each link of a chain, makes a changed file of two of them, and holds each seal to name the one before.
func TestStockToolsOpenSnapshots(t *testing.T) {
	if _, err := exec.LookPath("jq"); err != nil {
		t.Skip(err)
	}
	s := newStock(t)
	s.write("host/"+stockWork+"grows", strings.Repeat("0123456789abcde\n", 20_000))
	s.must("collect", "--snapshot", "--root", "host", "-R", "recipients.txt")
	s.shell(`cd "$1" && echo more >>grows && printf changed | dd status=none of=grows bs=1 seek=150000 conv=notrunc && truncate -s 300000 grows && echo x >>with\ space`, "host/"+stockWork)
	s.must("collect", "--snapshot", "--root", "host", "-R", "recipients.txt")
	var dirs []string
	bundles := strings.Fields(s.shell(`ls "$1"/snapshots/bundles/*.age`, s.cases))
	for _, bundle := range bundles {
		dirs = append(dirs, s.opens("key.txt", bundle))
	}
	if len(dirs) != 2 {
		t.Fatalf("snapshots %q", bundles)
	}
	s.shell(rebuild, dirs[0], dirs[1], "rebuilt", stockWork+"grows")
	s.shell(`cmp rebuilt "$1" && cmp "$2/with space" "$3/with space"`, "host/"+stockWork+"grows", dirs[1]+"/[root]/"+stockWork, "host/"+stockWork)
	s.shell(`[ "$(sha256sum <"$1.seal" | cut -d" " -f1)" = "$(head -n 1 "$2.seal" | jq -r .prev_seal)" ]`, bundles[0], bundles[1])
}
