package secret

import (
	"bytes"
	"encoding/base64"
	"iter"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clawbook/openclaw-ir/internal/json5"
)

// FromConfig yields every secret in a parsed configuration or JSON store with the path to the string that holds
// it. What it takes for a secret: strings whose key says so ("gateway.auth.token", "models.providers.*.apiKey",
// "tokens.operator.token", "privateKeyPem"); under "env", "vars" and "headers" those that look random as well;
// arguments after "--token" and the like; credentials in a URL; and anything in a well-known format. A string that
// is JSON itself is read too. One string can yield more than once, and duplicate keys are all seen.
//
// SecretRef objects ({source, provider, id}), "${NAME}" references and masks are not secrets.
func FromConfig(v *json5.Value) iter.Seq2[[]string, string] {
	return func(yield func([]string, string) bool) {
		w := walker{yield: yield}
		w.value(nil, v, unlikely)
	}
}

// FromEnv yields every secret in a file of NAME=VALUE lines, as .env and systemd's EnvironmentFile have them. The
// path is the variable's name; a private key that spans lines has none.
func FromEnv(data []byte) iter.Seq2[[]string, string] {
	return func(yield func([]string, string) bool) {
		w := walker{yield: yield}
		for text := range bytes.Lines(data) {
			name, value, ok := strings.Cut(strings.TrimSpace(string(text)), "=")
			if !ok || w.stopped {
				continue
			}
			name = strings.TrimSpace(strings.TrimPrefix(name, "export "))
			w.text([]string{name}, unquote(strings.TrimSpace(value)), chance(name, possible))
		}
		// A private key takes more than one line.
		for _, sp := range findFormats(string(data)) {
			if value := string(data[sp.start:sp.end]); strings.HasPrefix(value, pemStart) {
				w.found(nil, value)
			}
		}
	}
}

// FromText yields every secret that a text shows by its format or by the name it is given to, as [Set.Redact] finds them,
// without a path: for what should be one of the other two and is damaged.
func FromText(text string) iter.Seq2[[]string, string] {
	return func(yield func([]string, string) bool) {
		w := walker{yield: yield}
		for _, sp := range merge(findFormats(text)) {
			w.written(text[sp.start:sp.end])
		}
	}
}

// FromNotes yields the secrets that people's and agents' own words show: by a format that tells them by itself, or by the name they
// are given to if they look random too. Other words after "password:" are as often no secret.
func FromNotes(text string) iter.Seq2[[]string, string] {
	return func(yield func([]string, string) bool) {
		w := walker{yield: yield}
		var spans []span
		for _, t := range tokenFormats().tokens(text) {
			spans = append(spans, t.span)
		}
		for _, sp := range merge(findFormats(text)) {
			if looksRandom(text[sp.start:sp.end]) {
				spans = append(spans, sp)
			}
		}
		for _, sp := range merge(spans) {
			w.written(text[sp.start:sp.end])
		}
	}
}

// FromVault yields every string of a file that holds nothing but secrets.
func FromVault(v *json5.Value) iter.Seq2[[]string, string] {
	return func(yield func([]string, string) bool) {
		w := walker{yield: yield}
		v.Walk(func(path []string, v *json5.Value) bool {
			if v.Kind == json5.String {
				w.text(path, v.Str, certain)
			}
			return !w.stopped
		})
	}
}

// written yields a secret as it stands in a text, and as what it means where the text escapes or encodes it.
func (w *walker) written(value string) {
	w.found(nil, value)
	if !utf8.ValidString(value) {
		return
	}
	if plain, err := strconv.Unquote(`"` + strings.ReplaceAll(value, `\/`, "/") + `"`); err == nil && plain != value {
		w.found(nil, plain)
	}
	if plain, err := url.PathUnescape(value); err == nil && plain != value {
		w.found(nil, plain)
	}
	w.basic(nil, value)
}

// unquote takes off the quotes around an environment file's value.
func unquote(value string) string {
	if len(value) < 2 || !quotes[value[0]] {
		return value
	}
	if inner, err := strconv.Unquote(value); err == nil && value[0] == '"' {
		return inner
	}
	if end := strings.IndexByte(value[1:], value[0]); end >= 0 {
		return value[1 : 1+end]
	}
	return value
}

// likelihood says what a string must look like to be taken for a secret, from where it stands.
type likelihood int

const (
	unlikely likelihood = iota // only in a well-known format
	possible                   // if it looks random
	certain                    // if it can be one at all
)

// chance returns how likely a string of this name is a secret, least at the least.
func chance(name string, least likelihood) likelihood {
	if isSecretName(name) {
		return certain
	}
	return least
}

// maxNested is how often JSON within a string of JSON is followed.
const maxNested = 3

type walker struct {
	yield   func([]string, string) bool
	stopped bool
	nested  int
}

func (w *walker) value(path []string, v *json5.Value, likely likelihood) {
	if v == nil || w.stopped {
		return
	}
	switch v.Kind {
	case json5.String:
		w.text(path, v.Str, likely)
	case json5.Array:
		w.array(path, v.Elements, likely)
	case json5.Object:
		if !isSecretRef(v) {
			w.object(path, v, likely)
		}
	}
}

