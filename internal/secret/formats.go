package secret

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// A format is recognised by a word that it must hold; only around that word does its finder look closer, and no
// further than a bounded stretch, so that no text takes more than linear time.
type format struct {
	word string
	fold bool // the word may be in either case
	// What it finds, and whose, where the word does not say; see Unknown.
	what, issuer string
	sure         bool
	// find returns the secret around the word, which starts at i; an end of 0 is none. The scan is where
	// finders keep what saves them from reading the same bytes again and again.
	find func(s *scan, i int) (start, end int)
}

// scan is one pass over a text.
type scan struct {
	text              string
	bareFrom, bareEnd int // the unquoted value read last
	assignedEnd       int // where the last value of a name ends; what else is named before it is replaced with it
}

// A formatTable is formats by their words' first three bytes in lower case.
type formatTable struct {
	rows   map[uint32][]*format
	filter [1 << filterBits]bool // by the hash of these
}

var allFormats = compile(append(append(append(prefixes, discordTokens()...), assignments()...), others...))

func compile(table []format) *formatTable {
	t := &formatTable{rows: make(map[uint32][]*format)}
	for i := range table {
		f := &table[i]
		key := triple(f.word[0], f.word[1], f.word[2])
		t.rows[key] = append(t.rows[key], f)
		t.filter[tripleHash(key)] = true
	}
	return t
}

const filterBits = 13

// triple packs three bytes, letters in lower case; that some other bytes become the same is seen later.
func triple(a, b, c byte) uint32 { return uint32(a) | uint32(b)<<8 | uint32(c)<<16 | 0x202020 }

func tripleHash(key uint32) uint32 { return key * 0x9e3779b1 >> (32 - filterBits) }

// A found is the place of a secret and the format that tells it.
type found struct {
	span
	format *format
}

// findFormats returns the places of secrets in a well-known format; they may overlap.
func findFormats(text string) (spans []span) {
	for _, f := range allFormats.tokens(text) {
		spans = append(spans, f.span)
	}
	return spans
}

// tokens returns the places of the table's formats in text.
func (t *formatTable) tokens(text string) (all []found) {
	s := scan{text: text}
	filter := &t.filter
	var w uint32
	for i := range len(text) {
		w = w>>8 | uint32(text[i]|0x20)<<16
		if !filter[tripleHash(w)] || i < 2 {
			continue
		}
		for _, f := range t.rows[w] {
			if !hasWord(text[i-2:], f) {
				continue
			}
			if start, end := f.find(&s, i-2); end > start {
				all = append(all, found{span{start: start, end: end}, f})
			}
		}
	}
	return all
}

func hasWord(text string, f *format) bool {
	if len(text) < len(f.word) {
		return false
	}
	return text[:len(f.word)] == f.word || f.fold && strings.EqualFold(text[:len(f.word)], f.word)
}

// startsWord reports whether no byte of the class stands before i. An escape such as "\n" or "%3D" is not text,
// though it ends in a letter or digit.
func startsWord(text string, i int, c *class) bool {
	if i == 0 || !c[text[i-1]] {
		return true
	}
	return i >= 2 && text[i-2] == '\\' && strings.IndexByte("nrtbfv", text[i-1]) >= 0 ||
		i >= 3 && text[i-3] == '%' && hexDigits.all(text[i-2:i])
}

