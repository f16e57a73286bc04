package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"

	"filippo.io/age"
	"github.com/clawbook/openclaw-ir/collect"
	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/durable"
	"github.com/clawbook/openclaw-ir/report"
)

// A reportFile is a finished file of the report.
type reportFile struct {
	name string // in the report directory of the case
	data []byte
	sum  string
}

// A form is one of the files: how it is written of a story.
type form struct {
	ext   string
	write func(io.Writer, *report.Story) error
}

func (x *reporting) forms(attached []report.Attachment) []form {
	t := x.template
	return []form{
		{".eml", func(w io.Writer, s *report.Story) error { return t.WriteMail(w, s, x.to, attached...) }},
		{".md", t.WriteMarkdown},
		{".html", report.WritePage},
		{".json", report.WriteJSON},
		{".txt", func(w io.Writer, s *report.Story) error { return t.WriteLetter(w, s, x.to) }}, // what is printed; not kept
	}
}

// render makes every file and searches each for secrets before any of them gets a name.
func (x *reporting) render() (files []reportFile, err error) {
	attached, err := x.attachments()
	if err != nil {
		return nil, err
	}
	b, parts, err := x.parts() // before anything is written
	if err != nil {
		return nil, err
	}
	if parts > 0 {
		b.Sent = fmt.Sprintf("in parts; join them with: %s", joining(b.Name, parts))
	}
	for _, f := range x.forms(attached) {
		data, err := x.renderOne(f)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(data)
		files = append(files, reportFile{x.stem() + f.ext, data, hex.EncodeToString(sum[:])})
	}
	return files, nil
}

func (x *reporting) renderOne(f form) ([]byte, error) {
	var data, empty bytes.Buffer
	if err := f.write(&data, &x.story); err != nil {
		return nil, fmt.Errorf("writing %q: %w", x.stem()+f.ext, err)
	}
	if err := f.write(&empty, &report.Story{}); err != nil {
		return nil, fmt.Errorf("writing %q: %w", x.stem()+f.ext, err)
	}
	if err := report.Scan(x.stem()+f.ext, data.Bytes(), empty.Bytes(), x.renderer.Secrets); err != nil {
		return nil, &codeError{exitFailed, fmt.Errorf("nothing was written: %w", err), []string{
			"this is a fault of openclaw-ir; openclaw-ir analyze secrets --all says where the secret of a fingerprint is held",
		}}
	}
	return data.Bytes(), nil
}

// stem begins the names of the files: those of another letter than the one to support lie beside that.
func (x *reporting) stem() string {
	name := "report"
	if x.cs != nil {
		name = x.cs.Name()
	}
	if x.template.Name != report.Templates()[0].Name {
		name += "-" + x.template.Name
	}
	return name
}

// newest is the newest bundle that is whole.
func (x *reporting) newest() (*report.Bundle, error) {
	for i := len(x.story.Bundles) - 1; i >= 0; i-- {
		if b := &x.story.Bundles[i]; b.Problem == "" && b.Note == "" {
			return b, nil
		}
	}
	return nil, &codeError{exitFailed, errors.New("the case holds no sealed bundle that is whole"), []string{"openclaw-ir collect -R recipients.txt, then report again"}}
}

// maxSealMail is more than the seal of a bundle that goes into a mail takes, in bytes.
const maxSealMail = 16 << 10

// attachments are the bundle and its seal.
func (x *reporting) attachments() ([]report.Attachment, error) {
	if !x.c.Bool("attach") {
		return nil, nil
	}
	b, err := x.newest()
	if err != nil {
		return nil, err
	}
	if b.Size+maxSealMail > report.MaxMail {
		return nil, &codeError{exitFailed, fmt.Errorf("%q is larger than the %d bytes that a mail may carry", b.Name, report.MaxMail), []string{
			"openclaw-ir report --split 20M cuts it into parts, or hand it over in another way; the letter holds its SHA-256",
		}}
	}
	var list []report.Attachment
	for _, f := range []struct{ name, kind string }{{b.Name, "application/octet-stream"}, {b.Name + ".seal", "application/json"}} {
		data, err := x.cs.ReadFile(path.Join(casefile.BundlesDir, f.name), report.MaxMail)
		if err != nil {
			return nil, err
		}
		list = append(list, report.Attachment{Name: f.name, Type: f.kind, Data: data})
	}
	b.Sent = "attached to this mail, with its seal"
	if sum := sha256.Sum256(list[0].Data); hex.EncodeToString(sum[:]) != b.SHA256 {
		return nil, fmt.Errorf("attaching %q: it changed while it was read", b.Name)
	}
	return list, nil
}

