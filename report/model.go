package report

import (
	"time"

	"github.com/clawbook/openclaw-ir/analyze"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/severity"
)

// Version is the version of the JSON form of a [Story].
const Version = 1

// A Story is a case as it is told: what was noticed, seen, done and left open. The letter, the Markdown, the page and
// the JSON are made from it and from nothing else.
//
// Its strings may hold hostile text, and no secret: whoever fills it in has replaced secrets by tokens
// ([secret.Set.Redact]). Every list is in the order in which it is told.
type Story struct {
	Version int       `json:"openclaw_ir_report"`
	Tool    string    `json:"tool"`
	Written time.Time `json:"written"`

	Case          Case           `json:"case"`
	Host          Host           `json:"host"`
	Installations []Installation `json:"installations"`
	Incident      Incident       `json:"incident"`

	Severity  Assessment     `json:"severity"`
	Counts    map[string]int `json:"findings_by_level"`   // of all findings that are not suppressed, by level
	Skills    []Skill        `json:"skills,omitempty"`    // those of the files that findings are about
	Addresses []Address      `json:"addresses,omitempty"` // that the agent spoke to, or was to speak to, at high or above; by time

	Findings   []analyze.FindingRecord `json:"findings"`   // worst first, then by time; at most MaxFindings
	Suppressed []analyze.FindingRecord `json:"suppressed"` // known and accepted, listed all the same
	Posture    []Weakness              `json:"posture"`    // worst first
	Exposures  []Exposure              `json:"exposures"`  // known vulnerabilities whose conditions were met
	Actions    []Action                `json:"actions"`    // the custody log, by time
	Open       []Item                  `json:"open"`       // what is to be replaced, in that order; those done too
	Bundles    []Bundle                `json:"bundles"`    // by time
	Coverage   Coverage                `json:"coverage"`

	// FindingsLeftOut and ActionsLeftOut count what is not listed because there was too much.
	FindingsLeftOut int64 `json:"findings_left_out,omitempty"`
	ActionsLeftOut  int   `json:"actions_left_out,omitempty"`

	// Events is the timeline, for the page alone: it is as long as the evidence.
	Events []analyze.Record `json:"-"`
	// EventsLeftOut counts the events that are not in Events because there were too many.
	EventsLeftOut int64 `json:"events_left_out,omitempty"`
}

// Case names the case and says what its custody log is worth.
type Case struct {
	Name    string    `json:"name"`
	ID      string    `json:"id"`
	State   string    `json:"state"`
	Created time.Time `json:"created"`
	Lines   int       `json:"custody_lines"`
	Head    string    `json:"custody_head"` // SHA-256 of the last line
	// Problems are the places at which the custody log does not hold; empty if it holds.
	Problems []string `json:"custody_problems,omitempty"`
}

// Host is the machine, as far as the evidence tells. A field is empty where it does not.
type Host struct {
	Name     string `json:"name"`
	OS       string `json:"os"`
	Kernel   string `json:"kernel"`
	Arch     string `json:"arch"`
	Timezone string `json:"timezone"`
}

// An Installation is one OpenClaw on the host.
type Installation struct {
	Version  string `json:"version"`
	Era      string `json:"era"`
	User     string `json:"user"`
	StateDir string `json:"state_dir"`
	// Reach says how far the gateway could be reached, one line a fact: bind, port, authentication, Tailscale, open channels.
	Reach []string `json:"reach"`
	// Beyond is "yes" if it was reachable beyond loopback, "no" if it was not, "unknown" if the evidence does not tell.
	Beyond string `json:"beyond_loopback"`
}

