package schedule

import (
	"context"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/collect"
	"github.com/clawbook/openclaw-ir/collect/store"
	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/host"
)

// A Status is how a schedule and its chain stand.
type Status struct {
	Kind    Kind      `json:"kind"`
	Name    string    `json:"name"`
	Every   Every     `json:"every"`
	Argv    []string  `json:"argv"`
	Enabled bool      `json:"enabled"`
	Next    time.Time `json:"next,omitzero"` // of systemd alone
	// LastRun is the last snapshot that was tried, by the schedule or by hand, as the custody log has it.
	LastRun  time.Time `json:"last_run,omitzero"`
	LastExit *int      `json:"last_exit,omitempty"`
	// Service is what systemd says of the last run, such as success, exit-code, timeout or oom-kill.
	Service string `json:"service,omitempty"`
	DropIns string `json:"drop_ins,omitempty"`

	Number int       `json:"number"` // of the last link, 0 for none
	Chain  string    `json:"chain,omitempty"`
	Head   string    `json:"head,omitempty"` // digest of its seal
	Sealed time.Time `json:"sealed,omitzero"`

	Alarms    int       `json:"alarms"` // on the record in the custody log
	LastAlarm time.Time `json:"last_alarm,omitzero"`

	Bundles   int       `json:"bundles"` // that are here
	Bytes     int64     `json:"bytes"`
	Owed      int       `json:"owed"` // files that a store is still to get
	OwedSince time.Time `json:"owed_since,omitzero"`

	Problems []string `json:"problems"`
	// Found says that one of the problems is an alarm, or something that was tampered with.
	Found bool `json:"found"`
}

func (st *Status) problem(format string, args ...any) {
	st.Problems = append(st.Problems, fmt.Sprintf(format, args...))
}

func (st *Status) found(format string, args ...any) {
	st.problem(format, args...)
	st.Found = true
}

// Exit codes of a snapshot, as the command's help has them.
const (
	exitDone    = 0
	exitPartial = 3
	exitFound   = 4
)

// Status looks how the schedule stands at a time, and changes nothing.
func (s *Scheduler) Status(ctx context.Context, r *Record, now time.Time) (*Status, error) {
	st := &Status{Kind: r.Kind, Name: r.Name, Every: r.Every, Argv: r.Argv, Enabled: true, Problems: []string{}}
	for _, w := range r.Files {
		switch _, state, err := host.ReadFile(s.own, w.Path); {
		case err != nil:
			st.problem("%s: %v", w.Path, err)
		case !state.Exists:
			st.Enabled = false
			st.found("%s is gone", w.Path)
		case state.SHA256 != w.Now.SHA256:
			st.found("%s is not what was installed", w.Path)
		}
	}
	if s.Kind != Cron {
		s.askSystemd(ctx, r, st)
	}
	if err := st.readLog(s.cs); err != nil {
		return nil, err
	}
	if err := st.readChain(s.cs); err != nil {
		return nil, err
	}
	st.judge(r, now)
	return st, nil
}

// askSystemd adds what the manager says of both units.
func (s *Scheduler) askSystemd(ctx context.Context, r *Record, st *Status) {
	timer := s.show(ctx, r.timer())
	if timer == nil {
		st.problem("%s does not answer", s.mgr)
		return
	}
	st.Next = systemdTime(timer["NextElapseUSecRealtime"])
	st.Enabled = timer["UnitFileState"] == "enabled" && timer["ActiveState"] == "active"
	if !st.Enabled {
		st.problem("%s is %s and %s", r.timer(), orNot(timer["UnitFileState"]), orNot(timer["ActiveState"]))
	}
	service := s.show(ctx, r.service())
	st.Service = service["Result"]
	status, _ := strconv.Atoi(service["ExecMainStatus"])
	alarm := st.Service == "exit-code" && status == exitFound // which the custody log tells of
	if st.Service != "success" && st.Service != "" && !alarm {
		st.problem("the last run of %s ended with %s, %d: journalctl -u %s says more", r.service(), st.Service, status, r.service())
	}
	st.DropIns = strings.TrimSpace(timer["DropInPaths"] + " " + service["DropInPaths"])
}

func orNot(state string) string {
	if state == "" {
		return "not there"
	}
	return state
}

// show returns properties of a unit, nil if the manager does not answer.
func (s *Scheduler) show(ctx context.Context, unit string) map[string]string {
	const properties = "--property=LoadState,ActiveState,UnitFileState,NextElapseUSecRealtime,Result,ExecMainStatus,DropInPaths"
	c := s.mgr.Systemctl("show", properties, "--", unit)
	c.Env = append(c.Env, "TZ=UTC")
	res := s.run.Run(ctx, c)
	if !res.OK() {
		return nil
	}
	list := map[string]string{}
	for line := range strings.Lines(string(res.Stdout)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		list[name] = value
	}
	return list
}

func (s *Scheduler) property(ctx context.Context, unit, name string) string {
	return s.show(ctx, unit)[name]
}

// systemdTime reads a time as systemctl prints it in UTC; the zero time for none.
func systemdTime(text string) time.Time {
	t, _ := time.Parse("Mon 2006-01-02 15:04:05 MST", text)
	return t
}

// readLog finds the last run and the alarms in the custody log.
func (st *Status) readLog(cs *casefile.Case) error {
	for line, err := range cs.Lines() {
		if err != nil {
			return err
		}
		switch e := line.Entry; {
		case e == nil:
		case e.Action == "collect --snapshot" && e.Exit != nil:
			st.LastRun, st.LastExit = e.Time, e.Exit
		case e.Action == "alarm":
			st.Alarms, st.LastAlarm = st.Alarms+1, e.Time
		}
	}
	return nil
}

func (st *Status) readChain(cs *casefile.Case) error {
	seal, digest, err := collect.LastLink(cs)
	if err != nil {
		return err
	}
	if seal != nil {
		st.Number, st.Chain, st.Head, st.Sealed = seal.Link.Number, seal.Link.Chain, digest, seal.Created
	}
	files, err := fs.ReadDir(cs.Root().FS(), casefile.BundlesDir)
	if err != nil {
		return err
	}
	for _, f := range files {
		if info, err := f.Info(); err == nil && strings.HasSuffix(f.Name(), collect.BundleSuffix) {
			st.Bundles, st.Bytes = st.Bundles+1, st.Bytes+info.Size()
		}
	}
	owed, err := store.ListOwed(cs)
	if len(owed) > 0 {
		st.Owed, st.OwedSince = len(owed), owed[0].Since
	}
	return err
}

// judge says what of it is not as it should be.
func (st *Status) judge(r *Record, now time.Time) {
	if st.LastExit != nil {
		switch code := *st.LastExit; code {
		case exitDone, exitPartial:
		case exitFound:
			st.found("the last snapshot found that the past was rewritten, or is missing: collect chain verify, and case show, say more")
		default:
			st.problem("the last snapshot failed, with exit code %d", code)
		}
	}
	since := r.Installed
	if st.Sealed.After(since) {
		since = st.Sealed
	}
	if gap := now.Sub(since); gap > 2*time.Duration(r.Every) {
		st.problem("no snapshot for %s, and one was due every %s", gap.Round(time.Minute), r.Every)
	}
	if st.Owed > 0 {
		st.problem("a store is still to get %d files, the first since %s", st.Owed, st.OwedSince.UTC().Format(time.RFC3339))
	}
}