// write leaves the files in the case: each replaces that of an earlier report, whose digest stays in the custody log. That log is
// told of what was written, also where not all of it could be.
func (x *reporting) write(files []reportFile) error {
	entry := casefile.Entry{Action: "report", Object: x.cs.Path(casefile.ReportDir), Result: "written", Note: "template " + x.template.Name}
	err := x.writeAll(files, func(name string, sum string) {
		entry.Digests = append(entry.Digests, casefile.Digest{Name: path.Join(casefile.ReportDir, name), SHA256: sum})
	})
	if err != nil {
		entry.Result = "failed"
	}
	if len(x.story.Case.Problems) > 0 {
		x.record.silence() // as case verify does: what was changed is left as it was found
		x.console.Warningf("not noted in the custody log, which does not hold")
		return err
	}
	return errors.Join(err, x.cs.Append(entry))
}

// writeAll writes every file and hands on its digest.
func (x *reporting) writeAll(files []reportFile, done func(name, sum string)) error {
	for _, f := range x.kept(files) {
		if err := x.cs.WriteFile(path.Join(casefile.ReportDir, f.name), f.data); err != nil {
			return err
		}
		done(f.name, f.sum)
	}
	if err := x.writeTokens(done); err != nil {
		return err
	}
	return x.writeParts(done)
}

// writeTokens seals the list of what each token stands for to the owner.
func (x *reporting) writeTokens(done func(name, sum string)) error {
	if len(x.owners) == 0 {
		x.console.Printf("the list of what the tokens stand for was not written: no recipient is known; name one with -R or -r")
		return nil
	}
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, collect.AgeRecipients(x.owners)...)
	if err == nil {
		held := map[string]any{"openclaw_ir_tokens": 1, "case": x.story.Case.Name, "held": x.tokenPlaces()}
		if err = console.NewBareJSONLines(w).Write(held); err == nil {
			err = w.Close()
		}
	}
	if err != nil {
		return fmt.Errorf("sealing the list of tokens: %w", err)
	}
	return x.writeOne(x.stem()+".tokens.age", sealed.Bytes(), done)
}

func (x *reporting) writeOne(name string, data []byte, done func(name, sum string)) error {
	if err := x.cs.WriteFile(path.Join(casefile.ReportDir, name), data); err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	done(name, hex.EncodeToString(sum[:]))
	return nil
}

// maxParts bounds into how many parts a bundle is cut.
const maxParts = 999

// parts are into how many parts the newest bundle is cut; 0 if it is not.
func (x *reporting) parts() (*report.Bundle, int, error) {
	if x.split == 0 {
		return nil, 0, nil
	}
	b, err := x.newest()
	if err != nil {
		return nil, 0, err
	}
	n := max((b.Size+x.split-1)/x.split, 1)
	if n > maxParts {
		return nil, 0, usageError("openclaw-ir report --split 20M", "%q would be %d parts, more than %d", b.Name, n, maxParts)
	}
	return b, int(n), nil
}

// joining is the command that makes a bundle of its parts again.
func joining(bundle string, parts int) string {
	name := console.ShellWord(bundle)
	return fmt.Sprintf("cat %s.part*of%03d > %s", name, parts, name)
}

// writeParts cuts the newest bundle into parts, and lists their digests as sha256sum does.
func (x *reporting) writeParts(done func(name, sum string)) error {
	b, parts, err := x.parts()
	if err != nil || parts == 0 {
		return err
	}
	f, err := x.cs.OpenFile(path.Join(casefile.BundlesDir, b.Name))
	if err != nil {
		return err
	}
	defer f.Close()
	var sums bytes.Buffer
	for n := range parts {
		// How many there are is in the name, so that parts of another cut are not taken for some of this one.
		name := fmt.Sprintf("%s.part%03dof%03d", b.Name, n+1, parts)
		sum, err := x.writePart(name, io.LimitReader(f, x.split))
		if err != nil {
			return fmt.Errorf("cutting %q: %w", b.Name, err)
		}
		done(name, sum)
		fmt.Fprintf(&sums, "%s  %s\n", sum, name)
	}
	fmt.Fprintf(&sums, "%s  %s\n", b.SHA256, b.Name)
	x.console.Printf("cut into %s; join them with: %s, then: sha256sum -c %s", plural(parts, "part"), joining(b.Name, parts), console.ShellWord(b.Name+".SHA256SUMS"))
	return x.writeOne(b.Name+".SHA256SUMS", sums.Bytes(), done)
}

// writePart writes one part, under its name only when it is whole.
func (x *reporting) writePart(name string, r io.Reader) (sum string, err error) {
	root, file := x.cs.Root(), path.Join(casefile.ReportDir, name)
	_ = root.Remove(file + partial) // left by a run that was cut off
	h := sha256.New()
	if err = durable.Write(root, file+partial, io.TeeReader(r, h)); err == nil {
		err = durable.Replace(root, file+partial, file)
	}
	return hex.EncodeToString(h.Sum(nil)), err
}
