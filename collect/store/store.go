// Package store keeps sealed bundles and their seals where they outlive the host that made them: in a directory, on a server that speaks
// SFTP, or in the bucket of any S3-compatible store.
//
// What is stored is ciphertext already; this package never sees a key that opens it. It never replaces what is there, never trusts a
// server that it was not told to trust, and keeps no password: credentials come from where the SSH and S3 tools keep them, and are in no
// error and no name that it returns.
//
// A store is somebody else's machine. What it lists is bounded and its names are checked; what it sends is only ever as much as was asked
// for; that it is what was sealed is for the seal to say.
package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/user"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/host"
)

// ErrExists is returned by Put when something else is stored under the name, or something that these credentials cannot read, so that it
// cannot be compared.
var ErrExists = errors.New("there already")

// ErrChanged is returned by Put when what is to be stored does not have the digest that it should have.
var ErrChanged = errors.New("not what was sealed")

// Error is an error that the reader can do something about.
type Error struct {
	Err  error
	Hint string // what to do, in a phrase
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Store is a place that holds files under flat names.
type Store interface {
	// Put stores the first size bytes of r, whose SHA-256 in hex is sha256, under a name that CheckName takes, and returns nil when they
	// are there, whole and durable. It never replaces: if the same is there it does nothing, if something else is the error is [ErrExists].
	// Where the connection is cut it tries again; an upload that was given up is taken up again with the help of [Options.Memory].
	Put(ctx context.Context, name string, r io.ReaderAt, size int64, sha256 string) error
	// List returns what is stored, sorted by name.
	List(ctx context.Context) ([]Object, error)
	// Open opens something stored. An error that there is none is [fs.ErrNotExist]. The context is that of all reading, too.
	Open(ctx context.Context, name string) (Reader, error)
	// String is the store's address, to show to a person.
	String() string
	io.Closer
}

// Object is a thing in a store.
type Object struct {
	Name string
	Size int64 // in bytes, as the store says
	Time time.Time
	// Problem says why it is nothing that Open or Put takes, such as a name with a slash; usually empty.
	Problem string
}

// Reader reads a stored file at any place. It may be used by several goroutines.
type Reader interface {
	io.ReaderAt
	io.Closer
	Size() int64 // in bytes
}

// Memory remembers how far an upload is, from one run to the next.
type Memory interface {
	// Recall returns what was last remembered of an upload, nil if nothing was.
	Recall(key string) []byte
	// Remember replaces it. With nil it is forgotten.
	Remember(key string, state []byte) error
}

// Options say how to reach a store. The zero value works.
type Options struct {
	Getenv func(string) string // os.Getenv if nil

	HostKey    string   // SFTP: the server's key must have this fingerprint, SHA256:…
	KnownHosts []string // SFTP: files that hold the server's key; the user's and the host's if nil
	SSHKey     string   // SFTP: the file of the private key; the agent's and the user's usual ones if empty
	// Passphrase asks for that of the key in a file. Nil if nobody can be asked.
	Passphrase func(file string) ([]byte, error)

	Lock Lock // S3

	Rate     int64       // the most bytes a second to send; 0 for no limit
	Memory   Memory      // nil: an upload that was given up begins anew
	Progress func(int64) // told how many more bytes were sent; fewer than none when some are sent again
	PartSize int64       // bytes sent at once of what is sent in parts, 16 MiB if 0; S3 takes no less than 5 MiB
	// Patience is the wait after the first try that failed, half a second if 0. It doubles with each.
	Patience time.Duration
}

// Lock is how long an S3 store is to refuse the removal of what is stored.
type Lock struct {
	Days       int  // 0 for what the bucket does by itself
	Governance bool // some accounts may lift it; otherwise nobody can
}

// DefaultPartSize is how much is sent at once of what is sent in parts, in bytes: as much is sent again after a cut.
const DefaultPartSize = 16 << 20

func (o Options) withDefaults() Options {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.Memory == nil {
		o.Memory = forgetful{}
	}
	if o.Progress == nil {
		o.Progress = func(int64) {}
	}
	if o.PartSize == 0 {
		o.PartSize = DefaultPartSize
	}
	if o.Patience == 0 {
		o.Patience = patience
	}
	return o
}

// home is a path in the home directory of the account. A service of the system is not told it in HOME; and what sudo left there may be
// somebody else's, whom root must not believe, or a place where everybody can put something. It is never a relative path.
func (o Options) home(elem ...string) string {
	dir := o.Getenv("HOME")
	if !filepath.IsAbs(dir) || os.Getuid() == 0 && host.RootsOwn(dir) != nil {
		dir = "/nonexistent"
		if who, err := user.Current(); err == nil && filepath.IsAbs(who.HomeDir) {
			dir = who.HomeDir
		}
	}
	return filepath.Join(append([]string{dir}, elem...)...)
}

type forgetful struct{}

func (forgetful) Recall(string) []byte          { return nil }
func (forgetful) Remember(string, []byte) error { return nil }

// IsRemote reports whether an address is one of a store on another machine.
func IsRemote(address string) bool {
	return strings.HasPrefix(address, "s3://") || strings.HasPrefix(address, "sftp://")
}

// Check returns nil if address can be that of a store. It contacts nothing. An error never holds a password that the address held.
func Check(address string) error {
	_, err := parse(address)
	return err
}

// Split parts the address of something stored, such as s3://bucket/prefix/NAME?endpoint=…, into that of the store and its name there.
func Split(address string) (place, name string, err error) {
	u, err := parse(address)
	if err != nil {
		return "", "", err
	}
	name = path.Base(u.Path)
	u.Path, u.RawPath = path.Dir(u.Path), ""
	if !IsRemote(address) {
		return u.Path, name, CheckName(name)
	}
	return u.String(), name, CheckName(name)
}

// parse reads an address; a directory has no scheme.
func parse(address string) (*url.URL, error) {
	if !IsRemote(address) {
		if scheme, _, found := strings.Cut(address, "://"); found {
			return nil, &Error{fmt.Errorf("no store is reached by %q", scheme), "name a directory, s3://bucket/prefix or sftp://user@host/path"}
		}
		if address == "" {
			return nil, errors.New("no store named")
		}
		return &url.URL{Path: address}, nil
	}
	scheme, _, _ := strings.Cut(address, "://")
	u, err := url.Parse(address)
	if err != nil { // whose text has the address in it, and so what may be a password
		return nil, fmt.Errorf("not an address: %q", scheme+"://…")
	}
	if _, has := u.User.Password(); has || scheme == "s3" && u.User != nil {
		return nil, &Error{
			fmt.Errorf("a password or key in the address of a store: %q", scheme+"://…@"+u.Host),
			"arguments are seen by everybody on the host: change it, and keep the new one in a file (~/.aws/credentials, an SSH key)",
		}
	}
	check := map[string]func(*url.URL) error{"s3": checkS3, "sftp": checkSFTP}[scheme]
	return u, check(u)
}

// Open reaches the store at an address: a directory, sftp://user@host[:port]/path or s3://bucket[/prefix]. The caller closes it.
func Open(ctx context.Context, address string, o Options) (Store, error) {
	u, err := parse(address)
	if err != nil {
		return nil, err
	}
	o = o.withDefaults()
	switch u.Scheme {
	case "s3":
		return openS3(ctx, u, o)
	case "sftp":
		return openSFTP(ctx, u, o)
	}
	return openDirectory(u.Path, o)
}
