package collect

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/crypto/ssh"
)

// maxHostile bounds what a fuzzed bundle may unpack to, so that an honest run of zeros takes no minutes.
const maxHostile = 32 << 20

// sealStream encrypts what stands where a bundle's frames, manifest and trailer should.
func sealStream(t testing.TB, id *age.X25519Identity, stream []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := age.Encrypt(&out, id.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(stream); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func decrypted(t testing.TB, bundle []byte, id age.Identity) []byte {
	t.Helper()
	r, err := age.Decrypt(bytes.NewReader(bundle), id)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// checkHostile opens a bundle in every way that there is. Verify tells of each content that is not what the manifest says, however it
// is read; what Members and Salvage read is the same; and nothing is written outside the directory.
func checkHostile(t *testing.T, bundle []byte, id age.Identity) {
	report := verify(t, bundle, nil, id)
	holds := len(report.Problems) == 1 && report.Problems[0].Kind == "unsealed"
	b, err := OpenBundle(bytes.NewReader(bundle), int64(len(bundle)), id)
	if (err == nil) != report.Opened {
		t.Fatalf("opening says %v, and Verify %+v", err, report)
	}
	known := map[string]bool{}
	if err == nil {
		known = checkContents(t, b, holds)
		checkSalvage(t, b, bundle, id)
	}
	top := t.TempDir()
	dir := filepath.Join(top, "out")
	salvaged := Salvage(t.Context(), bytes.NewReader(bundle), id)
	if _, err := Extract(t.Context(), salvaged, dir, Limits{Bytes: maxHostile, Files: 1000}); err != nil && !errors.Is(err, ErrMalformed) {
		t.Fatalf("extracting: %v", err)
	}
	if entries, err := os.ReadDir(top); err != nil || len(entries) > 1 {
		t.Fatalf("written outside: %v, %v", entries, err)
	}
	checkModes(t, dir)
	if holds {
		checkExtracted(t, dir, known)
	}
}

// checkContents reads what the manifest promises, and returns the digests of what is as promised.
func checkContents(t *testing.T, b *Bundle, holds bool) map[string]bool {
	known := map[string]bool{}
	for row, err := range b.Rows() {
		if err != nil {
			if holds {
				t.Errorf("Verify has nothing against a manifest that ends in %v", err)
			}
			break
		}
		if row.At == 0 || row.Type != File || row.Size > maxHostile {
			continue
		}
		sum, err := sumOf(b.Content(row))
		if holds && (err != nil || sum != row.StoredDigest()) {
			t.Errorf("Verify has nothing against %q, whose content is %s, %v, and not %s", row.Path, sum, err, row.StoredDigest())
		}
		known[sum] = true
	}
	fsys := b.FS()
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil
		}
		fi, err := d.Info()
		if err != nil || fi.Size() > maxHostile {
			return err
		}
		if text, err := fs.ReadFile(fsys, name); err == nil && int64(len(text)) != fi.Size() {
			t.Errorf("%q has %d bytes and says %d", name, len(text), fi.Size())
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if holds && len(b.Problems()) > 0 && !errors.Is(b.Problems()[0], ErrMalformed) {
		t.Errorf("Verify has nothing against %v", b.Problems())
	}
	return known
}

func sumOf(r *io.SectionReader, err error) (string, error) {
	if err != nil {
		return "", err
	}
	h := sha256.New()
	_, err = io.Copy(h, r)
	return hex.EncodeToString(h.Sum(nil)), err
}

// A sighting is what one way of reading has of a member.
type sighting struct {
	name, link, sum string
	kind            Type
	at, size        int64
}

func sightings(members iter.Seq2[Member, error]) (list []sighting, err error) {
	for m, err := range members {
		if err != nil {
			return list, err
		}
		h := sha256.New()
		if _, err := io.Copy(h, m.Body); err != nil {
			return list, err
		}
		list = append(list, sighting{m.Name, m.Link, hex.EncodeToString(h.Sum(nil)), m.Type, m.At, m.Size})
	}
	return list, nil
}

// checkSalvage compares the archive as the manifest's table leads through it with what is there from beginning to end.
func checkSalvage(t *testing.T, b *Bundle, bundle []byte, id age.Identity) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	want, err := sightings(b.Members(ctx))
	if err != nil {
		return
	}
	got, err := sightings(Salvage(ctx, bytes.NewReader(bundle), id))
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("Members has %v, Salvage %v, %v", want, got, err)
	}
}

// checkExtracted wants every file to be one that the manifest speaks of.
func checkExtracted(t *testing.T, dir string, known map[string]bool) {
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, name)
		if err != nil || !d.Type().IsRegular() || rel == memberManifest || rel == memberSums || strings.HasSuffix(name, ".symlink") {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if sum := sha256.Sum256(text); !known[hex.EncodeToString(sum[:])] {
			t.Errorf("Verify has nothing against %q, which is extracted and in no row", rel)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// FuzzStream opens what was encrypted for us and may be no bundle at all: frames, bombs, tables and trailers that lie.
func FuzzStream(f *testing.F) {
	id := newKey(f)
	f.Add(decrypted(f, one().seal(f, id), id))
	bundle, _ := build(f, id, func(w *Writer) {
		addFile(f, w, "/home/claw/.openclaw/openclaw.json", "{}")
		addFile(f, w, "/a\xff\n", noise(1, 1<<10))
	})
	f.Add(decrypted(f, bundle, id))
	f.Fuzz(func(t *testing.T, stream []byte) {
		if unpacksTo(stream) > maxHostile {
			return
		}
		checkHostile(t, sealStream(t, id, stream), id)
	})
}

// unpacksTo is about how much the frames of a stream hold.
func unpacksTo(stream []byte) (n int64) {
	d, err := newFrameReader(bytes.NewReader(stream))
	if err != nil {
		return 0
	}
	defer d.Close()
	n, _ = io.Copy(io.Discard, io.LimitReader(d, maxHostile+1))
	return n
}

// FuzzArchive opens a bundle whose frames are honest, and whose archive and manifest may say anything.
func FuzzArchive(f *testing.F) {
	id := newKey(f)
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		f.Fatal(err)
	}
	for _, c := range []crafted{
		one(),
		{members: []tar.Header{{Name: "[root]/d", Typeflag: tar.TypeDir}, {Name: "[root]/l", Linkname: "../f", Typeflag: tar.TypeSymlink}, {Name: "live/x"}}},
		{members: []tar.Header{{Name: "../f"}, {Name: "[root]/f", Linkname: "/etc/passwd", Typeflag: tar.TypeLink}, {Name: "[root]/f", Typeflag: tar.TypeChar}}},
	} {
		stream := decrypted(f, c.seal(f, id), id)
		end, err := parseTrailer(stream[len(stream)-trailerSize:], int64(len(stream)))
		if err != nil {
			f.Fatal(err)
		}
		archive, err := io.ReadAll(mustFrames(f, stream[:end.stored]))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(archive, []byte(c.rows))
		f.Add(bytes.Replace(archive, []byte("content"), []byte("CONTENT"), 1), []byte(c.rows)) // which Verify alone can tell
		f.Add(archive, bytes.Replace([]byte(c.rows), []byte(`"header_size":512`), []byte(`"header_size":0`), 1))
	}
	f.Fuzz(func(t *testing.T, archive, rows []byte) {
		if bytes.Count(rows, []byte("\n")) > 1000 {
			return
		}
		checkHostile(t, sealStream(t, id, streamOf(t, enc, archive, rows)), id)
	})
}

func mustFrames(t testing.TB, stream []byte) io.Reader {
	t.Helper()
	d, err := newFrameReader(bytes.NewReader(stream))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// streamOf puts an archive, a manifest with these rows and the sums of what they name into honest frames.
func streamOf(t *testing.T, enc *zstd.Encoder, archive, rows []byte) []byte {
	stored := enc.EncodeAll(archive, nil)
	head := fmt.Sprintf(`{"openclaw_ir_manifest":1,"frames":1,"rows":%d}`+"\n"+`{"frame_table":[[0,0]]}`+"\n", bytes.Count(rows, []byte("\n")))
	manifest := append([]byte(head), rows...)
	sums := []byte(hex.EncodeToString(sumBytes(manifest)) + "  " + memberManifest + "\n")
	for row, err := range parseRows(newLineReader(bytes.NewReader(rows))) {
		if err != nil {
			break
		}
		sums = appendSum(sums, row)
	}
	var tail bytes.Buffer
	w := tar.NewWriter(&tail)
	for _, m := range []struct {
		name string
		text []byte
	}{{memberManifest, manifest}, {memberSums, sums}} {
		if err := w.WriteHeader(&tar.Header{Name: m.name, Size: int64(len(m.text)), Format: tar.FormatPAX, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(m.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	end := trailer{int64(len(stored)), int64(len(archive))}
	return append(append(stored, enc.EncodeAll(tail.Bytes(), nil)...), end.bytes()...)
}

func sumBytes(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:]
}

// FuzzChain lays a hostile second snapshot over an honest first one. What the union shows has the size that it says, and reads the same
// from any offset.
func FuzzChain(f *testing.F) {
	id := newKey(f)
	first, sum := build(f, id, func(w *Writer) { addFile(f, w, "/f", "0123456789"); addFile(f, w, "/g/h", "kept") })
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		f.Fatal(err)
	}
	sealOf := func(t testing.TB, c Ciphertext, number int) []byte {
		seal, err := Seal{Bundle: "B", Ciphertext: c, Link: &Link{Chain: "C", Number: number, Full: number == 1, State: hexSum("")}}.Sign(testSigner(t))
		if err != nil {
			t.Fatal(err)
		}
		return seal
	}
	one := LinkFile{Name: "1", Seal: sealOf(f, sum.Ciphertext, 1), Bundle: bytes.NewReader(first), Size: int64(len(first))}
	f.Add("/f", "abc", int64(10), int64(12), []byte{2, 1, 10, 2})
	f.Add("/g", "", int64(0), int64(0), []byte{})
	f.Fuzz(func(t *testing.T, name, content string, base, size int64, ranges []byte) {
		archive, row := deltaMember(t, name, content, base, size, ranges)
		bundle := sealStream(t, id, streamOf(t, enc, archive, row))
		two := LinkFile{Name: "2", Seal: sealOf(t, Ciphertext{ChunkSize: 1}, 2), Bundle: bytes.NewReader(bundle), Size: int64(len(bundle))}
		c, err := OpenChain(t.Context(), []LinkFile{one, two}, id)
		if err != nil {
			return
		}
		checkUnion(t, c.FS())
		for n := 1; n <= 2; n++ {
			state, digest, _ := c.State(n)
			if !isDigest(digest, true) {
				t.Errorf("state %d has the digest %q", n, digest)
			}
			checkUnion(t, state)
		}
	})
}

// deltaMember is an archive of one member that changes a file, and its row. ranges are offsets and lengths, a byte each.
func deltaMember(t *testing.T, name, content string, base, size int64, ranges []byte) (archive, row []byte) {
	d := &Delta{Base: base, Size: size}
	for i := 0; i+1 < len(ranges); i += 2 {
		d.Ranges = append(d.Ranges, [2]int64{int64(ranges[i]), int64(ranges[i+1])})
	}
	r := Row{Meta: Meta{Path: name, Type: File}, Status: Collected, Size: int64(len(content)), SHA256: hexSum(content), Delta: d}
	member, err := r.memberName()
	if err != nil {
		t.Skip()
	}
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	if err := w.WriteHeader(&tar.Header{Name: member, Size: r.Size, Format: tar.FormatPAX, Typeflag: tar.TypeReg}); err != nil {
		t.Skip()
	}
	r.At, r.HeaderSize = int64(buf.Len()), int64(buf.Len())
	_, _ = io.WriteString(w, content)
	_ = w.Flush()
	row, err = appendRow(nil, r)
	if err != nil {
		t.Skip()
	}
	return buf.Bytes(), row
}

func checkUnion(t *testing.T, fsys fs.FS) {
	if fsys == nil {
		return
	}
	_ = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil
		}
		fi, err := d.Info()
		if err != nil || fi.Size() != int64(len(text)) {
			t.Errorf("%q has %d bytes and says %d", name, len(text), fi.Size())
		}
		file, err := fsys.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		for off := range text {
			got := make([]byte, min(3, len(text)-off))
			if _, err := file.(io.ReaderAt).ReadAt(got, int64(off)); err != nil && !errors.Is(err, io.EOF) || !bytes.Equal(got, text[off:off+len(got)]) {
				t.Fatalf("%q at %d: %q, %v", name, off, got, err)
			}
		}
		return nil
	})
}

// FuzzRecipients reads keys that anybody could have put into the file. What is taken can be sealed for, and no error repeats a line,
// which may be a secret given by mistake.
func FuzzRecipients(f *testing.F) {
	id := newKey(f)
	f.Add(id.Recipient().String())
	f.Add("# comment\r\n\n" + string(ssh.MarshalAuthorizedKey(testSigner(f).PublicKey())))
	f.Add(id.String())
	f.Add("age1plugin1xyz\nage1pq1\nssh-rsa AAAA")
	f.Fuzz(func(t *testing.T, file string) {
		list, err := ParseRecipients(strings.NewReader(file), "recipients.txt")
		if (err == nil) != (len(list) > 0) {
			t.Fatalf("%d recipients and %v", len(list), err)
		}
		if err != nil {
			for word := range strings.FieldsSeq(file) {
				if len(word) > 16 && !strings.Contains("recipients.txt unsupported X25519", word) && strings.Contains(err.Error(), word) {
					t.Errorf("%v repeats %q", err, word)
				}
			}
			return
		}
		for _, r := range list {
			if _, err := age.Encrypt(io.Discard, r.Age); err != nil || strings.ContainsAny(r.Description, "\n\x1b") {
				t.Errorf("%q: %v", r.Description, err)
			}
		}
	})
}

// FuzzIdentities reads a file of secret keys: some or an error, never a secret in the error.
func FuzzIdentities(f *testing.F) {
	const secretKey = "AGE-SECRET-KEY-1QYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQS3290GQ"
	f.Add(newKey(f).String())
	f.Add("# created: now\n" + secretKey + "x\n")
	f.Add("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n")
	f.Add("-----BEGIN AGE ENCRYPTED FILE-----\nYWdlLWVuY3J5cHRpb24ub3JnL3YxCg==\n-----END AGE ENCRYPTED FILE-----\n")
	f.Add("age-encryption.org/v1\n-> scrypt AAAAAAAAAAAAAAAAAAAAAA 18\n")
	f.Fuzz(func(t *testing.T, file string) {
		ask := func(string) ([]byte, error) { return nil, errors.New("nobody to ask") }
		ids, err := ParseIdentities(strings.NewReader(file), "key.txt", ask)
		if (err == nil) != (len(ids) > 0) {
			t.Fatalf("%d identities and %v", len(ids), err)
		}
		if err != nil && strings.Contains(strings.ToUpper(err.Error()), "AGE-SECRET-KEY-1") {
			t.Errorf("the error holds a secret: %v", err)
		}
	})
}

// FuzzKeep reads what a chain keeps: what is read is written so that it reads the same.
func FuzzKeep(f *testing.F) {
	f.Add("24h,30d,12m")
	f.Add("1y, +2w")
	f.Fuzz(func(t *testing.T, text string) {
		k, err := ParseKeep(text)
		if (err == nil) != (len(k) > 0) {
			t.Fatalf("%q is %v and %v", text, k, err)
		}
		if err == nil {
			if again, err := ParseKeep(k.String()); err != nil || !slices.Equal(again, k) {
				t.Fatalf("%q reads as %q, and that as %q, %v", text, k, again, err)
			}
		}
	})
}
