package collect

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"golang.org/x/crypto/ssh"
	"pgregory.net/rapid"

	"github.com/clawbook/openclaw-ir/internal/host"
)

// A fakeChain is a directory with the seals of a chain, and bundles that nobody opens.
type fakeChain struct {
	tb     testing.TB
	dir    string
	signer ssh.Signer
	id     string
	seals  [][]byte // by number, from 1
	now    time.Time
}

func seededSigner(tb testing.TB, seed byte) ssh.Signer {
	tb.Helper()
	signer, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize)))
	if err != nil {
		tb.Fatal(err)
	}
	return signer
}

// newFakeChain makes a chain of so many links, every so manieth of them full.
func newFakeChain(tb testing.TB, links, everyFull int) *fakeChain {
	c := &fakeChain{
		tb: tb, dir: tb.TempDir(), signer: seededSigner(tb, 1), id: "OURS", seals: [][]byte{nil},
		now: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
	}
	for n := 1; n <= links; n++ {
		c.add(n, (n-1)%everyFull == 0)
	}
	return c
}

func (c *fakeChain) name(number int) string { return fmt.Sprintf("b-%06d.tar.zst.age", number) }

// add writes a link that comes after the last one.
func (c *fakeChain) add(number int, full bool) {
	prev := ""
	if n := len(c.seals) - 1; n > 0 {
		prev = SealDigest(c.seals[n])
	}
	c.now = c.now.Add(time.Hour)
	c.seals = append(c.seals, c.write(c.name(number), prev, Link{c.id, number, full, strings.Repeat("ab", 32)}))
}

// write writes a bundle and its seal.
func (c *fakeChain) write(name, prev string, link Link) []byte {
	content := bytes.Repeat([]byte(name), 300)
	w := newSealWriter(&bytes.Buffer{})
	w.sum.ChunkSize = 1 << 10
	if _, err := w.Write(content); err != nil {
		c.tb.Fatal(err)
	}
	seal, err := Seal{Bundle: name, Ciphertext: w.ciphertext(), Created: c.now, Host: "bakery", PrevSeal: prev, Link: &link}.Sign(c.signer)
	if err != nil {
		c.tb.Fatal(err)
	}
	c.put(name, content)
	c.put(name+".seal", seal)
	return seal
}

func (c *fakeChain) put(name string, content []byte) {
	if err := os.WriteFile(filepath.Join(c.dir, name), content, 0o600); err != nil {
		c.tb.Fatal(err)
	}
}

func (c *fakeChain) remove(names ...string) {
	for _, name := range names {
		if err := os.Remove(filepath.Join(c.dir, name)); err != nil {
			c.tb.Fatal(err)
		}
	}
}

func (c *fakeChain) edit(name string, change func([]byte) []byte) {
	data, err := os.ReadFile(filepath.Join(c.dir, name))
	if err != nil {
		c.tb.Fatal(err)
	}
	c.put(name, change(data))
}

func (c *fakeChain) head() ChainHead {
	n := len(c.seals) - 1
	return ChainHead{SealDigest(c.seals[n]), n}
}

func (c *fakeChain) verify(o ChainOptions) *ChainReport {
	c.tb.Helper()
	root, err := host.OpenRoot(c.dir)
	if err != nil {
		c.tb.Fatal(err)
	}
	defer root.Close()
	o.Now = c.now
	r, err := VerifyChain(context.Background(), DirShelf(root), o)
	if err != nil {
		c.tb.Fatal(err)
	}
	return r
}

// kindsOf lists what was told, as "kind link".
func kindsOf(list []ChainProblem) (out []string) {
	for _, p := range list {
		out = append(out, fmt.Sprintf("%s %d", p.Kind, p.Link))
	}
	slices.Sort(out)
	return out
}

func flip(at int) func([]byte) []byte {
	return func(b []byte) []byte {
		b[at%len(b)] ^= 1
		return b
	}
}

