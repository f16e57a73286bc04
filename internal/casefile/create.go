package casefile

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/durable"
	"golang.org/x/crypto/ssh"
)

const (
	saltName = "salt"
	saltSize = 32
	keyName  = "seal.key"
	pubName  = "seal.pub"
	keyLimit = 16 << 10
)

// newPrefix begins the name of a case that is being made.
const newPrefix = ".new-"

// sweep removes cases that were being made by a process that was killed. The caller holds the lock of base, without which none is made.
func sweep(base *os.Root) error {
	names, err := fs.Glob(base.FS(), newPrefix+strings.Repeat("?", len(rand.Text())))
	for _, name := range names {
		err = errors.Join(err, base.RemoveAll(name))
	}
	if err != nil {
		return fmt.Errorf("removing what was left of a case: %w", err)
	}
	return nil
}

// makeCase makes a case under a temporary name and renames it when it is whole,
// so that a crash leaves no half of one. The caller holds the lock of base.
func makeCase(base *os.Root, path, name string) (*Case, error) {
	info := Info{ID: rand.Text(), Created: now(), Host: hostname(), State: StateOpen}
	if name == "" {
		var err error
		if name, err = freeName(base, info); err != nil {
			return nil, err
		}
	}
	info.Name = name
	temporary := newPrefix + info.ID
	err := fill(base, temporary, info)
	if err == nil {
		err = durable.Replace(base, temporary, name)
	}
	if err != nil {
		_ = base.RemoveAll(temporary)
		return nil, fmt.Errorf("making a case: %w", err)
	}
	c, err := openCase(base, path, name)
	if err != nil {
		return nil, err
	}
	c.made = true
	return c, nil
}

func freeName(base *os.Root, info Info) (string, error) {
	host := safeName(info.Host)
	first := info.Created.Format("20060102T150405Z") + "-" + host[:min(len(host), 64)]
	name := first
	for i := 2; ; i++ {
		_, err := base.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return name, nil
		}
		if err != nil {
			return "", fmt.Errorf("making a case: %w", err)
		}
		name = first + "-" + strconv.Itoa(i)
	}
}

func fill(base *os.Root, temporary string, info Info) error {
	if err := base.Mkdir(temporary, 0o700); err != nil {
		return err
	}
	root, err := openDir(base, temporary)
	if err != nil {
		return err
	}
	defer root.Close()
	private, public, err := newKey("openclaw-ir-case-" + info.ID)
	if err != nil {
		return err
	}
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails, see crypto/rand
	for _, file := range []struct {
		name string
		data []byte
	}{
		{infoName, info.encode()},
		{saltName, salt},
		{keyName, private},
		{pubName, public},
		{custodyName, nil},
		{custodyLock, nil},
	} {
		if err := durable.Write(root, file.name, bytes.NewReader(file.data)); err != nil {
			return err
		}
	}
	if err := errors.Join(root.Mkdir(BundlesDir, 0o700), root.Mkdir(ReportDir, 0o700)); err != nil {
		return err
	}
	// The first line fixes the public key; Append syncs the directory too.
	return newCase(root, "", info).Append(Entry{
		Action:  "case open",
		Object:  info.Name,
		Result:  "done",
		Digests: []Digest{{Name: pubName, SHA256: digest(public)}},
		Note:    "case id " + info.ID,
	})
}

func newKey(comment string) (private, public []byte, err error) {
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, nil, err
	}
	block, err := ssh.MarshalPrivateKey(key, comment)
	if err != nil {
		return nil, nil, err
	}
	sshPub, err := ssh.NewPublicKey(pub)
	if err != nil {
		return nil, nil, err
	}
	line := ssh.MarshalAuthorizedKey(sshPub)
	public = append(line[:len(line)-1], " "+comment+"\n"...)
	return pem.EncodeToMemory(block), public, nil
}

// Signer returns the key that signs the case's bundles.
func (c *Case) Signer() (ssh.Signer, error) {
	data, err := c.ReadFile(keyName, keyLimit)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.ParsePrivateKey(data)
	if err != nil {
		return nil, errors.New("reading the seal key: not an unencrypted OpenSSH private key")
	}
	if t := signer.PublicKey().Type(); t != ssh.KeyAlgoED25519 {
		return nil, fmt.Errorf("reading the seal key: a key of type %q, not %q", t, ssh.KeyAlgoED25519)
	}
	return signer, nil
}

// PublicKey returns the public half of the key that signs the case's bundles.
func (c *Case) PublicKey() (ssh.PublicKey, error) {
	data, err := c.ReadFile(pubName, keyLimit)
	if err != nil {
		return nil, err
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(data)
	if err != nil {
		return nil, errors.New("reading the public half of the seal key: not an OpenSSH public key")
	}
	return key, nil
}

// Salt returns the 32 bytes that key the fingerprints of secrets in this case.
func (c *Case) Salt() ([]byte, error) {
	salt, err := c.ReadFile(saltName, saltSize)
	if err == nil && len(salt) != saltSize {
		return nil, fmt.Errorf("reading the salt: %d bytes, not %d", len(salt), saltSize)
	}
	return salt, err
}
