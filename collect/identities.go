package collect

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/armor"
	"golang.org/x/crypto/ssh"
)

// maxScryptWork bounds what a hostile file can make a passphrase cost: 1 GiB of memory. age itself writes 18.
const maxScryptWork = 20

// AskPassphrase asks a person for the passphrase of what is named, a file for instance.
type AskPassphrase func(what string) ([]byte, error)

// ParseIdentities reads an identity file as -i takes it: age secret keys one a line, the same encrypted with
// a passphrase, or an OpenSSH private key. ask is called only where a passphrase is needed, for an SSH key not
// before a bundle turns out to be sealed for it; it may be nil. No error holds any of the file's text.
func ParseIdentities(r io.Reader, name string, ask AskPassphrase) ([]age.Identity, error) {
	file, err := readKeyFile(r, name)
	if err != nil {
		return nil, err
	}
	fail := func(why string) ([]age.Identity, error) {
		return nil, fmt.Errorf("reading identities from %q: %s", name, why)
	}
	if ask == nil {
		ask = func(string) ([]byte, error) { return nil, errors.New("it needs a passphrase") }
	}
	text := bytes.TrimSpace(file)
	switch {
	case bytes.HasPrefix(text, []byte("age-encryption.org/")) || bytes.HasPrefix(text, []byte(armor.Header)):
		if file, err = openIdentities(file, name, ask); err != nil {
			return nil, fmt.Errorf("reading identities from %q: %w", name, err)
		}
	case bytes.HasPrefix(text, []byte("-----BEGIN")):
		return sshIdentity(text, name, ask)
	case bytes.Contains(text, []byte("AGE-PLUGIN-")):
		return fail("plugin identities are not supported; decrypt the bundle's header with age itself")
	case bytes.HasPrefix(text, []byte("age1")) || bytes.HasPrefix(text, []byte("ssh-")):
		return fail("this is a public key; opening needs the secret one")
	}
	ids, err := age.ParseIdentities(bytes.NewReader(file))
	if err != nil {
		return fail("not a file of age secret keys")
	}
	return ids, nil
}

// openIdentities decrypts an identity file that is itself encrypted with a passphrase.
func openIdentities(file []byte, name string, ask AskPassphrase) ([]byte, error) {
	secret, err := ask(name)
	if err != nil {
		return nil, err
	}
	id, err := PassphraseIdentity(string(secret))
	if err != nil {
		return nil, err
	}
	var src io.Reader = bytes.NewReader(file)
	if text := bytes.TrimSpace(file); bytes.HasPrefix(text, []byte(armor.Header)) {
		src = armor.NewReader(bytes.NewReader(text))
	}
	plain, err := age.Decrypt(src, id)
	if err != nil {
		return nil, openError(err)
	}
	return io.ReadAll(io.LimitReader(plain, maxKeyFile))
}

func sshIdentity(pem []byte, name string, ask AskPassphrase) ([]age.Identity, error) {
	fail := func(why string) ([]age.Identity, error) {
		return nil, fmt.Errorf("reading identities from %q: %s", name, why)
	}
	id, err := agessh.ParseIdentity(pem)
	if err == nil {
		return []age.Identity{id}, nil
	}
	var locked *ssh.PassphraseMissingError
	if !errors.As(err, &locked) {
		return fail("not an SSH private key of type ed25519 or RSA")
	}
	if locked.PublicKey == nil {
		return fail(`an SSH key in an old format; convert a copy with "ssh-keygen -p -o"`)
	}
	id, err = agessh.NewEncryptedSSHIdentity(locked.PublicKey, pem, func() ([]byte, error) { return ask(name) })
	if err != nil {
		return fail("an SSH key of a type that age does not use; it must be ed25519 or RSA")
	}
	return []age.Identity{id}, nil
}

// PassphraseIdentity returns the identity for a bundle sealed with a passphrase.
func PassphraseIdentity(secret string) (age.Identity, error) {
	id, err := age.NewScryptIdentity(secret)
	if err != nil {
		return nil, errors.New("using passphrase: it must not be empty")
	}
	id.SetMaxWorkFactor(maxScryptWork)
	return id, nil
}
