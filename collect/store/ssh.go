package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"
)

const (
	dialWait      = 20 * time.Second
	handshakeWait = 30 * time.Second
	maxKeyFile    = 64 << 10 // bytes
)

// dial connects, knows the server by its key, and proves who we are.
func dial(ctx context.Context, u *url.URL, o Options) (*ssh.Client, error) {
	port := u.Port()
	if port == "" {
		port = "22"
	}
	at := net.JoinHostPort(u.Hostname(), port)
	trust, err := newTrust(at, o)
	if err != nil {
		return nil, final(err)
	}
	methods, done, err := authMethods(o)
	if err != nil {
		return nil, final(err)
	}
	defer done()
	for _, algorithms := range trust.tries {
		config := &ssh.ClientConfig{User: u.User.Username(), Auth: methods, HostKeyCallback: trust.check, HostKeyAlgorithms: algorithms, Timeout: dialWait}
		client, err := connect(ctx, at, config)
		var wrong *wrongKey
		switch {
		case err == nil:
			return client, nil
		case errors.As(err, &wrong):
			return nil, final(wrong.error)
		case errors.Is(err, errNotPinned), strings.Contains(err.Error(), "no common algorithm for host key"):
			continue // it may have the right key, of another kind
		}
		return nil, loginError(u, err)
	}
	return nil, final(trust.unpinned())
}

func connect(ctx context.Context, at string, config *ssh.ClientConfig) (*ssh.Client, error) {
	conn, err := (&net.Dialer{Timeout: dialWait, KeepAlive: 15 * time.Second}).DialContext(ctx, "tcp", at)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := conn.SetDeadline(time.Now().Add(handshakeWait)); err != nil {
		conn.Close()
		return nil, err
	}
	c, channels, requests, err := ssh.NewClientConn(conn, at, config)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return ssh.NewClient(c, channels, requests), conn.SetDeadline(time.Time{})
}

func loginError(u *url.URL, err error) error {
	if strings.Contains(err.Error(), "unable to authenticate") {
		return final(&Error{
			fmt.Errorf("the server does not take the key for %q", u.User.Username()),
			"name the right private key with --ssh-key FILE, and have its public half put into the account's authorized_keys",
		})
	}
	return fmt.Errorf("connecting: %w", err)
}

// A trust says which key a server may have. A key that nobody has vouched for is never taken.
type trust struct {
	check  ssh.HostKeyCallback
	tries  [][]string // which kinds of key to ask for, one connection after another
	pinned string
	seen   []string // fingerprints that were not the one
}

var errNotPinned = errors.New("not the key that was named")

// A wrongKey is a server's key that is not to be trusted.
type wrongKey struct{ error }

// keyKinds are the host keys there are, one negotiation each.
var keyKinds = [][]string{
	{ssh.KeyAlgoED25519}, {ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521}, {ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256},
}

func newTrust(at string, o Options) (*trust, error) {
	if o.HostKey != "" {
		return pinnedTrust(o.HostKey)
	}
	var files []string
	for _, name := range o.knownHosts() {
		if _, err := os.Stat(name); err == nil {
			files = append(files, name)
		}
	}
	known, err := knownhosts.New(files...)
	if err != nil {
		return nil, fmt.Errorf("reading the keys of known servers: %w", err)
	}
	t := &trust{tries: [][]string{knownKinds(known, at)}}
	t.check = func(host string, remote net.Addr, key ssh.PublicKey) error {
		err := known(host, remote, key)
		if err == nil {
			return nil
		}
		return &wrongKey{hostKeyError(err, key)}
	}
	return t, nil
}

func pinnedTrust(pin string) (*trust, error) {
	if !strings.HasPrefix(pin, "SHA256:") || len(pin) != len("SHA256:")+43 {
		return nil, &Error{fmt.Errorf("not the fingerprint of a key: %.80q", pin), "on the server: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"}
	}
	t := &trust{tries: keyKinds, pinned: pin}
	t.check = func(_ string, _ net.Addr, key ssh.PublicKey) error {
		if got := ssh.FingerprintSHA256(key); got != pin {
			t.seen = append(t.seen, got)
			return errNotPinned
		}
		return nil
	}
	return t, nil
}

