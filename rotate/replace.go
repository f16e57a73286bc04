package rotate

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/json5"
)

// ErrNeedsPerson says that a credential is held where this tool cannot replace it.
var ErrNeedsPerson = errors.New("a person has to replace it")

// A Change is a file that was changed.
type Change struct {
	File   string         `json:"file"`
	Before host.FileState `json:"before"`
	After  host.FileState `json:"after"`
}

// NewValue makes a credential: 32 random bytes in base64. Its letters need no quotes in JSON, a unit, a property list or
// an environment file.
func NewValue() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // it cannot fail: it ends the program instead
	return base64.StdEncoding.EncodeToString(b)
}

// Replace writes value into every place of the credential and leaves every other byte of their files as it was. Each file is
// changed in one step, with the rights of the installation's owner, or root's where it is root's; the one in force comes last. Where it fails the changes that were made
// are returned with the error, which never tells a value. Some may have to be told to a program that runs: see [Verify].
func (c Credential) Replace(root *host.Root, value string) ([]Change, error) {
	if c.Person != "" {
		return nil, fmt.Errorf("replacing %s: %w: %s", c.Name, ErrNeedsPerson, c.Person)
	}
	if value == "" || strings.Trim(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-") != "" {
		return nil, fmt.Errorf("replacing %s: the new value is not base64", c.Name)
	}
	var changes []Change
	for i, p := range c.Places {
		if anyIn(c.Places[i+1:], p.File) {
			continue // with the last place of its file
		}
		change, err := c.replaceIn(root, p.File, value)
		if err != nil {
			return changes, fmt.Errorf("replacing %s in %q: %w", c.Name, p.File, err)
		}
		changes = append(changes, change)
	}
	return changes, nil
}

func anyIn(places []Place, file string) bool {
	return slices.ContainsFunc(places, func(p Place) bool { return p.File == file })
}

// replaceIn rewrites one file.
func (c Credential) replaceIn(root *host.Root, file, value string) (Change, error) {
	i := slices.IndexFunc(c.Places, func(p Place) bool { return p.File == file })
	owner := c.Places[i].owner
	if owner.UID == 0 { // root's rights lead only where root alone can write
		if now, err := host.OwnerOf(root, file); err != nil || now.UID != 0 {
			return Change{}, errors.Join(err, host.ErrNotTrusted)
		}
	}
	text, was, err := host.ReadFile(owner, file)
	if err != nil {
		return Change{}, err
	}
	after := text
	for _, p := range c.Places {
		if p.File != file {
			continue
		}
		if after, err = p.replace(after, value); err != nil {
			return Change{}, err
		}
	}
	now, err := host.Rewrite(owner, file, after, was, 0o600)
	return Change{file, was, now}, err
}

// replace returns the text with the place's value replaced, and looks whether it reads back.
func (p Place) replace(text []byte, value string) ([]byte, error) {
	spans, err := p.spans(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Name, err)
	}
	after := apply(text, spans, value)
	if p.isJSON() {
		patch, err := json5.Set(text, `"`+value+`"`, p.steps...)
		if err == nil {
			after, err = patch.Apply(text)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, errNotPlain) // json5's own words may quote the text
		}
	}
	again, err := p.spans(after)
	if err != nil || len(again) != len(spans) {
		return nil, fmt.Errorf("%s: the value would not read back", p.Name)
	}
	for _, s := range again {
		if s.old != value {
			return nil, fmt.Errorf("%s: the value would not read back", p.Name)
		}
	}
	return after, nil
}
