package ioc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	hash256 = "518ff5f147860edee7f8d5620f59f3f0b0da6f0167683a62df2851815f8f44a0"
	hash1   = "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"
	hashMD5 = "5d41402abc4b2a76b9719d911017c592"
)

// reading renders what a list holds: each indicator, then each problem without its file.
func reading(tb testing.TB, text string) []string {
	tb.Helper()
	found, problems, err := Read("list", strings.NewReader(text))
	var all []string
	for _, ind := range found {
		line := fmt.Sprintf("%s %s", ind.Type, ind.Value)
		if ind.Port > 0 {
			line += fmt.Sprintf(" port %d", ind.Port)
		}
		if ind.Name != "" {
			line += " (" + ind.Name + ")"
		}
		if ind.Source != "list" {
			line += " by " + ind.Source
		}
		if !ind.Until.IsZero() {
			line += ind.Until.Format(" until 2006-01-02")
		}
		if ind.Tier != TierUser {
			tb.Errorf("tier %q", ind.Tier)
		}
		all = append(all, line)
	}
	for _, p := range problems {
		mark := "! "
		if p.Minor {
			mark = "- "
		}
		all = append(all, mark+strings.TrimPrefix(p.String(), "list: "))
	}
	if err != nil {
		all = append(all, err.Error())
	}
	return all
}

func check(t *testing.T, text string, want ...string) {
	t.Helper()
	if got := reading(t, text); !cmp.Equal(got, want) {
		t.Errorf("%s\n%s", text, cmp.Diff(want, got))
	}
}

func TestReadPlain(t *testing.T) {
	check(t, "\xef\xbb\xbf# feed\r\n\r\n91.92.242[.]30  # c2\r\n54.91.154.110:13338\nhxxps://Evil-Host[.]com/Path/X\n*.evil-host[.]com\nevil(.)example(dot)dev\n"+
		strings.ToUpper(hash256)+"\n"+hash1+"\n"+hashMD5+"\nmallory[at]evil-host.com\n0.0.0.0 ads.evil-host.com\nnpm:@evil/pkg@1.2.3\n"+
		"text:two words\nskill:a/b\n/tmp/.x/run\nevil-host.com:8443\n[2001:470:1::1]:8080\nevil-host.com/dir\n\"quoted.evil-host.com\",\n; comment\n// comment\n",
		"ip 91.92.242.30", "ip 54.91.154.110 port 13338", "url https://evil-host.com/Path/X", "domain evil-host.com", "domain evil.example.dev",
		"sha256 "+hash256, "sha1 "+hash1, "md5 "+hashMD5, "email mallory@evil-host.com", "domain ads.evil-host.com", "package @evil/pkg@1.2.3",
		"text two words", "skill a/b", "path /tmp/.x/run", "domain evil-host.com port 8443", "ip 2001:470:1::1 port 8080", "url http://evil-host.com/dir",
		"domain quoted.evil-host.com")
}

func TestReadRefusesWhatIsGeneric(t *testing.T) {
	for value, why := range map[string]string{
		"com":                               "not clear",
		"127.0.0.1":                         "local",
		"10.1.2.3":                          "local",
		"192.168.0.1":                       "local",
		"169.254.169.254":                   "local",
		"198.51.100.78":                     "documentation",
		"::1":                               "local",
		"fe80::1":                           "local",
		"8.8.8.8":                           "resolver",
		"91.92.242.0/24":                    "ranges",
		"github.com":                        "service",
		"https://github.com/":               "service",
		"https://raw.githubusercontent.com": "service",
		"vercel.app":                        "suffix",
		"co.uk":                             "suffix",
		"a.localhost":                       "reserved",
		"evil.example.com":                  "reserved",
		"x@example.org":                     "reserved",
		"https://127.0.0.1/x/y":             "local",
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855": "empty file",
		"d41d8cd98f00b204e9800998ecf8427e":                                 "empty file",
		strings.Repeat("0", 64):                                            "placeholder",
		strings.Repeat("a1b2c3d4", 8):                                      "placeholder",
		"text:short":                                                       "short",
		"npm:abc":                                                          "short",
		"path:install.sh":                                                  "harmless",
		"path:/tmp/dir/":                                                   "directory",
		"skill:noslash":                                                    "PUBLISHER/SLUG",
		"just words":                                                       "not clear",
		"http://[::1/":                                                     "not a URL",
		"https://" + strings.Repeat("a", 3000) + ".com":                    "longer",
	} {
		found, problems, err := Read("x", strings.NewReader(value))
		if err != nil || len(found) > 0 || len(problems) != 1 || !strings.Contains(problems[0].Why, why) {
			t.Errorf("%q: %v %v %v", value, found, problems, err)
		}
	}
}

