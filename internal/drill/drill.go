// Package drill carries real states of compromised hosts, and lays them out in a directory of their own. It never looks at the
// machine it runs on.
package drill

import (
	"fmt"
	"os"
	"slices"

	"github.com/clawbook/openclaw-ir/testdata/scenarios"
)

// A State is a compromised host to hold a drill on.
type State struct {
	Version string // of its OpenClaw
	archive string
	Notice  string // what its owner would say about it
	At      string // and when it was, in their words
}

// Host is the name of every state's host, and User of the account that OpenClaw runs as.
const (
	Host = "drill-clawhost" // so that every output says what it is
	User = "claw"
)

// States are the states there are, the one to begin with first. What happened on each is in testdata/scenarios.
func States() []State {
	return []State{
		{"2026.9.6", "automation.tar.zst", "I asked it to look up who is on call on our wiki. Since then something runs every hour that I never set up.", "29 November 2026, about 8 in the morning"},
		{"2026.2.12", "log-poisoning.tar.zst", "I asked it why a connection was refused. It said that it had repaired the gateway, and I had not asked for that.", "29 November 2026, a quarter past 9"},
	}
}

// Find returns the state of a version; "" is the first.
func Find(version string) (State, error) {
	all := States()
	if version == "" {
		return all[0], nil
	}
	i := slices.IndexFunc(all, func(s State) bool { return s.Version == version })
	if i < 0 {
		return State{}, fmt.Errorf("no state of version %q: there is one of %s and one of %s", version, all[0].Version, all[1].Version)
	}
	return all[i], nil
}

// LayOut makes the directory dir, which must not exist, and lays the state's host out in it. Everything belongs to whoever
// calls it, whatever the archive says: a user of that number here has nothing to do with it.
func (s State) LayOut(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	f, err := scenarios.Archives.Open(s.archive)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := Unpack(dir, f, Options{}); err != nil {
		return fmt.Errorf("unpacking the host of the drill: %w", err)
	}
	return layEtc(dir)
}

func layEtc(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.Mkdir("etc", 0o755); err != nil {
		return err
	}
	passwd := "root:x:0:0:root:/root:/bin/bash\n" + User + ":x:4242:4242::/home/" + User + ":/bin/bash\n"
	if err := root.WriteFile("etc/passwd", []byte(passwd), 0o644); err != nil {
		return err
	}
	return root.WriteFile("etc/hostname", []byte(Host+"\n"), 0o644)
}