// unpinned says what the server has instead of the key that was named.
func (t *trust) unpinned() error {
	return &Error{
		fmt.Errorf("the server's key is %s and not %s", strings.Join(t.seen, " or "), t.pinned),
		"somebody may be in between: ask who runs the server, by another way, which key it has",
	}
}

func hostKeyError(err error, key ssh.PublicKey) error {
	fingerprint := ssh.FingerprintSHA256(key)
	var unknown *knownhosts.KeyError
	if !errors.As(err, &unknown) {
		return fmt.Errorf("the server's key: %w", err)
	}
	if len(unknown.Want) == 0 {
		return &Error{
			fmt.Errorf("nobody has vouched for the server's key, %s", fingerprint),
			"ask who runs the server, by another way, whether it has that key; then --host-key " + fingerprint,
		}
	}
	return &Error{
		fmt.Errorf("the server's key is %s and not the one in %s", fingerprint, unknown.Want[0].Filename),
		"somebody may be in between: ask who runs the server, by another way, which key it has",
	}
}

// knownKinds are the kinds of the keys by which a server is known: asked for another, it would show one that is not.
func knownKinds(known ssh.HostKeyCallback, at string) (kinds []string) {
	var answer *knownhosts.KeyError
	if !errors.As(known(at, &net.TCPAddr{}, nobodysKey{}), &answer) {
		return nil
	}
	for _, want := range answer.Want {
		for _, kind := range keyKinds {
			if slices.Contains(kind, want.Key.Type()) || want.Key.Type() == ssh.KeyAlgoRSA && slices.Contains(kind, ssh.KeyAlgoRSASHA512) {
				kinds = append(kinds, kind...)
			}
		}
	}
	return kinds
}

// nobodysKey is a key that no server has.
type nobodysKey struct{}

func (nobodysKey) Type() string                        { return "none" }
func (nobodysKey) Marshal() []byte                     { return []byte("none") }
func (nobodysKey) Verify([]byte, *ssh.Signature) error { return errors.New("no key") }

func (o Options) knownHosts() []string {
	if o.KnownHosts != nil {
		return o.KnownHosts
	}
	return []string{o.home(".ssh", "known_hosts"), "/etc/ssh/ssh_known_hosts"}
}

// authMethods finds the keys to log in with: the one named, or those of the agent and the user's usual ones.
func authMethods(o Options) (methods []ssh.AuthMethod, done func(), err error) {
	if o.SSHKey != "" {
		signer, err := o.readKey(o.SSHKey)
		if err != nil {
			return nil, nil, err
		}
		return []ssh.AuthMethod{ssh.PublicKeys(signer)}, func() {}, nil
	}
	var signers []ssh.Signer
	done = func() {}
	if conn, err := net.Dial("unix", o.Getenv("SSH_AUTH_SOCK")); err == nil {
		done = func() { conn.Close() }
		if held, err := agent.NewClient(conn).Signers(); err == nil {
			signers = held
		}
	}
	for _, name := range []string{"id_ed25519", "id_ecdsa", "id_rsa"} {
		signer, err := o.readKey(o.home(".ssh", name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			done()
			return nil, nil, err
		}
		signers = append(signers, signer)
	}
	if len(signers) == 0 {
		return nil, nil, &Error{errors.New("no SSH key to log in with"), "make one with ssh-keygen -t ed25519 -f FILE, and name it with --ssh-key FILE"}
	}
	return []ssh.AuthMethod{ssh.PublicKeys(signers...)}, done, nil
}

func (o Options) readKey(name string) (ssh.Signer, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("opening the SSH key: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return nil, fmt.Errorf("reading the SSH key: %w", err)
	}
	signer, err := ssh.ParsePrivateKey(text)
	var locked *ssh.PassphraseMissingError
	switch {
	case err == nil:
		return signer, nil
	case !errors.As(err, &locked):
		return nil, fmt.Errorf("not an SSH private key: %q", name) // the parser's text could hold some of it
	case o.Passphrase == nil:
		return nil, &Error{fmt.Errorf("the SSH key in %q has a passphrase, and nobody can be asked", name), "load it into ssh-agent, or name one without with --ssh-key FILE"}
	}
	phrase, err := o.Passphrase(name)
	if err != nil {
		return nil, err
	}
	if signer, err = ssh.ParsePrivateKeyWithPassphrase(text, phrase); err != nil {
		return nil, fmt.Errorf("opening the SSH key in %q: wrong passphrase", name)
	}
	return signer, nil
}
