package storetest

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// An SSHD is OpenSSH's server, on a port of its own.
type SSHD struct {
	Addr    string
	User    string
	Dir     string // where files go
	Path    string // the same as the client names it
	Key     string // the file of a private key that it takes
	HostKey string // fingerprint
	Known   string // a file of known hosts that has it
}

// StartSSHD starts one. Lines are added to its configuration.
func StartSSHD(t testing.TB, lines ...string) *SSHD {
	t.Helper()
	const program = "/usr/sbin/sshd"
	if _, err := os.Stat(program); err != nil {
		t.Skip("no OpenSSH server here")
	}
	base := t.TempDir()
	who, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	d := &SSHD{User: who.Username, Dir: filepath.Join(base, "in"), Key: filepath.Join(base, "client"), Known: filepath.Join(base, "known")}
	d.Path = d.Dir
	hostKey := WriteKey(t, filepath.Join(base, "host"))
	d.HostKey = ssh.FingerprintSHA256(hostKey)
	clientKey := WriteKey(t, d.Key)
	err = errors.Join(os.Mkdir(d.Dir, 0o700), os.WriteFile(filepath.Join(base, "authorized"), ssh.MarshalAuthorizedKey(clientKey), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	config := strings.Join(append([]string{
		"HostKey " + filepath.Join(base, "host"), "AuthorizedKeysFile " + filepath.Join(base, "authorized"), "PidFile none",
		"UsePAM no", "StrictModes no", "PasswordAuthentication no", "KbdInteractiveAuthentication no", "PermitRootLogin prohibit-password",
		"Subsystem sftp internal-sftp", "LoginGraceTime 30", "MaxStartups 100",
	}, lines...), "\n") + "\n"
	file := filepath.Join(base, "sshd_config")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	_ = os.MkdirAll("/run/sshd", 0o755) // where it goes to be harmless; as root alone
	d.Addr = start(t, func(addr string) *exec.Cmd {
		return exec.Command(program, "-D", "-e", "-f", file, "-o", "ListenAddress="+addr)
	})
	host, port, _ := net.SplitHostPort(d.Addr)
	if err := os.WriteFile(d.Known, fmt.Appendf(nil, "[%s]:%s %s", host, port, ssh.MarshalAuthorizedKey(hostKey)), 0o600); err != nil {
		t.Fatal(err)
	}
	return d
}

// WriteKey makes a key and returns its public half.
func WriteKey(t testing.TB, name string) ssh.PublicKey {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Address is the store's.
func (d *SSHD) Address() string { return d.Via(d.Addr) }

// Via is the store's address, reached another way.
func (d *SSHD) Via(addr string) string { return "sftp://" + d.User + "@" + addr + d.Path }
