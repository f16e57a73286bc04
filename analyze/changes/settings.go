package changes

import (
	"path"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/analyze/posture"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/secret"
)

// config compares the merged configurations, setting by setting.
func (d *differ) config(was, is *openclaw.Installation) {
	d.settings(Config, was.Config, is.Config)
	for _, c := range []*openclaw.Config{was.Config, is.Config} {
		if c == nil {
			return
		}
	}
	before := d.report.Count(Config)
	for _, file := range is.Config.Files {
		old, now, same := d.bothTexts(file)
		if !same && old != nil && now != nil && before == 0 {
			d.add(Change{Kind: Config, Status: Changed, Name: file, Is: "no setting changed: only comments, order, white space or when it was written"})
		}
	}
}

func (d *differ) settings(kind Kind, was, is *openclaw.Config) {
	secrets := map[string]bool{}
	for _, c := range []*openclaw.Config{was, is} {
		if c == nil {
			continue
		}
		for _, text := range c.Texts {
			for _, value := range secret.FromConfig(text) {
				secrets[value] = true
			}
		}
	}
	show := func(value string) string {
		if secrets[value] {
			return d.print(value)
		}
		return value
	}
	for _, s := range posture.Settings(was, is) {
		c := Change{Kind: kind, Status: Changed, Name: s.Key, Was: show(s.Was), Is: show(s.Is)}
		if kind != Config && is != nil {
			c.Where = is.Path
		}
		switch {
		case s.Added:
			c.Status = Added
		case s.Removed:
			c.Status = Removed
		}
		d.add(c)
	}
}

// print is what stands for a secret, also for one that is too short to be found in a text.
func (d *differ) print(value string) string { return "<secret:" + d.o.Set.Fingerprint(value) + ">" }

// serverFiles are where tools on other programs are set up besides the config, below a workspace.
var serverFiles = []string{".mcp.json", "config/mcporter.json"}

// servers compares the files that say which programs the agent may call as tools.
func (d *differ) servers(was, is *openclaw.Installation) {
	var files []string
	for _, in := range []*openclaw.Installation{was, is} {
		for _, a := range in.Agents {
			for _, name := range serverFiles {
				files = append(files, path.Join(a.Workspace, name))
			}
		}
	}
	slices.Sort(files)
	for _, file := range slices.Compact(files) {
		old, oldGaps := openclaw.LoadConfig(d.older.FS, file)
		now, nowGaps := openclaw.LoadConfig(d.newer.FS, file)
		d.gaps(append(oldGaps, nowGaps...))
		d.settings(MCP, old, now)
	}
}

// credentials compares every secret within the reach of the installation, by the place that holds it. Those of the config are told
// there, and those of old copies do not count.
func (d *differ) credentials(was, is *openclaw.Installation) {
	d.items(Credential, d.held(d.older, was), d.held(d.newer, is))
}

func (d *differ) held(side *Side, in *openclaw.Installation) map[string]item {
	prints := map[string][]string{}
	where := map[string]string{}
	in.Held(d.ctx, side.FS, func(h openclaw.HeldSecret) { // its gaps are those of Secrets, which were told
		if h.Former || h.Value == "" || in.Config != nil && slices.Contains(in.Config.Files, h.File) {
			return
		}
		place := h.String()
		if print := d.print(h.Value); !slices.Contains(prints[place], print) {
			prints[place], where[place] = append(prints[place], print), h.File
		}
	})
	items := map[string]item{}
	for place, list := range prints {
		slices.Sort(list)
		items[place] = item{strings.Join(list, " "), where[place]}
	}
	return items
}