// prefixes are tokens that begin with their issuer's mark. Lengths are what gitleaks and the issuers' own
// documentation give; a few are shorter by what invented tokens need.
var prefixes = []format{
	token("sk-", 17, wordChars, true), // OpenAI, Anthropic (sk-ant-), OpenRouter (sk-or-)
	token("sk_live_", 16, wordChars, false),
	token("rk_live_", 16, wordChars, false),
	token("whsec_", 16, wordChars, true),
	token("xai-", 20, wordChars, true),
	token("gsk_", 20, wordChars, true),
	token("pplx-", 20, wordChars, true),
	token("tvly-", 16, wordChars, true),
	token("hf_", 30, alnum, false),
	token("ghp_", 20, alnum, false),
	token("gho_", 20, alnum, false),
	token("ghu_", 20, alnum, false),
	token("ghs_", 20, wordChars, false),
	token("ghr_", 20, alnum, false),
	token("github_pat_", 22, wordChars, false),
	token("glpat-", 20, wordChars, false),
	token("xoxa-", 10, wordChars, true),
	token("xoxb-", 10, wordChars, true),
	token("xoxe-", 10, wordChars, true),
	token("xoxo-", 10, wordChars, true),
	token("xoxp-", 10, wordChars, true),
	token("xoxr-", 10, wordChars, true),
	token("xoxs-", 10, wordChars, true),
	token("xapp-", 10, wordChars, true),
	token("npm_", 36, alnum, false),
	token("dop_v1_", 40, alnum, false),
	token("shpat_", 32, alnum, false),
	token("tskey-", 16, wordChars, true),
	token("syt_", 20, wordChars, false),
	token("ya29.", 20, wordChars, true),
	token("SG.", 40, jwtChars, true),
	token("AGE-SECRET-KEY-", 20, wordChars, true),
	exact("AKIA", 16, upperNum),
	exact("ASIA", 16, upperNum),
	exact("AIza", 35, wordChars),
}

// token is a format of a prefix followed by at least a number of bytes of a class, one of them a digit if it must be so.
func token(prefix string, least int, c *class, digit bool) format {
	return format{word: prefix, find: func(s *scan, i int) (int, int) {
		if !startsWord(s.text, i, alnum) { // "$A-$B" puts a secret behind a dash
			return 0, 0
		}
		rest := s.text[i+len(prefix):]
		n := c.run(rest, maxValue)
		if n < least || digit && !digits.any(rest[:n]) {
			return 0, 0
		}
		return i, i + len(prefix) + n
	}}
}

// exact is a format of a prefix followed by exactly n bytes of a class. Its bytes are those of base64, so it must
// not stand within any.
func exact(prefix string, n int, c *class) format {
	return format{word: prefix, find: func(s *scan, i int) (int, int) {
		end := i + len(prefix) + n
		if c.run(s.text[i+len(prefix):], n+1) != n || !startsWord(s.text, i, dumpChars) ||
			end < len(s.text) && dumpChars[s.text[end]] && s.text[end] != '=' {
			return 0, 0
		}
		return i, end
	}}
}

// discordTokens recognises Discord's bot tokens: the bot's number in base64, a time, a signature. No word is common
// to all, but base64 leaves 120 ways to begin with two digits.
func discordTokens() []format {
	var table []format
	for _, a := range "MNO" {
		for _, b := range "DTjz" {
			for _, c := range "AEIMQUYcgk" {
				table = append(table, format{word: string([]rune{a, b, c}), find: discord, what: "bot token", issuer: "discord", sure: true})
			}
		}
	}
	return table
}

func discord(s *scan, i int) (int, int) {
	end := i
	for part, length := range [][2]int{{22, 28}, {6, 6}, {27, 45}} {
		if part > 0 {
			if end >= len(s.text) || s.text[end] != '.' {
				return 0, 0
			}
			end++
		}
		n := wordChars.run(s.text[end:], length[1]+1)
		if n < length[0] || n > length[1] {
			return 0, 0
		}
		end += n
	}
	if !startsWord(s.text, i, dumpChars) {
		return 0, 0
	}
	return i, end
}

