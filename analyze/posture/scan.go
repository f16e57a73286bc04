package posture

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// A scanResult is what one directory of code holds of the patterns that OpenClaw's deep audit looks for.
type scanResult struct {
	dir    string
	hits   []string // one line each, without the text that matched: it may hold a secret
	grave  bool
	failed string // why it could not be read wholly
}

// Limits of one scan, as in OpenClaw's: files a directory, bytes a file.
const (
	maxScanFiles = 500
	maxScanBytes = 1 << 20
	maxSkillText = 256_000
)

var scannable = []string{".js", ".ts", ".mjs", ".cjs", ".mts", ".cts", ".jsx", ".tsx"}

// A codeRule is one pattern of a line. near, where it is set, must match within window lines of it; a window of 0
// means anywhere in the file.
type codeRule struct {
	what   string
	grave  bool
	line   *regexp.Regexp
	near   *regexp.Regexp
	window int
}

// rulesFor are the rules for a file: those of src/skills/security/scanner.ts of 2026.9.6, without its finer exceptions. They are compiled
// for the first file that is scanned, which most commands never do.
func rulesFor(skill bool) []codeRule {
	if skill {
		return slices.Concat(skillRules(), codeRules())
	}
	return codeRules()
}

var codeRules = sync.OnceValue(func() []codeRule {
	networkSend := regexp.MustCompile(`(?i)\bfetch\s*\(|\bpost\s*\(|http\.request\s*\(`)
	return []codeRule{
		{"runs shell commands", true, regexp.MustCompile(`(^|[^.\w])(exec|execSync|spawn|spawnSync|execFile|execFileSync)\s*\(|\b(cp|childProcess|child_process)\.(exec|execSync|spawn|spawnSync|execFile|execFileSync)\s*\(|\.(execSync|spawn|spawnSync|execFile|execFileSync)\s*\(`), regexp.MustCompile(`child_process`), 0},
		{"runs code made at run time", true, regexp.MustCompile(`\beval\s*\(|new\s+Function\s*\(`), nil, 0},
		{"mines coins", true, regexp.MustCompile(`(?i)stratum\+tcp|stratum\+ssl|coinhive|cryptonight|xmrig`), nil, 0},
		{"opens a WebSocket to an odd port", false, regexp.MustCompile(`new\s+WebSocket\s*\(\s*["']wss?://[^"']*:(\d+)`), nil, 0},
		{"reads files and sends over the network", false, regexp.MustCompile(`readFileSync|readFile`), networkSend, 0},
		{"hides text in escapes", false, regexp.MustCompile(`(\\x[0-9a-fA-F]{2}){6,}`), nil, 0},
		{"unpacks a long base64 text", false, regexp.MustCompile(`(?:atob|Buffer\.from)\s*\(\s*["'][A-Za-z0-9+/=]{200,}["']`), nil, 0},
		{"reads the environment and sends over the network", true, regexp.MustCompile(`process\.env`), networkSend, 8},
	}
})

var skillRules = sync.OnceValue(func() []codeRule {
	return []codeRule{
		{"holds a credential", true, regexp.MustCompile(`\b(sk-(proj-|svcacct-)?[A-Za-z0-9_-]{32,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|xox[baprs]-[A-Za-z0-9-]{20,}|AIza[0-9A-Za-z_-]{35})|-----BEGIN [A-Z ]*PRIVATE KEY`), nil, 0},
		{"pipes a download into a shell", true, regexp.MustCompile(`(?i)\b(curl|wget)\b[^|\n]{0,120}\|\s*(sh|bash|zsh)\b`), nil, 0},
		{"sends the environment away", true, regexp.MustCompile(`(?i)\b(process\.env|env)\b.{0,80}\b(fetch|curl|wget|http|https)\b`), nil, 0},
		{"deletes everything", false, regexp.MustCompile(`(?i)\brm\s+-rf\s+(/|\$HOME|~|\.)`), nil, 0},
		{"opens permissions to all", false, regexp.MustCompile(`(?i)\bchmod\s+(-R\s+)?777\b`), nil, 0},
	}
})

// scanned scans each directory once.
func (s *state) scanned(dirs []string) (results []scanResult) {
	for _, dir := range sortedUnique(dirs) {
		r, done := s.scans[dir]
		if !done {
			r = s.scan(dir)
			s.scans[dir] = r
		}
		results = append(results, r)
	}
	return results
}

func (s *state) scan(dir string) scanResult {
	r := scanResult{dir: dir}
	files := 0
	s.walk(dir, 12, func(p string, info fs.FileInfo) bool {
		name := path.Base(p)
		isSkill := name == "SKILL.md"
		if info.IsDir() {
			return name != "node_modules" && (!strings.HasPrefix(name, ".") || p == dir)
		}
		if !info.Mode().IsRegular() || !isSkill && !slices.Contains(scannable, strings.ToLower(path.Ext(name))) {
			return true
		}
		if files++; files > maxScanFiles || info.Size() > maxScanBytes || isSkill && info.Size() > maxSkillText {
			r.failed = fmt.Sprintf("%s was not looked at: too large, or more than %d files", short(p), maxScanFiles)
			return files <= maxScanFiles
		}
		r.look(strings.TrimPrefix(p, dir+"/"), s.small(p), rulesFor(isSkill))
		return true
	})
	return r
}

// look applies rules to a text, the first hit of each.
func (r *scanResult) look(name, content string, rules []codeRule) {
	all := strings.Split(content, "\n")
	for _, rule := range rules {
		if rule.near != nil && rule.window == 0 && !rule.near.MatchString(content) {
			continue
		}
		for i, line := range all {
			m := rule.line.FindStringSubmatch(line)
			if m == nil || rule.window > 0 && !rule.near.MatchString(strings.Join(all[max(0, i-rule.window):min(len(all), i+rule.window+1)], "\n")) {
				continue
			}
			if strings.HasPrefix(rule.what, "opens a WebSocket") && slices.Contains([]string{"80", "443", "8080", "8443", "3000"}, m[1]) {
				continue
			}
			r.hits = append(r.hits, fmt.Sprintf("%s:%d %s", short(name), i+1, rule.what))
			r.grave = r.grave || rule.grave
			break
		}
	}
}
