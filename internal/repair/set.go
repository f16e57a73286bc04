package repair

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"reflect"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/json5"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/secret"
)

// A Value is a value that a configuration is to have.
type Value struct {
	Path    []string // member names from the root
	Literal string   // JSON
}

func (v Value) key() string { return strings.Join(v.Path, ".") }

// ErrSecret says that what a value would replace may be a secret, which undoing would have to keep.
var ErrSecret = errors.New("what it replaces may be a secret")

// ErrIncluded says that a value does not win over an included file's.
var ErrIncluded = errors.New("an included file has the last word on it")

// ErrDisagree says that a setting is to have two values.
var ErrDisagree = errors.New("two repairs want different values of it")

// merge makes one value of those for one setting: of two lists, each the old one without something, what both keep. Two
// values that differ are refused.
func merge(values []Value) (merged []Value, refused map[string]error) {
	refused = map[string]error{}
	at := map[string]int{}
	for _, v := range values {
		i, known := at[v.key()]
		if !known {
			at[v.key()] = len(merged)
			merged = append(merged, v)
			continue
		}
		both, ok := common(merged[i].Literal, v.Literal)
		if !ok {
			refused[v.key()] = ErrDisagree
			continue
		}
		merged[i].Literal = both
	}
	return slices.DeleteFunc(merged, func(v Value) bool { return refused[v.key()] != nil }), refused
}

// common returns what two values agree in: the value if they are the same, of two lists what is in both.
func common(a, b string) (string, bool) {
	var x, y []json.RawMessage
	if a == b {
		return a, true
	}
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return "", false
	}
	x = slices.DeleteFunc(x, func(e json.RawMessage) bool {
		return !slices.ContainsFunc(y, func(f json.RawMessage) bool { return bytes.Equal(e, f) })
	})
	text, err := json.Marshal(x)
	return string(text), err == nil
}

// PlanSet says how to give a configuration these values, in one edit of its main file. Values that it has already are
// left out; those that cannot be set so are refused, by their key. Without anything to do the Edit has no Edits.
func PlanSet(owner host.Owner, fsys fs.FS, file string, values []Value) (e Edit, refused map[string]error, err error) {
	e = Edit{Path: file, Owner: owner}
	if err := noLink(owner, file); err != nil {
		return e, nil, err
	}
	text, state, err := host.ReadFile(owner, file)
	if err != nil {
		return e, nil, err
	}
	if !state.Exists {
		return e, nil, &fs.PathError{Op: "edit", Path: file, Err: fs.ErrNotExist}
	}
	e.Before = state
	values, refused = merge(values)
	var taken []Value
	for _, v := range values {
		next := append(taken[:len(taken):len(taken)], v)
		edits, err := patch(text, next)
		if err == nil {
			err = wins(fsys, file, text, edits, v)
		}
		switch {
		case errors.Is(err, errNothing):
		case err != nil:
			refused[v.key()] = err
		default:
			taken = next
			e.What = append(e.What, phrase(text, v))
			e.Edits = edits
		}
	}
	return e, refused, nil
}

// errNothing says that a value is there already.
var errNothing = errors.New("nothing to do")

// patch sets values in a text.
func patch(text []byte, values []Value) (json5.Patch, error) {
	editor, err := json5.NewEditor(text)
	if err != nil {
		return nil, err
	}
	for _, v := range values {
		old := editor.Root.Get(v.Path...)
		if old != nil && holdsSecret(v.Path, text[old.Start:old.End]) {
			return nil, ErrSecret
		}
		if err := editor.Set(editor.Root, v.Literal, v.Path...); err != nil {
			return nil, err
		}
	}
	return editor.Patch()
}

// holdsSecret reports whether the value at a path may be or hold a secret.
func holdsSecret(path []string, literal []byte) bool {
	v, err := json5.Parse(literal)
	if err != nil {
		return true
	}
	for i := len(path) - 1; i >= 0; i-- {
		v = &json5.Value{Kind: json5.Object, Members: []json5.Member{{Key: path[i], Value: v}}}
	}
	for range secret.FromConfig(v) {
		return true
	}
	for range secret.FromText(string(literal)) {
		return true
	}
	return false
}

// wins makes sure that after the edits the merged configuration has the value, and that it did not before.
func wins(fsys fs.FS, file string, text []byte, edits json5.Patch, v Value) error {
	want, err := json5.Parse([]byte(v.Literal))
	if err != nil {
		return err
	}
	if is := valueAt(fsys, file, text, v.Path); reflect.DeepEqual(is, want.Plain()) {
		return errNothing
	}
	after, err := edits.Apply(text)
	if err != nil {
		return err
	}
	if is := valueAt(fsys, file, after, v.Path); !reflect.DeepEqual(is, want.Plain()) {
		return ErrIncluded
	}
	return nil
}

// valueAt reads a value of the configuration that a text makes with its includes.
func valueAt(fsys fs.FS, file string, text []byte, path []string) any {
	c, _ := openclaw.LoadConfig(instead{fsys, openclaw.FSName(file), text}, file)
	return c.Get(path...)
}

// maxPhrase bounds what is shown of a value, in bytes.
const maxPhrase = 60

// phrase says what is done: "gateway.bind "lan" → "loopback"".
func phrase(text []byte, v Value) string {
	was := "not set"
	if root, err := json5.Parse(text); err == nil {
		if old := root.Get(v.Path...); old != nil {
			was = string(text[old.Start:old.End])
		}
	}
	var compact bytes.Buffer
	if json.Compact(&compact, []byte(was)) == nil {
		was = compact.String()
	}
	if len(was) > maxPhrase {
		was = was[:maxPhrase] + "…"
	}
	return fmt.Sprintf("%s %s → %s", v.key(), was, v.Literal)
}

// instead is a file system in which one file has another text.
type instead struct {
	fs.FS
	name string
	text []byte
}

// Open opens a file.
func (i instead) Open(name string) (fs.File, error) {
	if name != i.name {
		return i.FS.Open(name)
	}
	f, err := i.FS.Open(name)
	if err != nil {
		return nil, err
	}
	return insteadFile{f, bytes.NewReader(i.text)}, nil
}

type insteadFile struct {
	fs.File
	r io.Reader
}

// Read reads the other text.
func (f insteadFile) Read(p []byte) (int, error) { return f.r.Read(p) }
