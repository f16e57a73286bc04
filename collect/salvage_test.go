package collect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
)

// salvaged returns the contents of the members that Salvage reads whole, and how it ended.
func salvaged(bundle []byte, key failKey) (map[string]string, error) {
	whole := make(map[string]string)
	for m, err := range Salvage(context.Background(), bytes.NewReader(bundle), key.id) {
		if err != nil {
			return whole, err
		}
		if content, err := io.ReadAll(m.Body); err == nil {
			whole[m.Name] = string(content)
		}
	}
	return whole, nil
}

func TestSalvageWhatWasWritten(t *testing.T) {
	key := failKey{newKey(t)}
	want := make(map[string]string)
	bundle, _ := build(t, key.id, func(w *Writer) {
		for i := range 12 {
			name, content := fmt.Sprintf("/f%02d", i), noise(uint64(i), i*smallFrame/3)
			want[rootFolder+name] = content
			addFile(t, w, name, content)
		}
	})
	rows := rowsOf(t, open(t, bundle, key.id))
	b := open(t, bundle, key.id)
	header := len(bundle) - payloadSize(b.size)
	const chunk = 64<<10 + 16
	for cut := 0; cut < len(bundle); cut += 4999 {
		got, err := salvaged(bundle[:cut], key)
		if !errors.Is(err, ErrCut) {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		// What lies in whole frames of whole age chunks must be there; the last chunk cannot be authenticated.
		stored := int64(max(0, cut-header)/chunk) * (64 << 10)
		reached := int64(0)
		for i := range b.frames.table {
			next := frameAt{b.end.stored, b.end.tar}
			if i+1 < len(b.frames.table) {
				next = b.frames.table[i+1]
			}
			if next.stored() <= stored {
				reached = next.tar()
			}
		}
		for name, content := range want {
			row := rows[name[len(rootFolder):]]
			text, found := got[name]
			if found && text != content {
				t.Fatalf("cut at %d: content of %s differs", cut, name)
			}
			if !found && row.At+row.Size <= reached {
				t.Fatalf("cut at %d: %s, which ends at %d of %d readable bytes, is lost", cut, name, row.At+row.Size, reached)
			}
		}
	}
	if got, err := salvaged(bundle, key); err != nil || len(got) != len(want)+4 {
		t.Errorf("whole bundle: %d members, %v", len(got), err)
	}
}

// payloadSize is the length of age's payload, with its nonce, for a plaintext of n bytes.
func payloadSize(n int64) int {
	chunks := (n + 64<<10 - 1) / (64 << 10)
	return int(n + 16*max(chunks, 1) + 16)
}

func TestSalvageCutAtEveryByte(t *testing.T) {
	key := failKey{newKey(t)}
	bundle, _ := build(t, key.id, func(w *Writer) { addFile(t, w, "/f", "content") })
	for cut := range bundle {
		if _, err := salvaged(bundle[:cut], key); !errors.Is(err, ErrCut) {
			t.Fatalf("cut at %d of %d: %v", cut, len(bundle), err)
		}
		if cut%5 > 0 {
			continue
		}
		if _, err := OpenBundle(bytes.NewReader(bundle[:cut]), int64(cut), key.id); !errors.Is(err, ErrCut) {
			t.Fatalf("opening what is cut at %d of %d: %v", cut, len(bundle), err)
		}
	}
}

func TestCutErrorSaysWhere(t *testing.T) {
	key := failKey{newKey(t)}
	bundle, _ := build(t, key.id, func(w *Writer) {
		addFile(t, w, "/first", noise(1, smallFrame))
		addFile(t, w, "/second", noise(2, 10*smallFrame))
	})
	_, err := salvaged(bundle[:len(bundle)/2], key)
	var cut *CutError
	if !errors.As(err, &cut) || cut.Last != "[root]/first" || cut.Part != "[root]/second" || cut.Tar < smallFrame {
		t.Errorf("%+v", cut)
	}
}

func TestBitFlipsAreFound(t *testing.T) {
	key := failKey{newKey(t)}
	bundle, sum := build(t, key.id, func(w *Writer) {
		for i := range 4 {
			addFile(t, w, fmt.Sprintf("/f%d", i), noise(uint64(i), 2*smallFrame))
		}
	})
	file := signed(t, sum)
	if report := verify(t, bundle, file, key.id); !report.OK() || !report.Signed || !report.Opened {
		t.Fatalf("%+v", report)
	}
	for at := 0; at < len(bundle); at += 1 + len(bundle)/60 {
		bad := bytes.Clone(bundle)
		bad[at] ^= 1 << (at % 8)
		if report := verify(t, bad, file); report.OK() || len(report.BadAt) != 1 {
			t.Errorf("flip at %d is not found by the seal", at)
		}
		if report := verify(t, bad, nil, key.id); len(report.Problems) < 2 {
			t.Errorf("flip at %d is not found by the key", at)
		}
	}
}

func TestVerifyReadsBehindDamage(t *testing.T) {
	key := failKey{newKey(t)}
	bundle, _ := build(t, key.id, func(w *Writer) {
		for i := range 10 {
			addFile(t, w, fmt.Sprintf("/f%d", i), noise(uint64(i), 4*smallFrame))
		}
	})
	bundle[len(bundle)/2] ^= 1
	report := verify(t, bundle, nil, key.id)
	lost := 0
	for _, p := range report.Problems {
		if p.Kind == "missing" {
			lost++
		}
	}
	if lost == 0 || lost > 3 {
		t.Errorf("one damaged chunk loses %d of 10 files: %+v", lost, report.Problems)
	}
}
