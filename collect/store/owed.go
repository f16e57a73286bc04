package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
)

// A Destination is a store and how to reach it, as a case keeps it. It holds no password and no key, only where one lies.
type Destination struct {
	To      string `json:"to"` // as Open takes it
	HostKey string `json:"host_key,omitempty"`
	SSHKey  string `json:"ssh_key,omitempty"` // a file
	// LockDays and Governance are those of Lock.
	LockDays   int  `json:"lock_days,omitempty"`
	Governance bool `json:"governance,omitempty"`
}

// Owed is a file that is still to be stored somewhere.
type Owed struct {
	Destination
	File   string    `json:"file"` // its path in the case, or an absolute one
	Name   string    `json:"name"` // in the store
	Size   int64     `json:"size"` // bytes
	SHA256 string    `json:"sha256"`
	Since  time.Time `json:"since"`
}

// A ledger is what a case still owes to stores, and how far the uploads are that were begun.
type ledger struct {
	Version int                        `json:"version"`
	Owed    []Owed                     `json:"owed"`
	Begun   map[string]json.RawMessage `json:"begun"`
}

const (
	ledgerName  = "uploads.json"
	ledgerLock  = "uploads.lock"
	ledgerLimit = 64 << 20 // bytes
	ledgerWait  = 30 * time.Second
)

func readLedger(cs *casefile.Case) (ledger, error) {
	l := ledger{Version: 1, Begun: map[string]json.RawMessage{}}
	text, err := cs.ReadFile(ledgerName, ledgerLimit)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &l)
	}
	if err == nil && l.Version != 1 {
		err = fmt.Errorf("version %d", l.Version)
	}
	if err != nil {
		return l, &Error{
			fmt.Errorf("reading what is owed to stores: %w", err),
			fmt.Sprintf("move %s away: the bundles are in %q, and openclaw-ir collect upload --to PLACE BUNDLE stores them", ledgerName, cs.Path(casefile.BundlesDir)),
		}
	}
	if l.Begun == nil {
		l.Begun = map[string]json.RawMessage{}
	}
	return l, nil
}

// changeLedger is the one way in which it changes: others may do so at the same time.
func changeLedger(cs *casefile.Case, change func(*ledger)) error {
	unlock, err := cs.Lock(ledgerLock, ledgerWait)
	if err != nil {
		return fmt.Errorf("noting what is owed to stores: %w", err)
	}
	defer unlock()
	l, err := readLedger(cs)
	if err != nil {
		return err
	}
	change(&l)
	text, err := console.JSON(l, "")
	if err != nil {
		return fmt.Errorf("noting what is owed to stores: %w", err)
	}
	return cs.WriteFile(ledgerName, text)
}

// ListOwed returns what a case still owes to stores, the oldest first. A file that is owed is not to be removed.
func ListOwed(cs *casefile.Case) ([]Owed, error) {
	l, err := readLedger(cs)
	return l.Owed, err
}

// Owe notes that files are to be stored. It is durable when it returns. What is owed already is owed once.
func Owe(cs *casefile.Case, files ...Owed) error {
	return changeLedger(cs, func(l *ledger) {
		for _, f := range files {
			f.Since = time.Now().UTC()
			if !slices.ContainsFunc(l.Owed, f.same) {
				l.Owed = append(l.Owed, f)
			}
		}
	})
}

func (f Owed) same(g Owed) bool { return f.To == g.To && f.Name == g.Name && f.SHA256 == g.SHA256 }

func settle(cs *casefile.Case, f Owed) error {
	return changeLedger(cs, func(l *ledger) { l.Owed = slices.DeleteFunc(l.Owed, f.same) })
}

// caseMemory keeps how far uploads are in the case.
type caseMemory struct{ cs *casefile.Case }

// Recall returns what was last remembered; what cannot be read is as if nothing was.
func (m caseMemory) Recall(key string) []byte {
	l, err := readLedger(m.cs)
	if err != nil {
		return nil
	}
	return l.Begun[key]
}

// Remember replaces it.
func (m caseMemory) Remember(key string, state []byte) error {
	if state == nil && m.Recall(key) == nil {
		return nil
	}
	return changeLedger(m.cs, func(l *ledger) {
		if l.Begun[key] = state; state == nil {
			delete(l.Begun, key)
		}
	})
}