// Incident is what a person noticed and the time the evidence points to.
type Incident struct {
	Noticed string `json:"noticed,omitempty"` // what the person says was unusual, in their words
	At      string `json:"at,omitempty"`      // when, in their words or RFC 3339
	// First and Last are the times of the first and the last finding at high or above; zero if there is none.
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`
	// Untrusted are the inputs that led to findings at high or above, each once, by time: what the attacker sent.
	Untrusted []analyze.LinkRecord `json:"untrusted"`
}

// An Assessment is how bad it is, as far as the evidence tells.
type Assessment struct {
	// Level is SEV1, the worst, to SEV4; empty where no evidence was read.
	Level string `json:"level,omitempty"`
	Rule  string `json:"rule"` // the criterion that is met, or why there is no suggestion
	// Because says what meets it, one line a fact.
	Because []string `json:"because,omitempty"`
}

// A Skill is a skill that findings are about.
type Skill struct {
	Name      string   `json:"name"`
	Version   string   `json:"version,omitempty"`
	Publisher string   `json:"publisher,omitempty"`
	Path      string   `json:"path"`             // of its SKILL.md on the host
	SHA256    string   `json:"sha256,omitempty"` // of its SKILL.md; empty if it is no longer there
	Rules     []string `json:"rules"`            // the titles of what was found, each once
	Time      string   `json:"time,omitempty"`   // of the first finding
}

// An Address is where the agent connected to or was to connect to: a URL without its query, or a host.
type Address struct {
	Value string `json:"value"`
	First string `json:"first"`
	Last  string `json:"last"`
	Count int    `json:"count"`
	Deed  string `json:"deed"` // what was done with it, the first time
}

// A Weakness is one thing of the setup that is not as it should be.
type Weakness struct {
	Check    string         `json:"check"`
	Level    severity.Level `json:"level"`
	Title    string         `json:"title"`
	Seen     string         `json:"seen"`
	Why      string         `json:"why"`
	Fix      string         `json:"fix"`
	Where    string         `json:"where"`
	Commands []string       `json:"commands,omitempty"`
	Since    []string       `json:"since,omitempty"` // from when to when it was so, one line a span
}

// An Exposure is a known vulnerability whose conditions were met while its version ran. That it could have been used does
// not say that it was.
type Exposure struct {
	ID       string   `json:"id"`
	Title    string   `json:"title"`
	Releases []string `json:"releases"`
	Span     string   `json:"span"`
	Unproved bool     `json:"unproved,omitempty"`
}

// An Action is one line of the custody log.
type Action struct {
	Seq      int64     `json:"seq"`
	Time     time.Time `json:"time"`
	Operator string    `json:"operator"` // user, and who became it by sudo
	Host     string    `json:"host"`
	Action   string    `json:"action"`
	Object   string    `json:"object,omitempty"`
	Result   string    `json:"result"`
	Exit     *int      `json:"exit,omitempty"`
	Note     string    `json:"note,omitempty"`
	Digests  []Digest  `json:"digests,omitempty"`
}

// Digest is the SHA-256, in hex, of something that an action produced.
type Digest struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
}

// An Item is something to be replaced, as rotate lists it.
type Item struct {
	ID      string `json:"id"`
	What    string `json:"what"`           // "Anthropic model key of anthropic:default"
	Status  string `json:"status"`         // open, done, …
	Who     string `json:"who"`            // this tool or you
	How     string `json:"how"`            // what to do
	Page    string `json:"page,omitempty"` // where it is replaced
	Command string `json:"command,omitempty"`
	Note    string `json:"note,omitempty"`
	// Used says how the evidence shows it used, the worst first: sent, run, written, seen; empty if it does not.
	Used []string `json:"used,omitempty"`
}

// A Bundle is a sealed bundle of the case.
type Bundle struct {
	Name       string    `json:"name"`
	Path       string    `json:"path"` // where it lies on this machine
	Size       int64     `json:"size"` // bytes
	SHA256     string    `json:"sha256"`
	SealSHA256 string    `json:"seal_sha256"`
	Signer     string    `json:"signer"` // fingerprint of the key that signed the seal
	Recipients []string  `json:"recipients"`
	Created    time.Time `json:"created"`
	// Problem says why it is not as it was sealed; empty if it is. Note says what is no problem: that it is not here, or was never
	// finished.
	Problem string `json:"problem,omitempty"`
	Note    string `json:"note,omitempty"`
	// Sent says how it goes with the letter; empty if it does not.
	Sent string `json:"sent,omitempty"`
}

// Coverage says what was read, so that nothing is claimed of what was not.
type Coverage struct {
	analyze.Coverage
	Rules int            `json:"rules"`
	Cut   int64          `json:"texts_cut"`           // texts too long to be matched wholly
	Lost  int64          `json:"findings_not_listed"` // findings beyond the bound
	Gaps  []openclaw.Gap `json:"-"`                   // all gaps, those of the analysis too
	// Missing are the parts of the story that could not be told at all, each with why.
	Missing []string `json:"missing,omitempty"`
}
