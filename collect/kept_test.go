package collect

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/clawbook/openclaw-ir/internal/casefile"
	"golang.org/x/crypto/ssh"
)

// sealedAs returns a seal for these bytes under a name.
func sealedAs(t *testing.T, signer ssh.Signer, name string, data []byte) []byte {
	t.Helper()
	w := newSealWriter(io.Discard)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	seal, err := Seal{Bundle: name, Ciphertext: w.ciphertext(), Created: time.Unix(0, 0), CustodyHead: "head"}.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	return seal
}

// Each file of a case's bundles is told as what it is.
func TestKeptIn(t *testing.T) {
	dir := t.TempDir()
	cs, err := casefile.Open(filepath.Join(dir, "cases"), "one", true)
	if err != nil {
		t.Fatal(err)
	}
	defer cs.Close()
	other, err := casefile.Open(filepath.Join(dir, "cases"), "two", true)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	signer, err := cs.Signer()
	foreign, oerr := other.Signer()
	if err := errors.Join(err, oerr); err != nil {
		t.Fatal(err)
	}
	data := bytes.Repeat([]byte("ciphertext"), 100)
	for name, content := range map[string][]byte{
		"1-whole": data, "1-whole.seal": sealedAs(t, signer, "1-whole", data), "1-whole.held": {},
		"2-changed": append(bytes.Clone(data), 'x'), "2-changed.seal": sealedAs(t, signer, "2-changed", data),
		"3-foreign": data, "3-foreign.seal": sealedAs(t, foreign, "3-foreign", data),
		"4-renamed": data, "4-renamed.seal": sealedAs(t, signer, "1-whole", data),
		"5-elsewhere.seal":        sealedAs(t, signer, "5-elsewhere", data),
		"6-foreign-seal.seal":     sealedAs(t, foreign, "6-foreign-seal", data),
		"7-cut.partial":           data[:10],
		"8-unsealed":              data,
		"9-no-seal.seal":          []byte("{}\n{}\n"),
		".tmp-a-file-being-made-": data,
	} {
		if err := os.WriteFile(cs.Path(casefile.BundlesDir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var read int64
	kept, err := KeptIn(t.Context(), cs, func(n int64) { read += n })
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, k := range kept {
		problem, _, _ := strings.Cut(k.Problem, " SHA256:")
		told = append(told, strings.Join([]string{filepath.Base(k.Path), problem, k.Note}, "|"))
	}
	want := []string{
		"1-whole||",
		"2-changed|bundle has 1 bytes more than were sealed|",
		"3-foreign|signed by|",
		`4-renamed|its seal is of another bundle, "1-whole"|`,
		"5-elsewhere||only its seal is here: the bundle was written to another place, or moved there",
		"6-foreign-seal|its seal is signed by|only its seal is here: the bundle was written to another place, or moved there",
		"7-cut.partial||never finished: collect verify --salvage says how far it goes",
		"8-unsealed|there is no seal|",
		"9-no-seal|" + kept[len(kept)-1].Problem + "|only its seal is here: the bundle was written to another place, or moved there",
	}
	if got := strings.Join(told, "\n"); got != strings.Join(want, "\n") || kept[len(kept)-1].Problem == "" {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	if read != 4*int64(len(data)) {
		t.Errorf("told of %d bytes", read)
	}
	if err := os.Remove(cs.Path("seal.pub")); err != nil {
		t.Fatal(err)
	}
	if kept, err = KeptIn(t.Context(), cs, nil); err != nil || kept[0].Problem != "" || kept[2].Problem != "" {
		t.Errorf("without the public key: %+v, %v", kept, err)
	}
}
