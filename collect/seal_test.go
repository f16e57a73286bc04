package collect

import (
	"bytes"
	"crypto/ed25519"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/go-json-experiment/json"
	"golang.org/x/crypto/ssh"
)

// failKey keeps the identity's concrete type out of signatures that take any identity.
type failKey struct{ id *age.X25519Identity }

func testSigner(t testing.TB) ssh.Signer {
	t.Helper()
	s, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func signed(t testing.TB, sum Summary) []byte {
	t.Helper()
	file, err := Seal{
		Bundle: "B.tar.zst.age", Ciphertext: sum.Ciphertext, ManifestSHA256: sum.ManifestSHA256, Recipients: []string{"age1…"},
		Created: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC), Host: "victim", Case: "a", CustodyHead: strings.Repeat("0", 64),
	}.Sign(testSigner(t))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestSealVerifiesWithStockTools(t *testing.T) {
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		t.Skip(err)
	}
	_, sum := build(t, newKey(t), func(*Writer) {})
	dir := t.TempDir()
	lines := bytes.Split(signed(t, sum), []byte("\n"))
	var sig sealSignature
	if err := json.Unmarshal(lines[1], &sig); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "sig"), []byte(sig.Signature))
	writeFile(t, filepath.Join(dir, "signers"), []byte("case "+sig.PublicKey+"\n"))
	check := func(statement []byte) error {
		cmd := exec.Command("ssh-keygen", "-Y", "verify", "-f", filepath.Join(dir, "signers"), "-I", "case",
			"-n", SealNamespace, "-s", filepath.Join(dir, "sig"))
		cmd.Stdin, cmd.Stderr = bytes.NewReader(statement), os.Stderr
		return cmd.Run()
	}
	if err := check(lines[0]); err != nil {
		t.Errorf("ssh-keygen refuses the seal: %v", err)
	}
	if err := check(append(lines[0], ' ')); err == nil {
		t.Error("ssh-keygen takes a changed seal")
	}
}

func TestSealSaysWhatDiffers(t *testing.T) {
	key := failKey{newKey(t)}
	bundle, sum := build(t, key.id, func(w *Writer) { addFile(t, w, "/f", noise(1, 1000)) })
	other, otherSum := build(t, key.id, func(w *Writer) { addFile(t, w, "/f", noise(2, 1000)) })
	file := signed(t, sum)
	forged := bytes.Replace(file, []byte(`"host":"victim"`), []byte(`"host":"other!"`), 1)
	swapped := append(bytes.SplitAfter(signed(t, otherSum), []byte("\n"))[0], bytes.SplitAfter(file, []byte("\n"))[1]...)
	for _, c := range []struct {
		name   string
		bundle []byte
		seal   []byte
		signer string
		want   string // kinds of problems
	}{
		{"good", bundle, file, "", ""},
		{"good, signer known", bundle, file, ssh.FingerprintSHA256(testSigner(t).PublicKey()), ""},
		{"another signer wanted", bundle, file, "SHA256:abc", "signer"},
		{"no seal", bundle, nil, "", "unsealed"},
		{"empty seal", bundle, []byte{}, "", "seal"},
		{"statement changed", bundle, forged, "", "signature"},
		{"signature of another", other, swapped, "", "signature"},
		{"cut", bundle[:len(bundle)-1], file, "", "size chunk"},
		{"longer", append(bytes.Clone(bundle), 0), file, "", "size"},
		{"another bundle", other, file, "", "chunk"},
	} {
		t.Run(c.name, func(t *testing.T) {
			report, err := Verify(t.Context(), bytes.NewReader(c.bundle), int64(len(c.bundle)), c.seal, VerifyOptions{Signer: c.signer})
			if err != nil {
				t.Fatal(err)
			}
			var kinds []string
			for _, p := range report.Problems {
				if p.Kind != "size" || c.name != "another bundle" {
					kinds = append(kinds, p.Kind)
				}
			}
			if got := strings.Join(kinds, " "); got != c.want {
				t.Errorf("problems %q, want %q", got, c.want)
			}
		})
	}
}

func TestSealWriterCutsChunks(t *testing.T) {
	const chunk = 1000
	for _, size := range []int{0, 1, chunk - 1, chunk, chunk + 1, 3*chunk - 1, 3 * chunk} {
		data := noise(3, size)
		for _, piece := range []int{1, 333, 5000} {
			w := newSealWriter(io.Discard)
			w.sum.ChunkSize = chunk
			for rest := data; len(rest) > 0; {
				n := min(len(rest), piece)
				if _, err := io.WriteString(w, rest[:n]); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			got := w.ciphertext()
			if got.Size != int64(size) || got.SHA256 != hexSum(data) || len(got.Chunks) != (size+chunk-1)/chunk {
				t.Fatalf("%d bytes: %d in %d chunks", size, got.Size, len(got.Chunks))
			}
			for i, c := range got.Chunks {
				if c != hexSum(data[i*chunk:min(size, (i+1)*chunk)]) {
					t.Errorf("%d bytes: chunk %d", size, i)
				}
			}
		}
	}
}

func FuzzParseSeal(f *testing.F) {
	var buf bytes.Buffer
	w := newSealWriter(&buf)
	if _, err := w.Write([]byte("bundle")); err != nil {
		f.Fatal(err)
	}
	f.Add(signed(f, Summary{Ciphertext: w.ciphertext()}))
	f.Add([]byte("{}\n{}\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		s, err := ParseSeal(file)
		if err != nil {
			return
		}
		if s.VerifySignature() == nil && !bytes.HasPrefix(file, s.statement) {
			t.Error("what was verified is not what the file says")
		}
		_ = s.Signer()
	})
}
