package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path"
	"strings"
	"sync"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// A server is a store that is reached by SFTP. A cut connection is made anew.
type server struct {
	address *url.URL
	dir     string
	o       Options

	mu   sync.Mutex
	conn *connection // nil when there is none
}

type connection struct {
	ssh  *ssh.Client
	sftp *sftp.Client
}

// close ends the connection first: to close the files is to wait for the server.
func (c *connection) close() {
	c.ssh.Close()
	c.sftp.Close()
}

// checkSFTP checks an address sftp://user@host[:port]/path. A path that begins with /~/ is one in the user's home.
func checkSFTP(u *url.URL) error {
	if u.User.Username() == "" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" {
		return &Error{errors.New("an SFTP address names a user and a host"), "write it as sftp://user@host/path, with :port after the host if it is not 22"}
	}
	return nil
}

func openSFTP(ctx context.Context, u *url.URL, o Options) (Store, error) {
	dir := cleanPath(u.Path)
	if home, found := strings.CutPrefix(dir+"/", "/~/"); found {
		dir = path.Clean("./" + home)
	}
	s := &server{address: u, dir: dir, o: o}
	err := s.with(ctx, func(context.Context, *connection) error { return nil })
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", s, err)
	}
	return s, nil
}

func (s *server) String() string { return s.address.String() }

func (s *server) Close() error {
	s.drop(nil)
	return nil
}

// with lets f use the connection, and makes another for the next try if f failed.
func (s *server) with(ctx context.Context, f func(context.Context, *connection) error) error {
	return s.o.again(ctx, func(ctx context.Context, _ int) error {
		c, err := s.connected(ctx)
		if err != nil {
			return err
		}
		stop := context.AfterFunc(ctx, func() { s.drop(c) }) // ends what waits for the server
		err = refused(f(ctx, c))
		stop()
		var answered errFinal
		if err != nil && !errors.As(err, &answered) {
			s.drop(c)
		}
		return err
	})
}

func (s *server) connected(ctx context.Context) (*connection, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		return s.conn, nil
	}
	client, err := dial(ctx, s.address, s.o)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { client.Close() })
	defer stop()
	files, err := sftp.NewClient(client, sftp.UseConcurrentWrites(true))
	if err != nil {
		client.Close()
		return nil, final(&Error{fmt.Errorf("the server offers no SFTP: %w", err), "ask who runs it to allow the account the subsystem sftp"})
	}
	s.conn = &connection{client, files}
	return s.conn, nil
}

// drop closes the connection c, or whichever there is.
func (s *server) drop(c *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil && (c == nil || c == s.conn) {
		s.conn.close()
		s.conn = nil
	}
}

// refused marks what the server answered as final: only a connection that was cut is worth another try.
func refused(err error) error {
	var status *sftp.StatusError
	var told *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &told), errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission), errors.Is(err, fs.ErrExist), errors.Is(err, ErrChanged), errors.Is(err, ErrExists):
		return final(err)
	case errors.As(err, &status) && status.FxCode() != sftp.ErrSSHFxNoConnection && status.FxCode() != sftp.ErrSSHFxConnectionLost:
		return final(err)
	}
	return err
}

func (s *server) path(name string) string { return path.Join(s.dir, name) }

// List lists the files of the directory.
func (s *server) List(ctx context.Context) ([]Object, error) {
	var l listing
	err := s.with(ctx, func(ctx context.Context, c *connection) error {
		l = listing{}
		infos, err := c.sftp.ReadDirContext(ctx, s.dir)
		for _, info := range infos {
			o := Object{Name: info.Name(), Size: info.Size(), Time: info.ModTime().UTC()}
			if !info.Mode().IsRegular() {
				o.Problem = "not a file"
			}
			if err := l.add(o); err != nil {
				return final(err)
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", s, err)
	}
	return l.sorted(), nil
}

// Open opens a file that is no link.
func (s *server) Open(ctx context.Context, name string) (Reader, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	f := &remoteFile{s: s, name: name}
	size := int64(0)
	err := s.with(ctx, func(_ context.Context, c *connection) error {
		info, err := c.sftp.Lstat(s.path(name))
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() || info.Size() < 0 {
			return final(errors.New("not a file"))
		}
		size = info.Size()
		_, err = f.on(c)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", name, err)
	}
	fetch := func(p []byte, off int64) error {
		return s.with(ctx, func(_ context.Context, c *connection) error { return f.fetch(c, p, off) })
	}
	return &blocks{size: size, fetch: fetch, close: f.close}, nil
}

// A remoteFile is a file that is open on one connection, and opened again on the next.
type remoteFile struct {
	s    *server
	name string
	mu   sync.Mutex
	at   *connection
	file *sftp.File
}

func (f *remoteFile) on(c *connection) (*sftp.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.at == c {
		return f.file, nil
	}
	file, err := c.sftp.Open(f.s.path(f.name))
	if err != nil {
		return nil, err
	}
	f.at, f.file = c, file
	return file, nil
}

func (f *remoteFile) fetch(c *connection, p []byte, off int64) error {
	file, err := f.on(c)
	if err != nil {
		return err
	}
	n, err := file.ReadAt(p, off)
	switch {
	case n == len(p):
		return nil
	case errors.Is(err, io.EOF):
		return final(fmt.Errorf("reading %q: %s", f.name, errLessTold))
	}
	return fmt.Errorf("reading %q: %w", f.name, err)
}

func (f *remoteFile) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil {
		return nil
	}
	return f.file.Close()
}