// others are the formats that are more than a prefix.
var others = []format{
	{word: ":AA", find: telegram, what: "bot token", issuer: "telegram", sure: true},
	{word: ".eyJ", find: jwt, what: "JSON web token"},
	{word: "bearer", fold: true, find: bearer, what: "bearer token"},
	{word: "basic", fold: true, find: basic, what: "user and password"},
	{word: pemStart, find: pem, what: "private key", sure: true},
	{word: "://", find: urlPassword, what: "password in a URL"},
	{word: "hooks.slack.com/services/", find: webhook, what: "webhook", issuer: "slack", sure: true},
	{word: "/api/webhooks/", find: webhook, what: "webhook", issuer: "discord"},
	{word: " -u", find: option{programs: []string{"curl", "wget"}, user: true}.find, what: "password of a command"},
	{word: "--user", find: option{programs: []string{"curl", "wget"}, user: true}.find, what: "password of a command"},
	{word: " -p", find: option{programs: []string{"sshpass"}, first: true}.find, what: "password of a command"},
	{word: " -p", find: option{programs: []string{"mysql", "mariadb"}, attached: true}.find, what: "password of a command"},
	{word: " -a", find: option{programs: []string{"redis-cli"}}.find, what: "password of a command"},
}

// telegram finds a bot's token, 123456789:AA and 33 more.
func telegram(s *scan, i int) (int, int) {
	start := digits.back(s.text, i, max(0, i-16))
	n := wordChars.run(s.text[i+1:], 64)
	if i-start < 6 || i-start > 12 || n < 30 || n > 50 {
		return 0, 0
	}
	return start, i + 1 + n
}

// jwt finds three parts of base64 of which the first two are JSON objects.
func jwt(s *scan, i int) (int, int) {
	start := wordChars.back(s.text, i, max(0, i-maxValue))
	end := i + 1 + wordChars.run(s.text[i+1:], maxValue)
	// An escape before the header ("\neyJ…") is told from it by the header's own start.
	skip := strings.Index(s.text[start:i], "eyJ")
	if skip < 0 || end-i < 8 || end >= len(s.text) || s.text[end] != '.' {
		return 0, 0
	}
	return start + skip, end + 1 + wordChars.run(s.text[end+1:], maxValue)
}

func bearer(s *scan, i int) (int, int) {
	start, ok := afterScheme(s.text, i+len("bearer"))
	n := tokenChars.run(s.text[start:], maxValue)
	value := s.text[start : start+n]
	if !ok || !startsWord(s.text, i, wordChars) || len(value) < 8 || !digits.any(value) || !isSecret(value) || isCut(s.text[start+n:]) {
		return 0, 0
	}
	return start, start + n
}

func basic(s *scan, i int) (int, int) {
	start, ok := afterScheme(s.text, i+len("basic"))
	n := base64Std.run(s.text[start:], maxValue)
	if !ok || n < 8 || !startsWord(s.text, i, wordChars) {
		return 0, 0
	}
	userPass, err := base64.RawStdEncoding.DecodeString(s.text[start : start+n])
	if err != nil || !utf8.Valid(userPass) || !strings.Contains(string(userPass), ":") {
		return 0, 0
	}
	return start, start + n
}

// afterScheme steps over the space after an authorization scheme, which must be there.
func afterScheme(text string, i int) (int, bool) {
	n := blank.run(text[i:], 8)
	if n == 0 && (strings.HasPrefix(text[i:], "%20") || strings.HasPrefix(text[i:], "+")) {
		n = strings.IndexByte("+ %", text[i]) + 1
	}
	return i + n, n > 0
}

// isCut reports whether what comes next is an ellipsis, the middle of a mask.
func isCut(rest string) bool {
	return strings.HasPrefix(rest, "…") || strings.HasPrefix(rest, `\u2026`) || strings.HasPrefix(rest, "***")
}

const (
	pemStart  = "-----BEGIN "
	pemEnd    = "-----END "
	pemDashes = "-----"
)