func TestReadCSV(t *testing.T) {
	check(t, "type,value,comment\nip-dst,91.92.242[.]30,c2\ndomain|ip,evil-host.com|91.92.242.31,both\nfilename|sha256,x.exe|"+hash256+",\nurl,hxxp://evil-host.com/x,\"a, b\"\nip-dst|port,91.92.242.30|443,\nyara,rule x,\n,,\ntype,value,comment\nsha256,"+hash1+",\n",
		"ip 91.92.242.30 (c2)", "domain evil-host.com (both)", "ip 91.92.242.31 (both)", "sha256 "+hash256, "url http://evil-host.com/x (a, b)", "ip 91.92.242.30 port 443",
		`! line 7: rule x: indicators of type "yara" are not supported`, "! line 10: "+hash1+": not a sha256 hash")
	check(t, "uuid,event_id,category,type,value,comment,to_ids,date\nu1,1,Network activity,domain,evil-host.com,,1,20260101\nu2,1,Network activity,domain,victim-host.com,,0,20260101\n",
		"domain evil-host.com", "- line 3: victim-host[.]com: it is only context (to_ids)")
	check(t, "################\n# abuse.ch ThreatFox #\n# \"first_seen_utc\",\"ioc_id\",\"ioc_value\",\"ioc_type\",\"reporter\"\n\"2026-01-01 00:00:00\", \"1\", \"91.92.242.30:80\", \"ip:port\", \"abuse_ch\"\n\"2026-01-01\", \"2\", \""+hash256+"\", \"sha256_hash\", \"abuse_ch\"\n# Number of entries: 2\n",
		"ip 91.92.242.30 port 80 by abuse_ch", "sha256 "+hash256+" by abuse_ch")
	check(t, "indicator,notes\nevil-host.com,x\n\"broken\nrow,",
		"domain evil-host.com", "! line 3: it is not clear what this is")
	check(t, "name,other\nx,y\n", "! line 1: it is not clear what this is", "! line 2: it is not clear what this is")
	check(t, "value,tier,port\nevil-host.com,A,444\n", "domain evil-host.com port 444")
}

// bundle wraps patterns as a STIX 2.1 bundle.
func bundle(patterns ...string) string {
	var objects []map[string]any
	for i, p := range patterns {
		objects = append(objects, map[string]any{"type": "indicator", "spec_version": "2.1", "id": fmt.Sprintf("indicator--%d", i+1), "name": "n", "pattern": p, "pattern_type": "stix"})
	}
	b, _ := json.Marshal(map[string]any{"type": "bundle", "id": "bundle--1", "objects": objects})
	return string(b)
}

