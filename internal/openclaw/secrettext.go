package openclaw

import (
	"encoding/base64"
	"fmt"
	"iter"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/json5"
	"github.com/clawbook/openclaw-ir/internal/secret"
)

// found hands on what a search of the text found, each with the path to it.
func (r *secretReader) found(secrets iter.Seq2[[]string, string]) {
	outer := r.at.Path
	for at, value := range secrets {
		r.at.Path = slices.Concat(outer, at)
		r.value(value)
	}
	r.at.Path = outer
}

// value hands on a text that is a secret as a whole.
func (r *secretReader) value(value string) {
	if value = strings.TrimSpace(value); value == "" {
		return
	}
	if r.held++; r.held > maxHeld {
		if r.held == maxHeld+1 {
			r.gap(r.at.File, fmt.Sprintf("more than %d secrets; those from here on were left out", maxHeld))
		}
		return
	}
	at := r.at
	at.Path = slices.Clone(at.Path)
	r.yield(HeldSecret{value, at})
}

// within hands on what found finds, under one more name.
func (r *secretReader) within(name string, secrets iter.Seq2[[]string, string]) {
	outer := r.at.Path
	if name != "" {
		r.at.Path = slices.Concat(outer, []string{name})
	}
	r.found(secrets)
	r.at.Path = outer
}

func (r *secretReader) env(_ string, text []byte) { r.found(secret.FromEnv(text)) }

// store reads a JSON file, or a file that is nothing but one secret.
func (r *secretReader) store(file string, text []byte) {
	one := strings.TrimSpace(string(text))
	if path.Ext(file) == ".secret" || path.Ext(file) == ".key" || path.Ext(file) == "" && isOneWord(one) {
		r.value(one)
		return
	}
	r.text(string(text))
}

// isOneWord reports a text that may be a token: one line without the signs of a file of settings.
func isOneWord(text string) bool {
	return len(text) >= 16 && len(text) <= 4096 && !strings.ContainsAny(text, " \t\r\n{}\"") && !strings.Contains(strings.TrimRight(text, "="), "=")
}

// script reads what a shell, cron or git reads: assignments, and secrets in arguments and addresses.
func (r *secretReader) script(_ string, text []byte) {
	r.found(secret.FromEnv(text))
	r.found(secret.FromText(string(text)))
}

// curlrc reads curl's settings; its logins are "user:password".
func (r *secretReader) curlrc(file string, text []byte) {
	r.script(file, text)
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, "=")
		if _, pass, ok := strings.Cut(strings.Trim(strings.TrimSpace(value), `"'`), ":"); ok && strings.HasSuffix(strings.TrimSpace(name), "user") {
			r.found(one(pass, "password"))
		}
	}
}

// notes reads what somebody wrote down.
func (r *secretReader) notes(_ string, text []byte) { r.found(secret.FromNotes(string(text))) }

// settings reads a file as its name says.
func (r *secretReader) settings(file string, text []byte) {
	switch name := path.Base(file); {
	case isJSONName(name):
		r.store(file, text)
	case path.Ext(name) == ".toml":
		r.sections(file, text)
	case path.Ext(name) == ".yaml", path.Ext(name) == ".yml":
		r.yaml(file, text)
	case name == ".netrc":
		r.netrc(file, text)
	default:
		r.env(file, text)
	}
}

// remarks reads the comments of a config: settings that were taken out of use.
func (r *secretReader) remarks(_ string, text []byte) {
	for remark := range json5.Comments(text) {
		r.found(secret.FromText(remark))
	}
}

// spaced reads the lines "name value" of a file.
func (r *secretReader) spaced(_ string, text []byte) {
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) == 2 {
			r.found(secret.FromEnv([]byte(words[0] + "=" + words[1])))
		}
	}
}

func (r *secretReader) whole(_ string, text []byte) { r.value(string(text)) }

func (r *secretReader) text(text string) {
	if v, err := json5.Parse([]byte(text)); err == nil && (v.Kind == json5.Object || v.Kind == json5.Array) {
		r.found(secret.FromConfig(v))
		return
	}
	if strings.HasPrefix(strings.TrimSpace(text), "{") { // cut short, or no JSON any more
		r.found(secret.FromText(text))
		return
	}
	r.found(secret.FromEnv([]byte(text)))
}

