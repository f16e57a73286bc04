package changes

import (
	"strings"

	"github.com/clawbook/openclaw-ir/analyze/integrity"
	"github.com/clawbook/openclaw-ir/internal/severity"
)

// past compares the record of then with that of now, byte for byte.
func (d *differ) past() error {
	o := integrity.Options{Now: d.newer.Taken, Read: d.o.Read}
	found, err := integrity.Against(d.ctx, integrity.Past{FS: d.older.FS, Installs: d.older.Installs}, d.newer.FS, d.newer.Installs, o)
	if err != nil {
		return err
	}
	d.gaps(found.Gaps)
	for _, f := range found.Findings {
		switch {
		case f.Level > severity.Info:
			d.finding(f)
		case f.Check == "INT-007": // what an owner changes, and is told by kind, but for these
			d.otherFiles(f)
		}
	}
	return nil
}

func (d *differ) finding(f integrity.Finding) {
	for _, s := range []*string{&f.Title, &f.Detail, &f.Path, &f.Session, &f.Benign} {
		*s = d.text(*s)
	}
	for i := range f.Evidence {
		f.Evidence[i] = d.text(f.Evidence[i])
	}
	name := f.Path
	if f.Session != "" {
		name = strings.TrimSpace(name + " session " + f.Session)
	}
	d.add(Change{Kind: Past, Status: Changed, Name: name, Is: f.Title + ": " + f.Detail, Level: f.Level, Finding: &f})
}

// otherFiles notes the files that are no config, skill, hook, plugin or part of a workspace.
func (d *differ) otherFiles(f integrity.Finding) {
	what, known := strings.CutSuffix(f.Title, " files were changed since")
	status := Changed
	if !known {
		what, known = strings.CutSuffix(f.Title, " files were removed since")
		status = Removed
	}
	if !known || what != "other" {
		return
	}
	for _, file := range f.Evidence {
		d.others = append(d.others, Change{Kind: Other, Status: status, Name: file})
	}
}

// tellOthers tells the files that changed and of which nothing else was told.
func (d *differ) tellOthers() {
	told := map[string]bool{}
	for _, c := range d.report.Changes {
		told[c.Where], told[c.Name] = true, true
	}
	for _, c := range d.others {
		if !told[d.text(c.Name)] {
			d.add(c)
		}
	}
}
