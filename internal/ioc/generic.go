package ioc

import (
	"net/netip"
	"slices"
	"strings"
)

// generic says why a value is in too much that is harmless to tell anything; "" if it is not.
func (i *Indicator) generic() string {
	switch i.Type {
	case IP:
		return genericAddress(i.Value)
	case Domain:
		return genericDomain(i.Value)
	case URL:
		return genericURL(i.Value)
	case SHA256, SHA1, MD5:
		return genericHash(i.Value)
	case Email:
		if _, host, _ := strings.Cut(i.Value, "@"); isReserved(host) {
			return "a name that is reserved for examples or local networks"
		}
	case Text:
		if len(i.Value) < minText {
			return "too short to be looked for in text"
		}
	case Path:
		return genericPath(i.Value)
	case Package:
		name, version := splitPackage(i.Value)
		if len(name) < minPackage && version == "" {
			return "too short a name to be looked for in text"
		}
	}
	return ""
}

const (
	minText    = 8 // bytes
	minPackage = 6
)

// reserved are networks of which no address says where something is: RFC 1918, 5737, 6598, 6890, 3849 and 4193.
var reserved = prefixes("0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.168.0.0/16 " +
	"198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3 ::/127 100::/64 2001:db8::/32 fc00::/7 fe80::/10 ff00::/8")

// resolvers are what everybody's machine asks.
var resolvers = strings.Fields("8.8.8.8 8.8.4.4 1.1.1.1 1.0.0.1 9.9.9.9 149.112.112.112 208.67.222.222 208.67.220.220 2606:4700:4700::1111 2001:4860:4860::8888")

