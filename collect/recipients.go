package collect

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"golang.org/x/crypto/ssh"
)

const (
	// maxRecipients bounds a recipients file: age writes every one into the header, and a reader tries each.
	maxRecipients = 1000
	maxKeyFile    = 1 << 20
	// maxRecipientLine is enough for a post-quantum recipient (1959 characters) and an RSA key of 16384 bits.
	maxRecipientLine = 8 << 10
)

// Recipient is one who will be able to open a bundle.
type Recipient struct {
	Age age.Recipient
	// Description is public: the recipient itself, shortened where it is long, or "passphrase".
	Description string
	// Origin says where it was given: "-r", or the file and the line.
	Origin string
	class  recipientClass
}

type recipientClass int

const (
	classic recipientClass = iota
	postQuantum
	passphrase
)

// ParseRecipient reads one recipient as -r takes it: age1…, age1pq1…, ssh-ed25519 or ssh-rsa. Plugins are
// refused, because they would run a program of the suspect host. Its errors never repeat s, which may be a
// secret given by mistake. origin is kept for messages.
func ParseRecipient(s, origin string) (Recipient, error) {
	s = strings.TrimSpace(s)
	r := Recipient{Description: s, Origin: origin}
	fail := func(why string) (Recipient, error) {
		return Recipient{}, fmt.Errorf("reading recipient from %s: %s", origin, why)
	}
	var err error
	upper := strings.ToUpper(s)
	switch {
	case strings.Contains(upper, "AGE-SECRET-KEY-") || strings.Contains(upper, "PRIVATE KEY"):
		return fail("this is a secret key, and it does not belong on a host under investigation; give its public key")
	case strings.HasPrefix(upper, "AGE-PLUGIN-"):
		return fail("this is a plugin's identity; give a recipient, and none of a plugin")
	case len(s) > maxRecipientLine:
		return fail("too long")
	case strings.HasPrefix(s, "age1pq1"):
		r.class = postQuantum
		r.Age, err = age.ParseHybridRecipient(s)
		r.Description = shorten(s)
	case strings.HasPrefix(s, "age1") && strings.LastIndexByte(s, '1') > len("age"):
		return fail("plugin recipients are not used for collecting: they run a program of this host")
	case strings.HasPrefix(s, "age1"):
		r.Age, err = age.ParseX25519Recipient(s)
	case strings.HasPrefix(s, "ssh-"):
		r.Age, r.Description, err = parseSSHRecipient(s)
	default:
		return fail("unknown kind of recipient: want age1…, age1pq1…, ssh-ed25519 or ssh-rsa")
	}
	if err != nil {
		return fail("malformed or unsupported recipient")
	}
	return r, nil
}

// shorten keeps enough of a recipient to be recognised, and a digest to be sure.
func shorten(s string) string {
	d := sha256.Sum256([]byte(s))
	return s[:min(len(s), 24)] + "… SHA256:" + hex.EncodeToString(d[:])
}

func parseSSHRecipient(s string) (age.Recipient, string, error) {
	r, err := agessh.ParseRecipient(s)
	if err != nil {
		return nil, "", err
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(s))
	if err != nil {
		return nil, "", err
	}
	return r, key.Type() + " " + ssh.FingerprintSHA256(key), nil
}

// ParseRecipients reads a recipients file as -R takes it: one a line, empty lines and lines that begin with #
// left out. name is for messages.
func ParseRecipients(r io.Reader, name string) ([]Recipient, error) {
	file, err := readKeyFile(r, name)
	if err != nil {
		return nil, err
	}
	var list []Recipient
	lines := bufio.NewScanner(bytes.NewReader(file))
	lines.Buffer(nil, maxKeyFile+1)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		one, err := ParseRecipient(line, fmt.Sprintf("%q line %d", name, n))
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("reading recipients from %q: none found", name)
	}
	return list, nil
}

// readKeyFile reads a file of keys, which is small.
func readKeyFile(r io.Reader, name string) ([]byte, error) {
	file, err := io.ReadAll(io.LimitReader(r, maxKeyFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", name, err)
	}
	if len(file) > maxKeyFile {
		return nil, fmt.Errorf("reading %q: more than %d bytes", name, maxKeyFile)
	}
	return file, nil
}

// PassphraseRecipient returns the recipient for whoever knows the passphrase. It must be the only one.
// Deriving the key takes 256 MiB of memory for a second.
func PassphraseRecipient(secret string) (Recipient, error) {
	r, err := age.NewScryptRecipient(secret)
	if err != nil {
		return Recipient{}, errors.New("using passphrase: it must not be empty")
	}
	return Recipient{Age: r, Description: "passphrase", Origin: "-p", class: passphrase}, nil
}

// ErrMixedRecipients says that recipients cannot be used together. The error names the odd one out.
var ErrMixedRecipients = errors.New("recipients cannot be mixed")

// CheckRecipients says, before any work is done, whether age can seal for all of these together: at least
// one, a passphrase only alone, and post-quantum recipients only among themselves.
func CheckRecipients(list []Recipient) error {
	var by [3][]Recipient
	for _, r := range list {
		by[r.class] = append(by[r.class], r)
	}
	switch {
	case len(list) == 0:
		return errors.New("no recipient given, and a bundle is never written in clear")
	case len(list) > maxRecipients:
		return fmt.Errorf("%d recipients given, the limit is %d", len(list), maxRecipients)
	case len(by[passphrase]) > 0 && len(list) > 1:
		return fmt.Errorf("%w: a passphrase must be alone, and there are %d others", ErrMixedRecipients, len(list)-1)
	case len(by[classic]) == 0 || len(by[postQuantum]) == 0:
		return nil
	}
	odd, kind := by[classic][0], "classic, the others are post-quantum"
	if len(by[classic]) > len(by[postQuantum]) {
		odd, kind = by[postQuantum][0], "post-quantum, the others are classic"
	}
	return fmt.Errorf("%w: %q from %s is %s", ErrMixedRecipients, odd.Description, odd.Origin, kind)
}

// AgeRecipients returns what NewWriter takes.
func AgeRecipients(list []Recipient) []age.Recipient {
	out := make([]age.Recipient, len(list))
	for i, r := range list {
		out[i] = r.Age
	}
	return out
}

// Descriptions returns what a seal says of the recipients.
func Descriptions(list []Recipient) []string {
	out := make([]string, len(list))
	for i, r := range list {
		out[i] = r.Description
	}
	return out
}
