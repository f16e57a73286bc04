package report

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/analyze"
	"github.com/clawbook/openclaw-ir/internal/severity"
	"go.yaml.in/yaml/v3"
)

// maxSkills bounds how many skills a story names, and maxSkillFile how much of a skill's file is read, in bytes.
const (
	maxSkills    = 50
	maxSkillFile = 1 << 20
)

// skillDir is a file of a skill: the skill's directory, and its name.
var skillDir = regexp.MustCompile(`^(/.*/skills/([^/]+))/`)

// FindSkills names the skills whose files the findings at high or above are about, and reads in the evidence what they are.
func (s *Story) FindSkills(fsys fs.FS) {
	at := map[string]int{}
	for i := range s.Findings {
		f := &s.Findings[i]
		if f.Level < severity.High {
			continue
		}
		for _, file := range filesOf(f) {
			m := skillDir.FindStringSubmatch(path.Clean(file))
			if m == nil {
				continue
			}
			n, known := at[m[1]]
			if !known {
				if len(s.Skills) == maxSkills {
					continue
				}
				n = len(s.Skills)
				at[m[1]] = n
				s.Skills = append(s.Skills, readSkill(fsys, m[1], m[2]))
			}
			s.Skills[n].add(f)
		}
	}
}

func (k *Skill) add(f *analyze.FindingRecord) {
	if title := f.Title + " (" + f.Rule + ")"; !slices.Contains(k.Rules, title) {
		k.Rules = append(k.Rules, title)
	}
	if f.Time != "" && (k.Time == "" || f.Time < k.Time) {
		k.Time = f.Time
	}
}

// filesOf are the files that a finding is about, or whose content led to it.
func filesOf(f *analyze.FindingRecord) (files []string) {
	files = append(files, f.Path)
	if f.Event != nil {
		files = append(files, f.Event.Target, f.Event.What)
	}
	if f.Cause != nil {
		for i := range f.Cause.Chain {
			files = append(files, f.Cause.Chain[i].Event.Target)
		}
	}
	return files
}

// readSkill reads a skill's digest, and what its front matter and ClawHub's own files beside it say of it.
func readSkill(fsys fs.FS, dir, name string) Skill {
	k := Skill{Name: name, Path: path.Join(dir, "SKILL.md")}
	text, err := readSkillFile(fsys, k.Path)
	if err == nil {
		sum := sha256.Sum256(text)
		k.SHA256 = hex.EncodeToString(sum[:])
	}
	var front struct {
		Version string `yaml:"version"`
		Author  string `yaml:"author"`
	}
	if head, _, found := strings.Cut(strings.TrimPrefix(string(text), "---\n"), "\n---"); found && bytes.HasPrefix(text, []byte("---\n")) && len(head) < 16<<10 {
		_ = yaml.Unmarshal([]byte(head), &front) // hostile: what is no front matter says nothing
	}
	k.Version, k.Publisher = front.Version, front.Author
	var meta struct{ Owner, OwnerID, Slug, Version, InstalledVersion string }
	for _, file := range []string{"_meta.json", ".clawhub/origin.json"} {
		if text, err := readSkillFile(fsys, path.Join(dir, file)); err == nil && json.Unmarshal(text, &meta) == nil {
			k.Version, k.Publisher = cmp.Or(meta.InstalledVersion, meta.Version, k.Version), cmp.Or(meta.Owner, meta.OwnerID, k.Publisher)
		}
	}
	return k
}

func readSkillFile(fsys fs.FS, file string) ([]byte, error) {
	f, err := fsys.Open(strings.TrimPrefix(file, "/"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxSkillFile))
}
