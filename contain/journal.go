package contain

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/json5"
)

// journalName is the file in the case that undo works from.
const journalName = "contain.json"

// journalLimit bounds it, in bytes. The firewall's rules are most of it.
const journalLimit = 64 << 20

// journalVersion is the newest form of it that is understood.
const journalVersion = 1

// State says how far a containment is.
type State string

// The states of a containment.
const (
	Begun     State = "begun"     // frozen, and perhaps more: a second run finishes it
	Contained State = "contained" // every step was done
	Undone    State = "undone"
)

// A Journal is what was there before, and what was done to it. Every change is written here before it is made, so that
// undo works whatever happens after. It holds no secret.
type Journal struct {
	Version    int         `json:"version"`
	Tool       string      `json:"tool"`
	Host       string      `json:"host"`
	BootID     string      `json:"boot_id"`
	Begun      time.Time   `json:"begun"`
	State      State       `json:"state"`
	Frozen     *Frozen     `json:"frozen,omitempty"`
	Held       []Ref       `json:"held,omitempty"` // stopped and not killed: supervisors that run other things too
	Killed     []Ref       `json:"killed,omitempty"`
	Units      []Unit      `json:"units,omitempty"`
	Containers []Container `json:"containers,omitempty"`
	Files      []File      `json:"files,omitempty"`
	Links      []Link      `json:"links,omitempty"`
	Firewall   *Firewall   `json:"firewall,omitempty"`
	DeadMan    *DeadMan    `json:"dead_man,omitempty"`
	Ports      []int       `json:"ports,omitempty"` // of the gateways
	Users      []uint32    `json:"users,omitempty"` // whose installations there are
	Kept       string      `json:"kept,omitempty"`  // the bundle that holds what stopping lost
}

// A File is a file that was made or edited. What stood in the places that were edited is kept, and nothing else of it:
// a configuration holds secrets.
type File struct {
	Path   string         `json:"path"`
	Owner  host.Owner     `json:"owner"` // with whose rights it is changed
	Before host.FileState `json:"before"`
	After  host.FileState `json:"after"`
	Edits  json5.Patch    `json:"edits,omitempty"` // empty for a file that was made
	Why    string         `json:"why"`
	Undone bool           `json:"undone,omitempty"`
}

// A Link is a link that started a unit at boot and was taken away.
type Link struct {
	Path   string     `json:"path"`
	Target host.Text  `json:"target"`
	Owner  host.Owner `json:"owner"`
	Undone bool       `json:"undone,omitempty"`
}

// A DeadMan puts the firewall back unless it is told in time that the responder still gets in.
type DeadMan struct {
	Deadline time.Time `json:"deadline"`
	PID      int       `json:"pid"`
	Start    uint64    `json:"start_ticks"`
}

// LoadJournal reads the case's containment. Of a case without one the error is [fs.ErrNotExist].
func LoadJournal(cs *casefile.Case) (*Journal, error) {
	text, err := cs.ReadFile(journalName, journalLimit)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, fmt.Errorf("reading the record of the containment: %w", err)
	}
	var j Journal
	if err := json.Unmarshal(text, &j); err != nil {
		return nil, fmt.Errorf("reading the record of the containment: %w", err)
	}
	if j.Version < 1 || j.Version > journalVersion {
		return nil, fmt.Errorf("reading the record of the containment: version %d is not known to this program", j.Version)
	}
	return &j, nil
}

// save writes the journal through to the disk.
func (j *Journal) save(cs *casefile.Case) error {
	text, err := console.JSON(j, " ")
	if err != nil {
		return fmt.Errorf("writing the record of the containment: %w", err)
	}
	if err := cs.WriteFile(journalName, text); err != nil {
		return fmt.Errorf("writing the record of the containment: %w", err)
	}
	return nil
}
