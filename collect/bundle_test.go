package collect

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// smallFrame makes bundles of many frames out of little data.
const smallFrame = 64 << 10

var testHeader = Header{
	Tool: "openclaw-ir test", Host: "victim", Case: "2026-11-22-a", Argv: []string{"collect"},
	Started: time.Date(2026, 11, 22, 1, 2, 3, 0, time.UTC),
}

func newKey(t testing.TB) *age.X25519Identity {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

type failer interface {
	Helper()
	Fatal(...any)
}

// build writes a bundle with small frames.
func build(t failer, id *age.X25519Identity, fill func(w *Writer)) ([]byte, Summary) {
	t.Helper()
	var buf bytes.Buffer
	w, err := newWriter(&buf, []age.Recipient{id.Recipient()}, testHeader, smallFrame)
	if err != nil {
		t.Fatal(err)
	}
	fill(w)
	sum, err := w.Close(func() []byte { return []byte("{}\n") })
	if err != nil {
		t.Fatal(err)
	}
	return buf.Bytes(), sum
}

func addFile(t failer, w *Writer, name, content string) Row {
	t.Helper()
	m := Meta{
		Path: name, Source: "test", Mode: 0o4755, UID: 1000, GID: 0, Inode: 7, Dev: 8,
		Mtime: time.Unix(1700000000, 123456789), HostSize: int64(len(content)),
	}
	row, err := w.AddFile(m, strings.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	return row
}

func open(t failer, bundle []byte, ids ...age.Identity) *Bundle {
	t.Helper()
	b, err := OpenBundle(bytes.NewReader(bundle), int64(len(bundle)), ids...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func rowsOf(t failer, b *Bundle) map[string]Row {
	t.Helper()
	rows := make(map[string]Row)
	for row, err := range b.Rows() {
		if err != nil {
			t.Fatal(err)
		}
		rows[row.Path] = row
	}
	return rows
}

// noise returns text that compresses a little, the same for the same seed.
func noise(seed uint64, n int) string {
	r := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, n)
	for i := range b {
		b[i] = "0123456789abcdef"[r.IntN(16)]
	}
	return string(b)
}

// hostileNames are file names that have broken archivers, manifests and terminals.
var hostileNames = []string{
	"/a/with space", "/a/new\nline", "/a/back\\slash", "/a/cr\rreturn", "/a/esc\x1b[31mred", "/a/bad\xff\xfeutf8",
	"/a/bad\\xff\\xfeutf8", "/a/ünï", "/a/-rf", "/a/[root]", "/a/\"quote\"", "/a/\u202ertl", "/a/x=y", "/a/*",
	"/a/" + strings.Repeat("long", 60), "/" + strings.Repeat(strings.Repeat("d", 200)+"/", 15) + "deep",
	"/a/ lead", "/a/tail ", "/a/\\n literal", "/a/%s",
}

func TestRoundTrip(t *testing.T) {
	id := newKey(t)
	big := noise(1, 5*smallFrame)
	bundle, sum := build(t, id, func(w *Writer) {
		if _, err := w.AddDir(Meta{Path: "/etc", Mode: 0o755}); err != nil {
			t.Fatal(err)
		}
		addFile(t, w, "/etc/empty", "")
		addFile(t, w, "/etc/big", big)
		if _, err := w.AddLink(Meta{Path: "/etc/link", Link: "/etc/../etc/big"}); err != nil {
			t.Fatal(err)
		}
		for i, name := range hostileNames {
			addFile(t, w, name, noise(uint64(i), 100+i))
		}
		if _, err := w.AddStream(Meta{Path: "live/ps.txt", Source: "live"}, strings.NewReader("PID")); err != nil {
			t.Fatal(err)
		}
		for _, row := range []Row{
			{Meta: Meta{Path: "/gone"}, Status: Missing},
			{Meta: Meta{Path: "/etc/sock", Type: Socket}, Status: Skipped, Reason: "a socket"},
			{Meta: Meta{Path: "/etc/secret", Type: File, HostSize: 9}, Status: Unreadable, Reason: "permission denied"},
			{Meta: Meta{Path: "/etc/node_modules", Type: Dir}, Status: Skipped, Reason: "budget"},
		} {
			if err := w.Record(row); err != nil {
				t.Fatal(err)
			}
		}
	})
	b := open(t, bundle, id)
	if diff := cmp.Diff(testHeader, b.Header()); diff != "" {
		t.Error(diff)
	}
	rows := rowsOf(t, b)
	if got := rows["/etc/big"]; got.Status != Collected || got.Mode != 0o4755 || got.UID != 1000 || got.HostSize != 0 ||
		!got.Mtime.Equal(time.Unix(1700000000, 123456789)) || got.SHA256 != hexSum(big) {
		t.Errorf("row of big: %+v", got)
	}
	if rows["/gone"].Status != Missing || rows["/etc/secret"].Reason != "permission denied" {
		t.Error("rows without a member are not as recorded")
	}
	for i, name := range hostileNames {
		content, _, err := b.Open(name)
		if err != nil {
			t.Errorf("opening %q: %v", name, err)
			continue
		}
		if got, err := io.ReadAll(content); err != nil || string(got) != noise(uint64(i), 100+i) {
			t.Errorf("content of %q differs, %v", name, err)
		}
	}
	if sum.Rows[Skipped] != 2 || sum.Size != int64(len(bundle)) || sum.SHA256 != hexSum(string(bundle)) {
		t.Errorf("summary: %+v", sum)
	}
	t.Run("fs", func(t *testing.T) { checkTree(t, b, big) })
	t.Run("verify", func(t *testing.T) {
		report := verify(t, bundle, nil, id)
		if len(report.Problems) != 1 || report.Problems[0].Kind != "unsealed" || report.Members < 20 {
			t.Errorf("%+v", report)
		}
	})
}

func checkTree(t *testing.T, b *Bundle, big string) {
	fsys := b.FS()
	if p := b.Problems(); len(p) > 0 {
		t.Error(p)
	}
	for _, name := range []string{"etc/big", "etc/link"} {
		if got, err := fs.ReadFile(fsys, name); err != nil || string(got) != big {
			t.Errorf("reading %s: %v", name, err)
		}
	}
	if target, err := fs.ReadLink(fsys, "etc/link"); err != nil || target != "/etc/../etc/big" {
		t.Errorf("link to %q, %v", target, err)
	}
	if _, err := fs.ReadFile(fsys, `a/bad\xff\xfeutf8`); err != nil {
		t.Error(err)
	}
	if _, err := fs.ReadFile(fsys, `a/bad\xff\xfeutf8~2`); err != nil {
		t.Error("the second of two files that come to bear one name is lost:", err)
	}
	if _, err := fs.ReadFile(fsys, "etc/secret"); !errors.Is(err, ErrNotCollected) {
		t.Errorf("reading what was not collected: %v", err)
	}
	if _, err := fs.ReadDir(fsys, "etc/node_modules"); !errors.Is(err, ErrNotCollected) {
		t.Errorf("listing what was not collected: %v", err)
	}
	if info, err := fs.Stat(fsys, "etc/sock"); err != nil || info.Mode().Type() != fs.ModeSocket {
		t.Errorf("socket: %v", err)
	}
	if _, err := fs.Stat(fsys, "gone"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	info, err := fs.Stat(fsys, "etc/big")
	if err != nil || info.Mode() != 0o755|fs.ModeSetuid || info.Sys().(*Row).UID != 1000 {
		t.Errorf("info %v, %v", info, err)
	}
}

func TestFSContract(t *testing.T) {
	id := newKey(t)
	bundle, _ := build(t, id, func(w *Writer) {
		addFile(t, w, "/home/u/.openclaw/openclaw.json", "{}")
		addFile(t, w, "/home/u/.openclaw/agents/main/s.jsonl", noise(3, 3*smallFrame))
		if _, err := w.AddLink(Meta{Path: "/home/u/cfg", Link: ".openclaw/openclaw.json", Mode: 0o777}); err != nil {
			t.Fatal(err)
		}
	})
	if err := fstest.TestFS(open(t, bundle, id).FS(), "home/u/.openclaw/openclaw.json", "home/u/cfg"); err != nil {
		t.Error(err)
	}
}

func TestSymlinksStayInside(t *testing.T) {
	id := newKey(t)
	links := map[string]string{
		"/a/up": "../../../../etc/passwd", "/a/abs": "/etc/passwd", "/a/self": "self", "/a/x": "y", "/a/y": "x",
		"/a/dir": "/etc", "/a/via": "dir/../etc/passwd", "/a/none": "/nowhere", "/a/bomb": strings.Repeat("./", 3000) + "bomb",
	}
	bundle, _ := build(t, id, func(w *Writer) {
		addFile(t, w, "/etc/passwd", "the host's")
		for name, target := range links {
			if _, err := w.AddLink(Meta{Path: name, Link: target}); err != nil {
				t.Fatal(err)
			}
		}
	})
	fsys := open(t, bundle, id).FS()
	for _, name := range []string{"a/up", "a/abs", "a/dir/passwd", "a/via"} {
		if got, err := fs.ReadFile(fsys, name); err != nil || string(got) != "the host's" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"a/self", "a/x", "a/none", "a/bomb", "../etc/passwd", "/etc/passwd"} {
		if _, err := fs.ReadFile(fsys, name); err == nil {
			t.Errorf("%s could be read", name)
		}
	}
}

func TestRoundTripProperty(t *testing.T) {
	id := newKey(t)
	rapid.Check(t, func(t *rapid.T) {
		files := rapid.MapOfN(
			rapid.StringMatching(`/[a-c]{1,2}/[^/\x00]{1,20}`).Filter(func(s string) bool {
				_, err := memberName(s)
				return err == nil
			}),
			rapid.Custom(func(t *rapid.T) string {
				return noise(rapid.Uint64().Draw(t, "seed"), rapid.IntRange(0, 2*smallFrame).Draw(t, "size"))
			}), 0, 4).Draw(t, "files")
		bundle, _ := build(t, id, func(w *Writer) {
			for name, content := range files {
				addFile(t, w, name, content)
			}
		})
		b := open(t, bundle, id)
		for name, want := range files {
			got, err := fs.ReadFile(b.FS(), strings.TrimPrefix(name, "/"))
			if err != nil || string(got) != want {
				t.Fatalf("%q: %v", name, err)
			}
		}
		report, err := Verify(context.Background(), bytes.NewReader(bundle), int64(len(bundle)), nil, VerifyOptions{Identities: []age.Identity{id}})
		if err != nil || len(report.Problems) != 1 {
			t.Fatalf("%+v, %v", report, err)
		}
	})
}

func TestRowsKeepAnyName(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Row{Meta: Meta{
			Path: string(rapid.SliceOf(rapid.Byte()).Draw(t, "path")), Type: File,
			Link: strings.ReplaceAll(string(rapid.SliceOf(rapid.Byte()).Draw(t, "link")), "\x00", ""),
			UID:  rapid.Uint32().Draw(t, "uid"), Mode: Mode(rapid.Uint32Max(0o7777).Draw(t, "mode")),
		}, Status: Missing, Reason: rapid.String().Draw(t, "reason")}
		line, err := appendRow(nil, want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseRow(bytes.TrimSuffix(line, []byte("\n")))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(Meta{})); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestStockToolsOpenIt(t *testing.T) {
	for _, tool := range []string{"age", "zstd", "tar", "sha256sum"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	id := newKey(t)
	dir := t.TempDir()
	bundle, _ := build(t, id, func(w *Writer) {
		addFile(t, w, "/etc/big", noise(5, 4*smallFrame))
		for i, name := range hostileNames {
			addFile(t, w, name, noise(uint64(i), 100))
		}
		shrunk, err := w.AddFile(Meta{Path: "/var/log/shrunk"}, strings.NewReader("abc"), 10)
		if err != nil || shrunk.Status != Changed {
			t.Fatal(shrunk, err)
		}
		if _, err := w.AddLink(Meta{Path: "/etc/link", Link: "big"}); err != nil {
			t.Fatal(err)
		}
	})
	writeFile(t, filepath.Join(dir, "key.txt"), []byte(id.String()+"\n"))
	writeFile(t, filepath.Join(dir, "B.tar.zst.age"), bundle)
	out := filepath.Join(dir, "out")
	script := `mkdir out && cd out && age -d -i ../key.txt ../B.tar.zst.age | zstd -d | tar x --no-same-owner && sha256sum -c --strict SHA256SUMS`
	cmd := exec.Command("bash", "-o", "pipefail", "-ec", script)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "LC_ALL=C.UTF-8")
	if log, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	for i, name := range hostileNames {
		got, err := os.ReadFile(filepath.Join(out, "[root]", name))
		if err != nil || string(got) != noise(uint64(i), 100) {
			t.Errorf("%q: %v", name, err)
		}
	}
	info, err := os.Stat(filepath.Join(out, "[root]/etc/big"))
	if err != nil || info.ModTime().UnixNano() != 1700000000123456789 || info.Mode() != 0o755 {
		t.Errorf("%v, %v", info, err)
	}
	readme, err := os.ReadFile(filepath.Join(out, "README.txt"))
	if err != nil || !bytes.Contains(readme, []byte(`"victim"`)) {
		t.Errorf("README: %v", err)
	}
	// bsdtar takes names that are no UTF-8 only where the archive says that they are none.
	if _, err := exec.LookPath("bsdtar"); err == nil {
		cmd = exec.Command("bash", "-o", "pipefail", "-ec", `age -d -i key.txt B.tar.zst.age | zstd -d | bsdtar -tf - >list`)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "LC_ALL=C.UTF-8")
		if log, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, log)
		}
	}
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip(err)
	}
	cmd = exec.Command("bash", "-o", "pipefail", "-ec", `age -d -i key.txt B.tar.zst.age | zstd -d | python3 -c "$SUMS"`)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "LC_ALL=C.UTF-8", "SUMS="+sumsProgram)
	if log, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, log)
	}
}

