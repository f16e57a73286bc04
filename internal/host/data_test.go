package host

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

func TestSkipHole(t *testing.T) {
	const end = 1 << 40
	f, err := os.Create(t.TempDir() + "/x")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for at, text := range map[int64]string{0: "head", 1 << 30: "middle"} {
		if _, err := f.WriteAt([]byte(text), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(end); err != nil {
		t.Skip(err)
	}
	d := NewData(t.Context(), f)
	if n := d.SkipHole(); n != 0 {
		t.Errorf("passed over %d bytes that are there", n)
	}
	var held strings.Builder
	passed, buf := int64(0), make([]byte, 64<<10)
	for {
		n, err := d.Read(buf)
		held.Write(buf[:n])
		if err != nil {
			break
		}
		passed += d.SkipHole()
	}
	if text := strings.ReplaceAll(held.String(), "\x00", ""); text != "headmiddle" || passed+int64(held.Len()) != end {
		t.Errorf("%q; passed over %d and read %d of %d bytes", text, passed, held.Len(), int64(end))
	}
}

func TestDataWithoutHoles(t *testing.T) {
	f, err := fstest.MapFS{"x": {Data: make([]byte, 1<<20)}}.Open("x")
	if err != nil {
		t.Fatal(err)
	}
	d := NewData(t.Context(), f)
	if n := d.SkipHole(); n != 0 {
		t.Errorf("passed over %d bytes of what has no holes", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if n, err := io.Copy(io.Discard, NewData(ctx, f)); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("read %d bytes after the end of its context: %v", n, err)
	}
}