func TestReadSTIX(t *testing.T) {
	for pattern, want := range map[string]string{
		"[ipv4-addr:value = '91.92.242.30']":                                                  "ip 91.92.242.30",
		"[ipv6-addr:value='2001:470:1::1']":                                                   "ip 2001:470:1::1",
		"[domain-name:value = 'evil-host.com' OR domain-name:value = 'evil-two.com']":         "domain evil-host.com|domain evil-two.com",
		"[domain-name:value IN ('evil-host.com', 'evil-two.com')]":                            "domain evil-host.com|domain evil-two.com",
		"[url:value = 'https://evil-host.com/a\\'b']":                                         "url https://evil-host.com/a'b",
		"[file:hashes.'SHA-256' = '" + hash256 + "']":                                         "sha256 " + hash256,
		"[file:hashes.\"SHA-1\" = '" + hash1 + "' OR file:hashes.MD5 = '" + hashMD5 + "']":    "sha1 " + hash1 + "|md5 " + hashMD5,
		"[file:hashes.MD5 = '" + hashMD5 + "' AND file:name = 'x.exe']":                       "md5 " + hashMD5,
		"[email-addr:value = 'a@evil-host.com']":                                              "email a@evil-host.com",
		"[email-message:from_ref.value = 'a@evil-host.com']":                                  "email a@evil-host.com",
		"[file:name = 'openclaw-agent.exe']":                                                  "path openclaw-agent.exe",
		"[ipv4-addr:value = '91.92.242.30'] OR [ipv4-addr:value = '91.92.242.31']":            "ip 91.92.242.30|ip 91.92.242.31",
		"([ipv4-addr:value = '91.92.242.30'] OR [ipv4-addr:value = '91.92.242.31'])":          "ip 91.92.242.30|ip 91.92.242.31",
		"[(ipv4-addr:value = '91.92.242.30' OR domain-name:value = 'evil-host.com')]":         "ip 91.92.242.30|domain evil-host.com",
		"[network-traffic:dst_ref.value = '91.92.242.30' AND network-traffic:dst_port = 443]": "ip 91.92.242.30 port 443",
		"[ipv4-addr:value = '91.92.242.30/32']":                                               "ip 91.92.242.30",
		"[ipv4-addr:value ISSUBSET '91.92.242.0/24']":                                         "! comparisons with ISSUBSET are not supported",
		"[domain-name:value LIKE '%evil%' OR domain-name:value = 'evil-host.com']":            "domain evil-host.com|! comparisons with LIKE are not supported",
		"[domain-name:value MATCHES '^evil']":                                                 "! comparisons with MATCHES are not supported",
		"[domain-name:value NOT = 'evil-host.com']":                                           "! comparisons with = NOT are not supported",
		"[domain-name:value != 'evil-host.com']":                                              "! comparisons with != are not supported",
		"[domain-name:value = 'evil-host.com' AND ipv4-addr:value = '91.92.242.30']":          "! a pattern that needs several things at once is not supported",
		"[domain-name:value = 'evil-host.com'] FOLLOWEDBY [ipv4-addr:value = '91.92.242.30']": "! a pattern with FOLLOWEDBY needs several observations; not supported",
		"[ipv4-addr:value = '91.92.242.30'] AND [ipv4-addr:value = '91.92.242.31']":           "! a pattern with AND needs several observations; not supported",
		"[ipv4-addr:value = '91.92.242.30'] WITHIN 5 MINUTES":                                 "! a pattern with WITHIN needs several observations; not supported",
		"[windows-registry-key:key = 'HKLM']":                                                 `! the property "windows-registry-key:key" is not supported`,
		"[network-traffic:dst_port = 443]":                                                    "! a port alone is not an indicator",
		"[ipv4-addr:value = '10.0.0.1']":                                                      "! an address of local networks, of documentation or of no host",
		"[domain-name:value = 'evil-host.com'":                                                "! not a STIX pattern",
		"[domain-name:value = 'evil-host.com":                                                 "! not a STIX pattern",
		"domain-name:value = 'x'":                                                             "! not a STIX pattern",
		"":                                                                                    "! not a STIX pattern",
		"[" + strings.Repeat("(", 5000):                                                       "! not a STIX pattern",
		"[domain-name:value IN ('a'":                                                          "! not a STIX pattern",
		"[ipv4-addr:value = '91.92.242.30'] nonsense":                                         "! not a STIX pattern",
	} {
		var got []string
		found, problems, err := Read("x", strings.NewReader(bundle(pattern)))
		for _, ind := range found {
			line := string(ind.Type) + " " + ind.Value
			if ind.Port > 0 {
				line += fmt.Sprint(" port ", ind.Port)
			}
			got = append(got, line)
		}
		for _, p := range problems {
			got = append(got, "! "+p.Why)
		}
		if line := strings.Join(got, "|"); line != want || err != nil {
			t.Errorf("%s: %s, want %s (%v)", pattern, line, want, err)
		}
	}
}

func TestReadSTIXObjects(t *testing.T) {
	check(t, `{"type":"bundle","objects":[
		{"type":"indicator","id":"indicator--1","name":"c2","pattern":"[ipv4-addr:value = '91.92.242.30']","valid_until":"2026-03-01T00:00:00Z"},
		{"type":"indicator","id":"indicator--2","revoked":true,"pattern":"[ipv4-addr:value = '91.92.242.31']"},
		{"type":"indicator","id":"indicator--3","pattern_type":"yara","pattern":"rule x"},
		{"type":"indicator","id":"indicator--4","pattern":7},
		{"type":"malware","id":"malware--1"},{"type":"ipv4-addr","id":"ipv4-addr--1","value":"91.92.242.32"}]}`,
		"ip 91.92.242.30 (c2) until 2026-03-01",
		"- indicator--2: [ipv4-addr:value = '91.92.242.31']: it was revoked",
		`! indicator--3: rule x: patterns of type "yara" are not supported`,
		"! object 4: it cannot be read: json: cannot unmarshal number into Go struct field stixObject.pattern of type string",
		"- 1 objects are observations, not indicators")
	check(t, `{"type":"bundle"}`)
}

const event = `{"Event":{"uuid":"e","info":"ClawHavoc","Attribute":[
	{"uuid":"1","type":"ip-dst","value":"91.92.242[.]30","to_ids":true,"comment":"c2"},
	{"uuid":"2","type":"domain","value":"victim-host.com","to_ids":false},
	{"uuid":"3","type":"domain|ip","value":"evil-host.com|91.92.242.31","to_ids":true},
	{"uuid":"4","type":"yara","value":"rule x {}","to_ids":true},
	{"uuid":"5","type":"url","value":"http://evil-host.com/x","to_ids":true,"deleted":true}],
	"Object":[{"name":"file","Attribute":[{"uuid":"6","type":"filename|sha256","value":"x.exe|` + hash256 + `","to_ids":true},{"uuid":"7","type":"md5","value":"` + hashMD5 + `","to_ids":true}]}]}}`

