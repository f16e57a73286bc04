package secret

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// isSecretName reports whether a key, variable, header or flag of this name holds a secret: its last word is
// one that secrets are called by ("botToken", "DB_PASSWORD", "x-api-key"), and the word before does not turn it
// into something else ("publicKey", "sessionKey", "nextPageToken").
func isSecretName(name string) bool {
	words := splitName(name)
	for len(words) > 1 && isWord(words[len(words)-1], qualifiers) {
		words = words[:len(words)-1]
	}
	if len(words) == 0 {
		return false
	}
	last, before := words[len(words)-1], ""
	if len(words) > 1 {
		before = words[len(words)-2]
	}
	switch {
	case last == "key" || last == "keys":
		return isWord(before, secretKeys)
	case isWord(last, secretNames):
		return !isWord(before, harmlessTokens)
	}
	return slices.ContainsFunc(secretEndings, func(end string) bool { return strings.HasSuffix(last, end) })
}

var (
	secretNames = strings.Fields("token secret password passwd passphrase passcode pass pwd apikey authtoken " +
		"credential credentials authorization cookie jwt psk verifier grant")
	secretEndings = strings.Fields("token secret password passwd passphrase apikey accesskey secretkey privatekey " +
		"authkey signingkey masterkey encryptionkey")
	secretKeys = strings.Fields("api private secret access signing encryption auth master account license service " +
		"bot storage shared server client app subscription admin deploy webhook hmac jwt ssh recovery encrypt")
	harmlessTokens = strings.Fields("page next sync continuation cursor count max min total per num design stop eos bos " +
		"pad special cancel cancellation csrf is has no input output prompt completion")
	// qualifiers follow a name without changing what it names.
	qualifiers = strings.Fields("data pem value raw base64 b64 hex plain plaintext string current old new previous prev " +
		"0 1 2 3 4 5 6 7 8 9")
	// qualifiedNames are the keys under which an object of a secret's name may hold its value.
	qualifiedNames = append([]string{"private"}, qualifiers...)
)

func isWord(word string, words []string) bool { return slices.Contains(words, word) }

// splitName returns a name's words in lower case: "OPENAI_API_KEY", "x-api-key" and "APIKeyID" are three words.
func splitName(name string) []string {
	var words []string
	var word []rune
	end := func() {
		if len(word) > 0 {
			words = append(words, strings.ToLower(string(word)))
			word = word[:0]
		}
	}
	runes := []rune(name)
	for i, r := range runes {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			end()
			continue
		case unicode.IsUpper(r) && i > 0 && (unicode.IsLower(runes[i-1]) || unicode.IsDigit(runes[i-1]) ||
			i+1 < len(runes) && unicode.IsUpper(runes[i-1]) && unicode.IsLower(runes[i+1])):
			end()
		}
		word = append(word, r)
	}
	end()
	return words
}

// minValue is the length in bytes below which nothing counts as a secret: it would be found everywhere.
const minValue = window

// isSecret reports whether the value of a key that holds a secret is one.
func isSecret(value string) bool {
	return len(value) >= minValue && !isMask(value) && !isReference(value) && !isCommon(value)
}

// isMask reports whether value was masked before: by OpenClaw, which leaves the first six and the last four
// characters, three stars, or a fingerprint of its own ("fp:" and 12 digits in its config snapshots), or by
// another program.
func isMask(value string) bool {
	head, tail, cut := strings.Cut(strings.ReplaceAll(value, `\u2026`, "…"), "…")
	return cut && utf8.RuneCountInString(head) == 6 && utf8.RuneCountInString(tail) == 4 ||
		len(value) == 15 && strings.HasPrefix(value, "fp:") && lowerHex.all(value[3:]) ||
		strings.Contains(value, "__OPENCLAW_REDACTED__") || strings.EqualFold(value, "[redacted]") ||
		strings.Trim(value, value[:1]) == ""
}

// reference matches what says where a secret is, instead of being it, and what asks for one to be filled in.
var reference = regexp.MustCompile(`^(\$\{[^{}]*\}|\$[A-Z_][A-Z0-9_]*|\$\([^()]*\)|\{\{.*\}\}|%[A-Z_]+%|<[A-Za-z _-]+>|secretref.*)$`)

func isReference(value string) bool { return reference.MatchString(value) }

// isCommon reports whether value is a number or one of the words that stand where a secret could.
func isCommon(value string) bool {
	if _, err := strconv.ParseFloat(value, 64); err == nil && len(value) < 16 {
		return true
	}
	return isWord(strings.ToLower(value), commonWords)
}

var commonWords = strings.Fields("string number boolean object undefined default disabled enabled required optional " +
	"production development staging localhost password passwd passphrase secret secrets token tokens bearer basic " +
	"digest apikey api_key api-key credential credentials authorization anthropic openai openrouter google telegram " +
	"discord whatsapp signal gateway openclaw clawdbot moltbot operator device loopback allowlist pairing plaintext " +
	"keychain keyring external internal literal example missing mismatch invalid expired unknown changed rotated " +
	"revoked request response trusted-proxy setup-token provided not-set unset configured redacted placeholder " +
	"changeme webhook-secret bot-token value")

// looksRandom reports whether value was made by a machine to be unguessable, where its name does not say so.
// Digests in hexadecimal, UUIDs, paths, model names and times are not meant.
func looksRandom(value string) bool {
	if len(value) < 16 || !tokenChars.all(value) || !digits.any(value) || hexDigits.all(strings.ReplaceAll(value, "-", "")) {
		return false
	}
	if strings.ContainsAny(value[:1], "/.~") || strings.Count(value, "/") > 2 {
		return false
	}
	letters, changes := 0, 0 // a change is one between digits, lower and upper case
	var last *class
	for i := range len(value) {
		for _, c := range []*class{digits, upper, lower} {
			if c[value[i]] && c != last {
				changes++
				last = c
			}
		}
		if !digits[value[i]] && alnum[value[i]] {
			letters++
		}
	}
	return letters >= 4 && changes*4 >= len(value) && entropy(value) >= 3
}

// entropy returns Shannon's entropy of value in bits a byte.
func entropy(value string) float64 {
	var count [256]int
	for i := range len(value) {
		count[value[i]]++
	}
	sum := 0.0
	for _, n := range count {
		if n > 0 {
			p := float64(n) / float64(len(value))
			sum -= p * math.Log2(p)
		}
	}
	return sum
}
