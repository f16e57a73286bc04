package contain

import (
	"io/fs"
	"path"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/json5"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/product"
)

// cronMark begins a line of a crontab that was put out of action.
const cronMark = "#openclaw-ir contain# "

// cronDirs hold the crontabs of users and of packages, on Debian, Red Hat and macOS.
var cronDirs = []string{"/var/spool/cron/crontabs", "/var/spool/cron", "/var/cron/tabs", "/var/at/tabs", "/etc/cron.d"}

// crontabs returns the crontabs with lines that start OpenClaw, with the edits that put those out of action.
func (m Machine) crontabs() (list []File, gaps []string) {
	files := []string{"/etc/crontab"}
	for _, dir := range cronDirs {
		entries, err := fs.ReadDir(m.Root, openclaw.FSName(dir))
		if err != nil && !openclaw.IsAbsent(err) {
			gaps = append(gaps, dir+": "+openclaw.Cause(err))
		}
		for _, e := range entries {
			if e.Type().IsRegular() {
				files = append(files, path.Join(dir, e.Name()))
			}
		}
	}
	for _, file := range files {
		// The directories are root's and cron's alone, so root's rights lead nowhere else.
		owner := host.Owner{UID: uint32(m.UID)}
		text, st, err := host.ReadFile(owner, file)
		if err != nil {
			gaps = append(gaps, file+": "+openclaw.Cause(err))
			continue
		}
		if edits := disableCron(string(text)); len(edits) > 0 {
			list = append(list, File{Path: file, Owner: owner, Before: st, Edits: edits, Why: "crontab lines that start OpenClaw"})
		}
	}
	return list, gaps
}

// disableCron turns the lines that mention OpenClaw into comments.
func disableCron(text string) (edits json5.Patch) {
	at := 0
	for line := range strings.Lines(text) {
		if code := strings.TrimSpace(line); code != "" && code[0] != '#' && product.Mentions(code) {
			edits = append(edits, json5.Edit{Start: at, New: cronMark})
		}
		at += len(line)
	}
	return edits
}