var eventHas = []string{
	"ip 91.92.242.30 (c2) by ClawHavoc", "domain evil-host.com by ClawHavoc", "ip 91.92.242.31 by ClawHavoc", "sha256 " + hash256 + " (file) by ClawHavoc", "md5 " + hashMD5 + " (file) by ClawHavoc",
	"- attribute 2: victim-host[.]com: it is only context (to_ids)", `! attribute 4: rule x {}: indicators of type "yara" are not supported`,
	"- attribute 5: hxxp://evil-host[.]com/x: it was deleted",
}

func TestReadMISP(t *testing.T) {
	check(t, event, eventHas...)
	check(t, `{"response":[`+event+`]}`, eventHas...)
	check(t, `[`+event+`]`, eventHas...)
	check(t, `{"response":{"Attribute":[{"uuid":"1","type":"email-src","value":"a@evil-host.com","to_ids":true}]}}`, "email a@evil-host.com")
}

func TestReadMalformed(t *testing.T) {
	for text, why := range map[string]string{
		"{":                              "reading JSON",
		`{"a":1}`:                        "neither a STIX",
		`[{"a":1}]`:                      "neither a STIX",
		`[]`:                             "neither a STIX",
		`{"response":{}}`:                "neither a STIX",
		`{"response":7}`:                 "reading JSON",
		`{"type":"bundle","objects":{}}`: "reading JSON",
		"a\x00b":                         "not a text file",
		"\xff\xfee\x00":                  "UTF-16",
		`{"type":"bundle","objects":` + strings.Repeat("[", 20_000): "reading JSON",
	} {
		if _, _, err := Read("x", strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%.40q: %v", text, err)
		}
	}
	if _, _, err := Read("x", bytes.NewReader(bytes.Repeat([]byte{'\n'}, maxList+1))); err == nil {
		t.Error("a list that is too large was read")
	}
	found, problems, err := Read("x", strings.NewReader(strings.Repeat("?\n", maxProblems+5)+strings.Repeat("a", maxLine+1)+"\nevil-host.com"))
	if err != nil || len(found) != 1 || len(problems) != maxProblems+1 || !strings.HasPrefix(problems[maxProblems].Why, "and 6 more") {
		t.Errorf("%d %d %v", len(found), len(problems), err)
	}
}

// FuzzRead has everything that is read be found where it is written out alone.
func FuzzRead(f *testing.F) {
	for _, text := range []string{
		"91.92.242[.]30\nevil-host.com # x\ntext:some text\nskill:a/b", "type,value\nip,91.92.242.30\nfilename|sha256,x|" + hash256, event,
		bundle("[ipv4-addr:value = '91.92.242.30' AND network-traffic:dst_port = 443]", "[file:hashes.'SHA-256' = '"+hash256+"']"),
		bundle("[a:b IN ('x','y') OR (url:value = 'https://evil-host.com/\\'')]"), "npm:postmark-mcp@1.0.16+\nhttps://u:p@evil-host.com:8443/a?b#c\n[2001:470:1::1]:80",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		found, problems, err := Read("x", bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, p := range problems {
			if p.Why == "" {
				t.Errorf("%+v", p)
			}
		}
		if len(found) > 100 {
			return
		}
		l := NewList(found)
		finder := l.NewFinder()
		for _, ind := range l.Indicators() {
			finder.Find("see " + ind.Value + " there")
			Defang(ind.Value)
			if ind.Type == IP || ind.Type == Domain || ind.Type == Email || ind.Type == SHA256 {
				if len(finder.Find("see "+ind.Value+" there")) == 0 {
					t.Errorf("%+v is not found", ind)
				}
			}
			if ind.generic() != "" {
				t.Errorf("%+v is generic", ind)
			}
		}
	})
}

// TestNoListIsQuoted: a file with keys that was taken for a list is told of by its lines' numbers.
func TestNoListIsQuoted(t *testing.T) {
	const secret = "sk-fake-0001"
	for _, text := range []string{"API_KEY=" + secret + "\n", "export K='" + secret + "'\n", "k: " + secret + strings.Repeat(" x", maxLine) + "\n"} {
		_, problems, err := Read("x", strings.NewReader(text))
		if err != nil || len(problems) != 1 || strings.Contains(problems[0].String(), secret) {
			t.Errorf("%.40q: %v, %v", text, problems, err)
		}
	}
}
