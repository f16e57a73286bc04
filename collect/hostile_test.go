package collect

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
)

// crafted is a bundle made by hand, so that every part of it may lie.
type crafted struct {
	members []tar.Header
	body    map[int]string                                           // content by index in members
	rows    string                                                   // the manifest behind its head, with %d for the first member's content
	head    func(stored, tar int64) string                           // nil: an honest one
	end     func(trailer) []byte                                     // nil: an honest one
	frame   func(tarBytes []byte, encode func([]byte) []byte) []byte // nil: one honest frame
}

func (c crafted) seal(t testing.TB, id *age.X25519Identity) []byte {
	t.Helper()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	put := func(h tar.Header, content string) {
		h.Size, h.Format = int64(len(content)), tar.FormatPAX
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Typeflag != tar.TypeReg {
			h.Size = 0
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := w.Write([]byte(content)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, h := range c.members {
		put(h, c.body[i])
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(b []byte) []byte { return enc.EncodeAll(b, nil) }
	first := archive.Len()
	stored := encode(archive.Bytes())
	if c.frame != nil {
		stored = c.frame(archive.Bytes(), encode)
	}
	head := fmt.Sprintf(`{"openclaw_ir_manifest":1,"frames":1,"rows":%d}`+"\n"+`{"frame_table":[[0,0]]}`+"\n", strings.Count(c.rows, "\n"))
	if c.head != nil {
		head = c.head(int64(len(stored)), int64(first))
	}
	put(tar.Header{Name: memberManifest}, head+c.rows)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	end := trailer{int64(len(stored)), int64(first)}
	stored = append(stored, encode(archive.Bytes()[first:])...)
	if c.end != nil {
		stored = append(stored, c.end(end)...)
	} else {
		stored = append(stored, end.bytes()...)
	}
	var out bytes.Buffer
	a, err := age.Encrypt(&out, id.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Write(stored); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func craftedRow(path string, at, size int64, content string) string {
	return fmt.Sprintf(`{"path":%q,"type":"file","status":"collected","size":%d,"sha256":%q,"at":%d,"header_size":512}`+"\n",
		path, size, hexSum(content), at)
}

// one is an honest crafted bundle with one member, for tests to spoil.
func one() crafted {
	return crafted{members: []tar.Header{{Name: "[root]/f"}}, body: map[int]string{0: "content"}, rows: craftedRow("/f", 512, 7, "content")}
}

func TestCraftedBundleIsReadable(t *testing.T) {
	key := failKey{newKey(t)}
	bundle := one().seal(t, key.id)
	if got, err := fs.ReadFile(open(t, bundle, key.id).FS(), "f"); err != nil || string(got) != "content" {
		t.Fatalf("%q, %v", got, err)
	}
}

func TestLyingTrailersAndTables(t *testing.T) {
	key := failKey{newKey(t)}
	bomb := func(n int) func([]byte, func([]byte) []byte) []byte {
		return func(_ []byte, encode func([]byte) []byte) []byte { return encode(make([]byte, n)) }
	}
	head := func(format string) func(int64, int64) string {
		return func(int64, int64) string { return format + "\n" }
	}
	for name, spoil := range map[string]func(*crafted){
		"no trailer":             func(c *crafted) { c.end = func(trailer) []byte { return nil } },
		"trailer of zeros":       func(c *crafted) { c.end = func(trailer) []byte { return make([]byte, trailerSize) } },
		"points behind the end":  func(c *crafted) { c.end = func(t trailer) []byte { t.stored = 1 << 60; return t.bytes() } },
		"points before":          func(c *crafted) { c.end = func(t trailer) []byte { t.stored = -1; return t.bytes() } },
		"points at the evidence": func(c *crafted) { c.end = func(t trailer) []byte { t.stored = 0; return t.bytes() } },
		"points inside a frame":  func(c *crafted) { c.end = func(t trailer) []byte { t.stored++; return t.bytes() } },
		"frame too large":        func(c *crafted) { c.end = func(t trailer) []byte { t.tar = 1 << 50; return t.bytes() } },
		"no manifest line":       func(c *crafted) { c.head = head("") },
		"other version":          func(c *crafted) { c.head = head(`{"openclaw_ir_manifest":2}`) },
		"many frames":            func(c *crafted) { c.head = head(`{"openclaw_ir_manifest":1,"frames":1000000000000,"rows":0}`) },
		"negative frames":        func(c *crafted) { c.head = head(`{"openclaw_ir_manifest":1,"frames":-1,"rows":0}`) },
		"no frames":              func(c *crafted) { c.head = head(`{"openclaw_ir_manifest":1,"frames":0,"rows":0}`) },
		"empty table": func(c *crafted) {
			c.head = head(`{"openclaw_ir_manifest":1,"frames":1,"rows":0}` + "\n" + `{"frame_table":[]}`)
		},
		"table starts late": func(c *crafted) {
			c.head = head(`{"openclaw_ir_manifest":1,"frames":1,"rows":0}` + "\n" + `{"frame_table":[[1,0]]}`)
		},
		"table goes back": func(c *crafted) {
			c.head = head(`{"openclaw_ir_manifest":1,"frames":2,"rows":0}` + "\n" + `{"frame_table":[[0,0],[5,-5]]}`)
		},
		"line without end": func(c *crafted) { c.head = func(int64, int64) string { return strings.Repeat("x", maxLine+70<<10) } },
	} {
		t.Run(name, func(t *testing.T) {
			c := one()
			spoil(&c)
			bundle := c.seal(t, key.id)
			_, err := OpenBundle(bytes.NewReader(bundle), int64(len(bundle)), key.id)
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrCut) && !errors.Is(err, io.EOF) {
				t.Errorf("got %v", err)
			}
		})
	}
	for name, frame := range map[string]func([]byte, func([]byte) []byte) []byte{
		"bomb":        bomb(64 << 20),
		"short":       bomb(10),
		"same length": bomb(1024),
		"not zstd":    func([]byte, func([]byte) []byte) []byte { return []byte("not a frame at all") },
	} {
		t.Run("frame "+name, func(t *testing.T) {
			c := one()
			c.frame = frame
			bundle := c.seal(t, key.id)
			if _, err := fs.ReadFile(open(t, bundle, key.id).FS(), "f"); !errors.Is(err, ErrMalformed) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestLyingRows(t *testing.T) {
	key := failKey{newKey(t)}
	good := craftedRow("/f", 512, 7, "content")
	for name, rows := range map[string]string{
		"offset elsewhere": craftedRow("/f", 513, 7, "content"),
		"offset behind":    craftedRow("/f", 1<<40, 7, "content"),
		"size too large":   craftedRow("/f", 512, 1<<40, "content"),
		"other size":       craftedRow("/f", 512, 6, "content"),
		"other name":       craftedRow("/f/../g", 512, 7, "content") + craftedRow("/g", 512, 7, "content"),
		"traversal":        craftedRow("/../../f", 512, 7, "content"),
		"no JSON":          "{" + "\n",
		"twice a key":      strings.Replace(good, `"size":7`, `"size":7,"size":7`, 1),
		"two rows":         good + strings.Replace(good, "collected", "changed", 1),
		"file in a file":   good + craftedRow("/f/g", 512, 7, "content"),
		"not enough":       "",
	} {
		t.Run(name, func(t *testing.T) {
			c := one()
			c.rows = rows
			if name == "not enough" {
				c.head = func(int64, int64) string {
					return `{"openclaw_ir_manifest":1,"frames":1,"rows":5}` + "\n" + `{"frame_table":[[0,0]]}` + "\n"
				}
			}
			bundle := c.seal(t, key.id)
			b := open(t, bundle, key.id)
			fsys := b.FS()
			_, errF := fs.ReadFile(fsys, "f")
			_, errG := fs.ReadFile(fsys, "g")
			if errF == nil && errG == nil {
				t.Error("both names could be read")
			}
			if errF == nil && len(b.Problems()) == 0 {
				t.Error("nothing is wrong")
			}
			if report := verify(t, bundle, nil, key.id); len(report.Problems) < 2 {
				t.Errorf("Verify: %+v", report.Problems)
			}
		})
	}
}

func TestVerifyComparesArchiveAndManifest(t *testing.T) {
	key := failKey{newKey(t)}
	two := crafted{members: []tar.Header{{Name: "[root]/f"}, {Name: "[root]/f"}}, body: map[int]string{0: "content", 1: "other"}}
	for name, c := range map[string]struct {
		crafted
		want string
	}{
		"extra":     {crafted{members: one().members, body: one().body}, "extra"},
		"duplicate": {crafted{members: two.members, body: two.body, rows: one().rows}, "duplicate"},
		"missing":   {crafted{members: one().members, body: one().body, rows: one().rows + craftedRow("/g", 512, 7, "content")}, "missing"},
		"digest":    {crafted{members: one().members, body: one().body, rows: craftedRow("/f", 512, 7, "CONTENT")}, "digest"},
		"offset":    {crafted{members: one().members, body: one().body, rows: craftedRow("/f", 513, 6, "ontent")}, "offset"},
		"no header": {crafted{members: one().members, body: one().body, rows: strings.Replace(one().rows, "512}", "0}", 1)}, "offset"},
		"device":    {crafted{members: []tar.Header{{Name: "[root]/f", Typeflag: tar.TypeChar}}, rows: craftedRow("/f", 512, 0, "")}, "type"},
	} {
		t.Run(name, func(t *testing.T) {
			report := verify(t, c.seal(t, key.id), nil, key.id)
			for _, p := range report.Problems {
				if p.Kind == c.want {
					return
				}
			}
			t.Errorf("no problem of kind %q: %+v", c.want, report.Problems)
		})
	}
}

func TestExtractStaysInside(t *testing.T) {
	key := failKey{newKey(t)}
	top := t.TempDir()
	dir := filepath.Join(top, "out")
	link := func(name, target string) tar.Header {
		return tar.Header{Name: name, Linkname: target, Typeflag: tar.TypeSymlink}
	}
	c := crafted{body: map[int]string{}, members: []tar.Header{
		{Name: "[root]/f", Mode: 0o6777, ModTime: time.Unix(1700000000, 5)},
		{Name: "../escape"},
		{Name: "/abs"},
		{Name: "[root]/../../escape"},
		{Name: "[root]/a//b"},
		{Name: "."},
		{Name: ""},
		{Name: "[root]/f"},   // twice
		{Name: "[root]/f/g"}, // a file is no directory
		{Name: "[root]/dev", Typeflag: tar.TypeChar},
		{Name: "[root]/fifo", Typeflag: tar.TypeFifo},
		{Name: "[root]/hard", Linkname: "/etc/passwd", Typeflag: tar.TypeLink},
		link("[root]/ok", "f"), link("[root]/d/ok", "../f"), link("[root]/abs", "/etc/passwd"), link("[root]/up", "../../x"),
		link("[root]/s", "d/.."), link("[root]/write", "../.."),
		{Name: "[root]/write/escape"},
		link("[root]/d/p", ".."), link("[root]/d/p/q", "../x"),
		{Name: "[root]/last"},
	}}
	for i := range c.members {
		c.body[i] = fmt.Sprint("content ", i)
	}
	bundle := c.seal(t, key.id)
	report, err := Extract(t.Context(), open(t, bundle, key.id).Members(t.Context()), dir, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	count := make(map[string]int)
	for _, p := range report.Problems {
		count[p.Kind]++
	}
	if count["name"] < 5 || count["type"] != 3 || count["duplicate"] != 3 || count["link"] != 4 {
		t.Errorf("%v in %+v", count, report.Problems)
	}
	entries, err := os.ReadDir(top)
	if err != nil || len(entries) != 1 {
		t.Errorf("written outside: %v, %v", entries, err)
	}
	for name, want := range map[string]string{"f": "content 0", "ok": "content 0", "d/ok": "content 0", "abs.symlink": "/etc/passwd\n", "last": "content 21"} {
		if got, err := os.ReadFile(filepath.Join(dir, "[root]", name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	checkModes(t, dir)
	if _, err := Extract(t.Context(), open(t, bundle, key.id).Members(t.Context()), dir, Limits{}); err == nil {
		t.Error("extracted over what was there")
	}
}

// checkModes wants nothing but plain files, directories and links that stay inside.
func checkModes(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		switch info.Mode() {
		case 0o600, fs.ModeDir | 0o700:
			return nil
		}
		if info.Mode().Type() != fs.ModeSymlink {
			t.Errorf("%s has mode %v", name, info.Mode())
			return nil
		}
		if real, err := filepath.EvalSymlinks(name); err == nil && !strings.HasPrefix(real, dir) {
			t.Errorf("%s leads to %s", name, real)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// A time that Go cannot set leaves the file with that of its writing: another one would be a lie about the evidence.
func TestExtractFarTimes(t *testing.T) {
	id, dir := newKey(t), filepath.Join(t.TempDir(), "out")
	c := crafted{members: []tar.Header{{Name: "past", ModTime: time.Date(1500, 1, 1, 0, 0, 0, 5, time.UTC)}, {Name: "future", ModTime: time.Date(2400, 1, 1, 0, 0, 0, 5, time.UTC)}}}
	report, err := Extract(t.Context(), open(t, c.seal(t, id), id).Members(t.Context()), dir, Limits{})
	if err != nil || len(report.Problems) > 0 {
		t.Fatal(report, err)
	}
	for _, m := range c.members {
		if info, err := os.Stat(filepath.Join(dir, m.Name)); err != nil || time.Since(info.ModTime()).Abs() > 24*time.Hour {
			t.Errorf("%s: %v, %v", m.Name, info.ModTime(), err)
		}
	}
}

func TestExtractLimits(t *testing.T) {
	key := failKey{newKey(t)}
	bundle, _ := build(t, key.id, func(w *Writer) {
		for i := range 10 {
			addFile(t, w, fmt.Sprintf("/f%d", i), noise(uint64(i), 1000))
		}
	})
	for _, l := range []Limits{{Bytes: 5000}, {Files: 5}} {
		report, err := Extract(t.Context(), open(t, bundle, key.id).Members(t.Context()), filepath.Join(t.TempDir(), "x"), l)
		if err != nil || len(report.Problems) != 1 || report.Problems[0].Kind != "limit" || report.Bytes > 6000 || report.Files > 5 {
			t.Errorf("%+v, %v", report, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Extract(ctx, open(t, bundle, key.id).Members(ctx), filepath.Join(t.TempDir(), "x"), Limits{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	report, err := Extract(t.Context(), Salvage(t.Context(), bytes.NewReader(bundle[:len(bundle)-1]), key.id), filepath.Join(t.TempDir(), "x"), Limits{})
	if err != nil || len(report.Problems) != 1 || report.Problems[0].Kind != "cut" {
		t.Errorf("%+v, %v", report, err)
	}
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"openclaw_ir_manifest":1,"frames":1,"rows":1}` + "\n" + `{"frame_table":[[0,0]]}` + "\n" + craftedRow("/f", 512, 7, "content")))
	f.Add([]byte(`{"path":"/a\\xff","path_b64":"L2H/","status":"missing","size":0}` + "\n"))
	f.Fuzz(func(t *testing.T, manifest []byte) {
		lines := newLineReader(bytes.NewReader(manifest))
		if _, _, err := parseHead(lines, trailer{stored: 100, tar: 1024}); err != nil {
			lines = newLineReader(bytes.NewReader(manifest))
		}
		for row, err := range parseRows(lines) {
			if err != nil {
				return
			}
			line, err := appendRow(nil, row)
			if err != nil {
				continue // times that cannot be written never come from us
			}
			again, err := parseRow(line[:len(line)-1])
			if err != nil || again.Path != row.Path || again.Link != row.Link {
				t.Errorf("%q becomes %q, %v", row.Path, again.Path, err)
			}
		}
	})
}

func FuzzTrailer(f *testing.F) {
	f.Add(trailer{100, 1024}.bytes(), int64(1000))
	f.Fuzz(func(t *testing.T, b []byte, size int64) {
		end, err := parseTrailer(b, size)
		if err == nil && (end.stored < 0 || end.tar < 0 || end.stored > size || !bytes.Equal(end.bytes(), b)) {
			t.Errorf("%+v", end)
		}
	})
}

func FuzzSums(f *testing.F) {
	f.Add("/a\n\\b\rc")
	f.Fuzz(func(t *testing.T, name string) {
		row := Row{Meta: Meta{Path: name, Type: File}, At: 512, SHA256: hexSum("")}
		line := appendSum(nil, row)
		if line == nil {
			return
		}
		member, err := memberName(name)
		got, digest, err2 := parseSum(string(line[:len(line)-1]))
		if err != nil || err2 != nil || got != member || digest != row.SHA256 {
			t.Errorf("%q becomes %q", member, got)
		}
	})
}
