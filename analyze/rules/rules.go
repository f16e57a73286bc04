// Package rules holds the catalogue of detections: rules in Sigma 2.1, one file a kind of attack, which users read and
// add to. README.md beside them says how. The package reads rule files and never matches or prints anything.
package rules

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"sync"

	"github.com/clawbook/openclaw-ir/internal/sigma"
)

//go:embed *.yml
var files embed.FS

// What a directory of rules may hold.
const (
	maxFiles = 10_000
	maxBytes = 1 << 20 // of one file; the reader of rules takes no more
	maxAll   = 64 << 20
)

// Files returns the catalogue as it is embedded: one YAML file a kind of attack.
func Files() fs.FS { return files }

// Compiling the expressions takes a noticeable part of a second, so it is done once.
var catalogue = sync.OnceValues(func() ([]*sigma.Rule, error) { return LoadDir(files) })

// Load returns the rules of the catalogue, in the order of their files. The rules are shared: they must not be changed.
func Load() ([]*sigma.Rule, error) {
	list, err := catalogue()
	return slices.Clone(list), err
}

// LoadDir returns the rules of all files below fsys that end in .yml or .yaml. Files and rules that cannot be used are
// left out, and the error says why for each. Where all together are too much, nothing is read from that place on.
func LoadDir(fsys fs.FS) ([]*sigma.Rule, error) {
	names, err := ruleFiles(fsys)
	errs := []error{err}
	parser, left := sigma.Parser{Budget: sigma.NewBudget()}, maxAll
	var rules []*sigma.Rule
	for _, name := range names {
		text, err := readFile(fsys, name)
		if err != nil {
			errs = append(errs, fmt.Errorf("reading rules: %w", err))
			continue
		}
		if left -= len(text); left < 0 {
			errs = append(errs, fmt.Errorf("reading rules: more than %d bytes", maxAll))
			break
		}
		read, err := parser.Parse(name, text)
		rules, errs = append(rules, read...), append(errs, err)
		if errors.Is(err, sigma.ErrTooMuch) {
			break
		}
	}
	return rules, errors.Join(errs...)
}

// ruleFiles lists what LoadDir reads. A directory that cannot be read does not hide the others.
func ruleFiles(fsys fs.FS) (names []string, err error) {
	var errs []error
	walked := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("reading rules: %w", err))
		case !d.IsDir() && slices.Contains([]string{".yml", ".yaml"}, path.Ext(name)):
			if len(names) == maxFiles {
				return fmt.Errorf("reading rules: more than %d files", maxFiles)
			}
			names = append(names, name)
		}
		return nil
	})
	return names, errors.Join(append(errs, walked)...)
}

func readFile(fsys fs.FS, name string) ([]byte, error) {
	info, err := fs.Stat(fsys, name) // of what a link leads to
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%q is not a file", name) // opening a pipe would wait
	}
	if err != nil {
		return nil, err
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err == nil && len(text) > maxBytes {
		err = fmt.Errorf("%q is larger than %d bytes", name, maxBytes)
	}
	return text, err
}
