package casefile

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/durable"
)

// State says whether work on a case goes on.
type State string

// The states of a case. Only an open one is used without being named.
const (
	StateOpen   State = "open"
	StateClosed State = "closed"
)

// Info is what is known about a case without opening its log.
type Info struct {
	Name    string    `json:"name"`
	ID      string    `json:"id,omitempty"`
	Created time.Time `json:"created,omitzero"`
	Host    string    `json:"host,omitempty"`
	State   State     `json:"state,omitempty"`

	// Problem says why this is not a case that can be used; only Name is set
	// beside it, and may be any bytes.
	Problem string `json:"problem,omitempty"`

	failed error // of the disk: whether this is a case is not known
}

// caseVersion is the newest form of a case that is understood.
const caseVersion = 1

const (
	infoName  = "case.json"
	infoLimit = 64 << 10
	listLimit = 10_000
)

// record is case.json. The name of the case is the directory's alone.
type record struct {
	Version int       `json:"version"`
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
	Host    string    `json:"host"`
	State   State     `json:"state"`
}

func (i Info) encode() []byte {
	// A struct of strings and a time of this century always encodes.
	data, _ := console.JSON(record{caseVersion, i.ID, i.Created, i.Host, i.State}, "  ")
	return data
}

func readInfo(root *os.Root, name string) (Info, error) {
	data, err := readFile(root, infoName, infoLimit)
	if err != nil {
		return Info{}, err
	}
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return Info{}, fmt.Errorf("reading the case file: %v", err)
	}
	switch {
	case r.Version > caseVersion:
		return Info{}, fmt.Errorf("reading the case file: version %d is of a newer openclaw-ir: use that one", r.Version)
	case r.Version < 1:
		return Info{}, fmt.Errorf("reading the case file: unknown version %d", r.Version)
	case r.ID == "", r.Created.IsZero():
		return Info{}, errors.New("reading the case file: no id or no time")
	case r.State != StateOpen && r.State != StateClosed:
		return Info{}, fmt.Errorf("reading the case file: unknown state %q", r.State)
	}
	return Info{Name: name, ID: r.ID, Created: r.Created, Host: r.Host, State: r.State}, nil
}

// List returns the cases in dir, newest first. What is there and cannot be used
// comes last, with its Problem. A directory that does not exist has no cases.
func List(dir string) ([]Info, error) {
	base, _, err := openBase(dir, false)
	if errors.Is(err, ErrNoCase) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer base.Close()
	return list(base)
}

func list(base *os.Root) ([]Info, error) {
	d, err := base.Open(".")
	if err != nil {
		return nil, fmt.Errorf("listing cases: %w", err)
	}
	defer d.Close()
	entries, err := d.ReadDir(listLimit + 1)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("listing cases: %w", err)
	}
	if len(entries) > listLimit {
		return nil, fmt.Errorf("listing cases: more than %d files in %q", listLimit, base.Name())
	}
	var infos []Info
	for _, entry := range entries {
		if entry.Name() != ".lock" {
			infos = append(infos, look(base, entry))
		}
	}
	slices.SortFunc(infos, func(a, b Info) int {
		// What has a problem has no time, so it comes last.
		return cmp.Or(b.Created.Compare(a.Created), strings.Compare(b.Name, a.Name))
	})
	return infos, nil
}

func look(base *os.Root, entry fs.DirEntry) Info {
	name := entry.Name()
	if !validName(name) {
		return Info{Name: name, Problem: "not the name of a case"}
	}
	root, err := openDir(base, name)
	if err != nil {
		return unusable(name, err)
	}
	defer root.Close()
	info, err := readInfo(root, name)
	if err != nil {
		return unusable(name, err)
	}
	return info
}

func unusable(name string, err error) Info {
	info := Info{Name: name, Problem: err.Error()}
	if durable.DiskFailed(err) {
		info.failed = err
	}
	return info
}

func validName(name string) bool {
	if name == "" || len(name) > 128 || name[0] == '.' || name[0] == '-' || name[0] == '_' {
		return false
	}
	return safeName(name) == name
}

// safeName replaces what does not belong in a file name.
func safeName(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
			return r
		}
		return '-'
	}, s)
}
