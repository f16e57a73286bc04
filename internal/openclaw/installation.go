// Package openclaw knows what an OpenClaw installation is, in every release from January 2026 on: where its
// state lies, what its config says, and how its transcripts, logs and ledgers are stored.
//
// It reads an io/fs.FS of the host as it was (names are absolute paths without the leading slash), so a live
// host, a mounted disk, an extracted directory and a sealed bundle are the same to it. It never writes, runs
// nothing, contacts nothing and expands nothing from our own environment. What it cannot read it returns as a
// Gap; it drops nothing silently.
package openclaw

import (
	"path"
	"strings"
)

// An Era says how an installation keeps its transcripts.
type Era string

// The eras. Transcripts moved from files to SQLite in 2026.7.2; an upgraded host may hold both.
const (
	EraUnknown Era = "unknown"
	EraJSONL   Era = "jsonl"
	EraSQLite  Era = "sqlite"
	EraMixed   Era = "mixed"
)

// NewestKnown is the newest release whose storage was studied; a newer one is read as far as it is alike.
const NewestKnown = "2026.9.6"

// A Gap is something that was looked for and could not be read, or not wholly.
type Gap struct {
	Path    string `json:"path"`            // absolute path on the host
	What    string `json:"what"`            // what is missing and why, in words
	Bytes   int64  `json:"bytes,omitempty"` // how much was not read, where that is known
	Unknown bool   `json:"-"`               // whether an installation lies there is not known: the disk did not answer, was not asked, it is too much to look into, or no directory
}

// An Installation is one OpenClaw state directory and what belongs to it.
// Paths are absolute paths on the host.
type Installation struct {
	User         string    `json:"user"` // account whose home holds it; "" if none
	Home         string    `json:"home"`
	StateDir     string    `json:"state_dir"`
	ConfigPath   string    `json:"config_path"`
	Profile      string    `json:"profile,omitempty"`
	FoundBy      []string  `json:"found_by"` // each way it was found: "home", "unit …", "process …", "given"
	Version      string    `json:"version,omitempty"`
	VersionFrom  string    `json:"version_from,omitempty"`
	Era          Era       `json:"era"`
	Agents       []Agent   `json:"agents"`
	Units        []Unit    `json:"units,omitempty"`
	Port         int       `json:"port,omitempty"`
	LogDirs      []string  `json:"log_dirs"`
	LogFile      string    `json:"log_file,omitempty"` // logging.file of the config
	TmpDirs      []string  `json:"-"`                  // directories for temporary files that were set for it
	WorkspaceDir string    `json:"-"`                  // that was set for the agent that uses the defaults; "" if none was
	LoadDirs     []LoadDir `json:"load_dirs,omitempty"`
	Notes        []string  `json:"notes,omitempty"`
	Others       []string  `json:"other_configs,omitempty"` // that a gateway may start with as well as with ConfigPath
	Shut         []Gap     `json:"-"`                       // what the agent calls its own and may not read
	Config       *Config   `json:"-"`
}

// A LoadDir is where an installation finds skills, hooks or plugins beside its own directories, as the config says. A plugin may be a file.
type LoadDir struct {
	Path string `json:"path"`
	Kind string `json:"kind"` // skill, hook or plugin
}

// An Agent is one agent of an installation.
type Agent struct {
	ID        string `json:"id"`
	Dir       string `json:"dir"`      // agents/<id>/agent, or agentDir of the config
	Sessions  string `json:"sessions"` // agents/<id>/sessions
	Database  string `json:"database"` // openclaw-agent.sqlite; it need not exist
	Workspace string `json:"workspace"`
	Store     string `json:"-"` // index of its sessions, where it is none called sessions.json beside them
}

// StateDB returns the path of the shared control-plane database. It need not exist.
func (in *Installation) StateDB() string { return path.Join(in.StateDir, "state", "openclaw.sqlite") }

// newer reports whether release a is newer than b; both read like 2026.9.6, with or without a suffix.
func newer(a, b string) bool {
	x, y := releaseNumbers(a), releaseNumbers(b)
	for i := range x {
		if x[i] != y[i] {
			return x[i] > y[i]
		}
	}
	return false
}

func releaseNumbers(v string) (n [3]int) {
	for i, part := range strings.SplitN(v, ".", 3) {
		for _, c := range part {
			if c < '0' || c > '9' || n[i] > 1e6 {
				break
			}
			n[i] = n[i]*10 + int(c-'0')
		}
	}
	return n
}

// FSName turns an absolute host path into the name an fs.FS knows it by.
func FSName(hostPath string) string {
	name := strings.TrimPrefix(path.Clean("/"+hostPath), "/")
	if name == "" {
		return "."
	}
	return name
}

// Within reports whether a clean path or name is dir or lies in it.
func Within(name, dir string) bool {
	return name == dir || strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/")
}

// HostPath turns an fs.FS name into the absolute path on the host.
func HostPath(name string) string { return path.Join("/", name) }