// TestChainTampering does to a chain of 12 links, each fifth of them full, what an intruder or a bad disk would.
func TestChainTampering(t *testing.T) {
	for _, x := range []struct {
		name     string
		change   func(*fakeChain)
		options  func(*fakeChain, *ChainOptions)
		problems []string
		remarks  []string
		unread   []string
	}{
		{name: "nothing", change: func(*fakeChain) {}},
		{name: "a byte of a bundle", change: func(c *fakeChain) { c.edit(c.name(3), flip(700)) }, problems: []string{"chunk 3"}},
		{
			name: "a byte of a bundle, seen quickly", change: func(c *fakeChain) { c.edit(c.name(3), flip(700)) },
			options: func(_ *fakeChain, o *ChainOptions) { o.Quick = true },
		},
		{name: "a bundle cut short", change: func(c *fakeChain) { c.edit(c.name(3), func(b []byte) []byte { return b[:900] }) }, problems: []string{"chunk 3", "size 3"}},
		{name: "a byte of a seal", change: func(c *fakeChain) { c.edit(c.name(3)+".seal", flip(500)) }, problems: []string{"gap 3", "needed 4", "signature 3"}},
		{
			name: "a host in a seal", change: func(c *fakeChain) {
				c.edit(c.name(3)+".seal", func(b []byte) []byte { return bytes.Replace(b, []byte("bakery"), []byte("butler"), 1) })
			}, problems: []string{"gap 3", "needed 4", "signature 3"},
		},
		{name: "a link taken out", change: func(c *fakeChain) { c.remove(c.name(4), c.name(4)+".seal") }, problems: []string{"gap 4", "needed 5"}},
		{name: "the beginning taken away", change: func(c *fakeChain) {
			for n := 1; n <= 5; n++ {
				c.remove(c.name(n), c.name(n)+".seal")
			}
		}, problems: []string{"gap 1"}},
		{name: "the end cut off", change: func(c *fakeChain) { c.remove(c.name(12), c.name(12)+".seal") }},
		{
			name: "the end cut off, with a head", change: func(c *fakeChain) { c.remove(c.name(12), c.name(12)+".seal") },
			options: func(c *fakeChain, o *ChainOptions) { o.Head, o.HeadFrom = c.head(), "--head" }, problems: []string{"head 12"},
		},
		{
			name: "a head of another number", change: func(*fakeChain) {},
			options: func(c *fakeChain, o *ChainOptions) { o.Head = ChainHead{c.head().Seal, 11} }, problems: []string{"head 12"},
		},
		{name: "a second end", change: func(c *fakeChain) {
			c.write("fork-000012.tar.zst.age", SealDigest(c.seals[11]), Link{c.id, 12, false, strings.Repeat("cd", 32)})
		}, problems: []string{"fork 12"}},
		{name: "a fork further back", change: func(c *fakeChain) {
			c.now = c.now.Add(-5 * time.Hour)
			c.write("fork-000006.tar.zst.age", SealDigest(c.seals[5]), Link{c.id, 6, true, strings.Repeat("cd", 32)})
			c.now = c.now.Add(5 * time.Hour)
		}, problems: []string{"fork 6"}},
		{name: "a link that names another", change: func(c *fakeChain) {
			c.write("x-000013.tar.zst.age", strings.Repeat("0", 64), Link{c.id, 13, false, strings.Repeat("cd", 32)})
		}, problems: []string{"link 13"}},
		{name: "a link of somebody else", change: func(c *fakeChain) {
			c.signer = seededSigner(c.tb, 2)
			c.add(13, true)
		}, problems: []string{"gap 1", "signer 0"}},
		{
			name: "a link of somebody else, with the signer", change: func(c *fakeChain) {
				c.signer = seededSigner(c.tb, 2)
				c.add(13, true)
			}, options: func(_ *fakeChain, o *ChainOptions) { o.Signer = ssh.FingerprintSHA256(seededSigner(t, 1).PublicKey()) },
			problems: []string{"foreign 13"},
		},
		{
			name: "a chain of somebody else, with the signer", change: func(c *fakeChain) {
				c.signer, c.id = seededSigner(c.tb, 2), "THEIRS"
				c.write("theirs.tar.zst.age", "", Link{c.id, 1, true, strings.Repeat("cd", 32)})
			}, options: func(_ *fakeChain, o *ChainOptions) { o.Signer = ssh.FingerprintSHA256(seededSigner(t, 1).PublicKey()) },
			remarks: []string{"other 1"},
		},
		{
			name: "the wrong signer", change: func(*fakeChain) {},
			options: func(_ *fakeChain, o *ChainOptions) { o.Signer = "SHA256:nobody" }, problems: []string{"none 0"},
			remarks: []string{"other 1", "other 10", "other 11", "other 12", "other 2", "other 3", "other 4", "other 5", "other 6", "other 7", "other 8", "other 9"},
		},
		{name: "a clock set back", change: func(c *fakeChain) {
			c.now = c.now.Add(-10 * time.Hour)
			c.add(13, false)
			c.now = c.now.Add(10 * time.Hour)
		}, remarks: []string{"clock 13"}},
		{name: "a clock ahead", change: func(c *fakeChain) {
			c.now = c.now.Add(100 * time.Hour)
			c.add(13, false)
			c.now = c.now.Add(-100 * time.Hour)
		}, remarks: []string{"clock 13"}},
		{name: "retention", change: func(c *fakeChain) { c.remove(c.name(1), c.name(2), c.name(3), c.name(4), c.name(5), c.name(9)) }, problems: []string{"needed 10"}, remarks: []string{"removed 0"}},
		{name: "retention that keeps what is needed", change: func(c *fakeChain) { c.remove(c.name(2), c.name(3), c.name(4), c.name(5), c.name(10)) }, remarks: []string{"removed 0"}},
		{
			name: "a removal without a record", change: func(c *fakeChain) { c.remove(c.name(1), c.name(2), c.name(3), c.name(4), c.name(5)) },
			options:  func(c *fakeChain, o *ChainOptions) { o.Recorded = func(name string) bool { return name != c.name(4) } },
			problems: []string{"unrecorded 4"}, remarks: []string{"removed 0"},
		},
		{name: "the last full one removed", change: func(c *fakeChain) { c.remove(c.name(11)) }, problems: []string{"missing 11", "needed 12"}},
		{name: "the last one removed", change: func(c *fakeChain) { c.remove(c.name(12)) }, problems: []string{"missing 12"}},
		{name: "a bundle that was never sealed", change: func(c *fakeChain) { c.put("b-000013.tar.zst.age", nil) }, remarks: []string{"unsealed 0"}},
		{name: "a copy", change: func(c *fakeChain) { c.put("z.tar.zst.age.seal", c.seals[3]) }, remarks: []string{"copy 3", "name 3"}},
		{name: "what is no seal", change: func(c *fakeChain) { c.put("z.tar.zst.age.seal", []byte("{}\n{}\n")) }, problems: []string{"seal 0"}},
		{name: "other things", change: func(c *fakeChain) { c.put("notes.txt", nil); c.put("b-000012.tar.zst.age.partial", nil) }},
		{name: "a pipe", change: func(c *fakeChain) { c.must(syscall.Mkfifo(filepath.Join(c.dir, "z.tar.zst.age.seal"), 0o600)) }, unread: []string{"unread 0"}},
		{name: "a link to a file", change: func(c *fakeChain) {
			c.must(os.Rename(filepath.Join(c.dir, c.name(12)), filepath.Join(c.dir, "x")))
			c.must(os.Symlink("x", filepath.Join(c.dir, c.name(12))))
		}, problems: []string{"missing 12"}, unread: []string{"unread 0"}},
		{name: "a huge seal", change: func(c *fakeChain) {
			c.put("z.tar.zst.age.seal", nil)
			c.must(os.Truncate(filepath.Join(c.dir, "z.tar.zst.age.seal"), 1<<40))
		}, unread: []string{"unread 0"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := newFakeChain(t, 12, 5)
			x.change(c)
			o := ChainOptions{}
			if x.options != nil {
				x.options(c, &o)
			}
			r := c.verify(o)
			for _, list := range []struct {
				what string
				got  []ChainProblem
				want []string
			}{{"problems", r.Problems, x.problems}, {"remarks", r.Remarks, x.remarks}, {"unread", r.Unread, x.unread}} {
				if got := kindsOf(list.got); !slices.Equal(got, list.want) {
					t.Errorf("%s: %q, want %q: %+v", list.what, got, list.want, list.got)
				}
			}
			if r.OK() != (len(x.problems) == 0) {
				t.Errorf("OK says %v", r.OK())
			}
		})
	}
}

