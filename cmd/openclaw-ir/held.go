package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/collect"
	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/secret"
)

// The host cannot open what it sealed, so each bundle of a case leaves an index there of what it holds: for each whole
// file its path and a fingerprint, keyed by the case's salt, of its SHA-256. rotate and contain undo ask it before they change
// a file.

// heldSuffix ends the name of a bundle's index.
const heldSuffix = ".held"

// heldLimit bounds an index that is read, in bytes: a million files.
const heldLimit = 256 << 20

type heldRow struct {
	Path        string `json:"path"`
	Fingerprint string `json:"fingerprint"`
}

// writeHeld writes the index of a bundle that was just closed and returns its digest.
func writeHeld(cs *casefile.Case, bundle string, w *collect.Writer) (string, error) {
	salt, err := cs.Salt()
	if err != nil {
		return "", err
	}
	print := secret.NewFingerprinter(salt)
	var text bytes.Buffer
	lines := console.NewBareJSONLines(&text)
	for row, err := range w.Rows() {
		if err != nil {
			return "", fmt.Errorf("writing the index of the bundle: %w", err)
		}
		if row.Status != collect.Collected || row.Type != collect.File || row.Delta != nil || !strings.HasPrefix(row.Path, "/") {
			continue
		}
		if err := lines.Write(heldRow{row.Path, print.Fingerprint(row.SHA256)}); err != nil {
			return "", fmt.Errorf("writing the index of the bundle: %w", err)
		}
	}
	sum := sha256.Sum256(text.Bytes())
	return hex.EncodeToString(sum[:]), cs.WriteFile(casefile.BundlesDir+"/"+bundle+heldSuffix, text.Bytes())
}

// requireHeld refuses to change files that no sealed bundle of the case holds as they are now; overridden, it says so in the
// custody log.
func requireHeld(cs *casefile.Case, root *host.Root, files []string, override bool) error {
	missing, err := notHeld(cs, root, files)
	if err != nil || len(missing) == 0 {
		return err
	}
	if override {
		note := fmt.Sprintf("%d files are changed that no sealed bundle holds, first %q", len(missing), missing[0])
		return cs.Append(casefile.Entry{Action: "without evidence", Object: missing[0], Result: "as asked", Note: note})
	}
	text := fmt.Sprintf("no sealed bundle of case %q holds %q as it is now", cs.Name(), missing[0])
	if more := len(missing) - 1; more > 0 {
		text += ", nor " + plural(more, "other file")
	}
	return &codeError{exitFailed, errors.New(text), []string{
		"openclaw-ir collect --case " + cs.Name() + " -R recipients.txt, then again; --without-evidence goes on without, on the record",
	}}
}

// notHeld returns which of these files no sealed bundle of the case holds as they are now. What does not exist needs no
// holding, nor does a database's -shm, which every reader builds anew.
func notHeld(cs *casefile.Case, root fs.FS, files []string) (missing []string, err error) {
	files = slices.DeleteFunc(slices.Clone(files), func(file string) bool { return strings.HasSuffix(file, "-shm") })
	want, err := fingerprintsNow(cs, root, files)
	if err != nil {
		return nil, err
	}
	indexes, err := os.ReadDir(cs.Path(casefile.BundlesDir))
	if err != nil {
		return nil, err
	}
	for _, e := range indexes {
		if bundle, ok := strings.CutSuffix(e.Name(), heldSuffix); !ok || !isSealed(cs, bundle) {
			continue
		}
		if err := strike(cs, casefile.BundlesDir+"/"+e.Name(), want); err != nil {
			return nil, err
		}
	}
	if err := strike(cs, ownName, want); err != nil && !openclaw.IsAbsent(err) {
		return nil, err
	}
	for _, file := range files {
		if _, still := want[file]; still {
			missing = append(missing, file)
		}
	}
	return missing, nil
}

// ownName lists files that were sealed and then changed by this tool: what they hold besides is in the bundle.
const ownName = "changed" + heldSuffix

// changing runs change, which changes files, and notes those that were sealed before it as they are after it.
func changing(cs *casefile.Case, root fs.FS, files []string, change func()) error {
	missing, err := notHeld(cs, root, files)
	if err != nil {
		return err
	}
	change()
	return holdOwn(cs, root, slices.DeleteFunc(slices.Clone(files), func(f string) bool { return slices.Contains(missing, f) }))
}

func holdOwn(cs *casefile.Case, root fs.FS, files []string) error {
	text, err := cs.ReadFile(ownName, heldLimit)
	if err != nil && !openclaw.IsAbsent(err) {
		return err
	}
	now, err := fingerprintsNow(cs, root, files)
	if err != nil {
		return err
	}
	all := bytes.NewBuffer(text)
	lines := console.NewBareJSONLines(all)
	for _, file := range slices.Sorted(maps.Keys(now)) {
		if err := lines.Write(heldRow{file, now[file]}); err != nil {
			return fmt.Errorf("noting what %q is now: %w", file, err)
		}
	}
	return cs.WriteFile(ownName, all.Bytes())
}

// maxHeld bounds a file whose digest is taken, in bytes: OpenClaw keeps a store below 10 GB.
const maxHeld = 16 << 30

// notHeldPrint stands for a file that no bundle holds whole. No fingerprint is like it.
const notHeldPrint = "too large"

// fingerprintsNow are the fingerprints of those files that exist.
func fingerprintsNow(cs *casefile.Case, root fs.FS, files []string) (map[string]string, error) {
	salt, err := cs.Salt()
	if err != nil {
		return nil, err
	}
	print := secret.NewFingerprinter(salt)
	now := map[string]string{}
	for _, file := range files {
		sum, err := openclaw.Digest(root, file, maxHeld)
		if openclaw.IsAbsent(err) {
			continue
		}
		if errors.Is(err, openclaw.ErrTooLarge) {
			now[file] = notHeldPrint
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading %q: %w", file, err)
		}
		now[file] = print.Fingerprint(sum)
	}
	return now, nil
}

// isSealed says whether a bundle and its seal are still in the case.
func isSealed(cs *casefile.Case, bundle string) bool {
	for _, name := range []string{bundle, bundle + ".seal"} {
		if fi, err := os.Lstat(cs.Path(casefile.BundlesDir, name)); err != nil || !fi.Mode().IsRegular() || fi.Size() == 0 {
			return false
		}
	}
	return true
}

// strike takes out of want what an index lists.
func strike(cs *casefile.Case, index string, want map[string]string) error {
	text, err := cs.ReadFile(index, heldLimit)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var row heldRow
		if json.Unmarshal(lines.Bytes(), &row) == nil && want[row.Path] == row.Fingerprint {
			delete(want, row.Path)
		}
	}
	return lines.Err()
}
