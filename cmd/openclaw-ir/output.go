package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/clawbook/openclaw-ir/internal/casefile"
)

// An output is where a bundle is written: a file that gets its name only when it is whole, or a pipe.
type output struct {
	name     string // as the user is told
	w        *bufio.Writer
	file     *os.File // nil for a pipe
	sealName string
	done     bool
}

const partial = ".partial"

// openOutput opens the place that -o names, and by default one in the case.
func (x *collection) openOutput(cs *casefile.Case) (*output, error) {
	name := x.c.String("output")
	inCase := cs.Path(casefile.BundlesDir, x.name)
	switch name {
	case "-":
		w, err := x.console.BinaryOut(false)
		if err != nil {
			return nil, usageError("pipe it: openclaw-ir collect -o - | …", "%v", err)
		}
		return &output{name: "-", w: bufio.NewWriterSize(w, 256<<10), sealName: inCase + ".seal"}, nil
	case "":
		name = inCase
	default:
		x.name = filepath.Base(name)
	}
	if _, err := os.Lstat(name); err == nil {
		return nil, usageError("name another file with -o", "%q exists, and evidence is never overwritten", name)
	}
	f, err := os.OpenFile(name+partial, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("making the bundle: %w", err)
	}
	return &output{name: name, w: bufio.NewWriterSize(f, 256<<10), file: f, sealName: name + ".seal"}, nil
}

// paths are the absolute paths of what is being written, which must not be collected into itself.
func (o *output) paths() (list []string) {
	for _, name := range []string{o.name, o.name + partial, o.sealName} {
		if abs, err := filepath.Abs(name); err == nil {
			list = append(list, abs)
		}
	}
	return list
}

// Write writes ciphertext.
func (o *output) Write(p []byte) (int, error) { return o.w.Write(p) }

// commit makes the bundle durable, gives it its name and writes the seal beside it.
func (o *output) commit(seal []byte) (sealName string, err error) {
	if err := o.w.Flush(); err != nil {
		return "", err
	}
	if o.file != nil {
		if err := o.file.Sync(); err != nil {
			return "", err
		}
		if err := o.file.Close(); err != nil {
			return "", err
		}
	}
	if err := writeNew(o.sealName, seal); err != nil {
		return "", fmt.Errorf("writing the seal: %w", err)
	}
	if o.file != nil {
		if err := nameWhole(o.name); err != nil {
			return "", err
		}
		if err := syncDir(filepath.Dir(o.name)); err != nil {
			return "", err
		}
	}
	o.done = true
	return o.sealName, nil
}

// nameWhole gives a finished file its name. Link, unlike Rename, never replaces a file that came meanwhile; a
// memory stick has no links.
func nameWhole(name string) error {
	err := os.Link(name+partial, name)
	if err == nil {
		return os.Remove(name + partial)
	}
	if errors.Is(err, os.ErrExist) {
		return err
	}
	return os.Rename(name+partial, name)
}

func writeNew(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// keep leaves what was written of a bundle that failed, and returns its name; "" if there is nothing to keep.
func (o *output) keep() string {
	o.w.Flush() // what fails here failed before
	o.done = true
	if o.file == nil {
		return ""
	}
	o.file.Close()
	return o.name + partial
}

// discard removes what was begun and never held anything.
func (o *output) discard() {
	if o.done || o.file == nil {
		return
	}
	o.file.Close()
	os.Remove(o.name + partial)
}