func (c *fakeChain) must(err error) {
	if err != nil {
		c.tb.Fatal(err)
	}
}

func TestChainNone(t *testing.T) {
	root, err := host.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if _, err := VerifyChain(context.Background(), DirShelf(root), ChainOptions{}); err != ErrNoChain { //nolint:errorlint // exactly this
		t.Errorf("an empty directory: %v", err)
	}
}

// TestChainEveryByte changes, cuts, removes or swaps any file of a chain of which the head was kept elsewhere: it is always seen.
func TestChainEveryByte(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := newFakeChain(t, rapid.IntRange(1, 6).Draw(rt, "links"), rapid.IntRange(1, 3).Draw(rt, "every"))
		if r := c.verify(ChainOptions{Head: c.head()}); !r.OK() || len(r.Remarks)+len(r.Unread) > 0 || r.Chains[0].Vouched != r.Chains[0].Last {
			rt.Fatalf("as it was made: %+v", r)
		}
		file := c.name(rapid.IntRange(1, len(c.seals)-1).Draw(rt, "link")) + rapid.SampledFrom([]string{"", ".seal"}).Draw(rt, "file")
		before, err := os.ReadFile(filepath.Join(c.dir, file))
		c.must(err)
		at := rapid.IntRange(0, len(before)-1).Draw(rt, "at")
		switch rapid.SampledFrom([]string{"change", "cut", "grow", "remove"}).Draw(rt, "how") {
		case "change":
			c.edit(file, func(b []byte) []byte { b[at] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit"); return b })
		case "cut":
			c.edit(file, func(b []byte) []byte { return b[:at] })
		case "grow":
			c.edit(file, func(b []byte) []byte { return append(b, 'x') })
		default:
			c.remove(file)
		}
		r := c.verify(ChainOptions{Head: c.head()})
		if r.OK() && len(r.Remarks) == 0 {
			rt.Fatalf("nothing was said of %s", file)
		}
	})
}