// privateKey takes the private keys of a file, encrypted ones too.
func (r *secretReader) privateKey(_ string, text []byte) {
	for _, value := range secret.FromEnv(text) {
		if strings.HasPrefix(value, "-----BEGIN") {
			r.value(value)
		}
	}
}

// sections reads NAME = VALUE lines under [section] headers, as .aws/credentials and TOML have them. A cache beside it
// that is JSON is read as such.
func (r *secretReader) sections(file string, text []byte) {
	if path.Ext(file) == ".json" {
		r.store(file, text)
		return
	}
	section := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = strings.Trim(line, "[]")
			continue
		}
		r.within(section, secret.FromEnv([]byte(line)))
	}
}

// yaml reads the lines "name: value" of a YAML file, which is all that the files read here hold secrets in.
func (r *secretReader) yaml(_ string, text []byte) {
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(strings.TrimLeft(line, " \t-"), ":")
		if ok {
			r.found(secret.FromEnv([]byte(strings.Trim(name, `"'`) + "=" + strings.TrimSpace(value))))
		}
	}
}

// netrc reads "machine NAME login USER password SECRET", in any layout.
func (r *secretReader) netrc(_ string, text []byte) {
	machine := ""
	words := strings.Fields(string(text))
	for i := 0; i+1 < len(words); i++ {
		switch words[i] {
		case "machine":
			machine = words[i+1]
			i++
		case "password":
			r.found(one(words[i+1], machine, "password"))
			i++
		}
	}
}

// pgpass reads host:port:database:user:password lines.
func (r *secretReader) pgpass(_ string, text []byte) {
	for line := range strings.Lines(string(text)) {
		if parts := strings.SplitN(strings.TrimSpace(line), ":", 5); len(parts) == 5 && !strings.HasPrefix(line, "#") {
			r.found(one(strings.NewReplacer(`\:`, ":", `\\`, `\`).Replace(parts[4]), parts[0], "password"))
		}
	}
}

// urls reads a URL a line with its password, or with a token in the user's place.
func (r *secretReader) urls(_ string, text []byte) {
	for line := range strings.Lines(string(text)) {
		u, err := url.Parse(strings.TrimSpace(line))
		if err != nil || u.User == nil {
			continue
		}
		pass, ok := u.User.Password()
		if !ok {
			pass = u.User.Username()
		}
		r.found(one(pass, u.Host, "password"))
	}
}

// docker reads the logins of registries, whose "auth" is user and password in base64.
func (r *secretReader) docker(_ string, text []byte) {
	v, err := json5.Parse(text)
	if err != nil {
		return
	}
	r.found(secret.FromConfig(v))
	auths := v.Get("auths")
	if auths == nil {
		return
	}
	for _, m := range auths.Members {
		auth := m.Value.Get("auth")
		if auth == nil {
			continue
		}
		login, err := base64.StdEncoding.DecodeString(auth.Str)
		if _, pass, ok := strings.Cut(string(login), ":"); err == nil && ok {
			r.found(one(pass, "auths", m.Key, "password"))
		}
	}
}

func one(value string, at ...string) iter.Seq2[[]string, string] {
	return func(yield func([]string, string) bool) { yield(at, value) }
}

// unit reads a service's definition, its drop-ins beside it and the files it takes its environment from.
func (r *secretReader) unit(u *Unit) {
	r.at = SecretPlace{}
	r.file(u.Path, (*secretReader).unitText)
	r.dir(u.Path+".d", 0, (*secretReader).unitText, nil)
	r.dir(path.Dir(u.Path), 0, (*secretReader).unitText, func(name string) bool { return strings.HasPrefix(name, u.Name()) && IsOldCopy(name) })
	for _, file := range u.files {
		if path.IsAbs(file) && path.Clean(file) == file && !strings.Contains(file, "%") {
			r.file(file, (*secretReader).env)
		}
	}
}

// unitText reads the assignments of Environment= lines, the arguments of the others, and of a property list the strings that follow a key.
func (r *secretReader) unitText(_ string, text []byte) {
	for line := range strings.Lines(strings.ReplaceAll(string(text), "\\\n", " ")) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || strings.TrimSpace(key) != "Environment" {
			r.found(secret.FromText(line))
			continue
		}
		for _, assignment := range splitQuoted(value) {
			r.found(secret.FromEnv([]byte(assignment)))
		}
	}
	for _, m := range plistPair.FindAllSubmatch(text, 1000) {
		r.found(secret.FromEnv(slices.Concat(m[1], []byte("="), m[2])))
	}
}
