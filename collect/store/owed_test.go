package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/storetest"
)

func newCase(t testing.TB) *casefile.Case {
	t.Helper()
	cs, err := casefile.Open(filepath.Join(t.TempDir(), "cases"), "one", true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cs.Close() })
	return cs
}

// inCase puts a file into the case and says that it is owed to a place.
func inCase(t *testing.T, cs *casefile.Case, to, name string, data []byte) Owed {
	t.Helper()
	file := filepath.Join(casefile.BundlesDir, name)
	if err := cs.WriteFile(file, data); err != nil {
		t.Fatal(err)
	}
	f := Owed{Destination: Destination{To: to}, File: file, Name: name, Size: int64(len(data)), SHA256: sum(data)}
	if err := Owe(cs, f); err != nil {
		t.Fatal(err)
	}
	return f
}

// pay returns what became of each file.
func pay(ctx context.Context, cs *casefile.Case) (told []string, err error) {
	err = Pay(ctx, cs, Options{}, func(r Result) {
		word := "stored"
		if r.Err != nil {
			word = "owed"
		}
		if r.Final {
			word = "lost"
		}
		told = append(told, r.Name+" "+word)
	})
	return told, err
}

func owedNames(t *testing.T, cs *casefile.Case) string {
	t.Helper()
	owed, err := ListOwed(cs)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, f := range owed {
		list = append(list, f.Name)
	}
	return strings.Join(list, " ")
}

// TestPay owes to a store that is there, one that is not, and one that has something else.
func TestPay(t *testing.T) {
	cs, dir := newCase(t), t.TempDir()
	away := filepath.Join(dir, "not", "mounted")
	for _, name := range []string{"A", "B", "C", "D"} {
		inCase(t, cs, dir, name, []byte("sealed "+name))
		inCase(t, cs, away, name, []byte("sealed "+name))
	}
	inCase(t, cs, dir, "A", []byte("sealed A"))
	err := errors.Join(os.WriteFile(filepath.Join(dir, "B"), []byte("else"), 0o600), os.Remove(cs.Path(casefile.BundlesDir, "C")))
	if err != nil {
		t.Fatal(err)
	}
	told, err := pay(t.Context(), cs)
	if got := strings.Join(told, ", "); err != nil || got != "A stored, B lost, C lost, D stored, A owed, B owed, C owed, D owed" {
		t.Errorf("%s, %v", got, err)
	}
	if got := owedNames(t, cs); got != "A B C D" {
		t.Errorf("owed: %s", got)
	}
	if report, err := cs.Verify(); err != nil || !report.OK() {
		t.Errorf("the custody log: %+v, %v", report, err)
	}
	if err := os.MkdirAll(filepath.Dir(away), 0o700); err != nil {
		t.Fatal(err)
	}
	told, err = pay(t.Context(), cs)
	if got := strings.Join(told, ", "); err != nil || got != "A stored, B stored, C lost, D stored" || owedNames(t, cs) != "" {
		t.Errorf("%s, %v; owed: %s", got, err, owedNames(t, cs))
	}
}

