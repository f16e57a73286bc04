package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/durable"
	"github.com/clawbook/openclaw-ir/internal/host"
)

// An output is where a bundle is written: a file that gets its name only when it is whole, or a pipe.
type output struct {
	name     string // as the user is told
	w        *bufio.Writer
	dir      *os.Root // where the bundle and the seal lie; of a pipe the seal alone
	file     *os.File // nil for a pipe
	sealName string
	cs       *casefile.Case
	done     bool
}

const (
	partial      = ".partial"
	outputBuffer = 256 << 10
)

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
		dir, err := openOutputDir(inCase)
		if err != nil {
			return nil, fmt.Errorf("making the seal: %w", err)
		}
		return &output{name: "-", w: bufio.NewWriterSize(w, outputBuffer), dir: dir, cs: cs, sealName: inCase + ".seal"}, nil
	case "":
		name = inCase
	default:
		x.name = filepath.Base(name)
	}
	if _, err := os.Lstat(name); err == nil {
		return nil, usageError("name another file with -o", "%q exists, and evidence is never overwritten", name)
	}
	dir, err := openOutputDir(name)
	if err != nil {
		return nil, fmt.Errorf("making the bundle: %w", err)
	}
	f, err := dir.OpenFile(filepath.Base(name)+partial, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("making the bundle: %w", errors.Join(err, dir.Close()))
	}
	return &output{name: name, w: bufio.NewWriterSize(f, outputBuffer), dir: dir, cs: cs, file: f, sealName: name + ".seal"}, nil
}

// openOutputDir opens the directory in which a new file is made. Where root would be led elsewhere by a link, it says what to type.
func openOutputDir(name string) (*os.Root, error) {
	dir, err := host.OpenDir(filepath.Dir(name))
	if errors.Is(err, host.ErrNotTrusted) {
		return nil, usageError("name the directory that is meant itself, without links of others, such as one below /root", "%v", err)
	}
	return dir, err
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
		defer o.file.Close() // once it has its name: until then the file is known by it
	}
	if err := o.writeSeal(seal); err != nil {
		return "", fmt.Errorf("writing the seal: %w", err)
	}
	if o.file != nil {
		name := filepath.Base(o.name)
		if err := durable.Name(o.dir, name+partial, name); err != nil {
			return "", err
		}
		if err := durable.Holds(o.dir, name, o.file); err != nil {
			return "", err
		}
	}
	o.done = true
	return o.sealName, nil
}

// writeSeal writes the seal, in the case as all its files are: what a run that was killed left is taken away by the next.
func (o *output) writeSeal(seal []byte) error {
	name := filepath.Base(o.sealName)
	if o.sealName == o.cs.Path(casefile.BundlesDir, name) {
		return o.cs.WriteFile(casefile.BundlesDir+"/"+name, seal)
	}
	return durable.Create(o.dir, name, seal)
}

// writeNew writes a file that must not exist yet, whole or not at all.
func writeNew(name string, data []byte) error {
	dir, err := openOutputDir(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	return durable.Create(dir, filepath.Base(name), data)
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
	if !o.done && o.file != nil {
		o.file.Close()
		_ = o.dir.Remove(filepath.Base(o.name) + partial)
	}
	o.dir.Close()
}
