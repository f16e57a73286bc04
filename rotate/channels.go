package rotate

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// A Linked is a WhatsApp session as it lies on the disk. Who has its files is the user's WhatsApp.
//
// Nothing on this host can end it. OpenClaw's own "channels logout" only deletes the files too, and is not run: without
// a gateway it may go to the network to install the channel's plugin, and with one it must be started on the
// compromised state. So the files are removed here, once they are sealed, and the session's item stays open until the
// user has logged the device out on the phone.
type Linked struct {
	Account string       `json:"account"` // the directory's name
	Dir     string       `json:"dir"`     // absolute path
	Files   []LinkedFile `json:"files"`
	legacy  bool         // its files lie among others (2026.1)
}

// A LinkedFile is one file of a session, as it was when it was listed.
type LinkedFile struct {
	Path   string `json:"path"` // absolute
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"` // hex
}

// Bounds of a session: a real one has some thousands of files of some hundred bytes.
const (
	maxLinkedFiles = 50_000
	maxLinkedSize  = 16 << 20 // bytes of one file
	maxLinkedDepth = 4
)

// WhatsAppLinks lists the WhatsApp sessions of an installation. Its files are what must be sealed before
// [RemoveLinked]. A session that the config keeps elsewhere (authDir) is a gap: it is left to the user.
func WhatsAppLinks(fsys fs.FS, in *openclaw.Installation) ([]Linked, []openclaw.Gap) {
	l := linkLister{fsys: fsys}
	credentials := path.Join(in.StateDir, "credentials")
	for _, e := range l.entries(path.Join(credentials, "whatsapp")) {
		dir := path.Join(credentials, "whatsapp", e.Name())
		if !e.IsDir() {
			l.gap(dir, "is no directory of a WhatsApp account; left alone")
			continue
		}
		l.linked = Linked{Account: e.Name(), Dir: dir}
		l.dir(dir, maxLinkedDepth, nil)
		l.found = append(l.found, l.linked)
	}
	l.linked = Linked{Account: "default", Dir: credentials, legacy: true}
	l.dir(credentials, 0, isLegacyWhatsApp)
	if len(l.linked.Files) > 0 {
		l.found = append(l.found, l.linked)
	}
	l.elsewhere(in)
	return l.found, l.gaps
}

func isLegacyWhatsApp(name string) bool {
	return slices.ContainsFunc(whatsAppFile, func(s string) bool { return strings.HasPrefix(name, s) })
}

type linkLister struct {
	fsys   fs.FS
	linked Linked // that is being read
	files  int
	found  []Linked
	gaps   []openclaw.Gap
}

func (l *linkLister) gap(file, what string) {
	l.gaps = append(l.gaps, openclaw.Gap{Path: file, What: what})
}

func (l *linkLister) entries(dir string) []fs.DirEntry {
	entries, err := fs.ReadDir(l.fsys, openclaw.FSName(dir))
	if err != nil && !openclaw.IsAbsent(err) {
		l.gap(dir, openclaw.Cause(err))
	}
	return entries
}

// dir lists the regular files of a directory down to depth more levels.
func (l *linkLister) dir(dir string, depth int, names func(string) bool) {
	for _, e := range l.entries(dir) {
		file := path.Join(dir, e.Name())
		switch {
		case names != nil && !names(e.Name()):
		case e.IsDir() && depth > 0:
			l.dir(file, depth-1, names)
		case !e.Type().IsRegular():
			l.gap(file, "is no regular file; left alone")
		case l.files >= maxLinkedFiles:
			l.gap(file, fmt.Sprintf("there are more than %d files; left alone", maxLinkedFiles))
			return
		default:
			l.files++
			l.file(file)
		}
	}
}

func (l *linkLister) file(name string) {
	f, err := l.fsys.Open(openclaw.FSName(name))
	if err != nil {
		l.gap(name, openclaw.Cause(err))
		return
	}
	defer f.Close()
	sum, size, err := digestOf(f)
	if err != nil {
		l.gap(name, openclaw.Cause(err))
		return
	}
	l.linked.Files = append(l.linked.Files, LinkedFile{name, size, sum})
}

var errTooLong = errors.New("larger than a session's file can be")

