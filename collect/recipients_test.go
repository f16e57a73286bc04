package collect

import (
	"bytes"
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"golang.org/x/crypto/ssh"
)

// sshKey returns a public and a private key file of the seed's, the second locked if there is a passphrase.
func sshKey(t *testing.T, seed byte, secret string) (public, private string) {
	t.Helper()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, 32))
	pub, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	var block *pem.Block
	if secret == "" {
		block, err = ssh.MarshalPrivateKey(key, "")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(secret))
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(ssh.MarshalAuthorizedKey(pub)), string(pem.EncodeToMemory(block))
}

func TestEveryKindOfKey(t *testing.T) {
	native := newKey(t)
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	sshPublic, sshPrivate := sshKey(t, 1, "")
	lockedPublic, lockedPrivate := sshKey(t, 2, "correct horse")
	ask := func(string) ([]byte, error) { return []byte("correct horse"), nil }
	for _, c := range []struct{ name, recipients, identities string }{
		{"native", native.Recipient().String(), native.String()},
		{"post-quantum", hybrid.Recipient().String(), hybrid.String()},
		{"SSH", sshPublic, sshPrivate},
		{"SSH, locked", lockedPublic, lockedPrivate},
		{"several, the last opens", "# team\n\n" + native.Recipient().String() + "\r\n" + "\n" + sshPublic, sshPrivate},
		{"several identities", native.Recipient().String(), "# two\n" + newKey(t).String() + "\n" + native.String() + "\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			list, err := ParseRecipients(strings.NewReader(c.recipients), "team.txt")
			if err != nil {
				t.Fatal(err)
			}
			if err := CheckRecipients(list); err != nil {
				t.Fatal(err)
			}
			ids, err := ParseIdentities(strings.NewReader(c.identities), "key.txt", ask)
			if err != nil {
				t.Fatal(err)
			}
			openSealed(t, list, ids)
		})
	}
}

func openSealed(t *testing.T, list []Recipient, ids []age.Identity) {
	t.Helper()
	var buf bytes.Buffer
	w, err := newWriter(&buf, AgeRecipients(list), testHeader, smallFrame)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(nil); err != nil {
		t.Fatal(err)
	}
	open(t, buf.Bytes(), ids...)
}

func TestPassphrase(t *testing.T) {
	r, err := PassphraseRecipient("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	r.Age.(*age.ScryptRecipient).SetWorkFactor(10)
	id, err := PassphraseIdentity("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	openSealed(t, []Recipient{r}, []age.Identity{id})
	if _, err := PassphraseRecipient(""); err == nil {
		t.Error("an empty passphrase was taken")
	}
}

func TestLockedIdentityFile(t *testing.T) {
	native := newKey(t)
	r, err := age.NewScryptRecipient("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	r.SetWorkFactor(10)
	var file bytes.Buffer
	w, err := age.Encrypt(&file, r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, native.String()+"\n"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for secret, good := range map[string]bool{"correct horse": true, "wrong": false} {
		ids, err := ParseIdentities(bytes.NewReader(file.Bytes()), "key.age", func(string) ([]byte, error) { return []byte(secret), nil })
		if (err == nil) != good || (good && len(ids) != 1) {
			t.Errorf("%q: %v", secret, err)
		}
	}
	if _, err := ParseIdentities(bytes.NewReader(file.Bytes()), "key.age", nil); err == nil {
		t.Error("opened without a passphrase")
	}
}

func TestRefusedRecipients(t *testing.T) {
	native := newKey(t)
	_, private := sshKey(t, 1, "")
	for name, s := range map[string]string{
		"secret key":         native.String(),
		"lower-case secret":  strings.ToLower(native.String()),
		"secret in a line":   "# x\n " + native.String(),
		"SSH private key":    private,
		"plugin":             "age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t",
		"plugin identity":    "AGE-PLUGIN-YUBIKEY-1QQQ",
		"typo":               native.Recipient().String()[:60] + "q",
		"empty":              "",
		"only comments":      "# nothing\n",
		"long":               "age1" + strings.Repeat("q", 10_000),
		"ECDSA":              "ecdsa-sha2-nistp256 AAAA",
		"malformed SSH":      "ssh-ed25519 SECRETSECRET",
		"password by chance": "hunter2-SECRETSECRET",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseRecipients(strings.NewReader(s), "r.txt")
			if err == nil {
				t.Fatal("taken")
			}
			lower := strings.ToLower(err.Error())
			for _, secret := range []string{native.String()[20:40], "secretsecret", private[60:80]} {
				if strings.Contains(lower, strings.ToLower(secret)) {
					t.Errorf("the error repeats a secret: %v", err)
				}
			}
		})
	}
}

func TestMixedRecipients(t *testing.T) {
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	parse := func(s, origin string) Recipient {
		r, err := ParseRecipient(s, origin)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	classic, pq := parse(newKey(t).Recipient().String(), "-r 1"), parse(hybrid.Recipient().String(), "-r 2")
	pass, err := PassphraseRecipient("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		list []Recipient
		want string // in the error; empty: fine
	}{
		{[]Recipient{classic, classic}, ""},
		{[]Recipient{pq, pq}, ""},
		{[]Recipient{pass}, ""},
		{[]Recipient{classic, pq, classic}, "-r 2"},
		{[]Recipient{pq, pq, classic}, "-r 1"},
		{[]Recipient{pass, classic}, "alone"},
	} {
		err := CheckRecipients(c.list)
		if (err == nil) != (c.want == "") || (err != nil && (!errors.Is(err, ErrMixedRecipients) || !strings.Contains(err.Error(), c.want))) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
	if CheckRecipients(nil) == nil {
		t.Error("no recipients are fine")
	}
}

func TestRefusedIdentities(t *testing.T) {
	public, _ := sshKey(t, 1, "")
	for name, s := range map[string]string{
		"public key": newKey(t).Recipient().String(), "SSH public key": public, "empty": "", "plugin": "AGE-PLUGIN-X-1QQ",
		"garbage": "\x00\xff", "PEM garbage": "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
		"age garbage": "age-encryption.org/v1\n",
	} {
		if _, err := ParseIdentities(strings.NewReader(s), "key.txt", func(string) ([]byte, error) { return []byte("x"), nil }); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

// TestKeysOfStockTools takes keys as age-keygen and ssh-keygen write them.
func TestKeysOfStockTools(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name, public string
		argv         []string
	}{
		{"age", "", []string{"age-keygen", "-o", "age"}},
		{"rsa", "rsa.pub", []string{"ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", "rsa"}},
		{"ed25519", "ed25519.pub", []string{"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "ed25519"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.Command(c.argv[0], c.argv[1:]...)
			cmd.Dir = dir
			if err := cmd.Run(); errors.Is(err, exec.ErrNotFound) {
				t.Skip(err)
			} else if err != nil {
				t.Fatal(err)
			}
			private, err := os.ReadFile(filepath.Join(dir, c.name))
			if err != nil {
				t.Fatal(err)
			}
			ids, err := ParseIdentities(bytes.NewReader(private), c.name, nil)
			if err != nil {
				t.Fatal(err)
			}
			var public []byte
			if c.public == "" {
				public = []byte(ids[0].(*age.X25519Identity).Recipient().String())
			} else if public, err = os.ReadFile(filepath.Join(dir, c.public)); err != nil {
				t.Fatal(err)
			}
			list, err := ParseRecipients(bytes.NewReader(public), c.public)
			if err != nil {
				t.Fatal(err)
			}
			openSealed(t, list, ids)
		})
	}
}