// TestPayEnds stops in the middle: the rest is owed.
func TestPayEnds(t *testing.T) {
	cs, dir := newCase(t), t.TempDir()
	inCase(t, cs, dir, "A", bytes.Repeat([]byte("x"), 1<<20))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := pay(ctx, cs); !errors.Is(err, context.Canceled) || owedNames(t, cs) != "A" {
		t.Errorf("%v, owed %s", err, owedNames(t, cs))
	}
	unlock, err := cs.Lock(uploadLock, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pay(t.Context(), cs); !errors.Is(err, ErrBusy) {
		t.Errorf("two at once: %v", err)
	}
	unlock()
	if told, err := pay(t.Context(), cs); err != nil || len(told) != 1 {
		t.Errorf("%v, %v", told, err)
	}
}

// TestOweTogether has many note what they owe at the same moment.
func TestOweTogether(t *testing.T) {
	cs := newCase(t)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			f := Owed{Destination: Destination{To: "/x"}, Name: fmt.Sprintf("B%02d", i/2), SHA256: sum(nil)}
			if err := errors.Join(Owe(cs, f), caseMemory{cs}.Remember(f.Name, []byte(`{"sent":1}`))); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if owed, err := ListOwed(cs); err != nil || len(owed) != 10 {
		t.Errorf("%d owed, %v", len(owed), err)
	}
	m := caseMemory{cs}
	if got := string(m.Recall("B03")); got != `{"sent":1}` {
		t.Errorf("recalled %q", got)
	}
	if err := m.Remember("B03", nil); err != nil || m.Recall("B03") != nil {
		t.Errorf("not forgotten: %q, %v", m.Recall("B03"), err)
	}
}

func TestLedgerDamaged(t *testing.T) {
	for _, text := range []string{"", "{", `{"version":2}`, `[]`} {
		cs := newCase(t)
		if err := cs.WriteFile(ledgerName, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, err := ListOwed(cs); err == nil {
			t.Errorf("took %q", text)
		}
		wantError(t, Owe(cs, Owed{Name: "B"}), "reading what is owed", "move uploads.json away")
		if got, err := cs.ReadFile(ledgerName, 100); err != nil || string(got) != text {
			t.Errorf("it is now %q, %v", got, err)
		}
	}
}

func TestDirectoryDiskFull(t *testing.T) {
	dir := t.TempDir()
	storetest.SmallDisk(t, dir, "2m")
	s := open(t, dir, Options{})
	data, _ := sealedBytes(t, 3<<20)
	wantError(t, put(t, s, "B", data), "no space left", "make room")
	if got := names(t, s); len(got) != 0 {
		t.Errorf("left %q", got)
	}
	if err := put(t, s, "small", data[:1000]); err != nil {
		t.Error(err)
	}
}

// FuzzAddress holds every address to its word: what is taken has no password, and an error does not say one.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{"/mnt/usb", "s3://bucket/x?endpoint=https://h:1&region=eu", "sftp://ir@h:22/~/in", "sftp://ir:hunter2x@h/x", "s3://hunter2x@b", "a://hunter2x", "s3://%zz"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, address string) {
		u, err := parse(address)
		if err != nil {
			return
		}
		if _, has := u.User.Password(); has || u.Scheme == "s3" && u.User != nil {
			t.Errorf("took %q", address)
		}
		if again, err := parse(u.String()); err != nil && u.Scheme != "" {
			t.Errorf("%q reads as %q, which is none: %v, %v", address, u, again, err)
		}
	})
}

// FuzzOwed reads uploads.json, which somebody else could have put into the case: a list or an error, and the list is written as it was.
func FuzzOwed(f *testing.F) {
	f.Add([]byte(`{"version":1,"owed":[{"to":"s3://b/x","file":"bundles/B","name":"B","size":7,"sha256":"00","since":"2026-11-22T08:00:00Z"}],"begun":{"x":{"id":1}}}`))
	f.Add([]byte(`{"version":1,"owed":null,"begun":null}`))
	cs := newCase(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(cs.Path(ledgerName), text, 0o600); err != nil {
			t.Fatal(err)
		}
		list, err := ListOwed(cs)
		if err != nil {
			return
		}
		if err := changeLedger(cs, func(*ledger) {}); err != nil {
			t.Fatalf("%q is read and cannot be changed: %v", text, err)
		}
		again, err := ListOwed(cs)
		if err != nil || !slices.Equal(again, list) {
			t.Errorf("%+v became %+v, %v", list, again, err)
		}
	})
}

// FuzzName takes names that a store lists. One that passes is a single element of a path that a terminal shows as it is.
func FuzzName(f *testing.F) {
	for _, s := range []string{"openclaw-ir-h-20261122T080000Z.tar.zst.age", "../x", ".x", "a/b", "x.part", "a\x1b[2J", "\u202ex", "\xff", "\u031bx"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		var l listing
		if err := l.add(Object{Name: name, Size: 1}); err != nil || len(l.objects) != 1 || (l.objects[0].Problem == "") != (CheckName(name) == nil) {
			t.Fatalf("%q is %+v, %v", name, l.objects, err)
		}
		if CheckName(name) == nil && (filepath.Base(name) != name || !filepath.IsLocal(name) || console.Escape(name) != name) {
			t.Errorf("%q passes", name)
		}
	})
}