func (w *walker) object(path []string, v *json5.Value, likely likelihood) {
	for _, m := range v.Members {
		w.value(append(path, m.Key), m.Value, memberChance(v, m, likely))
	}
}

func memberChance(object *json5.Value, m json5.Member, parent likelihood) likelihood {
	name := strings.ToLower(m.Key)
	switch {
	case isSecretName(m.Key), isSecretName(strings.TrimSuffix(m.Key, "s")) && holdsStrings(m.Value):
		return certain
	case parent == certain && isWord(name, qualifiedNames):
		return certain
	case isWord(name, secretContainers):
		return certain
	case name == "key" && isProfile(object):
		return certain
	case isWord(name, maybeSecret), parent == possible:
		return possible
	}
	return unlikely
}

var (
	// maybeSecret are keys that hold secrets among other things: maps of variables, the tokens of an OAuth
	// profile ("access", "refresh"), a web push subscription's and Docker's "auth".
	maybeSecret = strings.Fields("env vars headers access refresh auth key")
	// secretContainers are keys of objects that hold key material as WhatsApp's creds.json does,
	// {private: {type: "Buffer", data: "…"}}.
	secretContainers = strings.Fields("private keydata")
)

func holdsStrings(v *json5.Value) bool {
	return v.Kind == json5.String || v.Kind == json5.Array
}

// isProfile reports whether object is one of auth-profiles.json, whose "key" is a model provider's.
func isProfile(object *json5.Value) bool {
	kind := object.Get("type")
	return kind != nil && isWord(strings.ToLower(kind.Str), []string{"api_key", "api-key", "apikey", "token", "oauth"})
}

// isSecretRef reports whether object says where a secret is: {source: "env", provider: "default", id: "NAME"}.
func isSecretRef(object *json5.Value) bool {
	source := object.Get("source")
	return source != nil && isWord(source.Str, []string{"env", "file", "exec", "store"}) && object.Get("id") != nil
}

func (w *walker) array(path []string, elements []*json5.Value, likely likelihood) {
	flag := ""
	for i, e := range elements {
		elementChance := likely
		if strings.HasPrefix(flag, "-") && e.Kind == json5.String {
			elementChance = chance(flag, likely)
		}
		w.value(append(path, strconv.Itoa(i)), e, elementChance)
		flag = e.Str
	}
}

func (w *walker) text(path []string, text string, likely likelihood) {
	value := withoutScheme(strings.TrimSpace(text))
	if isSecret(value) && !isPath(value) && (likely == certain || likely == possible && looksRandom(value)) {
		w.found(path, value)
	}
	for _, sp := range findFormats(text) {
		w.found(path, text[sp.start:sp.end])
	}
	if credentials, ok := strings.CutPrefix(text, "Basic "); ok {
		w.basic(path, credentials)
	}
	w.url(path, text)
	w.json(path, text)
}

// found yields a secret that stands at path.
func (w *walker) found(path []string, value string) {
	if !w.stopped && isSecret(value) {
		w.stopped = !w.yield(slices.Clone(path), value)
	}
}

// basic yields the password in an Authorization header's user and password.
func (w *walker) basic(path []string, credentials string) {
	userPass, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(credentials), "="))
	if err != nil || !utf8.Valid(userPass) || bytes.ContainsFunc(userPass, unicode.IsControl) {
		return
	}
	if _, pass, ok := strings.Cut(string(userPass), ":"); ok {
		w.found(path, pass)
	}
}

// url yields a URL's password decoded, for it is used so.
func (w *walker) url(path []string, text string) {
	if !strings.Contains(text, "://") {
		return
	}
	u, err := url.Parse(text)
	if err != nil || u.User == nil {
		return
	}
	if pass, ok := u.User.Password(); ok {
		w.found(path, pass)
	}
}

// json reads a string that holds an object or array of JSON.
func (w *walker) json(path []string, text string) {
	text = strings.TrimSpace(text)
	if w.nested == maxNested || len(text) < 2 || text[0] != '{' && text[0] != '[' {
		return
	}
	if v, err := json5.Parse([]byte(text)); err == nil {
		w.nested++
		w.value(path, v, unlikely)
		w.nested--
	}
}

// withoutScheme takes the scheme off an Authorization header's value.
func withoutScheme(value string) string {
	for _, scheme := range []string{"bearer ", "basic ", "token ", "bot ", "apikey "} {
		if len(value) > len(scheme) && strings.EqualFold(value[:len(scheme)], scheme) {
			return strings.TrimSpace(value[len(scheme):])
		}
	}
	return value
}

// isPath reports whether value names a file, as a key such as "password" wrongly may.
func isPath(value string) bool {
	return strings.HasPrefix(value, "/") && strings.Count(value, "/") > 1 && !strings.ContainsAny(value, "+=") ||
		strings.HasPrefix(value, "~/") || strings.HasPrefix(value, "./") || strings.HasPrefix(value, "file://")
}