// sumsProgram has another tar reader, Python's, hold SHA256SUMS to be the list of all files and their digests: none more, none less.
const sumsProgram = `
import hashlib, re, sys, tarfile
found, told = {}, {}
with tarfile.open(fileobj=sys.stdin.buffer, mode="r|", encoding="utf-8", errors="surrogateescape") as tar:
    for member in tar:
        if member.isfile():
            data = tar.extractfile(member).read()
            assert len(data) == member.size, member
            name = member.name.encode("utf-8", "surrogateescape")
            assert name not in found, name
            found[name] = hashlib.sha256(data).hexdigest()
            if name == b"SHA256SUMS":
                sums = data
for line in sums.splitlines(keepends=True):
    escaped, digest, name = re.fullmatch(rb"(\\?)([0-9a-f]{64})  (.*)\n", line, re.S).groups()
    if escaped:
        name = re.sub(rb"\\(.)", lambda m: {b"n": b"\n", b"r": b"\r"}.get(m[1], m[1]), name)
    told[name] = digest.decode()
del found[b"SHA256SUMS"]
assert found == told, set(found.items()) ^ set(told.items())
`

func TestWriterNeedsRecipients(t *testing.T) {
	var buf bytes.Buffer
	if _, err := NewWriter(&buf, nil, Header{}); err == nil || buf.Len() > 0 {
		t.Error("a bundle without recipients was begun")
	}
}