func digestOf(r io.Reader) (sum string, size int64, err error) {
	h := sha256.New()
	size, err = io.Copy(h, io.LimitReader(r, maxLinkedSize+1))
	if err == nil && size > maxLinkedSize {
		err = errTooLong
	}
	return hex.EncodeToString(h.Sum(nil)), size, err
}

// elsewhere tells the sessions that the config keeps in another place.
func (l *linkLister) elsewhere(in *openclaw.Installation) {
	tell := func(dir string) {
		if dir != "" {
			l.gap(dir, "the config keeps a WhatsApp session here; remove it by hand once it is sealed")
		}
	}
	tell(in.Config.String("channels", "whatsapp", "authDir"))
	accounts, _ := in.Config.Get("channels", "whatsapp", "accounts").(map[string]any)
	for name := range accounts {
		tell(in.Config.String("channels", "whatsapp", "accounts", name, "authDir"))
	}
}

// RemoveLinked removes the files of a session from this machine, with the rights of the user who owns the installation,
// and returns the digests of what it removed. The caller has made sure that every file of it is in a sealed bundle.
//
// A file that is no longer what was listed is left alone, and the error wraps [host.ErrChanged]; the others go all the
// same. No link is followed. The files are unlinked and not overwritten: a disk that levels its wear, and a file system
// that copies on write, would keep the old blocks anyway.
func RemoveLinked(owner host.Owner, in *openclaw.Installation, linked Linked) ([]casefile.Digest, error) {
	credentials := filepath.Join(in.StateDir, "credentials")
	var removed []casefile.Digest
	err := host.AsAt(owner, filepath.Join(credentials, "whatsapp"), func() error {
		root, err := os.OpenRoot(credentials)
		if err != nil {
			return err
		}
		defer root.Close()
		r := linkRemover{root: root, dir: credentials, linked: &linked}
		err = r.remove()
		removed = r.removed
		return err
	})
	if err != nil {
		return removed, fmt.Errorf("removing the WhatsApp session %q: %w", linked.Account, err)
	}
	return removed, nil
}

type linkRemover struct {
	root    *os.Root
	dir     string // of root
	linked  *Linked
	removed []casefile.Digest
}

func (r *linkRemover) remove() error {
	base := filepath.Join(r.dir, "whatsapp", filepath.Base(r.linked.Account))
	if r.linked.legacy {
		base = r.dir
	}
	if r.linked.Dir != base {
		return fmt.Errorf("%q is not where WhatsApp sessions lie", r.linked.Dir)
	}
	var errs []error
	for _, f := range r.linked.Files {
		if !strings.HasPrefix(f.Path, base+"/") {
			return fmt.Errorf("%q does not belong to it", f.Path)
		}
		if err := r.file(f); err != nil {
			errs = append(errs, err)
			continue
		}
		r.removed = append(r.removed, casefile.Digest{Name: f.Path, SHA256: f.SHA256})
	}
	if !r.linked.legacy {
		errs = append(errs, r.directories(base))
	}
	return errors.Join(errs...)
}

// file removes one file that is still what was listed.
func (r *linkRemover) file(f LinkedFile) error {
	name := strings.TrimPrefix(f.Path, r.dir+"/")
	before, err := r.root.Lstat(name)
	if err != nil {
		return err
	}
	if !before.Mode().IsRegular() {
		return &fs.PathError{Op: "remove", Path: f.Path, Err: host.ErrSpecial}
	}
	file, err := r.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	after, err := file.Stat()
	if err != nil {
		return err
	}
	sum, _, err := digestOf(file)
	if err != nil {
		return err
	}
	if sum != f.SHA256 || !os.SameFile(before, after) {
		return &fs.PathError{Op: "remove", Path: f.Path, Err: host.ErrChanged}
	}
	return r.root.Remove(name)
}

// directories removes those that the session's files leave empty, the innermost first.
func (r *linkRemover) directories(base string) error {
	dirs := []string{base}
	for _, f := range r.linked.Files {
		for dir := path.Dir(f.Path); len(dir) > len(base); dir = path.Dir(dir) {
			dirs = append(dirs, dir)
		}
	}
	slices.SortFunc(dirs, func(a, b string) int { return len(b) - len(a) })
	var errs []error
	for _, dir := range slices.Compact(dirs) {
		err := r.root.Remove(strings.TrimPrefix(dir, r.dir+"/"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