// pem finds a private key in the armour of RFC 7468, also one whose end is cut off, and escaped for JSON.
func pem(s *scan, i int) (int, int) {
	label := i + len(pemStart)
	n := strings.Index(s.text[label:min(label+40, len(s.text))], pemDashes)
	if n < 0 || !strings.Contains(s.text[label:label+n], "PRIVATE KEY") {
		return 0, 0
	}
	at := pemHeaders(s.text, label+n+len(pemDashes))
	body := 0
	for body < maxValue {
		next := at
		for range 2 { // PGP's headers end in an empty line
			next += breakLen(s.text[next:])
		}
		if next == at {
			next += blank.run(s.text[at:], 1) // line ends lost, as in a variable
		}
		n := pemChars.run(s.text[next:], maxValue)
		if n == 0 || next == at && body > 0 || s.text[at:next] == " " && n < minLine && !strings.HasPrefix(s.text[next+n:], " "+pemDashes) {
			break
		}
		at, body = next+n, body+n
	}
	if body < 16 {
		return 0, 0
	}
	return i, pemTail(s.text, at)
}

// pemHeaders steps over the lines "Name: value" that PGP and encrypted keys begin with.
func pemHeaders(text string, i int) int {
	for range 8 {
		at := i + breakLen(text[i:])
		line := text[at:min(len(text), at+120)]
		name, _, ok := strings.Cut(line, ": ")
		n := nextBreak(line, 0)
		if !ok || n < 0 || len(name) > n || !wordChars.all(name) {
			break
		}
		i = at + n
	}
	return i
}

// pemTail steps over the line that ends a key, if it is the next.
func pemTail(text string, i int) int {
	end := i + breakLen(text[i:])
	end += blank.run(text[end:], 1)
	if !strings.HasPrefix(text[end:], pemEnd) {
		return i
	}
	label := end + len(pemEnd)
	n := strings.Index(text[label:min(label+40, len(text))], pemDashes)
	if n < 0 {
		return i
	}
	return label + n + len(pemDashes)
}

// urlPassword finds the password in scheme://user:password@host.
func urlPassword(s *scan, i int) (int, int) {
	authority := s.text[i+3:]
	authority = authority[:min(len(authority), 512)]
	if n := strings.IndexAny(authority, "/?#\\\"'`<> \t\r\n"); n >= 0 {
		authority = authority[:n]
	}
	at := strings.LastIndexByte(authority, '@')
	colon := strings.IndexByte(authority, ':')
	if at < 0 || colon < 0 || colon+1 >= at {
		return 0, 0
	}
	pass := authority[colon+1 : at]
	if isMask(pass) || isReference(pass) {
		return 0, 0
	}
	return i + 3 + colon + 1, i + 3 + at
}

var webhookChars = classOf("A-Za-z0-9_/-")

// webhook finds the secret path of an incoming webhook of Slack or Discord.
func webhook(s *scan, i int) (int, int) {
	start := i + strings.Index(s.text[i:], "s/") + len("s/")
	n := webhookChars.run(s.text[start:], 256)
	if n < 20 {
		return 0, 0
	}
	return start, start + n
}

// option is an option of one letter that gives one of some programs a password.
type option struct {
	programs []string
	first    bool // it must be the program's first argument
	attached bool // the password follows without a space; a word of its own is something else
	user     bool // the password comes after a user's name and a colon
}

func (o option) find(s *scan, i int) (int, int) {
	if !o.given(s.text[max(0, i-300):i]) {
		return 0, 0
	}
	at := i + len(" -u")
	at += len(s.text[at:]) - len(strings.TrimPrefix(s.text[at:], "ser"))
	gap := optionGap.run(s.text[at:], 2)
	if gap > 0 && o.attached {
		return 0, 0
	}
	start, end := quotedOrBare(s, at+gap)
	if o.user {
		colon := strings.IndexByte(s.text[start:end], ':')
		if colon < 0 {
			return 0, 0
		}
		start += colon + 1
	}
	if value := s.text[start:end]; value == "" || isMask(value) || isReference(value) {
		return 0, 0
	}
	return start, end
}

var optionGap = classOf(" =")

// given reports whether the command that before ends in is one of the programs.
func (o option) given(before string) bool {
	before = before[strings.LastIndexAny(before, "\n;|&")+1:]
	for _, program := range o.programs {
		if strings.HasSuffix(before, program) || !o.first && strings.Contains(before, program) {
			return true
		}
	}
	return false
}