func TestFileChangesWhileRead(t *testing.T) {
	broken := errors.New("input/output error")
	zero := strings.Repeat("\x00", 300<<10)
	long := noise(1, 300<<10)
	for _, c := range []struct {
		name   string
		r      io.Reader
		size   int64
		host   int64
		status Status
		stored string
		digest string
	}{
		{"same", strings.NewReader("abc"), 3, 3, Collected, "abc", "abc"},
		{"grew", strings.NewReader("abcd"), 3, 3, Changed, "abc", "abc"},
		{"grew from nothing", strings.NewReader("abcd"), 0, 0, Changed, "", ""},
		{"shrank", strings.NewReader("abc"), 5, 5, Changed, "abc\x00\x00", "abc"},
		{"shrank to nothing", strings.NewReader(""), 2, 2, Changed, "\x00\x00", ""},
		{"shrank late", strings.NewReader(long[:200<<10]), 300 << 10, 300 << 10, Changed, long[:200<<10] + zero[:100<<10], long[:200<<10]},
		{"cut by the budget", strings.NewReader("abcdef"), 3, 6, Truncated, "abc", "abc"},
		{"failed midway", io.MultiReader(strings.NewReader("abc"), failing{broken}), 5, 5, Truncated, "abc\x00\x00", "abc"},
		{"failed late", io.MultiReader(strings.NewReader(long[:200<<10]), failing{broken}), 300 << 10, 0, Truncated, long[:200<<10] + zero[:100<<10], long[:200<<10]},
		{"failed at once", failing{broken}, 5, 5, Unreadable, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			id := newKey(t)
			bundle, _ := build(t, id, func(w *Writer) {
				row, err := w.AddFile(Meta{Path: "/f", HostSize: c.host}, c.r, c.size)
				if err != nil || row.Status != c.status || (c.status == Collected) != (row.Reason == "") {
					t.Fatalf("%+v, %v", row, err)
				}
			})
			b := open(t, bundle, id)
			row := rowsOf(t, b)["/f"]
			if c.status == Unreadable {
				if row.At != 0 || !strings.Contains(row.Reason, "input/output") {
					t.Errorf("%+v", row)
				}
				return
			}
			content, err := b.Content(row)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(content)
			if err != nil || string(got) != c.stored || row.SHA256 != hexSum(c.digest) || row.StoredDigest() != hexSum(c.stored) {
				t.Errorf("stored %.20q, row %+v, %v", got, row, err)
			}
			if report := verify(t, bundle, nil, id); len(report.Problems) != 1 {
				t.Error(report.Problems)
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestStreamInParts(t *testing.T) {
	id := newKey(t)
	long := noise(9, 2*streamPart+10)
	bundle, _ := build(t, id, func(w *Writer) {
		whole, err := w.AddStream(Meta{Path: "live/journal"}, strings.NewReader(long))
		if err != nil || whole.Parts != 3 || whole.SHA256 != hexSum(long) || whole.Size != int64(len(long)) {
			t.Fatalf("%+v, %v", whole, err)
		}
		cut, err := w.AddStream(Meta{Path: "live/cut"}, io.MultiReader(strings.NewReader("abc"), failing{errors.New("killed")}))
		if err != nil || cut.Status != Truncated || cut.Size != 3 {
			t.Fatalf("%+v, %v", cut, err)
		}
		exact, err := w.AddStream(Meta{Path: "live/exact"}, strings.NewReader(long[:streamPart]))
		if err != nil || exact.Parts != 1 {
			t.Fatalf("%+v, %v", exact, err)
		}
	})
	b := open(t, bundle, id)
	var got strings.Builder
	for i := 1; i <= 3; i++ {
		content, _, err := b.Open(partName("live/journal", i))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(&got, content); err != nil {
			t.Fatal(err)
		}
	}
	if got.String() != long {
		t.Error("parts put together differ from the stream")
	}
	if report := verify(t, bundle, nil, id); len(report.Problems) != 1 {
		t.Error(report.Problems)
	}
}

// breaking is a destination that fails at a byte, as a full disk does.
type breaking struct {
	left int
	err  error
}

func (b *breaking) Write(p []byte) (int, error) {
	n := min(len(p), b.left)
	b.left -= n
	if n < len(p) {
		return n, b.err
	}
	return n, nil
}

func TestDestinationFails(t *testing.T) {
	id := newKey(t)
	content := noise(4, 6*smallFrame)
	write := func(dst io.Writer) error {
		w, err := newWriter(dst, []age.Recipient{id.Recipient()}, testHeader, smallFrame)
		if err != nil {
			return err
		}
		defer w.Abort()
		for i := range 3 {
			if _, err := w.AddFile(Meta{Path: fmt.Sprintf("/f%d", i)}, strings.NewReader(content), int64(len(content))); err != nil {
				return err
			}
		}
		_, err = w.Close(nil)
		return err
	}
	var whole bytes.Buffer
	if err := write(&whole); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("no space left on device")
	// A nil error with a short count is a bug of the destination that must not pass for success either.
	for _, want := range []error{broken, nil} {
		for at := 0; at < whole.Len(); at += 1 + whole.Len()/25 {
			err := write(&breaking{at, want})
			if err == nil || (want != nil && !errors.Is(err, want)) || (want == nil && !errors.Is(err, io.ErrShortWrite)) {
				t.Fatalf("destination failed at byte %d: %v", at, err)
			}
		}
	}
	if err := write(&breaking{whole.Len() - 1, broken}); !errors.Is(err, broken) {
		t.Errorf("destination failed at the last byte: %v", err)
	}
}

func TestWrongKey(t *testing.T) {
	bundle, _ := build(t, newKey(t), func(*Writer) {})
	if _, err := OpenBundle(bytes.NewReader(bundle), int64(len(bundle)), newKey(t)); !errors.Is(err, ErrWrongKey) {
		t.Errorf("got %v", err)
	}
	for _, err := range Salvage(context.Background(), bytes.NewReader(bundle), newKey(t)) {
		if !errors.Is(err, ErrWrongKey) {
			t.Errorf("got %v", err)
		}
	}
}

func TestConcurrentReads(t *testing.T) {
	id := newKey(t)
	bundle, _ := build(t, id, func(w *Writer) {
		for i := range 20 {
			addFile(t, w, fmt.Sprintf("/f%d", i), noise(uint64(i), smallFrame+i))
		}
	})
	fsys := open(t, bundle, id).FS()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 15 {
				k := (i*7 + g) % 20
				got, err := fs.ReadFile(fsys, fmt.Sprintf("f%d", k))
				if err != nil || string(got) != noise(uint64(k), smallFrame+k) {
					t.Errorf("f%d: %v", k, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestManyRowsStaySmall(t *testing.T) {
	s, err := newSpool()
	if err != nil {
		t.Fatal(err)
	}
	const n = 20_000
	var line []byte
	for i := range n {
		digest := sha256.Sum256(fmt.Append(nil, i))
		row := Row{Meta: Meta{
			Path: fmt.Sprintf("/home/u/.openclaw/agents/main/sessions/%06d.jsonl", i), Type: File, Mode: 0o600, UID: 1000, GID: 1000,
			Source: "sessions", Inode: uint64(100000 + i), Dev: 64, Mtime: time.Unix(1700000000+int64(i), int64(i)*7919%1e9),
			Ctime: time.Unix(1700000000+int64(i), int64(i)*7919%1e9),
		}, Status: Collected, SHA256: hex.EncodeToString(digest[:]), Size: int64(i), At: int64(i) * 4096, HeaderSize: 1536}
		if line, err = appendRow(line[:0], row); err != nil {
			t.Fatal(err)
		}
		if err := s.add(line); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.finish(); err != nil {
		t.Fatal(err)
	}
	if per := s.buf.size() / n; per > 110 {
		t.Errorf("a row takes %d bytes of memory", per)
	} else {
		t.Logf("a row takes %d bytes of memory, %d as JSON", per, s.size/n)
	}
}

func hexSum(s string) string {
	d := sha256.Sum256([]byte(s))
	return hex.EncodeToString(d[:])
}

func writeFile(t testing.TB, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func verify(t testing.TB, bundle, seal []byte, ids ...age.Identity) *VerifyReport {
	t.Helper()
	report, err := Verify(context.Background(), bytes.NewReader(bundle), int64(len(bundle)), seal, VerifyOptions{Identities: ids})
	if err != nil {
		t.Fatal(err)
	}
	return report
}