// A crowded shelf lists more things that have the names of seals.
type crowded struct {
	Shelf
	more int
}

func (c crowded) List(ctx context.Context) iter.Seq2[ShelfEntry, error] {
	return func(yield func(ShelfEntry, error) bool) {
		for e, err := range c.Shelf.List(ctx) {
			if !yield(e, err) {
				return
			}
		}
		for i := range c.more {
			if !yield(ShelfEntry{Name: fmt.Sprintf("z%d.tar.zst.age.seal", i)}, nil) {
				return
			}
		}
	}
}

// TestChainBounds verifies a chain on a shelf with more names than are looked at: what is said of them is bounded, and counted.
func TestChainBounds(t *testing.T) {
	c := newFakeChain(t, 3, 2)
	root, err := host.OpenRoot(c.dir)
	c.must(err)
	defer root.Close()
	const more = maxLinks + 500
	r, err := VerifyChain(context.Background(), crowded{DirShelf(root), more}, ChainOptions{Now: c.now, Quick: true})
	c.must(err)
	if !r.OK() || r.Seals != 3 || len(r.Unread) != maxProblems || r.Dropped != more-maxProblems {
		t.Errorf("%d seals, %d problems, %d unread, %d dropped", r.Seals, len(r.Problems), len(r.Unread), r.Dropped)
	}
}

