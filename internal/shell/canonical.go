package shell

import "strings"

// stateDirs are the names that OpenClaw's state directory has had.
var stateDirs = []string{"/.openclaw", "/.clawdbot", "/.moltbot"}

// maxPaths is how many paths in one word are given their canonical form.
const maxPaths = 8

// maxRoot is how long the path may be in which the state directory lies, in bytes.
const maxRoot = 128

// canonical gives each spelling of a path to OpenClaw's state the one form ~/.openclaw.
func canonical(v value) value {
	for from, n := 0, 0; ; n++ {
		start, dot, end := findState(v.text, from)
		if start < 0 || n == maxPaths {
			return v
		}
		if v.text[start:end] == "~/.openclaw" {
			from = end
			continue
		}
		from = start + len("~/.openclaw")
		var b builder
		b.add(v.part(0, start))
		b.add(coarsePart(v, start, dot, "~"))
		b.add(coarsePart(v, dot, end, "/.openclaw"))
		b.add(v.part(end, len(v.text)))
		b.data = v.data
		v = b.value()
	}
}

func coarsePart(v value, a, z int, text string) value { return coarse(v.part(a, z), text) }

// findState returns the extent of an absolute path to a state directory at or after from, and where its last name begins.
func findState(text string, from int) (start, dot, end int) {
	if !strings.Contains(text[from:], "/.") {
		return -1, 0, 0
	}
	for i := from; ; {
		n := strings.Index(text[i:], "/.")
		if n < 0 {
			return -1, 0, 0
		}
		dot, i = i+n, i+n+1
		for _, name := range stateDirs {
			if end = dot + len(name); !strings.HasPrefix(text[dot:], name) || end < len(text) && isWordByte(text[end]) {
				continue
			}
			for start = dot; start > max(from, dot-maxRoot) && isPathByte(text[start-1]); start-- {
			}
			if c := text[start]; c == '~' && (start+1 == dot) || c == '/' && start < dot || start == dot {
				return start, dot, end
			}
		}
	}
}

func isWordByte(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

func isPathByte(c byte) bool { return isWordByte(c) || strings.IndexByte("./~+-", c) >= 0 }