func prefixes(list string) (all []netip.Prefix) {
	for text := range strings.FieldsSeq(list) {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

func genericAddress(value string) string {
	addr, err := netip.ParseAddr(value)
	switch {
	case err != nil:
		return "not an IP address"
	case slices.ContainsFunc(reserved, func(p netip.Prefix) bool { return p.Contains(addr) }):
		return "an address of local networks, of documentation or of no host"
	case slices.Contains(resolvers, value):
		return "a public resolver that everybody asks"
	}
	return ""
}

var (
	// suffixes are names under which anybody can have one; the commonest, for the whole list has ten thousand.
	suffixes = strings.Fields("co.uk org.uk ac.uk gov.uk com.au net.au org.au com.br com.cn net.cn org.cn co.jp ne.jp or.jp co.kr co.in co.za com.tr com.mx " +
		"com.ar com.tw com.hk com.sg com.ua com.pl com.ru co.il co.nz github.io gitlab.io vercel.app netlify.app pages.dev workers.dev web.app " +
		"firebaseapp.com herokuapp.com onrender.com fly.dev railway.app up.railway.app repl.co replit.app ngrok.io ngrok.app ngrok-free.app trycloudflare.com " +
		"loca.lt serveo.net amazonaws.com s3.amazonaws.com cloudfront.net azurewebsites.net blob.core.windows.net appspot.com blogspot.com " +
		"wordpress.com duckdns.org no-ip.org ddns.net sslip.io nip.io surge.sh glitch.me deno.dev r2.dev")
	// services are used by everybody; a URL of theirs with a path can be an indicator.
	services = strings.Fields("github.com www.github.com api.github.com raw.githubusercontent.com objects.githubusercontent.com gist.github.com " +
		"gist.githubusercontent.com codeload.github.com gitlab.com bitbucket.org google.com www.google.com drive.google.com docs.google.com " +
		"storage.googleapis.com googleapis.com microsoft.com apple.com amazon.com cloudflare.com dropbox.com www.dropbox.com pastebin.com glot.io rentry.co " +
		"webhook.site requestbin.com pipedream.com bore.pub transfer.sh file.io telegram.org api.telegram.org t.me discord.com discordapp.com cdn.discordapp.com " +
		"slack.com hooks.slack.com whatsapp.com web.whatsapp.com npmjs.com www.npmjs.com registry.npmjs.org npmjs.org pypi.org files.pythonhosted.org crates.io " +
		"docker.io docker.com get.docker.com ghcr.io quay.io debian.org ubuntu.com nodejs.org python.org go.dev openclaw.ai docs.openclaw.ai clawhub.ai " +
		"clawhub.com clawd.bot moltbot.bot anthropic.com api.anthropic.com openai.com api.openai.com openrouter.ai huggingface.co youtube.com " +
		"wikipedia.org x.com twitter.com facebook.com reddit.com linkedin.com stackoverflow.com letsencrypt.org bun.sh deno.land astral.sh sh.rustup.rs brew.sh")
	reservedTops = strings.Fields("localhost local internal lan home corp test example invalid arpa localdomain onion.invalid")
)

func genericDomain(host string) string {
	switch {
	case isReserved(host):
		return "a name that is reserved for examples or local networks"
	case slices.Contains(suffixes, host):
		return "a suffix under which anybody can have a name"
	case slices.Contains(services, host):
		return "a service that everybody uses; a URL with a path can be an indicator"
	case len(host) < 4:
		return "too short to be looked for in text"
	}
	return ""
}

func isReserved(host string) bool {
	top := host[strings.LastIndexByte(host, '.')+1:]
	for _, name := range []string{"example.com", "example.net", "example.org"} {
		if host == name || strings.HasSuffix(host, "."+name) {
			return true
		}
	}
	return slices.Contains(reservedTops, top)
}

func genericURL(value string) string {
	_, rest, _ := strings.Cut(value, "://")
	n := strings.IndexAny(rest, "/?#")
	if n < 0 {
		n = len(rest)
	}
	authority, path := rest[:n], strings.Trim(rest[n:], "/?#")
	host, _, _ := cutPort(authority)
	if host = strings.Trim(host, "[]"); !isDomain(host) {
		return genericAddress(host)
	}
	if isReserved(host) {
		return "a name that is reserved for examples or local networks"
	}
	if len(path) < 2 && host == authority {
		return genericDomain(host)
	}
	return ""
}

// emptyHashes are those of an empty file; it is in some published lists.
var emptyHashes = strings.Fields("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 da39a3ee5e6b4b0d3255bfef95601890afd80709 " +
	"d41d8cd98f00b204e9800998ecf8427e")

func genericHash(value string) string {
	switch {
	case slices.Contains(emptyHashes, value):
		return "the hash of an empty file"
	case isInvented(value):
		return "not a hash but a placeholder"
	}
	return ""
}

// isInvented reports digests that someone typed: a letter and a digit by turns as in a1b2c3d4, or a short text again and
// again. Of real ones less than one in ten million alternates over 24 digits.
func isInvented(hash string) bool {
	alternate := true
	for i := 1; i < 24; i++ {
		alternate = alternate && (hash[i] >= 'a') != (hash[i-1] >= 'a')
	}
	if alternate {
		return true
	}
	for n := 1; n <= 8; n *= 2 {
		if strings.Repeat(hash[:n], len(hash)/n) == hash {
			return true
		}
	}
	return strings.HasPrefix(hash, "0123456789abcdef") || strings.HasPrefix(hash, "deadbeef")
}

// commonFiles are names that harmless files have as well.
var commonFiles = strings.Fields("install.sh setup.sh run.sh start.sh main.py setup.py index.js main.js package.json readme.md skill.md agents.md setup.exe " +
	"install.exe installer.exe update.exe config.json openclaw.json openclaw.exe index.html script.sh update.sh test.sh requirements.txt dockerfile makefile")

func genericPath(value string) string {
	base := strings.ToLower(value[strings.LastIndexAny(value, `/\`)+1:])
	switch {
	case len(value) < 6:
		return "too short to be looked for in text"
	case base == strings.ToLower(value) && slices.Contains(commonFiles, base):
		return "a name that harmless files have"
	case base == "":
		return "a directory; a file is needed"
	case !strings.ContainsAny(value, `/\.`):
		return "neither a path nor a file's name"
	}
	return ""
}
