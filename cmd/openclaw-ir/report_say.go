package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/clawbook/openclaw-ir/collect"
	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/report"
)

// reportConfig says to whom the letter to support goes on this host.
const reportConfig = "/etc/openclaw-ir/report.json"

// maxReportConfig is more than that file takes, in bytes.
const maxReportConfig = 64 << 10

// address is to whom the mail goes: as asked, as this host says, or as the template does.
func (x *reporting) address() (string, error) {
	to := x.c.String("to")
	if to == "" && x.template.Name == report.Templates()[0].Name {
		root, err := x.openHost("/")
		if err != nil {
			return "", err
		}
		defer root.Close()
		if to, err = configuredAddress(root); err != nil {
			return "", err
		}
	}
	if to == "" {
		return x.template.To, nil
	}
	if err := report.CheckAddress(to); err != nil {
		return "", usageError("openclaw-ir report --to support@clawbook.io", "%v", err)
	}
	return to, nil
}

// configuredAddress reads the address of this host's config, which only root may have written: the agent's user must not choose
// who is told.
func configuredAddress(root *host.Root) (string, error) {
	_, err := host.RootOnly(root, reportConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", usageError("sudo chown root: "+reportConfig+" && sudo chmod 644 "+reportConfig+", after reading it; or name the address with --to",
			"%q can be written by others than root, so it may not say who is told", reportConfig)
	}
	f, err := root.Open(strings.TrimPrefix(reportConfig, "/")) // as root alone has written it
	if err != nil {
		return "", fmt.Errorf("reading %q: %w", reportConfig, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxReportConfig)) // what is cut is no JSON
	if err != nil {
		return "", fmt.Errorf("reading %q: %w", reportConfig, err)
	}
	var config struct{ To string }
	if err := json.Unmarshal(text, &config); err != nil {
		return "", &codeError{exitUsage, fmt.Errorf("reading %q: %v", reportConfig, err), []string{`it reads {"to": "support@clawbook.io"}`}}
	}
	return config.To, nil
}

// tokenOwners are who may read the list of tokens: those named, or else those of the host. Nobody is asked.
func (x *reporting) tokenOwners() ([]collect.Recipient, error) {
	list, err := givenRecipients(x.c)
	if err == nil && len(list) == 0 && !x.c.Bool("dry-run") {
		list, err = recipientsFromDefaults(x.env)
	}
	if err != nil || len(list) == 0 {
		return nil, err
	}
	if err := collect.CheckRecipients(list); err != nil {
		return nil, &codeError{exitUsage, err, nil}
	}
	return list, nil
}

// A reportRow is one line of the output with --json.
type reportRow struct {
	Story *report.Story  `json:"story,omitempty"`
	File  *reportFileRow `json:"file,omitempty"`
}

type reportFileRow struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
}

// print prints the letter, or the story as JSON.
func (x *reporting) print(files []reportFile) error {
	if !x.c.Bool("json") {
		_, err := x.console.Out().Write(files[len(files)-1].data)
		return err
	}
	out, err := console.NewLines(x.console, true, map[string]any{"command": "report"}, func(reportRow) string { return "" })
	if err != nil {
		return err
	}
	if err := out.Write(reportRow{Story: &x.story}); err != nil {
		return err
	}
	for _, f := range x.kept(files) {
		if err := out.Write(reportRow{File: &reportFileRow{x.cs.Path(casefile.ReportDir, f.name), f.sum}}); err != nil {
			return err
		}
	}
	return out.Flush()
}

// kept are the files that lie in the case.
func (x *reporting) kept(files []reportFile) []reportFile {
	if x.cs == nil || x.c.Bool("dry-run") {
		return nil
	}
	return files[:len(files)-1] // the last is what is printed
}

// sayFiles says where the files are and how to get them.
func (x *reporting) sayFiles(files []reportFile) {
	kept := x.kept(files)
	if len(kept) == 0 {
		x.console.Printf("nothing was written")
		return
	}
	for _, f := range kept {
		x.console.Printf("%s  sha256 %s", x.cs.Path(casefile.ReportDir, f.name), f.sum)
	}
	to := x.to
	if to == "" {
		to = "whom you choose"
	}
	x.console.Printf("nothing was sent. It quotes messages, names and paths: read it, take out what is private, then send it to %s", to)
	from := x.user() + "@" + orUnknown(x.cs.Info().Host) + ":" + x.cs.Path(casefile.ReportDir, x.stem())
	x.console.Hintf("scp %s . fetches the files; open the .eml in a mail program, the .html in a browser", console.ShellWord(from+".*"))
}

func (x *reporting) user() string {
	if x.uid == 0 {
		return "root"
	}
	return orUnknown(x.getenv("USER"))
}

// openDraft opens the draft in the mail program of the person at the desk.
func (x *reporting) openDraft(files []reportFile) {
	if kept := x.kept(files); len(kept) > 0 {
		x.open("the draft", x.cs.Path(casefile.ReportDir, kept[0].name))
	}
}