// BenchmarkChainVerify verifies a chain of 1,000 links: the seals alone, the bundles with them, and every file with the state that
// each link stands for.
func BenchmarkChainVerify(b *testing.B) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		b.Fatal(err)
	}
	c := newFakeChain(b, 0, 1)
	content := ""
	for n := 1; n <= 1000; n++ {
		more := fmt.Sprintf("line %d\n", n)
		row := wholeNotes(more)
		if n > 1 {
			row = moreNotes(int64(len(content)), more, content+more)
		}
		content += more
		c.seal(id, n, notesState(content), row)
	}
	for name, o := range map[string]ChainOptions{"seals": {Quick: true}, "bundles": {}, "files": {Identities: []age.Identity{id}}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if r := c.verify(o); !r.OK() || r.Seals != 1000 || len(r.Unread) > 0 {
					b.Fatalf("%+v", r)
				}
			}
		})
	}
}

// notesFile is the one file that a sealed chain is about.
const notesFile = "/home/alice/notes"

// seal writes a link that can be opened.
func (c *fakeChain) seal(id *age.X25519Identity, number int, state string, row func(*Writer) error) {
	var bundle bytes.Buffer
	w, err := NewWriter(&bundle, []age.Recipient{id.Recipient()}, Header{})
	c.must(err)
	c.must(row(w))
	sum, err := w.Close(func() []byte { return nil })
	c.must(err)
	prev := ""
	if n := len(c.seals) - 1; n > 0 {
		prev = SealDigest(c.seals[n])
	}
	seal, err := Seal{
		Bundle: c.name(number), Ciphertext: sum.Ciphertext, ManifestSHA256: sum.ManifestSHA256, Created: c.now, PrevSeal: prev,
		Link: &Link{c.id, number, number == 1, state},
	}.Sign(c.signer)
	c.must(err)
	c.put(c.name(number), bundle.Bytes())
	c.put(c.name(number)+SealSuffix, seal)
	c.seals = append(c.seals, seal)
}

// notesState is the digest of a state of which the file holds this.
func notesState(content string) string {
	sum := sha256.New()
	stateLine(sum, notesFile, int64(len(content)), SealDigest([]byte(content)))
	return hex.EncodeToString(sum.Sum(nil))
}

func wholeNotes(content string) func(*Writer) error {
	return func(w *Writer) error {
		_, err := w.AddFile(Meta{Path: notesFile, Type: File}, strings.NewReader(content), int64(len(content)))
		return err
	}
}

// moreNotes adds to the file; now is what it says that the whole is then.
func moreNotes(base int64, more, now string) func(*Writer) error {
	return func(w *Writer) error {
		d := Delta{Base: base, Size: base + int64(len(more)), SHA256: SealDigest([]byte(now)), Ranges: [][2]int64{{base, int64(len(more))}}}
		_, err := w.addDelta(Meta{Path: notesFile, Type: File}, strings.NewReader(more), d, func() string { return "" })
		return err
	}
}

// TestChainStates opens a chain whose last link is not what its seal stands for, and one in which a file is put together wrongly.
func TestChainStates(t *testing.T) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		name        string
		first, more string // the content, and what the second link adds
		now, state  string // what the second link and its seal say it is then
		problems    []string
	}{
		{"as it is", "one\n", "two\n", "one\ntwo\n", "one\ntwo\n", nil},
		{"another state", "one\n", "two\n", "one\ntwo\n", "one\ntwo", []string{"state 2"}},
		{"another content", "ONE\n", "two\n", "one\ntwo\n", "one\ntwo\n", []string{"state 2"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := newFakeChain(t, 0, 1)
			c.seal(id, 1, notesState(x.first), wholeNotes(x.first))
			c.seal(id, 2, notesState(x.state), moreNotes(int64(len(x.first)), x.more, x.now))
			r := c.verify(ChainOptions{Identities: []age.Identity{id}})
			if got := kindsOf(r.Problems); !slices.Equal(got, x.problems) || r.Opened != 2 || r.Chains[0].States != 2 || len(r.Unread) > 0 {
				t.Errorf("%+v, want %q", r, x.problems)
			}
		})
	}
}
