package stores

import (
	"crypto/rand"
	"os"
	"path"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// aside is what a file's name gets at its end so that the gateway no longer reads it. Its bytes stay.
const aside = ".openclaw-ir"

// moveAside renames the regular files of a directory of this machine that end in suffix.
func moveAside(owner host.Owner, dir, suffix, what string) ([]Done, error) {
	var done []Done
	err := host.AsAt(owner, path.Join(dir, "*"), func() error {
		entries, err := os.ReadDir(dir)
		if openclaw.IsAbsent(err) {
			return nil
		}
		if err != nil {
			return err
		}
		n := 0
		for _, e := range entries {
			if !strings.HasSuffix(e.Name(), suffix) || !e.Type().IsRegular() {
				continue
			}
			if err = renameUnique(path.Join(dir, e.Name())); err != nil {
				break
			}
			n++
		}
		if n > 0 {
			done = []Done{{What: what, Count: n, Where: dir}}
		}
		return err
	})
	return done, err
}

// rename renames one file of this machine, if it is there.
func rename(owner host.Owner, file, what string) ([]Done, error) {
	var done []Done
	err := host.AsAt(owner, file, func() error {
		if _, err := os.Lstat(file); openclaw.IsAbsent(err) {
			return nil
		}
		if err := renameUnique(file); err != nil {
			return err
		}
		done = []Done{{What: what, Count: 1, Where: file}}
		return nil
	})
	return done, err
}

// renameUnique renames a file within its directory and replaces none.
func renameUnique(file string) error {
	to := file + aside
	if _, err := os.Lstat(to); !openclaw.IsAbsent(err) {
		to += "-" + rand.Text()
	}
	return os.Rename(file, to)
}
